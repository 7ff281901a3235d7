//! Attention patterns `[batch, heads, seq, seq]`, and mixing with them.
use crate::backend::{
    Axes2, Axes3, Axes4, Axis, BroadcastTo, EngineDevice, GatherTo, HasShape, LogSumExpTo, PermuteTo,
    ReshapeTo, Scalar, Tape, TryAdd, TryMatMul, TryMul,
};
use crate::graph::{FixedPattern, Normaliser, Scoring};

use super::{Matrix, Pattern, Stream, constant, ops, scalar};

/// The columns of each head: `[batch, seq, dim]` to `[batch, heads, seq, dim / heads]`.
fn split_heads<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
    x: Stream<E, Dev, T>,
    heads: usize,
) -> Result<Pattern<E, Dev, T>, Dev::Err> {
    let (batch, seq, dim) = *x.shape();
    x.try_reshape_like(&(batch, seq, heads, dim / heads))?.try_permute::<_, Axes4<0, 2, 1, 3>>()
}

/// Keys or values of `shared` heads as those of `heads` heads, of which so many in a row have the same columns.
pub(super) fn shared<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
    x: Stream<E, Dev, T>,
    shared: usize,
    heads: usize,
) -> Result<Stream<E, Dev, T>, Dev::Err> {
    if shared == heads {
        return Ok(x);
    }
    let (width, group) = (x.shape().2 / shared, heads / shared);
    let of = move |to: usize| to / width / group * width + to % width;
    ops::spread(x, heads * width, move |from, to| from == of(to))
}

/// A score that stands for minus infinity: its weight is 0 beside any other, and finite if there is no other.
const UNSEEN: f64 = -1e30;

/// A number for each head, query and key, `[batch, heads, seq, seq]`.
fn by_head<E: Scalar, Dev: EngineDevice<E>>(
    device: &Dev,
    scoring: &Scoring,
    (batch, seq): (usize, usize),
    value: impl Fn(f64) -> f64,
) -> Result<Pattern<E, Dev>, Dev::Err> {
    let of = |h: usize, i: usize| scoring.mask(h).map_or(0.0, |mask| mask[i]);
    let of = |i: usize| scalar(value(of(i / (seq * seq), i % (seq * seq))));
    let values = (0..scoring.heads * seq * seq).map(of).collect();
    let each = device.try_tensor_from_vec(values, (scoring.heads, seq, seq))?;
    each.try_broadcast_like::<_, Axis<0>>(&(batch, scoring.heads, seq, seq))
}

/// What the masks add to scores.
pub(super) fn mask<E: Scalar, Dev: EngineDevice<E>>(
    device: &Dev,
    scoring: &Scoring,
    batch: usize,
    seq: usize,
) -> Result<Pattern<E, Dev>, Dev::Err> {
    by_head(device, scoring, (batch, seq), |score| score.max(UNSEEN))
}

/// 1 where a key is seen, 0 where a mask hides it.
pub(super) fn seen<E: Scalar, Dev: EngineDevice<E>>(
    device: &Dev,
    scoring: &Scoring,
    batch: usize,
    seq: usize,
) -> Result<Pattern<E, Dev>, Dev::Err> {
    by_head(device, scoring, (batch, seq), |score| f64::from(u8::from(score > f64::NEG_INFINITY)))
}

/// `scale * q_h k_h^T`, `[batch, heads, seq, seq]`.
pub(super) fn products<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
    q: Stream<E, Dev, T>,
    k: Stream<E, Dev, T>,
    heads: usize,
    scale: f64,
) -> Result<Pattern<E, Dev, T>, Dev::Err> {
    // the scale makes `q` a tensor of its own where queries and keys are the same stream
    let q = split_heads(q.try_mul(scalar::<E>(scale))?, heads)?;
    q.try_matmul(split_heads(k, heads)?.try_permute::<_, Axes4<0, 1, 3, 2>>()?)
}

