//! A pattern from dense queries and keys.
use std::ops::Range;

use crate::graph::{Scoring, WeightId};
use crate::kernels::{Beta, Buffer, Element, ViewMut, gemm, padded};
use crate::plan::program::{Program, Val};
use crate::plan::text::Text;
use crate::plan::workspace::{head, head_mut, head_stride};

use super::blocks::{Block, Head, blocks, filled, multiplied_before, over_keys, row_end, up_to_queries};
use super::mix::Mix;
use super::{Frame, Instruction, Mixed};

/// `normaliser(scale * q_h k_g^T + ...)`, where head `h` shares head `g` of the keys; `keys_t` is `k^T`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DotPattern {
    pub out: Val,
    pub q: Val,
    pub k: Val,
    pub keys_t: Val,
    pub scoring: Scoring,
}

impl DotPattern {
    pub(super) fn heads(&self) -> impl Iterator<Item = Head> + use<> {
        Head::all(self.scoring.heads, self.scoring.key_heads)
    }

    /// The products of some queries of one head with the keys that they see: rows of `pattern`, the head's own.
    fn multiply<E: Element>(
        &self,
        frame: &Frame<'_, E>,
        head_of: Head,
        rows: Range<usize>,
        pattern: &mut ViewMut<'_, E>,
    ) {
        let (program, positions) = (frame.program(), frame.positions(self.out));
        let columns = head_of.columns(program.info(self.q).cols);
        let shared = head_of.shared_columns(program.info(self.k).cols);
        let q = frame.ws.stream(program, self.q, positions.len()).block(rows.clone(), columns);
        let keys_t = frame.ws.transposed(program, self.keys_t).rows(shared);
        let products = pattern.reborrow().rows(rows.clone());
        up_to_queries(&positions[rows], products, Beta::Zero, (q, keys_t));
    }

    /// The weights of one block of queries of one head, the blocks being taken in their order: rows of `pattern`, the head's own.
    pub(super) fn weigh_block<E: Element>(
        &self,
        frame: &Frame<'_, E>,
        head_of: Head,
        (r0, r1, limit): Block,
        pattern: &mut ViewMut<'_, E>,
    ) {
        let (program, positions, t) = (frame.program(), frame.positions(self.out), frame.len());
        if let Some(rows) = multiplied_before(positions, (r0, r1, limit)) {
            self.multiply(frame, head_of, rows, pattern);
        }
        let scoring = self.scoring.head(head_of.index, frame.weights, t);
        let block = pattern.reborrow().block(r0..r1, 0..row_end(program, self.out, limit, t));
        scoring.weigh(block, &positions[r0..r1]);
    }

    /// The gradient of the scores of one block of queries of one head, the blocks being taken in their order: rows of `d`, the head's own.
    fn weigh_block_back<E: Element>(
        &self,
        frame: &mut Frame<'_, E>,
        mixes: &[Mixed],
        head_of: Head,
        (r0, r1, limit): Block,
        d: &mut ViewMut<'_, E>,
    ) {
        let (program, positions, t) = (frame.program(), frame.positions(self.out), frame.len());
        let Head { index, of: heads, .. } = head_of;
        let d_bias = self.scoring.bias_gradient(frame.plan, frame.sums).map(|d| d.row_mut(index));
        let pattern = head(frame.ws.value(program, self.out), index, positions.len(), t);
        let scoring = self.scoring.head(index, frame.weights, t);
        if let Some(rows) = multiplied_before(positions, (r0, r1, limit)) {
            let to = (d.reborrow().rows(rows.clone()), Beta::Zero);
            Mixed::weights_gradient(mixes, program, frame.ws, (index, heads), (rows, positions), to);
        }
        let block = d.reborrow().block(r0..r1, 0..filled(limit, t));
        scoring.weigh_back(block, pattern.rows(r0..r1), &positions[r0..r1], d_bias);
    }

