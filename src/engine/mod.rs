//! What every engine does: run a recorded graph over a batch, with gradients of a loss and reads of activations.
//!
//! Two engines exist: [`crate::plan`] (the CPU, by far the faster) and [`crate::eager`] (dfdx operations on any dfdx
//! device: the reference, and the GPU).
mod params;
mod rows;

pub use params::ParamSource;
pub use rows::{RowLists, RowSet};

use crate::Error;
use crate::data::Batch;
use crate::graph::NodeId;
use crate::nn::ParamId;

/// What an engine is built to compute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The mean cross-entropy of the logits against the next tokens at these positions, and its gradients.
    pub loss: Option<RowSet>,
    /// Activations to show to the observer, each at these positions (the queries, for a pattern).
    pub reads: Vec<(NodeId, RowSet)>,
}

/// An activation of one sequence: a stream `[positions, dim]`, or a pattern `[heads, positions, seq]`.
#[derive(Clone, Copy, Debug)]
pub struct Read<'a, E> {
    /// Values; row `r` of head `h` begins at `h * head_stride + r * ld`.
    pub data: &'a [E],
    /// Number of positions.
    pub rows: usize,
    /// Columns of a row: the width of a stream, the sequence length for a pattern.
    pub cols: usize,
    /// Distance of rows.
    pub ld: usize,
    /// Distance of heads (0 for a stream).
    pub head_stride: usize,
    /// The position of each row.
    pub positions: &'a [u32],
}

impl<'a, E> Read<'a, E> {
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

/// Runs one graph for one request.
pub trait Engine<E> {
    /// Runs the batch: returns the mean loss (NaN over nothing, or without a loss), leaves the gradients, and shows the
    /// activations to the observer. `rows[k]` are the positions of `RowSet::Set(k)`.
    ///
    /// # Errors
    /// If a token is outside the vocabulary or the batch's sequences have another length than the graph's.
    fn run(
        &mut self,
        params: &dyn ParamSource<E>,
        batch: &Batch,
        rows: &[RowLists],
        observer: &Observer<'_, E>,
    ) -> Result<f64, Error>;

    /// The gradient that the last run left for a parameter, row-major; `None` if it does not train or nothing that it
    /// feeds reaches the loss.
    fn gradient(&self, param: ParamId) -> Option<&[E]>;
}

/// An observer that looks at nothing.
pub fn ignore<E>(_: usize, _: &[Read<'_, E>]) {}
