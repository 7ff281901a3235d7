//! The ReLU.
use crate::backend::{EngineDevice, Scalar};
use crate::kernels::Element;

use super::{DfdxStream, Reads, Unary, methods};

/// `max(x, 0)` of each element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Relu;

methods! {
    /// Applies ReLU to each element: `max(x, 0)`.
    Relu
}

impl Unary for Relu {
    const TEXT: &str = "relu";
    const READS: Reads = Reads::Out;

    fn row<E: Element>(out: &mut [E], x: &[E]) {
        crate::kernels::relu(out, x);
    }

    fn row_back<E: Element>(dx: &mut [E], dy: &[E], y: &[E]) {
        crate::kernels::relu_back(dx, false, dy, y);
    }

    fn by_dfdx<E: Scalar, Dev: EngineDevice<E>>(
        x: DfdxStream<E, Dev>,
    ) -> Result<DfdxStream<E, Dev>, Dev::Err> {
        x.try_relu()
    }
}
