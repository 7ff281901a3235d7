//! The sigmoid.
use crate::backend::{EngineDevice, Scalar, Tape};
use crate::kernels::Element;
use crate::kernels::lanes::{self, kernel};

use super::{DfdxStream, Operation, Row, methods, only, same_width};

/// The logistic function of each element, `1 / (1 + exp(-x))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sigmoid;

methods! {
    /// The logistic function of each element, `1 / (1 + exp(-x))`.
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

impl Operation for Sigmoid {
    fn text(&self) -> String {
        "sigmoid".into()
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
        only(inputs).try_sigmoid()
    }
}
