//! The recorded graph: plain data, read by the engines.
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::mem::discriminant;
use std::sync::Arc;

use crate::nn::ParamId;
use crate::ops::RowOp;

use super::op::{Op, WeightOp};

/// A node of a [`Graph`]: a stream `[seq, dim]` or a pattern `[heads, seq, seq]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) usize);

/// A matrix that depends on parameters alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct WeightId(pub usize);

impl NodeId {
    /// Its place among the nodes of the graph.
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

impl WeightId {
    /// The number of the matrix in the graph.
    pub fn index(self) -> usize {
        self.0
    }
}

/// One node: its operation and the number of columns of its value (heads, for a pattern).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// What it computes.
    pub op: Op,
    /// Columns of a stream, heads of a pattern.
    pub cols: usize,
}

/// A weights-only matrix and its shape.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WeightNode {
    /// How it is computed.
    pub op: WeightOp,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
}

/// A parameter that the graph reads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ParamInfo {
    /// Its identity.
    pub id: ParamId,
    /// Its names in the model, the first of which messages use: several of a tied parameter, none if no field names it.
    pub names: Vec<String>,
    /// Rows (1 for a vector).
    pub rows: usize,
    /// Columns.
    pub cols: usize,
}

/// A site whose values are not computed but given to the engine that runs the graph (activation patching).
#[derive(Clone, Debug, PartialEq)]
pub struct PatchedSite {
    /// The name of the site.
    pub name: String,
    /// The number of heads of a pattern `[heads, seq, seq]`; `None` for a stream.
    pub heads: Option<usize>,
    /// The width of a stream `[seq, dim]`, or the number of positions of a pattern.
    pub dim: usize,
}

/// A recorded model: what it computes for one sequence of [`Graph::seq`] tokens, as data. [`record`](super::record) makes
/// it, engines run it, and `{}` prints it, one line a node.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    weights: Vec<WeightNode>,
    params: Vec<ParamInfo>,
    param_of: HashMap<ParamId, usize>,
    /// Where nodes and matrices like one that is asked for are to be looked for.
    alike: HashMap<u64, Vec<usize>>,
    pub(super) sites: BTreeMap<String, NodeId>,
    /// The heads of sites whose columns are heads side by side.
    pub(super) heads: BTreeMap<NodeId, usize>,
    patched: Vec<PatchedSite>,
    pub(super) logits: Option<NodeId>,
    pub(super) seq: usize,
    pub(super) vocab: usize,
}

impl Graph {
    /// The nodes, each after those that it reads.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The weights-only matrices, each after those that it reads.
    pub(crate) fn weights(&self) -> &[WeightNode] {
        &self.weights
    }

    /// The operations on rows, of streams and of weights-only matrices.
    pub(crate) fn row_ops(&self) -> impl Iterator<Item = &RowOp> {
        let of_streams = self.nodes.iter().filter_map(|node| match &node.op {
            Op::Rows { op, .. } => Some(op),
            _ => None,
        });
        let of_weights = self.weights.iter().filter_map(|weight| match &weight.op {
            WeightOp::Rows(op, _) => Some(op),
            _ => None,
        });
        of_streams.chain(of_weights)
    }

    /// The parameters and buffers that the graph reads.
    pub(crate) fn params(&self) -> &[ParamInfo] {
        &self.params
    }

    /// Returns the sites: their names, and the nodes that they name.
    pub fn sites(&self) -> &BTreeMap<String, NodeId> {
        &self.sites
    }

    /// Returns the node of the site with this name, or `None` if there is no such site.
    pub fn site(&self, name: &str) -> Option<NodeId> {
        self.sites.get(name).copied()
    }

    /// How many heads the columns of a stream are, side by side; `None` where nobody has said so.
    pub(crate) fn heads(&self, node: NodeId) -> Option<usize> {
        self.heads.get(&node).copied()
    }

    /// Returns the patched sites. An engine must be given values for each of them ([`crate::engine::Engine::patch`]).
    pub fn patched(&self) -> &[PatchedSite] {
        &self.patched
    }

    /// Returns the node of the logits `[seq, vocab]`.
    ///
    /// # Panics
    /// For `Graph::default()`, which no model recorded.
    pub fn logits(&self) -> NodeId {
        self.logits.expect("a recorded graph has logits")
    }

    /// Returns the number of tokens in a sequence.
    pub fn seq(&self) -> usize {
        self.seq
    }

