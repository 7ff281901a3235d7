//! One micro-batch through the graph.
use std::cell::OnceCell;

use crate::backend::{
    Axes2, Axis, BroadcastTo, EngineDevice, GatherTo, HasShape, Merge, OwnedTape, ReshapeTo, Scalar,
    SplitTape, TryAdd, TryMul,
};
use crate::data::Batch;
use crate::engine::{Patches, RowLists, RowSet};
use crate::graph::{Graph, Index, Node, NodeId, Op, WeightId, WeightOp};
use crate::ops::Operation;

use super::attention::{self, Masks};
use super::constants::{Constants, Indices};
use super::needs::Needs;
use super::ops::{self, Place};
use super::{Matrix, Pattern, Stream, TracedMatrix, TracedPattern, TracedStream, scalar, weights};

/// The value of a node.
#[derive(Clone)]
pub(super) enum Value<E: Scalar, Dev: EngineDevice<E>> {
    /// `[batch, seq, dim]`.
    Stream(Stream<E, Dev>),
    /// `[batch, heads, seq, seq]`.
    Pattern(Pattern<E, Dev>),
}

/// The value of a node, and the tape of its making.
type TracedValue<E, Dev> = (Value<E, Dev>, OwnedTape<E, Dev>);

/// Some whole sequences of a batch.
pub(super) struct MicroBatch {
    /// Number of the first.
    pub first: usize,
    /// How many.
    pub batch: usize,
    /// Tokens of each.
    pub seq: usize,
    /// Tokens `[batch, seq]`.
    pub x: Vec<usize>,
    /// Next tokens `[batch, seq]`.
    pub y: Vec<usize>,
}

impl MicroBatch {
    /// At most `size` sequences of `batch`, from `first` on.
    pub fn new(batch: &Batch, first: usize, size: usize) -> MicroBatch {
        let (seq, end) = (batch.seq, (first + size).min(batch.batch));
        let tokens = |all: &[u32]| all[first * seq..end * seq].iter().map(|&t| t as usize).collect();
        MicroBatch { first, batch: end - first, seq, x: tokens(&batch.x), y: tokens(&batch.y) }
    }

    /// The rows of a set, counted through `batch * seq`.
    pub fn chosen(&self, set: RowSet, rows: &[RowLists]) -> Vec<usize> {
        let of_sequence = |i: usize| -> Vec<usize> {
            match set {
                RowSet::All => (i * self.seq..(i + 1) * self.seq).collect(),
                RowSet::Set(k) => {
                    rows[k].sequence(self.first + i).iter().map(|&t| i * self.seq + t as usize).collect()
                }
            }
        };
        (0..self.batch).flat_map(of_sequence).collect()
    }

    /// The values of a patched site for these sequences.
    fn patched<E: Scalar, Dev: EngineDevice<E>>(
        &self,
        device: &Dev,
        patches: &Patches<E>,
        slot: usize,
    ) -> Result<Value<E, Dev>, Dev::Err> {
        let values = patches.sequences(slot, self.first..self.first + self.batch).to_vec();
        match patches.shape(slot)[..] {
            [heads, rows, cols] => {
                device.try_tensor_from_vec(values, (self.batch, heads, rows, cols)).map(Value::Pattern)
            }
            _ => {
                let cols = values.len() / (self.batch * self.seq);
                device.try_tensor_from_vec(values, (self.batch, self.seq, cols)).map(Value::Stream)
            }
        }
    }
}

/// Values of the weights and nodes of a graph for one micro-batch, and the tape of those that are on it.
pub(super) struct Forward<'a, E: Scalar, Dev: EngineDevice<E>> {
    constants: &'a Constants<E, Dev>,
    needs: &'a Needs,
    /// The tokens, on the device once a node has asked for them.
    tokens: OnceCell<Indices<Dev>>,
    weights: Vec<Option<Matrix<E, Dev>>>,
    nodes: Vec<Option<Value<E, Dev>>>,
    /// How the traced values were made.
    pub tape: OwnedTape<E, Dev>,
}

