//! Operations on each row by itself, and picks of rows.
use std::ops::Range;

use crate::graph::Clamp;
use crate::kernels::{
    Beta, Element, ViewMut, add_into, norm_row, norm_row_back, padded, relu, relu_back, relu_back_in_place,
    relu_in_place, rotate_pairs, rotate_pairs_back, transpose,
};

use super::exec::Plan;
use super::program::{Layout, Val};
use super::workspace::{Sequence, Workspace, head, head_mut, head_stride};

/// Rows of `x` at the positions of `out`.
pub(crate) fn select<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, x): (Val, Val),
) {
    let rows = seq.positions(plan.program.info(out).rows);
    if plan.program.info(x).layout == Layout::Pattern {
        return select_queries(plan, ws, seq, (out, x));
    }
    copy_rows(plan, ws, (out, x), rows.iter().map(|&p| p as usize));
}

/// Rows of a pattern, for a reader; no gradient flows through it.
fn select_queries<E: Element>(plan: &Plan, ws: &mut Workspace<E>, seq: &Sequence<'_>, (out, x): (Val, Val)) {
    let (rows, t) = (seq.positions(plan.program.info(out).rows), seq.x.len());
    ws.write(&plan.program, out, |ws, buffer| {
        for h in 0..plan.program.info(x).heads {
            let from = head(ws.value(&plan.program, x), h, t, t);
            let mut to = head_mut(buffer, h, rows.len(), t);
            for (r, &p) in rows.iter().enumerate() {
                copy_seen(to.row_mut(r), from.row(p as usize), p);
            }
        }
    });
}

/// A row of a pattern at position `p`: beyond the keys that a query sees, a pattern's buffer is not defined.
fn copy_seen<E: Element>(to: &mut [E], from: &[E], p: u32) {
    let seen = p as usize + 1;
    to[..seen].copy_from_slice(&from[..seen]);
    to[seen..].fill(E::zero());
}

/// Some heads of `other`, the rest of `base`, for a reader; no gradient flows through it.
pub(crate) fn splice<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, base, other): (Val, Val, Val),
    chosen: &[bool],
) {
    let (rows, t) = (seq.positions(plan.program.info(out).rows), seq.x.len());
    ws.write(&plan.program, out, |ws, buffer| {
        for (h, chosen) in chosen.iter().enumerate() {
            let from = head(ws.value(&plan.program, if *chosen { other } else { base }), h, rows.len(), t);
            let mut to = head_mut(buffer, h, rows.len(), t);
            for (r, &p) in rows.iter().enumerate() {
                copy_seen(to.row_mut(r), from.row(r), p);
            }
        }
    });
}

pub(crate) fn select_back<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, x): (Val, Val),
) {
    let rows = seq.positions(plan.program.info(out).rows);
    add_rows(plan, ws, seq, (out, x), rows.iter().map(|&p| p as usize));
}

/// Row `source(t)` of `x` for each position `t` of `out`.
pub(crate) fn pick<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, x): (Val, Val),
    clamp: &Clamp,
) {
    let rows = seq.positions(plan.program.info(out).rows);
    copy_rows(plan, ws, (out, x), rows.iter().map(|&p| looks_at(clamp, seq, p)));
}

pub(crate) fn pick_back<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, x): (Val, Val),
    clamp: &Clamp,
) {
    let rows = seq.positions(plan.program.info(out).rows);
    add_rows(plan, ws, seq, (out, x), rows.iter().map(|&p| looks_at(clamp, seq, p)));
}

/// The position at which a one-hot pattern looks from position `p`.
fn looks_at(clamp: &Clamp, seq: &Sequence<'_>, p: u32) -> usize {
    clamp.source(seq.x, p as usize).expect("rows are picked by rules that look at one position")
}

