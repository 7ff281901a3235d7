//! The exponential.
use crate::backend::{EngineDevice, Scalar, Tape};
use crate::kernels::Element;
use crate::kernels::lanes::{self, kernel};

use super::{DfdxStream, Operation, Row, methods, only, same_width};

/// The exponential of each element, `e^x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exp;

methods! {
    /// The exponential of each element, `e^x`.
    Exp
}

kernel! {
    /// `out = e^x`.
    fn forward<'a, E>(simd; out: &'a mut [E], x: &'a [E]) -> () {
        lanes::zip1(simd, out, x, #[inline(always)] |_, x| simd.exp(x));
    }
}

impl Operation for Exp {
    fn text(&self) -> String {
        "exp".into()
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
        crate::kernels::mul(d_input, row.d_out, row.out);
    }

    fn dfdx<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
        &self,
        inputs: Vec<DfdxStream<E, Dev, T>>,
    ) -> Result<DfdxStream<E, Dev, T>, Dev::Err> {
        only(inputs).try_exp()
    }
}
