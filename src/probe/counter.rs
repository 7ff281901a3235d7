//! Sums that merge.

/// A sum and the number of its terms. Counters of parts can be merged, and give the mean of the whole.
///
/// ```
/// use ihead::probe::Counter;
/// let mut all = Counter::default();
/// assert_eq!(all.mean(), None);
/// all.add(1.0);
/// all.merge(Counter { sum: 0.0, n: 3 });
/// assert_eq!(all.mean(), Some(0.25));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counter {
    /// The sum of the values; for a share, the number of hits.
    pub sum: f64,
    /// The number of values.
    pub n: u64,
}

impl Counter {
    /// Counts one value.
    pub fn add(&mut self, value: f64) {
        self.sum += value;
        self.n += 1;
    }

    /// Counts all that `other` has counted.
    pub fn merge(&mut self, other: Counter) {
        self.sum += other.sum;
        self.n += other.n;
    }

    /// Returns the mean `sum / n`; `None` if `n` is 0.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / self.n as f64)
    }
}