/// A pattern that follows a rule.
pub(crate) fn clamped<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    out: Val,
    clamp: &Clamp,
) {
    let info = plan.program.info(out);
    let positions = seq.positions(info.rows);
    ws.write(&plan.program, out, |_, buffer| {
        for h in 0..info.heads {
            let mut pattern = head_mut(buffer, h, positions.len(), seq.x.len());
            for (r, &p) in positions.iter().enumerate() {
                let row = pattern.row_mut(r);
                row.fill(E::zero());
                let seen = &mut row[..=p as usize];
                match clamp {
                    Clamp::Nothing => {}
                    Clamp::Uniform => seen.fill(E::from_f64(1.0 / (f64::from(p) + 1.0))),
                    _ => seen[looks_at(clamp, seq, p)] = E::one(),
                }
            }
        }
    });
}

/// A stream or a pattern that a run is given: `[seq, cols]` or `[heads, seq, seq]`, row-major.
pub(crate) fn given<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    out: Val,
    values: &[E],
) {
    let (info, t) = (plan.program.info(out), seq.x.len());
    let positions = seq.positions(info.rows);
    ws.write(&plan.program, out, |_, buffer| {
        for (h, values) in values.chunks_exact(t * info.cols).enumerate() {
            let base = if info.layout == Layout::Pattern { h * head_stride(t) } else { 0 };
            let rows = buffer[base..].chunks_exact_mut(padded(info.cols));
            for (to, &p) in rows.zip(positions) {
                to[..info.cols].copy_from_slice(&values[p as usize * info.cols..][..info.cols]);
            }
        }
    });
}

fn copy_rows<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    (out, x): (Val, Val),
    rows: impl Iterator<Item = usize>,
) {
    let ld = padded(plan.program.info(out).cols);
    ws.write(&plan.program, out, |ws, buffer| {
        let from = ws.value(&plan.program, x);
        for (row, p) in buffer.chunks_exact_mut(ld).zip(rows) {
            row.copy_from_slice(&from[p * ld..(p + 1) * ld]);
        }
    });
}

fn add_rows<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, x): (Val, Val),
    rows: impl Iterator<Item = usize>,
) {
    let ld = padded(plan.program.info(out).cols);
    ws.pass_back(&plan.program, (out, x), |_, dy, dx, beta| {
        if beta == Beta::Zero {
            let n = seq.positions(plan.program.info(x).rows).len();
            dx[..n * ld].fill(E::zero());
        }
        for (row, p) in dy.chunks_exact(ld).zip(rows) {
            add_into(&mut dx[p * ld..(p + 1) * ld], row);
        }
    });
}

/// Where each row of a stream lies in its buffer.
fn row_ranges(plan: &Plan, seq: &Sequence<'_>, val: Val) -> impl Iterator<Item = Range<usize>> {
    let info = plan.program.info(val);
    let (n, cols, ld) = (seq.positions(info.rows).len(), info.cols, padded(info.cols));
    (0..n).map(move |r| r * ld..r * ld + cols)
}

/// `(x - mean) / sqrt(var + eps)`.
pub(crate) fn normalise<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, x): (Val, Val),
    eps: f64,
) {
    ws.write(&plan.program, out, |ws, buffer| {
        let mut inverses = std::mem::take(&mut ws.row_stats[out.0]);
        let x = ws.value(&plan.program, x);
        for (range, inverse) in row_ranges(plan, seq, out).zip(&mut inverses) {
            *inverse = norm_row(&mut buffer[range.clone()], &x[range], E::from_f64(eps));
        }
        ws.row_stats[out.0] = inverses;
    });
}

pub(crate) fn normalise_back<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, x): (Val, Val),
) {
    ws.pass_back(&plan.program, (out, x), |ws, dy, dx, beta| {
        let y = ws.value(&plan.program, out);
        for (range, inverse) in row_ranges(plan, seq, out).zip(&ws.row_stats[out.0]) {
            let (dx, dy, y) = (&mut dx[range.clone()], &dy[range.clone()], &y[range]);
            norm_row_back(dx, beta == Beta::Add, dy, y, *inverse);
        }
    });
}

