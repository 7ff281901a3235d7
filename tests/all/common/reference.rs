//! The dfdx engine as the judge of the other: on the CPU, or on a GPU where the tests are built with the feature `cuda`.
use ihead::engine::{EagerEngine, Engine, Request};
use ihead::graph::Graph;
use ihead::internals::backend::{Cpu, EngineDevice, Scalar};
#[cfg(feature = "cuda")]
use ihead::internals::{
    backend::{Cuda, DeviceKind},
    eager::open,
};
use ihead::nn::ParamId;

/// The dfdx engine, which computes so many sequences at once. An operation of the tests' own runs on the CPU alone.
#[cfg(not(feature = "cuda"))]
pub fn reference<E: Scalar>(
    graph: &Graph,
    request: &Request,
    trains: &dyn Fn(ParamId) -> bool,
    at_once: usize,
) -> Box<dyn Engine<E>>
where
    Cpu: EngineDevice<E>,
{
    on(Cpu::default(), graph, request, trains, at_once)
}

/// The dfdx engine, which computes so many sequences at once. An operation of the tests' own runs on the CPU alone.
#[cfg(feature = "cuda")]
pub fn reference<E: Scalar>(
    graph: &Graph,
    request: &Request,
    trains: &dyn Fn(ParamId) -> bool,
    at_once: usize,
) -> Box<dyn Engine<E>>
where
    Cpu: EngineDevice<E>,
    Cuda: EngineDevice<E>,
{
    thread_local! {
        static GPU: Cuda = Cuda::default();
    }
    let refused = open::<E>(DeviceKind::Cuda, graph, request, trains).err().map(|e| e.to_string());
    if refused.is_some_and(|error| error.contains("runs on the CPU alone")) {
        return on(Cpu::default(), graph, request, trains, at_once);
    }
    on(GPU.with(Cuda::clone), graph, request, trains, at_once)
}

fn on<E: Scalar, Dev: EngineDevice<E>>(
    device: Dev,
    graph: &Graph,
    request: &Request,
    trains: &dyn Fn(ParamId) -> bool,
    at_once: usize,
) -> Box<dyn Engine<E>> {
    Box::new(EagerEngine::new(device, graph, request, trains).unwrap().with_micro_batch(at_once))
}
