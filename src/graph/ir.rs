//! The recorded graph: plain data, read by the engines.
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::nn::ParamId;

use super::clamp::Clamp;

/// A node of the graph: a stream `[seq, dim]` or a pattern `[heads, seq, seq]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) usize);

/// A matrix that depends on parameters alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WeightId(pub(crate) usize);

impl NodeId {
    /// Position in [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0
    }
}

impl WeightId {
    /// Position in [`Graph::weights`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// Which row of a table each position of a sequence reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Index {
    /// Row `x[t]`, the token at the position.
    Tokens,
    /// Row `t`, the position itself.
    Positions,
    /// Row 0 at every position: a bias.
    First,
}

/// How attention scores become weights. `s` are the scores of one query at position `t`, over the keys `j <= t`.
#[derive(crate::config::Config, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Normaliser {
    /// `exp(s_j) / sum_i exp(s_i)`.
    Softmax,
    /// `exp(s_j) / (1 + sum_i exp(s_i))`: softmax with a sink of score 0 that holds nothing.
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

/// What a node computes, for one sequence; `seq` rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// `out[t] = table[index(t)]`.
    Lookup {
        /// `[rows, dim]`.
        table: WeightId,
        /// Which row.
        index: Index,
    },
    /// `out[t] = W x[t]`.
    Linear {
        /// `[out, in]`.
        weight: WeightId,
        /// `[seq, in]`.
        x: NodeId,
    },
    /// `a + b`.
    Add(NodeId, NodeId),
    /// `by * x`.
    Scale {
        /// `[seq, dim]`.
        x: NodeId,
        /// Factor.
        by: f64,
    },
    /// `out[t] = gain * x[t]`, element by element.
    Gain {
        /// `[seq, dim]`.
        x: NodeId,
        /// `[1, dim]`.
        gain: WeightId,
    },
    /// `(x[t] - mean) / sqrt(var + eps)` over the last axis, with the biased variance.
    Normalise {
        /// `[seq, dim]`.
        x: NodeId,
        /// Added to the variance.
        eps: f64,
    },
    /// `max(x, 0)`.
    Relu(NodeId),
    /// Rotary positions: pair `(2i, 2i + 1)` of each head turned by the angle `t * theta^(-2i / head width)`.
    Rotate {
        /// `[seq, dim]`.
        x: NodeId,
        /// Number of heads.
        heads: usize,
        /// Base of the angles.
        theta: f64,
    },
    /// Causal attention weights `[heads, seq, seq]`: `normaliser(scale * q_h k_h^T + bias)` over the keys `j <= t`, 0 beyond.
    Pattern {
        /// Queries `[seq, dim]`.
        q: NodeId,
        /// Keys `[seq, dim]`.
        k: NodeId,
        /// Number of heads; head `h` reads columns `h * dim / heads ..`.
        heads: usize,
        /// Factor of the scores.
        scale: f64,
        /// `[heads, distances]`: `bias[h, t - j]` is added to the scaled score.
        bias: Option<WeightId>,
        /// From scores to weights.
        normaliser: Normaliser,
    },
    /// A pattern that looks where its rule says, whatever the scores, in each head.
    ClampedPattern {
        /// Number of heads.
        heads: usize,
        /// Where it looks.
        clamp: Clamp,
    },
    /// A pattern of which some heads are those of another one. It is there to be read: [`super::Pattern::mix`] mixes with
    /// the two patterns.
    SplicedPattern {
        /// `[heads, seq, seq]`.
        base: NodeId,
        /// `[heads, seq, seq]`.
        other: NodeId,
        /// Whether each head is that of `other`.
        chosen: Arc<[bool]>,
    },
    /// `out[t]_h = sum_j pattern[h, t, j] v[j]_h`, the heads side by side.
    Mix {
        /// `[heads, seq, seq]`.
        pattern: NodeId,
        /// `[seq, dim]`.
        v: NodeId,
    },
    /// Zeros `[seq, dim]`.
    Zero,
    /// What a run is given for a patched site: a stream, or a pattern of `heads`.
    Given {
        /// Which of [`Graph::given`].
        slot: usize,
        /// Number of heads of a pattern.
        heads: Option<usize>,
    },
}

impl Op {
    /// The nodes that this one reads.
    pub fn inputs(&self) -> Vec<NodeId> {
        match *self {
            Op::Lookup { .. } | Op::Zero | Op::ClampedPattern { .. } | Op::Given { .. } => vec![],
            Op::Linear { x, .. }
            | Op::Scale { x, .. }
            | Op::Gain { x, .. }
            | Op::Normalise { x, .. }
            | Op::Rotate { x, .. }
            | Op::Relu(x) => vec![x],
            Op::Add(a, b) => vec![a, b],
            Op::Pattern { q, k, .. } => vec![q, k],
            Op::Mix { pattern, v } => vec![pattern, v],
            Op::SplicedPattern { base, other, .. } => vec![base, other],
        }
    }

    /// Whether the value is an attention pattern.
    pub fn is_pattern(&self) -> bool {
        matches!(
            self,
            Op::Pattern { .. }
                | Op::ClampedPattern { .. }
                | Op::SplicedPattern { .. }
                | Op::Given { heads: Some(_), .. }
        )
    }
}

/// One node: its operation and the number of columns of its value (heads, for a pattern).
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it computes.
    pub op: Op,
    /// Columns of a stream, heads of a pattern.
    pub cols: usize,
}

