//! Build, train and probe small transformers as in *Birth of a Transformer: a Memory Viewpoint* (NeurIPS 2023).
//!
//! An experiment is a model, a task, probes and a timeline:
//!
//! | | what | where |
//! |---|---|---|
//! | model | named parameters, and a forward pass over typed streams that is recorded once as a graph | [`Module`], [`graph`], [`nn`], [`model`] |
//! | task | sequences of tokens, and marks that say how each next token is predictable | [`data`] |
//! | probes | predictions, attention patterns, memory recalls | [`probe`] |
//! | run | the training loop, its measurements, optimiser, timeline and files | [`run`], [`train`], [`io`] |
//! | report | an interactive report of runs: settings, curves, attention, predictions | [`report`] |
//! | sweep | many runs, here or on other machines, and one table of them | [`sweep`] |
//! | settings | the fields of a struct as a command line | [`mod@config`] |
//! | engines | the CPU engine, and the dfdx engine as reference and for GPUs | [`engine`] |
//!
//! [`guide`] leads from the first run to your own block, task and probe, and its glossary explains the words of this
//! documentation. [`architecture`] says how the library is built and why. [`paper`] and the programs in `examples/`
//! reproduce the paper.
//!
//! ```
//! use ihead::backend::Const;
//! use ihead::config::Config;
//! use ihead::graph::record;
//! use ihead::model::{Simplified, SimplifiedArgs};
//!
//! let sizes = SimplifiedArgs::defaults();
//! let model = Simplified::sized(Const::<65>, 256, Const::<64>, &sizes)?.init(42);
//! let graph = record(&model, 256)?;
//! assert!(graph.site("layers.1.attention.pattern").is_some());
//! # Ok::<(), ihead::Error>(())
//! ```
extern crate self as ihead;

pub mod backend;
pub mod config;
pub mod data;
mod eager;
pub mod engine;
pub mod error;
pub mod graph;
#[doc(hidden)]
pub mod internals;
pub mod io;
mod kernels;
mod memory;
pub mod model;
mod names;
pub mod nn;
pub mod ops;
pub mod output;
pub mod paper;
mod plan;
pub mod prelude;
pub mod probe;
pub mod report;
pub mod run;
mod sealed;
pub mod sweep;
mod text;
pub mod train;

pub use config::{Config, main};
pub use error::{Error, Result};
pub use ihead_macros::{Module, recall};

#[doc = include_str!("../docs/guide.md")]
pub mod guide {}

#[doc = include_str!("../docs/architecture.md")]
pub mod architecture {}

#[doc = include_str!("../CHANGELOG.md")]
pub mod changelog {}

/// The README's code, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
