//! The formulas of the blocks as plain loops over rows.
use crate::common::maths::softmax;

pub type Rows = Vec<Vec<f64>>;

/// `W x` for each row, with `W` `[out, in]`.
pub fn linear(weight: &Rows, x: &Rows) -> Rows {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum();
    x.iter().map(|x| weight.iter().map(|w| dot(w, x)).collect()).collect()
}

pub fn add(a: &Rows, b: &Rows) -> Rows {
    a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect()).collect()
}

pub fn scale(x: &Rows, by: f64) -> Rows {
    x.iter().map(|x| x.iter().map(|v| v * by).collect()).collect()
}

pub fn relu(x: &Rows) -> Rows {
    x.iter().map(|x| x.iter().map(|v| v.max(0.0)).collect()).collect()
}

/// `gain (x - mean) / sqrt(var + 1e-5) + bias`.
pub fn layer_norm(x: &Rows, gain: &[f64], bias: &[f64]) -> Rows {
    let row = |x: &Vec<f64>| {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let var = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / x.len() as f64;
        let affine = gain.iter().zip(bias);
        x.iter().zip(affine).map(|(v, (g, b))| g * (v - mean) / (var + 1e-5).sqrt() + b).collect()
    };
    x.iter().map(row).collect()
}

/// What each position reads: head `h` has columns `h * width ..`, scores are divided by `sqrt(width)`, softmax over the
/// positions so far.
pub fn attend(q: &Rows, k: &Rows, v: &Rows, heads: usize) -> Rows {
    let width = q[0].len() / heads;
    let row = |t: usize| {
        let head = |h: usize| {
            let cols = h * width..(h + 1) * width;
            let score =
                |j: usize| cols.clone().map(|c| q[t][c] * k[j][c]).sum::<f64>() / (width as f64).sqrt();
            let pattern = softmax(&(0..=t).map(score).collect::<Vec<f64>>());
            cols.map(move |c| (0..=t).map(|j| pattern[j] * v[j][c]).sum()).collect::<Vec<f64>>()
        };
        (0..heads).flat_map(head).collect()
    };
    (0..q.len()).map(row).collect()
}
