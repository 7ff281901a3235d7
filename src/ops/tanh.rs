//! The hyperbolic tangent.
use crate::backend::{EngineDevice, Scalar, Tape};
use crate::kernels::Element;
use crate::kernels::lanes::{self, kernel};

use super::{DfdxStream, Reads, Unary, methods};

/// The hyperbolic tangent of each element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tanh;

methods! {
    /// The hyperbolic tangent of each element.
    Tanh
}

kernel! {
    /// `out = tanh(x) = 1 - 2 / (exp(2 x) + 1)`, exact to a unit in the last place of 1.
    fn forward<'a, E>(simd; out: &'a mut [E], x: &'a [E]) -> () {
        let (one, two) = (simd.splat(E::one()), simd.splat(E::from_f64(2.0)));
        lanes::zip1(simd, out, x, #[inline(always)] |_, x| {
            simd.sub(one, simd.div(two, simd.add(one, simd.exp(simd.add(x, x)))))
        });
    }
}

kernel! {
    /// `dx = dy (1 - y^2)`.
    fn backward<'a, E>(simd; dx: &'a mut [E], dy: &'a [E], y: &'a [E]) -> () {
        let one = simd.splat(E::one());
        lanes::zip2(simd, dx, dy, y, #[inline(always)] |_, dy, y| {
            simd.mul(dy, simd.sub(one, simd.mul(y, y)))
        });
    }
}

impl Unary for Tanh {
    const TEXT: &str = "tanh";
    const READS: Reads = Reads::Out;

    fn row<E: Element>(out: &mut [E], x: &[E]) {
        forward(out, x);
    }

    fn row_back<E: Element>(dx: &mut [E], dy: &[E], y: &[E]) {
        backward(dx, dy, y);
    }

    fn by_dfdx<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
        x: DfdxStream<E, Dev, T>,
    ) -> Result<DfdxStream<E, Dev, T>, Dev::Err> {
        x.try_tanh()
    }
}
