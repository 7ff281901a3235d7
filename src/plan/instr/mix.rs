//! The weighted sums of attention.
use std::ops::Range;

use crate::graph::WeightId;
use crate::kernels::{Beta, Element, View, ViewMut, gemm, padded};
use crate::plan::program::{FrozenMix, Program, Val};
use crate::plan::text::Text;
use crate::plan::workspace::{Workspace, head};

use super::blocks::{Block, Head, blocks, over_keys, up_to_queries};
use super::{Frame, Instruction};

/// `out_h = pattern_h v_g`, the heads side by side, where head `h` shares head `g` of the values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mix {
    pub out: Val,
    pub pattern: Val,
    pub v: Val,
    /// `v^T`, present where the pattern trains.
    pub values_t: Option<Val>,
    /// Number of heads of the values.
    pub value_heads: usize,
}

/// A mix that reads a pattern: its output, the transpose of its values, and their number of heads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mixed {
    pub out: Val,
    pub values_t: Val,
    pub value_heads: usize,
}

impl Mixed {
    /// `d (+)= sum over mixes of dO V^T` for some rows of one head of a pattern: the gradient of the pattern's weights, as far as the
    /// queries at these rows' positions see.
    pub fn weights_gradient<E: Element>(
        mixes: &[Mixed],
        program: &Program,
        ws: &Workspace<E>,
        (index, heads): (usize, usize),
        (rows, positions): (Range<usize>, &[u32]),
        (mut d, mut beta): (ViewMut<'_, E>, Beta),
    ) {
        for mix in mixes {
            let Some(d_out) = ws.gradient(program, mix.out) else { continue };
            let head = Head { index, of: heads, shared: mix.value_heads };
            let cols = program.info(mix.out).cols;
            let d_out = View::new(d_out, rows.end, cols, padded(cols));
            let d_out = d_out.block(rows.clone(), head.columns(cols));
            let values_t = ws.transposed(program, mix.values_t);
            let values_t = values_t.rows(head.shared_columns(program.info(mix.values_t).cols));
            up_to_queries(&positions[rows.clone()], d.reborrow(), beta, (d_out, values_t));
            beta = Beta::Add;
        }
    }
}

impl Mix {
    /// What a pattern needs to know of this mix, where it trains.
    pub fn mixed(&self) -> Option<Mixed> {
        self.values_t.map(|values_t| Mixed { out: self.out, values_t, value_heads: self.value_heads })
    }

    /// Mixes the values for one block of queries of one head, whose weights are `weights`.
    pub(super) fn mix_block<E: Element>(
        &self,
        program: &Program,
        ws: &Workspace<E>,
        head_of: Head,
        ((r0, r1, limit), t): (Block, usize),
        weights: View<'_, E>,
        mixed: &mut ViewMut<'_, E>,
    ) {
        let keys = limit.min(t);
        let columns = head_of.columns(mixed.n_cols());
        let shared = head_of.shared_columns(program.info(self.v).cols);
        let values = ws.stream(program, self.v, t).block(0..keys, shared);
        let out = mixed.reborrow().block(r0..r1, columns);
        gemm(out, Beta::Zero, E::one(), weights.block(r0..r1, 0..keys), values);
    }

    /// The mix with frozen values that the values are, if their gradient is best handed on to its pattern.
    pub(super) fn of_frozen_mix<E: Element>(&self, frame: &Frame<'_, E>) -> Option<FrozenMix> {
        let one_head = frame.program().info(self.pattern).heads == 1;
        frame.frozen_mix(self.v, frame.positions(self.out).len()).filter(|_| one_head)
    }

    /// The gradient of values that are such a mix becomes that of its pattern.
    pub(super) fn values_back_to_pattern<E: Element>(&self, frame: &mut Frame<'_, E>, values: FrozenMix) {
        let (program, positions, t) = (frame.program(), frame.positions(self.out), frame.len());
        let (rows, cols) = (positions.len(), program.info(self.out).cols);
        let Some(d_out) = frame.ws.take_gradient(program, self.out) else { return };
        if let Some(mut to) = frame.open_pattern(values) {
            let weights = head(frame.ws.value(program, self.pattern), 0, rows, t);
            to.add(frame, positions, (weights, View::new(&d_out, rows, cols, padded(cols))));
            frame.close_pattern(to);
        }
        frame.ws.put_gradient(program, self.out, d_out);
    }

    /// The gradient of the values that head `index` mixes; its place has been announced, with this `beta`.
    pub(super) fn values_back<E: Element>(&self, frame: &mut Frame<'_, E>, index: usize, beta: Beta) {
        let (program, positions, t) = (frame.program(), frame.positions(self.out), frame.len());
        let (cols, value_cols) = (program.info(self.out).cols, program.info(self.v).cols);
        let mut dv = frame.ws.take_announced(program, self.v);
        if let Some(d_out) = frame.ws.gradient(program, self.out) {
            let d_out = View::new(d_out, positions.len(), cols, padded(cols));
            let weights = head(frame.ws.value(program, self.pattern), index, positions.len(), t);
            let head_of = Head { index, of: program.info(self.pattern).heads, shared: self.value_heads };
            over_keys(positions, (weights, d_out), head_of, (&mut dv, t, value_cols), beta);
        }
        frame.ws.put_gradient(program, self.v, dv);
    }
}

impl Instruction for Mix {
    fn out(&self) -> Option<Val> {
        Some(self.out)
    }

    fn inputs(&self) -> Vec<Val> {
        [self.pattern, self.v].into_iter().chain(self.values_t).collect()
    }

    fn vals_mut(&mut self) -> Vec<&mut Val> {
        [&mut self.out, &mut self.pattern, &mut self.v].into_iter().chain(&mut self.values_t).collect()
    }

    fn weights(&self) -> Vec<WeightId> {
        vec![]
    }

    fn reads_out_backward(&self) -> bool {
        false
    }

    fn read_backward(&self, program: &Program) -> Vec<Val> {
        let values = program.info(self.v).frozen_mix.map(|mix| mix.values_t);
        [self.pattern].into_iter().chain(self.values_t).chain(values).collect()
    }

    fn forward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, positions, t) = (frame.program(), frame.positions(self.out), frame.len());
        let (heads, cols) = (program.info(self.pattern).heads, program.info(self.out).cols);
        frame.write(self.out, |ws, buffer| {
            let mut mixed = ViewMut::new(buffer, positions.len(), cols, padded(cols));
            for head_of in Head::all(heads, self.value_heads) {
                let weights = head(ws.value(program, self.pattern), head_of.index, positions.len(), t);
                for block in blocks(positions) {
                    self.mix_block(program, ws, head_of, (block, t), weights, &mut mixed);
                }
            }
        });
    }

    /// The gradient of the values; that of the pattern is taken by the pattern itself, block by block.
    fn backward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let program = frame.program();
        if frame.ws.gradient(program, self.out).is_none() {
            return;
        }
        if let Some(values) = self.of_frozen_mix(frame) {
            return self.values_back_to_pattern(frame, values);
        }
        let Some(beta) = frame.ws.announce(program, self.v) else { return };
        for index in 0..program.info(self.pattern).heads {
            self.values_back(frame, index, beta);
        }
    }

    fn text(&self, _: &Text<'_>) -> String {
        let shared =
            if self.value_heads == 1 { String::new() } else { format!(" in {} heads", self.value_heads) };
        format!("mix {} of {}{shared}", self.pattern, self.v)
    }
}
