//! The instruction sets of x86 as values: whoever has one has asked the processor for it, so its instructions are safe to call.

use std::arch::x86_64::{__m256, __m256i, __m512, __m512d, __m512i, __mmask16};
use std::sync::atomic::{AtomicU8, Ordering};

/// Defines an instruction set: the name of its type, the processor's features that it stands for, and the instructions that the
/// kernels call, which are the functions of these names in `std::arch`.
macro_rules! instruction_set {
    (
        $(#[$attribute:meta])*
        $set:ident: [$($feature:tt)*];
        $($name:ident $(<const $c:ident>)? ($($x:ident: $ty:ty),*) -> $output:ty;)*
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy)]
        pub struct $set(());

        impl $set {
            /// The instruction set, where the processor has it.
            #[inline(always)]
            pub fn new() -> Option<Self> {
                /// 0 as long as nobody has asked the processor, then 1 without the features and 2 with them.
                static FOUND: AtomicU8 = AtomicU8::new(0);
                #[cold]
                fn ask() -> u8 {
                    let found = 1 + u8::from($(std::arch::is_x86_feature_detected!($feature))&&*);
                    FOUND.store(found, Ordering::Relaxed);
                    found
                }
                let found = match FOUND.load(Ordering::Relaxed) {
                    0 => ask(),
                    found => found,
                };
                (found == 2).then_some(Self(()))
            }

            /// Runs what is compiled for this instruction set: the body of a closure that is `#[inline(always)]`, and what is inlined
            /// there.
            #[inline(always)]
            pub fn run<R>(self, body: impl FnOnce() -> R) -> R {
                $(#[target_feature(enable = $feature)])*
                fn compiled<R>(body: impl FnOnce() -> R) -> R {
                    body()
                }
                // SAFETY: `new`, which alone makes this, has found the features.
                unsafe { compiled(body) }
            }

            $(
                #[doc = concat!("`", stringify!($name), "`.")]
                #[inline(always)]
                pub fn $name $(<const $c: i32>)? (self, $($x: $ty),*) -> $output {
                    // SAFETY: the instruction asks for nothing but the features, which `new`, which alone makes this, has found.
                    unsafe { std::arch::x86_64::$name $(::<$c>)? ($($x),*) }
                }
            )*
        }
    };
}

instruction_set! {
    /// AVX2 and FMA.
    Avx2: ["avx2" "fma"];
    _mm256_set1_ps(x: f32) -> __m256;
    _mm256_setzero_ps() -> __m256;
    _mm256_blendv_ps(a: __m256, b: __m256, mask: __m256) -> __m256;
    _mm256_add_ps(a: __m256, b: __m256) -> __m256;
    _mm256_sub_ps(a: __m256, b: __m256) -> __m256;
    _mm256_mul_ps(a: __m256, b: __m256) -> __m256;
    _mm256_div_ps(a: __m256, b: __m256) -> __m256;
    _mm256_max_ps(a: __m256, b: __m256) -> __m256;
    _mm256_min_ps(a: __m256, b: __m256) -> __m256;
    _mm256_and_ps(a: __m256, b: __m256) -> __m256;
    _mm256_cmp_ps<const ORDER>(a: __m256, b: __m256) -> __m256;
    _mm256_round_ps<const HOW>(a: __m256) -> __m256;
    _mm256_cvtps_epi32(a: __m256) -> __m256i;
    _mm256_castsi256_ps(a: __m256i) -> __m256;
    _mm256_set1_epi32(x: i32) -> __m256i;
    _mm256_add_epi32(a: __m256i, b: __m256i) -> __m256i;
    _mm256_sub_epi32(a: __m256i, b: __m256i) -> __m256i;
    _mm256_slli_epi32<const BITS>(a: __m256i) -> __m256i;
    _mm256_srai_epi32<const BITS>(a: __m256i) -> __m256i;
    _mm256_fmadd_ps(a: __m256, b: __m256, c: __m256) -> __m256;
    _mm256_fnmadd_ps(a: __m256, b: __m256, c: __m256) -> __m256;
    _mm256_unpacklo_ps(a: __m256, b: __m256) -> __m256;
    _mm256_unpackhi_ps(a: __m256, b: __m256) -> __m256;
    _mm256_shuffle_ps<const WHICH>(a: __m256, b: __m256) -> __m256;
    _mm256_permute2f128_ps<const WHICH>(a: __m256, b: __m256) -> __m256;
}

