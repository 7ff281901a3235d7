//! A pattern from dense queries and keys.
use crate::graph::{Scoring, WeightId};
use crate::kernels::{Beta, Element, ViewMut, gemm, padded};
use crate::plan::program::Val;
use crate::plan::text::Text;
use crate::plan::workspace::{head, head_mut};

use super::blocks::{Head, blocks, filled, over_keys, row_end};
use super::{Frame, Instruction, Mixed};

/// `normaliser(scale * q_h k_g^T + ...)`, where head `h` shares head `g` of the keys; `keys_t` is `k^T`.
#[derive(Clone, Debug)]
pub(crate) struct DotPattern {
    pub out: Val,
    pub q: Val,
    pub k: Val,
    pub keys_t: Val,
    pub scoring: Scoring,
}

impl DotPattern {
    fn heads(&self) -> impl Iterator<Item = Head> + use<> {
        Head::all(self.scoring.heads, self.scoring.key_heads)
    }
}

impl Instruction for DotPattern {
    fn out(&self) -> Option<Val> {
        Some(self.out)
    }

    fn inputs(&self) -> Vec<Val> {
        vec![self.q, self.k, self.keys_t]
    }

    fn weights(&self) -> Vec<WeightId> {
        self.scoring.bias.into_iter().collect()
    }

    fn reads_out_backward(&self) -> bool {
        true
    }

    fn forward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, positions, t) = (frame.program(), frame.positions(self.out), frame.len());
        let mut out = frame.ws.take(program, self.out);
        let q = frame.ws.stream(program, self.q, positions.len());
        let keys_t = frame.ws.transposed(program, self.keys_t);
        let (q_cols, k_cols) = (program.info(self.q).cols, program.info(self.k).cols);
        for head_of in self.heads() {
            let (columns, shared) = (head_of.columns(q_cols), head_of.shared_columns(k_cols));
            let mut pattern = head_mut(&mut out, head_of.index, positions.len(), t);
            let scoring = self.scoring.head(head_of.index, frame.weights, t);
            for (r0, r1, limit) in blocks(positions) {
                let block = pattern.reborrow().block(r0..r1, 0..limit);
                let (q, keys_t) = (q.block(r0..r1, columns.clone()), keys_t.block(shared.clone(), 0..limit));
                gemm(block, Beta::Zero, E::one(), q, keys_t);
                for (r, position) in (r0..r1).zip(&positions[r0..r1]) {
                    let row = &mut pattern.row_mut(r)[..row_end(program, self.out, limit, t)];
                    scoring.weigh(row, *position as usize);
                }
            }
        }
        frame.ws.put(program, self.out, out);
    }

    fn backward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, positions, t) = (frame.program(), frame.positions(self.out), frame.len());
        let (mixes, weights) = (frame.plan.mixes(self.out), frame.weights);
        let ws = &mut *frame.ws;
        if !program.info(self.out).trains
            || positions.is_empty()
            || mixes.iter().all(|m| ws.gradient(program, m.out).is_none())
        {
            return;
        }
        // the gradient of the scores, [heads, rows, seq]
        let Some((mut d_scores, _)) = ws.open(program, self.out) else { return };
        let mut d_bias = self.scoring.bias_gradient(frame.plan, frame.sums);
        for Head { index: h, of: heads, .. } in self.heads() {
            let mut d_bias = d_bias.as_deref_mut().map(|d| d.row_mut(h));
            let mut d = head_mut(&mut d_scores, h, positions.len(), t);
            let pattern = head(ws.value(program, self.out), h, positions.len(), t);
            let scoring = self.scoring.head(h, weights, t);
            for (r0, r1, limit) in blocks(positions) {
                let block = d.reborrow().block(r0..r1, 0..limit);
                Mixed::weights_gradient(mixes, program, ws, (h, heads), (r0, r1), block);
                for (r, position) in (r0..r1).zip(&positions[r0..r1]) {
                    let row = &mut d.row_mut(r)[..filled(limit, t)];
                    scoring.weigh_back(row, pattern.row(r), *position as usize, d_bias.as_deref_mut());
                }
            }
        }
        let (q_cols, k_cols) = (program.info(self.q).cols, program.info(self.k).cols);
        if let Some((mut dq, beta)) = ws.open(program, self.q) {
            let k = ws.stream(program, self.k, t);
            for head_of in self.heads() {
                let (columns, shared) = (head_of.columns(q_cols), head_of.shared_columns(k_cols));
                let d = head(&d_scores, head_of.index, positions.len(), t);
                for (r0, r1, limit) in blocks(positions) {
                    let keys = limit.min(t);
                    let dq = ViewMut::new(&mut dq, positions.len(), q_cols, padded(q_cols));
                    let (d, k) = (d.block(r0..r1, 0..keys), k.block(0..keys, shared.clone()));
                    gemm(dq.block(r0..r1, columns.clone()), beta, E::one(), d, k);
                }
            }
            ws.put_gradient(program, self.q, dq);
        }
        if let Some((mut dk, beta)) = ws.open(program, self.k) {
            let q = ws.stream(program, self.q, positions.len());
            for head_of in self.heads() {
                let d = head(&d_scores, head_of.index, positions.len(), t);
                over_keys(positions, (d, q), head_of, (&mut dk, t, k_cols), beta);
            }
            ws.put_gradient(program, self.k, dk);
        }
        ws.put_gradient(program, self.out, d_scores);
    }

    fn text(&self, text: &Text<'_>) -> String {
        format!("pattern of {}, {}: {}", self.q, self.k, text.scoring(&self.scoring))
    }
}
