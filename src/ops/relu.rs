//! The ReLU.
use crate::backend::{EngineDevice, Scalar, Tape};
use crate::kernels::Element;

use super::{DfdxStream, Operation, Row, methods, only, same_width};

/// `max(x, 0)` of each element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Relu;

methods! {
    /// `max(x, 0)` of each element.
    Relu
}

impl Operation for Relu {
    fn text(&self) -> String {
        "relu".into()
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
        crate::kernels::relu(out, inputs[0]);
        E::zero()
    }

    fn backward<E: Element>(&self, _: usize, row: &Row<'_, E>, d_input: &mut [E]) {
        crate::kernels::relu_back(d_input, false, row.d_out, row.out);
    }

    fn dfdx<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
        &self,
        inputs: Vec<DfdxStream<E, Dev, T>>,
    ) -> Result<DfdxStream<E, Dev, T>, Dev::Err> {
        only(inputs).try_relu()
    }
}
