//! Attention patterns that follow a rule instead of scores.
use std::fmt;
use std::sync::Arc;

use crate::Error;

/// An attention pattern that a rule gives, not queries and keys: the rule says to which positions each position attends.
///
/// A model attends by one with [`Pattern::fixed`](super::Pattern::fixed); an edit clamps a site to one. Positions are
/// counted from 0.
///
/// ```
/// use ihead::graph::FixedPattern;
/// let tokens = [7, 8, 7, 9];
/// assert_eq!(FixedPattern::Previous.weights(&tokens, 2), [0.0, 1.0, 0.0]);
/// assert_eq!(FixedPattern::Induction.weights(&tokens, 2), [0.0, 1.0, 0.0]); // after the 7 at position 0
/// assert_eq!(FixedPattern::Uniform.weights(&tokens, 1), [0.5, 0.5]);
/// assert_eq!(FixedPattern::window(2, 4).weights(&tokens, 3), [0.0, 0.0, 0.5, 0.5]);
/// let rule = FixedPattern::rule(4, |query, key| if (query - key) % 2 == 0 { 1.0 } else { 0.0 });
/// assert_eq!(rule.weights(&tokens, 2), [1.0, 0.0, 1.0]);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FixedPattern {
    /// No position: the head reads nothing.
    Nothing,
    /// The previous position; position 0 attends to itself.
    Previous,
    /// The position after the last earlier occurrence of the current token; position 0 if there is none.
    Induction,
    /// Position 0.
    First,
    /// The position itself.
    Current,
    /// All positions up to the position itself, with equal weights.
    Uniform,
    /// One given position for each position, `[seq]` or more; it must not be later.
    Parents(Arc<[u32]>),
    /// Given weights of each query and key, `[seq, seq]`, row-major; those of keys after the query are not read.
    Weights(Arc<[f64]>),
    /// The weights of so many queries and keys, which memory cannot hold: what [`rule`](FixedPattern::rule) makes for such
    /// sequences. A model that attends by it, and an edit, are errors.
    #[doc(hidden)]
    TooLong(usize),
}

impl FixedPattern {
    /// Attends to the last `n` positions up to the query's own, with equal weights, in sequences of `seq` tokens; to nothing if
    /// `n` is 0.
    pub fn window(n: usize, seq: usize) -> Self {
        Self::shares(seq, |t, j| f64::from(u8::from(t - j < n)))
    }

    /// Attends to the positions of the query's own block of `n`, up to its own, with equal weights, in sequences of `seq`
    /// tokens; to nothing if `n` is 0.
    pub fn blocks(n: usize, seq: usize) -> Self {
        Self::shares(seq, |t, j| f64::from(u8::from(n > 0 && t / n == j / n)))
    }

    /// Attends from position `t` to position `j` with a weight that falls with the distance,
    /// `exp(-rate (t - j)) / sum_{i <= t} exp(-rate (t - i))`, in sequences of `seq` tokens.
    pub fn decay(rate: f64, seq: usize) -> Self {
        Self::shares(seq, |t, j| (-rate * (t - j) as f64).exp())
    }

    /// Attends with the weights `weight(query, key)`, for `key <= query`, in sequences of `seq` tokens. The weights are not
    /// normalised. There are `seq^2` of them: where memory cannot hold these, a model that attends by it is refused.
    pub fn rule(seq: usize, weight: impl Fn(usize, usize) -> f64) -> Self {
        Self::of_rows(seq, |t| (0..=t).map(|j| weight(t, j)).collect())
    }

    /// Weights that are shares of their sum over the keys; zero where all are.
    fn shares(seq: usize, weight: impl Fn(usize, usize) -> f64) -> Self {
        Self::of_rows(seq, |t| {
            let weights: Vec<f64> = (0..=t).map(|j| weight(t, j)).collect();
            let sum: f64 = weights.iter().sum();
            weights.into_iter().map(|weight| if sum == 0.0 { 0.0 } else { weight / sum }).collect()
        })
    }

    /// The weights `[t + 1]` of each query `t`, zeros after them.
    fn of_rows(seq: usize, row: impl Fn(usize) -> Vec<f64>) -> Self {
        // the weights, and the copy of them that is shared
        let bytes = 2.0 * (seq as f64).powi(2) * size_of::<f64>() as f64;
        if crate::memory::check("seq", "the pattern", bytes).is_err() {
            return FixedPattern::TooLong(seq);
        }
        let mut weights = Vec::with_capacity(seq * seq);
        for t in 0..seq {
            weights.extend(row(t));
            weights.resize((t + 1) * seq, 0.0);
        }
        FixedPattern::Weights(weights.into())
    }

    /// What is wrong with this rule for sequences of `seq`.
    pub(crate) fn problem(&self, seq: usize) -> Option<Error> {
        let misfit =
            |found, expected| Some(Error::misfit(format!("fixed pattern '{self}'"), found, expected));
        match self {
            FixedPattern::Parents(parents) if parents.len() < seq => {
                misfit(format!("{} parents", parents.len()), format!("one for each of {seq} positions"))
            }
            FixedPattern::Parents(parents) => {
                let later = parents.iter().take(seq).enumerate().find(|(t, p)| **p as usize > *t);
                later.and_then(|(t, parent)| {
                    misfit(
                        format!("position {t} would look at {parent}, which comes later"),
                        "earlier ones".into(),
                    )
                })
            }
            FixedPattern::Weights(weights) if weights.len() != seq * seq => {
                let n = weights.len().isqrt();
                if n * n == weights.len() {
                    misfit(format!("weights of {n} queries and {n} keys"), format!("{seq} of each"))
                } else {
                    misfit(
                        format!("{} weights", weights.len()),
                        format!("those of {seq} queries and {seq} keys"),
                    )
                }
            }
            FixedPattern::TooLong(n) => {
                let found = format!("memory cannot hold weights of {n} queries and {n} keys");
                misfit(found, if *n == seq { "shorter sequences".into() } else { format!("{seq} of each") })
            }
            FixedPattern::Weights(weights) => {
                let read = |i: &usize| i % seq <= i / seq;
                let bad = (0..weights.len()).filter(read).find(|i| !weights[*i].is_finite());
                bad.and_then(|i| {
                    let found = format!("the weight of query {}, key {} is {}", i / seq, i % seq, weights[i]);
                    misfit(found, "finite numbers".into())
                })
            }
            _ => None,
        }
    }

