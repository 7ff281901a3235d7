//! The dfdx engine: gradients by finite differences, values by plain loops, agreement with the CPU engine and with the
//! paper's program.
mod agreement;
mod gradients;
pub mod models;
mod patches;
mod requests;
mod values;
