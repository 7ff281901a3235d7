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
    /// Parameters that train and on which the loss depends, with the weight that each is.
    pub gradients: Vec<(ParamId, WeightId)>,
}

impl Needs {
    /// The needs of `request`, where `trains` tells which parameters train.
    pub fn new(graph: &Graph, request: &Request, trains: &dyn Fn(ParamId) -> bool) -> Needs {
        let loss = reached(graph, request.loss.map(|_| graph.logits()));
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
        }
    }
}

fn either(a: &[bool], b: &[bool]) -> Vec<bool> {
    a.iter().zip(b).map(|(a, b)| a | b).collect()
}

fn both(a: &[bool], b: &[bool]) -> Vec<bool> {
    a.iter().zip(b).map(|(a, b)| a & b).collect()
}

/// The weight that a node reads, if it reads one.
fn weight_of(op: &Op) -> Option<WeightId> {
    match *op {
        Op::Lookup { table: weight, .. } | Op::Linear { weight, .. } | Op::Gain { gain: weight, .. } => {
            Some(weight)
        }
        Op::Pattern { bias, .. } => bias,
        _ => None,
    }
}

/// The weights that a weight is made of.
fn parts_of(op: &WeightOp) -> Vec<WeightId> {
    match *op {
        WeightOp::Param(_) | WeightOp::Identity | WeightOp::Constant(_) => vec![],
        WeightOp::Transpose(a) | WeightOp::Scale(a, _) => vec![a],
        WeightOp::Product(a, b) | WeightOp::Sum(a, b) | WeightOp::ScaleColumns(a, b) => vec![a, b],
    }
}

/// The nodes and weights on which `roots` depend, themselves included.
fn reached(graph: &Graph, roots: impl IntoIterator<Item = NodeId>) -> (Vec<bool>, Vec<bool>) {
    let (mut nodes, mut weights) = (vec![false; graph.nodes().len()], vec![false; graph.weights().len()]);
    roots.into_iter().for_each(|root| nodes[root.index()] = true);
    for (i, node) in graph.nodes().iter().enumerate().rev() {
        if nodes[i] {
            node.op.inputs().into_iter().for_each(|input| nodes[input.index()] = true);
            weight_of(&node.op).into_iter().for_each(|weight| weights[weight.index()] = true);
        }
    }
    for (i, weight) in graph.weights().iter().enumerate().rev() {
        if weights[i] {
            parts_of(&weight.op).into_iter().for_each(|part| weights[part.index()] = true);
        }
    }
    (nodes, weights)
}

/// The nodes and weights that depend on a parameter that trains.
fn training(graph: &Graph, trains: &dyn Fn(ParamId) -> bool) -> (Vec<bool>, Vec<bool>) {
    let mut weights = Vec::with_capacity(graph.weights().len());
    for weight in graph.weights() {
        let own = matches!(weight.op, WeightOp::Param(id) if trains(id));
        weights.push(own || parts_of(&weight.op).iter().any(|part| weights[part.index()]));
    }
    let mut nodes = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let own = weight_of(&node.op).is_some_and(|weight| weights[weight.index()]);
        nodes.push(own || node.op.inputs().iter().any(|input| nodes[input.index()]));
    }
    (nodes, weights)
}
