//! Attention patterns `[batch, heads, seq, seq]`, and mixing with them.
use crate::backend::{
    Axes2, Axes4, Axis, BroadcastTo, EngineDevice, HasShape, PermuteTo, ReshapeTo, Scalar, Tape, TryAdd,
    TryMatMul, TryMul,
};
use crate::graph::Normaliser;

use super::{Pattern, Stream, constant, scalar};

/// The columns of each head: `[batch, seq, dim]` to `[batch, heads, seq, dim / heads]`.
fn split_heads<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
    x: Stream<E, Dev, T>,
    heads: usize,
) -> Result<Pattern<E, Dev, T>, Dev::Err> {
    let (batch, seq, dim) = *x.shape();
    x.try_reshape_like(&(batch, seq, heads, dim / heads))?.try_permute::<_, Axes4<0, 2, 1, 3>>()
}

/// `normaliser(scale * q_h k_h^T)` over the keys `j <= t`, 0 beyond: `[batch, heads, seq, seq]`.
pub(super) fn causal<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
    q: Stream<E, Dev, T>,
    k: Stream<E, Dev, T>,
    heads: usize,
    scale: f64,
    normaliser: Normaliser,
) -> Result<Pattern<E, Dev, T>, Dev::Err> {
    let (device, (batch, seq, _)) = (q.device().clone(), *q.shape());
    // the scale makes `q` a tensor of its own where queries and keys are the same stream
    let q = split_heads(q.try_mul(scalar::<E>(scale))?, heads)?;
    let k_t = split_heads(k, heads)?.try_permute::<_, Axes4<0, 1, 3, 2>>()?;
    let scores: Pattern<E, Dev, T> = q.try_matmul(k_t)?;
    let shape = (batch, heads, seq, seq);
    match normaliser {
        Normaliser::Softmax => {
            let mask = constant(&device, (seq, seq), |t, j| if j <= t { 0.0 } else { f64::NEG_INFINITY })?;
            scores.try_add(mask.try_broadcast_like::<_, Axes2<0, 1>>(&shape)?)?.try_softmax::<Axis<3>>()
        }
        Normaliser::Relu { mean } => {
            let weight = |t: usize| if mean { 1.0 / (t + 1) as f64 } else { 1.0 };
            let mask = constant(&device, (seq, seq), |t, j| if j <= t { weight(t) } else { 0.0 })?;
            scores.try_relu()?.try_mul(mask.try_broadcast_like::<_, Axes2<0, 1>>(&shape)?)
        }
    }
}

/// One-hot rows: row `t` of each head of sequence `b` is one at `sources[b * seq + t]`.
pub(super) fn one_hot<E: Scalar, Dev: EngineDevice<E>>(
    device: &Dev,
    sources: &[usize],
    heads: usize,
    seq: usize,
) -> Result<Pattern<E, Dev>, Dev::Err> {
    let batch = sources.len() / seq;
    let mut values = vec![E::default(); batch * heads * seq * seq];
    for (row, values) in values.chunks_exact_mut(seq).enumerate() {
        let (sequence, t) = (row / (heads * seq), row % seq);
        values[sources[sequence * seq + t]] = scalar(1.0);
    }
    device.try_tensor_from_vec(values, (batch, heads, seq, seq))
}

/// The position before each (0 at the start).
pub(super) fn previous_sources(seq: usize) -> Vec<usize> {
    (0..seq).map(|t| t.saturating_sub(1)).collect()
}

/// The position behind the last earlier occurrence of each token of a sequence, or else 0.
pub(super) fn induction_sources(tokens: &[usize]) -> Vec<usize> {
    let source = |t: usize| (0..t).rev().find(|&j| tokens[j] == tokens[t]).map_or(0, |j| j + 1);
    (0..tokens.len()).map(source).collect()
}

/// `out[t]_h = sum_j pattern[h, t, j] v[j]_h`, the heads side by side: `[batch, seq, dim]`.
pub(super) fn mix<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
    pattern: Pattern<E, Dev, T>,
    v: Stream<E, Dev, T>,
) -> Result<Stream<E, Dev, T>, Dev::Err> {
    let (shape, heads) = (*v.shape(), pattern.shape().1);
    let mixed: Pattern<E, Dev, T> = pattern.try_matmul(split_heads(v, heads)?)?;
    let beside: Pattern<E, Dev, T> = mixed.try_permute::<_, Axes4<0, 2, 1, 3>>()?;
    beside.try_reshape_like(&shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn induction_looks_behind_the_last_earlier_occurrence() {
        assert_eq!(induction_sources(&[7, 8, 7, 9, 7, 8]), [0, 0, 1, 0, 3, 2]);
        assert_eq!(previous_sources(3), [0, 0, 1]);
    }
}
