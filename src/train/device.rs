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

/// A device, and the threads of the processor that a run may use; the result does not depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compute {
    /// The device.
    pub device: Device,
    /// Threads of the CPU engine.
    pub threads: usize,
}

impl Default for Compute {
    /// The processor, with all its cores.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        Compute { device: Device::Cpu, threads }
    }
}

impl Compute {
    /// An engine for `graph` that computes what `request` asks for.
    ///
    /// # Errors
    /// If the device is not there, or this build does not support it.
    pub fn engine(
        self,
        graph: &Graph,
        request: &Request,
        trains: &dyn Fn(ParamId) -> bool,
    ) -> Result<Box<dyn Engine<f32>>> {
        match self.device {
            Device::Cpu => Ok(Box::new(CpuEngine::new(graph, request, trains, self.threads)?)),
            Device::Cuda => crate::eager::open(DeviceKind::Cuda, graph, request, trains),
        }
    }
}
