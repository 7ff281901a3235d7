//! Running a program on one sequence, forwards and backwards.
use std::collections::HashMap;

use crate::engine::Read;
use crate::graph::WeightId;
use crate::kernels::Element;

use super::instr::{Frame, Instr, Instruction, Mixed};
use super::program::{Program, Val};
use super::weights::Matrix;

/// A program with what its instructions need to know of each other.
pub(crate) struct Plan {
    pub program: Program,
    /// The mixes that read each pattern, with the transposes of their values.
    mixes: HashMap<Val, Vec<Mixed>>,
    /// Place of each weight among the leaves.
    leaf_of: Vec<Option<usize>>,
}

/// What sequences leave behind: gradients of the leaves, and the sums of the losses.
pub(crate) struct Sums<E> {
    pub leaves: Vec<Matrix<E>>,
    /// Of each term.
    pub losses: Vec<f64>,
}

impl<E: Element> Sums<E> {
    pub fn clear(&mut self) {
        self.leaves.iter_mut().for_each(Matrix::clear);
        self.losses.fill(0.0);
    }

    pub fn add(&mut self, other: &Sums<E>) {
        self.leaves.iter_mut().zip(&other.leaves).for_each(|(a, b)| a.add(b));
        self.losses.iter_mut().zip(&other.losses).for_each(|(a, b)| *a += b);
    }
}

impl Plan {
    pub fn new(program: Program, weights: usize) -> Plan {
        let mut mixes: HashMap<Val, Vec<Mixed>> = HashMap::new();
        for instr in &program.instrs {
            if let Instr::Mix(mix) = instr
                && let Some(mixed) = mix.mixed()
            {
                mixes.entry(mix.pattern).or_default().push(mixed);
            }
        }
        let mut leaf_of = vec![None; weights];
        for (i, leaf) in program.leaves.iter().enumerate() {
            leaf_of[leaf.index()] = Some(i);
        }
        Plan { program, mixes, leaf_of }
    }

    /// The gradient sum of a weight, if it is wanted.
    pub fn leaf<'a, E>(&self, weight: WeightId, sums: &'a mut Sums<E>) -> Option<&'a mut Matrix<E>> {
        self.leaf_of[weight.index()].map(|i| &mut sums.leaves[i])
    }

    pub fn mixes(&self, pattern: Val) -> &[Mixed] {
        self.mixes.get(&pattern).map_or(&[], Vec::as_slice)
    }

    /// Runs one sequence: activations to the observer, losses and gradients to the sums.
    pub fn run<E: Element>(&self, frame: &mut Frame<'_, E>, observe: &dyn Fn(&[Read<'_, E>])) {
        frame.ws.begin();
        self.program.instrs.iter().for_each(|instr| instr.forward(frame));
        if !self.program.reads.is_empty() {
            let read = |val: &Val| frame.ws.read(&self.program, *val, &frame.seq);
            observe(&self.program.reads.iter().map(read).collect::<Vec<_>>());
        }
        if !self.program.leaves.is_empty() {
            self.program.instrs.iter().rev().for_each(|instr| instr.backward(frame));
        }
    }
}
