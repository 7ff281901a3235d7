//! Mean, standard error and interval of a few numbers.
use crate::run::Cell;

/// A mean with its standard error and confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// How many numbers there are.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// The standard error of the mean: the numbers' standard deviation, with `count - 1`, over the root of `count`. NaN for one
    /// number.
    pub error: f64,
    /// The interval that holds the true mean with the probability asked for, if the numbers are normal: by Student's t. NaN for
    /// one number, and for a probability that is not between 0 and 1.
    pub interval: [f64; 2],
}

/// The mean and its standard error, `0.9500 +- 0.0289`; of one number, the number.
impl Cell for Estimate {
    fn text(&self) -> String {
        if self.error.is_nan() { self.mean.text() } else { format!("{:.4} +- {:.4}", self.mean, self.error) }
    }
}

/// Returns the mean of `numbers`, its standard error and its interval; `None` if there are no numbers. The interval is NaN if
/// `confidence` is not between 0 and 1.
///
/// ```
/// use ihead::sweep::estimate;
/// let found = estimate(&[1.0, 2.0, 3.0, 4.0], 0.95).unwrap();
/// assert_eq!((found.count, found.mean), (4, 2.5));
/// assert!((found.error - 0.6455).abs() < 1e-4); // sqrt(5 / 3) / 2
/// assert!((found.interval[1] - 4.5542).abs() < 1e-4); // 2.5 + 3.1824 * 0.6455
/// assert_eq!(ihead::run::Cell::text(&found), "2.5000 +- 0.6455"); // in a table
/// assert_eq!(estimate(&[], 0.95), None);
/// ```
pub fn estimate(numbers: &[f64], confidence: f64) -> Option<Estimate> {
    let count = numbers.len();
    if count == 0 {
        return None;
    }
    let mean = numbers.iter().sum::<f64>() / count as f64;
    if count == 1 {
        return Some(Estimate { count, mean, error: f64::NAN, interval: [f64::NAN; 2] });
    }
    let squares: f64 = numbers.iter().map(|x| (x - mean).powi(2)).sum();
    let error = (squares / (count - 1) as f64 / count as f64).sqrt();
    let quantile = if is_level(confidence) { t_quantile(confidence, count - 1) } else { f64::NAN };
    let reach = quantile * error;
    Some(Estimate { count, mean, error, interval: [mean - reach, mean + reach] })
}

/// Whether a confidence level has an interval.
pub(super) fn is_level(confidence: f64) -> bool {
    confidence > 0.0 && confidence < 1.0
}

/// The `t` with `P(|T| < t) = probability` for Student's t of so many degrees of freedom.
fn t_quantile(probability: f64, freedom: usize) -> f64 {
    // the probability is a finite sum of the angle atan(t / sqrt(freedom)), which rises with it
    let (mut low, mut high) = (0.0, std::f64::consts::FRAC_PI_2);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if within(middle, freedom) < probability { low = middle } else { high = middle }
    }
    (0.5 * (low + high)).tan() * (freedom as f64).sqrt()
}

/// `P(|T| < t)` at `t = sqrt(freedom) tan(angle)`: Abramowitz and Stegun, 26.7.3 and 26.7.4.
fn within(angle: f64, freedom: usize) -> f64 {
    let (sin, cos) = angle.sin_cos();
    let odd = freedom % 2;
    // each term is the one before times cos^2 k / (k + 1), or the reverse
    let (mut term, mut sum) = (if odd == 1 { cos } else { 1.0 }, 0.0);
    let mut k = odd;
    while k + 2 <= freedom {
        sum += term;
        term *= cos * cos * (k + 1) as f64 / (k + 2) as f64;
        k += 2;
    }
    if odd == 1 { std::f64::consts::FRAC_2_PI * (angle + sin * sum) } else { sin * sum }
}

#[cfg(test)]
mod tests {
    use super::{estimate, t_quantile};

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, at_95, at_99) in [
            (1, 12.7062, 63.6567),
            (2, 4.3027, 9.9248),
            (3, 3.1824, 5.8409),
            (4, 2.7764, 4.6041),
            (7, 2.3646, 3.4995),
            (10, 2.2281, 3.1693),
            (30, 2.0423, 2.7500),
            (1000, 1.9623, 2.5808),
        ] {
            assert!((t_quantile(0.95, freedom) - at_95).abs() < 1e-4, "{freedom}");
            assert!((t_quantile(0.99, freedom) - at_99).abs() < 1e-4, "{freedom}");
        }
    }

    #[test]
    fn a_level_outside_of_0_to_1_gives_no_interval() {
        for level in [f64::NAN, -1.0, 0.0, 1.0, 2.0] {
            let found = estimate(&[1.0, 2.0, 3.0], level).unwrap();
            assert!(found.mean == 2.0 && found.error > 0.5, "{level}");
            assert!(found.interval.iter().all(|end| end.is_nan()), "{level}: {:?}", found.interval);
        }
    }
}
