//! What a run will hold in memory at most, before anything of it is there.
use std::fmt;

use crate::Result;
use crate::engine::{Request, RowSet};
use crate::graph::{AnyModel, Edits, Graph, NodeId};
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
    /// Whether rules change the gradients.
    pub changes_gradients: bool,
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
    /// What the engines hold of rows that are alike in a batch.
    pub alike: f64,
    /// Batches.
    pub batches: f64,
    /// What is there for a moment, the largest of it: gradients and copies of one parameter, a checkpoint being written, the
    /// arrays of `exp.npz`.
    pub moment: f64,
    /// Program and threads.
    pub program: f64,
}

impl Estimate {
    /// That of a run of `model`, whose values need not be there yet.
    ///
    /// # Errors
    /// If the model cannot be recorded, or the loss does not fit it.
    pub fn of(model: &dyn AnyModel, needs: &Needs<'_>) -> Result<Estimate> {
        let Needs { seq, compute, .. } = *needs;
        let width = match compute.precision.storage() {
            Storage::Single => 4.0,
            Storage::Double => 8.0,
        };
        let (mut all, mut trained, mut largest) = (0.0, 0.0, 0.0_f64);
        let mut seen = std::collections::BTreeSet::new();
        for (_, role, tensor) in model.tensors() {
            if seen.insert(tensor.id()) {
                let bytes = width * tensor.dims().iter().map(|n| *n as f64).product::<f64>();
                all += bytes;
                let trains = if role == Role::Param && tensor.trains() { bytes } else { 0.0 };
                (trained, largest) = (trained + trains, largest.max(trains));
            }
        }
        let graph = model.record_edited(seq, needs.edits)?;
        let (params, loss) = (Params::of(model), needs.loss.resolve(&graph)?);
        let moments = needs.optim.moments() as f64;
        // a rule of the user's own may fail in a step: all that was before is kept
        let own = needs.optim.has_own();
        let copies = if own { 2.0 } else { 1.0 };
        let initial = if needs.timeline.needs_initial() { all } else { 0.0 };
        let undo = match own || needs.on_divergence == OnDivergence::Stop {
            true if needs.timeline.edits_weights() => all,
            true => trained,
            false => 0.0,
        };
        let reads = if needs.evaluates { measured(&graph) } else { vec![] };
        let request = Request { reads, ..loss.request().clone() };
        let mut engines = vec![compute.engine_bytes(&graph, &request, &|id| params.trains(id), needs.batch)];
        for (sequences, seq) in &needs.sets {
            engines.push(evaluation(&model.record_edited(*seq, needs.edits)?, compute, *sequences));
        }
        let positions = |(sequences, seq): (usize, usize)| POSITION * sequences as f64 * seq as f64;
        let sets = needs.sets.iter().map(|set| TEST_BATCHES * positions(*set)).sum::<f64>();
        let held: f64 = engines.iter().flatten().sum();
        // the engines of training are gone when the arrays are made, by one of their own
        let arrays = match needs.exp {
            0 => 0.0,
            n => exp(&graph, n) + evaluation(&graph, compute, n).iter().sum::<f64>() - held,
        };
        // gradients, those that rules get and make of them, and what a rule of the user's own gets of the largest parameter
        let changed = if needs.changes_gradients { (8.0 / width + 1.0) * trained } else { 0.0 };
        let step = trained + changed + 8.0 / width * needs.optim.doubles() as f64 * largest;
        // its tensors, and the bytes of the file
        let checkpoint = if needs.keeps { 2.0 * (all + initial + moments * trained) } else { 0.0 };
        Ok(Estimate {
            weights: all + undo + initial,
            optimiser: copies * moments * trained,
            matrices: engines.iter().map(|[matrices, ..]| matrices).sum(),
            activations: engines.iter().map(|[_, activations, _]| activations).sum(),
            alike: engines.iter().map(|[.., alike]| alike).sum(),
            batches: BATCHES * positions((needs.batch, seq)) + sets + positions((needs.exp, seq)),
            moment: step.max(checkpoint).max(arrays),
            program: PROGRAM + THREAD * compute.on_cores().threads as f64,
        })
    }

    /// All of it.
    pub fn bytes(&self) -> f64 {
        let Estimate { weights, optimiser, matrices, activations, alike, batches, moment, program } = *self;
        weights + optimiser + matrices + activations + alike + batches + moment + program
    }

