//! The CPU engine: what it holds, and how it is made and asked.
use std::sync::Mutex;

use rayon_core::{ThreadPool, ThreadPoolBuilder};

use crate::Error;
use crate::data::Batch;
use crate::engine::{Engine, Observer, ParamSource, Patches, Request, RowLists, Shares, totals};
use crate::graph::Graph;
use crate::kernels::{Element, Level};
use crate::nn::ParamId;
use crate::ops::check_gradient_lengths;

use super::compile::compile;
use super::exec::{Plan, Sums};
use super::lower::Way;
use super::pairs::{self, Pairs};
use super::step::{CHUNKS, Step};
use super::text::Text;
use super::turns;
use super::weights::{self, Weights};
use super::workspace::{self, Workspace};

/// The CPU engine.
///
/// The result does not depend on the number of threads, to the last bit.
pub struct CpuEngine<E> {
    graph: Graph,
    pub(super) plan: Plan,
    pub(super) weights: Weights<E>,
    pub(super) pool: ThreadPool,
    pub(super) workspaces: Vec<Mutex<Workspace<E>>>,
    pub(super) spare: Mutex<Vec<Sums<E>>>,
    pairs: Pairs<E>,
    total: Sums<E>,
    /// Of the sums that threads make: no rows where all add to one.
    pub(super) leaf_shapes: Vec<(usize, usize)>,
    request: Request,
    way: Way,
    pub(super) patches: Patches<E>,
    /// The value of each term of the loss in the last run.
    pub(super) terms: Vec<f64>,
    pub(super) seq: usize,
    pub(super) vocab: usize,
    pub(super) all: Vec<u32>,
    pub(super) zeros: Vec<u32>,
}

/// More threads than any machine of this kind has cores would take minutes to start.
const MOST_THREADS: usize = 1024;

impl<E: Element> CpuEngine<E> {
    /// An engine for `graph` that computes what `request` asks for; `trains` tells which parameters get gradients. It starts as many
    /// threads as it is told to (0 is one), also more than there are cores.
    ///
    /// # Errors
    /// If the request asks for an activation that the graph does not have, or for a penalty of a pattern; if the threads
    /// cannot be started, or are more than 1024; if `IHEAD_SIMD` asks for instructions that are not there.
    pub fn new(
        graph: &Graph,
        request: &Request,
        trains: &dyn Fn(ParamId) -> bool,
        threads: usize,
    ) -> Result<Self, Error> {
        Self::lowered(graph, request, trains, threads, Way::Cheapest)
    }

    /// The same without any rewrite, on one thread: to bisect a difference between the engines. It computes what is read whether or not
    /// somebody looks, so that all positions must be given to it.
    #[doc(hidden)]
    pub fn plain(graph: &Graph, request: &Request, trains: &dyn Fn(ParamId) -> bool) -> Result<Self, Error> {
        Self::lowered(graph, request, trains, 1, Way::Plain)
    }

    fn lowered(
        graph: &Graph,
        request: &Request,
        trains: &dyn Fn(ParamId) -> bool,
        threads: usize,
        way: Way,
    ) -> Result<Self, Error> {
        request.check_graph(graph)?;
        Level::from_env()?;
        if threads > MOST_THREADS {
            return Err(Error::value("threads", threads, format!("at most {MOST_THREADS}")));
        }
        let (graph, program) = compile(graph, request, trains, way);
        let weights = Weights::new(&graph, &program, trains);
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .build()
            .map_err(|e| Error::device("cpu", format!("cannot start {threads} threads: {e}")))?;
        let seq = graph.seq();
        let workspaces =
            (0..pool.current_num_threads()).map(|_| Mutex::new(Workspace::new(&program, seq))).collect();
        let leaf_shapes =
            program.leaves.iter().map(|w| &graph.weights()[w.index()]).map(|n| (n.rows, n.cols));
        let mut leaf_shapes: Vec<_> = leaf_shapes.collect();
        let terms = request.losses.len();
        let plan = Plan::new(program, &graph);
        let of_total = leaf_shapes.clone();
        let in_turn = leaf_shapes.iter_mut().zip(&plan.in_turn);
        in_turn.filter(|(_, in_turn)| **in_turn).for_each(|(shape, _)| *shape = (0, 0));
        // together, they fill large pages
        let mut shapes = vec![&leaf_shapes[..]; pool.current_num_threads().min(CHUNKS)];
        shapes.push(&of_total);
        let mut spare = Sums::together(&shapes, terms);
        let total = spare.pop().unwrap_or_else(Sums::empty);
        let patches = Patches::new(&graph);
        let (seq, vocab) = (graph.seq(), graph.vocab());
        Ok(CpuEngine {
            plan,
            graph,
            weights,
            pool,
            workspaces,
            spare: Mutex::new(spare),
            pairs: Pairs::default(),
            total,
            leaf_shapes,
            request: request.clone(),
            way,
            patches,
            terms: vec![f64::NAN; terms],
            seq,
            vocab,
            all: (0..seq as u32).collect(),
            zeros: vec![0; seq],
        })
    }

