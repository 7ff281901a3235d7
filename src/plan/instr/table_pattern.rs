//! Attention patterns of layer 0: queries and keys that are sums of lookups, so scores are sums of table entries.
use crate::engine::RowSet;
use crate::graph::{Index as GraphIndex, Scoring, WeightId, index_text};
use crate::kernels::{
    Beta, Element, Index, TablePattern as KernelPattern, View, ViewMut, padded, table_scatter_block,
    table_scores_block,
};
use crate::plan::program::{Program, Val};
use crate::plan::text::Text;
use crate::plan::weights::Matrix;
use crate::plan::workspace::{Sequence, Workspace, head, head_mut};

use super::affine::{select_index, selected_index};
use super::blocks::{BLOCK, blocks, row_end};
use super::{Frame, Instruction, Mixed};

/// The most terms of queries or keys that a pattern of lookups may have.
pub(crate) const MOST_TERMS: usize = 4;
const MOST_TABLES: usize = MOST_TERMS * MOST_TERMS;

/// A pattern of one head: `grid[a][b]` has the scores of query table `a` against key table `b`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TablePattern {
    pub out: Val,
    pub queries: Vec<GraphIndex>,
    pub keys: Vec<GraphIndex>,
    pub grid: Vec<Vec<WeightId>>,
    pub scoring: Scoring,
}

fn kernel_index<'a>(seq: &Sequence<'a>, index: GraphIndex) -> Index<'a> {
    match index {
        GraphIndex::Positions => Index::Positions,
        other => Index::Tokens(seq.index(other)),
    }
}

