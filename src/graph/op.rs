//! What a node computes.
use std::sync::Arc;

use crate::ops::{Operation, RowOp};

use super::fixed::FixedPattern;
use super::graph::{NodeId, WeightId};

/// Which row of a table each position of a sequence reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Index {
    /// Row `x[t]`, by the token at the position.
    Tokens,
    /// Row `t`, by the position.
    Positions,
    /// Row 0 at every position: a bias.
    First,
}

/// How attention scores become weights: the function of the scores `s` of one query at position `t`, over the keys `j <= t`.
#[derive(crate::config::Config, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Normaliser {
    /// `exp(s_j) / sum_i exp(s_i)`.
    Softmax,
    /// `exp(s_j) / (1 + sum_i exp(s_i))`: softmax with an extra key of score 0 and value 0 (an attention sink).
    SoftmaxOffByOne,
    /// `max(s_j, 0)`.
    Relu,
    /// `max(s_j, 0) / (t + 1)`.
    MeanRelu,
    /// `1 / (1 + exp(ln(t + 1) - s_j))`: like a softmax's weight while scores are small, but keys do not compete.
    Sigmoid,
    /// `s_j`: linear attention.
    Linear,
    /// `s_j / (t + 1)`.
    MeanLinear,
}

/// What is added to the scaled scores of one head, `[seq, seq]`, row-major; minus infinity where a key is not seen.
pub(crate) type MaskTable = Arc<[f64]>;

/// From products of queries and keys to weights: `normaliser(scale * q_h k_h^T + bias + mask)` over the keys `j <= t`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scoring {
    /// Number of heads; head `h` reads columns `h * width ..` of the queries.
    pub heads: usize,
    /// Number of heads of the keys; it divides `heads`, and so many heads in a row share one.
    pub key_heads: usize,
    /// Factor of the products.
    pub scale: f64,
    /// `[heads, distances]`: `bias[h, t - j]` is added to the scaled product.
    pub bias: Option<WeightId>,
    /// What is added for each query and key, a head; empty where no head has a mask.
    pub masks: Vec<Option<MaskTable>>,
    /// From scores to weights.
    pub normaliser: Normaliser,
}

impl Scoring {
    /// The mask of a head.
    pub fn mask(&self, head: usize) -> Option<&MaskTable> {
        self.masks.get(head)?.as_ref()
    }
}

/// What a node computes, for one sequence; `seq` rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    /// `out[t] = table[index(t)]`, with a table `[rows, dim]`.
    Lookup { table: WeightId, index: Index },
    /// `out[t] = W x[t]`, with `W` `[out, in]`.
    Linear { weight: WeightId, x: NodeId },
    /// `a + b`.
    Add(NodeId, NodeId),
    /// `by * x`.
    Scale { x: NodeId, by: f64 },
    /// `out[t] = gain * x[t]`, element by element, with a gain `[1, dim]`.
    Gain { x: NodeId, gain: WeightId },
    /// Each row by itself, the columns of each of the `heads` by themselves.
    Rows { op: RowOp, inputs: Vec<NodeId>, heads: usize },
    /// Rotary positions: pair `(2i, 2i + 1)` of each head turned by the angle `t * theta^(-2i / head width)`.
    Rotate { x: NodeId, heads: usize, theta: f64 },
    /// `out[t] = x[t - by]`, zeros before position `by`.
    Shift { x: NodeId, by: usize },
    /// The columns of `x` from `first` on, as many as the node has.
    Columns { x: NodeId, first: usize },
    /// The columns of all inputs, side by side.
    Concat(Vec<NodeId>),
    /// Causal attention weights `[heads, seq, seq]`.
    Pattern { q: NodeId, k: NodeId, scoring: Scoring },
    /// An attention pattern that follows a rule, the same in each head.
    FixedPattern { heads: usize, rule: FixedPattern },
    /// A pattern of which some heads, the chosen ones, are those of another one. It is there to be read:
    /// [`super::Pattern::mix`] mixes with the two patterns.
    SplicedPattern { base: NodeId, other: NodeId, chosen: Arc<[bool]> },
    /// `out[t]_h = sum_j pattern[h, t, j] v[j]_g`, the heads side by side; `v` has `value_heads` heads, and `g` is the one
    /// that head `h` shares.
    Mix { pattern: NodeId, v: NodeId, value_heads: usize },
    /// Zeros `[seq, dim]`.
    Zero,
    /// The values of a patched site, number `slot` of the graph's: a stream, or a pattern of `heads`.
    Patched { slot: usize, heads: Option<usize> },
}

