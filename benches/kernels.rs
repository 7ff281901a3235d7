//! Time of the kernels at the sizes of the paper's models, each beside the loop that one would write first.
//!
//! `cargo bench --bench kernels`; divan's `items/s` are elements (for products: multiply-adds) a second.
//! `IHEAD_SIMD=avx2` or `portable` measures another instruction set.

use std::hint::black_box;

use divan::{Bencher, counter::ItemsCount};
use ihead::internals::kernels::*;

const SEQ: usize = 256;
const DIM: usize = 256;
const VOCAB: usize = 65;

fn main() {
    println!("instruction set: {:?}", Level::current());
    divan::main();
}

/// Numbers in -2..2.
fn numbers(n: usize) -> Buffer<f32> {
    (0..n).map(|i| (i * 7919 % 4093) as f32 / 1023.25 - 2.0).collect()
}

fn tokens(n: usize) -> Vec<u32> {
    (0..n).map(|i| (i * i * 31 % 4099 % VOCAB) as u32).collect()
}

/// Runs `kernel` on the causal rows of a `[SEQ, SEQ]` matrix: row r has r + 1 elements that are seen.
fn causal(bencher: Bencher<'_, '_>, kernel: impl Fn(&mut [f32], &[f32], usize)) {
    let ld = padded(SEQ);
    let (source, p) = (numbers(SEQ * ld), numbers(SEQ * ld));
    let mut rows = source.clone();
    bencher.counter(ItemsCount::new(SEQ * (SEQ + 1) / 2)).bench_local(|| {
        for r in 0..SEQ {
            let row = &mut rows[r * ld..][..(r + 1).next_multiple_of(16)];
            kernel(black_box(row), &p[r * ld..], r + 1);
        }
    });
}

#[divan::bench]
fn softmax(bencher: Bencher<'_, '_>) {
    causal(bencher, |row, _, len| softmax_row(row, len, 0.5));
}

#[divan::bench]
fn softmax_naive(bencher: Bencher<'_, '_>) {
    causal(bencher, |row, _, len| {
        let max = row[..len].iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for x in &mut row[..len] {
            *x = ((*x - max) * 0.5).exp();
            sum += *x;
        }
        row[..len].iter_mut().for_each(|x| *x /= sum);
        row[len..].fill(0.0);
    });
}

#[divan::bench]
fn softmax_back(bencher: Bencher<'_, '_>) {
    causal(bencher, |row, p, len| softmax_row_back(row, p, len, 0.5));
}

#[divan::bench]
fn softmax_back_naive(bencher: Bencher<'_, '_>) {
    causal(bencher, |row, p, len| {
        let mean: f32 = row[..len].iter().zip(p).map(|(g, p)| g * p).sum();
        row[..len].iter_mut().zip(p).for_each(|(g, p)| *g = 0.5 * p * (*g - mean));
        row[len..].fill(0.0);
    });
}

/// Runs `kernel` on SEQ rows of `dim` elements: `(out, x)`.
fn by_row(bencher: Bencher<'_, '_>, dim: usize, mut kernel: impl FnMut(&mut [f32], &[f32])) {
    let x = numbers(SEQ * dim);
    let mut out = numbers(SEQ * dim);
    bencher.counter(ItemsCount::new(SEQ * dim)).bench_local(|| {
        for (out, x) in out.chunks_exact_mut(dim).zip(x.chunks_exact(dim)) {
            kernel(black_box(out), x);
        }
    });
}

#[divan::bench]
fn layer_norm(bencher: Bencher<'_, '_>) {
    by_row(bencher, 128, |out, x| {
        black_box(norm_row(out, x, 1e-5));
    });
}

#[divan::bench]
fn layer_norm_naive(bencher: Bencher<'_, '_>) {
    by_row(bencher, 128, |out, x| {
        let n = x.len() as f32;
        let mean = x.iter().sum::<f32>() / n;
        let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / n;
        let inv_std = 1.0 / (variance + 1e-5).sqrt();
        out.iter_mut().zip(x).for_each(|(out, x)| *out = (x - mean) * inv_std);
    });
}

