//! Attention patterns `[batch, heads, seq, seq]`, and mixing with them.
//!
//! dfdx multiplies a batch of matrices on a GPU in one call if it has one axis, and one by one if it has two: the products
//! are of `[batch * heads, ...]`.
use crate::backend::{
    Axes2, Axes3, Axes4, Axis, BroadcastTo, EngineDevice, GatherTo, HasShape, LogSumExpTo, PermuteTo,
    ReshapeTo, Scalar, TryAdd, TryMul, WithEmptyTape,
};
use crate::graph::{FixedPattern, Normaliser, Scoring};

use super::constants::Constants;
use super::{Pattern, Right, TracedMatrix, TracedPattern, TracedStream, ops, scalar};

/// The columns of each head: `[batch, seq, dim]` to `[batch * heads, seq, dim / heads]`.
fn split_heads<E: Scalar, Dev: EngineDevice<E>>(
    x: TracedStream<E, Dev>,
    heads: usize,
) -> Result<TracedStream<E, Dev>, Dev::Err> {
    let (batch, seq, dim) = *x.shape();
    if heads == 1 {
        return Ok(x);
    }
    let by_heads = x.try_reshape_like(&(batch, seq, heads, dim / heads))?;
    by_heads.try_permute::<_, Axes4<0, 2, 1, 3>>()?.try_reshape_like(&(batch * heads, seq, dim / heads))
}

/// Keys or values of `shared` heads as those of `heads` heads, of which so many in a row have the same columns.
pub(super) fn shared<E: Scalar, Dev: EngineDevice<E>>(
    constants: &Constants<E, Dev>,
    x: TracedStream<E, Dev>,
    shared: usize,
    heads: usize,
) -> Result<TracedStream<E, Dev>, Dev::Err> {
    if shared == heads {
        return Ok(x);
    }
    let (dim, width, group) = (x.shape().2, x.shape().2 / shared, heads / shared);
    let of = |to: usize| to / width / group * width + to % width;
    let goes = |from: usize, to: usize| f64::from(u8::from(from == of(to)));
    let matrix = constants.matrix(("shared heads", &[shared as u64]), (dim, heads * width), goes)?;
    ops::times(x, matrix.retaped())
}

/// A score that stands for minus infinity: its weight is 0 beside any other, and finite if there is no other.
const UNSEEN: f64 = -1e30;

/// What the masks make of each head, query and key, `[batch, heads, seq, seq]`: a node's masks are always the same.
pub(super) struct Masks<'a, E: Scalar, Dev: EngineDevice<E>> {
    /// Where they are kept.
    pub constants: &'a Constants<E, Dev>,
    /// The number of the node.
    pub node: usize,
    /// Its masks.
    pub scoring: &'a Scoring,
}

impl<E: Scalar, Dev: EngineDevice<E>> Masks<'_, E, Dev> {
    /// What is added to scores.
    pub fn added(&self, batch: usize, seq: usize) -> Result<Pattern<E, Dev>, Dev::Err> {
        self.by_head("added", (batch, seq), |score| score.max(UNSEEN))
    }

    /// 1 where a key is seen, 0 where a mask hides it.
    pub fn seen(&self, batch: usize, seq: usize) -> Result<Pattern<E, Dev>, Dev::Err> {
        self.by_head("seen by masks", (batch, seq), |score| f64::from(u8::from(score > f64::NEG_INFINITY)))
    }

    fn by_head(
        &self,
        name: &'static str,
        (batch, seq): (usize, usize),
        value: impl Fn(f64) -> f64,
    ) -> Result<Pattern<E, Dev>, Dev::Err> {
        let heads = self.scoring.heads;
        // the masks of a head are summed once, and only when the matrix is made
        let each = self.constants.rows((name, &[self.node as u64]), (heads, seq * seq), &|head| {
            let mask = self.scoring.mask(head);
            (0..seq * seq).map(|i| value(mask.as_ref().map_or(0.0, |mask| mask[i]))).collect()
        })?;
        let each = each.try_reshape_like(&(heads, seq, seq))?;
        each.try_broadcast_like::<_, Axis<0>>(&(batch, heads, seq, seq))
    }
}

/// `scale * q_h k_h^T`, `[batch, heads, seq, seq]`.
pub(super) fn products<E: Scalar, Dev: EngineDevice<E>>(
    q: TracedStream<E, Dev>,
    k: TracedStream<E, Dev>,
    heads: usize,
    scale: f64,
) -> Result<TracedPattern<E, Dev>, Dev::Err> {
    let (batch, seq, _) = *q.shape();
    // the scale makes `q` a tensor of its own where queries and keys are the same stream
    let q = split_heads(q.try_mul(scalar::<E>(scale))?, heads)?;
    let products = Dev::products(q, split_heads(k, heads)?, Right::Transposed)?;
    products.try_reshape_like(&(batch, heads, seq, seq))
}

