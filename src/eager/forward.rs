//! One micro-batch through the graph.
use crate::backend::{
    Axis, EngineDevice, Merge, NoneTape, OwnedTape, Scalar, SplitTape, Tape, Tensor, TryAdd, TryMul,
};
use crate::data::Batch;
use crate::engine::Given;
use crate::graph::{Graph, Index, Node, NodeId, Op, WeightId, WeightOp};

use super::needs::Needs;
use super::{Matrix, Pattern, Stream, attention, ops, scalar, weights};

/// The value of a node.
#[derive(Clone)]
pub(super) enum Value<E: Scalar, Dev: EngineDevice<E>> {
    /// `[batch, seq, dim]`.
    Stream(Stream<E, Dev>),
    /// `[batch, heads, seq, seq]`.
    Pattern(Pattern<E, Dev>),
}

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

    /// What a patched site is given for these sequences.
    fn given<E: Scalar, Dev: EngineDevice<E>>(
        &self,
        device: &Dev,
        given: &Given<E>,
        slot: usize,
    ) -> Result<Value<E, Dev>, Dev::Err> {
        let values = given.sequences(slot, self.first..self.first + self.batch).to_vec();
        match given.shape(slot)[..] {
            [heads, rows, cols] => {
                device.try_tensor_from_vec(values, (self.batch, heads, rows, cols)).map(Value::Pattern)
            }
            _ => {
                let cols = values.len() / (self.batch * self.seq);
                device.try_tensor_from_vec(values, (self.batch, self.seq, cols)).map(Value::Stream)
            }
        }
    }

    /// The table row of every position, `[batch, seq]`.
    fn rows<E: Scalar, Dev: EngineDevice<E>>(
        &self,
        device: &Dev,
        index: Index,
    ) -> Result<Tensor<(usize, usize), usize, Dev>, Dev::Err> {
        let rows = match index {
            Index::Tokens => self.x.clone(),
            Index::Positions => (0..self.batch * self.seq).map(|i| i % self.seq).collect(),
            Index::First => vec![0; self.batch * self.seq],
        };
        device.try_tensor_from_vec(rows, (self.batch, self.seq))
    }
}

/// Values of the weights and nodes of a graph for one micro-batch, and the tape of those that are on it.
pub(super) struct Forward<E: Scalar, Dev: EngineDevice<E>> {
    weights: Vec<Option<Matrix<E, Dev>>>,
    nodes: Vec<Option<Value<E, Dev>>>,
    /// How the traced values were made.
    pub tape: OwnedTape<E, Dev>,
}

impl<E: Scalar, Dev: EngineDevice<E>> Forward<E, Dev> {
    /// Computes what is needed; `params[i]` is the matrix of weight `i` where that is a parameter, `given` what patched sites
    /// are.
    pub fn run(
        device: &Dev,
        graph: &Graph,
        needs: &Needs,
        params: &[Option<Matrix<E, Dev>>],
        given: &Given<E>,
        part: &MicroBatch,
    ) -> Result<Self, Dev::Err> {
        let mut this = Forward {
            weights: params.to_vec(),
            nodes: vec![None; graph.nodes().len()],
            tape: OwnedTape::default(),
        };
        for (i, weight) in graph.weights().iter().enumerate() {
            if !needs.weights[i] || matches!(weight.op, WeightOp::Param(_)) {
                continue;
            }
            this.weights[i] = Some(if needs.traced_weights[i] {
                let (value, tape): (_, OwnedTape<E, Dev>) =
                    weights::evaluate(device, weight, |w| this.weight(w))?;
                this.tape = this.tape.merge(tape);
                value
            } else {
                weights::evaluate::<E, Dev, NoneTape>(device, weight, |w| this.weight(w))?.0
            });
        }
        for (i, node) in graph.nodes().iter().enumerate() {
            if !needs.nodes[i] {
                continue;
            }
            this.nodes[i] = Some(if let Op::Given { slot, .. } = node.op {
                part.given(device, given, slot)?
            } else if needs.traced_nodes[i] {
                let (value, tape) = this.node::<OwnedTape<E, Dev>>(device, node, part)?;
                this.tape = this.tape.merge(tape);
                value
            } else {
                this.node::<NoneTape>(device, node, part)?.0
            });
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

    /// Computes one node from those before it, on a tape of its own.
    fn node<T: Tape<E, Dev>>(
        &self,
        device: &Dev,
        node: &Node,
        part: &MicroBatch,
    ) -> Result<(Value<E, Dev>, T), Dev::Err> {
        let (batch, seq) = (part.batch, part.seq);
        let stream = |id: NodeId| self.stream(id).retaped::<T>();
        let weight = |id: WeightId| self.weight(id).retaped::<T>();
        let pattern = |value: Pattern<E, Dev, T>| {
            let (value, tape) = value.split_tape();
            Ok((Value::Pattern(value), tape))
        };
        let out = match node.op {
            Op::Lookup { table, index } => ops::lookup(weight(table), &part.rows(device, index)?)?,
            Op::Linear { weight: w, x } => ops::linear(stream(x), weight(w))?,
            Op::Add(a, b) if a == b => ops::double(stream(a))?,
            Op::Add(a, b) => stream(a).try_add(stream(b))?,
            Op::Scale { x, by } => stream(x).try_mul(scalar::<E>(by))?,
            Op::Gain { x, gain } => ops::gain(stream(x), weight(gain))?,
            Op::Normalise { x, eps } => stream(x).try_normalize::<Axis<2>>(eps)?,
            Op::Relu(x) => stream(x).try_relu()?,
            Op::Rotate { x, heads, theta } => ops::rotate(stream(x), heads, theta)?,
            Op::Mix { pattern, v } => attention::mix(self.pattern(pattern).retaped::<T>(), stream(v))?,
            Op::Given { .. } => unreachable!("given values are not computed"),
            Op::Zero => device.try_zeros_like(&(batch, seq, node.cols))?.retaped::<T>(),
            Op::Pattern { q, k, heads, scale, bias, normaliser } => {
                let mut scores = attention::products(stream(q), stream(k), heads, scale)?;
                if let Some(bias) = bias {
                    scores = attention::biased(scores, weight(bias))?;
                }
                return pattern(attention::normalised(scores, normaliser)?);
            }
            Op::ClampedPattern { heads, ref clamp } => {
                return pattern(attention::clamped(device, clamp, &part.x, heads, seq)?.retaped());
            }
            Op::SplicedPattern { base, other, ref chosen } => {
                let [base, other] = [base, other].map(|p| self.pattern(p).retaped::<T>());
                return pattern(attention::spliced(base, other, chosen)?);
            }
        };
        let (value, tape) = out.split_tape();
        Ok((Value::Stream(value), tape))
    }
}
