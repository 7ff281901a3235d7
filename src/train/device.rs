//! Where a run computes.
use crate::Result;
use crate::backend::DeviceKind;
use crate::config::Config;
use crate::engine::{Engine, Request, Widened};
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

/// The precision of arithmetic; parameters, and what is written of them, are single in any case.
#[derive(Config, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Double for models so small that nobody waits for them, single for others.
    Auto,
    /// 32 bits.
    Single,
    /// 64 bits, on the processor: gradients are exact to their last bit, in about twice the time.
    Double,
}

/// Up to this many multiplications a sequence (positions times parameters), [`Precision::Auto`] is double.
const SMALL: usize = 1 << 20;

impl Precision {
    fn is_double(self, graph: &Graph) -> bool {
        let parameters: usize = graph.params().iter().map(|param| param.rows * param.cols).sum();
        match self {
            Precision::Auto => graph.seq().saturating_mul(parameters) <= SMALL,
            Precision::Single => false,
            Precision::Double => true,
        }
    }
}

/// A device, a precision, and the threads of the processor that a run may use; the result does not depend on these.
///
/// Why the precision matters: AdamW moves an entry by about its step size however small the gradient is, so where a gradient is
/// of the order of single precision's rounding, the entry goes this way or that. A small model in double precision goes as the
/// recorded runs of the paper's program do.
///
/// ```
/// use ihead::train::{Compute, Device, Precision};
/// let compute = Compute { precision: Precision::Double, ..Compute::default() };
/// assert_eq!(compute.device, Device::Cpu);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compute {
    /// The device.
    pub device: Device,
    /// Threads of the CPU engine.
    pub threads: usize,
    /// Precision of the CPU engine.
    pub precision: Precision,
}

impl Default for Compute {
    /// The processor, with all its cores; [`Precision::Auto`].
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        Compute { device: Device::Cpu, threads, precision: Precision::Auto }
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
            Device::Cpu if self.precision.is_double(graph) => {
                let engine = CpuEngine::<f64>::new(graph, request, trains, self.threads)?;
                Ok(Box::new(Widened::new(engine, graph)))
            }
            Device::Cpu => Ok(Box::new(CpuEngine::new(graph, request, trains, self.threads)?)),
            Device::Cuda => crate::eager::open(DeviceKind::Cuda, graph, request, trains),
        }
    }
}
