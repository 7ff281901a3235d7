//! Singular values and truncation of the rank.
use super::Matrix;

/// Rotations stop once all columns are orthogonal to this relative precision.
const PRECISION: f64 = 1e-14;
/// One-sided Jacobi converges in about ten passes; it never needs as many as this.
const MOST_PASSES: usize = 60;

impl Matrix {
    /// The singular values, from the largest, `min(rows, cols)` of them.
    pub fn singular_values(&self) -> Vec<f64> {
        let mut values: Vec<f64> = self.decompose().columns.iter().map(|column| length(column)).collect();
        values.sort_by(|a, b| b.total_cmp(a));
        values
    }

    /// The nearest matrix of at most this rank, `sum_i s_i u_i v_i^T` over the `rank` largest singular values
    /// (Eckart and Young).
    ///
    /// ```
    /// use ihead::probe::Matrix;
    /// let matrix = Matrix::new(2, 2, vec![3.0, 0.0, 0.0, 1.0])?;
    /// assert_eq!(matrix.singular_values(), [3.0, 1.0]);
    /// assert_eq!(matrix.truncated(1).values(), [3.0, 0.0, 0.0, 0.0]);
    /// # Ok::<(), ihead::Error>(())
    /// ```
    pub fn truncated(&self, rank: usize) -> Matrix {
        if rank >= self.rows().min(self.cols()) {
            return self.clone();
        }
        let Decomposed { columns, rotations, transposed } = self.decompose();
        let mut order: Vec<usize> = (0..columns.len()).collect();
        order.sort_by(|a, b| length(&columns[*b]).total_cmp(&length(&columns[*a])));
        let mut out = self.clone();
        out.values_mut().fill(0.0);
        let cols = self.cols();
        for i in order.into_iter().take(rank) {
            // (s_i u_i) v_i^T, of this matrix or of its transpose
            let (left, right) =
                if transposed { (&rotations[i], &columns[i]) } else { (&columns[i], &rotations[i]) };
            for (row, l) in left.iter().enumerate() {
                let target = &mut out.values_mut()[row * cols..(row + 1) * cols];
                target.iter_mut().zip(right).for_each(|(t, r)| *t += l * r);
            }
        }
        out
    }

    /// One-sided Jacobi: rotates pairs of columns until all are orthogonal.
    fn decompose(&self) -> Decomposed {
        let (rows, cols) = (self.rows(), self.cols());
        let transposed = rows < cols;
        let (n, m) = if transposed { (rows, cols) } else { (cols, rows) };
        let at = |i: usize, j: usize| self.values()[if transposed { j * cols + i } else { i * cols + j }];
        let mut columns: Vec<Vec<f64>> = (0..n).map(|j| (0..m).map(|i| at(i, j)).collect()).collect();
        let mut rotations: Vec<Vec<f64>> =
            (0..n).map(|j| (0..n).map(|i| f64::from(u8::from(i == j))).collect()).collect();
        for _ in 0..MOST_PASSES {
            let mut rotated = false;
            for p in 0..n {
                for q in p + 1..n {
                    let (a, b) = (dot(&columns[p], &columns[p]), dot(&columns[q], &columns[q]));
                    let c = dot(&columns[p], &columns[q]);
                    if c == 0.0 || c.abs() <= PRECISION * (a * b).sqrt() || !c.is_finite() {
                        continue;
                    }
                    rotated = true;
                    let zeta = (b - a) / (2.0 * c);
                    let t = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
                    let cos = 1.0 / (1.0 + t * t).sqrt();
                    rotate(&mut columns, p, q, (cos, cos * t));
                    rotate(&mut rotations, p, q, (cos, cos * t));
                }
            }
            if !rotated {
                break;
            }
        }
        Decomposed { columns, rotations, transposed }
    }
}

