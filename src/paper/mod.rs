//! The paper's two programs as a [`Run`](crate::run::Run): settings, the names of their numbers, their files.
//!
//! The parts are general ([`crate::probe`], [`crate::run`]); this module only says which of them, when, and under which
//! names (the paper's sections 4 and 5). `examples/ihead_basic.rs` and `examples/ihead_full.rs` are the programs.
mod args;
mod exp;
mod experiment;
pub mod theory;

pub use args::{DataArgs, Log, OptimArgs, RunArgs};
pub use exp::write_exp;
pub use experiment::{Experiment, Measured};
