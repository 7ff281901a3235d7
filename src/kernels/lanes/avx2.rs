//! AVX2 and FMA: a vector is two registers.

use std::arch::x86_64::{__m256, __m256i, _CMP_GT_OQ, _CMP_NLE_UQ};

use super::portable::exp_constants::{HIGHEST, LN_2_HIGH, LN_2_LOW, LOWEST, P};
use super::{Lanes, Portable, WIDTH};
use crate::kernels::raw;

/// AVX2 and FMA; the token proves that the machine has them.
#[derive(Clone, Copy)]
pub(super) struct Avx2(pub(super) raw::Avx2);

/// The lower and the upper eight lanes.
type Pair = [__m256; 2];

/// Splits a slice of at most 16 elements after the eighth.
#[inline(always)]
fn halves(x: &[f32]) -> (&[f32], &[f32]) {
    x.split_at(x.len().min(WIDTH / 2))
}

impl Lanes<f32> for Avx2 {
    type Vector = Pair;

    #[inline(always)]
    fn splat(self, x: f32) -> Pair {
        [self.0._mm256_set1_ps(x); 2]
    }
    #[inline(always)]
    fn load(self, from: &[f32; WIDTH]) -> Pair {
        self.0.load(from)
    }
    #[inline(always)]
    fn store(self, to: &mut [f32; WIDTH], v: Pair) {
        self.0.store(to, v);
    }
    #[inline(always)]
    fn load_part(self, from: &[f32]) -> Pair {
        let (low, high) = halves(from);
        [self.0.load_part(low), self.0.load_part(high)]
    }
    #[inline(always)]
    fn store_part(self, to: &mut [f32], v: Pair) {
        let (low, high) = to.split_at_mut(to.len().min(WIDTH / 2));
        self.0.store_part(low, v[0]);
        self.0.store_part(high, v[1]);
    }
    #[inline(always)]
    fn keep(self, v: Pair, n: usize, fill: Pair) -> Pair {
        let avx = self.0;
        let keep = [avx.first(n), avx.first(n.saturating_sub(WIDTH / 2))];
        [
            avx._mm256_blendv_ps(fill[0], v[0], avx._mm256_castsi256_ps(keep[0])),
            avx._mm256_blendv_ps(fill[1], v[1], avx._mm256_castsi256_ps(keep[1])),
        ]
    }

    #[inline(always)]
    fn add(self, a: Pair, b: Pair) -> Pair {
        let avx = self.0;
        [avx._mm256_add_ps(a[0], b[0]), avx._mm256_add_ps(a[1], b[1])]
    }
    #[inline(always)]
    fn sub(self, a: Pair, b: Pair) -> Pair {
        let avx = self.0;
        [avx._mm256_sub_ps(a[0], b[0]), avx._mm256_sub_ps(a[1], b[1])]
    }
    #[inline(always)]
    fn mul(self, a: Pair, b: Pair) -> Pair {
        let avx = self.0;
        [avx._mm256_mul_ps(a[0], b[0]), avx._mm256_mul_ps(a[1], b[1])]
    }
    #[inline(always)]
    fn div(self, a: Pair, b: Pair) -> Pair {
        let avx = self.0;
        [avx._mm256_div_ps(a[0], b[0]), avx._mm256_div_ps(a[1], b[1])]
    }
    #[inline(always)]
    fn mul_add(self, a: Pair, b: Pair, c: Pair) -> Pair {
        let avx = self.0;
        [avx._mm256_fmadd_ps(a[0], b[0], c[0]), avx._mm256_fmadd_ps(a[1], b[1], c[1])]
    }
    #[inline(always)]
    fn max(self, a: Pair, b: Pair) -> Pair {
        let avx = self.0;
        [avx._mm256_max_ps(a[0], b[0]), avx._mm256_max_ps(a[1], b[1])]
    }
    #[inline(always)]
    fn where_positive(self, gate: Pair, v: Pair) -> Pair {
        [self.half_where_positive(gate[0], v[0]), self.half_where_positive(gate[1], v[1])]
    }
    #[inline(always)]
    fn exp(self, x: Pair) -> Pair {
        [self.exp_half(x[0]), self.exp_half(x[1])]
    }

