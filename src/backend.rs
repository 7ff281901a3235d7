//! The one module that names `dfdx`: what the rest of the library uses of it.
pub use dfdx::shapes::{Const, Dim, HasShape, Shape};
pub use dfdx::tensor::{AsArray, Cpu, Tensor, TensorFrom, TensorFromVec, ZerosTensor};
