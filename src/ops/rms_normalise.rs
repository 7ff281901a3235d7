//! The normalisation of an RMS norm (Zhang and Sennrich 2019).
use crate::backend::{
    Axis, BroadcastTo, Dim, EngineDevice, HasShape, MeanTo, Scalar, TryAdd, TryMul, WithEmptyTape,
};
use crate::eager::scalar;
use crate::graph::Stream;
use crate::kernels::Element;
use crate::kernels::lanes::{self, kernel};

use super::{DfdxStream, Operation, Row, RowOp, check_eps, only, same_width};

/// `x / sqrt(mean(x^2) + eps)` over the width of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RmsNormalise {
    /// Added to the mean square.
    pub eps: f64,
}

impl<T: Dim, D: Dim> Stream<T, D> {
    /// Normalises each row as RMS norm does: `x / sqrt(mean(x^2) + eps)` over its columns. The gain is separate
    /// ([`gain`](Self::gain)).
    pub fn rms_normalise(&self, eps: f64) -> Self {
        self.rowwise(RowOp::RmsNormalise(RmsNormalise { eps }), &[], self.dim())
    }

    /// Normalises the columns of each head separately, as [`rms_normalise`](Self::rms_normalise) does a row; for queries
    /// and keys this is "QK norm". The heads must divide `dim`.
    pub fn rms_normalise_heads(&self, heads: usize, eps: f64) -> Self {
        self.rowwise_heads(RowOp::RmsNormalise(RmsNormalise { eps }), heads)
    }
}

kernel! {
    /// `out = x inverse` with `inverse = 1 / sqrt(mean(x^2) + eps)`, which it returns.
    fn forward<'a, E>(simd; out: &'a mut [E], x: &'a [E], eps: E) -> E {
        let mean = lanes::dot(simd, x, x) / E::from_f64(x.len() as f64);
        let inverse = E::one() / (mean + eps).sqrt();
        let by = simd.splat(inverse);
        lanes::zip1(simd, out, x, #[inline(always)] |_, x| simd.mul(x, by));
        inverse
    }
}

kernel! {
    /// `dx = inverse (dy - y mean(dy y))`.
    fn backward<'a, E>(simd; dx: &'a mut [E], dy: &'a [E], y: &'a [E], inverse: E) -> () {
        let along = lanes::dot(simd, dy, y) / E::from_f64(y.len() as f64);
        let (inverse, along) = (simd.splat(inverse), simd.splat(-(along * inverse)));
        lanes::zip2(simd, dx, dy, y, #[inline(always)] |_, dy, y| {
            simd.mul_add(dy, inverse, simd.mul(y, along))
        });
    }
}

impl Operation for RmsNormalise {
    fn text(&self) -> String {
        format!("rms_normalise({:e})", self.eps)
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

    /// Keeps `1 / sqrt(mean(x^2) + eps)`.
    fn forward<E: Element>(&self, inputs: &[&[E]], out: &mut [E]) -> E {
        forward(out, inputs[0], E::from_f64(self.eps))
    }

    fn backward<E: Element>(&self, _: usize, row: &Row<'_, E>, d_input: &mut [E]) {
        backward(d_input, row.d_out, row.out, row.kept);
    }

    fn dfdx<E: Scalar, Dev: EngineDevice<E>>(
        &self,
        inputs: Vec<DfdxStream<E, Dev>>,
    ) -> Result<DfdxStream<E, Dev>, Dev::Err> {
        let x = only(inputs);
        let shape = *x.shape();
        let mean = x.with_empty_tape().try_square()?.try_mean::<_, Axis<2>>()?;
        let inverse = mean.try_add(scalar::<E>(self.eps))?.try_sqrt()?.try_recip()?;
        x.try_mul(inverse.try_broadcast_like::<_, Axis<2>>(&shape)?)
    }
}