/// `scores[b, h, t, j] + bias[h, t - j]` for the keys `j <= t`.
pub(super) fn biased<E: Scalar, Dev: EngineDevice<E>>(
    constants: &Constants<E, Dev>,
    scores: TracedPattern<E, Dev>,
    bias: TracedMatrix<E, Dev>,
) -> Result<TracedPattern<E, Dev>, Dev::Err> {
    let (shape, (heads, distances)) = (*scores.shape(), *bias.shape());
    let seq = shape.3;
    let entry = |head: usize, i: usize| head * distances + (i / seq).saturating_sub(i % seq);
    let entries = constants.indices(("distances", &[distances as u64]), (heads, seq * seq), &entry)?;
    let entries: TracedStream<E, Dev> =
        bias.try_reshape_like(&(heads * distances, 1))?.try_gather(entries)?;
    let by_distance = entries.try_reshape_like(&(heads, seq, seq))?;
    scores.try_add(by_distance.try_broadcast_like::<_, Axis<0>>(&shape)?)
}

/// `normaliser(scores)` over the keys `j <= t`, 0 beyond.
pub(super) fn normalised<E: Scalar, Dev: EngineDevice<E>>(
    constants: &Constants<E, Dev>,
    scores: TracedPattern<E, Dev>,
    normaliser: Normaliser,
) -> Result<TracedPattern<E, Dev>, Dev::Err> {
    let shape = *scores.shape();
    let seq = shape.3;
    let table = |name, value: &dyn Fn(usize, usize) -> f64| {
        constants.matrix((name, &[]), (seq, seq), value)?.try_broadcast_like::<_, Axes2<0, 1>>(&shape)
    };
    let unseen = || table("unseen", &|t, j| if j <= t { 0.0 } else { f64::NEG_INFINITY });
    let seen = || table("seen", &|t, j| if j <= t { 1.0 } else { 0.0 });
    let mean = || table("mean", &|t, j| if j <= t { 1.0 / (t + 1) as f64 } else { 0.0 });
    match normaliser {
        Normaliser::Softmax => scores.try_add(unseen()?)?.try_softmax::<Axis<3>>(),
        Normaliser::SoftmaxOffByOne => {
            let scores = scores.try_add(unseen()?)?;
            // sum / (1 + sum) is the sigmoid of the sum's logarithm
            let some = scores.with_empty_tape().try_logsumexp::<_, Axis<3>>()?.try_sigmoid()?;
            scores.try_softmax::<Axis<3>>()?.try_mul(some.try_broadcast_like::<_, Axis<3>>(&shape)?)
        }
        Normaliser::Relu => scores.try_relu()?.try_mul(seen()?),
        Normaliser::MeanRelu => scores.try_relu()?.try_mul(mean()?),
        Normaliser::Sigmoid => {
            let shift = table("logarithm", &|t, _| -((t + 1) as f64).ln())?;
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
pub(super) fn spliced<E: Scalar, Dev: EngineDevice<E>>(
    (constants, node): (&Constants<E, Dev>, usize),
    base: TracedPattern<E, Dev>,
    other: TracedPattern<E, Dev>,
    chosen: &[bool],
) -> Result<TracedPattern<E, Dev>, Dev::Err> {
    let shape = *base.shape();
    let these = |wanted: bool| {
        let value = |_, head: usize| f64::from(u8::from(chosen[head] == wanted));
        let name = ("spliced", &[node as u64, u64::from(wanted)][..]);
        let mask = constants.matrix(name, (1, chosen.len()), value)?.try_reshape_like(&(chosen.len(),))?;
        mask.try_broadcast_like::<_, Axes3<0, 2, 3>>(&shape)
    };
    base.try_mul(these(false)?)?.try_add(other.try_mul(these(true)?)?)
}

/// `out[t]_h = sum_j pattern[h, t, j] v[j]_h`, the heads side by side: `[batch, seq, dim]`.
pub(super) fn mix<E: Scalar, Dev: EngineDevice<E>>(
    pattern: TracedPattern<E, Dev>,
    v: TracedStream<E, Dev>,
) -> Result<TracedStream<E, Dev>, Dev::Err> {
    let (shape, heads) = (*v.shape(), pattern.shape().1);
    let (batch, seq, dim) = shape;
    let pattern = pattern.try_reshape_like(&(batch * heads, seq, seq))?;
    let mixed = Dev::products(pattern, split_heads(v, heads)?, Right::Plain)?;
    if heads == 1 {
        return Ok(mixed);
    }
    let by_heads: TracedPattern<E, Dev> = mixed.try_reshape_like(&(batch, heads, seq, dim / heads))?;
    let beside: TracedPattern<E, Dev> = by_heads.try_permute::<_, Axes4<0, 2, 1, 3>>()?;
    beside.try_reshape_like(&shape)
}
