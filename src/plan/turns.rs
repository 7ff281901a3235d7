//! One sum for all threads of the gradient of a large weight: sequences add to it in their order.
//!
//! The gradients of small weights are summed for each run of sequences by itself, and these sums are added in order. For large
//! weights that would hold a matrix for each thread and go through all of them again and again. Here a thread waits until the
//! sequences before its own have added theirs, block by block: threads wait for each other at the first block of a batch, and
//! then follow each other. The order of additions does not depend on the number of threads.
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::graph::Graph;
use crate::kernels::{Element, ViewMut, padded};

use super::instr::{Affine, Instr, Instruction, Summand};
use super::program::Program;
use super::weights::Matrix;

/// Gradients of fewer numbers than this, together, stay in the processor's caches; 4 MB of 32 bits.
const LARGE: usize = 1 << 20;
/// A weight with fewer numbers than this is not worth waiting for.
const SMALL: usize = 1 << 12;
/// Numbers of a block, about a millisecond's work.
const BLOCK: usize = 1 << 18;

const PANICKED: &str = "a worker of this engine has panicked";

/// Which leaves of a program are summed in turn: the larger maps of large programs, each read by one instruction.
pub(crate) fn in_turn(program: &Program, graph: &Graph) -> Vec<bool> {
    let mut uses = vec![0; graph.weights().len()];
    let mut maps = vec![false; uses.len()];
    for instr in program.for_loss() {
        instr.weights().into_iter().for_each(|weight| uses[weight.index()] += 1);
        let Instr::Affine(Affine { summands, .. }) = instr else { continue };
        for summand in summands {
            if let Summand::Map { weight, .. } = summand {
                maps[weight.index()] = true;
            }
        }
    }
    let sizes = program.leaves.iter().map(|leaf| &graph.weights()[leaf.index()]);
    let sizes: Vec<usize> = sizes.map(|node| node.rows.saturating_mul(node.cols)).collect();
    let large = sizes.iter().fold(0, |sum: usize, size| sum.saturating_add(*size)) >= LARGE;
    let alone = program.leaves.iter().map(|leaf| maps[leaf.index()] && uses[leaf.index()] == 1);
    alone.zip(sizes).map(|(alone, size)| large && alone && size >= SMALL).collect()
}

/// The sums of one batch.
pub(crate) struct Turns<'a, E> {
    /// Of each leaf that is summed in turn, by its number among the leaves; of others, nothing.
    blocks: Vec<Vec<Block<'a, E>>>,
    panicked: AtomicBool,
}

/// Some rows of a sum.
struct Block<'a, E> {
    rows: Range<usize>,
    sum: Mutex<Held<'a, E>>,
    passed: Condvar,
}

struct Held<'a, E> {
    /// The sequence whose turn it is.
    next: usize,
    sum: ViewMut<'a, E>,
}

/// What adds to a sum: called with some of its rows, and these rows, which are as wide as products want them.
pub(crate) type Add<'a, E> = &'a mut dyn FnMut(Range<usize>, ViewMut<'_, E>);

/// The turn of one sequence: adds to the sum of a leaf, by its number.
pub(crate) type Turn<'a, E> = &'a dyn Fn(usize, Add<'_, E>);

impl<'a, E: Element> Turns<'a, E> {
    /// For the sums of leaves, empty where a leaf is not summed in turn.
    pub fn new(sums: &'a mut [Matrix<E>]) -> Self {
        let blocks = |sum: &'a mut Matrix<E>| -> Vec<Block<'a, E>> {
            let height = (BLOCK / sum.ld()).max(1);
            let starts = (0..).step_by(height);
            let block = |(start, sum): (usize, ViewMut<'a, E>)| Block {
                rows: start..start + sum.n_rows(),
                sum: Mutex::new(Held { next: 0, sum }),
                passed: Condvar::new(),
            };
            starts.zip(sum.wide_blocks_mut(height)).map(block).collect()
        };
        Turns { blocks: sums.iter_mut().map(blocks).collect(), panicked: AtomicBool::new(false) }
    }

    /// Adds to each block of a leaf's sum when the turn of the sequence has come.
    pub fn add(&self, leaf: usize, sequence: usize, add: Add<'_, E>) {
        for block in &self.blocks[leaf] {
            let mut held = self.wait(block, sequence);
            add(block.rows.clone(), held.sum.reborrow());
            held.next = sequence + 1;
            block.passed.notify_all();
        }
    }

    /// Ends the turn of a sequence, at those sums too to which it has added nothing.
    pub fn pass(&self, sequence: usize) {
        for block in self.blocks.iter().flatten() {
            let mut held = self.wait(block, sequence);
            if held.next == sequence {
                held.next += 1;
                block.passed.notify_all();
            }
        }
    }

    fn wait<'b>(&self, block: &'b Block<'a, E>, sequence: usize) -> MutexGuard<'b, Held<'a, E>> {
        let mut held = block.sum.lock().expect(PANICKED);
        while held.next < sequence {
            assert!(!self.panicked.load(Ordering::Relaxed), "{PANICKED}");
            held = block.passed.wait_timeout(held, Duration::from_millis(50)).expect(PANICKED).0;
        }
        held
    }

    /// Kept by a worker while it runs: if it panics, those who wait for it do not wait for ever.
    pub fn guard(&self) -> Guard<'_> {
        Guard { panicked: &self.panicked }
    }
}

pub(crate) struct Guard<'a> {
    panicked: &'a AtomicBool,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.panicked.store(true, Ordering::Relaxed);
        }
    }
}

/// Elements of the sums of a program's leaves: of those that are summed in turn, and of the others.
pub(crate) fn elements(program: &Program, graph: &Graph) -> [f64; 2] {
    let mut elements = [0.0; 2];
    for (leaf, in_turn) in program.leaves.iter().zip(in_turn(program, graph)) {
        let node = &graph.weights()[leaf.index()];
        elements[usize::from(!in_turn)] += node.rows as f64 * padded(node.cols) as f64;
    }
    elements
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config as _;
    use crate::engine::{Request, RowSet};
    use crate::graph::{WeightId, record};
    use crate::model::{Full, FullArgs};
    use crate::plan::compile::compile;
    use crate::plan::lower::Way;

    #[test]
    fn maps_of_a_large_model_are_summed_in_turn_and_the_rest_by_each_thread() {
        let args = FullArgs { max_length: 16, dim: 256, n_heads: 4, n_layers: 2, ..FullArgs::defaults() };
        let model = Full::new(11, &args).unwrap();
        let graph = record(&model, 16).unwrap();
        let (graph, program) = compile(&graph, &Request::loss(RowSet::All), &|_| true, Way::Cheapest);
        let of = |rows: usize, cols: usize| (rows * padded(cols)) as f64;
        let maps = 2.0 * (4.0 * of(256, 256) + of(1024, 256) + of(256, 1024));
        let of_leaf = |leaf: &WeightId| &graph.weights()[leaf.index()];
        let all: f64 = program.leaves.iter().map(of_leaf).map(|node| of(node.rows, node.cols)).sum();
        assert_eq!(elements(&program, &graph), [maps, all - maps]);
    }
}
