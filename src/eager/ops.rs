//! Operations on streams `[batch, seq, dim]`, row by row, and the loss.
//!
//! dfdx refuses two operands of one operation that are the same tensor (or views of it): see [`double`].
use crate::backend::{
    Axes2, Axis, BroadcastTo, EngineDevice, GatherTo, HasShape, PermuteTo, ReshapeTo, Scalar, Tape, Tensor,
    TryAdd, TryMatMul, TryMul,
};

use super::{Matrix, Stream, constant, scalar};

/// `out[b, t] = table[rows[b, t]]`, `[batch, seq, dim]`.
pub(super) fn lookup<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
    table: Matrix<E, Dev, T>,
    rows: &Tensor<(usize, usize), usize, Dev>,
) -> Result<Stream<E, Dev, T>, Dev::Err> {
    table.try_gather(rows.clone())
}

/// `out[b, t] = W x[b, t]`, `[batch, seq, out]`.
pub(super) fn linear<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
    x: Stream<E, Dev, T>,
    weight: Matrix<E, Dev, T>,
) -> Result<Stream<E, Dev, T>, Dev::Err> {
    x.try_matmul(weight.try_permute::<_, Axes2<1, 0>>()?)
}

/// `x + x`.
pub(super) fn double<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
    x: Stream<E, Dev, T>,
) -> Result<Stream<E, Dev, T>, Dev::Err> {
    x.try_mul(scalar::<E>(2.0))
}

/// `gain * x`, element by element along `dim`; `gain` is `[1, dim]`.
pub(super) fn gain<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
    x: Stream<E, Dev, T>,
    gain: Matrix<E, Dev, T>,
) -> Result<Stream<E, Dev, T>, Dev::Err> {
    let shape = *x.shape();
    let gain = gain.try_reshape_like(&(shape.2,))?;
    x.try_mul(gain.try_broadcast_like::<_, Axes2<0, 1>>(&shape)?)
}

/// Rotary positions: `out = cos * x + sin * turned(x)`, where `turned` takes each pair `(a, b)` to `(-b, a)`.
pub(super) fn rotate<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
    x: Stream<E, Dev, T>,
    heads: usize,
    theta: f64,
) -> Result<Stream<E, Dev, T>, Dev::Err> {
    let (device, shape) = (x.device().clone(), *x.shape());
    let (_, seq, dim) = shape;
    let width = dim / heads;
    let angle = |t: usize, column: usize| {
        let pair = (column % width) / 2;
        t as f64 * theta.powf(-2.0 * pair as f64 / width as f64)
    };
    let turn = constant(&device, (dim, dim), |from, to| match (from % 2, to % 2) {
        (1, 0) if from == to + 1 => -1.0,
        (0, 1) if to == from + 1 => 1.0,
        _ => 0.0,
    })?;
    let cos = constant(&device, (seq, dim), |t, c| angle(t, c).cos())?;
    let sin = constant(&device, (seq, dim), |t, c| angle(t, c).sin())?;
    let turned = x.retaped::<T>().try_matmul(turn)?;
    let along = x.try_mul(cos.try_broadcast_like::<_, Axis<0>>(&shape)?)?;
    along.try_add(turned.try_mul(sin.try_broadcast_like::<_, Axis<0>>(&shape)?)?)
}

/// `out[b, t] = x[b, t - by]`, zeros before: a product with a matrix of zeros and ones over positions.
pub(super) fn shift<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
    x: Stream<E, Dev, T>,
    by: usize,
) -> Result<Stream<E, Dev, T>, Dev::Err> {
    let (device, (batch, seq, _)) = (x.device().clone(), *x.shape());
    let from = constant(&device, (seq, seq), |to, from| f64::from(u8::from(from + by == to)))?;
    let from = from.try_broadcast_like::<_, Axis<0>>(&(batch, seq, seq))?;
    from.retaped::<T>().try_matmul(x)
}

/// Columns put in other places: column `to` of `[batch, seq, width]` is the sum of those `from` which `goes(from, to)`.
pub(super) fn spread<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
    x: Stream<E, Dev, T>,
    width: usize,
    goes: impl Fn(usize, usize) -> bool,
) -> Result<Stream<E, Dev, T>, Dev::Err> {
    let (device, dim) = (x.device().clone(), x.shape().2);
    x.try_matmul(constant(&device, (dim, width), |from, to| f64::from(u8::from(goes(from, to))))?)
}

/// The chosen rows `[n, width]` of a stream; `rows` count through `batch * seq`.
pub(super) fn chosen<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
    x: Stream<E, Dev, T>,
    rows: Vec<usize>,
) -> Result<Matrix<E, Dev, T>, Dev::Err> {
    let (device, n) = (x.device().clone(), rows.len());
    let (batch, seq, width) = *x.shape();
    let rows = device.try_tensor_from_vec(rows, (n,))?;
    x.try_reshape_like(&(batch * seq, width))?.try_gather(rows)
}
