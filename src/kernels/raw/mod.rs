//! The only unsafe code of the kernels: products, which take pointers and strides (on x86-64 those in `tiles`, elsewhere those of the
//! `gemm` crate); memory that buffers share; and the instruction sets of x86-64.
#![allow(unsafe_code)]

use super::lanes::WIDTH;
use super::{Element, View, ViewMut, transpose};

mod memory;
#[cfg(target_arch = "x86_64")]
mod sets;
#[cfg(target_arch = "x86_64")]
mod tiles;

pub use memory::Part;
pub(super) use memory::zeros;
#[cfg(target_arch = "x86_64")]
pub(super) use sets::{Avx2, Avx512};

/// A matrix behind a pointer: its first element, and how far apart its rows and its columns are.
#[derive(Clone, Copy)]
pub struct Strided<P> {
    first: P,
    rows: usize,
    cols: usize,
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
}

/// The type's product.
pub trait Product: Sized {
    /// `out = alpha * a * b`, or `out += alpha * a * b`.
    ///
    /// # Safety
    /// Each element of each matrix lies in one allocation with the first; those of `out` may be written and are not elements of
    /// `a` or `b`. No size is 0. The columns of `out` lie side by side. On x86-64, those of `b` do, too, and each row of `b` may be
    /// read up to the next multiple of sixteen columns.
    unsafe fn product(operands: Operands<Self>);
}

#[cfg(target_arch = "x86_64")]
mod products {
    use std::arch::x86_64::{__m128, __m128d, __m256, __m256d, __m512, __m512d};

    use super::{Operands, Product, tiles};

    impl Product for f32 {
        unsafe fn product(operands: Operands<Self>) {
            // SAFETY: what the caller asserts.
            unsafe { tiles::product::<f32, __m128, __m256, __m512>(operands) }
        }
    }

    impl Product for f64 {
        unsafe fn product(operands: Operands<Self>) {
            // SAFETY: what the caller asserts.
            unsafe { tiles::product::<f64, __m128d, __m256d, __m512d>(operands) }
        }
    }
}

/// The products of the `gemm-f32` and the `gemm-f64` crate. (Their front, the `gemm` crate, builds the products of complex numbers
/// too, which takes longer than these two.)
#[cfg(not(target_arch = "x86_64"))]
mod products {
    use std::sync::Once;

    use gemm_common::Parallelism;

    use super::{Operands, Product};

    /// The default packs the left operand again at every call; products here are small and called often.
    static THRESHOLD: Once = Once::new();

    macro_rules! product_of_crate {
        ($E:ident, $product:path) => {
            impl Product for $E {
                unsafe fn product(operands: Operands<Self>) {
                    THRESHOLD.call_once(|| gemm_common::gemm::set_lhs_packing_threshold_single_thread(256));
                    let Operands { sizes: [m, n, k], out, read_out, a, b, alpha } = operands;
                    let (keep, [conj_out, conj_a, conj_b]) = (1.0, [false; 3]);
                    // The crate's kernels write columns: a result in rows is its transpose, `out^T = b^T a^T`.
                    // SAFETY: what the caller asserts.
                    unsafe {
                        $product()(
                            n,
                            m,
                            k,
                            out.first,
                            out.rows as isize,
                            out.cols as isize,
                            read_out,
                            b.first,
                            b.rows as isize,
                            b.cols as isize,
                            a.first,
                            a.rows as isize,
                            a.cols as isize,
                            keep,
                            alpha,
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
    product_of_crate!(f32, gemm_f32::gemm::f32::get_gemm_fn);
    product_of_crate!(f64, gemm_f64::gemm::f64::get_gemm_fn);
}

/// How many bytes of a column of `b` are multiplied before the next columns.
const BYTES_AT_ONCE: usize = 512;

/// How many of `k` terms are added up before the sum is added to the output: at most 128 in `f32`, 64 in `f64`, in nearly equal parts.
fn terms_at_once<E>(k: usize) -> usize {
    k.div_ceil(k.div_ceil(BYTES_AT_ONCE / size_of::<E>()))
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
    if cfg!(target_arch = "x86_64") && !whole_vectors(b) {
        return by_copies(out, read_out, alpha, a, b);
    }
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
    };
    // SAFETY: `product` reads and writes element (i, j) of each operand at `i * row stride + j * column stride` and nothing else,
    // but for what `whole_vectors` allows, which holds here on x86-64. `in_bounds` has asserted that the last of these, the largest as
    // strides are not negative, lies in the operand's slice. `out` is borrowed mutably, so `a` and `b` do not overlap it.
    unsafe { E::product(operands) };
}

/// The product by copies of parts of `b` in whole vectors. (Not inlined: `gemm` would touch the pages of `copy` in each call.)
#[inline(never)]
fn by_copies<E: Element>(out: &mut ViewMut<'_, E>, read_out: bool, alpha: E, a: View<'_, E>, b: View<'_, E>) {
    const COLUMNS: usize = 64;
    const { assert!(COLUMNS.is_multiple_of(WIDTH), "a copy has whole vectors") };
    let mut copy = [E::zero(); BYTES_AT_ONCE / size_of::<f32>() * COLUMNS];
    let (n, k) = (b.n_cols(), b.n_rows());
    // as the sums without a copy, so that it changes none of their bits
    let depth = terms_at_once::<E>(k);
    for first in (0..k).step_by(depth) {
        let terms = first..k.min(first + depth);
        for left in (0..n).step_by(COLUMNS) {
            let columns = left..n.min(left + COLUMNS);
            let part = b.block(terms.clone(), columns.clone());
            let mut rows = ViewMut::new(&mut copy, terms.len(), columns.len(), COLUMNS);
            if b.col_stride() == 1 {
                (0..terms.len()).for_each(|i| rows.row_mut(i).copy_from_slice(part.row(i)));
            } else {
                transpose(rows, part.t());
            }
            let part = View::new(&copy, terms.len(), columns.len(), COLUMNS);
            gemm(
                &mut out.reborrow().cols(columns),
                read_out || first > 0,
                alpha,
                a.cols(terms.clone()),
                part,
            );
        }
    }
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
