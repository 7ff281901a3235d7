//! What a run will hold in memory at most, before anything of it is there.
use std::fmt;

use crate::Result;
use crate::engine::{Request, RowSet};
use crate::graph::{Edits, Graph, Model, record_with};
use crate::nn::{ModuleExt, Params, Role, Storage};
use crate::train::optim::Optim;
use crate::train::{Compute, Loss, OnDivergence, Timeline};

/// The program itself, with the counts of the built-in text.
const PROGRAM: f64 = 9e6;

/// A thread: its stack, and its share of the allocator's.
const THREAD: f64 = 3e5;

/// Token, next token and mark of a position.
const POSITION: f64 = 12.0;

/// Batches of training that are there at once: drawn ahead, being drawn, in use, given back.
const BATCHES: f64 = 5.0;

/// Copies of a test batch: a program's own, and the run's.
const TEST_BATCHES: f64 = 2.0;

/// What the memory of a run follows from.
pub(crate) struct Needs<'a> {
    /// Tokens of a training sequence.
    pub seq: usize,
    /// Sequences of a training batch.
    pub batch: usize,
    /// Sequences, and tokens of each, of the fixed batches on which something is measured.
    pub sets: Vec<(usize, usize)>,
    /// Whether something is measured on the training batch.
    pub evaluates: bool,
    /// Sequences of `exp.npz`; 0 if it is not written.
    pub exp: usize,
    pub optim: &'a Optim,
    pub loss: &'a Loss,
    pub timeline: &'a Timeline,
    pub edits: &'a Edits,
    pub compute: Compute,
    pub on_divergence: OnDivergence,
    /// Whether checkpoints are written.
    pub keeps: bool,
}

/// What a run will hold in memory at most, by what it is for; in bytes. It is right within 30 % of what Linux finds
/// ([`peak`](crate::memory::peak)) for the models of this crate, which a test sees to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Estimate {
    /// Weights, and copies of them: those before the step, the initial ones.
    pub weights: f64,
    /// What the optimiser remembers.
    pub optimiser: f64,
    /// The engines' matrices: copies, products and gradients of weights.
    pub matrices: f64,
    /// What each thread holds of a sequence.
    pub activations: f64,
    /// Batches.
    pub batches: f64,
    /// What is there for a moment, the largest of it: gradients, a checkpoint being written, the arrays of `exp.npz`.
    pub moment: f64,
    /// Program and threads.
    pub program: f64,
}

impl Estimate {
    /// That of a run of `model`, whose values need not be there yet.
    ///
    /// # Errors
    /// If the model cannot be recorded, or the loss does not fit it.
    pub fn of(model: &impl Model, needs: &Needs<'_>) -> Result<Estimate> {
        let Needs { seq, compute, .. } = *needs;
        let width = match compute.precision.storage() {
            Storage::Single => 4.0,
            Storage::Double => 8.0,
        };
        let (mut all, mut trained) = (0.0, 0.0);
        let mut seen = std::collections::BTreeSet::new();
        for (_, role, tensor) in model.tensors() {
            if seen.insert(tensor.id()) {
                let bytes = width * tensor.dims().iter().map(|n| *n as f64).product::<f64>();
                all += bytes;
                trained += if role == Role::Param && tensor.trains() { bytes } else { 0.0 };
            }
        }
        let graph = record_with(model, seq, needs.edits)?;
        let (params, loss) = (Params::of(model), needs.loss.resolve(&graph)?);
        let moments = needs.optim.moments() as f64;
        let initial = if needs.timeline.needs_initial() { all } else { 0.0 };
        let undo = if needs.on_divergence == OnDivergence::Stop { all } else { 0.0 };
        let mut engines = vec![compute.engine_bytes(&graph, loss.request(), &|id| params.trains(id))];
        if needs.evaluates {
            engines.push(evaluation(&graph, compute));
        }
        for (_, seq) in &needs.sets {
            engines.push(evaluation(&record_with(model, *seq, needs.edits)?, compute));
        }
        let positions = |(sequences, seq): (usize, usize)| POSITION * sequences as f64 * seq as f64;
        let sets = needs.sets.iter().map(|set| TEST_BATCHES * positions(*set)).sum::<f64>();
        let held: f64 = engines.iter().flatten().sum();
        // the engines of training are gone when the arrays are made, by one of their own
        let arrays = match needs.exp {
            0 => 0.0,
            n => exp(&graph, n) + evaluation(&graph, compute).iter().sum::<f64>() - held,
        };
        // its tensors, and the bytes of the file
        let checkpoint = if needs.keeps { 2.0 * (all + initial + moments * trained) } else { 0.0 };
        Ok(Estimate {
            weights: all + undo + initial,
            optimiser: moments * trained,
            matrices: engines.iter().map(|[matrices, _]| matrices).sum(),
            activations: engines.iter().map(|[_, activations]| activations).sum(),
            batches: BATCHES * positions((needs.batch, seq)) + sets + positions((needs.exp, seq)),
            moment: trained.max(checkpoint).max(arrays),
            program: PROGRAM + THREAD * compute.threads as f64,
        })
    }

