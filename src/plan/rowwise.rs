//! Operations on each row by itself, and picks of rows.
use crate::kernels::{
    Beta, Element, View, ViewMut, add_into, norm_row, norm_row_back, padded, relu, relu_back, rotate_pairs,
    rotate_pairs_back, transpose,
};

use super::exec::Plan;
use super::program::{Layout, Source, Val};
use super::workspace::{Sequence, Workspace, head, head_mut};

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
    let mut buffer = ws.take(&plan.program, out);
    for h in 0..plan.program.info(x).heads {
        let from = head(ws.value(&plan.program, x), h, t, t);
        let mut to = head_mut(&mut buffer, h, rows.len(), t);
        for (r, &p) in rows.iter().enumerate() {
            // beyond the keys that a query sees, a pattern's buffer is not defined
            let seen = p as usize + 1;
            to.row_mut(r)[..seen].copy_from_slice(&from.row(p as usize)[..seen]);
            to.row_mut(r)[seen..].fill(E::zero());
        }
    }
    ws.put(&plan.program, out, buffer);
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
    source: Source,
) {
    let rows = seq.positions(plan.program.info(out).rows);
    copy_rows(plan, ws, (out, x), rows.iter().map(|&p| looks_at(source, seq, p as usize)));
}

pub(crate) fn pick_back<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, x): (Val, Val),
    source: Source,
) {
    let rows = seq.positions(plan.program.info(out).rows);
    add_rows(plan, ws, seq, (out, x), rows.iter().map(|&p| looks_at(source, seq, p as usize)));
}

/// The position at which a one-hot pattern looks from position `t`.
pub(crate) fn looks_at(source: Source, seq: &Sequence<'_>, t: usize) -> usize {
    match source {
        Source::Previous => t.saturating_sub(1),
        Source::Induction => seq.x[..t].iter().rposition(|x| *x == seq.x[t]).map_or(0, |s| s + 1),
    }
}

/// A one-hot pattern.
pub(crate) fn one_hot<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    out: Val,
    source: Source,
) {
    let info = plan.program.info(out);
    let positions = seq.positions(info.rows);
    let mut buffer = ws.take(&plan.program, out);
    for h in 0..info.heads {
        let mut pattern = head_mut(&mut buffer, h, positions.len(), seq.x.len());
        for (r, &p) in positions.iter().enumerate() {
            let row = pattern.row_mut(r);
            row.fill(E::zero());
            row[looks_at(source, seq, p as usize)] = E::one();
        }
    }
    ws.put(&plan.program, out, buffer);
}

fn copy_rows<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    (out, x): (Val, Val),
    rows: impl Iterator<Item = usize>,
) {
    let ld = padded(plan.program.info(out).cols);
    let mut buffer = ws.take(&plan.program, out);
    let from = ws.value(&plan.program, x);
    for (row, p) in buffer.chunks_exact_mut(ld).zip(rows) {
        row.copy_from_slice(&from[p * ld..(p + 1) * ld]);
    }
    ws.put(&plan.program, out, buffer);
}

fn add_rows<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, x): (Val, Val),
    rows: impl Iterator<Item = usize>,
) {
    let ld = padded(plan.program.info(out).cols);
    let Some(dy) = ws.take_gradient(&plan.program, out) else { return };
    if let Some((mut dx, beta)) = ws.open(&plan.program, x) {
        if beta == Beta::Zero {
            let n = seq.positions(plan.program.info(x).rows).len();
            dx[..n * ld].fill(E::zero());
        }
        for (row, p) in dy.chunks_exact(ld).zip(rows) {
            add_into(&mut dx[p * ld..(p + 1) * ld], row);
        }
        ws.put_gradient(&plan.program, x, dx);
    }
    ws.put_gradient(&plan.program, out, dy);
}

/// `(x - mean) / sqrt(var + eps)`.
pub(crate) fn normalise<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, x): (Val, Val),
    eps: f64,
) {
    let info = plan.program.info(out);
    let (n, cols, ld) = (seq.positions(info.rows).len(), info.cols, padded(info.cols));
    let mut buffer = ws.take(&plan.program, out);
    let mut stats = std::mem::take(&mut ws.row_stats[out.0]);
    let x = ws.stream(&plan.program, x, n);
    for r in 0..n {
        stats[r] = norm_row(&mut buffer[r * ld..r * ld + cols], x.row(r), E::from_f64(eps));
    }
    ws.row_stats[out.0] = stats;
    ws.put(&plan.program, out, buffer);
}

