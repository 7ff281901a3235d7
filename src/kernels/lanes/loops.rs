//! Loops over whole slices that many kernels share. They count instead of zipping slices: here `zip` stays a call, which takes as
//! long as a short row.

use super::{Lanes, WIDTH};
use crate::kernels::Element;

/// `out = f(out, a)`, vector by vector; `a` is as long as `out`.
#[inline(always)]
pub(crate) fn zip1<E: Element, L: Lanes<E>>(
    lanes: L,
    out: &mut [E],
    a: &[E],
    f: impl Fn(L::Vector, L::Vector) -> L::Vector,
) {
    let ((out, out_end), (a, a_end)) = (out.as_chunks_mut::<WIDTH>(), a.as_chunks::<WIDTH>());
    let a = &a[..out.len()];
    for i in 0..out.len() {
        let v = f(lanes.load(&out[i]), lanes.load(&a[i]));
        lanes.store(&mut out[i], v);
    }
    if !out_end.is_empty() {
        let v = f(lanes.load_part(out_end), lanes.load_part(a_end));
        lanes.store_part(out_end, v);
    }
}

/// `out = f(out, a, b)`, vector by vector; `a` and `b` are as long as `out`.
#[inline(always)]
pub(crate) fn zip2<E: Element, L: Lanes<E>>(
    lanes: L,
    out: &mut [E],
    a: &[E],
    b: &[E],
    f: impl Fn(L::Vector, L::Vector, L::Vector) -> L::Vector,
) {
    let (out, out_end) = out.as_chunks_mut::<WIDTH>();
    let ((a, a_end), (b, b_end)) = (a.as_chunks::<WIDTH>(), b.as_chunks::<WIDTH>());
    let (a, b) = (&a[..out.len()], &b[..out.len()]);
    for i in 0..out.len() {
        let v = f(lanes.load(&out[i]), lanes.load(&a[i]), lanes.load(&b[i]));
        lanes.store(&mut out[i], v);
    }
    if !out_end.is_empty() {
        let v = f(lanes.load_part(out_end), lanes.load_part(a_end), lanes.load_part(b_end));
        lanes.store_part(out_end, v);
    }
}

/// `row = f(row)`, vector by vector.
#[inline(always)]
pub(crate) fn map<E: Element, L: Lanes<E>>(lanes: L, row: &mut [E], f: impl Fn(L::Vector) -> L::Vector) {
    let (chunks, end) = row.as_chunks_mut::<WIDTH>();
    for chunk in chunks {
        let v = f(lanes.load(chunk));
        lanes.store(chunk, v);
    }
    if !end.is_empty() {
        let v = f(lanes.load_part(end));
        lanes.store_part(end, v);
    }
}

/// `row *= factor`.
#[inline(always)]
pub(crate) fn multiply<E: Element, L: Lanes<E>>(lanes: L, row: &mut [E], factor: E) {
    let factor = lanes.splat(factor);
    map(
        lanes,
        row,
        #[inline(always)]
        |v| lanes.mul(v, factor),
    );
}

/// `sum_i a_i b_i`; the slices are equally long.
#[inline(always)]
pub(crate) fn dot<E: Element, L: Lanes<E>>(lanes: L, a: &[E], b: &[E]) -> E {
    let ((a, a_end), (b, b_end)) = (a.as_chunks::<WIDTH>(), b.as_chunks::<WIDTH>());
    let end = if a_end.is_empty() {
        None
    } else {
        Some((lanes.load_part(a_end), lanes.load_part(&b_end[..a_end.len()])))
    };
    dot_with_end(lanes, (a, b), end)
}

/// `sum_i a_i b_i` of so many whole vectors and one more. Four sums at a time hide the latency of the addition.
#[inline(always)]
pub(crate) fn dot_with_end<E: Element, L: Lanes<E>>(
    lanes: L,
    (a, b): (&[[E; WIDTH]], &[[E; WIDTH]]),
    end: Option<(L::Vector, L::Vector)>,
) -> E {
    let mut sums = [lanes.splat(E::zero()); 4];
    let ((a4, a), (b4, b)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let (b4, b) = (&b4[..a4.len()], &b[..a.len()]);
    for j in 0..a4.len() {
        for i in 0..4 {
            sums[i] = lanes.mul_add(lanes.load(&a4[j][i]), lanes.load(&b4[j][i]), sums[i]);
        }
    }
    for i in 0..a.len().min(4) {
        sums[i] = lanes.mul_add(lanes.load(&a[i]), lanes.load(&b[i]), sums[i]);
    }
    if let Some((a, b)) = end {
        sums[3] = lanes.mul_add(a, b, sums[3]);
    }
    lanes.reduce_sum(lanes.add(lanes.add(sums[0], sums[1]), lanes.add(sums[2], sums[3])))
}

/// `sum_i a_i`.
#[inline(always)]
pub(crate) fn sum<E: Element, L: Lanes<E>>(lanes: L, a: &[E]) -> E {
    let mut sums = [lanes.splat(E::zero()); 4];
    let (a, a_end) = a.as_chunks::<WIDTH>();
    let (a4, a) = a.as_chunks::<4>();
    for a in a4 {
        for i in 0..4 {
            sums[i] = lanes.add(sums[i], lanes.load(&a[i]));
        }
    }
    for (i, a) in a.iter().enumerate() {
        sums[i] = lanes.add(sums[i], lanes.load(a));
    }
    if !a_end.is_empty() {
        sums[3] = lanes.add(sums[3], lanes.load_part(a_end));
    }
    lanes.reduce_sum(lanes.add(lanes.add(sums[0], sums[1]), lanes.add(sums[2], sums[3])))
}
