//! The edges of what `unsafe` code reads and writes, each with slices that end exactly at the last element in an
//! allocation of its own: a read or a write beyond is then one that valgrind reports (`tests/valgrind.sh`), or, of AVX-512, which
//! valgrind does not know, the sanitizer of addresses (CONTRIBUTING.md).
//!
//! | edge | test |
//! |---|---|
//! | parts of vectors, of 0 to 16 lanes, alone and behind whole vectors | `rows_that_end_with_their_allocation` |
//! | matrices of one element, one row, one column | `products_that_end_with_their_allocation` |
//! | `ld == cols`, `ld > cols`, `ld == 1` | the same |
//! | a last row that ends where the slice ends, before `ld` elements | the same |
//! | transposed operands, the same matrix twice | the same, `a_matrix_times_its_own_transpose` |
//! | views of columns, of the last one too | `products_of_columns_at_the_end_of_their_matrix` |
//! | whole vectors of the right operand where its columns end, and nothing behind them | `products_in_tiles_that_end_with_their_allocation` |
use ihead::internals::kernels::*;

use super::{assert_near, at_each_level, random};

/// An allocation with exactly these elements.
fn exact<E: Element>(x: &[f64]) -> Box<[E]> {
    x.iter().map(|&x| E::from_f64(x)).collect()
}

/// The elements of a matrix with leading dimension `ld`: what is between its rows is 77, and the last row ends the
/// allocation.
fn exact_matrix<E: Element>(x: &[f64], rows: usize, cols: usize, ld: usize) -> Box<[E]> {
    let mut data = vec![E::from_f64(77.0); (rows - 1) * ld + cols];
    for i in 0..rows {
        for j in 0..cols {
            data[i * ld + j] = E::from_f64(x[i * cols + j]);
        }
    }
    data.into_boxed_slice()
}

/// `a * b` in double precision, each transposed as asked.
fn product([m, n, k]: [usize; 3], a: &[f64], ta: bool, b: &[f64], tb: bool) -> Vec<f64> {
    let at = |i: usize, t: usize| if ta { a[t * m + i] } else { a[i * k + t] };
    let bt = |t: usize, j: usize| if tb { b[j * k + t] } else { b[t * n + j] };
    (0..m * n).map(|ij| (0..k).map(|t| at(ij / n, t) * bt(t, ij % n)).sum()).collect()
}

#[test]
fn products_that_end_with_their_allocation() {
    at_each_level(|level| {
        products_of_small_matrices::<f32>(level);
        products_of_small_matrices::<f64>(level);
    });
}

fn products_of_small_matrices<E: Element>(level: Level) {
    let sizes = [1, 2, 7, 8, 9, 16, 17];
    for m in sizes {
        for n in sizes {
            for k in [1, 5, 16, 33] {
                for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
                    for gap in [0, 3] {
                        let (x, y) = (eighths(1, m * k), eighths(2, k * n));
                        let (a_rows, a_cols) = if ta { (k, m) } else { (m, k) };
                        let (b_rows, b_cols) = if tb { (n, k) } else { (k, n) };
                        let a = exact_matrix::<E>(&x, a_rows, a_cols, a_cols + gap);
                        let b = exact_matrix::<E>(&y, b_rows, b_cols, b_cols + gap);
                        let mut out = exact_matrix::<E>(&vec![f64::NAN; m * n], m, n, n + gap);
                        let (a, b) = (
                            View::new(&a, a_rows, a_cols, a_cols + gap),
                            View::new(&b, b_rows, b_cols, b_cols + gap),
                        );
                        let (a, b) = (if ta { a.t() } else { a }, if tb { b.t() } else { b });
                        gemm(ViewMut::new(&mut out, m, n, n + gap), Beta::Zero, E::one(), a, b);
                        let what = format!("{level:?}: [{m}, {n}], {k}, {ta}, {tb}, {gap}");
                        let expected = product([m, n, k], &x, ta, &y, tb);
                        for (i, row) in out.chunks(n + gap).enumerate() {
                            for (found, expected) in row[..n].iter().zip(&expected[i * n..]) {
                                assert!(found.to_f64() == *expected, "{what}: {found}, expected {expected}");
                            }
                            assert!(row[n..].iter().all(|x| x.to_f64() == 77.0), "{what}: between the rows");
                        }
                    }
                }
            }
        }
    }
}

