//! Matrices that depend on parameters and constants alone.
use std::sync::Arc;

use crate::backend::{Const, Dim};
use crate::ops::{Operation, RowOp};

use super::graph::WeightId;
use super::record::Recorder;

/// A matrix `[R, C]` that depends on parameters and constants alone. It is computed once a step, whatever the number of
/// sequences.
///
/// Like [`Stream`](super::Stream), it is a handle of the recorded graph, without values. [`Recorder`] makes it from a
/// parameter or from constants. Matrices have the pointwise operations of streams too, so that a gate is
/// `recorder.vector(&parameter).sigmoid()`.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::graph::{Stream, Weight};
///
/// /// `W_O W_V x[t]`: the product is made once, not at each position.
/// fn output_value(
///     wo: &Weight<Const<64>, Const<16>>,
///     wv: &Weight<Const<16>, Const<64>>,
///     x: &Stream<usize, Const<64>>,
/// ) -> Stream<usize, Const<64>> {
///     x.linear(&wo.matmul(wv))
/// }
/// ```
#[derive(Clone)]
pub struct Weight<R: Dim, C: Dim> {
    pub(crate) recorder: Recorder,
    pub(crate) id: WeightId,
    pub(crate) rows: R,
    pub(crate) cols: C,
}

impl<R: Dim, C: Dim> Weight<R, C> {
    pub(crate) fn new(recorder: Recorder, id: WeightId, rows: R, cols: C) -> Self {
        Weight { recorder, id, rows, cols }
    }

    /// What stands for a result that there is not; recording fails with what was found and what was expected.
    fn refused<A: Dim, B: Dim>(
        &self,
        operation: &str,
        found: String,
        expected: &str,
        (rows, cols): (A, B),
    ) -> Weight<A, B> {
        self.recorder.misfit(operation, found, expected);
        // without values: nobody computes a recording that has failed
        let id = self.recorder.graph_mut().constant(rows.size(), cols.size(), Arc::new([]));
        Weight::new(self.recorder.clone(), id, rows, cols)
    }

    /// The matrix in words, for messages.
    pub(super) fn words(&self) -> String {
        self.recorder.graph().weight_words(self.id)
    }

    /// Multiplies two matrices: `A B`, `[R, N]`. The compiler checks the shared size where it is `Const`.
    pub fn matmul<N: Dim>(&self, b: &Weight<C, N>) -> Weight<R, N> {
        let shape = (self.rows, b.cols);
        if !self.recorder.owns(&b.recorder) {
            return self.refused(
                "matmul",
                "a matrix of another recording".into(),
                "one of this model",
                shape,
            );
        }
        if self.cols.size() != b.rows.size() {
            let found = format!("{} times {}", self.words(), b.words());
            return self.refused(
                "matmul",
                found,
                &format!("a second matrix of {} rows", self.cols.size()),
                shape,
            );
        }
        let id = self.recorder.graph_mut().product(self.id, b.id);
        Weight::new(self.recorder.clone(), id, self.rows, b.cols)
    }

    /// Returns the transpose `A^T`, `[C, R]`.
    pub fn transpose(&self) -> Weight<C, R> {
        let id = self.recorder.graph_mut().transpose(self.id);
        Weight::new(self.recorder.clone(), id, self.cols, self.rows)
    }

    /// Multiplies by a number, which must be finite: `by * A`, `[R, C]`.
    pub fn scale(&self, by: f64) -> Self {
        if !by.is_finite() {
            let found = format!("{by} times {}", self.words());
            return self.refused("scale", found, "a finite number", (self.rows, self.cols));
        }
        let id = self.recorder.graph_mut().scaled(self.id, by);
        Weight::new(self.recorder.clone(), id, self.rows, self.cols)
    }

    /// Repeats each column `n` times, side by side: `[R, width]`, where `width` must be `n C`. So a number for each head
    /// becomes one for each of the head's columns.
    pub fn repeat_columns<O: Dim>(&self, n: usize, width: O) -> Weight<R, O> {
        let cols = self.cols.size();
        let expected = cols.saturating_mul(n);
        if width.size() != expected {
            let found =
                format!("{n} times each column of {} as a matrix of {} columns", self.words(), width.size());
            return self.refused("repeat_columns", found, &format!("{expected} columns"), (self.rows, width));
        }
        let copies: Vec<f64> =
            (0..cols * n * cols).map(|i| f64::from(u8::from(i % (n * cols) / n == i / (n * cols)))).collect();
        self.matmul(&self.recorder.constant(self.cols, width, &copies))
    }

    /// An operation on rows of this matrix and the `others`, which are of its shape.
    pub(crate) fn rowwise(&self, op: RowOp, others: &[&Self]) -> Self {
        let (name, shape) = (op.text(), (self.rows, self.cols));
        if others.iter().any(|other| !self.recorder.owns(&other.recorder)) {
            return self.refused(&name, "a matrix of another recording".into(), "one of this model", shape);
        }
        let sizes = |w: &Self| (w.rows.size(), w.cols.size());
        if let Some(other) = others.iter().find(|other| sizes(other) != sizes(self)) {
            let found = format!("{} and {}", self.words(), other.words());
            return self.refused(&name, found, "matrices of the same shape", shape);
        }
        let widths = vec![self.cols.size(); 1 + others.len()];
        match op.width(&widths) {
            Err(problem) => self.refused(&name, self.words(), &problem, shape),
            Ok(width) if width != self.cols.size() => {
                self.refused(&name, self.words(), "an operation that keeps the width", shape)
            }
            Ok(width) => {
                let inputs = std::iter::once(self.id).chain(others.iter().map(|other| other.id)).collect();
                let id = self.recorder.graph_mut().rowwise(op, inputs, width);
                Weight::new(self.recorder.clone(), id, self.rows, self.cols)
            }
        }
    }

    /// Returns the numbers of rows and columns.
    pub fn shape(&self) -> (R, C) {
        (self.rows, self.cols)
    }

    /// Returns the recorder of the forward pass that this matrix belongs to.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }
}

impl<C: Dim> Weight<Const<1>, C> {
    /// Returns `1 - a`, element by element, `[1, C]`: the share that a gate `a` leaves.
    pub fn rest(&self) -> Self {
        let ones = self.recorder.constant(Const::<1>, self.cols, &vec![1.0; self.cols.size()]);
        ones + self.scale(-1.0)
    }
}

/// The sum `A + B` of matrices of the same shape, element by element.
impl<R: Dim, C: Dim> std::ops::Add for Weight<R, C> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let shape = (self.rows, self.cols);
        if !self.recorder.owns(&other.recorder) {
            return self.refused("sum", "a matrix of another recording".into(), "one of this model", shape);
        }
        if (self.rows.size(), self.cols.size()) != (other.rows.size(), other.cols.size()) {
            let found = format!("{} and {}", self.words(), other.words());
            return self.refused("sum", found, "matrices of the same shape", shape);
        }
        let id = self.recorder.graph_mut().sum(self.id, other.id);
        Weight::new(self.recorder.clone(), id, self.rows, self.cols)
    }
}
