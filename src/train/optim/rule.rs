//! The settings of an update as numbers, for an engine that keeps parameters and moments on its device.
use super::{Optim, State};

/// How one parameter is updated by its gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rule {
    /// As [`Sgd`](super::Sgd) does.
    Sgd {
        /// The learning rate.
        rate: f64,
        /// 0 if nothing is remembered.
        momentum: f64,
        /// Added to the gradient.
        decay: f64,
    },
    /// As [`AdamW`](super::AdamW) does.
    AdamW {
        /// The learning rate.
        rate: f64,
        /// Decays of the two moments.
        betas: (f64, f64),
        /// Added to the root of the second moment.
        eps: f64,
        /// Taken from the parameter.
        decay: f64,
    },
}

impl Optim {
    /// How the parameter of this name is updated; `None` by a rule of the user's own, which no device has.
    pub(crate) fn rule(&self, name: &str) -> Option<Rule> {
        match self {
            Optim::Sgd(sgd) => Some(sgd.rule()),
            Optim::AdamW(adamw) => Some(adamw.rule()),
            Optim::Groups(groups) => groups.of(name).rule(name),
            Optim::Own(_) => None,
        }
    }

    /// Replaces what is remembered of these parameters, and keeps the rest.
    ///
    /// # Errors
    /// Those of [`restore`](super::Optimizer::restore).
    pub(crate) fn remember(&mut self, state: State) -> crate::Result<()> {
        use super::Optimizer;
        let mut all = self.state();
        all.extend(state);
        self.restore(all)
    }
}
