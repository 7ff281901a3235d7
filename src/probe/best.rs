//! The best of some scores: NaN is no score, so that among NaN nothing is the best.
use crate::kernels::{Element, argmax_of_numbers};

/// Whether one of them is NaN.
pub(super) fn has_nan<E: Element>(scores: &[E]) -> bool {
    scores.iter().any(|score| score.to_f64().is_nan())
}

/// The place of the largest, the first one of equals; `None` if one of them is NaN, or there are none.
pub(super) fn best<E: Element>(scores: &[E]) -> Option<usize> {
    argmax_of_numbers(scores)
}

#[cfg(test)]
mod tests {
    use super::best;

    #[test]
    fn argmax_over_nan_is_no_answer() {
        assert_eq!(best(&[0.0, 2.0, 2.0]), Some(1));
        assert_eq!(best(&[0.0, f64::NAN, 2.0]), None);
        assert_eq!(best::<f32>(&[]), None);
        assert_eq!(best(&[f32::INFINITY, f32::NEG_INFINITY]), Some(0));
    }
}