/// Eighths between -1 and 1, whose products and sums have no rounding.
fn eighths(seed: u64, len: usize) -> Vec<f64> {
    random(seed, len).into_iter().map(|x| (x * 8.0).round() / 8.0).collect()
}

#[test]
fn products_in_tiles_that_end_with_their_allocation() {
    // tiles of up to 8 rows and 4 vectors of 2 to 16 numbers, and what is left beside and below them
    let small = [1, 2, 3, 5, 6, 7, 8, 9, 13, 31].into_iter().flat_map(|m| {
        [1, 9, 16, 23, 32, 33, 48, 50, 64, 65, 81, 130].into_iter().flat_map(move |n| {
            let depths =
                [(1, false), (2, true), (33, false), (65, false), (128, true), (129, false), (257, true)];
            depths.into_iter().map(move |(k, ta)| ([m, n, k], ta))
        })
    });
    // more rows than one block of them
    let large = [256, 257, 600].into_iter().flat_map(|m| {
        [(17, 1, false), (65, 129, true), (65, 129, false)].into_iter().map(move |(n, k, ta)| ([m, n, k], ta))
    });
    for (size, ta) in small.chain(large) {
        let factors = Factors::new(size, ta);
        at_each_level(|level| {
            for right in [Right::Vectors, Right::Columns, Right::Transposed] {
                factors.check::<f32>(level, right);
                factors.check::<f64>(level, right);
            }
        });
    }
}

/// How the right operand lies in its allocation.
#[derive(Clone, Copy, Debug)]
enum Right {
    /// Its rows are whole vectors, with what is not a number behind its columns: no other column of the output may become one.
    Vectors,
    /// The last row ends with the last column.
    Columns,
    /// As its columns.
    Transposed,
}

/// Two matrices, a third that their product is added to, and the product.
struct Factors {
    size: [usize; 3],
    ta: bool,
    x: Vec<f64>,
    y: Vec<f64>,
    before: Vec<f64>,
    product: Vec<f64>,
}

impl Factors {
    fn new([m, n, k]: [usize; 3], ta: bool) -> Self {
        let (x, y, before) = (eighths(1, m * k), eighths(2, k * n), eighths(3, m * n));
        let product = product([m, n, k], &x, ta, &y, false);
        Self { size: [m, n, k], ta, x, y, before, product }
    }

    fn check<E: Element>(&self, level: Level, right: Right) {
        let Self { size: [m, n, k], ta, .. } = *self;
        let (a_rows, a_cols) = if ta { (k, m) } else { (m, k) };
        let a = exact_matrix::<E>(&self.x, a_rows, a_cols, a_cols + 2);
        let a = View::new(&a, a_rows, a_cols, a_cols + 2);
        let a = if ta { a.t() } else { a };
        let ld = if matches!(right, Right::Vectors) { n.next_multiple_of(16) } else { n };
        let mut b = vec![E::from_f64(f64::NAN); k * ld].into_boxed_slice();
        for (ij, y) in self.y.iter().enumerate() {
            let (i, j) = (ij / n, ij % n);
            b[if matches!(right, Right::Transposed) { j * k + i } else { i * ld + j }] = E::from_f64(*y);
        }
        let b = match right {
            Right::Vectors => View::new(&b, k, ld, ld).cols(0..n),
            Right::Columns => View::new(&b, k, n, n),
            Right::Transposed => View::new(&b, n, k, k).t(),
        };
        for beta in [Beta::Zero, Beta::Add] {
            let nothing = vec![f64::NAN; m * n];
            let before = if beta == Beta::Zero { &nothing } else { &self.before };
            let mut out = exact_matrix::<E>(before, m, n, n + 1);
            gemm(ViewMut::new(&mut out, m, n, n + 1), beta, E::from_f64(0.5), a, b);
            let what = format!("{level:?}, {right:?}: [{m}, {n}], {k}, {ta}, {beta:?}");
            for (i, row) in out.chunks(n + 1).enumerate() {
                for (j, found) in row[..n].iter().enumerate() {
                    let old = if beta == Beta::Zero { 0.0 } else { self.before[i * n + j] };
                    let expected = old + 0.5 * self.product[i * n + j];
                    assert!(found.to_f64() == expected, "{what}: {found} at {i}, {j}, expected {expected}");
                }
                assert!(row[n..].iter().all(|x| x.to_f64() == 77.0), "{what}: between the rows");
            }
        }
    }
}

