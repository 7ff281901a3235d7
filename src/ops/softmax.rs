//! Softmax over the width of a row.
use crate::backend::{Axis, EngineDevice, Scalar};
use crate::kernels::Element;

use super::{DfdxStream, Reads, Unary, methods};

/// The softmax of each row, `exp(x_i) / sum_j exp(x_j)` over `dim`. (Attention has its own, over keys.)
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Softmax;

methods! {
    /// Takes the softmax of each row: `exp(x_i) / sum_j exp(x_j)`, over its columns. (Attention has its own, over keys.)
    Softmax
}

impl Unary for Softmax {
    const TEXT: &str = "softmax";
    const READS: Reads = Reads::Out;

    fn row<E: Element>(out: &mut [E], x: &[E]) {
        out.copy_from_slice(x);
        crate::kernels::softmax_row(out, x.len(), E::one());
    }

    fn row_back<E: Element>(dx: &mut [E], dy: &[E], y: &[E]) {
        dx.copy_from_slice(dy);
        crate::kernels::softmax_row_back(dx, y, y.len(), E::one());
    }

    fn by_dfdx<E: Scalar, Dev: EngineDevice<E>>(
        x: DfdxStream<E, Dev>,
    ) -> Result<DfdxStream<E, Dev>, Dev::Err> {
        x.try_softmax::<Axis<2>>()
    }
}
