//! Attention patterns and mixing, below the diagonal only.
//!
//! Rows are taken in blocks; a block's keys end at its last query's position, rounded up to the vector width. Entries
//! between a row's own position and that limit are zero in patterns and in their gradients.
use crate::kernels::{Beta, Buffer, Element, View, ViewMut, gemm, padded};

use super::exec::{Plan, Sums};
use super::program::{Program, Scoring, Val};
use super::weights::Weights;
use super::workspace::{Sequence, Workspace, head, head_mut};

/// Queries in a block.
pub(crate) const BLOCK: usize = 32;
/// Keys in a block of the products over queries.
const KEY_BLOCK: usize = 32;

/// Up to where a row of a block with this limit is defined: zeros make the blocks of keys whole.
pub(crate) fn filled(limit: usize, seq: usize) -> usize {
    limit.next_multiple_of(KEY_BLOCK).min(seq.next_multiple_of(16))
}

/// Up to where a row of `pattern` is defined: to its end if somebody reads it, or else as far as the products need.
pub(crate) fn row_end(program: &Program, pattern: Val, limit: usize, seq: usize) -> usize {
    if program.reads.contains(&pattern) { seq.next_multiple_of(16) } else { filled(limit, seq) }
}

/// The blocks of queries at `positions`: rows `r0..r1` and the limit of their keys.
pub(crate) fn blocks(positions: &[u32]) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
    (0..positions.len()).step_by(BLOCK).map(|r0| {
        let r1 = (r0 + BLOCK).min(positions.len());
        (r0, r1, (positions[r1 - 1] as usize + 1).next_multiple_of(16))
    })
}

/// The parts of a dot-product pattern.
#[derive(Clone, Copy)]
pub(crate) struct Dot {
    pub out: Val,
    pub q: Val,
    pub k: Val,
    pub keys_t: Val,
    pub heads: usize,
    pub scoring: Scoring,
}

/// A mix that reads a pattern: its output, its values, and their transpose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mixed {
    pub out: Val,
    pub values_t: Val,
}

pub(crate) fn dot_forward<E: Element>(
    plan: &Plan,
    weights: &Weights<E>,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    dot: &Dot,
) {
    let (program, bias) = (&plan.program, dot.scoring.bias(weights));
    let (positions, t) = (seq.positions(program.info(dot.out).rows), seq.x.len());
    let mut out = ws.take(program, dot.out);
    let q = ws.stream(program, dot.q, positions.len());
    let keys_t = ws.transposed(program, dot.keys_t);
    let width = program.info(dot.q).cols / dot.heads;
    for h in 0..dot.heads {
        let cols = h * width..(h + 1) * width;
        let mut pattern = head_mut(&mut out, h, positions.len(), t);
        let bias = bias.map(|bias| bias.row(h));
        for (r0, r1, limit) in blocks(positions) {
            let block = pattern.reborrow().block(r0..r1, 0..limit);
            gemm(
                block,
                Beta::Zero,
                E::one(),
                q.block(r0..r1, cols.clone()),
                keys_t.block(cols.clone(), 0..limit),
            );
            for (r, position) in (r0..r1).zip(&positions[r0..r1]) {
                let row = &mut pattern.row_mut(r)[..row_end(program, dot.out, limit, t)];
                dot.scoring.weigh(row, *position as usize + 1, bias);
            }
        }
    }
    ws.put(program, dot.out, out);
}

pub(crate) fn dot_backward<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    dot: &Dot,
    sums: &mut Sums<E>,
) {
    let (program, mixes) = (&plan.program, plan.mixes(dot.out));
    let (positions, t) = (seq.positions(program.info(dot.out).rows), seq.x.len());
    if !program.info(dot.out).trains
        || positions.is_empty()
        || mixes.iter().all(|m| ws.gradient(program, m.out).is_none())
    {
        return;
    }
    // the gradient of the scores, [heads, rows, seq]
    let Some((mut d_scores, _)) = ws.open(program, dot.out) else { return };
    let mut d_bias = dot.scoring.bias_gradient(plan, sums);
    for h in 0..dot.heads {
        let mut d_bias = d_bias.as_deref_mut().map(|d| d.row_mut(h));
        let mut d = head_mut(&mut d_scores, h, positions.len(), t);
        let pattern = head(ws.value(program, dot.out), h, positions.len(), t);
        for (r0, r1, limit) in blocks(positions) {
            weights_gradient(
                program,
                ws,
                mixes,
                (h, dot.heads),
                (r0, r1),
                d.reborrow().block(r0..r1, 0..limit),
            );
            for (r, position) in (r0..r1).zip(&positions[r0..r1]) {
                let keys = *position as usize + 1;
                let row = &mut d.row_mut(r)[..filled(limit, t)];
                dot.scoring.weigh_back(row, pattern.row(r), keys, d_bias.as_deref_mut());
            }
        }
    }
    let width = program.info(dot.q).cols / dot.heads;
    if let Some((mut dq, beta)) = ws.open(program, dot.q) {
        let k = ws.stream(program, dot.k, t);
        for h in 0..dot.heads {
            let cols = h * width..(h + 1) * width;
            let d = head(&d_scores, h, positions.len(), t);
            for (r0, r1, limit) in blocks(positions) {
                let keys = limit.min(t);
                let ld = padded(program.info(dot.q).cols);
                let dq = ViewMut::new(&mut dq, positions.len(), program.info(dot.q).cols, ld);
                let (d, k) = (d.block(r0..r1, 0..keys), k.block(0..keys, cols.clone()));
                gemm(dq.block(r0..r1, cols.clone()), beta, E::one(), d, k);
            }
        }
        ws.put_gradient(program, dot.q, dq);
    }
    if let Some((mut dk, beta)) = ws.open(program, dot.k) {
        let q = ws.stream(program, dot.q, positions.len());
        for h in 0..dot.heads {
            let d = head(&d_scores, h, positions.len(), t);
            over_keys(positions, t, d, q, (h, dot.heads), &mut dk, beta);
        }
        ws.put_gradient(program, dot.k, dk);
    }
    ws.put_gradient(program, dot.out, d_scores);
}

