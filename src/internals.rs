//! What the tests, the benchmarks and the macros of this crate reach and a user does not need: it may change in any version.
pub use paste::paste;

pub mod backend {
    //! The devices of the dfdx engine.
    pub use crate::backend::{DeviceKind, EngineDevice, Kind, Scalar};
    pub use dfdx::tensor::Cpu;
    #[cfg(feature = "cuda")]
    pub use dfdx::tensor::Cuda;
}

pub mod eager {
    //! The dfdx engine.
    pub use crate::eager::*;
}

pub mod kernels {
    //! Loops over slices.
    pub use crate::kernels::*;
}

pub mod memory {
    //! What the machine's memory holds.
    pub use crate::memory::*;
}

pub mod names {
    //! Patterns of names, and the nearest of them.
    pub use crate::names::*;
}

pub mod output {
    //! What is printed.
    pub use crate::output::plain;
}

pub mod sweep {
    //! The grammar of axes.
    use crate::config::{Problem, Schema};

    /// The points of each axis of a sweep, or all that is wrong with their texts.
    ///
    /// # Errors
    /// If a text is no axis of settings of `schema`.
    pub fn axes(texts: &[String], schema: &Schema) -> Result<Vec<usize>, Vec<Problem>> {
        crate::sweep::points(texts, schema)
    }
}