impl<'a, E: Scalar, Dev: EngineDevice<E>> Forward<'a, E, Dev> {
    /// Computes what is needed; `params[i]` is the matrix of weight `i` where that is a parameter, `patches` the values of patched
    /// sites.
    pub fn run(
        constants: &'a Constants<E, Dev>,
        graph: &Graph,
        needs: &'a Needs,
        params: &[Option<Matrix<E, Dev>>],
        patches: &Patches<E>,
        part: &MicroBatch,
    ) -> Result<Self, Dev::Err> {
        let mut this = Forward {
            constants,
            needs,
            tokens: OnceCell::new(),
            weights: params.to_vec(),
            nodes: vec![None; graph.nodes().len()],
            tape: OwnedTape::default(),
        };
        for (i, weight) in graph.weights().iter().enumerate() {
            if !needs.weights[i] || matches!(weight.op, WeightOp::Param(_)) {
                continue;
            }
            let (value, tape) = weights::evaluate(constants, (i, weight), |w| this.weight(w))?.split_tape();
            this.weights[i] = Some(value);
            if needs.traced_weights[i] {
                this.tape = this.tape.merge(tape);
            }
        }
        for (i, node) in graph.nodes().iter().enumerate() {
            if !needs.nodes[i] {
                continue;
            }
            if let Op::Patched { slot, .. } = node.op {
                this.nodes[i] = Some(part.patched(&constants.device, patches, slot)?);
                continue;
            }
            let (value, tape) = this.node(i, node, part)?;
            this.nodes[i] = Some(value);
            if needs.traced_nodes[i] {
                this.tape = this.tape.merge(tape);
            }
        }
        Ok(this)
    }

    /// The value of a node that was needed.
    pub fn value(&self, id: NodeId) -> &Value<E, Dev> {
        self.nodes[id.index()].as_ref().expect("a node is needed by all that read it")
    }

    /// The value of a node that is a stream.
    pub fn stream(&self, id: NodeId) -> &Stream<E, Dev> {
        match self.value(id) {
            Value::Stream(x) => x,
            Value::Pattern(_) => unreachable!("handles are typed: a pattern is read only by mixes"),
        }
    }

    fn pattern(&self, id: NodeId) -> &Pattern<E, Dev> {
        match self.value(id) {
            Value::Pattern(x) => x,
            Value::Stream(_) => unreachable!("handles are typed: a mix reads a pattern"),
        }
    }

    fn weight(&self, id: WeightId) -> Matrix<E, Dev> {
        self.weights[id.index()].clone().expect("a weight is needed by all that read it")
    }

    /// The rows of a table that positions look up, `[batch, seq, dim]`. What is the same in every sequence, or at every position, is
    /// looked up once: on a GPU the gradient of a lookup is added row by row, and waits for itself where many rows are one. It is
    /// repeated for each of them where [`Needs::repeated`] says so.
    fn lookup(
        &self,
        node: usize,
        table: TracedMatrix<E, Dev>,
        index: Index,
        part: &MicroBatch,
    ) -> Result<TracedStream<E, Dev>, Dev::Err> {
        let (shape, constants) = ((part.batch, part.seq, table.shape().1), self.constants);
        let shared = match index {
            Index::Positions => {
                let rows = constants.indices(("positions", &[]), (1, part.seq), &|_, t| t)?;
                let rows: TracedStream<E, Dev> = table.try_gather(rows)?;
                rows.try_reshape_like(&(shape.1, shape.2))?.try_broadcast_like::<_, Axis<0>>(&shape)?
            }
            Index::First => {
                let row: TracedStream<E, Dev> =
                    table.try_gather(constants.indices(("first", &[]), (1, 1), &|_, _| 0)?)?;
                row.try_reshape_like(&(shape.2,))?.try_broadcast_like::<_, Axes2<0, 1>>(&shape)?
            }
            Index::Tokens => return table.try_gather(self.tokens(part)?),
        };
        if self.needs.repeated[node] {
            return shared.try_add(constants.device.try_zeros_like(&shape)?);
        }
        Ok(shared)
    }

    /// The tokens `[batch, seq]`.
    fn tokens(&self, part: &MicroBatch) -> Result<Indices<Dev>, Dev::Err> {
        if let Some(known) = self.tokens.get() {
            return Ok(known.clone());
        }
        let tokens = self.constants.device.try_tensor_from_vec(part.x.clone(), (part.batch, part.seq))?;
        Ok(self.tokens.get_or_init(|| tokens).clone())
    }

