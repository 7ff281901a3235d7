//! The gate of a SwiGLU layer, one row at a time.

use super::lanes::{self, WIDTH, kernel};

kernel! {
    /// `out = gate / (1 + exp(-gate)) * up`, element by element.
    ///
    /// `out, gate, up: [dim]`.
    ///
    /// # Panics
    /// When the slices are not equally long.
    ///
    /// ```
    /// let mut out = [9.0_f64; 2];
    /// ihead::internals::kernels::silu_gate_row(&mut out, &[0.0, f64::ln(3.0)], &[5.0, 4.0]);
    /// assert!(out[0] == 0.0 && (out[1] - 3.0 * f64::ln(3.0)).abs() < 1e-12);
    /// ```
    pub fn silu_gate_row<'a, E>(simd; out: &'a mut [E], gate: &'a [E], up: &'a [E]) -> () {
        let n = out.len();
        assert!(gate.len() == n && up.len() == n, "silu_gate_row: slices of {n}, {} and {} elements", gate.len(), up.len());
        let (zero, one) = (simd.splat(E::zero()), simd.splat(E::one()));
        lanes::zip2(simd, out, gate, up, #[inline(always)] |_, x, up| {
            simd.mul(simd.div(x, simd.add(one, simd.exp(simd.sub(zero, x)))), up)
        });
    }
}

kernel! {
    /// The gradients of [`silu_gate_row`]: with `s = 1 / (1 + exp(-gate))`, `d_gate = d_out up s (1 + gate (1 - s))` and
    /// `d_up = d_out gate s`.
    ///
    /// # Panics
    /// When the slices are not equally long.
    pub fn silu_gate_row_back<'a, E>(
        simd; d_gate: &'a mut [E], d_up: &'a mut [E], d_out: &'a [E], gate: &'a [E], up: &'a [E]
    ) -> () {
        let n = d_out.len();
        let all = [d_gate.len(), d_up.len(), gate.len(), up.len()];
        assert!(all == [n; 4], "silu_gate_row_back: slices of {all:?} elements for a row of {n}");
        let (zero, one) = (simd.splat(E::zero()), simd.splat(E::one()));
        let mut start = 0;
        while start < n {
            let range = start..(start + WIDTH).min(n);
            let dy = simd.load_up_to_16(&d_out[range.clone()]);
            let x = simd.load_up_to_16(&gate[range.clone()]);
            let up = simd.load_up_to_16(&up[range.clone()]);
            let s = simd.div(one, simd.add(one, simd.exp(simd.sub(zero, x))));
            let dy_s = simd.mul(dy, s);
            let slope = simd.mul_add(x, simd.sub(one, s), one);
            simd.store_up_to_16(&mut d_gate[range.clone()], simd.mul(simd.mul(dy_s, up), slope));
            simd.store_up_to_16(&mut d_up[range], simd.mul(dy_s, x));
            start += WIDTH;
        }
    }
}
