//! Engines run a recorded graph over a batch, compute the gradients of a loss, and show activations.
//!
//! Two engines exist: [`CpuEngine`], by far the faster, and [`EagerEngine`], which computes each operation with dfdx on any of
//! its devices: it is the reference, and the way to a GPU.
mod any;
mod loss;
mod params;
mod patches;
mod rows;
mod widened;

pub use crate::eager::EagerEngine;
pub use crate::plan::CpuEngine;
pub use any::AnyEngine;
pub use loss::{LossTerm, Penalty};
pub(crate) use loss::{Shares, totals};
pub use params::ParamSource;
pub(crate) use patches::Patches;
pub use rows::{RowLists, RowSet};
pub use widened::Widened;

use crate::Error;
use crate::data::Batch;
use crate::graph::{Graph, NodeId};
use crate::nn::ParamId;
use crate::sealed::Sealed;

/// What tokens are of, in messages.
const VOCABULARY: &str = "the model's vocabulary";

/// What an engine computes: the terms of a loss, and the activations that it shows to an observer.
///
/// ```
/// use ihead::engine::{LossTerm, Request, RowSet};
/// let request = Request::loss(RowSet::All);
/// assert_eq!(request.losses, [LossTerm::NextToken { rows: RowSet::All, weight: 1.0 }]);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The terms of the loss, whose weighted sum is differentiated. Without terms, no gradients are computed.
    pub losses: Vec<LossTerm>,
    /// Activations to show to the observer, each at these positions (the queries, for a pattern).
    pub reads: Vec<(NodeId, RowSet)>,
}

impl Request {
    /// The mean cross-entropy of the logits against the next tokens at these positions, and its gradients.
    pub fn loss(rows: RowSet) -> Request {
        Request { losses: vec![LossTerm::NextToken { rows, weight: 1.0 }], reads: vec![] }
    }

    /// A request without a loss: these activations are shown.
    pub fn reads(reads: Vec<(NodeId, RowSet)>) -> Request {
        Request { losses: vec![], reads }
    }

    /// The same, with one more activation to show.
    pub fn and_read(mut self, node: NodeId, rows: RowSet) -> Request {
        self.reads.push((node, rows));
        self
    }

    /// The same, with nothing to show.
    pub(crate) fn without_reads(&self) -> Request {
        Request { losses: self.losses.clone(), reads: vec![] }
    }

    /// Checks that the graph has every activation that is asked for, before an engine is built.
    ///
    /// # Errors
    /// If a node is of another graph, which has more of them, or what a penalty is of is a pattern.
    pub(crate) fn check_graph(&self, graph: &Graph) -> Result<(), Error> {
        let losses = || self.losses.iter().map(|term| term.node(graph));
        let mut asked = self.reads.iter().map(|(node, _)| *node).chain(losses());
        if let Some(node) = asked.find(|node| node.index() >= graph.len()) {
            return Err(Error::index(
                "activation",
                node.index(),
                "a graph (the request is for another)",
                graph.len(),
            ));
        }
        match losses().find(|node| graph.is_pattern(*node)) {
            Some(node) => Err(Error::misfit("penalty", graph.node_words(node), "a stream [seq, dim]")),
            None => Ok(()),
        }
    }

