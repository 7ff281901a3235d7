//! Sums of lookups, values and mapped values.
use crate::graph::{Index as GraphIndex, WeightId};
use crate::kernels::{
    Beta, Element, Index, View, ViewMut, add_into, axpy, gather_rows, gemm, mul, mul_add, padded,
    scatter_rows_add,
};

use super::exec::{Plan, Sums};
use super::program::{Summand, Val};
use super::weights::Weights;
use super::workspace::{Sequence, Workspace};

/// `out = sum of summands` (`+=` in place).
pub(crate) fn forward<E: Element>(
    plan: &Plan,
    weights: &Weights<E>,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, summands, in_place): (Val, &[Summand], bool),
) {
    let program = &plan.program;
    let info = program.info(out);
    let (n, cols, ld) = (seq.positions(info.rows).len(), info.cols, padded(info.cols));
    let mut buffer = ws.take(program, out);
    let mut beta = if in_place { Beta::Add } else { Beta::Zero };
    if summands.is_empty() && beta == Beta::Zero {
        buffer[..n * ld].fill(E::zero());
    }
    let lookups = || {
        summands.iter().filter_map(|s| {
            if let Summand::Lookup { table, index } = *s { Some((table, index)) } else { None }
        })
    };
    for (slot, (_, index)) in lookups().enumerate() {
        select_index(ws, seq, index, info.rows, slot);
    }
    let mut tables = lookups()
        .zip(&ws.indices)
        .map(|((table, _), index)| (weights.matrix(table).view(), Index::Tokens(index)));
    if beta == Beta::Zero {
        // the first few together, in one pass over the output
        let few: [Option<(View<'_, E>, Index<'_>)>; 2] = [tables.next(), tables.next()];
        let rows = |buffer| ViewMut::new(buffer, n, cols, ld);
        match few {
            [Some(a), Some(b)] => gather_rows(rows(&mut buffer), &[a, b]),
            [Some(a), None] => gather_rows(rows(&mut buffer), &[a]),
            _ => {}
        }
        if few[0].is_some() {
            beta = Beta::Add;
        }
    }
    for (table, index) in tables {
        for r in 0..n {
            add_into(&mut buffer[r * ld..r * ld + cols], table.row(index.at(r)));
        }
    }
    for summand in summands {
        match *summand {
            Summand::Lookup { .. } => continue,
            Summand::Plain { val, scale } => {
                let x = &ws.value(program, val)[..n * ld];
                if beta == Beta::Zero {
                    buffer[..n * ld].fill(E::zero());
                }
                axpy(&mut buffer[..n * ld], E::from_f64(scale), x);
            }
            Summand::Gain { val, gain } => {
                let x = ws.stream(program, val, n);
                let gain = weights.matrix(gain).row(0);
                multiply_rows(ViewMut::new(&mut buffer, n, cols, ld), beta, x, gain);
            }
            Summand::Map { val, transposed, .. } => {
                let wide = cols.next_multiple_of(16);
                let out = ViewMut::new(&mut buffer, n, wide, ld);
                gemm(out, beta, E::one(), ws.stream(program, val, n), weights.matrix(transposed).wide());
            }
        }
        beta = Beta::Add;
    }
    ws.put(program, out, buffer);
}

/// The gradients of the summands.
pub(crate) fn backward<E: Element>(
    plan: &Plan,
    weights: &Weights<E>,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, summands): (Val, &[Summand]),
    sums: &mut Sums<E>,
) {
    let program = &plan.program;
    let info = program.info(out);
    let (n, cols, ld) = (seq.positions(info.rows).len(), info.cols, padded(info.cols));
    let Some(mut dy) = ws.take_gradient(program, out) else { return };
    for (i, summand) in summands.iter().enumerate() {
        match *summand {
            Summand::Lookup { table, index } => {
                if let Some(d) = plan.leaf(table, sums) {
                    select_index(ws, seq, index, info.rows, i);
                    let dy = ViewMut::new(&mut dy, n, cols, ld);
                    scatter_rows_add(d.view_mut(), Index::Tokens(&ws.indices[i]), dy.as_view());
                }
            }
            Summand::Plain { val, scale } => {
                if let Some((mut dx, beta)) = ws.open(program, val) {
                    if beta == Beta::Zero {
                        dx[..n * ld].fill(E::zero());
                    }
                    axpy(&mut dx[..n * ld], E::from_f64(scale), &dy[..n * ld]);
                    ws.put_gradient(program, val, dx);
                }
            }
            Summand::Gain { val, gain } => gain_backward(plan, weights, ws, (val, gain), (&dy, n, ld), sums),
            Summand::Map { val, weight, .. } => {
                let dy = ViewMut::new(&mut dy, n, cols, ld);
                if let Some((mut dx, beta)) = ws.open(program, val) {
                    let inputs = program.info(val).cols;
                    let dx_view = ViewMut::new(&mut dx, n, inputs, padded(inputs));
                    gemm(dx_view, beta, E::one(), dy.as_view(), weights.matrix(weight).view());
                    ws.put_gradient(program, val, dx);
                }
                if let Some(d) = plan.leaf(weight, sums) {
                    gemm(d.view_mut(), Beta::Add, E::one(), dy.as_view().t(), ws.stream(program, val, n));
                }
            }
        }
    }
    ws.put_gradient(program, out, dy);
}

fn gain_backward<E: Element>(
    plan: &Plan,
    weights: &Weights<E>,
    ws: &mut Workspace<E>,
    (val, gain): (Val, WeightId),
    (dy, n, ld): (&[E], usize, usize),
    sums: &mut Sums<E>,
) {
    let cols = plan.program.info(val).cols;
    if let Some((mut dx, beta)) = ws.open(&plan.program, val) {
        let gain = weights.matrix(gain).row(0);
        multiply_rows(ViewMut::new(&mut dx, n, cols, ld), beta, View::new(dy, n, cols, ld), gain);
        ws.put_gradient(&plan.program, val, dx);
    }
    if let Some(d) = plan.leaf(gain, sums) {
        let x = ws.stream(&plan.program, val, n);
        for r in 0..n {
            mul_add(d.row_mut(0), &dy[r * ld..r * ld + cols], x.row(r));
        }
    }
}

/// `out[r] (+)= gain * x[r]`, element by element.
fn multiply_rows<E: Element>(mut out: ViewMut<'_, E>, beta: Beta, x: View<'_, E>, gain: &[E]) {
    for r in 0..out.n_rows() {
        match beta {
            Beta::Zero => mul(out.row_mut(r), x.row(r), gain),
            Beta::Add => mul_add(out.row_mut(r), x.row(r), gain),
        }
    }
}

/// Fills `ws.indices[slot]` with the table rows that the positions of `rows` read.
pub(crate) fn select_index<E: Element>(
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    index: GraphIndex,
    rows: crate::engine::RowSet,
    slot: usize,
) {
    let of = seq.index(index);
    if ws.indices.len() <= slot {
        ws.indices.resize(slot + 1, Vec::new());
    }
    let target = &mut ws.indices[slot];
    target.clear();
    target.extend(seq.positions(rows).iter().map(|&p| of[p as usize]));
}
