//! The sigmoid.
use crate::backend::{EngineDevice, Scalar};
use crate::kernels::Element;
use crate::kernels::lanes::{self, kernel};

use super::{DfdxStream, Reads, Unary, methods};

/// The logistic function of each element, `1 / (1 + exp(-x))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sigmoid;

methods! {
    /// Applies the logistic function to each element: `1 / (1 + exp(-x))`.
    Sigmoid
}

kernel! {
    /// `out = 1 / (1 + exp(-x))`.
    fn forward<'a, E>(simd; out: &'a mut [E], x: &'a [E]) -> () {
        let (zero, one) = (simd.splat(E::zero()), simd.splat(E::one()));
        lanes::zip1(simd, out, x, #[inline(always)] |_, x| {
            simd.div(one, simd.add(one, simd.exp(simd.sub(zero, x))))
        });
    }
}

kernel! {
    /// `dx = dy y (1 - y)`.
    fn backward<'a, E>(simd; dx: &'a mut [E], dy: &'a [E], y: &'a [E]) -> () {
        let one = simd.splat(E::one());
        lanes::zip2(simd, dx, dy, y, #[inline(always)] |_, dy, y| {
            simd.mul(dy, simd.mul(y, simd.sub(one, y)))
        });
    }
}

impl Unary for Sigmoid {
    const TEXT: &str = "sigmoid";
    const READS: Reads = Reads::Out;

    fn row<E: Element>(out: &mut [E], x: &[E]) {
        forward(out, x);
    }

    fn row_back<E: Element>(dx: &mut [E], dy: &[E], y: &[E]) {
        backward(dx, dy, y);
    }

    fn by_dfdx<E: Scalar, Dev: EngineDevice<E>>(
        x: DfdxStream<E, Dev>,
    ) -> Result<DfdxStream<E, Dev>, Dev::Err> {
        x.try_sigmoid()
    }
}
