//! The most probable next tokens.

/// The `n` tokens with the largest logits, with their probabilities, the most probable first; ties in order of token.
///
/// ```
/// let top = ihead::model::top_tokens(&[0.0, 2.0, 1.0], 2);
/// assert_eq!((top[0].0, top[1].0), (1, 2));
/// ```
pub fn top_tokens(logits: &[f32], n: usize) -> Vec<(u32, f64)> {
    let largest = logits.iter().fold(f32::NEG_INFINITY, |m, x| m.max(*x));
    let exps: Vec<f64> = logits.iter().map(|x| f64::from(x - largest).exp()).collect();
    let total: f64 = exps.iter().sum();
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|a, b| exps[*b].total_cmp(&exps[*a]));
    order.into_iter().take(n).map(|i| (i as u32, exps[i] / total)).collect()
}
