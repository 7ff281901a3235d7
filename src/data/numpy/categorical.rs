//! `choice(n, p=p)`: tables that answer NumPy's binary search with, mostly, a single look.
//!
//! NumPy computes `cdf = p.cumsum(); cdf /= cdf[-1]` and returns the number of entries of `cdf` that are `<= u`
//! (`searchsorted(side="right")`). With `u = m / 2^53`, m an integer, `cdf[i] <= u` is `ceil(cdf[i] 2^53) <= m`:
//! all comparisons are exact in integers. A guide splits the range of m in equal buckets; a bucket without a
//! threshold inside has one answer.

use super::NumpyRng;
use crate::{Error, Result};

/// The most categories that a distribution can have.
pub const MAX_CATEGORIES: usize = 1 << 15;

/// Buckets of a row's guide: 2 to this power.
const BUCKET_BITS: u32 = 8;
const BUCKETS: usize = 1 << BUCKET_BITS;
/// Bits of a draw that say where in its bucket it lies.
const INNER_BITS: u32 = 53 - BUCKET_BITS;
/// Marks a bucket with several answers; the other bits are then where the search begins in the row's thresholds.
const SEVERAL: u16 = 1 << 15;

/// Several distributions over the categories `0..n`, one for each row, such as the transitions of a Markov chain.
///
/// ```
/// use ihead::data::numpy::{CategoricalRows, NumpyRng};
/// # fn main() -> ihead::Result<()> {
/// let flip = CategoricalRows::new([[0.0, 1.0], [1.0, 0.0]])?;
/// assert_eq!(flip.rows(), 2);
/// assert_eq!(flip.sample(0, &mut NumpyRng::new(&[0])), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct CategoricalRows {
    /// `[rows, BUCKETS]`: the answer, or `SEVERAL | start`.
    guide: Vec<u16>,
    /// For each row, where its part of `steps` begins.
    starts: Vec<u32>,
    /// For each row in turn, its categories of positive probability: below which m (and not yet an earlier one) it
    /// is drawn.
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    threshold: u64,
    category: u16,
}

impl CategoricalRows {
    /// Makes the tables for rows of probabilities, `[rows, n]`.
    ///
    /// # Errors
    /// A row that is empty, longer than [`MAX_CATEGORIES`], or whose entries are not finite, non-negative and of
    /// sum 1 (within 1.5e-8, NumPy's tolerance).
    pub fn new<P: AsRef<[f64]>>(rows: impl IntoIterator<Item = P>) -> Result<Self> {
        let mut tables = Self::default();
        for row in rows {
            tables.push(row.as_ref())?;
        }
        Ok(tables)
    }

    /// Returns the number of distributions.
    pub fn rows(&self) -> usize {
        self.starts.len()
    }

    /// Draws a category from the distribution of a row, as NumPy's `rng.choice(n, p=p[row])` does, with one 64-bit word of the
    /// stream.
    ///
    /// # Panics
    /// `row` is not below [`rows`](Self::rows).
    #[inline]
    pub fn sample(&self, row: usize, rng: &mut NumpyRng) -> u32 {
        self.lookup(row, rng.top53())
    }

    /// The category in which `u = m / 2^53` falls.
    #[inline]
    pub(super) fn lookup(&self, row: usize, m: u64) -> u32 {
        let cell = self.guide[row << BUCKET_BITS | (m >> INNER_BITS) as usize];
        if cell & SEVERAL == 0 { cell.into() } else { self.search(row, cell & !SEVERAL, m) }
    }

    fn search(&self, row: usize, from: u16, m: u64) -> u32 {
        let mut at = self.starts[row] as usize + usize::from(from);
        // The last threshold of a row is 2^53, above every m.
        while self.steps[at].threshold <= m {
            at += 1;
        }
        self.steps[at].category.into()
    }

    fn push(&mut self, p: &[f64]) -> Result<()> {
        check_probabilities(p)?;
        let start = self.steps.len();
        self.starts.push(start as u32);
        let mut cdf = 0.0;
        let total = p.iter().fold(0.0, |sum, p| sum + p);
        for (category, &p) in p.iter().enumerate().filter(|(_, p)| **p > 0.0) {
            cdf += p;
            let threshold = (cdf / total * (1_u64 << 53) as f64).ceil() as u64;
            self.steps.push(Step { threshold, category: category as u16 });
        }
        let steps = &self.steps[start..];
        let below = |m: u64| steps.partition_point(|step| step.threshold <= m);
        self.guide.extend((0..BUCKETS as u64).map(|bucket| {
            let low = below(bucket << INNER_BITS);
            let high = below(((bucket + 1) << INNER_BITS) - 1);
            if low == high { steps[low].category } else { SEVERAL | low as u16 }
        }));
        Ok(())
    }
}

