//! Layer norm, one row at a time.
//!
//! Gain and bias are separate operations, so that two norms of the same input can share the normalisation.

use super::lanes::{self, kernel};

kernel! {
    /// Normalises a row: `out = (x - mean(x)) * inv_std`, with `inv_std = 1 / sqrt(var(x) + eps)`, which it returns.
    ///
    /// `out, x: [dim]`; the variance is that of the population, as in PyTorch.
    ///
    /// ```
    /// let mut out = [0.0_f64; 2];
    /// let inv_std = ihead::internals::kernels::norm_row(&mut out, &[1.0, 5.0], 0.0);
    /// assert_eq!((out, inv_std), ([-1.0, 1.0], 0.5));
    /// ```
    pub fn norm_row<'a, E>(simd; out: &'a mut [E], x: &'a [E], eps: E) -> E {
        assert!(out.len() == x.len(), "norm_row: slices of {} and {} elements", out.len(), x.len());
        let per = E::one() / E::from_f64(x.len() as f64);
        let mean = simd.splat(lanes::sum(simd, x) * per);
        lanes::zip1(simd, out, x, #[inline(always)] |_, x| simd.sub(x, mean));
        let variance = lanes::dot(simd, out, out) * per;
        let inv_std = E::one() / (variance + eps).sqrt();
        lanes::multiply(simd, out, inv_std);
        inv_std
    }
}

kernel! {
    /// The gradient of [`norm_row`] with result `xhat`: `dx = inv_std * (dxhat - mean(dxhat) - xhat mean(dxhat * xhat))`,
    /// added to `dx` when `accumulate`.
    pub fn norm_row_back<'a, E>(
        simd; dx: &'a mut [E], accumulate: bool, dxhat: &'a [E], xhat: &'a [E], inv_std: E
    ) -> () {
        let n = dx.len();
        assert!(
            dxhat.len() == n && xhat.len() == n,
            "norm_row_back: slices of {n}, {} and {} elements",
            dxhat.len(),
            xhat.len()
        );
        let factor = inv_std / E::from_f64(n as f64);
        let inv_std = simd.splat(inv_std);
        let mean = simd.splat(-(lanes::sum(simd, dxhat) * factor));
        let along = simd.splat(-(lanes::dot(simd, dxhat, xhat) * factor));
        if accumulate {
            lanes::zip2(
                simd,
                dx,
                dxhat,
                xhat,
                #[inline(always)]
                |dx, g, x| simd.add(dx, simd.mul_add(g, inv_std, simd.mul_add(x, along, mean))),
            );
        } else {
            lanes::zip2(
                simd,
                dx,
                dxhat,
                xhat,
                #[inline(always)]
                |_, g, x| simd.mul_add(g, inv_std, simd.mul_add(x, along, mean)),
            );
        }
    }
}
