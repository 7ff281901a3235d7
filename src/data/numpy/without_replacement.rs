//! `choice(n, size=k, replace=False, p=p)`.

use super::{Categorical, NumpyRng};
use crate::Result;

/// A distribution from which distinct categories are drawn, as NumPy's `rng.choice(n, size, replace=False, p=p)` draws them.
///
/// NumPy draws as many uniforms as are missing, looks them up, keeps the first occurrence of each category, and
/// repeats with the probabilities of those already found set to zero.
///
/// ```
/// use ihead::data::numpy::{NumpyRng, WithoutReplacement};
/// # fn main() -> ihead::Result<()> {
/// let thirds = WithoutReplacement::new(&[0.25, 0.5, 0.25])?;
/// let (mut found, mut scratch) = (vec![0; 3], Vec::new());
/// thirds.sample(&mut NumpyRng::new(&[42]), &mut found, &mut scratch);
/// assert_eq!(found, [2, 1, 0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct WithoutReplacement {
    p: Vec<f64>,
    /// The look-up of the first round, in which nothing has been found yet.
    first_round: Categorical,
}

impl WithoutReplacement {
    /// Makes the table for draws from the probabilities `p`, `[n]`.
    ///
    /// # Errors
    /// `p` is no distribution ([`Categorical::new`]).
    pub fn new(p: &[f64]) -> Result<Self> {
        Ok(Self { p: p.to_vec(), first_round: Categorical::new(p)? })
    }

    /// Returns how many categories have a positive probability. No more can be drawn.
    pub fn support(&self) -> usize {
        self.p.iter().filter(|p| **p > 0.0).count()
    }

    /// Fills `found` with distinct categories; `scratch` holds working space and is reused from call to call.
    ///
    /// # Panics
    /// `found` is longer than [`support`](Self::support).
    pub fn sample(&self, rng: &mut NumpyRng, found: &mut [u32], scratch: &mut Vec<f64>) {
        if found.is_empty() {
            return;
        }
        let n = self.p.len();
        scratch.clear();
        scratch.extend_from_slice(&self.p);
        scratch.resize(2 * n, 0.0);
        // `left`: the probability of each category, zero once it is found.
        let (left, cdf) = scratch.split_at_mut(n);

        let missing = found.len();
        let mut known = keep_new(found, 0, missing, left, || self.first_round.sample(rng));
        while known < found.len() {
            let mut sum = 0.0;
            for (cdf, left) in cdf.iter_mut().zip(&*left) {
                sum += left;
                *cdf = sum;
            }
            assert!(sum > 0.0, "{} categories asked for, {} have a positive probability", found.len(), known);
            let missing = found.len() - known;
            known = keep_new(found, known, missing, left, || {
                let u = rng.random();
                cdf.partition_point(|c| c / sum <= u) as u32
            });
        }
    }
}

/// Draws `draws` times, appends what is new to `found[..known]`; returns how many are known then.
fn keep_new(
    found: &mut [u32],
    mut known: usize,
    draws: usize,
    left: &mut [f64],
    mut draw: impl FnMut() -> u32,
) -> usize {
    for _ in 0..draws {
        let category = draw();
        let p = &mut left[category as usize];
        if *p > 0.0 {
            *p = 0.0;
            found[known] = category;
            known += 1;
        }
    }
    known
}
