//! One sequence, as metrics and rules read it.
use crate::data::Batch;

/// One sequence of a batch with its targets and marks, each `[seq]`.
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a> {
    /// The tokens that the model reads.
    pub x: &'a [u32],
    /// The next token after each position.
    pub y: &'a [u32],
    /// The task's marks (the paper's `outs`).
    pub marks: &'a [i32],
}

impl<'a> Sequence<'a> {
    /// Returns sequence `i` of `batch`.
    ///
    /// # Panics
    /// If `i` is not below `batch.batch`.
    pub fn of(batch: &'a Batch, i: usize) -> Self {
        let (x, y, marks) = batch.sequence(i);
        Sequence { x, y, marks }
    }

    /// Returns the number of positions.
    pub fn len(&self) -> usize {
        self.x.len()
    }

    /// Returns whether there is no position.
    pub fn is_empty(&self) -> bool {
        self.x.is_empty()
    }
}