pub(crate) fn normalise_back<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, x): (Val, Val),
) {
    let info = plan.program.info(out);
    let (n, cols, ld) = (seq.positions(info.rows).len(), info.cols, padded(info.cols));
    let Some(dy) = ws.take_gradient(&plan.program, out) else { return };
    if let Some((mut dx, beta)) = ws.open(&plan.program, x) {
        let y = ws.stream(&plan.program, out, n);
        for r in 0..n {
            let range = r * ld..r * ld + cols;
            let inverse = ws.row_stats[out.0][r];
            norm_row_back(&mut dx[range.clone()], beta == Beta::Add, &dy[range], y.row(r), inverse);
        }
        ws.put_gradient(&plan.program, x, dx);
    }
    ws.put_gradient(&plan.program, out, dy);
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
    let mut buffer = ws.take(&plan.program, out);
    if info.home == plan.program.info(x).home {
        buffer[..len].iter_mut().for_each(|v| *v = if *v > E::zero() { *v } else { E::zero() });
    } else {
        relu(&mut buffer[..len], &ws.value(&plan.program, x)[..len]);
    }
    ws.put(&plan.program, out, buffer);
}

pub(crate) fn relu_backward<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, x): (Val, Val),
) {
    let info = plan.program.info(out);
    let len = seq.positions(info.rows).len() * padded(info.cols);
    let Some(mut dy) = ws.take_gradient(&plan.program, out) else { return };
    let y = &ws.value(&plan.program, out)[..len];
    if info.home == plan.program.info(x).home {
        dy[..len].iter_mut().zip(y).for_each(|(d, &y)| *d = if y > E::zero() { *d } else { E::zero() });
    } else if let Some((mut dx, beta)) = ws.open(&plan.program, x) {
        let y = &ws.value(&plan.program, out)[..len];
        relu_back(&mut dx[..len], beta == Beta::Add, &dy[..len], y);
        ws.put_gradient(&plan.program, x, dx);
    }
    ws.put_gradient(&plan.program, out, dy);
}

/// Rotary positions, with the plan's table of angles.
pub(crate) fn rotate<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, x): (Val, Val),
    (heads, theta): (usize, f64),
) {
    let info = plan.program.info(out);
    let (positions, cols, ld) = (seq.positions(info.rows), info.cols, padded(info.cols));
    let mut buffer = ws.take(&plan.program, out);
    let x = ws.stream(&plan.program, x, positions.len());
    let width = cols / heads;
    let mut angles = Angles::<E>::new(width, theta);
    for (r, &p) in positions.iter().enumerate() {
        angles.turn(p);
        let row = &mut buffer[r * ld..r * ld + cols];
        row.copy_from_slice(x.row(r));
        row.chunks_exact_mut(width).for_each(|head| rotate_pairs(head, &angles.cos, &angles.sin));
    }
    ws.put(&plan.program, out, buffer);
}

pub(crate) fn rotate_back<E: Element>(
    plan: &Plan,
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    (out, x): (Val, Val),
    (heads, theta): (usize, f64),
) {
    let info = plan.program.info(out);
    let (positions, cols, ld) = (seq.positions(info.rows), info.cols, padded(info.cols));
    let Some(mut dy) = ws.take_gradient(&plan.program, out) else { return };
    if let Some((mut dx, beta)) = ws.open(&plan.program, x) {
        let width = cols / heads;
        let mut angles = Angles::<E>::new(width, theta);
        for (r, &p) in positions.iter().enumerate() {
            angles.turn(p);
            let row = &mut dy[r * ld..r * ld + cols];
            row.chunks_exact_mut(width).for_each(|head| rotate_pairs_back(head, &angles.cos, &angles.sin));
            let target = &mut dx[r * ld..r * ld + cols];
            match beta {
                Beta::Zero => target.copy_from_slice(row),
                Beta::Add => add_into(target, row),
            }
        }
        ws.put_gradient(&plan.program, x, dx);
    }
    ws.put_gradient(&plan.program, out, dy);
}

/// Cosines and sines of one position's angles.
struct Angles<E> {
    rates: Vec<f64>,
    cos: Vec<E>,
    sin: Vec<E>,
}

impl<E: Element> Angles<E> {
    fn new(width: usize, theta: f64) -> Self {
        let rates: Vec<f64> = (0..width / 2).map(|i| theta.powf(-2.0 * i as f64 / width as f64)).collect();
        let zeros = vec![E::zero(); width / 2];
        Angles { rates, cos: zeros.clone(), sin: zeros }
    }

    fn turn(&mut self, position: u32) {
        for (i, rate) in self.rates.iter().enumerate() {
            let (sin, cos) = (rate * position as f64).sin_cos();
            (self.cos[i], self.sin[i]) = (E::from_f64(cos), E::from_f64(sin));
        }
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
    let mut buffer = ws.take(&plan.program, out);
    let x: View<'_, E> = ws.stream(&plan.program, x, t);
    transpose(ViewMut::new(&mut buffer, cols, t, padded(t)), x);
    ws.put(&plan.program, out, buffer);
}
