//! Where a run computes.
use crate::Result;
use crate::backend::DeviceKind;
use crate::config::Config;
use crate::engine::{Engine, Request};
use crate::graph::Graph;
use crate::nn::ParamId;
use crate::plan::CpuEngine;

/// Where a run computes.
#[derive(Config, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    Cpu,
    /// A GPU with CUDA.
    Cuda,
}

/// An engine on this device for `graph` that computes what `request` asks for.
///
/// # Errors
/// If the device is not there, or this build does not support it.
pub fn engine(
    device: Device,
    graph: &Graph,
    request: &Request,
    trains: &dyn Fn(ParamId) -> bool,
    threads: usize,
) -> Result<Box<dyn Engine<f32>>> {
    match device {
        Device::Cpu => Ok(Box::new(CpuEngine::new(graph, request, trains, threads)?)),
        Device::Cuda => crate::eager::open(DeviceKind::Cuda, graph, request, trains),
    }
}
