//! What the paper's two programs measure and write down, as a [`Monitor`](crate::train::Monitor) of a run.
//!
//! The parts are general ([`crate::probe`]); this module only says which of them, when, and under which names
//! (the paper's sections 4 and 5). `examples/ihead_basic.rs` and `examples/ihead_full.rs` are the programs.
mod exp;
mod experiment;
mod monitor;

pub use exp::{activations, write_exp};
pub use experiment::Experiment;
pub use monitor::{Measured, PaperMonitor, Schedule};