    /// Computes node `i` from those before it, on a tape of its own.
    fn node(&self, i: usize, node: &Node, part: &MicroBatch) -> Result<TracedValue<E, Dev>, Dev::Err> {
        let (batch, seq, constants) = (part.batch, part.seq, self.constants);
        let device = &constants.device;
        let stream = |id: NodeId| -> TracedStream<E, Dev> { self.stream(id).retaped() };
        let weight = |id: WeightId| -> TracedMatrix<E, Dev> { self.weight(id).retaped() };
        let pattern = |value: TracedPattern<E, Dev>| {
            let (value, tape) = value.split_tape();
            Ok((Value::Pattern(value), tape))
        };
        let out = match node.op {
            Op::Lookup { table, index } => self.lookup(i, weight(table), index, part)?,
            Op::Linear { weight: w, x } => ops::linear(stream(x), weight(w))?,
            Op::Add(a, b) if a == b => ops::double(stream(a))?,
            Op::Add(a, b) => stream(a).try_add(stream(b))?,
            Op::Scale { x, by } => stream(x).try_mul(scalar::<E>(by))?,
            Op::Gain { x, gain } => ops::gain(stream(x), weight(gain))?,
            Op::Rows { ref op, ref inputs, heads } => {
                let by_heads = |x: TracedStream<E, Dev>| {
                    let width = x.shape().2;
                    x.try_reshape_like(&(batch, seq * heads, width / heads))
                };
                let inputs = inputs.iter().map(|x| by_heads(stream(*x))).collect::<Result<Vec<_>, _>>()?;
                op.dfdx(inputs)?.try_reshape_like(&(batch, seq, node.cols))?
            }
            Op::Rotate { x, heads, theta } => ops::rotate(constants, stream(x), heads, theta)?,
            Op::Shift { x, by } => ops::shift(constants, stream(x), by)?,
            Op::Columns { x, first } => ops::columns(constants, stream(x), node.cols, Place::From(first))?,
            Op::Concat(ref inputs) => {
                let mut sum: TracedStream<E, Dev> =
                    device.try_zeros_like(&(batch, seq, node.cols))?.retaped();
                let mut first = 0;
                for input in inputs {
                    let x = stream(*input);
                    let width = x.shape().2;
                    sum = sum.try_add(ops::columns(constants, x, node.cols, Place::To(first))?)?;
                    first += width;
                }
                sum
            }
            Op::Mix { pattern, v, value_heads } => {
                let pattern: TracedPattern<E, Dev> = self.pattern(pattern).retaped();
                let heads = pattern.shape().1;
                attention::mix(pattern, attention::shared(constants, stream(v), value_heads, heads)?)?
            }
            Op::Patched { .. } => unreachable!("the values of patched sites are not computed"),
            Op::Zero => device.try_zeros_like(&(batch, seq, node.cols))?.retaped(),
            Op::Pattern { q, k, ref scoring } => {
                let k = attention::shared(constants, stream(k), scoring.key_heads, scoring.heads)?;
                let mut scores = attention::products(stream(q), k, scoring.heads, scoring.scale)?;
                if let Some(bias) = scoring.bias {
                    scores = attention::biased(constants, scores, weight(bias))?;
                }
                if scoring.masks.is_empty() {
                    return pattern(attention::normalised(constants, scores, scoring.normaliser)?);
                }
                let masks = Masks { constants, node: i, scoring };
                let scores = scores.try_add(masks.added(batch, seq)?)?;
                let seen = masks.seen(batch, seq)?;
                return pattern(attention::normalised(constants, scores, scoring.normaliser)?.try_mul(seen)?);
            }
            Op::FixedPattern { heads, ref rule } => {
                return pattern(attention::fixed(device, rule, &part.x, heads, seq)?.retaped());
            }
            Op::SplicedPattern { base, other, ref chosen } => {
                let [base, other]: [TracedPattern<E, Dev>; 2] =
                    [base, other].map(|p| self.pattern(p).retaped());
                return pattern(attention::spliced((constants, i), base, other, chosen)?);
            }
        };
        let (value, tape) = out.split_tape();
        Ok((Value::Stream(value), tape))
    }
}