    /// The backward pass, one head after the other, so that a head's pattern and its gradient stay near: that of the scores
    /// and of the queries, block by block; of the keys; and of the values of `mix`, which reads this pattern, where it is given.
    /// The blocks come first because they read the pattern row by row, which brings it near for the products over queries.
    pub(super) fn back_by_heads<E: Element>(
        &self,
        frame: &mut Frame<'_, E>,
        mix: Option<&Mix>,
        mixes: &[Mixed],
    ) {
        let (program, positions, t) = (frame.program(), frame.positions(self.out), frame.len());
        let arrived = |out: Val| frame.ws.gradient(program, out).is_some();
        let mix = mix.filter(|mix| arrived(mix.out));
        let scores = program.info(self.out).trains
            && !positions.is_empty()
            && mixes.iter().any(|mixed| arrived(mixed.out));
        // In the order in which they are written below, as two of them may be one value (keys and values of the paper's simplified
        // model), which `fuse.rs` lets happen only where both cut it into the same heads. A gradient that is announced is
        // written: of no queries, there is none.
        let one_head = self.scoring.heads == 1;
        let keys = frame.frozen_mix(self.k, positions.len()).filter(|_| one_head && scores);
        let values = mix.and_then(|mix| mix.of_frozen_mix(frame));
        let mut announce = |val| if scores { frame.ws.announce(program, val) } else { None };
        let dq_beta = announce(self.q);
        let dk_beta = if keys.is_none() { announce(self.k) } else { None };
        let dv_beta = mix.filter(|_| values.is_none()).and_then(|mix| frame.ws.announce(program, mix.v));
        let mut d_scores = std::mem::take(&mut frame.ws.block);
        d_scores.scratch(head_stride(t));
        for head_of in self.heads() {
            if scores {
                self.head_back(frame, mixes, head_of, (dq_beta, dk_beta), &mut d_scores);
            }
            if let (Some(mix), Some(beta)) = (mix, dv_beta) {
                mix.values_back(frame, head_of.index, beta);
            }
        }
        if let Some(mut to) = keys.and_then(|keys| frame.open_pattern(keys)) {
            let q = frame.ws.stream(program, self.q, positions.len());
            to.add(frame, positions, (head(&d_scores, 0, positions.len(), t), q));
            frame.close_pattern(to);
        }
        if let Some((mix, values)) = mix.zip(values) {
            mix.values_back_to_pattern(frame, values);
        }
        frame.ws.block = d_scores;
    }

    /// The gradients of the queries and of the keys of one head, whose places have been announced, with these `beta`s; that of
    /// its scores is put into `d_scores`.
    fn head_back<E: Element>(
        &self,
        frame: &mut Frame<'_, E>,
        mixes: &[Mixed],
        head_of: Head,
        (dq_beta, dk_beta): (Option<Beta>, Option<Beta>),
        d_scores: &mut Buffer<E>,
    ) {
        let (program, positions, t) = (frame.program(), frame.positions(self.out), frame.len());
        let (q_cols, k_cols) = (program.info(self.q).cols, program.info(self.k).cols);
        let (columns, shared) = (head_of.columns(q_cols), head_of.shared_columns(k_cols));
        let mut d = head_mut(d_scores, 0, positions.len(), t);
        let mut dq = dq_beta.map(|_| frame.ws.take_announced(program, self.q));
        for (r0, r1, limit) in blocks(positions) {
            self.weigh_block_back(frame, mixes, head_of, (r0, r1, limit), &mut d);
            if let (Some(dq), Some(beta)) = (&mut dq, dq_beta) {
                let keys = limit.min(t);
                let k = frame.ws.stream(program, self.k, t).block(0..keys, shared.clone());
                let dq = ViewMut::new(dq, positions.len(), q_cols, padded(q_cols));
                let d = d.as_view().block(r0..r1, 0..keys);
                gemm(dq.block(r0..r1, columns.clone()), beta, E::one(), d, k);
            }
        }
        if let Some(dq) = dq {
            frame.ws.put_gradient(program, self.q, dq);
        }
        if let Some(beta) = dk_beta {
            let mut dk = frame.ws.take_announced(program, self.k);
            let q = frame.ws.stream(program, self.q, positions.len());
            over_keys(positions, (d.as_view(), q), head_of, (&mut dk, t, k_cols), beta);
            frame.ws.put_gradient(program, self.k, dk);
        }
    }
}

impl Instruction for DotPattern {
    fn out(&self) -> Option<Val> {
        Some(self.out)
    }

    fn inputs(&self) -> Vec<Val> {
        vec![self.q, self.k, self.keys_t]
    }

    fn vals_mut(&mut self) -> Vec<&mut Val> {
        vec![&mut self.out, &mut self.q, &mut self.k, &mut self.keys_t]
    }

    fn weights(&self) -> Vec<WeightId> {
        self.scoring.bias.into_iter().collect()
    }

    fn reads_out_backward(&self) -> bool {
        true
    }

    fn read_backward(&self, program: &Program) -> Vec<Val> {
        let keys = program.info(self.k).frozen_mix.map(|mix| mix.values_t);
        [self.q, self.k].into_iter().chain(keys).collect()
    }

    fn forward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, positions, t) = (frame.program(), frame.positions(self.out), frame.len());
        let mut out = frame.ws.take(program, self.out);
        for head_of in self.heads() {
            let mut pattern = head_mut(&mut out, head_of.index, positions.len(), t);
            for block in blocks(positions) {
                self.weigh_block(frame, head_of, block, &mut pattern);
            }
        }
        frame.ws.put(program, self.out, out);
    }

    fn backward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let mixes = frame.plan.mixes(self.out);
        self.back_by_heads(frame, None, mixes);
    }

    fn text(&self, text: &Text<'_>) -> String {
        format!("pattern of {}, {}: {}", self.q, self.k, text.scoring(&self.scoring))
    }
}
