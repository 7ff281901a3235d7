//! Where a run computes.
use std::sync::Once;

use crate::Result;
use crate::config::Config;
use crate::eager::{Resident, on_gpu, resident_on_gpu};
use crate::engine::{AnyEngine, Request, Widened};
use crate::graph::Graph;
use crate::nn::{ParamId, Storage};
use crate::plan::CpuEngine;

/// The device on which a run computes.
#[derive(Config, Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Device {
    /// The CPU.
    Cpu,
    /// A GPU with CUDA.
    Cuda,
}

/// The precision of a run.
#[derive(Config, Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precision {
    /// Single precision, except that small models are computed in double precision and rounded once a step.
    Auto,
    /// 32 bits.
    Single,
    /// 64 bits in weights, gradients, optimiser and files, on the CPU in about twice the time. Nothing is rounded to 32.
    Double,
}

/// Up to this many multiplications a sequence (positions times parameters), [`Precision::Auto`] is double.
const SMALL: usize = 1 << 20;

impl Precision {
    /// The precision in which parameters and the optimiser's state are kept.
    pub fn storage(self) -> Storage {
        match self {
            Precision::Auto | Precision::Single => Storage::Single,
            Precision::Double => Storage::Double,
        }
    }

    /// Whether parameters in single precision are computed with in double.
    fn widens(self, graph: &Graph) -> bool {
        let parameters: usize = graph.params().iter().map(|param| param.rows * param.cols).sum();
        self == Precision::Auto && graph.seq().saturating_mul(parameters) <= SMALL
    }
}

/// The device, the precision and the number of CPU threads of a run. The result does not depend on the number of threads.
///
/// Why the precision matters: AdamW moves an entry by about its learning rate however small the gradient is, so where a gradient is
/// of the order of single precision's rounding, the entry goes this way or that; and while a memory forms, a run amplifies any
/// difference. In double precision a model repeats the reference runs of the paper's program.
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
    /// Threads of the CPU engine. At most one a core is started; a warning says so where there are more.
    pub threads: usize,
    /// Precision, on either device.
    pub precision: Precision,
}

impl Default for Compute {
    /// The CPU, with all its cores; [`Precision::Auto`].
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        Compute { device: Device::Cpu, threads, precision: Precision::Auto }
    }
}

impl Compute {
    /// The same on at most as many threads as the machine has cores, and at least one: more would only wait for each other.
    pub(crate) fn on_cores(self) -> Compute {
        Compute { threads: self.threads.clamp(1, Compute::default().threads), ..self }
    }

    /// What is said of more threads than cores; nothing where there are none too many.
    pub(crate) fn too_many_threads(self) -> Option<String> {
        let (asked, cores) = (self.threads, self.on_cores().threads);
        let text = || format!("threads: {asked}, but there are {cores} cores; {cores} threads are used");
        (asked > cores).then(text)
    }

    /// Bytes of the machine's memory that [`engine`](Self::engine) will hold: of matrices, of activations, and of rows that are alike in
    /// a batch of so many sequences; nothing for a GPU, which has its own.
    pub(crate) fn engine_bytes(
        self,
        graph: &Graph,
        request: &Request,
        trains: &dyn Fn(ParamId) -> bool,
        sequences: usize,
    ) -> [f64; 3] {
        let (single, double) = (CpuEngine::<f32>::bytes, CpuEngine::<f64>::bytes);
        let threads = self.on_cores().threads;
        match (self.device, self.precision) {
            (Device::Cuda, _) => [0.0; 3],
            (Device::Cpu, Precision::Double) => double(graph, request, trains, threads, sequences),
            (Device::Cpu, precision) if precision.widens(graph) => {
                let rounded =
                    graph.params().iter().filter(|param| !request.losses.is_empty() && trains(param.id));
                let rounded = rounded.map(|param| 4.0 * param.rows as f64 * param.cols as f64).sum::<f64>();
                let [matrices, activations, alike] = double(graph, request, trains, threads, sequences);
                [matrices + rounded, activations, alike]
            }
            (Device::Cpu, _) => single(graph, request, trains, threads, sequences),
        }
    }

    /// An engine for `graph` that computes what `request` asks for. Threads beyond the cores are not started, which is said once.
    ///
    /// # Errors
    /// If the device is not there, this build does not support it, or its memory does not hold one sequence.
    pub fn engine(
        self,
        graph: &Graph,
        request: &Request,
        trains: &dyn Fn(ParamId) -> bool,
    ) -> Result<AnyEngine> {
        static SAID: Once = Once::new();
        if let (Device::Cpu, Some(warning)) = (self.device, self.too_many_threads()) {
            SAID.call_once(|| crate::output::warn(warning));
        }
        let threads = self.on_cores().threads;
        Ok(match (self.device, self.precision) {
            (Device::Cpu, Precision::Double) => {
                AnyEngine::Double(Box::new(CpuEngine::new(graph, request, trains, threads)?))
            }
            (Device::Cpu, precision) if precision.widens(graph) => {
                let engine = CpuEngine::<f64>::new(graph, request, trains, threads)?;
                AnyEngine::Single(Box::new(Widened::new(engine, graph)))
            }
            (Device::Cpu, _) => AnyEngine::Single(Box::new(CpuEngine::new(graph, request, trains, threads)?)),
            (Device::Cuda, Precision::Double) => AnyEngine::Double(on_gpu(graph, request, trains)?),
            (Device::Cuda, precision) if precision.widens(graph) => {
                AnyEngine::Single(Box::new(Widened::new(on_gpu::<f64>(graph, request, trains)?, graph)))
            }
            (Device::Cuda, _) => AnyEngine::Single(on_gpu(graph, request, trains)?),
        })
    }

    /// An engine that keeps parameters and makes updates where it computes; `None` on the CPU, whose engine shares memory with them, and where
    /// the arithmetic is wider than the parameters.
    ///
    /// # Errors
    /// Those of [`engine`](Self::engine).
    pub(super) fn resident(
        self,
        graph: &Graph,
        request: &Request,
        trains: &dyn Fn(ParamId) -> bool,
    ) -> Result<Option<Box<dyn Resident>>> {
        Ok(match (self.device, self.precision) {
            (Device::Cpu, _) => None,
            (Device::Cuda, precision) if precision.widens(graph) => None,
            (Device::Cuda, precision) => Some(resident_on_gpu(precision.storage(), graph, request, trains)?),
        })
    }
}