    /// Checks what a run is handed against the graph.
    ///
    /// # Errors
    /// If the batch is not of its own size, the sequences have another length, a token is outside the vocabulary, positions of a
    /// row set are missing, or a term of the loss that is against distributions has none.
    pub(crate) fn check(
        &self,
        (seq, vocab): (usize, usize),
        batch: &Batch,
        rows: &[RowLists],
    ) -> Result<(), Error> {
        batch.check()?;
        if batch.seq != seq {
            let found = format!("a batch of sequences of {} tokens", batch.seq);
            return Err(Error::misfit("run", found, seq.to_string()));
        }
        let beyond = |token: &u32| *token as usize >= vocab;
        // no branch inside, so that it becomes vector instructions
        let any_beyond = |tokens: &[u32]| tokens.iter().fold(false, |any, token| any | beyond(token));
        if (any_beyond(&batch.x) || any_beyond(&batch.y))
            && let Some(token) = batch.x.iter().chain(&batch.y).find(|token| beyond(token))
        {
            return Err(Error::index("token", *token as usize, VOCABULARY, vocab));
        }
        let asked = self.reads.iter().map(|(_, rows)| *rows).chain(self.losses.iter().map(LossTerm::rows));
        let sets = asked.map(|rows| if let RowSet::Set(k) = rows { k + 1 } else { 0 }).max().unwrap_or(0);
        if rows.len() < sets || rows.iter().any(|lists| lists.sequences() != batch.batch) {
            let (found, expected) =
                (format!("{} lists of positions", rows.len()), format!("{sets}, each for all sequences"));
            return Err(Error::misfit("run", found, expected));
        }
        if let Some(end) = rows.iter().map(RowLists::positions_end).find(|end| *end > seq) {
            return Err(Error::index("position", end - 1, "a sequence", seq));
        }
        for term in &self.losses {
            if let LossTerm::Distribution { set, .. } = term
                && rows[*set].vocab() != Some(vocab)
            {
                let expected = format!("those of {vocab} tokens with its positions");
                return Err(Error::misfit("a loss against distributions", "others or none", expected));
            }
        }
        Ok(())
    }

    /// Number of positions that each term of the loss of a checked run is over.
    pub(crate) fn loss_positions(&self, batch: &Batch, rows: &[RowLists]) -> Vec<usize> {
        let positions = |term: &LossTerm| match term.rows() {
            RowSet::All => batch.batch * batch.seq,
            RowSet::Set(k) => rows[k].total(),
        };
        self.losses.iter().map(positions).collect()
    }
}

/// An activation of one sequence, as an engine shows it: a stream `[positions, dim]`, or a pattern `[heads, positions, seq]`.
#[derive(Clone, Copy, Debug)]
pub struct Read<'a, E> {
    /// Values; row `r` of head `h` begins at `h * head_stride + r * ld`.
    pub data: &'a [E],
    /// Number of positions.
    pub rows: usize,
    /// Columns of a row: the width of a stream, the sequence length for a pattern.
    pub cols: usize,
    /// The number of values from the beginning of a row to that of the next.
    pub ld: usize,
    /// The number of values from the beginning of a head to that of the next (0 for a stream).
    pub head_stride: usize,
    /// The position of each row.
    pub positions: &'a [u32],
}

impl<'a, E> Read<'a, E> {
    /// The same places of other values.
    pub(crate) fn with_data<'b, F>(&self, data: &'b [F]) -> Read<'b, F>
    where
        'a: 'b,
    {
        let Read { rows, cols, ld, head_stride, positions, .. } = *self;
        Read { data, rows, cols, ld, head_stride, positions }
    }

    /// Row `r`, `[dim]`.
    pub fn row(&self, r: usize) -> &'a [E] {
        self.head_row(0, r)
    }

    /// Row `r` of head `h` of a pattern, `[seq]`.
    pub fn head_row(&self, h: usize, r: usize) -> &'a [E] {
        let start = h * self.head_stride + r * self.ld;
        &self.data[start..start + self.cols]
    }
}

/// Called once for each sequence of a batch, in any order and from several threads, with the sequence's number and the
/// activations that were asked for, in the order of [`Request::reads`].
pub type Observer<'a, E> = dyn Fn(usize, &[Read<'_, E>]) + Sync + 'a;

