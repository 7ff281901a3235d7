//! What a memory should hold: which target belongs to which input.
use crate::kernels::argmax;
use crate::{Error, Result};

use super::{Counter, Matrix};

/// Pairs (input, target): an input is a row of a table, a target one of the candidates (columns of the scores).
///
/// ```
/// use ihead::probe::Association;
/// assert_eq!(Association::identity(3).pairs(), [(0, 0), (1, 1), (2, 2)]);
/// assert_eq!(Association::among(&[7, 4]).candidates(), [7, 4]);
/// assert_eq!(Association::previous(4).pairs(), [(1, 0), (2, 1), (3, 2)]);
/// assert_eq!(Association::previous(5).chance(), Some(0.25));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    pairs: Vec<(usize, usize)>,
    candidates: Vec<usize>,
}

impl Association {
    /// Each of `n` things with itself; any of them is a candidate.
    pub fn identity(n: usize) -> Self {
        Association { pairs: (0..n).map(|i| (i, i)).collect(), candidates: (0..n).collect() }
    }

    /// Each of these things with itself, such as the fixed triggers; only these are candidates.
    pub fn among(things: &[u32]) -> Self {
        let candidates: Vec<usize> = things.iter().map(|thing| *thing as usize).collect();
        Association { pairs: candidates.iter().map(|i| (*i, *i)).collect(), candidates }
    }

    /// Each of `n` positions but the first with the one before; any but the last is a candidate.
    pub fn previous(n: usize) -> Self {
        let last = n.saturating_sub(1);
        Association { pairs: (0..last).map(|t| (t + 1, t)).collect(), candidates: (0..last).collect() }
    }

    /// Any pairs (input, target), with these candidates.
    ///
    /// # Errors
    /// A target that is no candidate.
    pub fn of(
        pairs: impl IntoIterator<Item = (usize, usize)>,
        candidates: impl IntoIterator<Item = usize>,
    ) -> Result<Self> {
        let (pairs, candidates): (Vec<_>, Vec<_>) =
            (pairs.into_iter().collect(), candidates.into_iter().collect());
        match pairs.iter().find(|(_, target)| !candidates.contains(target)) {
            Some((input, target)) => {
                Err(Error::usage(format!("the target {target} of input {input} is no candidate")))
            }
            None => Ok(Association { pairs, candidates }),
        }
    }

    /// The pairs (input, target).
    pub fn pairs(&self) -> &[(usize, usize)] {
        &self.pairs
    }

    /// The targets to choose from.
    pub fn candidates(&self) -> &[usize] {
        &self.candidates
    }

    /// The share of hits of a random choice, `1 / candidates`; `None` without candidates.
    pub fn chance(&self) -> Option<f64> {
        (!self.candidates.is_empty()).then(|| 1.0 / self.candidates.len() as f64)
    }

    /// How many inputs score highest, among the candidates (the first of equals), with their target.
    ///
    /// `scores`: `[inputs, targets]`, a row for each row of the table.
    ///
    /// # Errors
    /// If there is no row of an input or no column of a candidate.
    pub fn recall(&self, scores: &Matrix) -> Result<Counter> {
        let inputs: Vec<usize> = self.pairs.iter().map(|(input, _)| *input).collect();
        self.recall_pairs(0..self.pairs.len(), &scores.pick(&inputs)?)
    }

    /// [`recall`](Self::recall) of some of the pairs; `scores` have a row for each of these.
    pub(super) fn recall_pairs(&self, pairs: std::ops::Range<usize>, scores: &Matrix) -> Result<Counter> {
        if let Some(candidate) = self.candidates.iter().find(|candidate| **candidate >= scores.cols()) {
            let known = scores.cols();
            return Err(Error::usage(format!("candidate {candidate} of a read-out with {known} columns")));
        }
        let mut counter = Counter::default();
        let mut among = vec![0.0; self.candidates.len()];
        for (row, (_, target)) in self.pairs[pairs].iter().enumerate() {
            let scores = scores.row(row);
            among.iter_mut().zip(&self.candidates).for_each(|(to, candidate)| *to = scores[*candidate]);
            counter.add(if self.candidates[argmax(&among)] == *target { 1.0 } else { 0.0 });
        }
        Ok(counter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_candidates_compete() -> Result<()> {
        let scores = Matrix::new(2, 3, vec![0.0, 9.0, 1.0, 0.0, 9.0, 1.0])?;
        assert_eq!(Association::of([(0, 2), (1, 0)], [0, 2])?.recall(&scores)?, Counter { sum: 1.0, n: 2 });
        assert_eq!(Association::of([(1, 1)], 0..3)?.recall(&scores)?.mean(), Some(1.0));
        assert_eq!(Association::previous(1).recall(&scores)?.mean(), None);
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let scores = Matrix::new(1, 2, vec![0.0; 2]).unwrap();
        let message = |e: Result<Counter>| e.unwrap_err().to_string();
        assert_eq!(message(Association::identity(2).recall(&scores)), "row 1 of a matrix with 1 rows");
        assert_eq!(
            message(Association::of([(0, 2)], [2]).unwrap().recall(&scores)),
            "candidate 2 of a read-out with 2 columns"
        );
        let refused = Association::of([(0, 2)], [1]).unwrap_err().to_string();
        assert_eq!(refused, "the target 2 of input 0 is no candidate");
    }
}
