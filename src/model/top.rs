//! The most probable next tokens.

/// Returns the `n` most probable tokens and their probabilities (the softmax of all logits), the most probable first.
///
/// `logits` are those of one position, `[vocab]`. Tokens of equal probability are in their order. There are fewer than `n`
/// results if the vocabulary is smaller.
///
/// ```
/// let top = ihead::model::top_tokens(&[0.0, 2.0, 1.0], 2);
/// assert_eq!((top[0].0, top[1].0), (1, 2));
/// assert!((top[0].1 - 0.665).abs() < 1e-3);
/// ```
pub fn top_tokens(logits: &[f32], n: usize) -> Vec<(u32, f64)> {
    let largest = logits.iter().fold(f32::NEG_INFINITY, |m, x| m.max(*x));
    let exps: Vec<f64> = logits.iter().map(|x| f64::from(x - largest).exp()).collect();
    let total: f64 = exps.iter().sum();
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|a, b| exps[*b].total_cmp(&exps[*a]));
    order.into_iter().take(n).map(|i| (i as u32, exps[i] / total)).collect()
}
