//! Weights-only matrices.
use crate::backend::{
    Axes2, Axis, BroadcastTo, EngineDevice, HasShape, PermuteTo, ReshapeTo, Scalar, TryAdd, TryMul,
};
use crate::graph::{WeightId, WeightNode, WeightOp};
use crate::ops::Operation;

use super::constants::Constants;
use super::{Matrix, Right, TracedMatrix, scalar};

/// The matrix of a node that is no parameter, from those before it.
pub(super) fn evaluate<E: Scalar, Dev: EngineDevice<E>>(
    constants: &Constants<E, Dev>,
    (i, node): (usize, &WeightNode),
    of: impl Fn(WeightId) -> Matrix<E, Dev>,
) -> Result<TracedMatrix<E, Dev>, Dev::Err> {
    let traced = |w: WeightId| -> TracedMatrix<E, Dev> { of(w).retaped() };
    // a tensor of its own: dfdx refuses to multiply or add a matrix and itself, or its transpose
    let copied = |w: WeightId| traced(w).try_mul(scalar::<E>(1.0));
    Ok(match node.op {
        WeightOp::Param(_) => unreachable!("parameters are loaded"),
        WeightOp::Product(a, b) => Dev::product(traced(a), copied(b)?, Right::Plain)?,
        WeightOp::Transpose(a) => traced(a).try_permute::<_, Axes2<1, 0>>()?,
        WeightOp::Sum(a, b) => traced(a).try_add(copied(b)?)?,
        WeightOp::Scale(a, by) => traced(a).try_mul(scalar::<E>(by))?,
        WeightOp::ScaleColumns(a, gain) => {
            let a = traced(a);
            let shape = *a.shape();
            let gain = copied(gain)?.try_reshape_like(&(shape.1,))?;
            a.try_mul(gain.try_broadcast_like::<_, Axis<0>>(&shape)?)?
        }
        WeightOp::Rows(ref op, ref inputs) => {
            let as_stream = |w: &WeightId| copied(*w)?.try_reshape_like(&(1, node.rows, node.cols));
            let inputs = inputs.iter().map(as_stream).collect::<Result<Vec<_>, Dev::Err>>()?;
            op.dfdx(inputs)?.try_reshape_like(&(node.rows, node.cols))?
        }
        WeightOp::Identity => {
            let one = |r, c| f64::from(u8::from(r == c));
            constants.matrix(("identity", &[i as u64]), (node.rows, node.cols), one)?.retaped()
        }
        WeightOp::Constant(ref values) => {
            let value = |r: usize, c: usize| values[r * node.cols + c];
            constants.matrix(("constant", &[i as u64]), (node.rows, node.cols), value)?.retaped()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Backward, Cpu, Rank0, SumTo, TensorFromVec};

    fn matrix(rows: usize, cols: usize) -> Matrix<f64, Cpu> {
        let values = (0..rows * cols).map(|i| (i * i + 1) as f64 * 0.1).collect();
        Cpu::default().tensor_from_vec(values, (rows, cols))
    }

    #[test]
    fn columns_are_scaled_each_by_its_gain() {
        let (a, gain) = (matrix(2, 3), matrix(1, 3));
        let node = WeightNode { op: WeightOp::ScaleColumns(WeightId(0), WeightId(1)), rows: 2, cols: 3 };
        let of = |w: WeightId| if w == WeightId(0) { a.clone() } else { gain.clone() };
        let scaled = evaluate(&Constants::new(Cpu::default()), (0, &node), of).unwrap();
        let (a_values, g) = (a.as_vec(), gain.as_vec());
        let expected: Vec<f64> = (0..6).map(|i| a_values[i] * g[i % 3]).collect();
        assert_eq!(scaled.as_vec(), expected);
        let gradients = scaled.sum::<Rank0, _>().backward();
        assert_eq!(gradients.get(&a).as_vec(), [&g[..], &g[..]].concat());
        let sums: Vec<f64> = (0..3).map(|c| a_values[c] + a_values[c + 3]).collect();
        assert_eq!(gradients.get(&gain).as_vec(), sums);
    }

    #[test]
    fn the_identity_is_one_on_the_diagonal() {
        let node = WeightNode { op: WeightOp::Identity, rows: 2, cols: 2 };
        let constants = Constants::<f64, Cpu>::new(Cpu::default());
        let identity = evaluate(&constants, (0, &node), |_| unreachable!()).unwrap();
        assert_eq!(identity.as_vec(), [1.0, 0.0, 0.0, 1.0]);
    }
}
