//! The types of sizes: `Const<N>` is known to the compiler, `usize` when the program runs, and [`Dim`] is either; and [`Cpu`], the device
//! on which [`EagerEngine`](crate::engine::EagerEngine) runs without a GPU.
//!
//! They are dfdx's. All that the rest of the library uses of dfdx comes through this module, too, but for the hidden
//! `internals`.
use std::fmt;
use std::str::FromStr;

pub use dfdx::shapes::{Const, Dim};
pub use dfdx::tensor::Cpu;

pub(crate) use dfdx::dtypes::Dtype;
pub(crate) use dfdx::shapes::{Axes2, Axes3, Axes4, Axis, HasShape, Rank0, Shape};
pub(crate) use dfdx::tensor::{
    Gradients, HasErr, Merge, NoneTape, OwnedTape, PutTape, SplitTape, Storage, Tape, Tensor, TensorFromVec,
    WithEmptyTape,
};
pub(crate) use dfdx::tensor_ops::{
    Backward, BroadcastTo, Device, GatherTo, LogSumExpTo, MeanTo, PermuteTo, ReshapeTo, SelectTo, SumTo,
    TryAdd, TryMul, TrySub,
};
#[cfg(feature = "cuda")]
pub(crate) use dfdx::{tensor::Cuda, tensor_ops::TryMatMul};
#[cfg(any(test, feature = "cuda"))]
pub(crate) use dfdx::{
    tensor::Trace,
    tensor_ops::{AdamConfig, Momentum, SgdConfig, WeightDecay},
};

use crate::eager::Products;
use crate::kernels::Element;
use crate::{Error, Result};

/// A scalar type of both the kernels and dfdx: `f32` or `f64`.
#[doc(hidden)]
pub trait Scalar: Element + Dtype {}
impl<E: Element + Dtype> Scalar for E {}

/// A dfdx device on which the engine [`crate::eager`] can run: all bounds of its operations in one.
#[doc(hidden)]
pub trait EngineDevice<E: Scalar>: Products<E> + Kind {}
impl<E: Scalar, Dev: Products<E> + Kind> EngineDevice<E> for Dev {}

/// Which kind of device a type stands for.
#[doc(hidden)]
pub trait Kind {
    /// The kind.
    const KIND: DeviceKind;

    /// Bytes of the device's own memory that are free, once it is open; `None` where its memory is the machine's.
    fn free_bytes() -> Option<usize> {
        None
    }
}

impl Kind for Cpu {
    const KIND: DeviceKind = DeviceKind::Cpu;
}

#[cfg(feature = "cuda")]
impl Kind for Cuda {
    const KIND: DeviceKind = DeviceKind::Cuda;

    fn free_bytes() -> Option<usize> {
        cudarc::driver::result::mem_get_info().ok().map(|(free, _)| free)
    }
}

/// The kinds of device that a run can ask for.
///
/// ```
/// use ihead::internals::backend::DeviceKind;
/// assert_eq!("cuda".parse::<DeviceKind>().unwrap(), DeviceKind::Cuda);
/// let error = "cudda".parse::<DeviceKind>().unwrap_err();
/// assert_eq!(error.to_string(), "no device 'cudda'; did you mean 'cuda'?");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[doc(hidden)]
pub enum DeviceKind {
    /// The CPU.
    #[default]
    Cpu,
    /// The first NVIDIA GPU.
    Cuda,
}

impl DeviceKind {
    /// The name as it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            DeviceKind::Cpu => "cpu",
            DeviceKind::Cuda => "cuda",
        }
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DeviceKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = [DeviceKind::Cpu, DeviceKind::Cuda];
        let found = known.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| Error::unknown("device", name, known.map(DeviceKind::name)))
    }
}

/// The device of the engines on a GPU; a build without CUDA has none, and this stands in its place.
#[cfg(feature = "cuda")]
pub(crate) type Gpu = Cuda;
/// The device of the engines on a GPU; a build without CUDA has none, and this stands in its place.
#[cfg(not(feature = "cuda"))]
pub(crate) type Gpu = Cpu;

/// The first NVIDIA GPU: the same for all engines that are made on one thread.
///
/// # Errors
/// If the driver finds none, or cuBLAS does not start.
#[cfg(feature = "cuda")]
pub(crate) fn gpu() -> Result<Gpu> {
    use cudarc::driver::result::{device, init};
    thread_local! {
        static OPEN: std::cell::OnceCell<Cuda> = const { std::cell::OnceCell::new() };
    }
    let refused = |e: &dyn fmt::Display| {
        let message =
            format!("no NVIDIA GPU can be used ({e}); is one visible to this process, with its driver?");
        Error::device("device=cuda", message)
    };
    OPEN.with(|open| {
        if let Some(gpu) = open.get() {
            return Ok(gpu.clone());
        }
        // asked first, because dfdx panics where the driver finds no GPU
        init().and_then(|()| device::get(0)).map_err(|e| refused(&driver_error(e)))?;
        // nothing here draws from the device's own generator: its seed has no effect
        let gpu = Cuda::try_build(0, 0).map_err(|e| refused(&e))?;
        Ok(open.get_or_init(|| gpu).clone())
    })
}

/// What the driver says of an error.
#[cfg(feature = "cuda")]
fn driver_error(error: cudarc::driver::DriverError) -> String {
    error.error_string().map_or_else(|_| format!("{error:?}"), |text| text.to_string_lossy().into_owned())
}