/// The bits of a product whose right operand has whole vectors, ends with its last column, or is transposed.
fn bits<E: Element>(k: usize, x: &[f64], y: &[f64]) -> [Vec<u64>; 3] {
    let (m, n) = (7, 70);
    let numbers = |x: &[f64]| x.iter().map(|&x| E::from_f64(x)).collect::<Vec<_>>();
    let (a, b) = (numbers(x), numbers(y));
    let mut whole = b.clone();
    whole.resize(k * n + 16, E::zero());
    let columns: Vec<E> = (0..n * k).map(|ji| b[ji % k * n + ji / k]).collect();
    [View::new(&whole, k, n, n), View::new(&b, k, n, n), View::new(&columns, n, k, k).t()].map(|b| {
        let mut out = vec![E::zero(); m * n];
        gemm(ViewMut::new(&mut out, m, n, n), Beta::Zero, E::one(), View::new(&a, m, k, k), b);
        out.iter().map(|x| x.to_f64().to_bits()).collect()
    })
}

#[test]
fn a_copy_of_the_right_operand_changes_no_bit_of_a_product() {
    for k in [64, 65, 129, 200, 257] {
        let (x, y) = (random(1, 7 * k), random(2, k * 70));
        at_each_level(|level| {
            for [whole, columns, transposed] in [bits::<f32>(k, &x, &y), bits::<f64>(k, &x, &y)] {
                assert!(whole == columns && whole == transposed, "{level:?}, {k}");
            }
        });
    }
}

#[test]
fn a_level_that_is_asked_for_computes_products() {
    // AVX2 rounds a product and its sum once, portable code twice; tiles of AVX-512 add up in the order of AVX2's
    fn levels<E: Element>() -> Vec<(Level, Vec<u64>)> {
        let mut found = Vec::new();
        let (x, y) = (random(1, 7 * 65), random(2, 65 * 70));
        at_each_level(|level| found.push((level, bits::<E>(65, &x, &y)[0].clone())));
        found
    }
    for found in [levels::<f32>(), levels::<f64>()] {
        let (portable, others) = found.split_first().expect("the portable level is always there");
        for (level, bits) in others {
            assert!(*bits != portable.1, "{level:?} computes what portable code does");
        }
    }
}

#[test]
fn what_is_left_of_a_copy_reaches_no_column() {
    // parts of 64 and of 6 columns, the second copied over the first; one column is not a number
    fn check<E: Element>(level: Level, [m, n, k]: [usize; 3]) {
        let a = vec![E::one(); m * k];
        for bad in [0, 63, 64, 69] {
            let mut b = vec![E::one(); n * k];
            b[bad * k..][..k].fill(E::from_f64(f64::NAN));
            let mut out = vec![E::zero(); m * n];
            let (a, b) = (View::new(&a, m, k, k), View::new(&b, n, k, k).t());
            gemm(ViewMut::new(&mut out, m, n, n), Beta::Zero, E::one(), a, b);
            for (ij, x) in out.iter().enumerate() {
                let right = if ij % n == bad { x.to_f64().is_nan() } else { x.to_f64() == k as f64 };
                assert!(right, "{level:?}: {x} at column {}, not a number in {bad}", ij % n);
            }
        }
    }
    at_each_level(|level| {
        check::<f32>(level, [3, 70, 200]);
        check::<f64>(level, [3, 70, 200]);
    });
}

