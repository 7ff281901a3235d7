//! The trait that other crates cannot implement, and with it none of those that ask for it.

/// Asked for by the traits that only this crate implements.
pub trait Sealed {}
