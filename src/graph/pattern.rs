//! Attention patterns.
use std::sync::Arc;

use crate::backend::Dim;

use super::fixed::FixedPattern;
use super::graph::{NodeId, PatchedSite};
use super::mask::Mask;
use super::op::{Normaliser, Op, Scoring};
use super::record::Recorder;
use super::stream::Stream;
use super::weight::Weight;

/// How queries and keys become attention weights: the number of heads, the scale of the scores and the normaliser.
///
/// ```
/// use ihead::graph::{Normaliser, Scores};
/// let scores = Scores::new(8).key_heads(2).normaliser(Normaliser::Relu);
/// assert_eq!(scores.scale_for(128), 1.0 / 4.0); // 1 / sqrt(head width), unless another is set
/// assert_eq!(scores.scale(1.0).scale_for(128), 1.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// The number of heads. It divides the width of the queries.
    pub heads: usize,
    /// The number of heads of keys and values. It divides `heads`; neighbouring heads share one (grouped-query attention).
    pub key_heads: usize,
    /// The factor of the products `q k^T`; `1 / sqrt(head width)` if `None`.
    pub scale: Option<f64>,
    /// The function from scores to weights.
    pub normaliser: Normaliser,
}

impl Scores {
    /// Makes the usual choice: softmax over products divided by the square root of the heads' width, and as many heads of
    /// keys as of queries.
    pub fn new(heads: usize) -> Scores {
        Scores { heads, key_heads: heads, scale: None, normaliser: Normaliser::Softmax }
    }

    /// Returns the same scores with this number of heads of keys and values.
    pub fn key_heads(self, key_heads: usize) -> Scores {
        Scores { key_heads, ..self }
    }

    /// Returns the same scores with this factor before each product of a query and a key.
    pub fn scale(self, scale: f64) -> Scores {
        Scores { scale: Some(scale), ..self }
    }

    /// Returns the same scores with another function from scores to weights.
    pub fn normaliser(self, normaliser: Normaliser) -> Scores {
        Scores { normaliser, ..self }
    }

    /// Returns the factor of the products for queries of width `dim`: the one that is set, or `1 / sqrt(dim / heads)`.
    pub fn scale_for(&self, dim: usize) -> f64 {
        self.scale.unwrap_or_else(|| 1.0 / ((dim / self.heads.max(1)) as f64).sqrt())
    }

    /// What is wrong with queries and keys of these widths.
    fn problem(&self, queries: usize, keys: usize) -> Option<String> {
        let Scores { heads, key_heads, .. } = *self;
        if heads == 0 || !queries.is_multiple_of(heads) {
            return Some(format!("a number of heads that divides the width {queries}, not {heads}"));
        }
        if key_heads == 0 || !heads.is_multiple_of(key_heads) {
            return Some(format!("a number of key heads that divides the {heads} heads, not {key_heads}"));
        }
        let expected = queries / heads * key_heads;
        (keys != expected).then(|| format!("keys of width {expected}"))
    }
}

/// An attention pattern: causal weights `[heads, seq, seq]`, where row `t` has the weights of the positions `0..=t`.
///
/// It is a handle of the recorded graph, without values, like [`Stream`]. [`nn::Attention`](crate::nn::Attention) makes one
/// from its own maps; use a pattern directly for attention of another form.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::graph::{FixedPattern, Mask, Pattern, Scores, Stream, Weight};
///
/// /// Keys and values are the stream itself, queries are mapped; one head that sees eight positions.
/// fn attend(
///     h: &Stream<usize, Const<64>>,
///     wq: &Weight<Const<64>, Const<64>>,
/// ) -> Stream<usize, Const<64>> {
///     let pattern = Pattern::causal(&h.linear(wq), h, Scores::new(1).scale(0.125));
///     pattern.masked(&Mask::window(8)).mix(h)
/// }
///
/// /// What stood at the position before.
/// fn before(h: &Stream<usize, Const<64>>) -> Stream<usize, Const<64>> {
///     Pattern::fixed(h, 1, FixedPattern::Previous).mix(h)
/// }
/// ```
#[derive(Clone)]
pub struct Pattern<T: Dim> {
    recorder: Recorder,
    id: NodeId,
    seq: T,
    heads: usize,
}