/// `A V` and `V` of a matrix or of its transpose, by columns.
struct Decomposed {
    columns: Vec<Vec<f64>>,
    rotations: Vec<Vec<f64>>,
    transposed: bool,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn length(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn rotate(columns: &mut [Vec<f64>], p: usize, q: usize, (cos, sin): (f64, f64)) {
    let (left, right) = columns.split_at_mut(q);
    for (x, y) in left[p].iter_mut().zip(&mut right[0]) {
        (*x, *y) = (cos * *x - sin * *y, sin * *x + cos * *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Init;

    fn random(rows: usize, cols: usize) -> Matrix {
        let values = Init::Normal { std: 1.0 }.draw(5, "a", rows * cols);
        Matrix::from_f32(rows, cols, &values).unwrap()
    }

    fn squares(values: &[f64]) -> f64 {
        values.iter().map(|v| v * v).sum()
    }

    #[test]
    fn what_is_cut_off_is_the_rest_of_the_singular_values() {
        for (rows, cols) in [(7, 7), (9, 4), (4, 9), (1, 5)] {
            let matrix = random(rows, cols);
            let values = matrix.singular_values();
            assert_eq!(values.len(), rows.min(cols));
            assert!((squares(&values) - squares(matrix.values())).abs() < 1e-10);
            for rank in 0..=values.len() {
                let cut = matrix.truncated(rank);
                let error: f64 = cut.values().iter().zip(matrix.values()).map(|(a, b)| (a - b).powi(2)).sum();
                assert!((error - squares(&values[rank..])).abs() < 1e-10, "{rows} x {cols}, rank {rank}");
                assert!(cut.singular_values()[rank.min(values.len())..].iter().all(|s| *s < 1e-10));
            }
        }
    }

    #[test]
    fn a_matrix_of_low_rank_stays_as_it_is() {
        let (a, b) = (random(12, 2), random(10, 2));
        let product = a.times_transposed(&b, "b").unwrap();
        let cut = product.truncated(2);
        assert!(cut.values().iter().zip(product.values()).all(|(x, y)| (x - y).abs() < 1e-12));
    }

    /// `numpy.linalg.svd` (LAPACK's `gesdd`, NumPy 2.4) of `sin(1 + 3i + 7j + ij) / 10^(j mod 5)`: its singular values, and
    /// the beginning of the nearest matrix of rank 2.
    #[test]
    fn singular_values_and_truncations_are_lapack_s() {
        let cases = [
            (
                (6, 4),
                vec![1.505949054031287, 0.17528921717917348, 0.017265235703226457, 0.0016293388332830365],
                [0.8414683124130856, 0.09890806182765167, -0.0006923965302759913],
            ),
            (
                (3, 7),
                vec![1.4444360221846269, 1.2738565507384982, 0.01822809852854537],
                [0.8408138060017921, 0.10477382424524312, 0.0024898527147243746],
            ),
            (
                (12, 12),
                vec![
                    2.6902763044900384,
                    2.1976531127141072,
                    1.6282110680420572,
                    0.25965799695317104,
                    0.19387089577271457,
                    0.12312544724769599,
                    0.013356245100541928,
                    0.009116948152603159,
                    0.0017218001010460972,
                    0.0004556257316684111,
                    0.00019113989593526204,
                    2.3534608608106856e-05,
                ],
                [0.34581577597435487, 0.031281706076721, 0.0014121064773713113],
            ),
        ];
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-14);
        for ((rows, cols), values, start) in cases {
            let at = |i: usize, j: usize| {
                f64::sin((1 + 3 * i + 7 * j + i * j) as f64) * 10_f64.powi(-((j % 5) as i32))
            };
            let all = (0..rows).flat_map(|i| (0..cols).map(move |j| at(i, j))).collect();
            let matrix = Matrix::new(rows, cols, all).unwrap();
            let found = matrix.singular_values();
            assert!(found.len() == values.len() && close(&found, &values), "{found:?}");
            assert!(close(&matrix.truncated(2).values()[..3], &start));
        }
    }
}
