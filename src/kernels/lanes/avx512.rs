//! AVX-512: a vector is one register.

#![expect(
    clippy::needless_range_loop,
    reason = "iterators stay calls in functions that are compiled for an instruction set"
)]

use std::arch::x86_64::{__m512, __m512i, _CMP_GT_OQ, _CMP_NLE_UQ};

use super::portable::exp_constants::{HIGHEST, LN_2_HIGH, LN_2_LOW, LOWEST, P};
use super::{Lanes, Portable, WIDTH};
use crate::kernels::raw;

/// AVX-512; the token proves that the machine has it.
#[derive(Clone, Copy)]
pub(super) struct Avx512(pub(super) raw::Avx512);

impl Lanes<f32> for Avx512 {
    type Vector = __m512;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        self.0._mm512_set1_ps(x)
    }
    #[inline(always)]
    fn load(self, from: &[f32; WIDTH]) -> __m512 {
        self.0.load(from)
    }
    #[inline(always)]
    fn store(self, to: &mut [f32; WIDTH], v: __m512) {
        self.0.store(to, v);
    }
    #[inline(always)]
    fn load_part(self, from: &[f32]) -> __m512 {
        self.0.load_part(from)
    }
    #[inline(always)]
    fn store_part(self, to: &mut [f32], v: __m512) {
        self.0.store_part(to, v);
    }
    #[inline(always)]
    fn keep(self, v: __m512, n: usize, fill: __m512) -> __m512 {
        self.0._mm512_mask_blend_ps(self.0.first(n), fill, v)
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        self.0._mm512_add_ps(a, b)
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        self.0._mm512_sub_ps(a, b)
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        self.0._mm512_mul_ps(a, b)
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        self.0._mm512_div_ps(a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        self.0._mm512_fmadd_ps(a, b, c)
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        self.0._mm512_max_ps(a, b)
    }
    #[inline(always)]
    fn where_positive(self, gate: __m512, v: __m512) -> __m512 {
        let f = self.0;
        let positive = f._mm512_cmp_ps_mask::<_CMP_GT_OQ>(gate, f._mm512_setzero_ps());
        f._mm512_maskz_mov_ps(positive, v)
    }
    #[inline(always)]
    fn exp(self, x: __m512) -> __m512 {
        const NEAREST: i32 = 8; // round to the nearest integer, without exceptions
        let f = self.0;
        // `min` gives its second operand when it is NaN.
        let x = f._mm512_min_ps(self.splat(HIGHEST), x);
        let n = f._mm512_roundscale_ps::<NEAREST>(f._mm512_mul_ps(x, self.splat(std::f32::consts::LOG2_E)));
        let r = f._mm512_fnmadd_ps(n, self.splat(LN_2_LOW), f._mm512_fnmadd_ps(n, self.splat(LN_2_HIGH), x));
        let mut p = self.splat(P[0]);
        for coefficient in &P[1..] {
            p = f._mm512_fmadd_ps(p, r, self.splat(*coefficient));
        }
        let y = f._mm512_add_ps(f._mm512_fmadd_ps(p, f._mm512_mul_ps(r, r), r), self.splat(1.0));
        // Of a lane that is left out here, no number is made that is nearly zero, which would take a hundred times as long.
        let more_than_zero = f._mm512_cmp_ps_mask::<_CMP_NLE_UQ>(x, self.splat(LOWEST));
        f._mm512_maskz_scalef_ps(more_than_zero, y, n)
    }

    #[inline(always)]
    fn reduce_sum(self, v: __m512) -> f32 {
        self.0._mm512_reduce_add_ps(v)
    }
    #[inline(always)]
    fn reduce_max(self, v: __m512) -> f32 {
        self.0._mm512_reduce_max_ps(v)
    }

    #[inline(always)]
    fn transpose(self, rows: [__m512; WIDTH]) -> [__m512; WIDTH] {
        let f = self.0;
        let (mut r, mut t) = (rows, rows);
        for i in 0..8 {
            t[2 * i] = f._mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
            t[2 * i + 1] = f._mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
        }
        for i in 0..4 {
            r[4 * i] = self.low_pairs(t[4 * i], t[4 * i + 2]);
            r[4 * i + 1] = self.high_pairs(t[4 * i], t[4 * i + 2]);
            r[4 * i + 2] = self.low_pairs(t[4 * i + 1], t[4 * i + 3]);
            r[4 * i + 3] = self.high_pairs(t[4 * i + 1], t[4 * i + 3]);
        }
        // Each quarter of a register now holds one column of four rows; exchange quarters in two steps.
        const EVEN: i32 = 0x88;
        const ODD: i32 = 0xdd;
        for i in 0..4 {
            t[i] = f._mm512_shuffle_f32x4::<EVEN>(r[i], r[i + 4]);
            t[i + 4] = f._mm512_shuffle_f32x4::<ODD>(r[i], r[i + 4]);
            t[i + 8] = f._mm512_shuffle_f32x4::<EVEN>(r[i + 8], r[i + 12]);
            t[i + 12] = f._mm512_shuffle_f32x4::<ODD>(r[i + 8], r[i + 12]);
        }
        for i in 0..8 {
            r[i] = f._mm512_shuffle_f32x4::<EVEN>(t[i], t[i + 8]);
            r[i + 8] = f._mm512_shuffle_f32x4::<ODD>(t[i], t[i + 8]);
        }
        r
    }

    #[inline(always)]
    fn lookup(self, out: &mut [f32], add: bool, table: &[f32], index: &[u32]) {
        match table.len().div_ceil(2 * WIDTH) {
            1 => self.lookup_pairs::<1>(out, add, table, index),
            2 => self.lookup_pairs::<2>(out, add, table, index),
            3 => self.lookup_pairs::<3>(out, add, table, index),
            4 => self.lookup_pairs::<4>(out, add, table, index),
            5..=8 => self.lookup_pairs::<8>(out, add, table, index),
            _ => Portable.lookup(out, add, table, index),
        }
    }
}

