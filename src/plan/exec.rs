//! Running a program on one sequence, forwards and backwards.
use std::collections::HashMap;

use crate::engine::Observer;
use crate::graph::{Graph, WeightId};
use crate::kernels::Element;

use super::instr::{Frame, Instr, Instruction, Mixed};
use super::program::{Program, Val};
use super::turns::{self, Add, Turn};
use super::weights::Matrix;

/// A program with what its instructions need to know of each other.
pub(crate) struct Plan {
    pub program: Program,
    /// The mixes that read each pattern, with the transposes of their values.
    mixes: HashMap<Val, Vec<Mixed>>,
    /// Place of each weight among the leaves.
    leaf_of: Vec<Option<usize>>,
    /// Whether each leaf has one sum for all threads.
    pub in_turn: Vec<bool>,
}

/// What sequences leave behind: gradients of the leaves, and the sums of the losses.
pub(crate) struct Sums<E> {
    pub leaves: Vec<Matrix<E>>,
    /// Of each term.
    pub losses: Vec<f64>,
}

impl<E: Element> Sums<E> {
    /// Zeros: leaves of these shapes, and so many terms.
    pub fn new(shapes: &[(usize, usize)], terms: usize) -> Self {
        Sums { leaves: Matrix::together(shapes), losses: vec![0.0; terms] }
    }

    /// Several of them, for leaves of as many shapes each, side by side in memory.
    pub fn together(shapes: &[&[(usize, usize)]], terms: usize) -> Vec<Self> {
        let mut leaves = Matrix::together(&shapes.concat()).into_iter();
        let sums = |shapes: &&[(usize, usize)]| Sums {
            leaves: leaves.by_ref().take(shapes.len()).collect(),
            losses: vec![0.0; terms],
        };
        shapes.iter().map(sums).collect()
    }

    /// No leaves, no allocation.
    pub fn empty() -> Self {
        Sums { leaves: Vec::new(), losses: Vec::new() }
    }

    pub fn clear(&mut self) {
        self.leaves.iter_mut().for_each(Matrix::clear);
        self.losses.fill(0.0);
    }

    /// Takes the sums out that all threads add to in turn; nothing stands for the others.
    pub fn take_in_turn(&mut self, in_turn: &[bool]) -> Vec<Matrix<E>> {
        let take = |(sum, in_turn): (&mut Matrix<E>, &bool)| {
            if *in_turn { std::mem::take(sum) } else { Matrix::default() }
        };
        self.leaves.iter_mut().zip(in_turn).map(take).collect()
    }

    /// Puts them back.
    pub fn put_in_turn(&mut self, in_turn: &[bool], sums: Vec<Matrix<E>>) {
        for ((place, sum), in_turn) in self.leaves.iter_mut().zip(sums).zip(in_turn) {
            if *in_turn {
                *place = sum;
            }
        }
    }

    /// Adds them to others, and becomes zero.
    pub fn drain_into(&mut self, other: &mut Sums<E>) {
        self.leaves.iter_mut().zip(&mut other.leaves).for_each(|(from, to)| from.drain_into(to));
        self.losses.iter_mut().zip(&mut other.losses).for_each(|(from, to)| *to += std::mem::take(from));
    }
}

impl Plan {
    pub fn new(program: Program, graph: &Graph) -> Plan {
        let mut mixes: HashMap<Val, Vec<Mixed>> = HashMap::new();
        for instr in &program.instrs {
            if let Instr::Mix(mix) = instr
                && let Some(mixed) = mix.mixed()
            {
                mixes.entry(mix.pattern).or_default().push(mixed);
            }
        }
        let mut leaf_of = vec![None; graph.weights().len()];
        for (i, leaf) in program.leaves.iter().enumerate() {
            leaf_of[leaf.index()] = Some(i);
        }
        let in_turn = turns::in_turn(&program, graph);
        Plan { program, mixes, leaf_of, in_turn }
    }

    /// The gradient sum of a weight, if it is wanted; of maps, see [`Self::add_to_map`].
    pub fn leaf<'a, E>(&self, weight: WeightId, sums: &'a mut Sums<E>) -> Option<&'a mut Matrix<E>> {
        self.leaf_of[weight.index()].map(|i| &mut sums.leaves[i])
    }

    /// Adds to the gradient sum of a map, if it is wanted: `add` is called with its rows, perhaps block by block.
    pub fn add_to_map<E: Element>(
        &self,
        weight: WeightId,
        sums: &mut Sums<E>,
        turn: Turn<'_, E>,
        add: Add<'_, E>,
    ) {
        let Some(i) = self.leaf_of[weight.index()] else { return };
        if self.in_turn[i] {
            return turn(i, add);
        }
        let sum = sums.leaves[i].wide_mut();
        add(0..sum.n_rows(), sum);
    }

    pub fn mixes(&self, pattern: Val) -> &[Mixed] {
        self.mixes.get(&pattern).map_or(&[], Vec::as_slice)
    }

    /// Runs the instructions from `first` on for one sequence, forwards and backwards: losses and gradients to the sums, and activations
    /// to the observer. Without one, what is only read is not computed.
    pub fn run<E: Element>(
        &self,
        first: usize,
        frame: &mut Frame<'_, E>,
        observer: Option<&Observer<'_, E>>,
    ) {
        let for_loss = &self.program.for_loss()[first..];
        for_loss.iter().for_each(|instr| instr.forward(frame));
        if let Some(observer) = observer
            && !self.program.reads.is_empty()
        {
            let only_read = &self.program.instrs[self.program.for_loss().len()..];
            only_read.iter().for_each(|instr| instr.forward(frame));
            let read = |val: &Val| frame.ws.read(&self.program, *val, &frame.seq);
            observer(frame.seq.number, &self.program.reads.iter().map(read).collect::<Vec<_>>());
        }
        if !self.program.leaves.is_empty() {
            for_loss.iter().rev().for_each(|instr| instr.backward(frame));
        }
    }
}
