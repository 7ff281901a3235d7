//! Formulas in double precision, against which the library's own are held.

/// `exp(x_i) / (sink + sum_j exp(x_j))`.
pub fn softmax_beside(sink: f64, x: &[f64]) -> Vec<f64> {
    let max = x.iter().fold(f64::NEG_INFINITY, |m, &x| m.max(x));
    let exps: Vec<f64> = x.iter().map(|x| (x - max).exp()).collect();
    let sum = sink * (-max).exp() + exps.iter().sum::<f64>();
    exps.iter().map(|e| e / sum).collect()
}

/// `exp(x_i) / sum_j exp(x_j)`.
pub fn softmax(x: &[f64]) -> Vec<f64> {
    softmax_beside(0.0, x)
}

/// Each element times `scale`.
pub fn scaled(scale: f64, x: &[f64]) -> Vec<f64> {
    x.iter().map(|x| scale * x).collect()
}
