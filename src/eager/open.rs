//! An engine on the device of a run.
use crate::backend::{Cpu, DeviceKind};
use crate::engine::{Engine, Request};
use crate::graph::{Graph, Op, WeightOp};
use crate::nn::ParamId;
use crate::ops::{Operation, RowOp};
use crate::{Error, Result};

use super::EagerEngine;

/// An engine in f32 on a device of this kind; `trains` tells which parameters get gradients.
///
/// # Errors
/// If the device is [`DeviceKind::Cuda`] and this build has no CUDA support, or no GPU can be used;
/// or if the model has an operation of the program's own ([`crate::ops`]).
pub fn open(
    kind: DeviceKind,
    graph: &Graph,
    request: &Request,
    trains: &dyn Fn(ParamId) -> bool,
) -> Result<Box<dyn Engine<f32>>, Error> {
    match kind {
        DeviceKind::Cpu => Ok(Box::new(EagerEngine::new(Cpu::default(), graph, request, trains)?)),
        DeviceKind::Cuda => {
            refuse_custom(graph)?;
            open_cuda(graph, request, trains)
        }
    }
}

/// Refuses operations of the program's own, which run on the CPU only.
fn refuse_custom(graph: &Graph) -> Result<()> {
    let ops = graph.nodes().iter().filter_map(|node| match &node.op {
        Op::Rows { op, .. } => Some(op),
        _ => None,
    });
    let of_weights = graph.weights().iter().filter_map(|weight| match &weight.op {
        WeightOp::Rows(op, _) => Some(op),
        _ => None,
    });
    match ops.chain(of_weights).find(|op| matches!(op, RowOp::Custom(_))) {
        None => Ok(()),
        Some(op) => {
            let message =
                format!("operation '{}' is this program's own and runs on the processor alone", op.text());
            Err(Error::device("device=cuda", message))
        }
    }
}

#[cfg(feature = "cuda")]
fn open_cuda(
    graph: &Graph,
    request: &Request,
    trains: &dyn Fn(ParamId) -> bool,
) -> Result<Box<dyn Engine<f32>>, Error> {
    Ok(Box::new(EagerEngine::new(crate::backend::cuda()?, graph, request, trains)?))
}

#[cfg(not(feature = "cuda"))]
fn open_cuda(_: &Graph, _: &Request, _: &dyn Fn(ParamId) -> bool) -> Result<Box<dyn Engine<f32>>, Error> {
    Err(crate::backend::no_cuda())
}
