//! Vectors as plain arrays, for any processor and any element type.

use super::{Lanes, WIDTH};
use crate::kernels::Element;

/// Code without assumptions about the processor.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

#[inline(always)]
fn map2<E: Element>(a: [E; WIDTH], b: [E; WIDTH], f: impl Fn(E, E) -> E) -> [E; WIDTH] {
    let mut out = a;
    for i in 0..WIDTH {
        out[i] = f(a[i], b[i]);
    }
    out
}

/// Folds the upper half onto the lower half until one lane is left.
#[inline(always)]
fn halve<E: Element>(mut v: [E; WIDTH], f: impl Fn(E, E) -> E) -> E {
    for n in [8, 4, 2, 1] {
        for i in 0..n {
            v[i] = f(v[i], v[i + n]);
        }
    }
    v[0]
}

/// `b` where either is NaN.
#[inline(always)]
fn larger<E: Element>(a: E, b: E) -> E {
    if a > b { a } else { b }
}

impl<E: Element> Lanes<E> for Portable {
    type Vector = [E; WIDTH];

    #[inline(always)]
    fn splat(self, x: E) -> [E; WIDTH] {
        [x; WIDTH]
    }
    #[inline(always)]
    fn load(self, from: &[E; WIDTH]) -> [E; WIDTH] {
        *from
    }
    #[inline(always)]
    fn store(self, to: &mut [E; WIDTH], v: [E; WIDTH]) {
        *to = v;
    }
    #[inline(always)]
    fn load_part(self, from: &[E]) -> [E; WIDTH] {
        let mut v = [E::zero(); WIDTH];
        let n = from.len().min(WIDTH);
        v[..n].copy_from_slice(&from[..n]);
        v
    }
    #[inline(always)]
    fn store_part(self, to: &mut [E], v: [E; WIDTH]) {
        let n = to.len().min(WIDTH);
        to[..n].copy_from_slice(&v[..n]);
    }
    #[inline(always)]
    fn keep(self, mut v: [E; WIDTH], n: usize, fill: [E; WIDTH]) -> [E; WIDTH] {
        let n = n.min(WIDTH);
        v[n..].copy_from_slice(&fill[n..]);
        v
    }

    #[inline(always)]
    fn add(self, a: [E; WIDTH], b: [E; WIDTH]) -> [E; WIDTH] {
        map2(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: [E; WIDTH], b: [E; WIDTH]) -> [E; WIDTH] {
        map2(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: [E; WIDTH], b: [E; WIDTH]) -> [E; WIDTH] {
        map2(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: [E; WIDTH], b: [E; WIDTH]) -> [E; WIDTH] {
        map2(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn mul_add(self, a: [E; WIDTH], b: [E; WIDTH], c: [E; WIDTH]) -> [E; WIDTH] {
        map2(map2(a, b, |a, b| a * b), c, |ab, c| ab + c)
    }
    #[inline(always)]
    fn max(self, a: [E; WIDTH], b: [E; WIDTH]) -> [E; WIDTH] {
        map2(a, b, larger)
    }
    #[inline(always)]
    fn where_positive(self, gate: [E; WIDTH], v: [E; WIDTH]) -> [E; WIDTH] {
        map2(gate, v, |gate, v| if gate > E::zero() { v } else { E::zero() })
    }
    #[inline(always)]
    fn exp(self, x: [E; WIDTH]) -> [E; WIDTH] {
        E::exp_lanes(x)
    }

    #[inline(always)]
    fn reduce_sum(self, v: [E; WIDTH]) -> E {
        halve(
            v,
            #[inline(always)]
            |a, b| a + b,
        )
    }
    #[inline(always)]
    fn reduce_max(self, v: [E; WIDTH]) -> E {
        halve(v, larger)
    }

    #[inline(always)]
    fn transpose(self, rows: [[E; WIDTH]; WIDTH]) -> [[E; WIDTH]; WIDTH] {
        let mut out = rows;
        for i in 0..WIDTH {
            for j in 0..WIDTH {
                out[j][i] = rows[i][j];
            }
        }
        out
    }
}

/// The constants of `e^x` in single precision: `x = n ln 2 + r`, `e^x = 2^n e^r`, `|r| <= ln 2 / 2`, and
/// `e^r = 1 + r + r^2 (P0 r^5 + ... + P5)` (Cephes' `expf`).
pub(super) mod exp_constants {
    /// Below it, `e^x` is closer to 0 than to the least denormal number.
    pub const LOWEST: f32 = -104.0;
    /// Above it, `e^x` is infinite.
    pub const HIGHEST: f32 = 89.0;
    /// ln 2 in two parts: `n * LN_2_HIGH` is exact.
    pub const LN_2_HIGH: f32 = 0.693_359_4;
    /// The rest of ln 2.
    pub const LN_2_LOW: f32 = -2.121_944_4e-4;
    /// The polynomial, from its highest coefficient.
    pub const P: [f32; 6] =
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_6e-1, 0.5];
}

/// `e^x` of each lane in single precision, by multiplications, additions and operations on bits.
#[inline(always)]
pub(in crate::kernels) fn exp_f32(x: [f32; WIDTH]) -> [f32; WIDTH] {
    use exp_constants::{HIGHEST, LN_2_HIGH, LN_2_LOW, LOWEST, P};
    // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let mut out = x;
    for x in &mut out {
        let at_least = if LOWEST > *x { LOWEST } else { *x };
        let clamped = if HIGHEST < at_least { HIGHEST } else { at_least };
        let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = clamped - n * LN_2_HIGH - n * LN_2_LOW;
        let p = P[1..].iter().fold(P[0], |p, &c| p * r + c);
        let y = p * (r * r) + r + 1.0;
        // 2^n may be no normal number: its two halves are.
        let n = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
        let half = n >> 1;
        *x = y * power_of_two(half) * power_of_two(n - half);
    }
    out
}

/// `2^n` for `-126 <= n <= 127`.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) << 23) as u32)
}
