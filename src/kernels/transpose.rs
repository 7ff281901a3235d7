//! Transposition by copying.

use super::lanes::{WIDTH, kernel};
use super::{View, ViewMut};

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
        let zero = simd.splat(E::zero());
        for col in (0..cols).step_by(WIDTH) {
            let width = WIDTH.min(cols - col);
            for row in (0..rows).step_by(WIDTH) {
                let height = WIDTH.min(rows - row);
                let mut block = [zero; WIDTH];
                for (i, v) in block[..height].iter_mut().enumerate() {
                    let from = &x.row(row + i)[col..col + width];
                    *v = match from.first_chunk() {
                        Some(full) => simd.load(full),
                        None => simd.load_part(from),
                    };
                }
                let block = simd.transpose(block);
                for (j, v) in block[..width].iter().enumerate() {
                    let to = &mut out.row_mut(col + j)[row..row + height];
                    match to.first_chunk_mut() {
                        Some(full) => simd.store(full, *v),
                        None => simd.store_part(to, *v),
                    }
                }
            }
        }
    }
}