impl<T: Dim> Pattern<T> {
    /// Computes the pattern of queries and keys: `normaliser(scale * q_h k_g^T)` over the keys at or before each query, for
    /// each head `h`.
    ///
    /// Queries are `[seq, dim]`, keys `[seq, dim]` or, with fewer heads of keys, `[seq, key_heads * head width]`;
    /// neighbouring heads then share a head `g` of keys.
    pub fn causal<D: Dim, K: Dim>(q: &Stream<T, D>, k: &Stream<T, K>, scores: Scores) -> Self {
        let recorder = q.recorder().clone();
        let (seq, heads) = (q.seq(), scores.heads.max(1));
        let words = |id: NodeId| recorder.graph().node_words(id);
        if !recorder.owns(k.recorder()) {
            recorder.misfit("pattern", "keys of another recording".into(), "those of this model");
        } else if q.seq().size() != k.seq().size() {
            let found = format!("queries {} and keys {}", words(q.id()), words(k.id()));
            recorder.misfit("pattern", found, "the same positions");
        } else if let Some(expected) = scores.problem(q.dim().size(), k.dim().size()) {
            let found = format!("queries {} and keys {}", words(q.id()), words(k.id()));
            recorder.misfit("pattern", found, &expected);
        } else if !scores.scale_for(q.dim().size()).is_finite() {
            let found = format!("scores times {}", scores.scale_for(q.dim().size()));
            recorder.misfit("pattern", found, "a finite number");
        } else {
            let scale = scores.scale_for(q.dim().size());
            // scores are multiplied by a number that is not below zero, since a softmax takes their largest one before
            let q = if scale < 0.0 { &q.scale(-1.0) } else { q };
            let scoring = Scoring {
                heads,
                key_heads: scores.key_heads,
                scale: scale.abs(),
                bias: None,
                masks: vec![],
                normaliser: scores.normaliser,
            };
            let id = recorder.graph_mut().node(Op::Pattern { q: q.id(), k: k.id(), scoring }, heads);
            return Pattern { recorder, id, seq, heads };
        }
        Pattern::nothing(recorder, seq, heads)
    }

    /// Makes the attention pattern `[heads, seq, seq]` of a rule, the same in each head. Of `x`, `[seq, dim]`, only the
    /// number of positions is read.
    pub fn fixed<D: Dim>(x: &Stream<T, D>, heads: usize, rule: FixedPattern) -> Self {
        let (recorder, seq) = (x.recorder().clone(), x.seq());
        if heads == 0 {
            recorder.misfit("fixed pattern", "0 heads".into(), "one at least");
            return Pattern::nothing(recorder, seq, 1);
        }
        if let Some(problem) = rule.problem(seq.size()) {
            recorder.refuse(problem);
            return Pattern::nothing(recorder, seq, heads);
        }
        let id = recorder.graph_mut().node(Op::FixedPattern { heads, rule }, heads);
        Pattern { recorder, id, seq, heads }
    }

    /// What stands for a pattern that there is not.
    fn nothing(recorder: Recorder, seq: T, heads: usize) -> Self {
        let op = Op::FixedPattern { heads, rule: FixedPattern::Nothing };
        let id = recorder.graph_mut().node(op, heads);
        Pattern { recorder, id, seq, heads }
    }

    /// The scoring, of a pattern that is made of scores.
    fn scoring(&self, operation: &str) -> Option<(NodeId, NodeId, Scoring)> {
        if let Op::Pattern { q, k, ref scoring } = self.recorder.graph().nodes()[self.id.index()].op {
            return Some((q, k, scoring.clone()));
        }
        if !self.recorder.failed() {
            self.recorder.misfit(operation, "a fixed pattern".into(), "one that is made of scores");
        }
        None
    }

    /// Adds `bias[h, t - j]` to head `h`'s scaled score of the key at `j` for the query at `t`, in the place of a bias that
    /// the pattern has already.
    ///
    /// `bias` is `[heads, distances]`, with at least as many distances as positions. A pattern that is fixed by a rule has
    /// no scores; a bias of it is an error when the model is recorded.
    pub fn with_bias<H: Dim, M: Dim>(self, bias: &Weight<H, M>) -> Self {
        let (heads, distances, seq) = (bias.rows.size(), bias.cols.size(), self.seq.size());
        let Some((q, k, mut scoring)) = self.scoring("bias of scores") else { return self };
        if !self.recorder.owns(&bias.recorder) {
            self.recorder.misfit(
                "bias of scores",
                "a matrix of another recording".into(),
                "one of this model",
            );
            return self;
        }
        if heads != self.heads || distances < seq {
            let expected =
                format!("a row for each of {} heads, a column for each of {seq} distances", self.heads);
            self.recorder.misfit("bias of scores", bias.words(), &expected);
            return self;
        }
        scoring.bias = Some(bias.id);
        self.recorded(Op::Pattern { q, k, scoring })
    }

    /// Masks the scores of all heads, in the place of masks that they have already ([`Mask::and`] joins two).
    pub fn masked(self, mask: &Mask) -> Self {
        // a recording that has failed may hold any number of heads
        let heads = if self.recorder.failed() { vec![] } else { (0..self.heads).collect() };
        self.masked_heads(&heads, mask)
    }

