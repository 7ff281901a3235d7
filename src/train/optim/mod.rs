//! Optimisers, with PyTorch's semantics and state that can be saved.
//!
//! A parameter that is frozen or has no gradient is not passed to [`Optimizer::step`]: no decay, no momentum, no count.
mod adamw;
mod sgd;

pub use adamw::AdamW;
pub use sgd::Sgd;

use serde::{Deserialize, Serialize};

/// Changes a parameter by its gradient.
pub trait Optimizer {
    /// One update of the parameter called `name`.
    fn step(&mut self, name: &str, values: &mut [f32], gradient: &[f32]);

    /// The step size from now on.
    fn set_learning_rate(&mut self, rate: f64);
}

/// An optimiser with its state, to be saved and to go on from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optim {
    /// Stochastic gradient descent with momentum.
    Sgd(Sgd),
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
}

impl Optimizer for Optim {
    fn step(&mut self, name: &str, values: &mut [f32], gradient: &[f32]) {
        match self {
            Optim::Sgd(sgd) => sgd.step(name, values, gradient),
            Optim::AdamW(adamw) => adamw.step(name, values, gradient),
        }
    }

    fn set_learning_rate(&mut self, rate: f64) {
        match self {
            Optim::Sgd(sgd) => sgd.set_learning_rate(rate),
            Optim::AdamW(adamw) => adamw.set_learning_rate(rate),
        }
    }
}
