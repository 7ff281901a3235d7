//! The ReLU: of a feed-forward layer, and as a normalisation of attention.

use super::lanes::{self, kernel};
use super::{Element, clear};

kernel! {
    /// `out = max(x, 0)`.
    pub fn relu<'a, 'b, E>(simd; out: &'a mut [E], x: &'b [E]) -> () {
        assert!(out.len() == x.len(), "relu: slices of {} and {} elements", out.len(), x.len());
        lanes::zip1(simd, out, x, #[inline(always)] |_, x| simd.where_positive(x, x));
    }
}

kernel! {
    /// [`relu`] where it stands: `x = max(x, 0)`.
    pub fn relu_in_place<'a, E>(simd; x: &'a mut [E]) -> () {
        lanes::map(simd, x, #[inline(always)] |x| simd.where_positive(x, x));
    }
}

kernel! {
    /// The gradient of [`relu_in_place`] with result `y`: `d = 0` where `y` is not positive.
    pub fn relu_back_in_place<'a, E>(simd; d: &'a mut [E], y: &'a [E]) -> () {
        assert!(d.len() == y.len(), "relu_back_in_place: slices of {} and {} elements", d.len(), y.len());
        lanes::zip1(simd, d, y, #[inline(always)] |d, y| simd.where_positive(y, d));
    }
}

kernel! {
    /// The gradient of [`relu`]: `dx = dy` where the result `y` is positive, else 0; added to `dx` when `accumulate`.
    pub fn relu_back<'a, E>(simd; dx: &'a mut [E], accumulate: bool, dy: &'a [E], y: &'a [E]) -> () {
        let n = dx.len();
        assert!(dy.len() == n && y.len() == n, "relu_back: slices of {n}, {} and {} elements", dy.len(), y.len());
        if accumulate {
            lanes::zip2(simd, dx, dy, y, #[inline(always)] |dx, dy, y| simd.add(dx, simd.where_positive(y, dy)));
        } else {
            lanes::zip2(simd, dx, dy, y, #[inline(always)] |_, dy, y| simd.where_positive(y, dy));
        }
    }
}

/// `scale`, or `scale / len`.
#[inline(always)]
fn factor<E: Element>(scale: E, len: usize, divide_by_len: bool) -> E {
    if divide_by_len { scale / E::from_f64(len as f64) } else { scale }
}

kernel! {
    /// ReLU attention in place of softmax: `row[..len] = max(scale * row[..len], 0)`, divided by `len` when
    /// `divide_by_len`; `row[len..] = 0`.
    ///
    /// `row: [keys]`; `len` is the number of keys that the query sees.
    pub fn relu_row<'a, E>(simd; row: &'a mut [E], len: usize, scale: E, divide_by_len: bool) -> () {
        let (seen, beyond) = row.split_at_mut(len);
        clear(beyond);
        let factor = simd.splat(factor(scale, len, divide_by_len));
        let (chunks, end) = seen.as_chunks_mut();
        for chunk in chunks {
            let v = simd.mul(simd.load(chunk), factor);
            simd.store(chunk, simd.where_positive(v, v));
        }
        let v = simd.mul(simd.load_part(end), factor);
        simd.store_part(end, simd.where_positive(v, v));
    }
}

kernel! {
    /// The gradient of [`relu_row`] with result `p`: `grad[..len]` becomes the gradient of the scores, `grad[len..]` 0.
    pub fn relu_row_back<'a, E>(
        simd; grad: &'a mut [E], p: &'a [E], len: usize, scale: E, divide_by_len: bool
    ) -> () {
        let (seen, beyond) = grad.split_at_mut(len);
        clear(beyond);
        let factor = simd.splat(factor(scale, len, divide_by_len));
        lanes::zip1(
            simd,
            seen,
            &p[..len],
            #[inline(always)]
            |g, p| simd.where_positive(p, simd.mul(factor, g)),
        );
    }
}
