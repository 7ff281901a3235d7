//! From a graph to a finished program: the lowering and its passes, in their order.
use crate::engine::Request;
use crate::graph::Graph;
use crate::nn::ParamId;

use super::lower::{Lowered, Way, lower};
use super::program::Program;
use super::reads::{self, Known};
use super::{buffers, front, fuse, passes};

/// The program that computes what `request` asks for, and the graph with the weights that it reads. What it does for a loss does not
/// depend on what else is read.
pub(crate) fn compile(
    graph: &Graph,
    request: &Request,
    trains: &dyn Fn(ParamId) -> bool,
    way: Way,
) -> (Graph, Program) {
    if way == Way::Plain {
        let Lowered { graph, mut program, .. } = lower(graph, request, trains, way);
        buffers::own_values(&mut program);
        buffers::own_gradients(&mut program);
        return (graph, program);
    }
    let both = !request.losses.is_empty() && !request.reads.is_empty();
    let of_loss = request.without_reads();
    let first = lower(graph, if both { &of_loss } else { request }, trains, way);
    let known = both.then(|| Known::of(&first));
    let Lowered { mut graph, mut program, .. } = first;
    fuse::patterns_with_their_mixes(&mut program);
    fuse::gates(&mut program);
    front::bring_to_the_front(&mut program);
    passes::complete_in_place(&mut program);
    passes::find_frozen_mixes(&mut program);
    if let Some(known) = known {
        graph = reads::append(&graph, &mut program, known, &request.reads);
    }
    buffers::share_values(&mut program, graph.seq());
    buffers::share_gradients(&mut program);
    (graph, program)
}