#[test]
fn products_by_a_block_in_the_middle_of_a_matrix() {
    fn check<E: Element>(level: Level) {
        let (x, y) = (eighths(1, 9 * 5), eighths(2, 12 * 60));
        let (a, b) = (exact::<E>(&x), exact::<E>(&y));
        let (a, b) = (View::new(&a, 9, 5, 5), View::new(&b, 12, 60, 60).block(3..8, 7..40));
        let mut out = vec![E::from_f64(f64::NAN); 9 * 33];
        gemm(ViewMut::new(&mut out, 9, 33, 33), Beta::Zero, E::one(), a, b);
        for (ij, found) in out.iter().enumerate() {
            let (i, j) = (ij / 33, ij % 33);
            let expected: f64 = (0..5).map(|t| x[i * 5 + t] * y[(3 + t) * 60 + 7 + j]).sum();
            assert!(found.to_f64() == expected, "{level:?}: {i}, {j}");
        }
    }
    at_each_level(|level| {
        check::<f32>(level);
        check::<f64>(level);
    });
}

#[test]
fn products_of_columns_at_the_end_of_their_matrix() {
    // each operand, and the result, is one or some of the last columns of a matrix: strides are larger than the rows
    for (rows, k) in [(1, 1), (1, 6), (8, 3), (17, 16)] {
        for cols in [1, 2, 5] {
            let (x, y) = (random(1, rows * (k + 4)), random(2, k * (cols + 3)));
            let (a, b) = (exact(&x), exact(&y));
            let a = View::new(&a, rows, k + 4, k + 4).cols(4..k + 4);
            let b = View::new(&b, k, cols + 3, cols + 3).cols(3..cols + 3);
            let mut out = exact(&vec![5.0; rows * (cols + 2)]);
            gemm(ViewMut::new(&mut out, rows, cols + 2, cols + 2).cols(2..cols + 2), Beta::Add, 2.0, a, b);
            let mut expected = vec![5.0; rows * (cols + 2)];
            for i in 0..rows {
                for j in 0..cols {
                    let sum: f64 = (0..k).map(|t| x[i * (k + 4) + 4 + t] * y[t * (cols + 3) + 3 + j]).sum();
                    expected[i * (cols + 2) + 2 + j] += 2.0 * sum;
                }
            }
            assert_near(&out, &expected, 1e-5, &format!("[{rows}, {cols}], {k}"));
        }
    }
}

#[test]
fn a_matrix_times_its_own_transpose() {
    // both operands borrow one slice
    for (n, k) in [(1, 1), (7, 16), (16, 7), (17, 33)] {
        let x = random(1, n * k);
        let data = exact(&x);
        let view = View::new(&data, n, k, k);
        let mut out = exact(&vec![f64::NAN; n * n]);
        gemm(ViewMut::new(&mut out, n, n, n), Beta::Zero, 1.0, view, view.t());
        assert_near(&out, &product([n, n, k], &x, false, &x, true), 1e-5, &format!("{n}, {k}"));
    }
}

