//! The exponential.
use crate::backend::{EngineDevice, Scalar};
use crate::kernels::Element;
use crate::kernels::lanes::{self, kernel};

use super::{DfdxStream, Reads, Unary, methods};

/// The exponential of each element, `e^x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exp;

methods! {
    /// Applies the exponential to each element: `e^x`.
    Exp
}

kernel! {
    /// `out = e^x`.
    fn forward<'a, E>(simd; out: &'a mut [E], x: &'a [E]) -> () {
        lanes::zip1(simd, out, x, #[inline(always)] |_, x| simd.exp(x));
    }
}

impl Unary for Exp {
    const TEXT: &str = "exp";
    const READS: Reads = Reads::Out;

    fn row<E: Element>(out: &mut [E], x: &[E]) {
        forward(out, x);
    }

    fn row_back<E: Element>(dx: &mut [E], dy: &[E], y: &[E]) {
        crate::kernels::mul(dx, dy, y);
    }

    fn by_dfdx<E: Scalar, Dev: EngineDevice<E>>(
        x: DfdxStream<E, Dev>,
    ) -> Result<DfdxStream<E, Dev>, Dev::Err> {
        x.try_exp()
    }
}