impl Avx512 {
    /// In each quarter: the first two lanes of `a`, then those of `b`.
    #[inline(always)]
    fn low_pairs(self, a: __m512, b: __m512) -> __m512 {
        let f = self.0;
        f._mm512_castpd_ps(f._mm512_unpacklo_pd(f._mm512_castps_pd(a), f._mm512_castps_pd(b)))
    }

    /// In each quarter: the last two lanes of `a`, then those of `b`.
    #[inline(always)]
    fn high_pairs(self, a: __m512, b: __m512) -> __m512 {
        let f = self.0;
        f._mm512_castpd_ps(f._mm512_unpackhi_pd(f._mm512_castps_pd(a), f._mm512_castps_pd(b)))
    }

    /// The elements at `index` of a table held in pairs of registers.
    #[inline(always)]
    fn find<const PAIRS: usize>(self, pairs: &[[__m512; 2]; PAIRS], index: __m512i) -> __m512 {
        let f = self.0;
        let mut v = f._mm512_permutex2var_ps(pairs[0][0], index, pairs[0][1]);
        for i in 1..PAIRS {
            let here = f._mm512_cmpge_epu32_mask(index, f._mm512_set1_epi32((i * 2 * WIDTH) as i32));
            v = f._mm512_mask_blend_ps(here, v, f._mm512_permutex2var_ps(pairs[i][0], index, pairs[i][1]));
        }
        v
    }

    /// A lookup in a table of at most `32 * PAIRS` elements, held in pairs of registers.
    #[inline(always)]
    fn lookup_pairs<const PAIRS: usize>(self, out: &mut [f32], add: bool, table: &[f32], index: &[u32]) {
        let mut pairs = [[self.splat(0.0); 2]; PAIRS];
        for i in 0..PAIRS {
            for half in 0..2 {
                let start = (2 * i + half) * WIDTH;
                pairs[i][half] = self.load_up_to_16(&table[start.min(table.len())..]);
            }
        }
        let ((out, out_end), (index, index_end)) = (out.as_chunks_mut::<WIDTH>(), index.as_chunks::<WIDTH>());
        let index = &index[..out.len()];
        for i in 0..out.len() {
            let v = self.find(&pairs, self.0.load_index(&index[i]));
            let v = if add { self.add(self.load(&out[i]), v) } else { v };
            self.store(&mut out[i], v);
        }
        if !out_end.is_empty() {
            let mut last = [0u32; WIDTH];
            last[..out_end.len()].copy_from_slice(&index_end[..out_end.len()]);
            let v = self.find(&pairs, self.0.load_index(&last));
            let v = if add { self.add(self.load_part(out_end), v) } else { v };
            self.store_part(out_end, v);
        }
    }
}