    /// The one position at which it looks from `t`; `None` of a rule that looks at none or many.
    pub(crate) fn source(&self, tokens: &[u32], t: usize) -> Option<usize> {
        match self {
            FixedPattern::Previous => Some(t.saturating_sub(1)),
            FixedPattern::Induction => {
                Some(tokens[..t].iter().rposition(|x| *x == tokens[t]).map_or(0, |s| s + 1))
            }
            FixedPattern::First => Some(0),
            FixedPattern::Current => Some(t),
            FixedPattern::Parents(parents) => Some(parents[t] as usize),
            FixedPattern::Nothing
            | FixedPattern::Uniform
            | FixedPattern::Weights(_)
            | FixedPattern::TooLong(_) => None,
        }
    }

    /// Whether it looks at one position from each.
    pub(crate) fn is_one_hot(&self) -> bool {
        !matches!(
            self,
            FixedPattern::Nothing
                | FixedPattern::Uniform
                | FixedPattern::Weights(_)
                | FixedPattern::TooLong(_)
        )
    }

    /// Returns the weights `[t + 1]` with which position `t` of a sequence of these tokens attends to the positions `0..=t`.
    ///
    /// # Panics
    /// If `t` is not a position of the sequence, or a list of the pattern is too short for it, or too long for memory.
    pub fn weights(&self, tokens: &[u32], t: usize) -> Vec<f64> {
        match self {
            FixedPattern::TooLong(n) => panic!("memory cannot hold weights of {n} queries and {n} keys"),
            FixedPattern::Nothing => vec![0.0; t + 1],
            FixedPattern::Uniform => vec![1.0 / (t + 1) as f64; t + 1],
            FixedPattern::Weights(weights) => {
                let seq = weights.len().isqrt();
                weights[t * seq..=t * seq + t].to_vec()
            }
            _ => {
                let source = self.source(tokens, t);
                (0..=t).map(|j| f64::from(u8::from(source == Some(j)))).collect()
            }
        }
    }
}

/// The name of the rule.
impl fmt::Display for FixedPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FixedPattern::Nothing => "nothing",
            FixedPattern::Previous => "previous",
            FixedPattern::Induction => "induction",
            FixedPattern::First => "first",
            FixedPattern::Current => "current",
            FixedPattern::Uniform => "uniform",
            FixedPattern::Parents(_) => "parents",
            FixedPattern::Weights(_) | FixedPattern::TooLong(_) => "weights",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_over_the_positions_of_a_window_or_of_a_block() {
        let third = 1.0 / 3.0;
        let weights = |pattern| match pattern {
            FixedPattern::Weights(weights) => weights.to_vec(),
            _ => vec![],
        };
        let blocks =
            [[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0], [third, third, third, 0.0], [0.0, 0.0, 0.0, 1.0]];
        assert_eq!(weights(FixedPattern::blocks(3, 4)), blocks.concat());
        let window = [[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0], [0.0, 0.5, 0.5, 0.0], [0.0, 0.0, 0.5, 0.5]];
        assert_eq!(weights(FixedPattern::window(2, 4)), window.concat());
        assert_eq!(weights(FixedPattern::blocks(0, 2)), [0.0; 4]);
        let halved = [[1.0, 0.0], [third, 2.0 * third]].concat();
        let found = weights(FixedPattern::decay(2f64.ln(), 2));
        assert!(
            found.iter().zip(halved).all(|(found, expected)| (found - expected).abs() < 1e-15),
            "{found:?}"
        );
    }

    #[test]
    fn weights_of_a_longer_sequence_are_those_of_its_beginning() {
        assert_eq!(FixedPattern::window(2, 4).weights(&[7, 8, 9], 2), [0.0, 0.5, 0.5]);
        let said = |n: usize| FixedPattern::Weights(vec![0.0; n].into()).problem(3).unwrap().to_string();
        assert_eq!(said(16), "fixed pattern 'weights': weights of 4 queries and 4 keys; expected 3 of each");
        let unread = FixedPattern::Weights([1.0, f64::NAN, 0.5, 0.5].into());
        assert!(unread.problem(2).is_none());
        for (n, expected) in [(usize::MAX, "3 of each"), (1 << 31, "3 of each"), (3, "shorter sequences")] {
            let window = if n == 3 { FixedPattern::TooLong(3) } else { FixedPattern::window(2, n) };
            let found = format!("memory cannot hold weights of {n} queries and {n} keys");
            let error = window.problem(3).unwrap().to_string();
            assert_eq!(error, format!("fixed pattern 'weights': {found}; expected {expected}"));
        }
        assert_eq!(said(5), "fixed pattern 'weights': 5 weights; expected those of 3 queries and 3 keys");
    }
}