    /// Masks the scores of the listed heads, in the place of masks that they have already.
    pub fn masked_heads(self, heads: &[usize], mask: &Mask) -> Self {
        let Some((q, k, mut scoring)) = self.scoring("mask") else { return self };
        if let Some(head) = heads.iter().find(|head| **head >= self.heads) {
            self.recorder.misfit("mask", format!("head {head}"), &format!("heads below {}", self.heads));
            return self;
        }
        match mask.table(self.seq.size()) {
            Ok(table) => {
                scoring.masks.resize(self.heads, None);
                heads.iter().for_each(|head| scoring.masks[*head] = Some(table.clone()));
                self.recorded(Op::Pattern { q, k, scoring })
            }
            Err(problem) => {
                self.recorder.misfit("mask", problem, "a finite score or minus infinity");
                self
            }
        }
    }

    /// Sums values by the weights of the pattern: `out[t]_h = sum_j pattern[h, t, j] v[j]_h`, `[seq, dim]`. The columns of
    /// `v`, `[seq, dim]`, are as many heads side by side as the pattern has.
    pub fn mix<D: Dim>(&self, v: &Stream<T, D>) -> Stream<T, D> {
        self.mix_grouped(v, self.heads, v.dim())
    }

    /// Sums values like [`mix`](Self::mix), with fewer heads of values than of the pattern; neighbouring heads share one.
    ///
    /// `v` is `[seq, value_heads * width]`, the result `[seq, heads * width]`, and `dim` must be its width. With one head
    /// of values, each head mixes the whole of `v`.
    pub fn mix_grouped<D: Dim, O: Dim>(&self, v: &Stream<T, D>, value_heads: usize, dim: O) -> Stream<T, O> {
        let recorder = &self.recorder;
        let stream = |op: Op| {
            let id = recorder.graph_mut().node(op, dim.size());
            Stream::new(recorder.clone(), id, self.seq, dim)
        };
        if !recorder.owns(v.recorder()) {
            recorder.misfit("mix", "values of another recording".into(), "those of this model");
            return stream(Op::Zero);
        }
        if let Some(expected) = self.mix_problem(v, value_heads, dim.size()) {
            let (words, heads) = (recorder.graph().node_words(v.id()), self.heads);
            let found =
                format!("{words} in {value_heads} heads, mixed by {heads} heads to width {}", dim.size());
            recorder.misfit("mix", found, &expected);
            return stream(Op::Zero);
        }
        let op = recorder.graph().nodes()[self.id.index()].op.clone();
        match op {
            Op::FixedPattern { rule: FixedPattern::Nothing, .. } => stream(Op::Zero),
            Op::SplicedPattern { base, other, chosen } => {
                let [base, other] = [base, other].map(|id| self.with(id).mix_grouped(v, value_heads, dim));
                base.spliced(&other, &chosen)
            }
            _ => stream(Op::Mix { pattern: self.id, v: v.id(), value_heads }),
        }
    }

    /// What is expected instead of `v` in so many heads, mixed to width `dim`.
    fn mix_problem<D: Dim>(&self, v: &Stream<T, D>, value_heads: usize, dim: usize) -> Option<String> {
        let (heads, width) = (self.heads, v.dim().size());
        if v.seq().size() != self.seq.size() {
            return Some("values at the same positions".into());
        }
        if value_heads == 0 || !heads.is_multiple_of(value_heads) {
            return Some(format!(
                "a number of value heads that divides the {heads} heads, not {value_heads}"
            ));
        }
        if !width.is_multiple_of(value_heads) {
            return Some(format!(
                "a number of value heads that divides the width {width}, not {value_heads}"
            ));
        }
        let expected = (width / value_heads).saturating_mul(heads);
        (dim != expected).then(|| format!("a result of width {expected}"))
    }

    /// The pattern of another node of this shape.
    fn with(&self, id: NodeId) -> Self {
        Pattern { id, ..self.clone() }
    }

    fn recorded(&self, op: Op) -> Self {
        self.with(self.recorder.graph_mut().node(op, self.heads))
    }

    /// An attention pattern that follows `rule`.
    pub(super) fn clamped(&self, rule: FixedPattern) -> Self {
        self.recorded(Op::FixedPattern { heads: self.heads, rule })
    }

    /// The values of a patched site.
    pub(super) fn patched(&self, site: &str) -> Self {
        let patched = PatchedSite { name: site.into(), heads: Some(self.heads), dim: self.seq.size() };
        self.with(self.recorder.graph_mut().patched_node(patched))
    }

    /// The `chosen` heads from `other`, the others as they are.
    pub(super) fn spliced(&self, other: &Self, chosen: Arc<[bool]>) -> Self {
        self.recorded(Op::SplicedPattern { base: self.id, other: other.id, chosen })
    }

    /// Returns the number of positions.
    pub fn seq(&self) -> T {
        self.seq
    }

    /// Returns the number of heads.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Returns the recorder of the forward pass that this pattern belongs to.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Returns the node of this pattern in the graph.
    pub fn id(&self) -> NodeId {
        self.id
    }
}
