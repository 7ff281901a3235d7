//! Optimisers, with PyTorch's semantics and state that can be saved.
//!
//! A parameter that is frozen or has no gradient is not passed to [`Optimizer::step`]: no decay, no momentum, no count.
mod adamw;
mod groups;
mod own;
mod rule;
mod sgd;
mod state;
mod text;

pub use adamw::AdamW;
pub use groups::Groups;
pub use own::{Own, Update, UpdateRule};
pub(crate) use rule::Rule;
pub use sgd::Sgd;
pub use state::{ParamState, State};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::nn::{ModuleExt, Stored};
use crate::sealed::Sealed;

/// An optimiser: it updates a parameter by its gradient. It cannot be implemented elsewhere; [`Optim::by`] makes an optimiser of a rule
/// of your own.
pub trait Optimizer: Sealed {
    /// One update of the parameter called `name`, in the precision of its values. The state of the parameter is kept in
    /// that precision too.
    ///
    /// # Errors
    /// If the gradient, or the state of this name, has another size than the parameter; then nothing is changed.
    fn step<E: Stored>(&mut self, name: &str, values: &mut [E], gradient: &[E]) -> Result<()>;

    /// The state of the optimiser, to be saved: all that a step depends on besides the settings.
    fn state(&self) -> State;

    /// Restores what [`state`](Self::state) gave.
    ///
    /// # Errors
    /// If the state is that of another kind of optimiser, or two moments of a parameter differ in size; then nothing is changed.
    fn restore(&mut self, state: State) -> Result<()>;

    /// Changes the learning rate from now on.
    fn set_learning_rate(&mut self, rate: f64);
}

/// An optimiser with its state, which can be saved and restored. Its text is that of a new one; serde writes it with its
/// state, to the last bit, and [`Optimizer::state`] gives the state alone.
///
/// ```
/// use ihead::train::optim::Optim;
/// let optim: Optim = "sgd(learning_rate=0.2, momentum=0.9)".parse()?;
/// assert_eq!(optim.to_string(), "sgd(learning_rate=0.2, momentum=0.9, weight_decay=0)");
/// let error = "sgd(momentun=0.9)".parse::<Optim>().unwrap_err();
/// assert_eq!(error.to_string(), "no setting of an optimiser 'momentun'; did you mean 'momentum'?");
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Optim {
    /// Stochastic gradient descent with momentum.
    Sgd(Sgd),
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
    /// Groups of parameters with optimisers of their own.
    Groups(Groups),
    /// A rule of the user's own; see [`Optim::by`].
    Own(Own),
}

impl From<Sgd> for Optim {
    fn from(sgd: Sgd) -> Optim {
        Optim::Sgd(sgd)
    }
}

impl From<AdamW> for Optim {
    fn from(adamw: AdamW) -> Optim {
        Optim::AdamW(adamw)
    }
}

impl Optim {
    /// Checks its numbers, and the names of its groups against the parameters of a model.
    ///
    /// # Errors
    /// If a number is negative or not finite, a `beta` is 1 or more, two moments of a rule of your own have
    /// one name, or one has an empty name or a `/` in it; those of [`Groups::check`].
    pub fn check(&self, model: &(impl ModuleExt + ?Sized)) -> Result<()> {
        self.check_numbers()?;
        if let Optim::Groups(groups) = self { groups.check(model) } else { Ok(()) }
    }

    /// Looks up the members of its groups among the parameters of a model, and the shapes that a rule of your own gets.
    ///
    /// # Errors
    /// Those of [`Groups::check`].
    pub fn prepare(&mut self, model: &(impl ModuleExt + ?Sized)) -> Result<()> {
        match self {
            Optim::Groups(groups) => groups.prepare(model),
            Optim::Own(own) => {
                own.prepare(model);
                Ok(())
            }
            Optim::Sgd(_) | Optim::AdamW(_) => Ok(()),
        }
    }

    /// The optimisers of single parameters in it: those of the groups, then that of the others; itself, where there are no groups.
    fn parts(&self) -> Vec<&Optim> {
        match self {
            Optim::Groups(groups) => {
                let all = groups.groups().map(|(_, optim)| optim).chain([groups.others()]);
                all.flat_map(Optim::parts).collect()
            }
            one => vec![one],
        }
    }

    /// The most numbers that it remembers of an entry of a parameter.
    pub(crate) fn moments(&self) -> usize {
        let of = |part: &Optim| match part {
            Optim::Sgd(sgd) => sgd.moments(),
            Optim::AdamW(_) => 2,
            Optim::Own(own) => own.moments(),
            Optim::Groups(_) => 0,
        };
        self.parts().into_iter().map(of).max().unwrap_or(0)
    }

    /// The most numbers in double precision that a step holds of an entry of the parameter that it changes.
    pub(crate) fn doubles(&self) -> usize {
        let of = |part: &Optim| if let Optim::Own(own) = part { own.doubles() } else { 0 };
        self.parts().into_iter().map(of).max().unwrap_or(0)
    }

    /// Whether a rule of the user's own updates some parameters.
    pub(crate) fn has_own(&self) -> bool {
        self.parts().into_iter().any(|part| matches!(part, Optim::Own(_)))
    }

    /// The same settings, with nothing remembered.
    ///
    /// # Errors
    /// None: no state fits every optimiser.
    pub(crate) fn without_state(&self) -> Result<Optim> {
        let mut new = self.clone();
        new.restore(State::new())?;
        Ok(new)
    }
}

impl Sealed for Optim {}
impl Sealed for Sgd {}
impl Sealed for AdamW {}
impl Sealed for Groups {}
impl Sealed for Own {}

impl Optimizer for Optim {
    fn step<E: Stored>(&mut self, name: &str, values: &mut [E], gradient: &[E]) -> Result<()> {
        match self {
            Optim::Sgd(sgd) => sgd.step(name, values, gradient),
            Optim::AdamW(adamw) => adamw.step(name, values, gradient),
            Optim::Groups(groups) => groups.step(name, values, gradient),
            Optim::Own(own) => own.step(name, values, gradient),
        }
    }

    fn state(&self) -> State {
        match self {
            Optim::Sgd(sgd) => sgd.state(),
            Optim::AdamW(adamw) => adamw.state(),
            Optim::Groups(groups) => groups.state(),
            Optim::Own(own) => own.state(),
        }
    }

    fn restore(&mut self, state: State) -> Result<()> {
        match self {
            Optim::Sgd(sgd) => sgd.restore(state),
            Optim::AdamW(adamw) => adamw.restore(state),
            Optim::Groups(groups) => groups.restore(state),
            Optim::Own(own) => own.restore(state),
        }
    }

    fn set_learning_rate(&mut self, rate: f64) {
        match self {
            Optim::Sgd(sgd) => sgd.set_learning_rate(rate),
            Optim::AdamW(adamw) => adamw.set_learning_rate(rate),
            Optim::Groups(groups) => groups.set_learning_rate(rate),
            Optim::Own(own) => own.set_learning_rate(rate),
        }
    }
}
