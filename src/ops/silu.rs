//! SiLU.
use crate::backend::{EngineDevice, Scalar, TryMul, WithEmptyTape};
use crate::kernels::Element;
use crate::kernels::lanes::{self, kernel};

use super::{DfdxStream, Reads, Unary, methods};

/// SiLU of each element, `x / (1 + exp(-x))`, also called swish: the gate of a SwiGLU feed-forward layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Silu;

methods! {
    /// Applies SiLU, also called swish, to each element: `x / (1 + exp(-x))`.
    Silu
}

kernel! {
    /// `out = x / (1 + exp(-x))`.
    fn forward<'a, E>(simd; out: &'a mut [E], x: &'a [E]) -> () {
        let (zero, one) = (simd.splat(E::zero()), simd.splat(E::one()));
        lanes::zip1(simd, out, x, #[inline(always)] |_, x| {
            simd.div(x, simd.add(one, simd.exp(simd.sub(zero, x))))
        });
    }
}

kernel! {
    /// `dx = dy s (1 + x (1 - s))` with `s = 1 / (1 + exp(-x))`.
    fn backward<'a, E>(simd; dx: &'a mut [E], dy: &'a [E], x: &'a [E]) -> () {
        let (zero, one) = (simd.splat(E::zero()), simd.splat(E::one()));
        lanes::zip2(simd, dx, dy, x, #[inline(always)] |_, dy, x| {
            let s = simd.div(one, simd.add(one, simd.exp(simd.sub(zero, x))));
            simd.mul(simd.mul(dy, s), simd.mul_add(x, simd.sub(one, s), one))
        });
    }
}

impl Unary for Silu {
    const TEXT: &str = "silu";
    const READS: Reads = Reads::Input;

    fn row<E: Element>(out: &mut [E], x: &[E]) {
        forward(out, x);
    }

    fn row_back<E: Element>(dx: &mut [E], dy: &[E], x: &[E]) {
        backward(dx, dy, x);
    }

    fn by_dfdx<E: Scalar, Dev: EngineDevice<E>>(
        x: DfdxStream<E, Dev>,
    ) -> Result<DfdxStream<E, Dev>, Dev::Err> {
        let gate = x.with_empty_tape().try_sigmoid()?;
        x.try_mul(gate)
    }
}
