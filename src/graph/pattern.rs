//! Attention patterns.
use std::sync::Arc;

use crate::backend::Dim;

use super::clamp::Clamp;
use super::ir::{GivenSite, NodeId, Normaliser, Op};
use super::record::Recorder;
use super::stream::Stream;
use super::weight::Weight;

/// Causal attention weights of one layer, `[heads, seq, seq]`: row `t` weighs the positions `0..=t`.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::graph::{Normaliser, Pattern, Stream, Weight};
///
/// /// Keys and values are the stream itself, queries are mapped; one head.
/// fn attend(
///     h: &Stream<usize, Const<64>>,
///     wq: &Weight<Const<64>, Const<64>>,
/// ) -> Stream<usize, Const<64>> {
///     let pattern: Pattern<usize> = Pattern::new_causal(&h.linear(wq), h, 1, 0.125, Normaliser::Softmax);
///     pattern.mix(h)
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
    /// `normaliser(scale * q_h k_h^T)` over the keys at or before each query, for each head `h` of width `dim / heads`.
    ///
    /// # Panics
    /// If `heads` does not divide `dim`; the library's blocks check this where a user can still be told.
    pub fn new_causal<D: Dim>(
        q: &Stream<T, D>,
        k: &Stream<T, D>,
        heads: usize,
        scale: f64,
        normaliser: Normaliser,
    ) -> Self {
        let dim = q.dim().size();
        assert!(
            heads > 0 && dim.is_multiple_of(heads),
            "{heads} heads of equal width do not fit in dim {dim}"
        );
        let op = Op::Pattern { q: q.id(), k: k.id(), heads, scale, bias: None, normaliser };
        let id = q.recorder().graph_mut().node(op, heads);
        Pattern { recorder: q.recorder().clone(), id, seq: q.seq(), heads }
    }

    /// The same pattern with `bias[h, t - j]` added to head `h`'s score of the key at `j` for the query at `t`, behind the
    /// scale; `bias` is `[heads, distances]`.
    ///
    /// # Panics
    /// If `bias` has not a row for each head, or fewer columns than there are positions; the library's blocks check this
    /// where a user can still be told.
    pub fn with_bias<H: Dim, M: Dim>(self, bias: &Weight<H, M>) -> Self {
        let (heads, distances, seq) = (bias.rows.size(), bias.cols.size(), self.seq.size());
        assert_eq!(heads, self.heads, "a row of relative positions for each head");
        assert!(
            seq <= distances,
            "a sequence of {seq} positions needs as many relative positions, found {distances}"
        );
        let mut op = self.recorder.graph().nodes()[self.id.index()].op.clone();
        if let Op::Pattern { bias: place, .. } = &mut op {
            *place = Some(bias.id);
        }
        let id = self.recorder.graph_mut().node(op, heads);
        Pattern { id, ..self }
    }

    /// `out[t]_h = sum_j pattern[h, t, j] v[j]_h`, `[seq, dim]`.
    pub fn mix<D: Dim>(&self, v: &Stream<T, D>) -> Stream<T, D> {
        let op = self.recorder.graph().nodes()[self.id.index()].op.clone();
        match op {
            Op::ClampedPattern { clamp: Clamp::Nothing, .. } => v.zero(),
            Op::SplicedPattern { base, other, chosen } => {
                self.with(base).mix(v).spliced(&self.with(other).mix(v), &chosen)
            }
            _ => {
                let op = Op::Mix { pattern: self.id, v: v.id() };
                let id = self.recorder.graph_mut().node(op, v.dim().size());
                Stream::new(self.recorder.clone(), id, self.seq, v.dim())
            }
        }
    }

    /// The pattern of another node of this shape.
    fn with(&self, id: NodeId) -> Self {
        Pattern { id, ..self.clone() }
    }

    fn recorded(&self, op: Op) -> Self {
        self.with(self.recorder.graph_mut().node(op, self.heads))
    }

    /// A pattern that looks where `clamp` says.
    pub(super) fn clamped(&self, clamp: Clamp) -> Self {
        self.recorded(Op::ClampedPattern { heads: self.heads, clamp })
    }

    /// The pattern that a run is given for a site.
    pub(super) fn given(&self, site: &str) -> Self {
        let given = GivenSite { name: site.into(), heads: Some(self.heads), dim: self.seq.size() };
        self.with(self.recorder.graph_mut().given_node(given))
    }

    /// The `chosen` heads from `other`, the others as they are.
    pub(super) fn spliced(&self, other: &Self, chosen: Arc<[bool]>) -> Self {
        self.recorded(Op::SplicedPattern { base: self.id, other: other.id, chosen })
    }

    /// Number of positions.
    pub fn seq(&self) -> T {
        self.seq
    }

    /// Number of heads.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// The node of this pattern.
    pub fn id(&self) -> NodeId {
        self.id
    }
}