    /// Refuses a run that the machine cannot hold, by the setting that has most to do with it.
    ///
    /// # Errors
    /// If the machine, or what the system gives to this process, is smaller.
    pub fn check(&self, cause: impl Fn(Part) -> Cause) -> Result<()> {
        let parts = [
            (self.weights + self.optimiser + self.matrices, Part::Weights),
            (self.activations + self.alike, Part::Sequence),
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
        let Estimate { weights, optimiser, matrices, activations, alike, batches, moment, program } = *self;
        let parts = [
            ("weights", weights),
            ("optimiser", optimiser),
            ("matrices of the engines", matrices),
            ("activations", activations + alike),
            ("batches", batches),
            ("gradients or files being written", moment),
            ("the program", program),
        ];
        let said: Vec<String> =
            parts.into_iter().map(|(name, bytes)| format!("{name} {}", crate::memory::size(bytes))).collect();
        f.write_str(&said.join(", "))
    }
}

/// What metrics are taken to read: logits and patterns.
fn measured(graph: &Graph) -> Vec<(NodeId, RowSet)> {
    let patterns = graph.sites().values().filter(|node| graph.nodes()[node.index()].op.is_pattern());
    std::iter::once(graph.logits()).chain(patterns.copied()).map(|node| (node, RowSet::All)).collect()
}

/// An engine that shows them.
fn evaluation(graph: &Graph, compute: Compute, sequences: usize) -> [f64; 3] {
    compute.engine_bytes(graph, &Request::reads(measured(graph)), &|_| false, sequences)
}

/// The largest array of `exp.npz` for so many sequences: as the engine shows it, and as it is written.
fn exp(graph: &Graph, sequences: usize) -> f64 {
    let patterns =
        graph.nodes().iter().filter(|node| node.op.is_pattern()).map(|node| node.cols * graph.seq());
    let widest = patterns.chain([graph.vocab()]).max().unwrap_or(0);
    2.0 * 4.0 * sequences as f64 * graph.seq() as f64 * widest as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config as _;
    use crate::model::{Full, FullArgs};
    use crate::probe::Select;
    use crate::train::optim::{AdamW, Sgd, Update, UpdateRule};
    use crate::train::{Device, Precision};

    const SEQ: usize = 8;

    /// A rule that remembers two numbers of each.
    struct Kept;

    impl UpdateRule for Kept {
        fn words(&self) -> String {
            "kept".into()
        }

        fn moments(&self) -> &'static [&'static str] {
            &["mean", "square"]
        }

        fn update(&self, _: Update<'_>) -> Result<()> {
            Ok(())
        }
    }

    fn model() -> Full<usize, usize, usize> {
        let sizes = FullArgs { max_length: SEQ, dim: 16, n_heads: 2, n_layers: 1, ..FullArgs::defaults() };
        Full::new(11, &sizes).unwrap()
    }

