//! An engine on the device of a run.
use crate::backend::{Cpu, DeviceKind};
use crate::engine::{Engine, Request};
use crate::graph::Graph;
use crate::nn::ParamId;
use crate::{Error, Result};

use super::EagerEngine;

/// An engine in f32 on a device of this kind; `trains` tells which parameters get gradients.
///
/// # Errors
/// If the device is [`DeviceKind::Cuda`] and this build has no CUDA support, or no GPU can be used.
pub fn open(
    kind: DeviceKind,
    graph: &Graph,
    request: &Request,
    trains: &dyn Fn(ParamId) -> bool,
) -> Result<Box<dyn Engine<f32>>, Error> {
    match kind {
        DeviceKind::Cpu => Ok(Box::new(EagerEngine::new(Cpu::default(), graph, request, trains))),
        DeviceKind::Cuda => open_cuda(graph, request, trains),
    }
}

#[cfg(feature = "cuda")]
fn open_cuda(
    graph: &Graph,
    request: &Request,
    trains: &dyn Fn(ParamId) -> bool,
) -> Result<Box<dyn Engine<f32>>, Error> {
    Ok(Box::new(EagerEngine::new(crate::backend::cuda()?, graph, request, trains)))
}

#[cfg(not(feature = "cuda"))]
fn open_cuda(_: &Graph, _: &Request, _: &dyn Fn(ParamId) -> bool) -> Result<Box<dyn Engine<f32>>, Error> {
    Err(crate::backend::no_cuda())
}
