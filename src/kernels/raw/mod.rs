//! The only unsafe code of the kernels: products, which take pointers and strides, those of the `gemm` crate and those in `tiles`;
//! memory that buffers share; and loads and stores of parts of vectors.
#![allow(unsafe_code)]

use gemm_common::Parallelism;

use super::lanes::WIDTH;
use super::{Element, Level, View, ViewMut};

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

impl<E> Strided<*const E> {
    /// The part that begins at (`row`, `column`).
    ///
    /// # Safety
    /// That element is in the matrix, or in the same allocation.
    #[inline(always)]
    unsafe fn at(self, row: usize, column: usize) -> Self {
        // SAFETY: what the caller asserts.
        unsafe { Self { first: self.first.add(row * self.rows + column * self.cols), ..self } }
    }

    /// The part that begins one row below; perhaps behind the last.
    #[inline(always)]
    fn next_row(self) -> Self {
        Self { first: self.first.wrapping_add(self.rows), ..self }
    }

    /// The part that begins at the next column; perhaps behind the last.
    #[inline(always)]
    fn next_column(self) -> Self {
        Self { first: self.first.wrapping_add(self.cols), ..self }
    }
}

impl<E> Strided<*mut E> {
    /// The part that begins at (`row`, `column`).
    ///
    /// # Safety
    /// That element is in the matrix, or in the same allocation.
    #[inline(always)]
    unsafe fn at(self, row: usize, column: usize) -> Self {
        // SAFETY: what the caller asserts.
        unsafe { Self { first: self.first.add(row * self.rows + column * self.cols), ..self } }
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
    /// Whether the columns of `b` lie side by side, and behind its last one there are as many numbers that may be read as
    /// vectors of sixteen want.
    whole_vectors: bool,
}

/// The type's product.
pub trait Product: Sized {
    /// `out = alpha * a * b`, or `out += alpha * a * b`.
    ///
    /// # Safety
    /// Each element of each matrix lies in one allocation with the first; those of `out` may be written and are not
    /// elements of `a` or `b`. `whole_vectors` is true.
    unsafe fn product(operands: Operands<Self>);
}

/// The product of the `gemm-f32` or the `gemm-f64` crate. (Their front, the `gemm` crate, builds the products of complex numbers
/// too, which takes longer than these two.)
macro_rules! product_of_crate {
    ($product:path, $operands:ident) => {{
        let Operands { sizes: [m, n, k], out, read_out, a, b, alpha, .. } = $operands;
        let strides = |cols: usize, rows: usize| (cols as isize, rows as isize);
        let ((out_cols, out_rows), (a_cols, a_rows), (b_cols, b_rows)) =
            (strides(out.cols, out.rows), strides(a.cols, a.rows), strides(b.cols, b.rows));
        let (keep, [conj_out, conj_a, conj_b]) = (1.0, [false; 3]);
        // The crate's kernels write columns: a result in rows is its transpose, `out^T = b^T a^T`.
        //
        // SAFETY: what the caller asserts.
        unsafe {
            if out_rows > 1 {
                $product()(
                    n,
                    m,
                    k,
                    out.first,
                    out_rows,
                    out_cols,
                    read_out,
                    b.first,
                    b_rows,
                    b_cols,
                    a.first,
                    a_rows,
                    a_cols,
                    keep,
                    alpha,
                    conj_out,
                    conj_b,
                    conj_a,
                    Parallelism::None,
                );
            } else {
                $product()(
                    m,
                    n,
                    k,
                    out.first,
                    out_cols,
                    out_rows,
                    read_out,
                    a.first,
                    a_cols,
                    a_rows,
                    b.first,
                    b_cols,
                    b_rows,
                    keep,
                    alpha,
                    conj_out,
                    conj_a,
                    conj_b,
                    Parallelism::None,
                );
            }
        }
    }};
}

impl Product for f32 {
    unsafe fn product(operands: Operands<Self>) {
        #[cfg(target_arch = "x86_64")]
        if Level::current() == Level::Avx512
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
    let in_vectors = (k - 1) * b.row_stride() + n.next_multiple_of(WIDTH) <= b.data().len();
    let of =
        |x: View<'_, E>| Strided { first: x.data().as_ptr(), rows: x.row_stride(), cols: x.col_stride() };
    let operands = Operands {
        sizes: [m, n, k],
        out: Strided { rows: out.ld(), cols: 1, first: out.data_mut().as_mut_ptr() },
        read_out,
        a: of(a),
        b: of(b),
        alpha,
        whole_vectors: b.col_stride() == 1 && in_vectors,
    };
    // SAFETY: `product` reads and writes element (i, j) of each operand at `i * row stride + j * column stride`, of `b` also those
    // up to the next multiple of sixteen columns if `whole_vectors`, and nothing else. `in_bounds` has asserted that the
    // last of these, the largest as strides are not negative, lies in the operand's slice, and `in_vectors` is the same of the vectors of
    // `b`. `out` is borrowed mutably, so `a` and `b` do not overlap it.
    unsafe { E::product(operands) };
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