#[divan::bench]
fn layer_norm_back(bencher: Bencher<'_, '_>) {
    let xhat = numbers(128);
    by_row(bencher, 128, |dx, g| norm_row_back(dx, true, g, &xhat, 0.5));
}

#[divan::bench]
fn cross_entropy_and_gradient(bencher: Bencher<'_, '_>) {
    let mut x = numbers(VOCAB);
    by_row(bencher, VOCAB, |_, logits| {
        x.copy_from_slice(logits);
        black_box(cross_entropy_row_grad(&mut x, 3, 0.01));
    });
}

#[divan::bench]
fn relu_of_a_row(bencher: Bencher<'_, '_>) {
    by_row(bencher, 512, relu);
}

#[divan::bench]
fn add_into_a_row(bencher: Bencher<'_, '_>) {
    by_row(bencher, DIM, add_into);
}

#[divan::bench]
fn add_into_a_row_naive(bencher: Bencher<'_, '_>) {
    by_row(bencher, DIM, |out, x| out.iter_mut().zip(x).for_each(|(out, x)| *out += x));
}

#[divan::bench]
fn rotation(bencher: Bencher<'_, '_>) {
    let (cos, sin) = (numbers(DIM / 2), numbers(DIM / 2));
    by_row(bencher, DIM, |out, _| rotate_pairs(out, &cos, &sin));
}

#[divan::bench]
fn transpose_256(bencher: Bencher<'_, '_>) {
    let ld = padded(SEQ);
    let x = numbers(SEQ * ld);
    let mut out = numbers(SEQ * ld);
    bencher.counter(ItemsCount::new(SEQ * SEQ)).bench_local(|| {
        transpose(ViewMut::new(black_box(&mut out), SEQ, SEQ, ld), View::new(&x, SEQ, SEQ, ld));
    });
}

#[divan::bench]
fn transpose_256_naive(bencher: Bencher<'_, '_>) {
    let ld = padded(SEQ);
    let x = numbers(SEQ * ld);
    let mut out = numbers(SEQ * ld);
    bencher.counter(ItemsCount::new(SEQ * SEQ)).bench_local(|| {
        let out = black_box(&mut out);
        for i in 0..SEQ {
            for j in 0..SEQ {
                out[j * ld + i] = x[i * ld + j];
            }
        }
    });
}

/// The four tables of a model whose first layer sees tokens and positions.
struct Tables {
    data: [Buffer<f32>; 4],
    tokens: Vec<u32>,
    last: Vec<u32>,
}

const SHAPES: [(usize, usize); 4] = [(VOCAB, VOCAB), (VOCAB, SEQ), (SEQ, VOCAB), (SEQ, SEQ)];

impl Tables {
    fn new() -> Self {
        let data = SHAPES.map(|(rows, cols)| numbers(rows * padded(cols)));
        Self { data, tokens: tokens(SEQ), last: (0..SEQ as u32).collect() }
    }
}

#[divan::bench]
fn table_scores(bencher: Bencher<'_, '_>) {
    let tables = Tables::new();
    let index = [Index::Tokens(&tables.tokens), Index::Positions];
    let pattern = TablePattern { queries: &index, keys: &index, last: &tables.last };
    let views: Vec<_> =
        tables.data.iter().zip(SHAPES).map(|(t, (r, c))| View::new(t, r, c, padded(c))).collect();
    let mut out = numbers(SEQ * padded(SEQ));
    let mut scratch = Buffer::new();
    bencher.counter(ItemsCount::new(SEQ * (SEQ + 1) / 2)).bench_local(|| {
        let out = ViewMut::new(black_box(&mut out), SEQ, SEQ, padded(SEQ));
        table_scores_block(&pattern, 0..SEQ, &views, out, &mut scratch);
    });
}

#[divan::bench]
fn table_scores_naive(bencher: Bencher<'_, '_>) {
    let Tables { data: [tt, tp, pt, pp], tokens, .. } = Tables::new();
    let (small, large) = (padded(VOCAB), padded(SEQ));
    let mut out = numbers(SEQ * large);
    bencher.counter(ItemsCount::new(SEQ * (SEQ + 1) / 2)).bench_local(|| {
        let out = black_box(&mut out);
        for r in 0..SEQ {
            let q = tokens[r] as usize;
            for j in 0..=r {
                let k = tokens[j] as usize;
                out[r * large + j] =
                    tt[q * small + k] + tp[q * large + j] + pt[r * small + k] + pp[r * large + j];
            }
        }
    });
}