    /// Bytes that such an engine will hold, before it is made: its matrices, with the sums that threads add up; the activations of
    /// its threads; and about what it holds of rows that are alike in a batch of so many sequences.
    pub(crate) fn bytes(
        graph: &Graph,
        request: &Request,
        trains: &dyn Fn(ParamId) -> bool,
        threads: usize,
        sequences: usize,
    ) -> [f64; 3] {
        let (graph, program) = compile(graph, request, trains, Way::Cheapest);
        let held = weights::elements(&graph, &program, trains);
        let [in_turn, by_thread] = turns::elements(&program, &graph);
        let threads = threads.max(1) as f64;
        // the total, and of each thread the one that it fills
        let sums = in_turn + (1.0 + threads) * by_thread;
        let of_pairs = pairs::elements::<E>(&program.front, (graph.seq(), graph.vocab()), sequences);
        let of_threads = threads * workspace::elements(&program, graph.seq());
        let elements = [held + sums, of_threads, of_pairs];
        elements.map(|elements| elements * size_of::<E>() as f64)
    }

    /// The lowered program, a line an instruction: what the passes have made of the graph.
    ///
    /// `v3 [all, 64] @1 d0 = ...` is a value at all positions, 64 wide, in buffer 1, whose gradient is in buffer 0 of the gradients.
    pub fn program(&self) -> String {
        Text { graph: &self.graph, program: &self.plan.program }.to_string()
    }
}

impl<E> crate::sealed::Sealed for CpuEngine<E> {}

impl<E: Element> CpuEngine<E> {
    fn run_checked(
        &mut self,
        params: &dyn ParamSource<E>,
        batch: &Batch,
        rows: &[RowLists],
        observer: Option<&Observer<'_, E>>,
    ) -> Result<f64, Error> {
        self.patches.check(batch.batch)?;
        self.weights.check(params)?;
        self.weights.load(params, observer.is_some());
        let positions = self.request.loss_positions(batch, rows);
        let shares = Shares::new(&self.request.losses, &positions);
        let mut total = std::mem::replace(&mut self.total, Sums::empty());
        total.clear();
        let mut pairs = std::mem::take(&mut self.pairs);
        let step = Step { engine: self, batch, rows, shares: &shares, observer };
        step.run(&mut total, &mut pairs);
        self.pairs = pairs;
        self.total = total;
        self.weights.backward(&self.plan.program.leaves, &mut self.total.leaves);
        check_gradient_lengths(&self.graph)?;
        self.terms.copy_from_slice(&self.total.losses);
        Ok(totals(&self.request.losses, &positions, &mut self.terms))
    }
}

impl<E: Element> Engine<E> for CpuEngine<E> {
    fn run(
        &mut self,
        params: &dyn ParamSource<E>,
        batch: &Batch,
        rows: &[RowLists],
        observer: &Observer<'_, E>,
    ) -> Result<f64, Error> {
        self.request.check((self.seq, self.vocab), batch, rows)?;
        self.run_checked(params, batch, rows, Some(observer))
    }

    fn differentiate(
        &mut self,
        params: &dyn ParamSource<E>,
        batch: &Batch,
        rows: &[RowLists],
    ) -> Result<f64, Error> {
        let apart = self.request.without_reads();
        let request = if self.way == Way::Plain { &self.request } else { &apart };
        request.check((self.seq, self.vocab), batch, rows)?;
        // all instructions are for what is read then
        if request.losses.is_empty() { Ok(f64::NAN) } else { self.run_checked(params, batch, rows, None) }
    }

    fn terms(&self) -> &[f64] {
        &self.terms
    }

    fn patch(&mut self, site: &str, shape: &[usize], values: &[E]) -> Result<(), Error> {
        self.patches.put(site, shape, values)
    }

    fn gradient(&self, param: ParamId) -> Option<&[E]> {
        self.weights.gradient(param, &self.total.leaves)
    }
}