    /// Returns the number of different tokens.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// Returns the number of nodes; each computes one stream or pattern.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Returns whether the graph has no node.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Returns whether the value of a node is an attention pattern `[heads, seq, seq]`; `false` for a node that this graph
    /// lacks.
    pub fn is_pattern(&self, node: NodeId) -> bool {
        self.nodes.get(node.0).is_some_and(|node| node.op.is_pattern())
    }

    /// Returns the width of a stream, or the number of heads of a pattern; 0 for a node that this graph lacks.
    pub fn width(&self, node: NodeId) -> usize {
        self.nodes.get(node.0).map_or(0, |node| node.cols)
    }

    /// Returns whether the value of `node` depends on that of `on`, which may be the same node; `false` for a node that
    /// this graph lacks.
    pub fn depends(&self, node: NodeId, on: NodeId) -> bool {
        if node.0 >= self.nodes.len() {
            return false;
        }
        let mut reached = vec![false; node.0 + 1];
        reached[node.0] = true;
        for i in (on.0..=node.0).rev() {
            if reached[i] {
                self.nodes[i].op.inputs().into_iter().for_each(|input| reached[input.0] = true);
            }
        }
        reached.get(on.0).copied().unwrap_or_default()
    }

    /// The node of this operation, recorded now unless it is there already.
    pub(crate) fn node(&mut self, op: Op, cols: usize) -> NodeId {
        let key = key(&(discriminant(&op), op.inputs(), op.weights(), cols));
        let node = Node { op, cols };
        let places = self.alike.entry(key).or_default();
        let found = places.iter().copied().find(|&i| self.nodes.get(i) == Some(&node));
        NodeId(found.unwrap_or_else(|| {
            places.push(self.nodes.len());
            self.nodes.push(node);
            self.nodes.len() - 1
        }))
    }

    fn weight_node(&mut self, op: WeightOp, rows: usize, cols: usize) -> WeightId {
        let param = if let WeightOp::Param(id) = op { Some(id) } else { None };
        let key = key(&(discriminant(&op), op.inputs(), param, rows, cols));
        let node = WeightNode { op, rows, cols };
        let places = self.alike.entry(key).or_default();
        let found = places.iter().copied().find(|&i| self.weights.get(i) == Some(&node));
        WeightId(found.unwrap_or_else(|| {
            places.push(self.weights.len());
            self.weights.push(node);
            self.weights.len() - 1
        }))
    }

    /// Rows and columns of a matrix.
    pub(crate) fn shape(&self, weight: WeightId) -> (usize, usize) {
        let node = &self.weights[weight.0];
        (node.rows, node.cols)
    }

    fn is_identity(&self, weight: WeightId) -> bool {
        self.weights[weight.0].op == WeightOp::Identity
    }

    /// `A B`; the sizes fit.
    pub(crate) fn product(&mut self, a: WeightId, b: WeightId) -> WeightId {
        if self.is_identity(a) {
            return b;
        }
        if self.is_identity(b) {
            return a;
        }
        let (rows, cols) = (self.shape(a).0, self.shape(b).1);
        self.weight_node(WeightOp::Product(a, b), rows, cols)
    }

    /// `A^T`.
    pub(crate) fn transpose(&mut self, a: WeightId) -> WeightId {
        match self.weights[a.0].op {
            WeightOp::Transpose(inner) => inner,
            WeightOp::Identity => a,
            _ => {
                let (rows, cols) = self.shape(a);
                self.weight_node(WeightOp::Transpose(a), cols, rows)
            }
        }
    }

    /// `A + B`; the shapes are the same.
    pub(crate) fn sum(&mut self, a: WeightId, b: WeightId) -> WeightId {
        let (rows, cols) = self.shape(a);
        self.weight_node(WeightOp::Sum(a, b), rows, cols)
    }

    /// `by * A`.
    pub(crate) fn scaled(&mut self, a: WeightId, by: f64) -> WeightId {
        if by == 1.0 {
            return a;
        }
        let (rows, cols) = self.shape(a);
        self.weight_node(WeightOp::Scale(a, by), rows, cols)
    }

    /// `A diag(gain)`, with a gain `[1, cols]`.
    pub(crate) fn scale_columns(&mut self, a: WeightId, gain: WeightId) -> WeightId {
        let (rows, cols) = self.shape(a);
        self.weight_node(WeightOp::ScaleColumns(a, gain), rows, cols)
    }

