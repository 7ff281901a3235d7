//! The only unsafe code of the kernels: products, which take pointers and strides, those of the `gemm` crate and those in `tiles`;
//! memory that buffers share; and loads and stores of parts of vectors.
#![allow(unsafe_code)]

use gemm_common::Parallelism;

use super::lanes::WIDTH;
use super::{Element, View, ViewMut};

mod memory;
#[cfg(target_arch = "x86_64")]
mod tiles;

pub use memory::Part;
pub(super) use memory::zeros;

/// A matrix behind a pointer: its first element, and how far apart its rows and its columns are.
#[derive(Clone, Copy)]
pub struct Strided<P> {
    first: P,
    rows: usize,
    cols: usize,
}

impl<P> Strided<P> {
    /// The transposed matrix.
    fn t(self) -> Self {
        Self { first: self.first, rows: self.cols, cols: self.rows }
    }
}

/// What [`Product::product`] multiplies.
#[derive(Clone, Copy)]
pub struct Operands<E> {
    /// `[m, n, k]`: `out` has m rows and n columns, `a` k columns and `b` k rows.
    sizes: [usize; 3],
    out: Strided<*mut E>,
    /// Whether the product is added to `out`, which is not read otherwise.
    read_out: bool,
    a: Strided<*const E>,
    b: Strided<*const E>,
    alpha: E,
    /// See [`whole_vectors`].
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "the crate's products do not ask for it")
    )]
    whole_vectors: bool,
}

/// The type's product.
pub trait Product: Sized {
    /// `out = alpha * a * b`, or `out += alpha * a * b`.
    ///
    /// # Safety
    /// Each element of each matrix lies in one allocation with the first; those of `out` may be written and are not elements of
    /// `a` or `b`. If `whole_vectors` is set, the columns of `b` lie side by side, and each of its rows may be read up to the next
    /// multiple of sixteen columns.
    unsafe fn product(operands: Operands<Self>);
}

/// The product of the `gemm-f32` or the `gemm-f64` crate. (Their front, the `gemm` crate, builds the products of complex numbers
/// too, which takes longer than these two.)
macro_rules! product_of_crate {
    ($product:path, $operands:ident) => {{
        let Operands { sizes: [m, n, k], out, read_out, a, b, alpha, .. } = $operands;
        // The crate's kernels write columns: a result in rows is its transpose, `out^T = b^T a^T`.
        let (m, n, out, a, b) = if out.rows > 1 { (n, m, out.t(), b.t(), a.t()) } else { (m, n, out, a, b) };
        let (keep, [conj_out, conj_a, conj_b]) = (1.0, [false; 3]);
        // SAFETY: what the caller asserts.
        unsafe {
            $product()(
                m,
                n,
                k,
                out.first,
                out.cols as isize,
                out.rows as isize,
                read_out,
                a.first,
                a.cols as isize,
                a.rows as isize,
                b.first,
                b.cols as isize,
                b.rows as isize,
                keep,
                alpha,
                conj_out,
                conj_a,
                conj_b,
                Parallelism::None,
            );
        }
    }};
}

impl Product for f32 {
    unsafe fn product(operands: Operands<Self>) {
        #[cfg(target_arch = "x86_64")]
        if super::Level::current() == super::Level::Avx512
            && let Some(tiles) = tiles::Tiles::new(operands)
        {
            // SAFETY: what the caller asserts.
            return unsafe { tiles.compute() };
        }
        product_of_crate!(gemm_f32::gemm::f32::get_gemm_fn, operands);
    }
}

impl Product for f64 {
    unsafe fn product(operands: Operands<Self>) {
        product_of_crate!(gemm_f64::gemm::f64::get_gemm_fn, operands);
    }
}

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
    let of =
        |x: View<'_, E>| Strided { first: x.data().as_ptr(), rows: x.row_stride(), cols: x.col_stride() };
    let operands = Operands {
        sizes: [m, n, k],
        out: Strided { rows: out.ld(), cols: 1, first: out.data_mut().as_mut_ptr() },
        read_out,
        a: of(a),
        b: of(b),
        alpha,
        whole_vectors: whole_vectors(b),
    };
    // SAFETY: `product` reads and writes element (i, j) of each operand at `i * row stride + j * column stride` and nothing else,
    // but for what `whole_vectors` allows. `in_bounds` has asserted that the last of these, the largest as strides are not
    // negative, lies in the operand's slice. `out` is borrowed mutably, so `a` and `b` do not overlap it.
    unsafe { E::product(operands) };
}

/// Whether the columns of a matrix that is not empty lie side by side, and each row may be read up to the next multiple of sixteen
/// columns: the numbers there, of the next row or of what lies beside the matrix, are in its slice.
fn whole_vectors<E>(x: View<'_, E>) -> bool {
    let end = (x.n_rows() - 1) * x.row_stride() + x.n_cols().next_multiple_of(WIDTH);
    x.col_stride() == 1 && end <= x.data().len()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_may_be_read_in_whole_vectors_where_their_slice_goes_on() {
        let data = [0.0_f32; 200];
        for n in [1, 15, 16] {
            for (rows, ld) in [(1, 16), (3, 16), (3, 20), (4, 33)] {
                let end = (rows - 1) * ld + 16;
                assert!(whole_vectors(View::new(&data[..end], rows, n, ld)), "{n} of {ld}");
                if n < 16 {
                    assert!(!whole_vectors(View::new(&data[..end - 1], rows, n, ld)), "{n} of {ld}");
                }
            }
        }
        assert!(
            !whole_vectors(View::new(&data[..48], 2, 17, 17))
                && whole_vectors(View::new(&data[..49], 2, 17, 17))
        );
        // the last columns of a matrix, and some in its middle
        let x = View::new(&data[..4 * 40], 4, 40, 40);
        assert!(
            !whole_vectors(x.cols(30..40)) && whole_vectors(x.cols(20..30)) && whole_vectors(x.cols(24..40))
        );
        assert!(whole_vectors(x.block(0..3, 30..40)), "the row behind is in the slice");
        assert!(!whole_vectors(x.t()));
    }
}
