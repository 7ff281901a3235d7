//! Which rows of each node somebody reads, and how many products read it.
//!
//! A request for some positions travels backwards: what a node is asked for, it asks of the nodes that it reads row by
//! row; keys and values are asked for at every position. A node that is asked for at two different sets of positions is
//! computed at all of them, and the sets are picked from the result.
use crate::engine::{Request, RowSet};
use crate::graph::{Graph, NodeId, Op};

/// What is asked of one node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Demand {
    asked: Vec<RowSet>,
    /// Operations and requests that read this node.
    pub readers: usize,
    /// Products `W x` that read this node.
    pub linears: usize,
    /// Other operations that need its sum as one dense matrix.
    pub dense: usize,
}

impl Demand {
    fn ask(&mut self, rows: RowSet) {
        self.readers += 1;
        if !self.asked.contains(&rows) {
            self.asked.push(rows);
        }
    }

    /// Asks for all rows, if any are asked for.
    pub fn widen(&mut self) {
        if !self.asked.is_empty() {
            self.asked = vec![RowSet::All];
        }
    }

    /// The rows at which the node is computed; `None` if nobody reads it.
    pub fn rows(&self) -> Option<RowSet> {
        match self.asked[..] {
            [] => None,
            [one] => Some(one),
            _ => Some(RowSet::All),
        }
    }
}

/// The demand on every node of the graph.
pub(crate) fn demands(graph: &Graph, request: &Request) -> Vec<Demand> {
    let mut demands = vec![Demand::default(); graph.nodes().len()];
    for (node, rows) in request.losses.iter().map(|term| (term.node(graph), term.rows())) {
        demands[node.index()].ask(rows);
        demands[node.index()].dense += 1;
    }
    for (node, rows) in &request.reads {
        demands[node.index()].ask(*rows);
        demands[node.index()].dense += 1;
    }
    for (i, node) in graph.nodes().iter().enumerate().rev() {
        let Some(rows) = demands[i].rows() else { continue };
        let mut ask = |input: NodeId, rows: RowSet| demands[input.index()].ask(rows);
        let across = node.op.reads_across();
        for input in node.op.inputs() {
            // an input that is read both ways is asked for twice, which makes all rows of it
            ask(input, if across.contains(&input) { RowSet::All } else { rows });
        }
        match node.op {
            Op::Linear { x, .. } => demands[x.index()].linears += 1,
            Op::Add(..) | Op::Scale { .. } | Op::Gain { .. } => {}
            _ => node.op.inputs().into_iter().for_each(|input| demands[input.index()].dense += 1),
        }
    }
    demands
}