    /// An operation on each row of matrices of one height; `cols` is the width that it puts out.
    pub(crate) fn rowwise(&mut self, op: RowOp, inputs: Vec<WeightId>, cols: usize) -> WeightId {
        let rows = self.shape(inputs[0]).0;
        self.weight_node(WeightOp::Rows(op, inputs), rows, cols)
    }

    /// The identity of this size.
    pub(crate) fn identity(&mut self, size: usize) -> WeightId {
        self.weight_node(WeightOp::Identity, size, size)
    }

    /// A matrix of these values, as many as it has places.
    pub(crate) fn constant(&mut self, rows: usize, cols: usize, values: Arc<[f64]>) -> WeightId {
        self.weight_node(WeightOp::Constant(values), rows, cols)
    }

    /// A parameter as a matrix (a vector is one row).
    pub(crate) fn param(&mut self, param: ParamInfo) -> WeightId {
        let ParamInfo { id, rows, cols, .. } = param;
        if let std::collections::hash_map::Entry::Vacant(place) = self.param_of.entry(id) {
            place.insert(self.params.len());
            self.params.push(param);
        }
        self.weight_node(WeightOp::Param(id), rows, cols)
    }

    /// The node of the values of a patched site.
    pub(crate) fn patched_node(&mut self, site: PatchedSite) -> NodeId {
        let (heads, cols) = (site.heads, site.heads.unwrap_or(site.dim));
        let slot = self.patched.iter().position(|known| *known == site).unwrap_or_else(|| {
            self.patched.push(site);
            self.patched.len() - 1
        });
        self.node(Op::Patched { slot, heads }, cols)
    }

    /// A matrix in words: `'output.weight' [65, 64]`, `('a' 'b') [64, 64]`.
    pub(crate) fn weight_words(&self, weight: WeightId) -> String {
        let (rows, cols) = self.shape(weight);
        format!("{} [{rows}, {cols}]", self.weight_text(weight))
    }

    /// A matrix as a formula of parameters.
    pub(crate) fn weight_text(&self, weight: WeightId) -> String {
        let text = |w: WeightId| self.weight_text(w);
        match &self.weights[weight.0].op {
            WeightOp::Param(id) => {
                let name = self.param_of.get(id).and_then(|i| self.params[*i].names.first());
                name.map_or_else(|| "a parameter without a name".into(), |name| format!("'{name}'"))
            }
            WeightOp::Product(a, b) => format!("({} {})", text(*a), text(*b)),
            WeightOp::Transpose(a) => format!("{}^T", text(*a)),
            WeightOp::Sum(a, b) => format!("({} + {})", text(*a), text(*b)),
            WeightOp::Scale(a, by) => format!("{by} {}", text(*a)),
            WeightOp::ScaleColumns(a, g) => format!("{} diag({})", text(*a), text(*g)),
            WeightOp::Rows(op, inputs) => {
                let inputs: Vec<String> = inputs.iter().map(|w| text(*w)).collect();
                format!("{}({})", crate::ops::Operation::text(op), inputs.join(", "))
            }
            WeightOp::Identity => "1".into(),
            WeightOp::Constant(_) => "a constant".into(),
        }
    }

    /// A node in words: the shape as the model wrote it, and the nearest site.
    pub(crate) fn node_words(&self, node: NodeId) -> String {
        let Node { op, cols } = &self.nodes[node.0];
        let seq = self.seq;
        let shape =
            if op.is_pattern() { format!("[{cols}, {seq}, {seq}]") } else { format!("[{seq}, {cols}]") };
        match self.nearest_site(node) {
            Some((name, true)) => format!("'{name}' {shape}"),
            Some((name, false)) => format!("{} {shape} made from '{name}'", op.name()),
            None => format!("{} {shape}", op.name()),
        }
    }

    /// The site that a node is, or else the last one before it on the way from the tokens.
    fn nearest_site(&self, node: NodeId) -> Option<(&str, bool)> {
        let mut reached = vec![false; node.0 + 1];
        reached[node.0] = true;
        for i in (0..=node.0).rev().filter(|i| *i == node.0 || !self.sites.is_empty()) {
            if !reached[i] {
                continue;
            }
            if let Some((name, _)) = self.sites.iter().find(|(_, site)| site.0 == i) {
                return Some((name, i == node.0));
            }
            self.nodes[i].op.inputs().into_iter().for_each(|input| reached[input.0] = true);
        }
        None
    }
}

fn key(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
