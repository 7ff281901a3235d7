//! Build, train and probe small transformers as in *Birth of a Transformer: a Memory Viewpoint* (NeurIPS 2023).
extern crate self as ihead;

pub mod backend;
pub mod config;
pub mod data;
pub mod eager;
pub mod engine;
pub mod error;
pub mod graph;
pub mod io;
pub mod kernels;
pub mod memory;
pub mod model;
pub mod names;
pub mod nn;
pub mod paper;
pub mod plan;
pub mod probe;
pub mod train;

pub use config::{Config, main};
pub use error::{Error, Result};
pub use ihead_macros::Module;
