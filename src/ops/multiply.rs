//! The product of two streams, element by element.
use std::ops::Mul;

use crate::backend::{Dim, EngineDevice, Scalar, TryMul};
use crate::eager::scalar;
use crate::graph::{Stream, Weight};
use crate::kernels::{Element, mul};

use super::{DfdxStream, Operation, Row, RowOp};

/// `a * b`, element by element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Multiply;

/// The product `a * b`, element by element, as of a gate and what it gates.
impl<T: Dim, D: Dim> Mul for Stream<T, D> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        self.rowwise(RowOp::Multiply(Multiply), &[&other], self.dim())
    }
}

/// The product `A * B`, element by element; the product of matrices is [`matmul`](Weight::matmul).
impl<R: Dim, C: Dim> Mul for Weight<R, C> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        self.rowwise(RowOp::Multiply(Multiply), &[&other])
    }
}

impl Operation for Multiply {
    fn text(&self) -> String {
        "multiply".into()
    }

    fn width(&self, inputs: &[usize]) -> Result<usize, String> {
        match *inputs {
            [a, b] if a == b => Ok(a),
            [_, _] => Err("two rows of the same width".into()),
            _ => Err("two rows".into()),
        }
    }

    fn reads_inputs_backward(&self) -> bool {
        true
    }

    fn reads_out_backward(&self) -> bool {
        false
    }

    fn forward<E: Element>(&self, inputs: &[&[E]], out: &mut [E]) -> E {
        mul(out, inputs[0], inputs[1]);
        E::zero()
    }

    fn backward<E: Element>(&self, which: usize, row: &Row<'_, E>, d_input: &mut [E]) {
        mul(d_input, row.d_out, row.inputs[1 - which]);
    }

    fn dfdx<E: Scalar, Dev: EngineDevice<E>>(
        &self,
        inputs: Vec<DfdxStream<E, Dev>>,
    ) -> Result<DfdxStream<E, Dev>, Dev::Err> {
        let mut inputs = inputs.into_iter();
        let (Some(a), Some(b)) = (inputs.next(), inputs.next()) else {
            unreachable!("the width of two inputs was checked when the operation was recorded")
        };
        // a tensor of its own: dfdx refuses to multiply a tensor with itself
        a.try_mul(b.try_mul(scalar::<E>(1.0))?)
    }
}