    /// The estimate of a run with what `change` changes, and the bytes of all its weights.
    fn estimate(change: impl FnOnce(&mut Needs<'_>)) -> (Estimate, f64) {
        with(&AdamW::new(0.1).into(), &Timeline::default(), change)
    }

    /// The same with this optimiser and timeline.
    fn with(optim: &Optim, timeline: &Timeline, change: impl FnOnce(&mut Needs<'_>)) -> (Estimate, f64) {
        let (loss, edits) = (Loss::next_token(), Edits::default());
        let compute = Compute { device: Device::Cpu, threads: 1, precision: Precision::Single };
        let mut needs = Needs {
            seq: SEQ,
            batch: 10,
            sets: vec![],
            evaluates: false,
            exp: 0,
            optim,
            changes_gradients: false,
            loss: &loss,
            timeline,
            edits: &edits,
            compute,
            on_divergence: OnDivergence::Continue,
            keeps: false,
        };
        change(&mut needs);
        let model = model();
        let numbers: usize = model.tensors().iter().map(|(.., p)| p.dims().iter().product::<usize>()).sum();
        (Estimate::of(&model, &needs).unwrap(), 4.0 * numbers as f64)
    }

    #[test]
    fn weights_are_there_once_and_again_for_what_remembers_them() {
        let (plain, all) = estimate(|_| {});
        assert_eq!((plain.weights, plain.optimiser, plain.moment), (all, 2.0 * all, all));
        let sgd = Optim::from(Sgd::new(0.1));
        assert_eq!(with(&sgd, &Timeline::default(), |_| {}).0.optimiser, 0.0);
        // moments are kept twice, in case that a rule of one's own fails in a step; of the largest parameter, such a rule gets the
        // values, the gradient and the moments as doubles
        let (own, largest) = (Optim::by(0.1, Kept), 4.0 * (16 * 64) as f64);
        let (kept, _) = with(&own, &Timeline::default(), |needs| needs.keeps = true);
        let (own, _) = with(&own, &Timeline::default(), |_| {});
        assert_eq!((own.optimiser, own.moment), (4.0 * all, all + 4.0 * 2.0 * largest));
        // a checkpoint has them once
        assert_eq!(kept.moment, 2.0 * (all + 2.0 * all));
        // rules get all gradients as doubles, and theirs are rounded
        assert_eq!(estimate(|needs| needs.changes_gradients = true).0.moment, all + (2.0 + 1.0) * all);
        assert_eq!(estimate(|needs| needs.on_divergence = OnDivergence::Stop).0.weights, 2.0 * all);
        let initial = "1: initial(output.weight)".parse().unwrap();
        let adamw = AdamW::new(0.1).into();
        let (again, _) = with(&adamw, &initial, |_| {});
        assert_eq!(again.weights, 2.0 * all);
        // a checkpoint has weights and what the optimiser remembers, as tensors and as the bytes of the file
        assert_eq!(estimate(|needs| needs.keeps = true).0.moment, 2.0 * 3.0 * all);
        let (kept, _) = with(&adamw, &initial, |needs| needs.keeps = true);
        assert_eq!(kept.moment, 2.0 * 4.0 * all);
        let (double, _) = estimate(|needs| needs.compute.precision = Precision::Double);
        assert_eq!((double.weights, double.optimiser), (2.0 * all, 4.0 * all));
    }

    #[test]
    fn batches_are_counted_by_their_positions() {
        // token, next token and mark: 12 bytes; five batches of training at once, each test batch twice
        let training = 5.0 * 12.0 * (10 * SEQ) as f64;
        assert_eq!(estimate(|_| {}).0.batches, training);
        let (tested, _) = estimate(|needs| needs.sets = vec![(3, 4), (2, SEQ)]);
        assert_eq!(tested.batches, training + 2.0 * 12.0 * (3 * 4 + 2 * SEQ) as f64);
        assert_eq!(estimate(|needs| needs.exp = 7).0.batches, training + 12.0 * (7 * SEQ) as f64);
    }

    #[test]
    fn each_engine_and_thread_has_its_share() {
        let (plain, _) = estimate(|_| {});
        assert_eq!(plain.program, PROGRAM + THREAD);
        // a step of all positions has all that is measured of it, one of some positions has not
        let (evaluated, _) = estimate(|needs| needs.evaluates = true);
        let of = |it: &Estimate| (it.activations, it.matrices);
        assert_eq!(of(&evaluated), of(&plain));
        let marked: &Loss = Box::leak(Box::new(Loss::next_token().over(Select::marks(1..))));
        let (marked, evaluated) = [false, true]
            .map(|evaluates| estimate(|needs| (needs.loss, needs.evaluates) = (marked, evaluates)).0)
            .into();
        assert!(evaluated.activations > marked.activations);
        let (tested, _) = estimate(|needs| needs.sets = vec![(3, SEQ)]);
        assert!(tested.activations > plain.activations && tested.matrices > plain.matrices);
        // of two sequences, few rows are alike
        assert!(plain.alike > 0.0 && estimate(|needs| needs.batch = 2).0.alike == 0.0);
        let (two, _) = estimate(|needs| needs.compute.threads = 2);
        assert_eq!((two.program, two.activations), (PROGRAM + 2.0 * THREAD, 2.0 * plain.activations));
        let parts =
            [plain.weights, plain.optimiser, plain.matrices, plain.activations, plain.alike, plain.batches];
        assert_eq!(plain.bytes(), parts.iter().sum::<f64>() + plain.moment + plain.program);
    }

    /// The largest array of `exp.npz`: here the patterns of two heads, 16 wide at each position, as 32 bits and twice.
    #[test]
    fn what_is_written_at_the_end_counts_where_it_is_largest() {
        let graph = model().record_edited(SEQ, &Edits::default()).unwrap();
        assert_eq!(exp(&graph, 100), 2.0 * 4.0 * (100 * SEQ * 2 * SEQ) as f64);
        let (plain, all) = estimate(|_| {});
        assert_eq!(estimate(|needs| needs.exp = 1).0.moment, all);
        let (large, _) = estimate(|needs| needs.exp = 100_000);
        let engines = plain.matrices + plain.activations;
        let least = exp(&graph, 100_000) - engines;
        assert!(large.moment > least && large.moment < least + 2.0 * engines, "{} {least}", large.moment);
    }

    #[test]
    fn the_setting_is_named_that_makes_a_run_too_large() {
        let refused = |estimate: Estimate| {
            let cause = |part| Cause::new(&format!("{part:?}"), "its value");
            estimate.check(cause).unwrap_err().to_string()
        };
        let most = 1e30;
        let of_part = |of: fn(&mut Estimate) -> &mut f64| {
            let mut estimate =
                Estimate { weights: 3.0, activations: 2.0, batches: 2.0, ..Estimate::default() };
            *of(&mut estimate) = most;
            refused(estimate)
        };
        assert!(
            of_part(|e| &mut e.weights)
                .starts_with("Weights: its value: the run (weights 1e18 TB, optimiser 0.0 MB, ")
        );
        assert!(
            of_part(|e| &mut e.optimiser).starts_with("Weights: ")
                && of_part(|e| &mut e.matrices).starts_with("Weights: ")
        );
        assert!(
            of_part(|e| &mut e.activations).starts_with("Sequence: ")
                && of_part(|e| &mut e.batches).starts_with("Batches: ")
        );
        let together =
            Estimate { weights: most, optimiser: most, batches: 1.5 * most, ..Estimate::default() };
        assert!(refused(together).starts_with("Weights: "));
        assert!(Estimate::default().check(|_| Cause::new("", "")).is_ok());
    }
}
