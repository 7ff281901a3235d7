//! What a request needs of a graph.
use crate::engine::Request;
use crate::graph::{Graph, NodeId, Op, WeightId, WeightOp};
use crate::nn::ParamId;

/// For nodes and weights, whether each is computed and whether its making is put on the tape.
pub(super) struct Needs {
    /// Nodes that the loss or a read depends on.
    pub nodes: Vec<bool>,
    /// The same of weights.
    pub weights: Vec<bool>,
    /// Nodes that the loss depends on and that depend on something that trains.
    pub traced_nodes: Vec<bool>,
    /// The same of weights.
    pub traced_weights: Vec<bool>,
    /// Nodes that something else than the sum of two streams reads: rows that all sequences share are repeated for these.
    ///
    /// dfdx keeps a tensor that is repeated along an axis once. On a GPU, the gradient of a reshaped one has only as many elements as are
    /// kept, and the others are lost without a word; products of a batch refuse it.
    pub repeated: Vec<bool>,
    /// Parameters that train and on which the loss depends, with the weight that each is.
    pub gradients: Vec<(ParamId, WeightId)>,
}

impl Needs {
    /// The needs of `request`, where `trains` tells which parameters train.
    pub fn new(graph: &Graph, request: &Request, trains: &dyn Fn(ParamId) -> bool) -> Needs {
        let loss = reached(graph, request.losses.iter().map(|term| term.node(graph)));
        let reads = reached(graph, request.reads.iter().map(|(node, _)| *node));
        let training = training(graph, trains);
        let parameters = graph.weights().iter().enumerate().filter_map(|(i, node)| match node.op {
            WeightOp::Param(id) if loss.1[i] && training.1[i] => Some((id, WeightId(i))),
            _ => None,
        });
        Needs {
            gradients: parameters.collect(),
            nodes: either(&loss.0, &reads.0),
            weights: either(&loss.1, &reads.1),
            traced_nodes: both(&loss.0, &training.0),
            traced_weights: both(&loss.1, &training.1),
            repeated: repeated(graph, request),
        }
    }
}

fn either(a: &[bool], b: &[bool]) -> Vec<bool> {
    a.iter().zip(b).map(|(a, b)| a | b).collect()
}

fn both(a: &[bool], b: &[bool]) -> Vec<bool> {
    a.iter().zip(b).map(|(a, b)| a & b).collect()
}

/// The nodes and weights on which `roots` depend, themselves included.
fn reached(graph: &Graph, roots: impl IntoIterator<Item = NodeId>) -> (Vec<bool>, Vec<bool>) {
    let (mut nodes, mut weights) = (vec![false; graph.nodes().len()], vec![false; graph.weights().len()]);
    roots.into_iter().for_each(|root| nodes[root.index()] = true);
    for (i, node) in graph.nodes().iter().enumerate().rev() {
        if nodes[i] {
            node.op.inputs().into_iter().for_each(|input| nodes[input.index()] = true);
            node.op.weights().into_iter().for_each(|weight| weights[weight.index()] = true);
        }
    }
    for (i, weight) in graph.weights().iter().enumerate().rev() {
        if weights[i] {
            weight.op.inputs().into_iter().for_each(|part| weights[part.index()] = true);
        }
    }
    (nodes, weights)
}

/// The nodes that a term of the loss reads, or an operation that is not the sum of two streams.
fn repeated(graph: &Graph, request: &Request) -> Vec<bool> {
    let mut repeated = vec![false; graph.nodes().len()];
    request.losses.iter().for_each(|term| repeated[term.node(graph).index()] = true);
    for node in graph.nodes() {
        if !matches!(node.op, Op::Add(a, b) if a != b) {
            node.op.inputs().into_iter().for_each(|input| repeated[input.index()] = true);
        }
    }
    repeated
}

/// The nodes and weights that depend on a parameter that trains.
fn training(graph: &Graph, trains: &dyn Fn(ParamId) -> bool) -> (Vec<bool>, Vec<bool>) {
    let mut weights = Vec::with_capacity(graph.weights().len());
    for weight in graph.weights() {
        let own = matches!(weight.op, WeightOp::Param(id) if trains(id));
        weights.push(own || weight.op.inputs().iter().any(|part| weights[part.index()]));
    }
    let mut nodes = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let own = node.op.weights().iter().any(|weight| weights[weight.index()]);
        nodes.push(own || node.op.inputs().iter().any(|input| nodes[input.index()]));
    }
    (nodes, weights)
}
