//! Optimisers, with PyTorch's semantics and state that can be saved.
//!
//! A parameter that is frozen or has no gradient is not passed to [`Optimizer::step`]: no decay, no momentum, no count.
mod adamw;
mod groups;
mod sgd;
mod state;
mod text;

pub use adamw::AdamW;
pub use groups::Groups;
pub use sgd::Sgd;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::nn::ModuleExt;

/// Changes a parameter by its gradient.
pub trait Optimizer {
    /// One update of the parameter called `name`.
    ///
    /// # Errors
    /// If the gradient, or the state of this name, has another size than the parameter; then nothing is changed.
    fn step(&mut self, name: &str, values: &mut [f32], gradient: &[f32]) -> Result<()>;

    /// The step size from now on.
    fn set_learning_rate(&mut self, rate: f64);
}

/// An optimiser with its state, to be saved and to go on from. Its text is that of a new one.
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
pub enum Optim {
    /// Stochastic gradient descent with momentum.
    Sgd(Sgd),
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
    /// Groups of parameters with optimisers of their own.
    Groups(Groups),
}

impl Optim {
    /// Checks what it says of parameters.
    ///
    /// # Errors
    /// Those of [`Groups::check`].
    pub fn check(&self, model: &(impl ModuleExt + ?Sized)) -> Result<()> {
        if let Optim::Groups(groups) = self { groups.check(model) } else { Ok(()) }
    }
}

impl Optimizer for Optim {
    fn step(&mut self, name: &str, values: &mut [f32], gradient: &[f32]) -> Result<()> {
        match self {
            Optim::Sgd(sgd) => sgd.step(name, values, gradient),
            Optim::AdamW(adamw) => adamw.step(name, values, gradient),
            Optim::Groups(groups) => groups.step(name, values, gradient),
        }
    }

    fn set_learning_rate(&mut self, rate: f64) {
        match self {
            Optim::Sgd(sgd) => sgd.set_learning_rate(rate),
            Optim::AdamW(adamw) => adamw.set_learning_rate(rate),
            Optim::Groups(groups) => groups.set_learning_rate(rate),
        }
    }
}
