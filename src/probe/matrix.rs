//! Matrices for probes of weights.
use crate::kernels::{Beta, View, ViewMut, gemm};
use crate::{Error, Result};

use super::BorrowedMatrix;
use super::state_dict::Numbers;

/// Numbers of a matrix in single precision that are widened at once: 128 KB.
const WIDENED: usize = 1 << 14;

/// A matrix `[rows, cols]` in double precision, in which probes of weights compute.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    rows: usize,
    cols: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// Makes a matrix `[rows, cols]` of row-major values.
    ///
    /// # Errors
    /// If the number of values is not `rows * cols`.
    pub fn new(rows: usize, cols: usize, values: Vec<f64>) -> Result<Self> {
        if rows.checked_mul(cols) != Some(values.len()) {
            return Err(Error::shape("values of a matrix", &[rows, cols], &[values.len()]));
        }
        Ok(Matrix { rows, cols, values })
    }

    /// Makes a matrix `[rows, cols]` of row-major values in single precision, such as those of a parameter.
    ///
    /// # Errors
    /// If the number of values is not `rows * cols`.
    pub fn from_f32(rows: usize, cols: usize, values: &[f32]) -> Result<Self> {
        Matrix::new(rows, cols, values.iter().copied().map(f64::from).collect())
    }

    /// Makes a matrix of the rows of an iterator, which all have `cols` values.
    ///
    /// # Errors
    /// If one has another number of values.
    pub fn from_rows<'a>(cols: usize, rows: impl IntoIterator<Item = &'a [f64]>) -> Result<Self> {
        let mut matrix = Matrix { rows: 0, cols, values: Vec::new() };
        for row in rows {
            if row.len() != cols {
                return Err(Error::shape(format!("row {} of a matrix", matrix.rows), &[cols], &[row.len()]));
            }
            matrix.values.extend_from_slice(row);
            matrix.rows += 1;
        }
        Ok(matrix)
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Returns the values, row-major.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Returns the values, row-major, to change them.
    pub fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    /// Returns row `i`, `[cols]`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, i: usize) -> &[f64] {
        assert!(i < self.rows, "row {i} of {} rows", self.rows);
        &self.values[i * self.cols..(i + 1) * self.cols]
    }

    /// Returns the Euclidean norm of all values (the Frobenius norm).
    pub fn norm(&self) -> f64 {
        self.values.iter().map(|v| v * v).sum::<f64>().sqrt()
    }

    /// Returns the transpose, `[cols, rows]`.
    ///
    /// ```
    /// use ihead::probe::Matrix;
    /// let matrix = Matrix::new(2, 3, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
    /// assert_eq!(matrix.transposed().row(2), [3.0, 6.0]);
    /// # Ok::<(), ihead::Error>(())
    /// ```
    pub fn transposed(&self) -> Matrix {
        let values = (0..self.cols).flat_map(|j| self.values.iter().skip(j).step_by(self.cols).copied());
        Matrix { rows: self.cols, cols: self.rows, values: values.collect() }
    }

    /// Returns the product `A B`, `[rows, out]`, of this matrix, `[rows, in]`, and another one, `[in, out]`.
    ///
    /// ```
    /// use ihead::probe::Matrix;
    /// let (wo, wv) = (Matrix::new(1, 2, vec![1.0, 2.0])?, Matrix::new(2, 1, vec![3.0, 4.0])?);
    /// assert_eq!(wo.times(&wv)?.values(), [11.0]);
    /// let error = wo.times(&wo).unwrap_err().to_string();
    /// assert_eq!(error, "the right factor of a product: expected shape [2, 2], found [1, 2]");
    /// # Ok::<(), ihead::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the other one has not as many rows as this one has columns.
    pub fn times(&self, other: &Matrix) -> Result<Matrix> {
        if other.rows != self.cols {
            let expected = [self.cols, other.cols];
            return Err(Error::shape("the right factor of a product", &expected, &[other.rows, other.cols]));
        }
        self.times_transposed(&other.transposed(), "the right factor of a product")
    }

    /// Returns the rows with these numbers, `[picked, cols]`.
    ///
    /// # Errors
    /// If there is no such row.
    pub fn pick(&self, picked: &[usize]) -> Result<Matrix> {
        Matrix::picked_of(BorrowedMatrix::of(self), picked)
    }

    /// Some rows of a matrix that is borrowed, `[picked, cols]`.
    ///
    /// # Errors
    /// If there is no such row.
    pub(super) fn picked_of(from: BorrowedMatrix<'_>, picked: &[usize]) -> Result<Matrix> {
        let (rows, cols, values) = (from.rows(), from.cols(), from.values());
        if let Some(row) = picked.iter().find(|row| **row >= rows) {
            return Err(Error::index("row", *row, "a matrix", rows));
        }
        let mut found = Matrix { rows: picked.len(), cols, values: Vec::with_capacity(picked.len() * cols) };
        for row in picked.iter().map(|row| row * cols..(row + 1) * cols) {
            match values {
                Numbers::Single(values) => found.values.extend(values[row].iter().copied().map(f64::from)),
                Numbers::Double(values) => found.values.extend_from_slice(&values[row]),
            }
        }
        Ok(found)
    }

    /// Maps each row by `y = W x`: returns `X W^T`, `[rows, out]`, where `X` is this matrix, `[rows, in]`.
    ///
    /// # Errors
    /// If `w` is not `[out, in]`; `what` names it.
    pub fn times_transposed(&self, w: &Matrix, what: &str) -> Result<Matrix> {
        self.times_borrowed(BorrowedMatrix::of(w), what)
    }

    /// The same by a matrix that is borrowed, whose rows are widened block by block if they are in single precision.
    ///
    /// # Errors
    /// If `w` is not `[out, in]`; `what` names it.
    pub(super) fn times_borrowed(&self, w: BorrowedMatrix<'_>, what: &str) -> Result<Matrix> {
        let (rows, cols, values) = (w.rows(), w.cols(), w.values());
        if cols != self.cols {
            return Err(Error::shape(what, &[rows, self.cols], &[rows, cols]));
        }
        let mut out = Matrix { rows: self.rows, cols: rows, values: vec![0.0; self.rows * rows] };
        if out.values.is_empty() || cols == 0 {
            return Ok(out);
        }
        let x = View::new(&self.values, self.rows, cols, cols);
        let mut target = ViewMut::new(&mut out.values, self.rows, rows, rows);
        let mut multiply = |first: usize, block: &[f64]| {
            let n = block.len() / cols;
            let target = target.reborrow().block(0..self.rows, first..first + n);
            gemm(target, Beta::Zero, 1.0, x, View::new(block, n, cols, cols).t());
        };
        match values {
            Numbers::Double(values) => multiply(0, values),
            Numbers::Single(values) => {
                let height = (WIDENED / cols).clamp(1, rows);
                let mut block = Vec::with_capacity(height * cols);
                for (b, part) in values.chunks(height * cols).enumerate() {
                    block.clear();
                    block.extend(part.iter().copied().map(f64::from));
                    multiply(b * height, &block);
                }
            }
        }
        Ok(out)
    }

    /// Adds another matrix; `None` if the shapes differ.
    pub fn plus(mut self, other: &Matrix) -> Option<Matrix> {
        if (other.rows, other.cols) != (self.rows, self.cols) {
            return None;
        }
        self.values.iter_mut().zip(&other.values).for_each(|(to, from)| *to += from);
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_picked_rows() -> Result<()> {
        let x = Matrix::new(2, 3, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
        let w = Matrix::new(1, 3, vec![1.0, 0.0, -1.0])?;
        assert_eq!(x.times_transposed(&w, "w")?, Matrix::new(2, 1, vec![-2.0, -2.0])?);
        assert_eq!(x.pick(&[1, 1])?.values(), [4.0, 5.0, 6.0, 4.0, 5.0, 6.0]);
        assert_eq!(x.pick(&[2]).unwrap_err().to_string(), "row 2 of a matrix, which has rows 0 to 1");
        let narrow = Matrix::new(4, 2, vec![0.0; 8])?;
        let message = x.times_transposed(&narrow, "output.weight").unwrap_err().to_string();
        assert_eq!(message, "output.weight: expected shape [4, 3], found [4, 2]");
        assert!(Matrix::new(usize::MAX, 2, vec![]).is_err());
        Ok(())
    }
}
