//! Groups of parameters, each with its own optimiser.
use serde::{Deserialize, Serialize};

use crate::names::matches;
use crate::nn::{ModuleExt, Stored};
use crate::{Error, Result};

use super::{Optim, Optimizer, State};

/// An optimiser for most parameters, and others for groups of them: their own kind, step size, decay.
///
/// A group is a name or a pattern with `*`. [`check`](Self::check) says before the first step what does not fit; a
/// [`Run`](crate::run::Run) calls it. [`Optimizer::set_learning_rate`], and so a timeline, changes the step size of the others, not of
/// the groups.
///
/// ```
/// use ihead::config::Config;
/// use ihead::model::{Simplified, SimplifiedArgs};
/// use ihead::train::optim::{AdamW, Groups, Optim, Sgd};
///
/// let model = Simplified::new(65, 16, 8, &SimplifiedArgs::defaults())?;
/// let optim = Groups::new(Optim::AdamW(AdamW::new(0.001)))
///     .group("layers.*.attention.wk.weight", Optim::Sgd(Sgd::new(0.1).momentum(0.9)));
/// optim.check(&model)?;
///
/// let frozen = optim.group("layers.0.attention.wv.weight", Optim::Sgd(Sgd::new(0.1).momentum(0.9)));
/// let error = frozen.check(&model).unwrap_err().to_string();
/// assert_eq!(error, "the optimiser's group 'layers.0.attention.wv.weight' names a parameter that is frozen");
/// let _: Optim = frozen.into(); // what `Run::optim` takes
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Groups {
    others: Box<Optim>,
    groups: Vec<(String, Optim)>,
}

impl Groups {
    /// No group yet: `others` is for all parameters.
    pub fn new(others: Optim) -> Self {
        Groups { others: Box::new(others), groups: Vec::new() }
    }

    /// With an optimiser of their own for the parameters that this name or pattern matches.
    pub fn group(mut self, pattern: impl Into<String>, optim: Optim) -> Self {
        self.groups.push((pattern.into(), optim));
        self
    }

    /// The groups, and what they match.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &Optim)> {
        self.groups.iter().map(|(pattern, optim)| (pattern.as_str(), optim))
    }

    /// The optimiser of all other parameters.
    pub fn others(&self) -> &Optim {
        &self.others
    }

    /// Checks the groups against the parameters of a model.
    ///
    /// # Errors
    /// If a pattern matches no parameter (the nearest name is in the message), a parameter is in two groups, or a group
    /// names a parameter that is frozen for good. A pattern with `*` may match frozen parameters beside others.
    pub fn check(&self, model: &(impl ModuleExt + ?Sized)) -> Result<()> {
        let mut taken: Vec<(String, &str)> = Vec::new();
        for (pattern, _) in &self.groups {
            for name in model.matching(pattern)? {
                if name == *pattern && !model.tensor(&name)?.trains() {
                    let message =
                        format!("the optimiser's group '{pattern}' names a parameter that is frozen");
                    return Err(Error::usage(message));
                }
                if let Some((_, other)) = taken.iter().find(|(known, _)| *known == name) {
                    let message =
                        format!("'{name}' is in two groups of the optimiser, '{other}' and '{pattern}'");
                    return Err(Error::usage(message));
                }
                taken.push((name, pattern));
            }
        }
        Ok(())
    }
}

impl Optimizer for Groups {
    fn step<E: Stored>(&mut self, name: &str, values: &mut [E], gradient: &[E]) -> Result<()> {
        let own = self.groups.iter_mut().find(|(pattern, _)| matches(pattern, name));
        own.map_or(&mut *self.others, |(_, optim)| optim).step(name, values, gradient)
    }

    fn state(&self) -> State {
        let mut state = self.others.state();
        self.groups.iter().for_each(|(_, optim)| state.extend(optim.state()));
        state
    }

    fn restore(&mut self, state: State) -> Result<()> {
        let mut restored = self.clone();
        let mut left = state;
        for (pattern, optim) in &mut restored.groups {
            let (own, others) = left.into_iter().partition(|(name, _)| matches(pattern, name));
            optim.restore(own)?;
            left = others;
        }
        restored.others.restore(left)?;
        *self = restored;
        Ok(())
    }

    fn set_learning_rate(&mut self, rate: f64) {
        self.others.set_learning_rate(rate);
    }
}

impl From<Groups> for Optim {
    fn from(groups: Groups) -> Optim {
        Optim::Groups(groups)
    }
}
