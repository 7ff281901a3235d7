//! Weights-only matrices.
use crate::backend::{
    Axes2, Axis, BroadcastTo, EngineDevice, HasShape, PermuteTo, ReshapeTo, Scalar, SplitTape, Tape, TryAdd,
    TryMatMul, TryMul,
};
use crate::graph::{WeightId, WeightNode, WeightOp};

use super::{Matrix, constant, scalar};

/// The matrix of a node that is no parameter, from those before it, and the tape of its making.
pub(super) fn evaluate<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
    device: &Dev,
    node: &WeightNode,
    of: impl Fn(WeightId) -> Matrix<E, Dev>,
) -> Result<(Matrix<E, Dev>, T), Dev::Err> {
    let traced = |w: WeightId| of(w).retaped::<T>();
    // a tensor of its own: dfdx refuses to multiply or add a matrix and itself, or its transpose
    let copied = |w: WeightId| traced(w).try_mul(scalar::<E>(1.0));
    let matrix = match node.op {
        WeightOp::Param(_) => unreachable!("parameters are loaded"),
        WeightOp::Product(a, b) => traced(a).try_matmul(copied(b)?)?,
        WeightOp::Transpose(a) => traced(a).try_permute::<_, Axes2<1, 0>>()?,
        WeightOp::Sum(a, b) => traced(a).try_add(copied(b)?)?,
        WeightOp::Scale(a, by) => traced(a).try_mul(scalar::<E>(by))?,
        WeightOp::ScaleColumns(a, gain) => {
            let a = traced(a);
            let shape = *a.shape();
            let gain = copied(gain)?.try_reshape_like(&(shape.1,))?;
            a.try_mul(gain.try_broadcast_like::<_, Axis<0>>(&shape)?)?
        }
        WeightOp::Identity => {
            let ones = constant(device, (node.rows, node.cols), |r, c| f64::from(u8::from(r == c)))?;
            ones.retaped::<T>()
        }
    };
    Ok(matrix.split_tape())
}
