//! Matrix products.

use super::{Element, View, ViewMut, clear, raw};

/// What happens to the old values of a product's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beta {
    /// They are overwritten, and not read.
    Zero,
    /// The product is added to them.
    Add,
}

/// `out = alpha * a * b` (or `out += ...`), on one thread.
///
/// `out: [m, n]`, `a: [m, k]`, `b: [k, n]`; each of `a`, `b` may be transposed ([`View::t`]). Fastest when `n` is a
/// multiple of 16 and leading dimensions are [`padded`](super::padded), when `b` is not transposed, and when its slice does not end
/// before the last row's next multiple of 16; otherwise `b` is copied.
///
/// # Panics
/// When the shapes do not fit.
///
/// ```
/// use ihead::internals::kernels::{gemm, Beta, View, ViewMut};
/// let (a, b) = ([1.0, 2.0], [3.0, 4.0]);
/// let mut out = [0.5_f64];
/// gemm(ViewMut::new(&mut out, 1, 1, 1), Beta::Add, 2.0, View::new(&a, 1, 2, 2), View::new(&b, 1, 2, 2).t());
/// assert_eq!(out, [22.5]);
/// ```
pub fn gemm<E: Element>(mut out: ViewMut<'_, E>, beta: Beta, alpha: E, a: View<'_, E>, b: View<'_, E>) {
    if out.n_rows() == 0 || out.n_cols() == 0 {
        return;
    }
    if a.n_cols() == 0 && b.n_rows() == 0 {
        if beta == Beta::Zero {
            (0..out.n_rows()).for_each(|i| clear(out.row_mut(i)));
        }
        return;
    }
    raw::gemm(&mut out, beta == Beta::Add, alpha, a, b);
}
