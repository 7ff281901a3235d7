//! The dfdx engine: gradients by finite differences, values by plain loops, agreement with the CPU engine and with the
//! paper's program.
#![allow(missing_docs)]
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/fd.rs"]
mod fd;

mod agreement;
mod gradients;
mod models;
mod patches;
mod requests;
mod values;
