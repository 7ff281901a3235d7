//! The weighted sums of attention.
use crate::graph::WeightId;
use crate::kernels::{Beta, Element, View, ViewMut, gemm, padded};
use crate::plan::program::{Program, Val};
use crate::plan::text::Text;
use crate::plan::workspace::{Workspace, head};

use super::blocks::{Head, blocks, over_keys};
use super::{Frame, Instruction};

/// `out_h = pattern_h v_g`, the heads side by side, where head `h` shares head `g` of the values.
#[derive(Clone, Debug)]
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
    /// `block = sum over mixes of dO V^T` for one head of a pattern and rows `r0..r1`: the gradient of the pattern's weights.
    pub fn weights_gradient<E: Element>(
        mixes: &[Mixed],
        program: &Program,
        ws: &Workspace<E>,
        (index, heads): (usize, usize),
        (r0, r1): (usize, usize),
        mut block: ViewMut<'_, E>,
    ) {
        let mut beta = Beta::Zero;
        let limit = block.n_cols();
        for mix in mixes {
            let Some(d_out) = ws.gradient(program, mix.out) else { continue };
            let head = Head { index, of: heads, shared: mix.value_heads };
            let cols = program.info(mix.out).cols;
            let d_out = View::new(d_out, r1, cols, padded(cols)).block(r0..r1, head.columns(cols));
            let values_t = ws.transposed(program, mix.values_t);
            let values_t = values_t.block(head.shared_columns(program.info(mix.values_t).cols), 0..limit);
            gemm(block.reborrow(), beta, E::one(), d_out, values_t);
            beta = Beta::Add;
        }
    }
}

impl Instruction for Mix {
    fn out(&self) -> Option<Val> {
        Some(self.out)
    }

    fn inputs(&self) -> Vec<Val> {
        [self.pattern, self.v].into_iter().chain(self.values_t).collect()
    }

    fn weights(&self) -> Vec<WeightId> {
        vec![]
    }

    fn reads_out_backward(&self) -> bool {
        false
    }

    fn forward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, positions, t) = (frame.program(), frame.positions(self.out), frame.len());
        let (heads, cols) = (program.info(self.pattern).heads, program.info(self.out).cols);
        let value_cols = program.info(self.v).cols;
        frame.write(self.out, |ws, buffer| {
            let values = ws.stream(program, self.v, t);
            let mut mixed = ViewMut::new(buffer, positions.len(), cols, padded(cols));
            for head_of in Head::all(heads, self.value_heads) {
                let (columns, shared) = (head_of.columns(cols), head_of.shared_columns(value_cols));
                let weights = head(ws.value(program, self.pattern), head_of.index, positions.len(), t);
                for (r0, r1, limit) in blocks(positions) {
                    let keys = limit.min(t);
                    let weights = weights.block(r0..r1, 0..keys);
                    let values = values.block(0..keys, shared.clone());
                    let out = mixed.reborrow().block(r0..r1, columns.clone());
                    gemm(out, Beta::Zero, E::one(), weights, values);
                }
            }
        });
    }

    /// The gradient of the values; that of the pattern is taken by the pattern itself, block by block.
    fn backward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, positions, t) = (frame.program(), frame.positions(self.out), frame.len());
        let ws = &mut *frame.ws;
        if ws.gradient(program, self.out).is_none() {
            return;
        }
        let Some((mut dv, beta)) = ws.open(program, self.v) else { return };
        let (heads, cols) = (program.info(self.pattern).heads, program.info(self.out).cols);
        let value_cols = program.info(self.v).cols;
        let d_out = ws.gradient(program, self.out).expect("checked above");
        let d_out = View::new(d_out, positions.len(), cols, padded(cols));
        for head_of in Head::all(heads, self.value_heads) {
            let weights = head(ws.value(program, self.pattern), head_of.index, positions.len(), t);
            over_keys(positions, (weights, d_out), head_of, (&mut dv, t, value_cols), beta);
        }
        ws.put_gradient(program, self.v, dv);
    }

    fn text(&self, _: &Text<'_>) -> String {
        let shared =
            if self.value_heads == 1 { String::new() } else { format!(" in {} heads", self.value_heads) };
        format!("mix {} of {}{shared}", self.pattern, self.v)
    }
}
