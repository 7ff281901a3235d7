//! A batch over threads, summed in a fixed order.
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Error;
use crate::data::Batch;
use crate::engine::{Engine, Observer, ParamSource, Patches, Request, RowLists, Shares, totals};
use crate::graph::Graph;
use crate::kernels::{Element, Level};
use crate::nn::ParamId;

use super::exec::{Plan, Sums};
use super::instr::Frame;
use super::lower::{Way, lower};
use super::text::Text;
use super::turns::{self, Add, Turns};
use super::weights::{self, Matrix, Weights};
use super::workspace::{self, Sequence, Workspace};

/// A batch is cut into this many groups of sequences, whatever the number of threads; their sums are added in order. Where sequences
/// add to one sum in turn, each is a group of its own.
const CHUNKS: usize = 16;

/// The CPU engine.
///
/// The result does not depend on the number of threads, to the last bit.
pub struct CpuEngine<E> {
    graph: Graph,
    plan: Plan,
    weights: Weights<E>,
    pool: rayon::ThreadPool,
    workspaces: Vec<Mutex<Workspace<E>>>,
    spare: Mutex<Vec<Sums<E>>>,
    total: Sums<E>,
    /// Of the sums that threads make: no rows where all add to one.
    leaf_shapes: Vec<(usize, usize)>,
    request: Request,
    patches: Patches<E>,
    /// The value of each term of the loss in the last run.
    terms: Vec<f64>,
    seq: usize,
    vocab: usize,
    all: Vec<u32>,
    zeros: Vec<u32>,
}

/// The total so far, and sums of chunks that came before their turn.
struct Merging<'a, E> {
    total: &'a mut Sums<E>,
    next: usize,
    early: BTreeMap<usize, Sums<E>>,
}

impl<E: Element> CpuEngine<E> {
    /// An engine for `graph` that computes what `request` asks for; `trains` tells which parameters get gradients.
    ///
    /// # Errors
    /// If the request asks for an activation that the graph does not have, or for a penalty of a pattern; if the threads
    /// cannot be started; if `IHEAD_SIMD` asks for instructions that are not there.
    pub fn new(
        graph: &Graph,
        request: &Request,
        trains: &dyn Fn(ParamId) -> bool,
        threads: usize,
    ) -> Result<Self, Error> {
        Self::lowered(graph, request, trains, threads, Way::Cheapest)
    }

    /// The same without any rewrite, on one thread: to bisect a difference between the engines.
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
        let (graph, program) = lower(graph, request, trains, way);
        let weights = Weights::new(&graph, &program.used, &program.leaves, trains);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .build()
            .map_err(|e| Error::device("cpu", format!("cannot start {threads} threads: {e}")))?;
        let seq = graph.seq();
        let workspaces =
            (0..pool.current_num_threads()).map(|_| Mutex::new(Workspace::new(&program, seq))).collect();
        let leaf_shapes =
            program.leaves.iter().map(|w| &graph.weights()[w.index()]).map(|n| (n.rows, n.cols));
        let mut leaf_shapes: Vec<_> = leaf_shapes.collect();
        let leaves = leaf_shapes.iter().map(|&(r, c)| Matrix::zeros(r, c)).collect();
        let plan = Plan::new(program, &graph);
        let in_turn = leaf_shapes.iter_mut().zip(&plan.in_turn);
        in_turn.filter(|(_, in_turn)| **in_turn).for_each(|(shape, _)| *shape = (0, 0));
        let terms = request.losses.len();
        let total = Sums { leaves, losses: vec![0.0; terms] };
        let patches = Patches::new(&graph);
        let (seq, vocab) = (graph.seq(), graph.vocab());
        Ok(CpuEngine {
            plan,
            graph,
            weights,
            pool,
            workspaces,
            spare: Mutex::new(Vec::new()),
            total,
            leaf_shapes,
            request: request.clone(),
            patches,
            terms: vec![f64::NAN; terms],
            seq,
            vocab,
            all: (0..seq as u32).collect(),
            zeros: vec![0; seq],
        })
    }

    /// Bytes that such an engine will hold, before it is made: its matrices, with the sums that threads add up, and the activations
    /// of its threads.
    pub(crate) fn bytes(
        graph: &Graph,
        request: &Request,
        trains: &dyn Fn(ParamId) -> bool,
        threads: usize,
    ) -> [f64; 2] {
        let (graph, program) = lower(graph, request, trains, Way::Cheapest);
        let held = weights::elements(&graph, &program.used, &program.leaves, trains);
        let [in_turn, by_thread] = turns::elements(&program, &graph);
        let threads = threads.max(1) as f64;
        // the total, and of each thread the one that it fills
        let sums = in_turn + (1.0 + threads) * by_thread;
        let elements = [held + sums, threads * workspace::elements(&program, graph.seq())];
        elements.map(|elements| elements * size_of::<E>() as f64)
    }

    /// The lowered program, a line an instruction: what the passes have made of the graph.
    ///
    /// `v3 [all, 64] in v1 d0 = ...` is a value at all positions, 64 wide, in the buffer of `v1`, whose gradient is in
    /// buffer 0.
    pub fn program(&self) -> String {
        Text { graph: &self.graph, program: &self.plan.program }.to_string()
    }

    /// Sums to be used again, or new ones; zero.
    fn spare_sums(&self) -> Sums<E> {
        let spare = self.spare.lock().ok().and_then(|mut spare| spare.pop());
        let mut sums = spare.unwrap_or_else(|| self.new_sums());
        sums.clear();
        sums
    }

    fn new_sums(&self) -> Sums<E> {
        let zeros = |&(rows, cols): &(usize, usize)| Matrix::zeros(rows, cols);
        Sums { leaves: self.leaf_shapes.iter().map(zeros).collect(), losses: vec![0.0; self.terms.len()] }
    }
}

