//! The hyperbolic tangent.
use crate::backend::{EngineDevice, Scalar, Tape};
use crate::kernels::Element;
use crate::kernels::lanes::{self, kernel};

use super::{DfdxStream, Operation, Row, methods, only, same_width};

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

impl Operation for Tanh {
    fn text(&self) -> String {
        "tanh".into()
    }

    fn width(&self, inputs: &[usize]) -> Result<usize, String> {
        same_width(inputs)
    }

    fn reads_inputs_backward(&self) -> bool {
        false
    }

    fn reads_out_backward(&self) -> bool {
        true
    }

    fn forward<E: Element>(&self, inputs: &[&[E]], out: &mut [E]) -> E {
        forward(out, inputs[0]);
        E::zero()
    }

    fn backward<E: Element>(&self, _: usize, row: &Row<'_, E>, d_input: &mut [E]) {
        backward(d_input, row.d_out, row.out);
    }

    fn dfdx<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
        &self,
        inputs: Vec<DfdxStream<E, Dev, T>>,
    ) -> Result<DfdxStream<E, Dev, T>, Dev::Err> {
        only(inputs).try_tanh()
    }
}
