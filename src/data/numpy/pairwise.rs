//! NumPy's `sum`, whose rounding decides the last bit of normalised probabilities.

/// Adds the terms in the order of NumPy's `array.sum()` for contiguous `f64`: in eight lanes, and in halves beyond 128 terms.
///
/// ```
/// assert_eq!(ihead::data::numpy::pairwise_sum(&[0.1; 10]), 1.0);
/// assert_ne!([0.1; 10].iter().sum::<f64>(), 1.0);
/// ```
pub fn pairwise_sum(terms: &[f64]) -> f64 {
    const LANES: usize = 8;
    const BLOCK: usize = 128;
    match terms.len() {
        ..LANES => terms.iter().fold(0.0, |sum, term| sum + term),
        LANES..=BLOCK => {
            let chunks = terms.chunks_exact(LANES);
            let rest = chunks.remainder();
            let mut lanes = [0.0; LANES];
            for chunk in chunks {
                for (lane, term) in lanes.iter_mut().zip(chunk) {
                    *lane += term;
                }
            }
            let [a, b, c, d, e, f, g, h] = lanes;
            rest.iter().fold(((a + b) + (c + d)) + ((e + f) + (g + h)), |sum, term| sum + term)
        }
        n => {
            let half = n / 2 / LANES * LANES;
            pairwise_sum(&terms[..half]) + pairwise_sum(&terms[half..])
        }
    }
}
