//! An engine on the device of a run.
use crate::backend::{Cpu, DeviceKind, EngineDevice, Gpu, Scalar};
use crate::engine::{Engine, Request};
use crate::graph::Graph;
use crate::nn::{ParamId, Storage};
use crate::ops::{Operation, RowOp};
use crate::{Error, Result};

#[cfg(feature = "cuda")]
use super::on_device::OnDevice;
use super::{EagerEngine, Resident};

/// An engine on a device of this kind; `trains` tells which parameters get gradients.
///
/// # Errors
/// Those of [`on_gpu`] if the device is [`DeviceKind::Cuda`]; those of [`EagerEngine::new`].
pub fn open<E: Scalar>(
    kind: DeviceKind,
    graph: &Graph,
    request: &Request,
    trains: &dyn Fn(ParamId) -> bool,
) -> Result<Box<dyn Engine<E>>>
where
    Cpu: EngineDevice<E>,
    Gpu: EngineDevice<E>,
{
    match kind {
        DeviceKind::Cpu => Ok(Box::new(EagerEngine::new(Cpu::default(), graph, request, trains)?)),
        DeviceKind::Cuda => on_gpu(graph, request, trains),
    }
}

/// An engine on the first NVIDIA GPU.
///
/// # Errors
/// If no GPU can be used; if the model has an operation of the program's own ([`crate::ops`]); those of [`EagerEngine::new`].
#[cfg(feature = "cuda")]
pub(crate) fn on_gpu<E: Scalar>(
    graph: &Graph,
    request: &Request,
    trains: &dyn Fn(ParamId) -> bool,
) -> Result<Box<dyn Engine<E>>>
where
    Gpu: EngineDevice<E>,
{
    Ok(Box::new(engine_on_gpu(graph, request, trains)?))
}

/// Training on the first NVIDIA GPU, with parameters in this precision.
///
/// # Errors
/// Those of [`on_gpu`].
#[cfg(feature = "cuda")]
pub(crate) fn resident_on_gpu(
    storage: Storage,
    graph: &Graph,
    request: &Request,
    trains: &dyn Fn(ParamId) -> bool,
) -> Result<Box<dyn Resident>> {
    Ok(match storage {
        Storage::Single => Box::new(OnDevice::new(engine_on_gpu::<f32>(graph, request, trains)?)),
        Storage::Double => Box::new(OnDevice::new(engine_on_gpu::<f64>(graph, request, trains)?)),
    })
}

#[cfg(feature = "cuda")]
fn engine_on_gpu<E: Scalar>(
    graph: &Graph,
    request: &Request,
    trains: &dyn Fn(ParamId) -> bool,
) -> Result<EagerEngine<E, Gpu>>
where
    Gpu: EngineDevice<E>,
{
    refuse_custom(graph)?;
    EagerEngine::new(crate::backend::gpu()?, graph, request, trains)
}

/// The error of a build without CUDA that is asked for a GPU. No engine of dfdx is compiled then, unless a program makes one: it
/// would be a sixth of the library's LLVM code.
///
/// # Errors
/// Always.
#[cfg(not(feature = "cuda"))]
pub(crate) fn on_gpu<E: Scalar>(
    graph: &Graph,
    _: &Request,
    _: &dyn Fn(ParamId) -> bool,
) -> Result<Box<dyn Engine<E>>> {
    Err(no_gpu(graph))
}

/// The same for training.
///
/// # Errors
/// Always.
#[cfg(not(feature = "cuda"))]
pub(crate) fn resident_on_gpu(
    _: Storage,
    graph: &Graph,
    _: &Request,
    _: &dyn Fn(ParamId) -> bool,
) -> Result<Box<dyn Resident>> {
    Err(no_gpu(graph))
}

#[cfg(not(feature = "cuda"))]
fn no_gpu(graph: &Graph) -> Error {
    let message = "this build has no CUDA support; build with `--features cuda` \
                   (it needs the CUDA toolkit and a driver), or leave device=cpu";
    refuse_custom(graph).err().unwrap_or_else(|| Error::device("device=cuda", message))
}

/// Refuses operations of the program's own, which run on the CPU only.
///
/// # Errors
/// If the graph has one.
pub fn refuse_custom(graph: &Graph) -> Result<()> {
    match graph.row_ops().find(|op| matches!(op, RowOp::Custom(_))) {
        None => Ok(()),
        Some(op) => {
            let message =
                format!("operation '{}' is this program's own and runs on the CPU alone", op.text());
            Err(Error::device("device=cuda", message))
        }
    }
}