/// `scores[b, h, t, j] + bias[h, t - j]` for the keys `j <= t`.
pub(super) fn biased<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
    scores: Pattern<E, Dev, T>,
    bias: Matrix<E, Dev, T>,
) -> Result<Pattern<E, Dev, T>, Dev::Err> {
    let (shape, (heads, distances)) = (*scores.shape(), *bias.shape());
    let seq = shape.3;
    let entry = |i: usize| i / (seq * seq) * distances + (i / seq % seq).saturating_sub(i % seq);
    let entries = (0..heads * seq * seq).map(entry).collect();
    let entries = scores.device().clone().try_tensor_from_vec(entries, (heads, seq * seq))?;
    let entries: Stream<E, Dev, T> = bias.try_reshape_like(&(heads * distances, 1))?.try_gather(entries)?;
    let by_distance = entries.try_reshape_like(&(heads, seq, seq))?;
    scores.try_add(by_distance.try_broadcast_like::<_, Axis<0>>(&shape)?)
}

/// `normaliser(scores)` over the keys `j <= t`, 0 beyond.
pub(super) fn normalised<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
    scores: Pattern<E, Dev, T>,
    normaliser: Normaliser,
) -> Result<Pattern<E, Dev, T>, Dev::Err> {
    let (device, shape) = (scores.device().clone(), *scores.shape());
    let seq = shape.3;
    let table = |value: &dyn Fn(usize, usize) -> f64| {
        constant(&device, (seq, seq), value)?.try_broadcast_like::<_, Axes2<0, 1>>(&shape)
    };
    let unseen = || table(&|t, j| if j <= t { 0.0 } else { f64::NEG_INFINITY });
    let seen = || table(&|t, j| if j <= t { 1.0 } else { 0.0 });
    let mean = || table(&|t, j| if j <= t { 1.0 / (t + 1) as f64 } else { 0.0 });
    match normaliser {
        Normaliser::Softmax => scores.try_add(unseen()?)?.try_softmax::<Axis<3>>(),
        Normaliser::SoftmaxOffByOne => {
            let scores = scores.try_add(unseen()?)?;
            // sum / (1 + sum) is the sigmoid of the sum's logarithm
            let some = scores.retaped::<T>().try_logsumexp::<_, Axis<3>>()?.try_sigmoid()?;
            scores.try_softmax::<Axis<3>>()?.try_mul(some.try_broadcast_like::<_, Axis<3>>(&shape)?)
        }
        Normaliser::Relu => scores.try_relu()?.try_mul(seen()?),
        Normaliser::MeanRelu => scores.try_relu()?.try_mul(mean()?),
        Normaliser::Sigmoid => {
            let shift = table(&|t, _| -((t + 1) as f64).ln())?;
            scores.try_add(shift)?.try_sigmoid()?.try_mul(seen()?)
        }
        Normaliser::Linear => scores.try_mul(seen()?),
        Normaliser::MeanLinear => scores.try_mul(mean()?),
    }
}

/// The pattern of a rule, over the tokens of some sequences of `seq`.
pub(super) fn fixed<E: Scalar, Dev: EngineDevice<E>>(
    device: &Dev,
    rule: &FixedPattern,
    tokens: &[usize],
    heads: usize,
    seq: usize,
) -> Result<Pattern<E, Dev>, Dev::Err> {
    let mut values = Vec::with_capacity(tokens.len() * heads * seq);
    for tokens in tokens.chunks_exact(seq) {
        let tokens: Vec<u32> = tokens.iter().map(|x| *x as u32).collect();
        for t in (0..heads).flat_map(|_| 0..seq) {
            values.extend(rule.weights(&tokens, t).into_iter().map(scalar::<E>));
            values.extend(std::iter::repeat_n(E::default(), seq - 1 - t));
        }
    }
    device.try_tensor_from_vec(values, (tokens.len() / seq, heads, seq, seq))
}

/// The chosen heads of `other`, the rest of `base`.
pub(super) fn spliced<E: Scalar, Dev: EngineDevice<E>, T: Tape<E, Dev>>(
    base: Pattern<E, Dev, T>,
    other: Pattern<E, Dev, T>,
    chosen: &[bool],
) -> Result<Pattern<E, Dev, T>, Dev::Err> {
    let (device, shape) = (base.device().clone(), *base.shape());
    let these = |wanted: bool| {
        let values = chosen.iter().map(|chosen| scalar(f64::from(u8::from(*chosen == wanted)))).collect();
        let mask = device.try_tensor_from_vec(values, (chosen.len(),))?;
        mask.try_broadcast_like::<_, Axes3<0, 2, 3>>(&shape)
    };
    base.try_mul(these(false)?)?.try_add(other.try_mul(these(true)?)?)
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
