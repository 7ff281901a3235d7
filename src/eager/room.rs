//! The room that a micro-batch takes in the memory of a device of its own.
use crate::backend::{EngineDevice, Scalar};
use crate::graph::Graph;
use crate::memory::size;
use crate::{Error, Result};

use super::needs::Needs;

/// Numbers that a step holds at once for each element of an activation: its value, its gradient, and what lies between the
/// operations of dfdx that one operation is made of. Counted on both of the paper's models (`docs/cuda.md`); without
/// gradients, it is less.
const COPIES: f64 = 3.5;

/// The part of the free memory that is used: drivers and fragments take some.
const USED: f64 = 0.9;

/// Copies of each matrix: value, gradient and a product's intermediate value.
const MATRICES: f64 = 3.0;

/// Sequences that fit at once into the free memory of the device, `None` where its memory is the machine's.
///
/// # Errors
/// If not even one fits.
pub(super) fn sequences<E: Scalar, Dev: EngineDevice<E>>(
    graph: &Graph,
    needs: &Needs,
) -> Result<Option<usize>> {
    let Some(free) = Dev::free_bytes() else { return Ok(None) };
    let width = size_of::<E>() as f64;
    let each = COPIES * width * elements(graph, needs);
    let matrices = MATRICES * width * weights(graph);
    let fit = ((free as f64 * USED - matrices) / each).floor();
    if fit < 1.0 {
        let (needed, free) = (size(matrices + each), size(free as f64));
        let message = format!(
            "one sequence needs about {needed} of the GPU's memory, of which {free} are free; \
             a shorter sequence or a smaller model needs less"
        );
        return Err(Error::device("device=cuda", message));
    }
    Ok(Some(fit as usize))
}

/// Elements of the values of the nodes that are computed, for one sequence.
fn elements(graph: &Graph, needs: &Needs) -> f64 {
    let seq = graph.seq() as f64;
    let elements = |(i, node): (usize, &crate::graph::Node)| {
        let each = if node.op.is_pattern() { seq } else { 1.0 };
        if needs.nodes[i] { node.cols as f64 * seq * each } else { 0.0 }
    };
    graph.nodes().iter().enumerate().map(elements).sum::<f64>().max(1.0)
}

/// Elements of all matrices.
fn weights(graph: &Graph) -> f64 {
    graph.weights().iter().map(|weight| weight.rows as f64 * weight.cols as f64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Module;
    use crate::backend::Dim;
    use crate::engine::{Request, RowSet};
    use crate::graph::{Model, Pattern, Scores, Stream, Tokens, record};
    use crate::nn::{Init, Param};

    /// Attention of two heads over embeddings.
    #[derive(Module)]
    struct Tiny {
        #[param]
        tok: Param<(usize, usize)>,
        #[param]
        unembed: Param<(usize, usize)>,
    }

    impl Model for Tiny {
        type Vocab = usize;

        fn vocab(&self) -> usize {
            11
        }

        fn forward<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
            let r = x.recorder();
            let h = x.lookup(&r.weight(&self.tok));
            let pattern = x.site().pattern("pattern", Pattern::causal(&h, &h, Scores::new(2)));
            pattern.mix(&h).linear(&r.weight(&self.unembed))
        }
    }

    #[test]
    fn a_model_needs_room_for_its_matrices_and_for_the_values_that_are_asked_for() {
        let matrix = || Param::new((11, 8), Init::Normal { std: 0.5 });
        let graph = record(&Tiny { tok: matrix(), unembed: matrix() }, 6).unwrap();
        assert_eq!(weights(&graph), (2 * 11 * 8) as f64);
        let of = |request: &Request| elements(&graph, &Needs::new(&graph, request, &|_| true));
        // embeddings, two patterns of 6 by 6, what is mixed, logits
        let (embeddings, patterns) = (6 * 8, 2 * 6 * 6);
        assert_eq!(of(&Request::loss(RowSet::All)), (embeddings + patterns + 6 * 8 + 6 * 11) as f64);
        let pattern = graph.site("pattern").unwrap();
        assert_eq!(of(&Request::reads(vec![(pattern, RowSet::All)])), (embeddings + patterns) as f64);
        assert_eq!(of(&Request::default()), 1.0);
    }
}