instruction_set! {
    /// AVX-512 (F, BW, CD, DQ, VL).
    Avx512: ["avx2" "fma" "avx512f" "avx512bw" "avx512cd" "avx512dq" "avx512vl"];
    _mm512_set1_ps(x: f32) -> __m512;
    _mm512_setzero_ps() -> __m512;
    _mm512_mask_blend_ps(mask: __mmask16, a: __m512, b: __m512) -> __m512;
    _mm512_maskz_mov_ps(mask: __mmask16, a: __m512) -> __m512;
    _mm512_add_ps(a: __m512, b: __m512) -> __m512;
    _mm512_sub_ps(a: __m512, b: __m512) -> __m512;
    _mm512_mul_ps(a: __m512, b: __m512) -> __m512;
    _mm512_div_ps(a: __m512, b: __m512) -> __m512;
    _mm512_max_ps(a: __m512, b: __m512) -> __m512;
    _mm512_min_ps(a: __m512, b: __m512) -> __m512;
    _mm512_cmp_ps_mask<const ORDER>(a: __m512, b: __m512) -> __mmask16;
    _mm512_roundscale_ps<const HOW>(a: __m512) -> __m512;
    _mm512_maskz_scalef_ps(mask: __mmask16, a: __m512, b: __m512) -> __m512;
    _mm512_fmadd_ps(a: __m512, b: __m512, c: __m512) -> __m512;
    _mm512_fnmadd_ps(a: __m512, b: __m512, c: __m512) -> __m512;
    _mm512_reduce_add_ps(a: __m512) -> f32;
    _mm512_reduce_max_ps(a: __m512) -> f32;
    _mm512_unpacklo_ps(a: __m512, b: __m512) -> __m512;
    _mm512_unpackhi_ps(a: __m512, b: __m512) -> __m512;
    _mm512_unpacklo_pd(a: __m512d, b: __m512d) -> __m512d;
    _mm512_unpackhi_pd(a: __m512d, b: __m512d) -> __m512d;
    _mm512_castps_pd(a: __m512) -> __m512d;
    _mm512_castpd_ps(a: __m512d) -> __m512;
    _mm512_shuffle_f32x4<const WHICH>(a: __m512, b: __m512) -> __m512;
    _mm512_permutex2var_ps(a: __m512, index: __m512i, b: __m512) -> __m512;
    _mm512_cmpge_epu32_mask(a: __m512i, b: __m512i) -> __mmask16;
    _mm512_set1_epi32(x: i32) -> __m512i;
}

impl Avx512 {
    /// The numbers of an array.
    #[inline(always)]
    pub fn load(self, from: &[f32; 16]) -> __m512 {
        // SAFETY: sixteen numbers are read, which the array has; the instruction is there, as above.
        unsafe { std::arch::x86_64::_mm512_loadu_ps(from.as_ptr()) }
    }

    /// The whole numbers of an array.
    #[inline(always)]
    pub fn load_index(self, from: &[u32; 16]) -> __m512i {
        // SAFETY: as in `load`.
        unsafe { std::arch::x86_64::_mm512_loadu_epi32(from.as_ptr().cast()) }
    }

    /// Writes all lanes.
    #[inline(always)]
    pub fn store(self, to: &mut [f32; 16], v: __m512) {
        // SAFETY: sixteen numbers are written, which the array has; the instruction is there, as above.
        unsafe { std::arch::x86_64::_mm512_storeu_ps(to.as_mut_ptr(), v) }
    }

    /// The first elements of a slice, at most 16, then zeros.
    #[inline(always)]
    pub fn load_part(self, from: &[f32]) -> __m512 {
        // SAFETY: the instruction reads only the lanes in the mask: the first `min(16, len)` elements of the slice.
        unsafe { std::arch::x86_64::_mm512_maskz_loadu_ps(self.first(from.len()), from.as_ptr()) }
    }

    /// Writes the first lanes, as many as the slice holds.
    #[inline(always)]
    pub fn store_part(self, to: &mut [f32], v: __m512) {
        // SAFETY: the instruction writes only the lanes in the mask: the first `min(16, len)` elements of the slice.
        unsafe { std::arch::x86_64::_mm512_mask_storeu_ps(to.as_mut_ptr(), self.first(to.len()), v) }
    }

    /// The lanes below `n`.
    #[inline(always)]
    pub fn first(self, n: usize) -> __mmask16 {
        ((1u32 << n.min(16)) - 1) as u16
    }
}

/// All ones in the first eight lanes, then zeros: a window on it has ones in as many lanes as one likes.
#[rustfmt::skip]
static WINDOW: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

impl Avx2 {
    /// The numbers of an array.
    #[inline(always)]
    pub fn load(self, from: &[f32; 16]) -> [__m256; 2] {
        let first = from.as_ptr();
        // SAFETY: twice eight numbers are read, which the array has; the instruction is there, as above.
        unsafe {
            [std::arch::x86_64::_mm256_loadu_ps(first), std::arch::x86_64::_mm256_loadu_ps(first.add(8))]
        }
    }

    /// Writes all lanes.
    #[inline(always)]
    pub fn store(self, to: &mut [f32; 16], v: [__m256; 2]) {
        let first = to.as_mut_ptr();
        // SAFETY: twice eight numbers are written, which the array has; the instruction is there, as above.
        unsafe {
            std::arch::x86_64::_mm256_storeu_ps(first, v[0]);
            std::arch::x86_64::_mm256_storeu_ps(first.add(8), v[1]);
        }
    }

    /// The first elements of a slice, at most 8, then zeros.
    #[inline(always)]
    pub fn load_part(self, from: &[f32]) -> __m256 {
        let mask = self.first(from.len());
        // SAFETY: the instruction reads only the lanes in the mask: the first `min(8, len)` elements of the slice.
        unsafe { std::arch::x86_64::_mm256_maskload_ps(from.as_ptr(), mask) }
    }

    /// Writes the first lanes, as many as the slice holds.
    #[inline(always)]
    pub fn store_part(self, to: &mut [f32], v: __m256) {
        let mask = self.first(to.len());
        // SAFETY: the instruction writes only the lanes in the mask: the first `min(8, len)` elements of the slice.
        unsafe { std::arch::x86_64::_mm256_maskstore_ps(to.as_mut_ptr(), mask, v) }
    }

    /// All ones in the lanes below `n`.
    #[inline(always)]
    pub fn first(self, n: usize) -> __m256i {
        let window: &[i32; 8] = WINDOW[8 - n.min(8)..].first_chunk().unwrap_or(&[0; 8]);
        // SAFETY: eight numbers are read, which the array has; the instruction is there, as above.
        unsafe { std::arch::x86_64::_mm256_loadu_si256(window.as_ptr().cast()) }
    }
}