/// A kernel on a row that it changes and two that it reads.
type OnRows<E> = (&'static str, fn(&mut [E], &[E], &[E]));

/// Every kernel that loads or stores part of a vector; what is not a row is written into the first element.
fn kernels<E: Element>() -> Vec<OnRows<E>> {
    fn half<E: Element>() -> E {
        E::from_f64(0.5)
    }
    fn put<E: Element>(row: &mut [E], value: f64) {
        row[0] = E::from_f64(value);
    }
    vec![
        ("softmax_row", |d, _, _| softmax_row(d, d.len(), half())),
        ("softmax_off_by_one_row", |d, _, _| softmax_off_by_one_row(d, d.len(), half())),
        ("softmax_row_back", |d, a, _| softmax_row_back(d, a, d.len(), half())),
        ("relu_row", |d, _, _| relu_row(d, d.len(), half(), true)),
        ("relu_row_back", |d, a, _| relu_row_back(d, a, d.len(), half(), true)),
        ("sigmoid_row", |d, _, _| sigmoid_row(d, d.len(), half())),
        ("sigmoid_row_back", |d, a, _| sigmoid_row_back(d, a, d.len(), half())),
        ("relu", |d, a, _| relu(d, a)),
        ("relu_in_place", |d, _, _| relu_in_place(d)),
        ("relu_back", |d, a, b| relu_back(d, true, a, b)),
        ("relu_back_in_place", |d, a, _| relu_back_in_place(d, a)),
        ("norm_row", |d, a, _| {
            norm_row(d, a, half());
        }),
        ("norm_row_back", |d, a, b| norm_row_back(d, true, a, b, half())),
        ("add_into", |d, a, _| add_into(d, a)),
        ("add3", |d, a, b| add3(d, a, b)),
        ("mul", |d, a, b| mul(d, a, b)),
        ("mul_add", |d, a, b| mul_add(d, a, b)),
        ("axpy", |d, a, _| axpy(d, half(), a)),
        ("scale", |d, _, _| scale(d, half())),
        ("dot", |d, a, b| put(d, dot(a, b).to_f64())),
        ("cross_entropy_row", |d, a, _| put(d, cross_entropy_row(a, a.len() - 1))),
        ("cross_entropy_row_grad", |d, _, _| {
            cross_entropy_row_grad(d, d.len() - 1, half());
        }),
        ("cross_entropy_distribution_row_grad", |d, a, _| {
            cross_entropy_distribution_row_grad(d, a, half());
        }),
        ("silu_gate_row", |d, a, b| silu_gate_row(d, a, b)),
        ("argmax", |d, a, _| put(d, argmax(a) as f64)),
        ("argmax_of_numbers", |d, a, _| put(d, argmax_of_numbers(a).map_or(-1.0, |at| at as f64))),
    ]
}

#[test]
fn rows_that_end_with_their_allocation() {
    at_each_level(|level| {
        for len in 0..=50 {
            let rows = [random(1, len), random(2, len), random(3, len)];
            for ((name, single), (_, double)) in kernels::<f32>().into_iter().zip(kernels::<f64>()) {
                let needs_one =
                    ["dot", "norm_row", "norm_row_back", "argmax", "argmax_of_numbers"].contains(&name);
                if len == 0 && (needs_one || name.starts_with("cross_entropy")) {
                    continue; // of nothing there is no such value
                }
                let [mut found, a, b] = [&rows[0], &rows[1], &rows[2]].map(|row| exact(row));
                let wide = |row: &[f32]| -> Vec<f64> { row.iter().map(|&x| f64::from(x)).collect() };
                let (mut expected, wide_a, wide_b) = (wide(&found), wide(&a), wide(&b));
                single(&mut found, &a, &b);
                double(&mut expected, &wide_a, &wide_b);
                assert_near(&found, &expected, 1e-5, &format!("{name}, {level:?}, {len}"));
            }
        }
    });
}

#[test]
fn transposes_and_lookups_that_end_with_their_allocation() {
    at_each_level(|level| {
        for rows in [1, 15, 16, 17] {
            for cols in [1, 2, 15, 16, 17, 31, 33] {
                let x = random(1, rows * cols);
                let data = exact(&x);
                let what = format!("{level:?}: [{rows}, {cols}]");
                let mut out = exact(&vec![f64::NAN; rows * cols]);
                transpose(ViewMut::new(&mut out, cols, rows, rows), View::new(&data, rows, cols, cols));
                let expected: Vec<f64> = (0..rows * cols).map(|ij| x[ij % rows * cols + ij / rows]).collect();
                assert_near(&out, &expected, 1e-6, &what);
                // the last row is read and written last
                let tokens: Box<[u32]> = (0..rows as u32).rev().chain([rows as u32 - 1]).collect();
                let mut out = exact(&vec![0.0; tokens.len() * cols]);
                let table = View::new(&data, rows, cols, cols);
                gather_rows(
                    ViewMut::new(&mut out, tokens.len(), cols, cols),
                    Beta::Zero,
                    &[(table, Index::Tokens(&tokens))],
                );
                let expected: Vec<f64> =
                    tokens.iter().flat_map(|&t| x[t as usize * cols..][..cols].to_vec()).collect();
                assert_near(&out, &expected, 1e-6, &what);
                let mut sums = exact(&vec![0.0; rows * cols]);
                scatter_rows_add(
                    ViewMut::new(&mut sums, rows, cols, cols),
                    Index::Tokens(&tokens),
                    View::new(&out, tokens.len(), cols, cols),
                );
                let twice = |i: usize| if i / cols == rows - 1 { 2.0 * x[i] } else { x[i] };
                assert_near(&sums, &(0..rows * cols).map(twice).collect::<Vec<_>>(), 1e-6, &what);
            }
        }
    });
}
