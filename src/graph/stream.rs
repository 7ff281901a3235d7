//! Activations.
use crate::backend::{Const, Dim};

use super::ir::{GivenSite, Index, NodeId, Op};
use super::record::Recorder;
use super::weight::Weight;

/// An activation `[seq, dim]` of one sequence, as an expression.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::graph::{Stream, Weight};
/// fn mapped(h: &Stream<usize, Const<8>>, w: &Weight<Const<16>, Const<8>>) -> Stream<usize, Const<16>> {
///     h.linear(w)
/// }
/// ```
#[derive(Clone)]
pub struct Stream<T: Dim, D: Dim> {
    recorder: Recorder,
    id: NodeId,
    seq: T,
    dim: D,
}

impl<T: Dim, D: Dim> Stream<T, D> {
    pub(crate) fn new(recorder: Recorder, id: NodeId, seq: T, dim: D) -> Self {
        Stream { recorder, id, seq, dim }
    }

    fn then<E: Dim>(&self, op: Op, dim: E) -> Stream<T, E> {
        let id = self.recorder.graph_mut().node(op, dim.size());
        Stream::new(self.recorder.clone(), id, self.seq, dim)
    }

    /// `out[t] = W x[t]` with `W` `[out, in]`: `[seq, out]`.
    pub fn linear<O: Dim>(&self, weight: &Weight<O, D>) -> Stream<T, O> {
        self.then(Op::Linear { weight: weight.id, x: self.id }, weight.rows)
    }

    /// `by * x`.
    pub fn scale(&self, by: f64) -> Self {
        if by == 1.0 { self.clone() } else { self.then(Op::Scale { x: self.id, by }, self.dim) }
    }

    /// `gain * x`, element by element along `dim`.
    pub fn gain(&self, gain: &Weight<Const<1>, D>) -> Self {
        self.then(Op::Gain { x: self.id, gain: gain.id }, self.dim)
    }

    /// `x + bias`, the same at every position.
    pub fn bias(&self, bias: &Weight<Const<1>, D>) -> Self {
        let op = Op::Lookup { table: bias.id, index: Index::First };
        self.clone() + self.then(op, self.dim)
    }

    /// `(x - mean) / sqrt(var + eps)` over `dim`, with the biased variance; gain and bias are separate.
    pub fn normalise(&self, eps: f64) -> Self {
        self.then(Op::Normalise { x: self.id, eps }, self.dim)
    }

    /// `max(x, 0)`.
    pub fn relu(&self) -> Self {
        self.then(Op::Relu(self.id), self.dim)
    }

    /// Rotary positions (RoFormer): each pair `(2i, 2i + 1)` of a head's columns is turned by
    /// `t * theta^(-2i / head width)`.
    ///
    /// # Panics
    /// If a head's width is odd; the library's blocks check this where a user can still be told.
    pub fn rotate(&self, heads: usize, theta: f64) -> Self {
        assert!(
            heads > 0 && self.dim.size().is_multiple_of(2 * heads),
            "rotary positions turn pairs: {heads} heads do not divide dim {} into even widths",
            self.dim.size()
        );
        self.then(Op::Rotate { x: self.id, heads, theta }, self.dim)
    }

    /// Zeros of this shape.
    pub(super) fn zero(&self) -> Self {
        self.then(Op::Zero, self.dim)
    }

    /// Rows of constants `[rows, dim]` instead of these.
    pub(super) fn held(&self, rows: usize, values: &[f64], index: Index) -> Self {
        let table = self.recorder.constant(rows, self.dim, values).id;
        self.then(Op::Lookup { table, index }, self.dim)
    }

    /// What a run is given for a site instead.
    pub(super) fn given(&self, site: &str) -> Self {
        let given = GivenSite { name: site.into(), heads: None, dim: self.dim.size() };
        let id = self.recorder.graph_mut().given_node(given);
        Stream::new(self.recorder.clone(), id, self.seq, self.dim)
    }

    /// The columns of the `chosen` heads from `other`, the others as they are.
    pub(super) fn spliced(&self, other: &Self, chosen: &[bool]) -> Self {
        let width = self.dim.size() / chosen.len();
        let only = |x: &Self, these: bool| {
            let columns =
                chosen.iter().flat_map(|c| std::iter::repeat_n(f64::from(u8::from(*c == these)), width));
            x.gain(&self.recorder.constant(Const::<1>, self.dim, &columns.collect::<Vec<_>>()))
        };
        only(self, false) + only(other, true)
    }

    /// Number of positions.
    pub fn seq(&self) -> T {
        self.seq
    }

    /// Width.
    pub fn dim(&self) -> D {
        self.dim
    }

    /// The node of this activation.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Where this activation is recorded.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }
}

impl<T: Dim, D: Dim> std::ops::Add for Stream<T, D> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        assert_eq!(self.seq.size(), other.seq.size(), "sum of streams over different numbers of positions");
        assert_eq!(self.dim.size(), other.dim.size(), "sum of streams of different widths");
        self.then(Op::Add(self.id, other.id), self.dim)
    }
}
