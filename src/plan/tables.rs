//! Attention patterns of layer 0: queries and keys that are sums of lookups, so scores are sums of table entries.
use crate::graph::Index as GraphIndex;
use crate::kernels::{
    Element, Index, TablePattern, View, ViewMut, padded, table_scatter_block, table_scores_block,
};

use super::affine::select_index;
use super::attention::{self, BLOCK, blocks, row_end};
use super::exec::{Plan, Sums};
use super::program::Instr;
use super::weights::{Matrix, Weights};
use super::workspace::{Sequence, Workspace, head, head_mut};

/// The most terms of queries or keys that a pattern of lookups may have.
pub(crate) const MOST_TERMS: usize = 4;
const MOST_TABLES: usize = MOST_TERMS * MOST_TERMS;

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
    rows: crate::engine::RowSet,
    (queries, keys): (&[GraphIndex], &[GraphIndex]),
    body: impl FnOnce(&mut Workspace<E>, &TablePattern<'_>) -> R,
) -> R {
    for (slot, index) in queries.iter().enumerate() {
        select_index(ws, seq, *index, rows, slot);
    }
    let indices = std::mem::take(&mut ws.indices);
    let mut query_indices = [Index::Positions; MOST_TERMS];
    let mut key_indices = [Index::Positions; MOST_TERMS];
    for (slot, selected) in query_indices.iter_mut().zip(&indices) {
        *slot = Index::Tokens(selected);
    }
    for (slot, index) in key_indices.iter_mut().zip(keys) {
        *slot = kernel_index(seq, *index);
    }
    let pattern = TablePattern {
        queries: &query_indices[..queries.len()],
        keys: &key_indices[..keys.len()],
        last: seq.positions(rows),
    };
    let result = body(ws, &pattern);
    ws.indices = indices;
    result
}

pub(crate) fn forward<E: Element>(
    plan: &Plan,
    weights: &Weights<E>,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    instr: &Instr,
) {
    let Instr::TablePattern { out, queries, keys, grid, scoring } = instr else { return };
    let rows = plan.program.info(*out).rows;
    let (positions, t) = (seq.positions(rows), seq.x.len());
    let Some(first) = grid.first().and_then(|row| row.first()) else { return };
    let mut tables = [weights.matrix(*first).view(); MOST_TABLES];
    let flat = grid.iter().flatten();
    tables.iter_mut().zip(flat).for_each(|(view, id)| *view = weights.matrix(*id).view());
    let tables: &[View<'_, E>] = &tables[..queries.len() * keys.len()];
    let bias = scoring.bias(weights).map(|bias| bias.row(0));
    let mut buffer = ws.take(&plan.program, *out);
    let mut scratch = std::mem::take(&mut ws.scratch);
    with_pattern(ws, seq, rows, (queries, keys), |_, pattern| {
        let mut rows = head_mut(&mut buffer, 0, positions.len(), t);
        for (r0, r1, limit) in blocks(positions) {
            let block = rows.reborrow().block(r0..r1, 0..limit);
            table_scores_block(pattern, r0..r1, tables, block, &mut scratch);
            for (r, position) in (r0..r1).zip(&positions[r0..r1]) {
                let row = &mut rows.row_mut(r)[..row_end(&plan.program, *out, limit, t)];
                scoring.weigh(row, *position as usize + 1, bias);
            }
        }
    });
    ws.scratch = scratch;
    ws.put(&plan.program, *out, buffer);
}

pub(crate) fn backward<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    instr: &Instr,
    sums: &mut Sums<E>,
) {
    let Instr::TablePattern { out, queries, keys, grid, scoring } = instr else { return };
    let (program, mixes) = (&plan.program, plan.mixes(*out));
    let rows = program.info(*out).rows;
    let (positions, t) = (seq.positions(rows), seq.x.len());
    if !program.info(*out).trains || mixes.iter().all(|m| ws.gradient(program, m.out).is_none()) {
        return;
    }
    // taken out one by one, put back below: the kernel writes to all of them together
    let mut flat = grid.iter().flatten();
    let mut grads: [Matrix<E>; MOST_TABLES] = std::array::from_fn(|_| {
        flat.next().and_then(|w| plan.leaf(*w, sums)).map(std::mem::take).unwrap_or_default()
    });
    let mut d_bias = scoring.bias_gradient(plan, sums).map(std::mem::take);
    let tables = queries.len() * keys.len();
    let mut scratch = std::mem::take(&mut ws.scratch);
    let mut block = std::mem::take(&mut ws.block);
    block.scratch(BLOCK * padded(t));
    with_pattern(ws, seq, rows, (queries, keys), |ws, pattern| {
        let weights = head(ws.value(program, *out), 0, positions.len(), t);
        for (r0, r1, limit) in blocks(positions) {
            let mut d = ViewMut::new(&mut block, r1 - r0, limit, padded(t));
            attention::weights_gradient(program, ws, mixes, (0, 1), (r0, r1), d.reborrow());
            for (r, position) in (r0..r1).zip(&positions[r0..r1]) {
                let keys = *position as usize + 1;
                let row = &mut d.row_mut(r - r0)[..limit];
                scoring.weigh_back(row, weights.row(r), keys, d_bias.as_mut().map(|d| d.row_mut(0)));
            }
            let mut views = grads.each_mut().map(Matrix::view_mut);
            table_scatter_block(pattern, r0..r1, &mut views[..tables], d.as_view(), &mut scratch);
        }
    });
    ws.block = block;
    ws.scratch = scratch;
    for (weight, grad) in grid.iter().flatten().copied().zip(grads).chain(scoring.bias.zip(d_bias)) {
        if let Some(leaf) = plan.leaf(weight, sums) {
            *leaf = grad;
        }
    }
}
