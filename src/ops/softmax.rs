//! Softmax over the width of a row.
use crate::backend::{Axis, EngineDevice, Scalar, Tape};
use crate::kernels::Element;

use super::{DfdxStream, Operation, Row, methods, only, same_width};

/// The softmax of each row, `exp(x_i) / sum_j exp(x_j)` over `dim`. (Attention has its own, over keys.)
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Softmax;

methods! {
    /// The softmax of each row, `exp(x_i) / sum_j exp(x_j)` over `dim`. (Attention has its own, over keys.)
    Softmax
}

impl Operation for Softmax {
    fn text(&self) -> String {
        "softmax".into()
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
        out.copy_from_slice(inputs[0]);
        crate::kernels::softmax_row(out, inputs[0].len(), E::one());
        E::zero()
    }

    fn backward<E: Element>(&self, _: usize, row: &Row<'_, E>, d_input: &mut [E]) {
        d_input.copy_from_slice(row.d_out);
        crate::kernels::softmax_row_back(d_input, row.out, row.out.len(), E::one());
    }

    fn dfdx<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
        &self,
        inputs: Vec<DfdxStream<E, Dev, T>>,
    ) -> Result<DfdxStream<E, Dev, T>, Dev::Err> {
        only(inputs).try_softmax::<Axis<2>>()
    }
}