impl Op {
    /// The nodes that this one reads.
    pub fn inputs(&self) -> Vec<NodeId> {
        match *self {
            Op::Lookup { .. } | Op::Zero | Op::FixedPattern { .. } | Op::Patched { .. } => vec![],
            Op::Linear { x, .. }
            | Op::Scale { x, .. }
            | Op::Gain { x, .. }
            | Op::Rotate { x, .. }
            | Op::Shift { x, .. }
            | Op::Columns { x, .. } => vec![x],
            Op::Rows { ref inputs, .. } | Op::Concat(ref inputs) => inputs.clone(),
            Op::Add(a, b) => vec![a, b],
            Op::Pattern { q, k, .. } => vec![q, k],
            Op::Mix { pattern, v, .. } => vec![pattern, v],
            Op::SplicedPattern { base, other, .. } => vec![base, other],
        }
    }

    /// The matrices that it reads.
    pub fn weights(&self) -> Vec<WeightId> {
        match *self {
            Op::Lookup { table: weight, .. } | Op::Linear { weight, .. } | Op::Gain { gain: weight, .. } => {
                vec![weight]
            }
            Op::Pattern { ref scoring, .. } => scoring.bias.into_iter().collect(),
            Op::Add(..)
            | Op::Scale { .. }
            | Op::Rows { .. }
            | Op::Rotate { .. }
            | Op::Shift { .. }
            | Op::Columns { .. }
            | Op::Concat(_)
            | Op::FixedPattern { .. }
            | Op::SplicedPattern { .. }
            | Op::Mix { .. }
            | Op::Zero
            | Op::Patched { .. } => vec![],
        }
    }

    /// The inputs of which position `t` reads other positions than `t` alone.
    pub fn reads_across(&self) -> Vec<NodeId> {
        match *self {
            Op::Shift { x, .. } => vec![x],
            Op::Pattern { k, .. } => vec![k],
            Op::Mix { v, .. } => vec![v],
            Op::Lookup { .. }
            | Op::Linear { .. }
            | Op::Add(..)
            | Op::Scale { .. }
            | Op::Gain { .. }
            | Op::Rows { .. }
            | Op::Rotate { .. }
            | Op::Columns { .. }
            | Op::Concat(_)
            | Op::FixedPattern { .. }
            | Op::SplicedPattern { .. }
            | Op::Zero
            | Op::Patched { .. } => vec![],
        }
    }

    /// Whether the value is an attention pattern.
    pub fn is_pattern(&self) -> bool {
        match self {
            Op::Pattern { .. } | Op::FixedPattern { .. } | Op::SplicedPattern { .. } => true,
            Op::Patched { heads, .. } => heads.is_some(),
            Op::Lookup { .. }
            | Op::Linear { .. }
            | Op::Add(..)
            | Op::Scale { .. }
            | Op::Gain { .. }
            | Op::Rows { .. }
            | Op::Rotate { .. }
            | Op::Shift { .. }
            | Op::Columns { .. }
            | Op::Concat(_)
            | Op::Mix { .. }
            | Op::Zero => false,
        }
    }

    /// The word for it in messages.
    pub fn name(&self) -> String {
        match self {
            Op::Lookup { .. } => "lookup".into(),
            Op::Linear { .. } => "linear".into(),
            Op::Add(..) => "sum".into(),
            Op::Scale { .. } => "scale".into(),
            Op::Gain { .. } => "gain".into(),
            Op::Rows { op, .. } => op.text(),
            Op::Rotate { .. } => "rotate".into(),
            Op::Shift { .. } => "shift".into(),
            Op::Columns { .. } => "columns".into(),
            Op::Concat(_) => "concat".into(),
            Op::Pattern { .. } => "pattern".into(),
            Op::FixedPattern { .. } => "fixed pattern".into(),
            Op::SplicedPattern { .. } => "spliced pattern".into(),
            Op::Mix { .. } => "mix".into(),
            Op::Zero => "zero".into(),
            Op::Patched { .. } => "patched".into(),
        }
    }
}

/// What a weights-only matrix is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WeightOp {
    /// A parameter or buffer.
    Param(crate::nn::ParamId),
    /// `A B`.
    Product(WeightId, WeightId),
    /// `A^T`.
    Transpose(WeightId),
    /// `A + B`.
    Sum(WeightId, WeightId),
    /// `by * A`.
    Scale(WeightId, f64),
    /// `A diag(g)`: column `c` of `A` times `g[0, c]`.
    ScaleColumns(WeightId, WeightId),
    /// Each row by itself.
    Rows(RowOp, Vec<WeightId>),
    /// The identity.
    Identity,
    /// These values, row-major; they never train.
    Constant(Arc<[f64]>),
}

impl WeightOp {
    /// The matrices that it is made of.
    pub fn inputs(&self) -> Vec<WeightId> {
        match *self {
            WeightOp::Param(_) | WeightOp::Identity | WeightOp::Constant(_) => vec![],
            WeightOp::Transpose(a) | WeightOp::Scale(a, _) => vec![a],
            WeightOp::Product(a, b) | WeightOp::Sum(a, b) | WeightOp::ScaleColumns(a, b) => vec![a, b],
            WeightOp::Rows(_, ref inputs) => inputs.clone(),
        }
    }
}
