//! The normalisation of a layer norm; gain and bias are operations of their own, so that two norms of one stream share it.
use crate::backend::{Axis, Dim, EngineDevice, Scalar};
use crate::graph::Stream;
use crate::kernels::{Element, norm_row, norm_row_back};

use super::{DfdxStream, Operation, Row, RowOp, check_eps, only, same_width};

/// `(x - mean) / sqrt(var + eps)` over the width of a row, with the biased variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Normalise {
    /// Added to the variance.
    pub eps: f64,
}

impl<T: Dim, D: Dim> Stream<T, D> {
    /// Normalises each row as layer norm does: `(x - mean) / sqrt(var + eps)` over its columns, with the biased variance.
    /// Gain and bias are separate ([`gain`](Self::gain), [`bias`](Self::bias)).
    pub fn normalise(&self, eps: f64) -> Self {
        self.rowwise(RowOp::Normalise(Normalise { eps }), &[], self.dim())
    }

    /// Normalises the columns of each head separately, as [`normalise`](Self::normalise) does a row. The heads must divide
    /// `dim`.
    pub fn normalise_heads(&self, heads: usize, eps: f64) -> Self {
        self.rowwise_heads(RowOp::Normalise(Normalise { eps }), heads)
    }
}

impl Operation for Normalise {
    fn text(&self) -> String {
        format!("normalise({:e})", self.eps)
    }

    fn width(&self, inputs: &[usize]) -> Result<usize, String> {
        check_eps(self.eps)?;
        same_width(inputs)
    }

    fn reads_inputs_backward(&self) -> bool {
        false
    }

    fn reads_out_backward(&self) -> bool {
        true
    }

    /// Keeps `1 / sqrt(var + eps)`.
    fn forward<E: Element>(&self, inputs: &[&[E]], out: &mut [E]) -> E {
        norm_row(out, inputs[0], E::from_f64(self.eps))
    }

    fn backward<E: Element>(&self, _: usize, row: &Row<'_, E>, d_input: &mut [E]) {
        norm_row_back(d_input, false, row.d_out, row.out, row.kept);
    }

    fn dfdx<E: Scalar, Dev: EngineDevice<E>>(
        &self,
        inputs: Vec<DfdxStream<E, Dev>>,
    ) -> Result<DfdxStream<E, Dev>, Dev::Err> {
        only(inputs).try_normalize::<Axis<2>>(self.eps)
    }
}