impl<E> crate::sealed::Sealed for CpuEngine<E> {}

impl<E: Element> Engine<E> for CpuEngine<E> {
    fn run(
        &mut self,
        params: &dyn ParamSource<E>,
        batch: &Batch,
        rows: &[RowLists],
        observer: &Observer<'_, E>,
    ) -> Result<f64, Error> {
        self.request.check((self.seq, self.vocab), batch, rows)?;
        self.patches.check(batch.batch)?;
        self.weights.check(params)?;
        self.weights.load(params);
        let positions = self.request.loss_positions(batch, rows);
        let shares = Shares::new(&self.request.losses, &positions);
        let mut total = std::mem::replace(&mut self.total, Sums { leaves: Vec::new(), losses: Vec::new() });
        total.clear();
        let mut in_turn = total.take_in_turn(&self.plan.in_turn);
        let turns = Turns::new(&mut in_turn);
        let merging = Mutex::new(Merging { total: &mut total, next: 0, early: BTreeMap::new() });
        let (this, next) = (&*self, AtomicUsize::new(0));
        let chunks = if self.plan.in_turn.contains(&true) { batch.batch } else { CHUNKS.min(batch.batch) };
        self.pool.broadcast(|context| {
            let mut ws =
                this.workspaces[context.index()].lock().expect("a worker of this engine has panicked");
            let _guard = turns.guard();
            let mut sets: Vec<&[u32]> = Vec::with_capacity(rows.len());
            let mut distributions: Vec<&[f64]> = Vec::with_capacity(rows.len());
            loop {
                let chunk = next.fetch_add(1, Ordering::Relaxed);
                if chunk >= chunks {
                    break;
                }
                let mut sums = this.spare_sums();
                for i in chunk * batch.batch / chunks..(chunk + 1) * batch.batch / chunks {
                    let (x, y, _) = batch.sequence(i);
                    sets.clear();
                    sets.extend(rows.iter().map(|r| r.sequence(i)));
                    distributions.clear();
                    distributions.extend(rows.iter().map(|r| r.distributions(i)));
                    let (sets, distributions) = (&sets[..], &distributions[..]);
                    let seq = Sequence { x, y, sets, distributions, all: &this.all, zeros: &this.zeros };
                    let ws = &mut *ws;
                    for &(val, slot) in &this.plan.program.patched {
                        ws.patch(&this.plan.program, &seq, val, this.patches.sequences(slot, i..i + 1));
                    }
                    let (plan, weights, shares) = (&this.plan, &this.weights, &shares);
                    let turn = &|leaf, add: Add<'_, E>| turns.add(leaf, i, add);
                    let mut frame = Frame { plan, weights, ws, seq, sums: &mut sums, turn, shares };
                    plan.run(&mut frame, &|reads| observer(i, reads));
                    turns.pass(i);
                }
                merging.lock().expect("a worker of this engine has panicked").arrive(
                    chunk,
                    sums,
                    &this.spare,
                );
            }
        });
        drop(merging);
        drop(turns);
        total.put_in_turn(&self.plan.in_turn, in_turn);
        self.total = total;
        self.weights.backward(&self.plan.program.leaves, &mut self.total.leaves);
        self.terms.copy_from_slice(&self.total.losses);
        Ok(totals(&self.request.losses, &positions, &mut self.terms))
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

impl<E: Element> Merging<'_, E> {
    /// Adds the sums of a chunk when its turn has come.
    fn arrive(&mut self, chunk: usize, sums: Sums<E>, spare: &Mutex<Vec<Sums<E>>>) {
        self.early.insert(chunk, sums);
        while let Some(sums) = self.early.remove(&self.next) {
            self.total.add(&sums);
            self.next += 1;
            if let Ok(mut spare) = spare.lock() {
                spare.push(sums);
            }
        }
    }
}