    /// All of it.
    pub fn bytes(&self) -> f64 {
        let Estimate { weights, optimiser, matrices, activations, batches, moment, program } = *self;
        weights + optimiser + matrices + activations + batches + moment + program
    }

    /// Refuses a run that the machine cannot hold, by the setting that has most to do with it.
    ///
    /// # Errors
    /// If the machine, or what the system gives to this process, is smaller.
    pub fn check(&self, cause: impl Fn(Part) -> Cause) -> Result<()> {
        let parts = [
            (self.weights + self.optimiser + self.matrices, Part::Weights),
            (self.activations, Part::Sequence),
            (self.batches, Part::Batches),
        ];
        let largest = parts.into_iter().max_by(|(a, _), (b, _)| a.total_cmp(b));
        let part = largest.map_or(Part::Weights, |(_, part)| part);
        let Cause { key, value } = cause(part);
        crate::memory::check_about(&key, &format!("{value}: the run ({self})"), self.bytes())
    }
}

/// The setting that makes a run large.
pub(crate) struct Cause {
    /// Its key.
    pub key: String,
    /// Its value in words.
    pub value: String,
}

impl Cause {
    /// This key, with this value.
    pub fn new(key: &str, value: impl Into<String>) -> Cause {
        Cause { key: key.into(), value: value.into() }
    }
}

/// What takes the most memory of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Weights and what is as large as they are.
    Weights,
    /// What each thread holds of a sequence.
    Sequence,
    /// Batches.
    Batches,
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Estimate { weights, optimiser, matrices, activations, batches, moment, program } = *self;
        let parts = [
            ("weights", weights),
            ("optimiser", optimiser),
            ("matrices of the engines", matrices),
            ("activations", activations),
            ("batches", batches),
            ("gradients or files being written", moment),
            ("the program", program),
        ];
        let said: Vec<String> =
            parts.into_iter().map(|(name, bytes)| format!("{name} {}", crate::memory::size(bytes))).collect();
        f.write_str(&said.join(", "))
    }
}

/// An engine that shows logits and patterns.
fn evaluation(graph: &Graph, compute: Compute) -> [f64; 2] {
    let mut request = Request::default().and_read(graph.logits(), RowSet::All);
    for node in graph.sites().values().filter(|node| graph.nodes()[node.index()].op.is_pattern()) {
        request = request.and_read(*node, RowSet::All);
    }
    compute.engine_bytes(graph, &request, &|_| false)
}

/// The largest array of `exp.npz` for so many sequences: as the engine shows it, and as it is written.
fn exp(graph: &Graph, sequences: usize) -> f64 {
    let patterns =
        graph.nodes().iter().filter(|node| node.op.is_pattern()).map(|node| node.cols * graph.seq());
    let widest = patterns.chain([graph.vocab()]).max().unwrap_or(0);
    2.0 * 4.0 * sequences as f64 * graph.seq() as f64 * widest as f64
}
