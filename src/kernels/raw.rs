//! The only unsafe code of the kernels: the call into the `gemm` crate, which takes pointers and strides, and loads and
//! stores of parts of vectors.
#![allow(unsafe_code)]

use gemm_common::Parallelism;

use super::{Element, View, ViewMut};

/// The type's product in the `gemm-f32` or the `gemm-f64` crate. (Their front, the `gemm` crate, builds the products of complex
/// numbers too, which takes longer than these two.)
pub trait Product: Sized {
    /// `out = alpha * out + beta * a * b` for sizes `[m, n, k]`, without `alpha * out` unless `read_out`. A matrix is its
    /// first element, the stride between its columns and that between its rows; those of `out` are not negative.
    ///
    /// # Safety
    /// Each element of each matrix lies in one allocation with the first; those of `out` may be written and are not
    /// elements of `a` or `b`.
    unsafe fn product(
        sizes: [usize; 3],
        out: (*mut Self, isize, isize),
        read_out: bool,
        a: (*const Self, isize, isize),
        b: (*const Self, isize, isize),
        alpha: Self,
        beta: Self,
    );
}

macro_rules! product {
    ($E:ident, $product:path) => {
        impl Product for $E {
            unsafe fn product(
                [m, n, k]: [usize; 3],
                (out, out_cols, out_rows): (*mut Self, isize, isize),
                read_out: bool,
                (a, a_cols, a_rows): (*const Self, isize, isize),
                (b, b_cols, b_rows): (*const Self, isize, isize),
                alpha: Self,
                beta: Self,
            ) {
                let [conj_out, conj_a, conj_b] = [false; 3];
                // SAFETY: what the caller asserts.
                unsafe {
                    $product()(
                        m,
                        n,
                        k,
                        out,
                        out_cols,
                        out_rows,
                        read_out,
                        a,
                        a_cols,
                        a_rows,
                        b,
                        b_cols,
                        b_rows,
                        alpha,
                        beta,
                        conj_out,
                        conj_a,
                        conj_b,
                        Parallelism::None,
                    );
                }
            }
        }
    };
}

product!(f32, gemm_f32::gemm::f32::get_gemm_fn);
product!(f64, gemm_f64::gemm::f64::get_gemm_fn);

/// `out = alpha * a * b`, plus `out` when `read_out`; `out` is not read otherwise.
///
/// # Panics
/// When the shapes do not fit.
pub(super) fn gemm<E: Element>(
    out: &mut ViewMut<'_, E>,
    read_out: bool,
    alpha: E,
    a: View<'_, E>,
    b: View<'_, E>,
) {
    let (m, n, k) = (out.n_rows(), out.n_cols(), a.n_cols());
    assert!(
        a.n_rows() == m && b.n_rows() == k && b.n_cols() == n,
        "product [{m}, {n}] = [{}, {k}] [{}, {}]",
        a.n_rows(),
        b.n_rows(),
        b.n_cols()
    );
    assert!(m > 0 && n > 0 && k > 0, "product of an empty matrix");
    in_bounds(out.as_view());
    in_bounds(a);
    in_bounds(b);
    let out_ld = out.ld() as isize;
    let (a_rows, a_cols) = (a.row_stride() as isize, a.col_stride() as isize);
    let (b_rows, b_cols) = (b.row_stride() as isize, b.col_stride() as isize);
    let (a, b, out) = (a.data().as_ptr(), b.data().as_ptr(), out.data_mut().as_mut_ptr());
    let beta = E::one();
    // The crate's kernels write columns: a result in rows is its transpose, `out^T = b^T a^T`.
    //
    // SAFETY: `product` reads and writes element (i, j) of each operand at `i * row stride + j * column stride` and
    // nothing else. `in_bounds` has asserted that the last of these, the largest as strides are not negative, lies in
    // the operand's slice. `out` is borrowed mutably, so `a` and `b` do not overlap it.
    unsafe {
        if out_ld > 1 {
            E::product(
                [n, m, k],
                (out, out_ld, 1),
                read_out,
                (b, b_rows, b_cols),
                (a, a_rows, a_cols),
                beta,
                alpha,
            );
        } else {
            E::product(
                [m, n, k],
                (out, 1, 1),
                read_out,
                (a, a_cols, a_rows),
                (b, b_cols, b_rows),
                beta,
                alpha,
            );
        }
    }
}

/// Asserts that the last element of a matrix that is not empty lies in its slice.
fn in_bounds<E>(x: View<'_, E>) {
    let last = (x.n_rows() - 1) * x.row_stride() + (x.n_cols() - 1) * x.col_stride();
    assert!(last < x.data().len(), "a matrix that is larger than its slice");
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{first, load_part_avx2, load_part_avx512, store_part_avx2, store_part_avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__m256, __m512};

    use pulp::cast;
    use pulp::x86::{V3, V4};

    /// All ones in the first `n` of `N` lanes, at most 16: a window on a constant.
    #[inline(always)]
    pub fn first<const N: usize>(n: usize) -> [i32; N] {
        const { assert!(N <= 16) };
        #[rustfmt::skip]
        static WINDOW: [i32; 32] = [
            -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        *WINDOW[16 - n.min(N)..].first_chunk().unwrap_or(&[0; N])
    }

    /// The first elements of a slice, at most 16, then zeros.
    #[inline(always)]
    pub fn load_part_avx512(simd: V4, from: &[f32]) -> __m512 {
        let mask = ((1u32 << from.len().min(16)) - 1) as u16;
        // SAFETY: the instruction reads only the lanes in the mask: the first `min(16, len)` elements of the slice.
        unsafe { simd.avx512f._mm512_maskz_loadu_ps(mask, from.as_ptr()) }
    }

    /// Writes the first lanes, as many as the slice holds.
    #[inline(always)]
    pub fn store_part_avx512(simd: V4, to: &mut [f32], v: __m512) {
        let mask = ((1u32 << to.len().min(16)) - 1) as u16;
        // SAFETY: the instruction writes only the lanes in the mask: the first `min(16, len)` elements of the slice.
        unsafe { simd.avx512f._mm512_mask_storeu_ps(to.as_mut_ptr(), mask, v) }
    }

    /// The first elements of a slice, at most 8, then zeros.
    #[inline(always)]
    pub fn load_part_avx2(simd: V3, from: &[f32]) -> __m256 {
        let mask = cast(first::<8>(from.len()));
        // SAFETY: the instruction reads only the lanes in the mask: the first `min(8, len)` elements of the slice.
        unsafe { simd.avx._mm256_maskload_ps(from.as_ptr(), mask) }
    }

    /// Writes the first lanes, as many as the slice holds.
    #[inline(always)]
    pub fn store_part_avx2(simd: V3, to: &mut [f32], v: __m256) {
        let mask = cast(first::<8>(to.len()));
        // SAFETY: the instruction writes only the lanes in the mask: the first `min(8, len)` elements of the slice.
        unsafe { simd.avx._mm256_maskstore_ps(to.as_mut_ptr(), mask, v) }
    }
}
