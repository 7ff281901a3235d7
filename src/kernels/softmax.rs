//! Softmax over the keys that a query sees.

use super::lanes::{self, Lanes, WIDTH, kernel};
use super::{Element, View, ViewMut, clear};

/// The largest element; minus infinity of none.
#[inline(always)]
pub(super) fn largest<E: Element, L: Lanes<E>>(simd: L, row: &[E]) -> E {
    let (chunks, end) = row.as_chunks::<WIDTH>();
    let mut found = most(simd, chunks);
    if !end.is_empty() {
        found = simd.max(simd.keep(simd.load_part(end), end.len(), simd.splat(E::NEG_INFINITY)), found);
    }
    simd.reduce_max(found)
}

/// The largest element in each lane.
#[inline(always)]
fn most<E: Element, L: Lanes<E>>(simd: L, chunks: &[[E; WIDTH]]) -> L::Vector {
    let mut found = [simd.splat(E::NEG_INFINITY); 2];
    let (pairs, rest) = chunks.as_chunks::<2>();
    for pair in pairs {
        found[0] = simd.max(simd.load(&pair[0]), found[0]);
        found[1] = simd.max(simd.load(&pair[1]), found[1]);
    }
    for chunk in rest {
        found[0] = simd.max(simd.load(chunk), found[0]);
    }
    simd.max(found[0], found[1])
}

/// `row = exp(scale * (row - shift))`; returns the sum of the new values.
///
/// Subtracting first keeps the result exact to a few units in the last place however large the elements are.
#[inline(always)]
pub(super) fn exp_and_sum<E: Element, L: Lanes<E>>(simd: L, row: &mut [E], shift: E, scale: E) -> E {
    let (shift, scale, zero) = (simd.splat(shift), simd.splat(scale), simd.splat(E::zero()));
    let mut sum = zero;
    let (chunks, end) = row.as_chunks_mut::<WIDTH>();
    for chunk in chunks {
        let v = simd.exp(simd.mul(scale, simd.sub(simd.load(chunk), shift)));
        simd.store(chunk, v);
        sum = simd.add(sum, v);
    }
    if !end.is_empty() {
        let v = simd.exp(simd.mul(scale, simd.sub(simd.load_part(end), shift)));
        simd.store_part(end, v);
        sum = simd.add(sum, simd.keep(v, end.len(), zero));
    }
    simd.reduce_sum(sum)
}

kernel! {
    /// `row[..len] = softmax(scale * row[..len])`, `row[len..] = 0`.
    ///
    /// `row: [keys]`; `len` is the number of keys that the query sees (the paper's causal mask), `scale >= 0`. A score of
    /// minus infinity gets weight 0; as in PyTorch, NaN or a row of nothing but minus infinity gives NaN.
    ///
    /// # Panics
    /// When `len` exceeds the row or `scale` is negative.
    ///
    /// ```
    /// let mut row = [0.0_f32, f32::ln(3.0), 7.0];
    /// ihead::internals::kernels::softmax_row(&mut row, 2, 1.0);
    /// assert!((row[0] - 0.25).abs() < 1e-6 && (row[1] - 0.75).abs() < 1e-6 && row[2] == 0.0);
    /// ```
    pub fn softmax_row<'a, E>(simd; row: &'a mut [E], len: usize, scale: E) -> () {
        softmax(simd, row, len, scale);
    }
}

kernel! {
    /// [`softmax_row`] of each row of `rows`, of which row r sees the keys up to `last[r]`.
    ///
    /// # Panics
    /// When there are fewer numbers than rows, or where [`softmax_row`] does.
    pub fn softmax_rows<'a, E>(simd; rows: ViewMut<'a, E>, last: &'a [u32], scale: E) -> () {
        let mut rows = rows;
        for (r, &last) in last[..rows.n_rows()].iter().enumerate() {
            softmax(simd, rows.row_mut(r), last as usize + 1, scale);
        }
    }
}

#[inline(always)]
fn softmax<E: Element, L: Lanes<E>>(simd: L, row: &mut [E], len: usize, scale: E) {
    assert!(scale >= E::zero(), "softmax with scale {scale}");
    let Some(Seen { whole, last, of_last }) = seen(simd, row, len) else { return };
    let (zero, lowest) = (simd.splat(E::zero()), simd.splat(E::NEG_INFINITY));
    let mut end = simd.load_up_to_16(last);
    let largest = simd.reduce_max(simd.max(most(simd, whole), simd.keep(end, of_last, lowest)));
    let shift = simd.splat(largest);
    let (by, mut sum) = (simd.splat(scale), zero);
    for chunk in &mut *whole {
        let v = simd.exp(simd.mul(by, simd.sub(simd.load(chunk), shift)));
        simd.store(chunk, v);
        sum = simd.add(sum, v);
    }
    // unseen lanes hold the largest score on the way: an exponential that is nearly zero takes a hundred times as long as another
    end = simd.exp(simd.mul(by, simd.sub(simd.keep(end, of_last, shift), shift)));
    end = simd.keep(end, of_last, zero);
    sum = simd.add(sum, end);
    let factor = simd.splat(E::one() / simd.reduce_sum(sum));
    for chunk in whole {
        let v = simd.mul(simd.load(chunk), factor);
        simd.store(chunk, v);
    }
    simd.store_up_to_16(last, simd.keep(simd.mul(end, factor), of_last, zero));
}