/// What a weights-only matrix is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum WeightOp {
    /// A parameter or buffer.
    Param(ParamId),
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
    /// The identity.
    Identity,
    /// These values, row-major; they never train.
    Constant(Arc<[f64]>),
}

/// A weights-only matrix and its shape.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightNode {
    /// How it is computed.
    pub op: WeightOp,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
}

/// A parameter that the graph reads.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamInfo {
    /// Its identity.
    pub id: ParamId,
    /// Rows (1 for a vector).
    pub rows: usize,
    /// Columns.
    pub cols: usize,
}

/// A patched site: its values are given to a run.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenSite {
    /// Its name.
    pub name: String,
    /// Number of heads, of a pattern `[heads, seq, seq]`.
    pub heads: Option<usize>,
    /// Width of a stream `[seq, dim]`; the number of positions, of a pattern.
    pub dim: usize,
}

/// What a model computes for one sequence of [`Graph::seq`] tokens.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) weights: Vec<WeightNode>,
    pub(crate) params: Vec<ParamInfo>,
    pub(crate) sites: BTreeMap<String, NodeId>,
    pub(crate) given: Vec<GivenSite>,
    pub(crate) logits: Option<NodeId>,
    pub(crate) seq: usize,
    pub(crate) vocab: usize,
}

impl Graph {
    /// The nodes, each after those that it reads.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The weights-only matrices, each after those that it reads.
    pub fn weights(&self) -> &[WeightNode] {
        &self.weights
    }

    /// The parameters and buffers that the graph reads.
    pub fn params(&self) -> &[ParamInfo] {
        &self.params
    }

    /// The named activations.
    pub fn sites(&self) -> &BTreeMap<String, NodeId> {
        &self.sites
    }

    /// The node with this name.
    pub fn site(&self, name: &str) -> Option<NodeId> {
        self.sites.get(name).copied()
    }

    /// The patched sites, whose values a run must be given.
    pub fn given(&self) -> &[GivenSite] {
        &self.given
    }

    /// The logits `[seq, vocab]`.
    pub fn logits(&self) -> NodeId {
        self.logits.expect("a recorded graph has logits")
    }

    /// Tokens in a sequence.
    pub fn seq(&self) -> usize {
        self.seq
    }

    /// Number of different tokens.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// The node of this operation, recorded now unless it is there already.
    pub(crate) fn node(&mut self, op: Op, cols: usize) -> NodeId {
        let node = Node { op, cols };
        NodeId(find_or_push(&mut self.nodes, node))
    }

    /// The weights-only matrix of this operation, recorded now unless it is there already. Trivial forms are simplified.
    pub(crate) fn weight(&mut self, op: WeightOp) -> WeightId {
        let size = |w: WeightId| (self.weights[w.0].rows, self.weights[w.0].cols);
        let is_identity = |w: WeightId| self.weights[w.0].op == WeightOp::Identity;
        let (rows, cols) = match op {
            WeightOp::Product(a, b) if is_identity(a) && size(a).1 == size(b).0 => return b,
            WeightOp::Product(a, b) if is_identity(b) && size(a).1 == size(b).0 => return a,
            WeightOp::Product(a, b) => {
                assert_eq!(size(a).1, size(b).0, "product of matrices that do not fit");
                (size(a).0, size(b).1)
            }
            WeightOp::Transpose(a) => {
                if let WeightOp::Transpose(inner) = self.weights[a.0].op {
                    return inner;
                }
                (size(a).1, size(a).0)
            }
            WeightOp::Sum(a, b) => {
                assert_eq!(size(a), size(b), "sum of matrices of different shapes");
                size(a)
            }
            WeightOp::Scale(a, 1.0) => return a,
            WeightOp::Scale(a, _) => size(a),
            WeightOp::ScaleColumns(a, g) => {
                assert_eq!(size(g), (1, size(a).1), "one gain for each column");
                size(a)
            }
            WeightOp::Param(_) | WeightOp::Identity | WeightOp::Constant(_) => {
                unreachable!("recorded with their shape")
            }
        };
        WeightId(find_or_push(&mut self.weights, WeightNode { op, rows, cols }))
    }

    /// The identity of this size.
    pub(crate) fn identity(&mut self, size: usize) -> WeightId {
        WeightId(find_or_push(
            &mut self.weights,
            WeightNode { op: WeightOp::Identity, rows: size, cols: size },
        ))
    }

    /// The node of the values that a run is given for a site.
    pub(crate) fn given_node(&mut self, site: GivenSite) -> NodeId {
        let (heads, cols) = (site.heads, site.heads.unwrap_or(site.dim));
        let slot = find_or_push(&mut self.given, site);
        self.node(Op::Given { slot, heads }, cols)
    }

    /// A matrix of these values.
    pub(crate) fn constant(&mut self, rows: usize, cols: usize, values: Arc<[f64]>) -> WeightId {
        assert_eq!(values.len(), rows * cols, "as many values as the matrix has places");
        WeightId(find_or_push(&mut self.weights, WeightNode { op: WeightOp::Constant(values), rows, cols }))
    }

    /// A parameter as a matrix (a vector is one row).
    pub(crate) fn param(&mut self, id: ParamId, rows: usize, cols: usize) -> WeightId {
        find_or_push(&mut self.params, ParamInfo { id, rows, cols });
        WeightId(find_or_push(&mut self.weights, WeightNode { op: WeightOp::Param(id), rows, cols }))
    }
}

/// Position of `item`, appended if it is not there. Graphs have tens of nodes: a search is as quick as a map.
fn find_or_push<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|x| *x == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}
