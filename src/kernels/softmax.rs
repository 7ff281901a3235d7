//! Softmax over the keys that a query sees.

use super::lanes::{self, Lanes, WIDTH, kernel};
use super::{Element, View, ViewMut, clear};

/// The largest element; minus infinity of none.
#[inline(always)]
pub(super) fn largest<E: Element, L: Lanes<E>>(simd: L, row: &[E]) -> E {
    let lowest = simd.splat(E::NEG_INFINITY);
    let mut found = [lowest; 2];
    let (chunks, end) = row.as_chunks::<WIDTH>();
    let (pairs, rest) = chunks.as_chunks::<2>();
    for pair in pairs {
        found[0] = simd.max(simd.load(&pair[0]), found[0]);
        found[1] = simd.max(simd.load(&pair[1]), found[1]);
    }
    for chunk in rest {
        found[0] = simd.max(simd.load(chunk), found[0]);
    }
    if !end.is_empty() {
        found[1] = simd.max(simd.keep(simd.load_part(end), end.len(), lowest), found[1]);
    }
    simd.reduce_max(simd.max(found[0], found[1]))
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
    let (seen, beyond) = row.split_at_mut(len);
    clear(beyond);
    if !seen.is_empty() {
        let shift = largest(simd, seen);
        let sum = exp_and_sum(simd, seen, shift, scale);
        lanes::multiply(simd, seen, E::one() / sum);
    }
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
    let (seen, beyond) = grad.split_at_mut(len);
    clear(beyond);
    let p = &p[..len];
    let mean = simd.splat(lanes::dot(simd, p, seen));
    let scale = simd.splat(scale);
    lanes::zip1(
        simd,
        seen,
        p,
        #[inline(always)]
        |g, p| simd.mul(simd.mul(simd.sub(g, mean), p), scale),
    );
}
