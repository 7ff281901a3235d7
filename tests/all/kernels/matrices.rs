//! Products, transposition, lookups of rows.

use ihead::internals::kernels::*;

use super::{assert_near, at_each_level, narrow, random};

#[test]
fn products_of_all_orientations_and_blocks() {
    for (m, n, k) in
        [(1, 1, 1), (3, 5, 7), (16, 16, 16), (33, 17, 65), (64, 80, 1), (1, 256, 300), (70, 1, 9)]
    {
        for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
            for (beta, alpha) in [(Beta::Zero, 1.0), (Beta::Add, -0.5)] {
                let (a, b, c) = (random(1, m * k), random(2, k * n), random(3, m * n));
                let expected: Vec<f64> = (0..m * n)
                    .map(|ij| {
                        let (i, j) = (ij / n, ij % n);
                        let at = |t: usize| if ta { a[t * m + i] } else { a[i * k + t] };
                        let bt = |t: usize| if tb { b[j * k + t] } else { b[t * n + j] };
                        let product: f64 = (0..k).map(|t| at(t) * bt(t)).sum();
                        alpha * product + if beta == Beta::Add { c[ij] } else { 0.0 }
                    })
                    .collect();
                // The operands lie inside larger matrices.
                let a = embed(&a, if ta { (k, m) } else { (m, k) });
                let b = embed(&b, if tb { (n, k) } else { (k, n) });
                let mut out = embed(&c, (m, n));
                if beta == Beta::Zero {
                    out.data.fill(f32::NAN); // must not be read
                }
                let before = out.data.clone();
                gemm(
                    ViewMut::new(&mut out.data, m + 2, n + 3, n + 4).block(1..1 + m, 2..2 + n),
                    beta,
                    alpha as f32,
                    a.view(ta),
                    b.view(tb),
                );
                let what = format!("[{m}, {n}], {k}, {ta}, {tb}, {beta:?}");
                let mut outside = before;
                let mut found = vec![];
                for i in 0..m {
                    let row = (i + 1) * (n + 4) + 2..(i + 1) * (n + 4) + 2 + n;
                    found.extend_from_slice(&out.data[row.clone()]);
                    outside[row.clone()].copy_from_slice(&out.data[row]);
                }
                assert_near(&found, &expected, 1e-5, &what);
                let same = outside.iter().zip(&out.data).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{what}: an element outside the block changed");
            }
        }
    }
}

/// A matrix in the middle of a larger one with leading dimension `cols + 4`.
struct Embedded {
    data: Vec<f32>,
    rows: usize,
    cols: usize,
}

impl Embedded {
    fn view(&self, transposed: bool) -> View<'_, f32> {
        let all = View::new(&self.data, self.rows + 2, self.cols + 4, self.cols + 4);
        let inner = all.block(1..1 + self.rows, 2..2 + self.cols);
        if transposed { inner.t() } else { inner }
    }
}

fn embed(x: &[f64], (rows, cols): (usize, usize)) -> Embedded {
    let mut data = vec![77.0; (rows + 2) * (cols + 4)];
    for i in 0..rows {
        for j in 0..cols {
            data[(i + 1) * (cols + 4) + j + 2] = x[i * cols + j] as f32;
        }
    }
    Embedded { data, rows, cols }
}

#[test]
fn products_with_nothing_to_sum() {
    let mut out = [3.0_f32; 4];
    let (a, b) = (View::new(&[], 2, 0, 0), View::new(&[], 0, 2, 2));
    gemm(ViewMut::new(&mut out, 2, 2, 2), Beta::Add, 1.0, a, b);
    assert_eq!(out, [3.0; 4]);
    gemm(ViewMut::new(&mut out, 2, 2, 2), Beta::Zero, 1.0, a, b);
    assert_eq!(out, [0.0; 4]);
    gemm(
        ViewMut::new(&mut out, 0, 2, 2),
        Beta::Zero,
        1.0,
        View::new(&[], 0, 3, 3),
        View::new(&[1.0; 6], 3, 2, 2),
    );
}

#[test]
#[should_panic(expected = "product [2, 2] = [2, 2] [1, 2]")]
fn products_of_shapes_that_do_not_fit_are_refused() {
    let x = [1.0_f32; 4];
    let mut out = [0.0; 4];
    let a = View::new(&x, 2, 2, 2);
    gemm(ViewMut::new(&mut out, 2, 2, 2), Beta::Zero, 1.0, a, a.rows(0..1));
}

