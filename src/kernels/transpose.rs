//! Transposition by copying.

use super::lanes::{Lanes, WIDTH, kernel};
use super::{Element, View, ViewMut};

kernel! {
    /// `out[j, i] = x[i, j]`, in blocks of 16 x 16.
    ///
    /// `x: [rows, cols]` row-major, `out: [cols, rows]`.
    ///
    /// # Panics
    /// When the shapes do not fit, or `x` is a transposed view.
    pub fn transpose<'a, E>(simd; out: ViewMut<'a, E>, x: View<'a, E>) -> () {
        let (rows, cols) = (x.n_rows(), x.n_cols());
        assert!(
            out.n_rows() == cols && out.n_cols() == rows,
            "transpose of [{rows}, {cols}] into [{}, {}]",
            out.n_rows(),
            out.n_cols()
        );
        let mut out = out;
        for col in (0..cols).step_by(WIDTH) {
            for row in (0..rows).step_by(WIDTH) {
                match (WIDTH.min(rows - row), WIDTH.min(cols - col)) {
                    // Sizes that the compiler knows: the block stays in registers.
                    (WIDTH, WIDTH) => block(simd, &mut out, x, (row, col), (WIDTH, WIDTH)),
                    size => block(simd, &mut out, x, (row, col), size),
                }
            }
        }
    }
}

/// Transposes the block of `x` with its first element at (`row`, `col`), at most 16 rows and columns.
#[inline(always)]
fn block<E: Element, L: Lanes<E>>(
    simd: L,
    out: &mut ViewMut<'_, E>,
    x: View<'_, E>,
    (row, col): (usize, usize),
    (height, width): (usize, usize),
) {
    let mut rows = [simd.splat(E::zero()); WIDTH];
    for (i, v) in rows[..height].iter_mut().enumerate() {
        *v = simd.load_up_to_16(&x.row(row + i)[col..col + width]);
    }
    let columns = simd.transpose(rows);
    for (j, v) in columns[..width].iter().enumerate() {
        simd.store_up_to_16(&mut out.row_mut(col + j)[row..row + height], *v);
    }
}
