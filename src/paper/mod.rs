//! The paper's two programs: their settings, the names of their numbers, and their files, as a [`Run`](crate::run::Run).
//!
//! The parts are general ([`crate::probe`], [`crate::run`]); this module only says which of them, when, and under which
//! names (the paper's sections 4 and 5). `examples/ihead_basic.rs` and `examples/ihead_full.rs` are the programs: they read
//! the settings ([`RunArgs`], [`DataArgs`], [`OptimArgs`], and those of the model), build an [`Experiment`] and run it.
//! Programs of your own may take the same settings. The table at the settings' implementation of [`Config`](crate::Config)
//! has their defaults and bounds. [`theory`] has the paper's theorem on single gradient steps.
mod args;
mod exp;
mod experiment;
pub mod theory;

pub use args::{DataArgs, Log, OptimArgs, RunArgs};
pub use exp::write_exp;
pub use experiment::{Experiment, Measured};