/// `max(x, 0)`, perhaps where it stands.
pub(crate) fn relu_forward<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, x): (Val, Val),
) {
    let info = plan.program.info(out);
    let len = seq.positions(info.rows).len() * padded(info.cols);
    ws.write(&plan.program, out, |ws, buffer| {
        if info.home == plan.program.info(x).home {
            relu_in_place(&mut buffer[..len]);
        } else {
            relu(&mut buffer[..len], &ws.value(&plan.program, x)[..len]);
        }
    });
}

pub(crate) fn relu_backward<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, x): (Val, Val),
) {
    let info = plan.program.info(out);
    let len = seq.positions(info.rows).len() * padded(info.cols);
    if info.home != plan.program.info(x).home {
        return ws.pass_back(&plan.program, (out, x), |ws, dy, dx, beta| {
            let y = &ws.value(&plan.program, out)[..len];
            relu_back(&mut dx[..len], beta == Beta::Add, &dy[..len], y);
        });
    }
    // the gradient has one buffer too
    let Some(mut d) = ws.take_gradient(&plan.program, out) else { return };
    relu_back_in_place(&mut d[..len], &ws.value(&plan.program, out)[..len]);
    ws.put_gradient(&plan.program, out, d);
}

/// Rotary positions, by the workspace's table of angles.
pub(crate) fn rotate<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, x): (Val, Val),
    heads: usize,
) {
    let info = plan.program.info(out);
    ws.write(&plan.program, out, |ws, buffer| {
        let (x, angles) = (ws.value(&plan.program, x), &ws.angles[out.0]);
        for (range, &p) in row_ranges(plan, seq, out).zip(seq.positions(info.rows)) {
            let row = &mut buffer[range.clone()];
            row.copy_from_slice(&x[range]);
            let (cos, sin) = angles.at(p);
            row.chunks_exact_mut(info.cols / heads).for_each(|head| rotate_pairs(head, cos, sin));
        }
    });
}

pub(crate) fn rotate_back<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, x): (Val, Val),
    heads: usize,
) {
    let info = plan.program.info(out);
    ws.pass_back(&plan.program, (out, x), |ws, dy, dx, beta| {
        for (range, &p) in row_ranges(plan, seq, out).zip(seq.positions(info.rows)) {
            let row = &mut dy[range.clone()];
            let (cos, sin) = ws.angles[out.0].at(p);
            row.chunks_exact_mut(info.cols / heads).for_each(|head| rotate_pairs_back(head, cos, sin));
            match beta {
                Beta::Zero => dx[range].copy_from_slice(row),
                Beta::Add => add_into(&mut dx[range], row),
            }
        }
    });
}

/// Cosines and sines of the angles of each position.
#[derive(Default)]
pub(crate) struct Angles<E> {
    pairs: usize,
    cos: Vec<E>,
    sin: Vec<E>,
}

impl<E: Element> Angles<E> {
    /// For heads of `width` columns and the positions below `seq`.
    pub fn new(seq: usize, width: usize, theta: f64) -> Self {
        let pairs = width / 2;
        let rate = |i: usize| theta.powf(-2.0 * i as f64 / width as f64);
        let turns = (0..seq).flat_map(|p| (0..pairs).map(move |i| (rate(i) * p as f64).sin_cos()));
        let (sin, cos) = turns.map(|(sin, cos)| (E::from_f64(sin), E::from_f64(cos))).unzip();
        Angles { pairs, cos, sin }
    }

    fn at(&self, position: u32) -> (&[E], &[E]) {
        let range = position as usize * self.pairs..(position as usize + 1) * self.pairs;
        (&self.cos[range.clone()], &self.sin[range])
    }
}

/// `x^T`, padded with zeros to the vector width.
pub(crate) fn transposed<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, x): (Val, Val),
) {
    let (t, cols) = (seq.x.len(), plan.program.info(x).cols);
    ws.write(&plan.program, out, |ws, buffer| {
        transpose(ViewMut::new(buffer, cols, t, padded(t)), ws.stream(&plan.program, x, t));
    });
}