/// An engine runs a recorded graph: it computes the loss, its gradients and the activations that a [`Request`] asks for.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// use ihead::config::Config;
/// use ihead::data::Batch;
/// use ihead::engine::{Engine, Request, RowSet};
/// use ihead::graph::record;
/// use ihead::model::{Simplified, SimplifiedArgs};
/// use ihead::nn::{ModuleExt, Params};
/// use ihead::engine::CpuEngine;
///
/// let sizes = SimplifiedArgs { max_length: 4, dim: 16, ..SimplifiedArgs::defaults() };
/// let model = Simplified::new(65, &sizes)?.init(42);
/// let (graph, params) = (record(&model, 4)?, Params::of(&model));
///
/// let request = Request::loss(RowSet::All).and_read(graph.logits(), RowSet::All);
/// let mut engine = CpuEngine::<f32>::new(&graph, &request, &|id| params.trains(id), 1)?;
/// let batch = Batch { x: vec![7, 1, 2, 3], y: vec![1, 2, 3, 4], marks: vec![0; 4], batch: 1, seq: 4 };
/// let shown = AtomicUsize::new(0);
/// let loss = engine.run(&params, &batch, &[], &|_sequence, reads| {
///     shown.fetch_add(reads[0].row(3).len(), Ordering::Relaxed);
/// })?;
/// assert_eq!(shown.into_inner(), 65);
/// assert!(loss > 1.0 && engine.gradient(model.tensor("layers.1.attention.wk.weight")?.id()).is_some());
/// # Ok::<(), ihead::Error>(())
/// ```
pub trait Engine<E>: Sealed {
    /// Runs the batch and returns the loss, the weighted sum of its terms (NaN if a term selects no position, or without a loss),
    /// leaves the gradients, and shows the activations to the observer. `rows[k]` are the positions of `RowSet::Set(k)`.
    ///
    /// # Errors
    /// If a token is outside the vocabulary, the batch's sequences have another length than the graph's, a patched site has
    /// no values for as many sequences, or a parameter that the graph reads was never initialised.
    fn run(
        &mut self,
        params: &dyn ParamSource<E>,
        batch: &Batch,
        rows: &[RowLists],
        observer: &Observer<'_, E>,
    ) -> Result<f64, Error>;

    /// Runs the batch for the loss and its gradients alone, which are those of [`run`](Self::run). Activations are shown to nobody, and
    /// no positions need be given for them. The CPU engine does not compute what is only read; its loss and gradients are the same to
    /// the last bit whatever else is asked for.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    fn differentiate(
        &mut self,
        params: &dyn ParamSource<E>,
        batch: &Batch,
        rows: &[RowLists],
    ) -> Result<f64, Error>;

    /// The value of each term of the loss in the last run, before its weight.
    fn terms(&self) -> &[f64];

    /// Hands over the values of a site that is patched ([`crate::graph::Edit::Patch`]), `[batch, seq, dim]` or
    /// `[batch, heads, seq, seq]`: they are used by every run until others are handed over.
    ///
    /// # Errors
    /// If the site is not patched, the values are of another shape, or a pattern attends to later positions.
    fn patch(&mut self, site: &str, shape: &[usize], values: &[E]) -> Result<(), Error>;

    /// The gradient that the last run left for a parameter, row-major; `None` if it does not train or nothing that it
    /// feeds reaches the loss.
    fn gradient(&self, param: ParamId) -> Option<&[E]>;
}

impl<T: Sealed + ?Sized> Sealed for Box<T> {}

impl<E, T: Engine<E> + ?Sized> Engine<E> for Box<T> {
    fn run(
        &mut self,
        params: &dyn ParamSource<E>,
        batch: &Batch,
        rows: &[RowLists],
        observer: &Observer<'_, E>,
    ) -> Result<f64, Error> {
        (**self).run(params, batch, rows, observer)
    }

    fn differentiate(
        &mut self,
        params: &dyn ParamSource<E>,
        batch: &Batch,
        rows: &[RowLists],
    ) -> Result<f64, Error> {
        (**self).differentiate(params, batch, rows)
    }

    fn terms(&self) -> &[f64] {
        (**self).terms()
    }

    fn patch(&mut self, site: &str, shape: &[usize], values: &[E]) -> Result<(), Error> {
        (**self).patch(site, shape, values)
    }

    fn gradient(&self, param: ParamId) -> Option<&[E]> {
        (**self).gradient(param)
    }
}

/// An observer that ignores all activations.
pub fn ignore<E>(_: usize, _: &[Read<'_, E>]) {}