/// Calls `body` with the pattern as the kernels see it.
fn with_pattern<E: Element, R>(
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    rows: RowSet,
    (queries, keys): (&[GraphIndex], &[GraphIndex]),
    body: impl FnOnce(&mut Workspace<E>, &KernelPattern<'_>) -> R,
) -> R {
    for (slot, index) in queries.iter().enumerate() {
        select_index(ws, seq, *index, rows, slot);
    }
    let indices = std::mem::take(&mut ws.indices);
    let mut query_indices = [Index::Positions; MOST_TERMS];
    let mut key_indices = [Index::Positions; MOST_TERMS];
    for (slot, (selected, index)) in query_indices.iter_mut().zip(queries).enumerate() {
        *selected = selected_index(&indices, seq, *index, rows, slot);
    }
    for (slot, index) in key_indices.iter_mut().zip(keys) {
        *slot = kernel_index(seq, *index);
    }
    let pattern = KernelPattern {
        queries: &query_indices[..queries.len()],
        keys: &key_indices[..keys.len()],
        last: seq.positions(rows),
    };
    let result = body(ws, &pattern);
    ws.indices = indices;
    result
}

impl Instruction for TablePattern {
    fn out(&self) -> Option<Val> {
        Some(self.out)
    }

    fn inputs(&self) -> Vec<Val> {
        vec![]
    }

    fn vals_mut(&mut self) -> Vec<&mut Val> {
        vec![&mut self.out]
    }

    fn weights(&self) -> Vec<WeightId> {
        self.grid.iter().flatten().copied().chain(self.scoring.bias).collect()
    }

    fn reads_out_backward(&self) -> bool {
        true
    }

    fn read_backward(&self, _: &Program) -> Vec<Val> {
        vec![]
    }

    fn forward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, weights, seq) = (frame.program(), frame.weights, frame.seq);
        let rows = program.info(self.out).rows;
        let (positions, t) = (seq.positions(rows), seq.x.len());
        let Some(first) = self.grid.first().and_then(|row| row.first()) else { return };
        let mut tables = [weights.matrix(*first).view(); MOST_TABLES];
        let flat = self.grid.iter().flatten();
        tables.iter_mut().zip(flat).for_each(|(view, id)| *view = weights.matrix(*id).view());
        let tables: &[View<'_, E>] = &tables[..self.queries.len() * self.keys.len()];
        let scoring = self.scoring.head(0, weights, t);
        let mut buffer = frame.ws.take(program, self.out);
        let mut scratch = std::mem::take(&mut frame.ws.scratch);
        with_pattern(frame.ws, &seq, rows, (&self.queries, &self.keys), |_, pattern| {
            let mut rows = head_mut(&mut buffer, 0, positions.len(), t);
            for (r0, r1, limit) in blocks(positions) {
                let block = rows.reborrow().block(r0..r1, 0..limit);
                table_scores_block(pattern, r0..r1, tables, block, &mut scratch);
                let block = rows.reborrow().block(r0..r1, 0..row_end(program, self.out, limit, t));
                scoring.weigh(block, &positions[r0..r1]);
            }
        });
        frame.ws.scratch = scratch;
        frame.ws.put(program, self.out, buffer);
    }

    fn backward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (plan, program, weights, seq) = (frame.plan, frame.program(), frame.weights, frame.seq);
        let (mixes, rows) = (plan.mixes(self.out), program.info(self.out).rows);
        let (positions, t) = (seq.positions(rows), seq.x.len());
        let arrived = mixes.iter().any(|mix| frame.ws.gradient(program, mix.out).is_some());
        // by readers of mixes with frozen values
        let mut handed_on = frame.ws.take_gradient(program, self.out);
        if !program.info(self.out).trains || !(arrived || handed_on.is_some()) {
            return;
        }
        // taken out one by one, put back below: the kernel writes to all of them together
        let mut flat = self.grid.iter().flatten();
        let mut grads: [Matrix<E>; MOST_TABLES] = std::array::from_fn(|_| {
            flat.next().and_then(|w| plan.leaf(*w, frame.sums)).map(std::mem::take).unwrap_or_default()
        });
        let mut d_bias = self.scoring.bias_gradient(plan, frame.sums).map(std::mem::take);
        let tables = self.queries.len() * self.keys.len();
        let mut scratch = std::mem::take(&mut frame.ws.scratch);
        let mut block = std::mem::take(&mut frame.ws.block);
        block.scratch(BLOCK * padded(t));
        let scoring = self.scoring.head(0, weights, t);
        with_pattern(frame.ws, &seq, rows, (&self.queries, &self.keys), |ws, pattern| {
            let weights = head(ws.value(program, self.out), 0, positions.len(), t);
            for (r0, r1, limit) in blocks(positions) {
                let (mut d, beta) = match &mut handed_on {
                    Some(d) => (head_mut(d, 0, t, t).block(r0..r1, 0..limit), Beta::Add),
                    None => (ViewMut::new(&mut block, r1 - r0, limit, padded(t)), Beta::Zero),
                };
                Mixed::weights_gradient(
                    mixes,
                    program,
                    ws,
                    (0, 1),
                    (r0..r1, positions),
                    (d.reborrow(), beta),
                );
                let d_bias = d_bias.as_mut().map(|d| d.row_mut(0));
                scoring.weigh_back(d.reborrow(), weights.rows(r0..r1), &positions[r0..r1], d_bias);
                let mut views = grads.each_mut().map(Matrix::view_mut);
                table_scatter_block(pattern, r0..r1, &mut views[..tables], d.as_view(), &mut scratch);
            }
        });
        if let Some(gradient) = handed_on {
            frame.ws.put_gradient(program, self.out, gradient);
        }
        frame.ws.block = block;
        frame.ws.scratch = scratch;
        let bias = self.scoring.bias.zip(d_bias);
        for (weight, grad) in self.grid.iter().flatten().copied().zip(grads).chain(bias) {
            if let Some(leaf) = plan.leaf(weight, frame.sums) {
                *leaf = grad;
            }
        }
    }

    fn text(&self, text: &Text<'_>) -> String {
        let words = |of: &[GraphIndex]| of.iter().map(|i| index_text(*i)).collect::<Vec<_>>().join(" + ");
        let tables: Vec<String> = self.grid.iter().flatten().map(|w| text.weight(*w)).collect();
        format!(
            "pattern of tables, {} against {}: {}; {}",
            words(&self.queries),
            words(&self.keys),
            tables.join(", "),
            text.scoring(&self.scoring)
        )
    }
}