#[test]
fn transposes_of_every_shape() {
    at_each_level(|level| {
        for rows in [0, 1, 5, 16, 17, 33, 48] {
            for cols in [0, 1, 7, 16, 31, 65] {
                let x: Vec<f32> = (0..rows * (cols + 1)).map(|i| i as f32).collect();
                let mut out = vec![-1.0; cols * (rows + 2)];
                let view = View::new(&x, rows, cols, cols + 1);
                transpose(ViewMut::new(&mut out, cols, rows, rows + 2), view);
                for j in 0..cols {
                    let right = |i: usize| if i < rows { x[i * (cols + 1) + j] } else { -1.0 };
                    let row = &out[j * (rows + 2)..][..rows + 2];
                    assert!(
                        (0..rows + 2).all(|i| row[i] == right(i)),
                        "{level:?}: [{rows}, {cols}], row {j}"
                    );
                }
            }
        }
    });
}

#[test]
fn rows_are_gathered_and_their_gradients_scattered() {
    at_each_level(|level| {
        let (seq, dim, rows) = (9, 21, 12);
        let tables: Vec<Vec<f64>> = (0..4).map(|t| random(t, rows * dim)).collect();
        let narrow_tables: Vec<Vec<f32>> = tables.iter().map(|t| narrow(t, 0)).collect();
        let tokens: Vec<Vec<u32>> =
            (0..4).map(|t| (0..seq).map(|i| ((i * 5 + t) % 7) as u32).collect()).collect();
        for n in 0..=4 {
            let index = |t: usize| if t == 1 { Index::Positions } else { Index::Tokens(&tokens[t]) };
            let terms: Vec<_> =
                (0..n).map(|t| (View::new(&narrow_tables[t], rows, dim, dim), index(t))).collect();
            for (beta, before) in [(Beta::Zero, 0.0), (Beta::Add, 5.0)] {
                let mut out = vec![5.0; seq * dim];
                gather_rows(ViewMut::new(&mut out, seq, dim, dim), beta, &terms);
                let of = |id: usize, t: usize| tables[t][index(t).at(id / dim) * dim + id % dim];
                let expected: Vec<f64> =
                    (0..seq * dim).map(|id| before + (0..n).map(|t| of(id, t)).sum::<f64>()).collect();
                assert_near(&out, &expected, 1e-6, &format!("{level:?}, {n} terms, {beta:?}"));
            }
        }
        for index in [Index::Tokens(&tokens[0]), Index::Positions] {
            let dout = random(9, seq * dim);
            let mut expected = tables[0].clone();
            for (i, row) in dout.chunks(dim).enumerate() {
                row.iter().enumerate().for_each(|(d, x)| expected[index.at(i) * dim + d] += x);
            }
            let mut found = narrow_tables[0].clone();
            let dout = narrow(&dout, 0);
            scatter_rows_add(
                ViewMut::new(&mut found, rows, dim, dim),
                index,
                View::new(&dout, seq, dim, dim),
            );
            assert_near(&found, &expected, 1e-6, &format!("{level:?}, {index:?}"));
        }
    });
}

/// Rounding tells in which order the terms were added.
#[test]
fn rows_are_added_in_the_order_of_the_terms() {
    at_each_level(|level| {
        let tables: [f32; 3] = [1e8, -1e8, 3.0];
        let term = |i: usize| (View::new(&tables[i..=i], 1, 1, 1), Index::Positions);
        let added = |beta, terms: &[usize]| {
            let (terms, mut out) = (terms.iter().map(|i| term(*i)).collect::<Vec<_>>(), [1.0]);
            gather_rows(ViewMut::new(&mut out, 1, 1, 1), beta, &terms);
            out[0]
        };
        assert_eq!(added(Beta::Add, &[0, 1]), 0.0, "{level:?}: (1 + 1e8) - 1e8");
        assert_eq!(added(Beta::Add, &[0, 1, 2]), 3.0, "{level:?}");
        assert_eq!(added(Beta::Zero, &[0, 1, 2]), 3.0, "{level:?}");
        assert_eq!(added(Beta::Zero, &[0, 2, 1]), 0.0, "{level:?}: (1e8 + 3) - 1e8");
        assert_eq!(added(Beta::Add, &[]), 1.0, "{level:?}");
    });
}

#[test]
#[should_panic(expected = "row 12 of 12 rows")]
fn a_token_beyond_its_table_is_refused() {
    let table = [0.0_f32; 12];
    let mut out = [0.0; 1];
    gather_rows(
        ViewMut::new(&mut out, 1, 1, 1),
        Beta::Zero,
        &[(View::new(&table, 12, 1, 1), Index::Tokens(&[12]))],
    );
}
