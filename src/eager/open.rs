//! An engine on the device of a run.
use crate::backend::{Cpu, DeviceKind, EngineDevice, Gpu, Scalar};
use crate::engine::{Engine, Request};
use crate::graph::Graph;
use crate::nn::ParamId;
use crate::ops::{Operation, RowOp};
use crate::{Error, Result};

use super::EagerEngine;

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
        DeviceKind::Cuda => Ok(Box::new(on_gpu(graph, request, trains)?)),
    }
}

/// An engine on the first NVIDIA GPU.
///
/// # Errors
/// If this build has no CUDA support, or no GPU can be used; if the model has an operation of the program's own
/// ([`crate::ops`]); those of [`EagerEngine::new`].
pub(crate) fn on_gpu<E: Scalar>(
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

/// Refuses operations of the program's own, which run on the CPU only.
fn refuse_custom(graph: &Graph) -> Result<()> {
    match graph.row_ops().find(|op| matches!(op, RowOp::Custom(_))) {
        None => Ok(()),
        Some(op) => {
            let message =
                format!("operation '{}' is this program's own and runs on the CPU alone", op.text());
            Err(Error::device("device=cuda", message))
        }
    }
}