/// A distribution over the categories `0..n`, prepared for many draws.
///
/// ```
/// use ihead::data::numpy::{Categorical, NumpyRng};
/// # fn main() -> ihead::Result<()> {
/// let coin = Categorical::new(&[0.5, 0.5])?;
/// assert_eq!(coin.sample(&mut NumpyRng::new(&[42])), 1); // default_rng(42).choice(2, p=[0.5, 0.5])
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Categorical(CategoricalRows);

impl Categorical {
    /// Makes the table for the probabilities `p`, `[n]`.
    ///
    /// # Errors
    /// As for [`CategoricalRows::new`].
    pub fn new(p: &[f64]) -> Result<Self> {
        CategoricalRows::new([p]).map(Self)
    }

    /// Draws a category, as NumPy's `rng.choice(n, p=p)` does, with one 64-bit word of the stream.
    #[inline]
    pub fn sample(&self, rng: &mut NumpyRng) -> u32 {
        self.0.sample(0, rng)
    }
}

/// NumPy's conditions on `p`, and ours on its length.
fn check_probabilities(p: &[f64]) -> Result<()> {
    if p.is_empty() || p.len() > MAX_CATEGORIES {
        let found = format!("{} of them", p.len());
        return Err(Error::value("probabilities", found, format!("1 to {MAX_CATEGORIES}")));
    }
    if let Some(at) = p.iter().position(|p| !(p.is_finite() && *p >= 0.0)) {
        return Err(Error::value(format!("probability {at}"), p[at], "a finite number from 0"));
    }
    let sum: f64 = p.iter().sum();
    if (sum - 1.0).abs() > f64::EPSILON.sqrt() {
        return Err(Error::value("probabilities", format!("their sum is {sum}"), "1"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::NumpyRng;

    /// NumPy's own way, on floating-point numbers.
    fn searchsorted(p: &[f64], u: f64) -> u32 {
        let mut cdf: Vec<f64> = p.to_vec();
        for i in 1..cdf.len() {
            cdf[i] += cdf[i - 1];
        }
        let last = cdf[cdf.len() - 1];
        cdf.iter().filter(|c| **c / last <= u).count() as u32
    }

    fn agrees(p: &[f64], extra: &[u64]) {
        let table = CategoricalRows::new([[1.0].as_slice(), p]).expect("probabilities");
        let edges = table.steps.iter().map(|step| step.threshold);
        let buckets = (0..=BUCKETS as u64).map(|bucket| bucket << INNER_BITS);
        for edge in edges.chain(buckets).chain(extra.iter().copied()) {
            for m in edge.saturating_sub(2)..=(edge + 2).min((1 << 53) - 1) {
                let u = m as f64 / (1_u64 << 53) as f64;
                assert_eq!(table.lookup(1, m), searchsorted(p, u), "u = {u:e}, p = {p:?}");
            }
        }
    }

    #[test]
    fn tiny_zero_and_certain_probabilities_fall_where_numpy_puts_them() {
        agrees(&[1.0], &[]);
        agrees(&[0.0, 0.0, 1.0, 0.0], &[]);
        agrees(&[1e-300, 0.5, 1e-17, 0.5, 0.0], &[]);
        agrees(&[1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0], &[]);
        agrees(&[1.0 / 700.0; 700], &[]);
    }

    /// 1 to 90 weights, each zero, small or large.
    #[test]
    fn table_equals_binary_search() {
        for seed in 0..256 {
            let mut rng = NumpyRng::new(&[seed]);
            let count = 1 + rng.below(90);
            let weight = |rng: &mut NumpyRng| match rng.below(3) {
                0 => 0,
                1 => 1 + rng.below(4),
                _ => 1 + rng.below(99_999),
            };
            let weights: Vec<f64> = (0..count).map(|_| f64::from(weight(&mut rng))).collect();
            let draws: Vec<u64> = (0..20).map(|_| (rng.random() * (1_u64 << 53) as f64) as u64).collect();
            let total: f64 = weights.iter().sum();
            if total > 0.0 {
                agrees(&weights.iter().map(|w| w / total).collect::<Vec<f64>>(), &draws);
            }
        }
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        let message = |p: &[f64]| Categorical::new(p).expect_err("refused").to_string();
        assert_eq!(message(&[]), "probabilities: 0 of them; expected 1 to 32768");
        assert_eq!(message(&[0.5, 0.4]), "probabilities: their sum is 0.9; expected 1");
        assert_eq!(message(&[1.5, -0.5]), "probability 1: -0.5; expected a finite number from 0");
        assert_eq!(message(&[1.0, f64::NAN]), "probability 1: NaN; expected a finite number from 0");
    }
}
