//! Matrices over borrowed slices.

use std::ops::Range;

/// The leading dimension for `n` columns: the least multiple of 16 that holds them and is an odd number of 16s.
///
/// Rows then start at a cache line and do not all fall in the same cache set.
///
/// ```
/// use ihead::internals::kernels::padded;
/// assert_eq!([padded(1), padded(65), padded(256)], [16, 80, 272]);
/// ```
pub fn padded(n: usize) -> usize {
    (n.div_ceil(16) | 1) * 16
}

/// A matrix `[rows, cols]` over a borrowed slice: element (i, j) at `i * row_stride + j * col_stride`.
#[derive(Debug)]
pub struct View<'a, E> {
    data: &'a [E],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<E> Clone for View<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for View<'_, E> {}

impl<'a, E> View<'a, E> {
    /// A row-major matrix whose row i starts at `i * ld`.
    ///
    /// # Panics
    /// When rows overlap (`ld < cols`) or `data` is too short.
    pub fn new(data: &'a [E], rows: usize, cols: usize, ld: usize) -> Self {
        check(data.len(), rows, cols, ld);
        Self { data, rows, cols, row_stride: ld, col_stride: 1 }
    }

    /// The number of rows.
    pub fn n_rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn n_cols(&self) -> usize {
        self.cols
    }

    /// The distance between the starts of two rows.
    pub fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// The distance between the starts of two columns: 1 unless transposed.
    pub fn col_stride(&self) -> usize {
        self.col_stride
    }

    /// The elements; (0, 0) is the first.
    pub fn data(&self) -> &'a [E] {
        self.data
    }

    /// The transposed matrix, without a copy.
    #[must_use]
    pub fn t(self) -> Self {
        Self {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }

    /// The given rows.
    #[must_use]
    pub fn rows(self, rows: Range<usize>) -> Self {
        self.block(rows, 0..self.cols)
    }

    /// The given columns.
    #[must_use]
    pub fn cols(self, cols: Range<usize>) -> Self {
        self.block(0..self.rows, cols)
    }

    /// The sub-matrix at the given rows and columns.
    ///
    /// # Panics
    /// When a range is not inside the matrix.
    #[must_use]
    pub fn block(self, rows: Range<usize>, cols: Range<usize>) -> Self {
        check_block((self.rows, self.cols), &rows, &cols);
        let start = (rows.start * self.row_stride + cols.start * self.col_stride).min(self.data.len());
        Self { data: &self.data[start..], rows: rows.len(), cols: cols.len(), ..self }
    }

    /// Row i as a slice.
    ///
    /// # Panics
    /// When there is no such row, or the view is transposed.
    #[inline]
    pub fn row(&self, i: usize) -> &'a [E] {
        assert!(i < self.rows && self.col_stride == 1, "row {i} of {} rows", self.rows);
        &self.data[i * self.row_stride..][..self.cols]
    }
}

/// A row-major matrix `[rows, cols]` over a mutably borrowed slice: row i starts at `i * ld`.
#[derive(Debug)]
pub struct ViewMut<'a, E> {
    data: &'a mut [E],
    rows: usize,
    cols: usize,
    ld: usize,
}

impl<'a, E> ViewMut<'a, E> {
    /// A row-major matrix whose row i starts at `i * ld`.
    ///
    /// # Panics
    /// When rows overlap (`ld < cols`) or `data` is too short.
    pub fn new(data: &'a mut [E], rows: usize, cols: usize, ld: usize) -> Self {
        check(data.len(), rows, cols, ld);
        Self { data, rows, cols, ld }
    }

    /// The number of rows.
    pub fn n_rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn n_cols(&self) -> usize {
        self.cols
    }

    /// The distance between the starts of two rows.
    pub fn ld(&self) -> usize {
        self.ld
    }

    /// The elements; (0, 0) is the first.
    pub fn data_mut(&mut self) -> &mut [E] {
        self.data
    }

