//! Layer norm, one row at a time.
//!
//! The normalisation and its gain and bias are separate, so that two norms of the same input can share the first.

use super::Element;
use super::lanes::{self, kernel};

kernel! {
    /// Normalises a row: `out = (x - mean(x)) * inv_std`, with `inv_std = 1 / sqrt(var(x) + eps)`, which it returns.
    ///
    /// `out, x: [dim]`; the variance is that of the population, as in PyTorch.
    ///
    /// ```
    /// let mut out = [0.0_f64; 2];
    /// let inv_std = ihead::kernels::norm_row(&mut out, &[1.0, 5.0], 0.0);
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

kernel! {
    /// `out = xhat * gain + bias`; all `[dim]`.
    pub fn affine_row<'a, E>(simd; out: &'a mut [E], xhat: &'a [E], gain: &'a [E], bias: &'a [E]) -> () {
        let n = out.len();
        assert!(
            xhat.len() == n && gain.len() == n && bias.len() == n,
            "affine_row: slices of {n}, {}, {} and {} elements",
            xhat.len(),
            gain.len(),
            bias.len()
        );
        lanes::zip2(simd, out, xhat, gain, #[inline(always)] |_, x, gain| simd.mul(x, gain));
        lanes::zip1(simd, out, bias, #[inline(always)] |y, bias| simd.add(y, bias));
    }
}

kernel! {
    /// The gradient of [`affine_row`] to its parameters: `dgain += dy * xhat`, `dbias += dy`.
    pub fn affine_row_grad<'a, E>(
        simd; dgain: &'a mut [E], dbias: &'a mut [E], dy: &'a [E], xhat: &'a [E]
    ) -> () {
        let n = dy.len();
        assert!(
            dgain.len() == n && dbias.len() == n && xhat.len() == n,
            "affine_row_grad: slices of {}, {}, {n} and {} elements",
            dgain.len(),
            dbias.len(),
            xhat.len()
        );
        lanes::zip2(simd, dgain, dy, xhat, #[inline(always)] |dgain, dy, x| simd.mul_add(dy, x, dgain));
        lanes::zip1(simd, dbias, dy, #[inline(always)] |dbias, dy| simd.add(dbias, dy));
    }
}

/// The gradient of [`affine_row`] to all its operands: `dxhat = dy * gain`, `dgain += dy * xhat`, `dbias += dy`.
pub fn affine_row_back<E: Element>(
    dxhat: &mut [E],
    dgain: &mut [E],
    dbias: &mut [E],
    dy: &[E],
    xhat: &[E],
    gain: &[E],
) {
    super::mul(dxhat, dy, gain);
    affine_row_grad(dgain, dbias, dy, xhat);
}