/// The keys that a query sees: whole vectors, and the last one, of which so many lanes are seen.
struct Seen<'a, E> {
    whole: &'a mut [[E; WIDTH]],
    last: &'a mut [E],
    of_last: usize,
}

/// The first `len` numbers of a row, with what lies beside them in the last vector; what lies beyond becomes zero. `None` of no number.
///
/// Rows of a block that end in the same vector go through their loops equally often, so that the processor foresees where they end.
#[inline(always)]
fn seen<E: Element, L: Lanes<E>>(simd: L, row: &mut [E], len: usize) -> Option<Seen<'_, E>> {
    let before = len.saturating_sub(1) / WIDTH * WIDTH;
    let (whole, rest) = row.split_at_mut(before);
    let (last, beyond) = rest.split_at_mut(if len == 0 { 0 } else { rest.len().min(WIDTH) });
    let (vectors, end) = beyond.as_chunks_mut::<WIDTH>();
    let zero = simd.splat(E::zero());
    for vector in vectors {
        simd.store(vector, zero);
    }
    simd.store_part(end, zero);
    let of_last = len - before;
    assert!(of_last <= last.len(), "{len} keys are seen, and there are fewer");
    (len > 0).then_some(Seen { whole: whole.as_chunks_mut().0, last, of_last })
}

kernel! {
    /// Softmax with a key of score 0 that holds nothing: `row[..len] = exp(scale * row[..len]) / (1 + sum)`,
    /// `row[len..] = 0`. Its gradient is that of [`softmax_row`], [`softmax_row_back`].
    ///
    /// # Panics
    /// When `len` exceeds the row or `scale` is negative.
    ///
    /// ```
    /// let mut row = [0.0_f32, f32::ln(3.0)];
    /// ihead::internals::kernels::softmax_off_by_one_row(&mut row, 2, 1.0);
    /// assert!((row[0] - 0.2).abs() < 1e-6 && (row[1] - 0.6).abs() < 1e-6);
    /// ```
    pub fn softmax_off_by_one_row<'a, E>(simd; row: &'a mut [E], len: usize, scale: E) -> () {
        assert!(scale >= E::zero(), "softmax with scale {scale}");
        let (seen, beyond) = row.split_at_mut(len);
        clear(beyond);
        if !seen.is_empty() {
            let most = largest(simd, seen);
            let shift = if most < E::zero() { E::zero() } else { most };
            let sum = exp_and_sum(simd, seen, shift, scale) + E::from_f64((-(scale * shift)).to_f64().exp());
            lanes::multiply(simd, seen, E::one() / sum);
        }
    }
}

kernel! {
    /// The gradient of [`softmax_row`] with result `p`: `grad[..len] = scale * p * (grad - sum(p * grad))`,
    /// `grad[len..] = 0`.
    ///
    /// # Panics
    /// When `len` exceeds `grad` or `p`.
    pub fn softmax_row_back<'a, E>(simd; grad: &'a mut [E], p: &'a [E], len: usize, scale: E) -> () {
        softmax_back(simd, grad, p, len, scale);
    }
}

kernel! {
    /// [`softmax_row_back`] of each row of `grads`, of which row r sees the keys up to `last[r]`.
    ///
    /// # Panics
    /// When there are fewer numbers or rows of `p` than rows, or where [`softmax_row_back`] does.
    pub fn softmax_rows_back<'a, E>(
        simd; grads: ViewMut<'a, E>, p: View<'a, E>, last: &'a [u32], scale: E
    ) -> () {
        let mut grads = grads;
        for (r, &last) in last[..grads.n_rows()].iter().enumerate() {
            softmax_back(simd, grads.row_mut(r), p.row(r), last as usize + 1, scale);
        }
    }
}

#[inline(always)]
fn softmax_back<E: Element, L: Lanes<E>>(simd: L, grad: &mut [E], p: &[E], len: usize, scale: E) {
    assert!(len <= p.len(), "the gradient of {len} weights, of which there are {}", p.len());
    let Some(Seen { whole, last, of_last }) = seen(simd, grad, len) else { return };
    let (p, p_last) = p.split_at(whole.len() * WIDTH);
    let (p, zero) = (&p.as_chunks::<WIDTH>().0[..whole.len()], simd.splat(E::zero()));
    let p_last = simd.keep(simd.load_up_to_16(p_last), of_last, zero);
    let end = simd.keep(simd.load_up_to_16(last), of_last, zero);
    let mean = lanes::dot_with_end(simd, (p, whole), Some((p_last, end)));
    let (mean, scale) = (simd.splat(mean), simd.splat(scale));
    for i in 0..whole.len() {
        let v = simd.mul(simd.mul(simd.sub(simd.load(&whole[i]), mean), simd.load(&p[i])), scale);
        simd.store(&mut whole[i], v);
    }
    let v = simd.mul(simd.mul(simd.sub(end, mean), p_last), scale);
    simd.store_up_to_16(last, simd.keep(v, of_last, zero));
}
