//! What several subjects share.
pub mod cases;
pub mod fd;
pub mod maths;
pub mod npz;
pub mod unnamed;
