//! Matrices that depend on parameters alone.
use crate::backend::Dim;

use super::ir::{WeightId, WeightOp};
use super::record::Recorder;

/// A matrix `[R, C]` that depends on parameters alone: computed once a step, whatever the number of sequences.
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
        let weight = Weight { recorder, id, rows, cols };
        let node = weight.recorder.graph().weights[id.0].clone();
        assert_eq!((node.rows, node.cols), (rows.size(), cols.size()), "a weight's declared shape");
        weight
    }

    /// `A B`, `[R, N]`. `N` and the shared size are checked by the compiler where they are `Const`.
    pub fn matmul<N: Dim>(&self, b: &Weight<C, N>) -> Weight<R, N> {
        let id = self.recorder.graph_mut().weight(WeightOp::Product(self.id, b.id));
        Weight::new(self.recorder.clone(), id, self.rows, b.cols)
    }

    /// `A^T`, `[C, R]`.
    pub fn transpose(&self) -> Weight<C, R> {
        let id = self.recorder.graph_mut().weight(WeightOp::Transpose(self.id));
        Weight::new(self.recorder.clone(), id, self.cols, self.rows)
    }

    /// `by * A`.
    pub fn scale(&self, by: f64) -> Self {
        let id = self.recorder.graph_mut().weight(WeightOp::Scale(self.id, by));
        Weight::new(self.recorder.clone(), id, self.rows, self.cols)
    }
}

impl<R: Dim, C: Dim> std::ops::Add for Weight<R, C> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let id = self.recorder.graph_mut().weight(WeightOp::Sum(self.id, other.id));
        Weight::new(self.recorder.clone(), id, self.rows, self.cols)
    }
}
