//! The source from which engines read parameters.
use crate::Result;
use crate::nn::{ParamId, Version};

/// A source of the values of parameters.
pub trait ParamSource<E>: Sync {
    /// Copies the values of a parameter, row-major.
    fn read(&self, param: ParamId, into: &mut [E]);

    /// Borrows the values of a parameter, row-major, if it is kept in this precision; what cannot be borrowed is copied.
    fn values(&self, param: ParamId) -> Option<&[E]> {
        let _ = param;
        None
    }

    /// The version of the values of a parameter, if there is one ([`AnyParam::version`](crate::nn::AnyParam::version)): as long as it is
    /// the same, so are the values. A source that changes values has none for them.
    fn version(&self, param: ParamId) -> Option<Version> {
        let _ = param;
        None
    }

    /// Refuses a parameter that cannot be read.
    ///
    /// # Errors
    /// If it has no values: nobody has drawn, written or loaded them; or if it is a parameter of another module.
    fn check(&self, param: ParamId) -> Result<()> {
        let _ = param;
        Ok(())
    }
}
