//! The sigmoid as a normalisation of attention.

use super::clear;
use super::lanes::{self, kernel};

kernel! {
    /// `row[..len] = 1 / (1 + exp(ln(len) - scale * row[..len]))`, `row[len..] = 0`.
    ///
    /// `row: [keys]`; `len` is the number of keys that the query sees.
    ///
    /// # Panics
    /// When `len` exceeds the row.
    ///
    /// ```
    /// let mut row = [0.0_f32, f32::ln(2.0), 7.0];
    /// ihead::internals::kernels::sigmoid_row(&mut row, 2, 1.0);
    /// assert!((row[0] - 1.0 / 3.0).abs() < 1e-6 && (row[1] - 0.5).abs() < 1e-6 && row[2] == 0.0);
    /// ```
    pub fn sigmoid_row<'a, E>(simd; row: &'a mut [E], len: usize, scale: E) -> () {
        let (seen, beyond) = row.split_at_mut(len);
        clear(beyond);
        let (shift, minus_scale) = (E::from_f64((len as f64).ln()), simd.splat(-scale));
        let shift = simd.splat(shift);
        let (chunks, end) = seen.as_chunks_mut();
        for chunk in chunks {
            let v = simd.exp(simd.mul_add(minus_scale, simd.load(chunk), shift));
            simd.store(chunk, v);
        }
        let v = simd.exp(simd.mul_add(minus_scale, simd.load_part(end), shift));
        simd.store_part(end, v);
        seen.iter_mut().for_each(|v| *v = E::one() / (E::one() + *v));
    }
}

kernel! {
    /// The gradient of [`sigmoid_row`] with result `p`: `grad[..len] = scale * p * (1 - p) * grad`, `grad[len..] = 0`.
    ///
    /// # Panics
    /// When `len` exceeds `grad` or `p`.
    pub fn sigmoid_row_back<'a, E>(simd; grad: &'a mut [E], p: &'a [E], len: usize, scale: E) -> () {
        let (seen, beyond) = grad.split_at_mut(len);
        clear(beyond);
        let (one, scale) = (simd.splat(E::one()), simd.splat(scale));
        lanes::zip1(
            simd,
            seen,
            &p[..len],
            #[inline(always)]
            |g, p| simd.mul(simd.mul(g, scale), simd.mul(p, simd.sub(one, p))),
        );
    }
}
