//! The dfdx engine as the judge of the other: on the CPU, or on a GPU where it is built with the feature `cuda`.
use ihead::engine::{EagerEngine, Engine, Request};
use ihead::graph::Graph;
#[cfg(not(feature = "cuda"))]
use ihead::internals::backend::Cpu as Gpu;
#[cfg(feature = "cuda")]
use ihead::internals::backend::Cuda as Gpu;
use ihead::internals::backend::{Cpu, EngineDevice, Scalar};
use ihead::internals::eager::refuse_custom;
use ihead::nn::ParamId;

/// The dfdx engine in single precision, which computes so many sequences at once. An operation of the tests' own runs on the CPU alone.
///
/// # Panics
/// If the graph has not what the request asks for.
pub fn single(
    graph: &Graph,
    request: &Request,
    trains: &dyn Fn(ParamId) -> bool,
    at_once: usize,
) -> Box<dyn Engine<f32>> {
    open(graph, request, trains, at_once)
}

/// The same in double precision.
///
/// # Panics
/// If the graph has not what the request asks for.
pub fn double(
    graph: &Graph,
    request: &Request,
    trains: &dyn Fn(ParamId) -> bool,
    at_once: usize,
) -> Box<dyn Engine<f64>> {
    open(graph, request, trains, at_once)
}

fn open<E: Scalar>(
    graph: &Graph,
    request: &Request,
    trains: &dyn Fn(ParamId) -> bool,
    at_once: usize,
) -> Box<dyn Engine<E>>
where
    Cpu: EngineDevice<E>,
    Gpu: EngineDevice<E>,
{
    thread_local! {
        static GPU: Gpu = Gpu::default();
    }
    if refuse_custom(graph).is_err() {
        return on(Cpu::default(), graph, request, trains, at_once);
    }
    on(GPU.with(Gpu::clone), graph, request, trains, at_once)
}

fn on<E: Scalar, Dev: EngineDevice<E>>(
    device: Dev,
    graph: &Graph,
    request: &Request,
    trains: &dyn Fn(ParamId) -> bool,
    at_once: usize,
) -> Box<dyn Engine<E>> {
    let engine = EagerEngine::new(device, graph, request, trains);
    Box::new(engine.expect("the graph has what is asked for").with_micro_batch(at_once))
}
