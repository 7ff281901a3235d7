//! Streams: activations `[seq, dim]`.
use crate::backend::{Const, Dim};
use crate::ops::{Operation, RowOp};

use super::graph::{NodeId, PatchedSite};
use super::op::{Index, Op};
use super::record::Recorder;
use super::weight::Weight;

/// A vector for each position of one sequence, `[seq, dim]`. It is a handle of the recorded graph, without values; cloning it
/// costs nothing at run time.
///
/// `T` is the number of positions, `D` the width. Sizes that are `Const` are checked by the compiler. Sizes that are
/// `usize` are checked when the model is recorded; what does not fit becomes the error of [`record`](super::record).
///
/// ```
/// use ihead::backend::Const;
/// use ihead::graph::{Stream, Weight};
///
/// /// SwiGLU: `(silu(W_g x) * W_u x)`, `[seq, 16]`.
/// fn gated(
///     x: &Stream<usize, Const<8>>,
///     gate: &Weight<Const<16>, Const<8>>,
///     up: &Weight<Const<16>, Const<8>>,
/// ) -> Stream<usize, Const<16>> {
///     x.linear(gate).silu() * x.linear(up)
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

    /// What stands for a result that there is not; recording fails with what was found and what was expected.
    fn refused<E: Dim>(&self, operation: &str, found: String, expected: &str, dim: E) -> Stream<T, E> {
        self.recorder.misfit(operation, found, expected);
        self.then(Op::Zero, dim)
    }

    /// The activation in words, for messages.
    fn words(&self) -> String {
        self.recorder.graph().node_words(self.id)
    }

    /// Maps each position by a matrix `W` `[out, in]`: `out[t] = W x[t]`, `[seq, out]`.
    pub fn linear<O: Dim>(&self, weight: &Weight<O, D>) -> Stream<T, O> {
        let inputs = weight.cols.size();
        if !self.recorder.owns(&weight.recorder) {
            return self.refused(
                "linear",
                "a matrix of another recording".into(),
                "one of this model",
                weight.rows,
            );
        }
        if inputs != self.dim.size() {
            let found = format!("{} of {}", weight.words(), self.words());
            return self.refused("linear", found, &format!("a stream of width {inputs}"), weight.rows);
        }
        self.then(Op::Linear { weight: weight.id, x: self.id }, weight.rows)
    }

    /// Multiplies by a number, which must be finite: `by * x`, `[seq, dim]`.
    pub fn scale(&self, by: f64) -> Self {
        if !by.is_finite() {
            return self.refused(
                "scale",
                format!("{by} times {}", self.words()),
                "a finite number",
                self.dim,
            );
        }
        if by == 1.0 { self.clone() } else { self.then(Op::Scale { x: self.id, by }, self.dim) }
    }

    /// Multiplies each position by a vector, element by element: `out[t] = gain * x[t]`, `[seq, dim]`.
    pub fn gain(&self, gain: &Weight<Const<1>, D>) -> Self {
        match self.vector_misfit("gain", gain) {
            Some(refused) => refused,
            None => self.then(Op::Gain { x: self.id, gain: gain.id }, self.dim),
        }
    }

    /// Adds a vector to each position: `out[t] = x[t] + bias`, `[seq, dim]`.
    pub fn bias(&self, bias: &Weight<Const<1>, D>) -> Self {
        match self.vector_misfit("bias", bias) {
            Some(refused) => refused,
            None => self.clone() + self.then(Op::Lookup { table: bias.id, index: Index::First }, self.dim),
        }
    }

    fn sum_misfit(&self, operation: &str, other: &Self) -> Option<Self> {
        if !self.recorder.owns(&other.recorder) {
            let found = "a stream of another recording".into();
            return Some(self.refused(operation, found, "one of this model", self.dim));
        }
        let shape = |x: &Self| (x.seq.size(), x.dim.size());
        (shape(self) != shape(other)).then(|| {
            let found = format!("{} and {}", self.words(), other.words());
            self.refused(operation, found, "streams of the same shape", self.dim)
        })
    }

    fn vector_misfit(&self, operation: &str, vector: &Weight<Const<1>, D>) -> Option<Self> {
        if !self.recorder.owns(&vector.recorder) {
            let found = "a vector of another recording".into();
            return Some(self.refused(operation, found, "one of this model", self.dim));
        }
        (vector.cols.size() != self.dim.size()).then(|| {
            let found = format!("{} and {}", vector.words(), self.words());
            self.refused(operation, found, &format!("a vector of width {}", self.dim.size()), self.dim)
        })
    }

    /// An operation on rows of this stream and the `others`; `width` is that of the result.
    pub(crate) fn rowwise<O: Dim>(&self, op: RowOp, others: &[&Self], width: O) -> Stream<T, O> {
        let name = op.text();
        if others.iter().any(|other| !self.recorder.owns(&other.recorder)) {
            return self.refused(&name, "a stream of another recording".into(), "one of this model", width);
        }
        if let Some(other) = others.iter().find(|other| other.seq.size() != self.seq.size()) {
            let found = format!("{} and {}", self.words(), other.words());
            return self.refused(&name, found, "streams over the same positions", width);
        }
        let inputs = || std::iter::once(self).chain(others.iter().copied());
        let words = || inputs().map(Self::words).collect::<Vec<_>>().join(" and ");
        let widths: Vec<usize> = inputs().map(|x| x.dim.size()).collect();
        match op.width(&widths) {
            Err(problem) => self.refused(&name, words(), &problem, width),
            Ok(found) if found != width.size() => {
                let result = format!("{} as a stream of width {}", words(), width.size());
                self.refused(&name, result, &format!("width {found}"), width)
            }
            Ok(_) => {
                let inputs = inputs().map(|x| x.id).collect();
                self.then(Op::Rows { op, inputs, heads: 1 }, width)
            }
        }
    }

    /// An operation on the columns of each head by themselves.
    pub(crate) fn rowwise_heads(&self, op: RowOp, heads: usize) -> Self {
        if heads == 0 || !self.dim.size().is_multiple_of(heads) {
            let found = format!("{} in {heads} heads", self.words());
            return self.refused(&op.text(), found, "a number of heads that divides the width", self.dim);
        }
        if let Err(problem) = op.width(&[self.dim.size() / heads]) {
            return self.refused(&op.text(), self.words(), &problem, self.dim);
        }
        self.then(Op::Rows { op, inputs: vec![self.id], heads }, self.dim)
    }

    /// Takes the softmax over the columns of each head separately, `[seq, dim]`. The heads must divide `dim`.
    pub fn softmax_heads(&self, heads: usize) -> Self {
        self.rowwise_heads(RowOp::Softmax(crate::ops::Softmax), heads)
    }

    /// Rotates queries or keys by their positions, `[seq, dim]` (rotary positions; Su and others 2021).
    ///
    /// At position `t`, each pair `(2i, 2i + 1)` of a head's columns is turned by the angle `t * theta^(-2i / head width)`, in
    /// radians; `theta` is 10000 in most models, and must be positive and finite. The heads must divide `dim` into even widths.
    pub fn rotate(&self, heads: usize, theta: f64) -> Self {
        if heads == 0 || !self.dim.size().is_multiple_of(heads.saturating_mul(2)) {
            let found = format!("{} in {heads} heads", self.words());
            return self.refused("rotate", found, "heads of an even width: pairs are turned", self.dim);
        }
        if !(theta.is_finite() && theta > 0.0) {
            let found = format!("angles of the base {theta}");
            return self.refused("rotate", found, "a base that is positive and finite", self.dim);
        }
        self.then(Op::Rotate { x: self.id, heads, theta }, self.dim)
    }

    /// Gives each position the vector `by` positions earlier: `out[t] = x[t - by]`, and zeros where there is none,
    /// `[seq, dim]`.
    pub fn shift(&self, by: usize) -> Self {
        if by == 0 { self.clone() } else { self.then(Op::Shift { x: self.id, by }, self.dim) }
    }

    /// Takes the `width` columns from column `first` on, counted from 0: `[seq, width]`.
    pub fn columns<O: Dim>(&self, first: usize, width: O) -> Stream<T, O> {
        let (n, dim) = (width.size(), self.dim.size());
        match first.checked_add(n) {
            Some(end) if n > 0 && end <= dim => self.then(Op::Columns { x: self.id, first }, width),
            _ => {
                let found = format!("{n} columns from {first} on of {}", self.words());
                self.refused(
                    "columns",
                    found,
                    &format!("one column at least, and columns below {dim}"),
                    width,
                )
            }
        }
    }

    /// Puts the columns of `other` behind those of this stream: `[seq, width]`, where `width` must be the sum of both widths.
    pub fn concat<E: Dim, O: Dim>(&self, other: &Stream<T, E>, width: O) -> Stream<T, O> {
        if !self.recorder.owns(&other.recorder) {
            return self.refused(
                "concat",
                "a stream of another recording".into(),
                "one of this model",
                width,
            );
        }
        let sum = self.dim.size().saturating_add(other.dim.size());
        if sum != width.size() || self.seq.size() != other.seq.size() {
            let found =
                format!("{} beside {} as a stream of width {}", self.words(), other.words(), width.size());
            return self.refused("concat", found, &format!("width {sum}, over the same positions"), width);
        }
        let parts = |id: NodeId| match &self.recorder.graph().nodes()[id.index()].op {
            Op::Concat(parts) => parts.clone(),
            _ => vec![id],
        };
        let inputs = [parts(self.id), parts(other.id)].concat();
        self.then(Op::Concat(inputs), width)
    }

    /// Returns the same stream with its width as another type: `Const<N>` for a `usize`, or the other way round. The widths
    /// must be equal.
    pub fn sized<O: Dim>(&self, width: O) -> Stream<T, O> {
        if width.size() != self.dim.size() {
            let expected = format!("width {}", width.size());
            return self.refused("sized", self.words(), &expected, width);
        }
        Stream::new(self.recorder.clone(), self.id, self.seq, width)
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

    /// The values of a patched site instead.
    pub(super) fn patched(&self, site: &str) -> Self {
        let patched = PatchedSite { name: site.into(), heads: None, dim: self.dim.size() };
        let id = self.recorder.graph_mut().patched_node(patched);
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

    /// Returns the number of positions.
    pub fn seq(&self) -> T {
        self.seq
    }

    /// Returns the width.
    pub fn dim(&self) -> D {
        self.dim
    }

    /// Returns the node of this stream in the graph.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Returns the recorder of the forward pass that this stream belongs to.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }
}

/// The sum `a + b` of streams of the same shape, element by element.
impl<T: Dim, D: Dim> std::ops::Add for Stream<T, D> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        match self.sum_misfit("sum", &other) {
            Some(refused) => refused,
            None => self.then(Op::Add(self.id, other.id), self.dim),
        }
    }
}

/// The difference `a - b` of streams of the same shape, element by element.
impl<T: Dim, D: Dim> std::ops::Sub for Stream<T, D> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        match self.sum_misfit("difference", &other) {
            Some(refused) => refused,
            None => self + other.scale(-1.0),
        }
    }
}
