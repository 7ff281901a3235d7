//! Numerics under stress: sizes of one, scores of 1e4, weights below the least normal number, learning rates to 1e6.
//! (That memory does not grow over 20,000 steps is in `tests/allocations.rs`, which counts what all threads hold.)
mod denormals;
mod rates;
mod scores;
mod sizes;

use ihead::data::{Batch, NumpyRng};
use ihead::engine::{CpuEngine, Engine, Request, RowLists, RowSet, ignore};
use ihead::graph::{Model, Normaliser, record};
use ihead::internals::kernels::Element;
use ihead::nn::{ModuleExt, Params};

use crate::common::{fd::Values, recurring};

/// All ways from scores to weights.
const NORMALISERS: [Normaliser; 7] = [
    Normaliser::Softmax,
    Normaliser::SoftmaxOffByOne,
    Normaliser::Relu,
    Normaliser::MeanRelu,
    Normaliser::Sigmoid,
    Normaliser::Linear,
    Normaliser::MeanLinear,
];

/// Random numbers below a bound, the same at every run.
struct Draw(NumpyRng);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound as u32) as usize
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 1
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// Sequences in which tokens recur, with some positions marked.
fn batch(vocab: usize, seq: usize, sequences: usize) -> Batch {
    recurring(vocab, seq, sequences, |at| at % 2 == 0)
}

/// The loss of a batch and the gradient of each parameter; a gradient that is left out is zero.
struct Left {
    loss: f64,
    gradients: Vec<(String, Vec<f64>)>,
}

impl Left {
    fn is_finite(&self) -> bool {
        self.loss.is_finite() && self.gradients.iter().all(|(_, g)| g.iter().all(|g| g.is_finite()))
    }
}

/// Changes the values of each parameter by its name.
fn change(model: &mut impl Model, change: impl Fn(&str, &mut Vec<f32>)) {
    model.visit_mut("", &mut |name, _, tensor| {
        let mut values = tensor.values();
        change(name, &mut values);
        tensor.write(&values).unwrap();
    });
}

fn run<E: Element>(engine: &mut dyn Engine<E>, model: &impl Model, batch: &Batch) -> Left
where
    Values: ihead::engine::ParamSource<E>,
{
    let lists = [RowLists::select(batch, |_, mark| mark >= 1)];
    let loss = engine.run(&Values::of(model), batch, &lists, &ignore).unwrap();
    let gradients = model.tensors().into_iter().map(|(name, _, param)| {
        let elements = param.dims().iter().product();
        let gradient = engine.gradient(param.id());
        (name, gradient.map_or(vec![0.0; elements], |g| g.iter().map(|g| g.to_f64()).collect()))
    });
    Left { loss, gradients: gradients.collect() }
}

/// What the dfdx engine in double precision leaves, and the CPU engine in double and in single precision.
fn all_engines(model: &impl Model, batch: &Batch, rows: RowSet) -> [Left; 3] {
    let (graph, request, params) =
        (record(model, batch.seq).unwrap(), Request::loss(rows), Params::of(model));
    let trains = |id| params.trains(id);
    let mut eager = ihead_reference::double(&graph, &request, &trains, 4);
    let mut double = CpuEngine::<f64>::new(&graph, &request, &trains, 1).unwrap();
    let mut single = CpuEngine::<f32>::new(&graph, &request, &trains, 2).unwrap();
    [run(&mut *eager, model, batch), run(&mut double, model, batch), run(&mut single, model, batch)]
}

/// Asserts that `found` is as `expected`: the loss, and each gradient beside the largest entry of its tensor, which
/// counts as at least `unit`.
#[track_caller]
fn assert_same(expected: &Left, found: &Left, tolerance: f64, unit: f64, what: &str) {
    assert!(expected.is_finite() && found.is_finite(), "{what}: {} and {}", expected.loss, found.loss);
    let off = (expected.loss - found.loss).abs() / expected.loss.abs().max(1.0);
    assert!(off <= tolerance, "{what}: loss {} and {}", expected.loss, found.loss);
    for ((name, expected), (_, found)) in expected.gradients.iter().zip(&found.gradients) {
        let largest = expected.iter().fold(unit, |most, g| g.abs().max(most));
        let off = expected.iter().zip(found).fold(0.0_f64, |most, (e, f)| (e - f).abs().max(most));
        assert!(off <= tolerance * largest, "{what}: gradient of {name}: {expected:?} and {found:?}");
    }
}