#[divan::bench]
fn table_scatter(bencher: Bencher<'_, '_>) {
    let mut tables = Tables::new();
    let index = [Index::Tokens(&tables.tokens), Index::Positions];
    let pattern = TablePattern { queries: &index, keys: &index, last: &tables.last };
    let ds = numbers(SEQ * padded(SEQ));
    let mut scratch = Buffer::new();
    let mut grads: Vec<_> =
        tables.data.iter_mut().zip(SHAPES).map(|(t, (r, c))| ViewMut::new(t, r, c, padded(c))).collect();
    bencher.counter(ItemsCount::new(SEQ * (SEQ + 1) / 2)).bench_local(|| {
        let ds = View::new(&ds, SEQ, SEQ, padded(SEQ));
        for start in (0..SEQ).step_by(16) {
            let rows = start..start + 16;
            table_scatter_block(&pattern, rows.clone(), &mut grads, ds.rows(rows), &mut scratch);
        }
    });
}

#[divan::bench]
fn table_scatter_naive(bencher: Bencher<'_, '_>) {
    let Tables { data: [mut tt, mut tp, mut pt, mut pp], tokens, .. } = Tables::new();
    let (small, large) = (padded(VOCAB), padded(SEQ));
    let ds = numbers(SEQ * large);
    bencher.counter(ItemsCount::new(SEQ * (SEQ + 1) / 2)).bench_local(|| {
        for r in 0..SEQ {
            let q = tokens[r] as usize;
            for j in 0..=r {
                let (k, d) = (tokens[j] as usize, ds[r * large + j]);
                tt[q * small + k] += d;
                tp[q * large + j] += d;
                pt[r * small + k] += d;
                pp[r * large + j] += d;
            }
        }
        black_box((&mut tt, &mut tp, &mut pt, &mut pp));
    });
}

#[divan::bench]
fn gather_two_terms(bencher: Bencher<'_, '_>) {
    let (tokens, ld) = (tokens(SEQ), padded(DIM));
    let (embedding, positions) = (numbers(VOCAB * ld), numbers(SEQ * ld));
    let mut out = numbers(SEQ * ld);
    bencher.counter(ItemsCount::new(SEQ * DIM)).bench_local(|| {
        let terms = [
            (View::new(&embedding, VOCAB, DIM, ld), Index::Tokens(&tokens)),
            (View::new(&positions, SEQ, DIM, ld), Index::Positions),
        ];
        gather_rows(ViewMut::new(black_box(&mut out), SEQ, DIM, ld), Beta::Zero, &terms);
    });
}

#[divan::bench]
fn scatter_rows(bencher: Bencher<'_, '_>) {
    let (tokens, ld) = (tokens(SEQ), padded(DIM));
    let (mut table, dout) = (numbers(VOCAB * ld), numbers(SEQ * ld));
    bencher.counter(ItemsCount::new(SEQ * DIM)).bench_local(|| {
        let table = ViewMut::new(black_box(&mut table), VOCAB, DIM, ld);
        scatter_rows_add(table, Index::Tokens(&tokens), View::new(&dout, SEQ, DIM, ld));
    });
}

/// Products `[m, k] [k, n]`: items are multiply-adds, two operations each.
#[divan::bench(args = [(256, 256, 256), (16, 256, 256), (256, 80, 256), (256, 384, 128)])]
fn product(bencher: Bencher<'_, '_>, (m, n, k): (usize, usize, usize)) {
    let (a, b) = (numbers(m * padded(k)), numbers(k * padded(n)));
    let mut out = numbers(m * padded(n));
    bencher.counter(ItemsCount::new(m * n * k)).bench_local(|| {
        let out = ViewMut::new(black_box(&mut out), m, n, padded(n));
        gemm(out, Beta::Zero, 1.0, View::new(&a, m, k, padded(k)), View::new(&b, k, n, padded(n)));
    });
}
