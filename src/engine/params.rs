//! Where engines read parameters.
use crate::nn::ParamId;

/// Values of parameters.
pub trait ParamSource<E>: Sync {
    /// Copies the values of a parameter, row-major.
    fn read(&self, param: ParamId, into: &mut [E]);
}
