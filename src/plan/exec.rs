//! Running a program on one sequence, forwards and backwards.
use std::collections::HashMap;

use crate::engine::Observer;
use crate::graph::WeightId;
use crate::kernels::{Beta, Element, cross_entropy_row_grad, padded};

use super::attention::{self, Dot, Mixed};
use super::program::{Instr, Program, Val};
use super::weights::{Matrix, Weights};
use super::workspace::{Sequence, Workspace};
use super::{affine, rowwise, tables};

/// A program with what its instructions need to know of each other.
pub(crate) struct Plan {
    pub program: Program,
    /// The mixes that read each pattern, with the transposes of their values.
    mixes: HashMap<Val, Vec<Mixed>>,
    /// Place of each weight among the leaves.
    leaf_of: Vec<Option<usize>>,
}

/// What sequences leave behind: gradients of the leaves, and the sum of the losses.
pub(crate) struct Sums<E> {
    pub leaves: Vec<Matrix<E>>,
    pub loss: f64,
}

impl<E: Element> Sums<E> {
    pub fn clear(&mut self) {
        self.leaves.iter_mut().for_each(Matrix::clear);
        self.loss = 0.0;
    }

    pub fn add(&mut self, other: &Sums<E>) {
        self.leaves.iter_mut().zip(&other.leaves).for_each(|(a, b)| a.add(b));
        self.loss += other.loss;
    }
}

impl Plan {
    pub fn new(program: Program, weights: usize) -> Plan {
        let mut mixes: HashMap<Val, Vec<Mixed>> = HashMap::new();
        for instr in &program.instrs {
            if let Instr::Mix { out, pattern, values_t: Some(values_t), .. } = *instr {
                mixes.entry(pattern).or_default().push(Mixed { out, values_t });
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

    /// Runs one sequence: activations to the observer, the loss and the gradients to `sums`.
    pub fn run<E: Element>(
        &self,
        weights: &Weights<E>,
        ws: &mut Workspace<E>,
        seq: &Sequence<'_>,
        loss_weight: f64,
        sums: &mut Sums<E>,
        observe: (usize, &Observer<'_, E>),
    ) {
        ws.begin();
        for instr in &self.program.instrs {
            self.forward(instr, weights, ws, seq, loss_weight, sums);
        }
        if !self.program.reads.is_empty() {
            let reads: Vec<_> =
                self.program.reads.iter().map(|val| ws.read(&self.program, *val, seq)).collect();
            observe.1(observe.0, &reads);
        }
        for instr in self.program.instrs.iter().rev() {
            self.backward(instr, weights, ws, seq, sums);
        }
    }

    fn forward<E: Element>(
        &self,
        instr: &Instr,
        weights: &Weights<E>,
        ws: &mut Workspace<E>,
        seq: &Sequence<'_>,
        loss_weight: f64,
        sums: &mut Sums<E>,
    ) {
        match *instr {
            Instr::Affine { out, ref summands, in_place } => {
                affine::forward(self, weights, ws, seq, (out, summands, in_place));
            }
            Instr::Select { out, x } => rowwise::select(self, ws, seq, (out, x)),
            Instr::Normalise { out, x, eps } => rowwise::normalise(self, ws, seq, (out, x), eps),
            Instr::Relu { out, x } => rowwise::relu_forward(self, ws, seq, (out, x)),
            Instr::Rotate { out, x, heads, .. } => rowwise::rotate(self, ws, seq, (out, x), heads),
            Instr::Transpose { out, x } => rowwise::transposed(self, ws, seq, (out, x)),
            Instr::DotPattern { out, q, k, keys_t, heads, scoring } => {
                let dot = Dot { out, q, k, keys_t, heads, scoring };
                attention::dot_forward(self, weights, ws, seq, &dot);
            }
            Instr::TablePattern { .. } => tables::forward(self, weights, ws, seq, instr),
            Instr::Clamped { out, ref clamp } => rowwise::clamped(self, ws, seq, out, clamp),
            Instr::Splice { out, base, other, ref chosen } => {
                rowwise::splice(self, ws, seq, (out, base, other), chosen);
            }
            Instr::Mix { out, pattern, v, .. } => {
                attention::mix_forward(&self.program, ws, seq, (out, pattern, v));
            }
            Instr::Pick { out, x, ref clamp } => rowwise::pick(self, ws, seq, (out, x), clamp),
            Instr::CrossEntropy { logits } => self.cross_entropy(ws, seq, logits, loss_weight, sums),
        }
    }

    fn backward<E: Element>(
        &self,
        instr: &Instr,
        weights: &Weights<E>,
        ws: &mut Workspace<E>,
        seq: &Sequence<'_>,
        sums: &mut Sums<E>,
    ) {
        match *instr {
            Instr::Affine { out, ref summands, .. } => {
                affine::backward(self, weights, ws, seq, (out, summands), sums);
            }
            Instr::Select { out, x } => rowwise::select_back(self, ws, seq, (out, x)),
            Instr::Normalise { out, x, .. } => rowwise::normalise_back(self, ws, seq, (out, x)),
            Instr::Relu { out, x } => rowwise::relu_backward(self, ws, seq, (out, x)),
            Instr::Rotate { out, x, heads, .. } => rowwise::rotate_back(self, ws, seq, (out, x), heads),
            Instr::DotPattern { out, q, k, keys_t, heads, scoring } => {
                let dot = Dot { out, q, k, keys_t, heads, scoring };
                attention::dot_backward(self, ws, seq, &dot, sums);
            }
            Instr::TablePattern { .. } => tables::backward(self, ws, seq, instr, sums),
            Instr::Mix { out, pattern, v, .. } => {
                attention::mix_backward(&self.program, ws, seq, (out, pattern, v));
            }
            Instr::Pick { out, x, ref clamp } => rowwise::pick_back(self, ws, seq, (out, x), clamp),
            Instr::Clamped { .. }
            | Instr::Splice { .. }
            | Instr::Transpose { .. }
            | Instr::CrossEntropy { .. } => {}
        }
    }

    /// `loss += weight * sum of cross-entropies`, leaving `weight * (softmax - onehot)` as the logits' gradient.
    fn cross_entropy<E: Element>(
        &self,
        ws: &mut Workspace<E>,
        seq: &Sequence<'_>,
        logits: Val,
        weight: f64,
        sums: &mut Sums<E>,
    ) {
        let info = self.program.info(logits);
        let (positions, cols, ld) = (seq.positions(info.rows), info.cols, padded(info.cols));
        let opened = ws.open(&self.program, logits);
        let trains = opened.is_some();
        let (mut d, beta) = match opened {
            Some((d, beta)) => (d, beta),
            None => (std::mem::take(&mut ws.scratch), Beta::Zero),
        };
        debug_assert!(beta == Beta::Zero, "the loss comes last");
        if d.len() < positions.len() * ld {
            d.resize(positions.len() * ld);
        }
        let values = ws.value(&self.program, logits);
        for (r, &p) in positions.iter().enumerate() {
            let row = &mut d[r * ld..(r + 1) * ld];
            row.copy_from_slice(&values[r * ld..(r + 1) * ld]);
            let loss =
                cross_entropy_row_grad(&mut row[..cols], seq.y[p as usize] as usize, E::from_f64(weight));
            sums.loss += loss.to_f64() * weight;
        }
        if trains {
            ws.put_gradient(&self.program, logits, d);
        } else {
            ws.scratch = d;
        }
    }
}
