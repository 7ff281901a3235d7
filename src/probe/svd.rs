//! Singular values and truncation of the rank.
use super::Matrix;
use crate::{Error, Result};

/// Rotations stop once all columns are orthogonal to this relative precision.
const PRECISION: f64 = 1e-14;
/// The squares of entries from the first of these numbers to the second are neither lost nor beyond all numbers.
const ORDINARY: std::ops::Range<f64> = 1e-100..1e100;
/// One-sided Jacobi converges in about ten passes; it never needs as many as this.
const MOST_PASSES: usize = 60;

impl Matrix {
    /// The singular values, from the largest, `min(rows, cols)` of them.
    ///
    /// # Errors
    /// If an entry is not finite, or a singular value is beyond all numbers.
    pub fn singular_values(&self) -> Result<Vec<f64>> {
        let Decomposed { columns, scale, .. } = self.decompose()?;
        let mut values: Vec<f64> = columns.iter().map(|column| scale * length(column)).collect();
        values.sort_by(|a, b| b.total_cmp(a));
        check_finite(&values, "singular values")?;
        Ok(values)
    }

    /// The nearest matrix of at most this rank, `sum_i s_i u_i v_i^T` over the `rank` largest singular values
    /// (Eckart and Young).
    ///
    /// ```
    /// use ihead::probe::Matrix;
    /// let matrix = Matrix::new(2, 2, vec![3.0, 0.0, 0.0, 1.0])?;
    /// assert_eq!(matrix.singular_values()?, [3.0, 1.0]);
    /// assert_eq!(matrix.truncated(1)?.values(), [3.0, 0.0, 0.0, 0.0]);
    /// # Ok::<(), ihead::Error>(())
    /// ```
    ///
    /// # Errors
    /// If an entry is not finite.
    pub fn truncated(&self, rank: usize) -> Result<Matrix> {
        if rank >= self.rows().min(self.cols()) {
            check_finite(self.values(), "entries")?;
            return Ok(self.clone());
        }
        let Decomposed { columns, rotations, transposed, scale } = self.decompose()?;
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
        out.values_mut().iter_mut().for_each(|value| *value *= scale);
        check_finite(out.values(), "entries after the truncation")?;
        Ok(out)
    }

    /// One-sided Jacobi: rotates pairs of columns until all are orthogonal.
    fn decompose(&self) -> Result<Decomposed> {
        check_finite(self.values(), "entries")?;
        let largest = self.values().iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        let scale = if largest == 0.0 || ORDINARY.contains(&largest) { 1.0 } else { largest };
        let (rows, cols) = (self.rows(), self.cols());
        let transposed = rows < cols;
        let (n, m) = if transposed { (rows, cols) } else { (cols, rows) };
        let at = |i: usize, j: usize| self.values()[if transposed { j * cols + i } else { i * cols + j }];
        let mut columns: Vec<Vec<f64>> = (0..n).map(|j| (0..m).map(|i| at(i, j) / scale).collect()).collect();
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
        Ok(Decomposed { columns, rotations, transposed, scale })
    }
}

/// Refuses numbers that are not finite.
fn check_finite(values: &[f64], what: &str) -> Result<()> {
    let wrong = values.iter().find(|value| !value.is_finite());
    wrong.map_or(Ok(()), |value| Err(Error::value(format!("{what} of a matrix"), value, "finite numbers")))
}

/// `A V` and `V` of a matrix divided by `scale`, or of its transpose, by columns.
struct Decomposed {
    columns: Vec<Vec<f64>>,
    rotations: Vec<Vec<f64>>,
    transposed: bool,
    /// The largest entry, where squares of entries would be no numbers; else 1.
    scale: f64,
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
            let values = matrix.singular_values().unwrap();
            assert_eq!(values.len(), rows.min(cols));
            assert!((squares(&values) - squares(matrix.values())).abs() < 1e-10);
            for rank in 0..=values.len() {
                let cut = matrix.truncated(rank).unwrap();
                let error: f64 = cut.values().iter().zip(matrix.values()).map(|(a, b)| (a - b).powi(2)).sum();
                assert!((error - squares(&values[rank..])).abs() < 1e-10, "{rows} x {cols}, rank {rank}");
                assert!(cut.singular_values().unwrap()[rank.min(values.len())..].iter().all(|s| *s < 1e-10));
            }
        }
    }

    #[test]
    fn a_matrix_of_low_rank_stays_as_it_is() {
        let (a, b) = (random(12, 2), random(10, 2));
        let product = a.times_transposed(&b, "b").unwrap();
        let cut = product.truncated(2).unwrap();
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
            let found = matrix.singular_values().unwrap();
            assert!(found.len() == values.len() && close(&found, &values), "{found:?}");
            assert!(close(&matrix.truncated(2).unwrap().values()[..3], &start));
        }
    }

    #[test]
    fn the_size_of_the_entries_does_not_matter() {
        let matrix = |by: f64| Matrix::new(2, 2, [3.0, 0.5, 0.25, 1.0].map(|x| x * by).to_vec()).unwrap();
        let (values, cut) = (matrix(1.0).singular_values().unwrap(), matrix(1.0).truncated(1).unwrap());
        for by in [1e307, 1e-300, 1e200, 1e-200] {
            let close = |found: &[f64], expected: &[f64]| {
                found.iter().zip(expected).all(|(x, y)| (x / by - y).abs() < 1e-12 * y.abs())
            };
            assert!(close(&matrix(by).singular_values().unwrap(), &values), "{by}");
            assert!(close(matrix(by).truncated(1).unwrap().values(), cut.values()), "{by}");
        }
        // of a few bits, which is all that such numbers have
        let tiny = Matrix::new(1, 2, vec![3e-320, 4e-320]).unwrap().singular_values().unwrap();
        assert!((tiny[0] / 5e-320 - 1.0).abs() < 1e-3, "{tiny:?}");
        assert_eq!(Matrix::new(2, 2, vec![0.0; 4]).unwrap().singular_values().unwrap(), [0.0, 0.0]);
    }

    #[test]
    fn what_is_not_finite_has_no_singular_values() {
        for wrong in [f64::NAN, f64::INFINITY] {
            let matrix = Matrix::new(2, 2, vec![1.0, wrong, 0.0, 1.0]).unwrap();
            for error in [
                matrix.singular_values().map(drop),
                matrix.truncated(1).map(drop),
                matrix.truncated(2).map(drop),
            ] {
                let error = error.unwrap_err().to_string();
                assert!(
                    error.starts_with(&format!("entries of a matrix: {wrong}; expected finite")),
                    "{error}"
                );
            }
        }
        let beyond = Matrix::new(2, 2, vec![1e308; 4]).unwrap();
        assert!(
            beyond.singular_values().unwrap_err().to_string().starts_with("singular values of a matrix: inf")
        );
        assert!(beyond.truncated(1).unwrap().values().iter().all(|x| (x / 1e308 - 1.0).abs() < 1e-12));
    }
}
