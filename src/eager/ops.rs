//! Operations on streams `[batch, seq, dim]`, row by row, and the loss.
//!
//! dfdx refuses two operands of one operation that are the same tensor (or views of it): see [`double`]. On a GPU it sums the
//! gradient of a matrix that multiplies a batch one sequence at a time, so all rows of all sequences are multiplied as one matrix.
use crate::backend::{
    Axes2, Axis, BroadcastTo, EngineDevice, GatherTo, HasShape, ReshapeTo, Scalar, TryAdd, TryMul,
    WithEmptyTape,
};

use super::constants::Constants;
use super::{Right, TracedMatrix, TracedStream, scalar};

/// `out[b, t] = W x[b, t]`, `[batch, seq, out]`.
pub(super) fn linear<E: Scalar, Dev: EngineDevice<E>>(
    x: TracedStream<E, Dev>,
    weight: TracedMatrix<E, Dev>,
) -> Result<TracedStream<E, Dev>, Dev::Err> {
    rows_times(x, weight, Right::Transposed)
}

/// `out[b, t] = x[b, t] matrix`, `[batch, seq, cols]`.
pub(super) fn times<E: Scalar, Dev: EngineDevice<E>>(
    x: TracedStream<E, Dev>,
    matrix: TracedMatrix<E, Dev>,
) -> Result<TracedStream<E, Dev>, Dev::Err> {
    rows_times(x, matrix, Right::Plain)
}

/// The rows of all sequences as one matrix, times `matrix`.
fn rows_times<E: Scalar, Dev: EngineDevice<E>>(
    x: TracedStream<E, Dev>,
    matrix: TracedMatrix<E, Dev>,
    right: Right,
) -> Result<TracedStream<E, Dev>, Dev::Err> {
    let (batch, seq, dim) = *x.shape();
    let rows: TracedMatrix<E, Dev> = x.try_reshape_like(&(batch * seq, dim))?;
    let out = Dev::product(rows, matrix, right)?;
    let cols = out.shape().1;
    out.try_reshape_like(&(batch, seq, cols))
}

/// `x + x`.
pub(super) fn double<E: Scalar, Dev: EngineDevice<E>>(
    x: TracedStream<E, Dev>,
) -> Result<TracedStream<E, Dev>, Dev::Err> {
    x.try_mul(scalar::<E>(2.0))
}

/// `gain * x`, element by element along `dim`; `gain` is `[1, dim]`.
pub(super) fn gain<E: Scalar, Dev: EngineDevice<E>>(
    x: TracedStream<E, Dev>,
    gain: TracedMatrix<E, Dev>,
) -> Result<TracedStream<E, Dev>, Dev::Err> {
    let shape = *x.shape();
    let gain = gain.try_reshape_like(&(shape.2,))?;
    x.try_mul(gain.try_broadcast_like::<_, Axes2<0, 1>>(&shape)?)
}

/// Rotary positions: `out = cos * x + sin * turned(x)`, where `turned` takes each pair `(a, b)` to `(-b, a)`.
pub(super) fn rotate<E: Scalar, Dev: EngineDevice<E>>(
    constants: &Constants<E, Dev>,
    x: TracedStream<E, Dev>,
    heads: usize,
    theta: f64,
) -> Result<TracedStream<E, Dev>, Dev::Err> {
    let shape = *x.shape();
    let (_, seq, dim) = shape;
    let width = dim / heads;
    let angle = |t: usize, column: usize| {
        let pair = (column % width) / 2;
        t as f64 * theta.powf(-2.0 * pair as f64 / width as f64)
    };
    let turn = constants.matrix(("turn", &[]), (dim, dim), |from, to| match (from % 2, to % 2) {
        (1, 0) if from == to + 1 => -1.0,
        (0, 1) if to == from + 1 => 1.0,
        _ => 0.0,
    })?;
    let numbers = [heads as u64, theta.to_bits()];
    let cos = constants.matrix(("cos", &numbers), (seq, dim), |t, c| angle(t, c).cos())?;
    let sin = constants.matrix(("sin", &numbers), (seq, dim), |t, c| angle(t, c).sin())?;
    let turned = times(x.with_empty_tape(), turn.retaped())?;
    let along = x.try_mul(cos.try_broadcast_like::<_, Axis<0>>(&shape)?)?;
    along.try_add(turned.try_mul(sin.try_broadcast_like::<_, Axis<0>>(&shape)?)?)
}

/// `out[b, t] = x[b, t - by]`, zeros before.
pub(super) fn shift<E: Scalar, Dev: EngineDevice<E>>(
    constants: &Constants<E, Dev>,
    x: TracedStream<E, Dev>,
    by: usize,
) -> Result<TracedStream<E, Dev>, Dev::Err> {
    let shape = *x.shape();
    let (batch, seq, dim) = shape;
    let from = |b: usize, t: usize| b * seq + t.saturating_sub(by);
    let from = constants.indices(("shifted", &[by as u64]), (batch, seq), &from)?;
    let moved: TracedStream<E, Dev> = x.try_reshape_like(&(batch * seq, dim))?.try_gather(from)?;
    let there = |_, t: usize| f64::from(u8::from(t >= by));
    let there = constants.matrix(("there", &[by as u64]), (1, seq), there)?.try_reshape_like(&(seq,))?;
    moved.try_mul(there.try_broadcast_like::<_, Axes2<0, 2>>(&shape)?)
}

/// Which columns of a stream go where.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// Those from this one on become the first ones.
    From(usize),
    /// The first ones come to stand from here on, zeros elsewhere.
    To(usize),
}

/// Some columns of a stream as columns of `[batch, seq, width]`: a product with a matrix of zeros and ones.
pub(super) fn columns<E: Scalar, Dev: EngineDevice<E>>(
    constants: &Constants<E, Dev>,
    x: TracedStream<E, Dev>,
    width: usize,
    place: Place,
) -> Result<TracedStream<E, Dev>, Dev::Err> {
    let (name, first) = match place {
        Place::From(first) => ("columns from", first),
        Place::To(first) => ("columns to", first),
    };
    let goes = |from: usize, to: usize| match place {
        Place::From(first) => from == to + first,
        Place::To(first) => from + first == to,
    };
    let goes = |from, to| f64::from(u8::from(goes(from, to)));
    let dim = x.shape().2;
    times(x, constants.matrix((name, &[first as u64]), (dim, width), goes)?.retaped())
}

/// The chosen rows `[n, width]` of a stream, in order; `rows` count through `batch * seq`.
pub(super) fn chosen<E: Scalar, Dev: EngineDevice<E>>(
    x: TracedStream<E, Dev>,
    rows: Vec<usize>,
) -> Result<TracedMatrix<E, Dev>, Dev::Err> {
    let (device, n) = (x.device().clone(), rows.len());
    let (batch, seq, width) = *x.shape();
    let x = x.try_reshape_like(&(batch * seq, width))?;
    if n == batch * seq {
        return Ok(x);
    }
    x.try_gather(device.try_tensor_from_vec(rows, (n,))?)
}