/// `block = sum over mixes of dO V^T` for head `h` and rows `r0..r1`: the gradient of a pattern's weights.
pub(crate) fn weights_gradient<E: Element>(
    program: &Program,
    ws: &Workspace<E>,
    mixes: &[Mixed],
    (h, heads): (usize, usize),
    (r0, r1): (usize, usize),
    mut block: ViewMut<'_, E>,
) {
    let mut beta = Beta::Zero;
    let limit = block.n_cols();
    for mix in mixes {
        let Some(d_out) = ws.gradient(program, mix.out) else { continue };
        let cols = program.info(mix.out).cols;
        let width = cols / heads;
        let d_out = View::new(d_out, r1, cols, padded(cols)).block(r0..r1, h * width..(h + 1) * width);
        let values_t = ws.transposed(program, mix.values_t).block(h * width..(h + 1) * width, 0..limit);
        gemm(block.reborrow(), beta, E::one(), d_out, values_t);
        beta = Beta::Add;
    }
}

/// `dx (+)= P^T Y` for one head, in blocks of keys: `P` `[rows, seq]`, `Y` `[rows, dim]`, `dx` `[seq, dim]`.
fn over_keys<E: Element>(
    positions: &[u32],
    t: usize,
    p: View<'_, E>,
    y: View<'_, E>,
    (h, heads): (usize, usize),
    dx: &mut Buffer<E>,
    beta: Beta,
) {
    let width = y.n_cols() / heads;
    let cols = h * width..(h + 1) * width;
    let mut dx = ViewMut::new(dx, t, y.n_cols(), padded(y.n_cols()));
    for j0 in (0..t).step_by(KEY_BLOCK) {
        let j1 = (j0 + KEY_BLOCK).min(t);
        // the blocks of queries before this one end before these keys; perhaps all do
        let first = positions.partition_point(|&p| (p as usize) < j0);
        let rows =
            if first == positions.len() { first..first } else { first / BLOCK * BLOCK..positions.len() };
        let (p, y) = (p.block(rows.clone(), j0..j1), y.block(rows, cols.clone()));
        gemm(dx.reborrow().block(j0..j1, cols.clone()), beta, E::one(), p.t(), y);
    }
}

/// `out_h = pattern_h v_h`.
pub(crate) fn mix_forward<E: Element>(
    program: &Program,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, pattern, v): (Val, Val, Val),
) {
    let (positions, t) = (seq.positions(program.info(out).rows), seq.x.len());
    let (heads, cols) = (program.info(pattern).heads, program.info(out).cols);
    let width = cols / heads;
    let mut buffer = ws.take(program, out);
    let values = ws.stream(program, v, t);
    let mut mixed = ViewMut::new(&mut buffer, positions.len(), cols, padded(cols));
    for h in 0..heads {
        let cols = h * width..(h + 1) * width;
        let weights = head(ws.value(program, pattern), h, positions.len(), t);
        for (r0, r1, limit) in blocks(positions) {
            let keys = limit.min(t);
            let (weights, values) = (weights.block(r0..r1, 0..keys), values.block(0..keys, cols.clone()));
            gemm(mixed.reborrow().block(r0..r1, cols.clone()), Beta::Zero, E::one(), weights, values);
        }
    }
    ws.put(program, out, buffer);
}

/// The gradient of the values; that of the pattern is taken by the pattern itself, block by block.
pub(crate) fn mix_backward<E: Element>(
    program: &Program,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, pattern, v): (Val, Val, Val),
) {
    if ws.gradient(program, out).is_none() {
        return;
    }
    let Some((mut dv, beta)) = ws.open(program, v) else { return };
    let (positions, t) = (seq.positions(program.info(out).rows), seq.x.len());
    let (heads, cols) = (program.info(pattern).heads, program.info(out).cols);
    let d_out = ws.gradient(program, out).expect("checked above");
    let d_out = View::new(d_out, positions.len(), cols, padded(cols));
    for h in 0..heads {
        let weights = head(ws.value(program, pattern), h, positions.len(), t);
        over_keys(positions, t, weights, d_out, (h, heads), &mut dv, beta);
    }
    ws.put_gradient(program, v, dv);
}