    #[inline(always)]
    fn reduce_sum(self, v: Pair) -> f32 {
        let mut lanes = [0.0; WIDTH];
        self.0.store(&mut lanes, v);
        Portable.reduce_sum(lanes)
    }
    #[inline(always)]
    fn reduce_max(self, v: Pair) -> f32 {
        let mut lanes = [0.0; WIDTH];
        self.0.store(&mut lanes, v);
        Portable.reduce_max(lanes)
    }

    #[inline(always)]
    fn transpose(self, rows: [Pair; WIDTH]) -> [Pair; WIDTH] {
        let mut out = rows;
        for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let mut square = [rows[0][0]; 8];
            for k in 0..8 {
                square[k] = rows[8 * i + k][j];
            }
            let square = self.transpose_8(square);
            for k in 0..8 {
                out[8 * j + k][i] = square[k];
            }
        }
        out
    }
}

impl Avx2 {
    #[inline(always)]
    fn half(self, x: f32) -> __m256 {
        self.0._mm256_set1_ps(x)
    }

    /// `2^n` for `-126 <= n <= 127`.
    #[inline(always)]
    fn power_of_two(self, n: __m256i) -> __m256 {
        let avx = self.0;
        let exponent = avx._mm256_add_epi32(n, avx._mm256_set1_epi32(127));
        avx._mm256_castsi256_ps(avx._mm256_slli_epi32::<23>(exponent))
    }

    #[inline(always)]
    fn half_where_positive(self, gate: __m256, v: __m256) -> __m256 {
        let avx = self.0;
        avx._mm256_and_ps(avx._mm256_cmp_ps::<_CMP_GT_OQ>(gate, avx._mm256_setzero_ps()), v)
    }

    #[inline(always)]
    fn exp_half(self, x: __m256) -> __m256 {
        const NEAREST: i32 = 8; // round to the nearest integer, without exceptions
        let avx = self.0;
        let more_than_zero = avx._mm256_cmp_ps::<_CMP_NLE_UQ>(x, self.half(LOWEST));
        // `max` and `min` give their second operand when it is NaN.
        let x = avx._mm256_min_ps(self.half(HIGHEST), avx._mm256_max_ps(self.half(LOWEST), x));
        let n = avx._mm256_round_ps::<NEAREST>(avx._mm256_mul_ps(x, self.half(std::f32::consts::LOG2_E)));
        let r =
            avx._mm256_fnmadd_ps(n, self.half(LN_2_LOW), avx._mm256_fnmadd_ps(n, self.half(LN_2_HIGH), x));
        let mut p = self.half(P[0]);
        for coefficient in &P[1..] {
            p = avx._mm256_fmadd_ps(p, r, self.half(*coefficient));
        }
        let y = avx._mm256_add_ps(avx._mm256_fmadd_ps(p, avx._mm256_mul_ps(r, r), r), self.half(1.0));
        // Of a lane that is zero already, no number is made that is nearly zero, which would take a hundred times as long.
        let y = avx._mm256_and_ps(more_than_zero, y);
        // 2^n may be no normal number: its two halves are.
        let n = avx._mm256_cvtps_epi32(n);
        let half = avx._mm256_srai_epi32::<1>(n);
        let rest = self.power_of_two(avx._mm256_sub_epi32(n, half));
        avx._mm256_mul_ps(avx._mm256_mul_ps(y, self.power_of_two(half)), rest)
    }

    #[inline(always)]
    fn transpose_8(self, rows: [__m256; 8]) -> [__m256; 8] {
        let avx = self.0;
        let (mut r, mut t) = (rows, rows);
        for i in 0..4 {
            t[2 * i] = avx._mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
            t[2 * i + 1] = avx._mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
        }
        for i in 0..2 {
            r[4 * i] = avx._mm256_shuffle_ps::<0x44>(t[4 * i], t[4 * i + 2]);
            r[4 * i + 1] = avx._mm256_shuffle_ps::<0xee>(t[4 * i], t[4 * i + 2]);
            r[4 * i + 2] = avx._mm256_shuffle_ps::<0x44>(t[4 * i + 1], t[4 * i + 3]);
            r[4 * i + 3] = avx._mm256_shuffle_ps::<0xee>(t[4 * i + 1], t[4 * i + 3]);
        }
        for i in 0..4 {
            t[i] = avx._mm256_permute2f128_ps::<0x20>(r[i], r[i + 4]);
            t[i + 4] = avx._mm256_permute2f128_ps::<0x31>(r[i], r[i + 4]);
        }
        t
    }
}