    /// The same matrix, borrowed for a shorter time.
    pub fn reborrow(&mut self) -> ViewMut<'_, E> {
        ViewMut { data: self.data, rows: self.rows, cols: self.cols, ld: self.ld }
    }

    /// The same matrix for reading.
    pub fn as_view(&self) -> View<'_, E> {
        View { data: self.data, rows: self.rows, cols: self.cols, row_stride: self.ld, col_stride: 1 }
    }

    /// The given rows.
    #[must_use]
    pub fn rows(self, rows: Range<usize>) -> Self {
        let cols = self.cols;
        self.block(rows, 0..cols)
    }

    /// The given columns.
    #[must_use]
    pub fn cols(self, cols: Range<usize>) -> Self {
        let rows = self.rows;
        self.block(0..rows, cols)
    }

    /// The sub-matrix at the given rows and columns.
    ///
    /// # Panics
    /// When a range is not inside the matrix.
    #[must_use]
    pub fn block(self, rows: Range<usize>, cols: Range<usize>) -> Self {
        check_block((self.rows, self.cols), &rows, &cols);
        let start = (rows.start * self.ld + cols.start).min(self.data.len());
        Self { data: &mut self.data[start..], rows: rows.len(), cols: cols.len(), ld: self.ld }
    }

    /// Row i as a slice.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    pub fn row(&self, i: usize) -> &[E] {
        assert!(i < self.rows, "row {i} of {} rows", self.rows);
        &self.data[i * self.ld..][..self.cols]
    }

    /// Row i as a mutable slice.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    pub fn row_mut(&mut self, i: usize) -> &mut [E] {
        assert!(i < self.rows, "row {i} of {} rows", self.rows);
        &mut self.data[i * self.ld..][..self.cols]
    }
}

fn check(len: usize, rows: usize, cols: usize, ld: usize) {
    assert!(ld >= cols, "leading dimension {ld} of a matrix with {cols} columns");
    let needed = if rows == 0 || cols == 0 { Some(0) } else { span(rows, cols, ld) };
    assert!(
        needed.is_some_and(|needed| len >= needed),
        "a slice of {len} elements for a matrix [{rows}, {cols}] with leading dimension {ld}"
    );
}

/// The elements between the first and one past the last of a matrix, or `None` when that is no `usize`.
fn span(rows: usize, cols: usize, ld: usize) -> Option<usize> {
    (rows - 1).checked_mul(ld)?.checked_add(cols)
}

fn check_block(shape: (usize, usize), rows: &Range<usize>, cols: &Range<usize>) {
    let inside = |range: &Range<usize>, n: usize| range.start <= range.end && range.end <= n;
    assert!(
        inside(rows, shape.0) && inside(cols, shape.1),
        "rows {rows:?} and columns {cols:?} of a matrix [{}, {}]",
        shape.0,
        shape.1
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_transposes_address_the_same_elements() {
        let data: Vec<usize> = (0..35).collect();
        let x = View::new(&data, 5, 6, 7); // the last row may end early
        let block = x.block(1..4, 2..5);
        assert_eq!((block.n_rows(), block.n_cols()), (3, 3));
        assert_eq!(block.row(2), [23, 24, 25]);
        let t = x.t().block(2..5, 1..4);
        assert_eq!((t.data()[0], t.row_stride(), t.col_stride()), (9, 1, 7));
        assert_eq!(t.t().row(2), block.row(2));
        let mut data = data;
        let mut y = ViewMut::new(&mut data, 5, 6, 7).rows(4..5).cols(3..6);
        assert_eq!(y.row_mut(0), [31, 32, 33]);
        assert_eq!(y.as_view().row(0), y.row(0));
    }

    #[test]
    fn empty_blocks_at_the_end_are_fine() {
        let data = [0.0_f32; 12];
        let x = View::new(&data, 3, 4, 4);
        assert_eq!(x.block(3..3, 4..4).data().len(), 0);
        assert_eq!(View::new(&data[..0], 0, 4, 4).rows(0..0).n_cols(), 4);
    }

    #[test]
    #[should_panic(expected = "a slice of 33 elements for a matrix [5, 6] with leading dimension 7")]
    fn a_short_slice_is_refused() {
        View::new(&[0.0_f32; 33], 5, 6, 7);
    }

    #[test]
    #[should_panic(expected = "a slice of 4 elements")]
    fn a_size_that_overflows_is_refused() {
        View::new(&[0.0_f32; 4], usize::MAX, 2, 4);
    }

    #[test]
    #[should_panic(expected = "rows 0..6 and columns 0..6 of a matrix [5, 6]")]
    fn a_block_outside_is_refused() {
        let _ = View::new(&[0.0_f32; 35], 5, 6, 7).rows(0..6);
    }

    #[test]
    fn padded_sizes_hold_the_columns_in_an_odd_number_of_lines() {
        for n in 0..600 {
            let ld = padded(n);
            assert!(ld >= n && ld % 32 == 16 && ld < n + 32 + 16);
        }
    }
}
