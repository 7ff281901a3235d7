//! Predictors to compare a model with: distributions of the next token given the tokens so far.
use std::fmt;
use std::sync::Arc;

use crate::data::{MOST_ALPHA, Task};
use crate::{Error, Result};

use super::Matrix;

/// A rule that gives a distribution of the next token after the tokens so far. A closure `Fn(&[u32], &mut [f64]) -> bool` is a
/// predictor.
///
/// The predictor that a model is nearest to says what the model computes: [`Metric::kl`](super::Metric::kl) measures
/// the mean of `KL(predictor || model)` over the selected positions.
///
/// | predictor | the distribution of the next token `j` after `x[0..=t]`, of `V` tokens |
/// |---|---|
/// | [`Uniform`] | `1 / V` |
/// | [`Unigram`] | how often `j` has come, `(n_j + alpha) / (t + 1 + alpha V)` |
/// | [`Bigram`] | how often `j` has followed `x[t]` before, `(n_j + alpha) / (n + alpha V)` |
/// | [`TaskDistribution`] | what a task declares, the best that can be done |
/// | [`BigramTable`] | row `x[t]` of a given table, such as the data's bigrams |
///
/// ```
/// use ihead::probe::{Bigram, Predictor, Unigram};
/// let (x, mut distribution) = ([0, 1, 0, 1, 0], [0.0; 2]);
/// assert!(Unigram { alpha: 0.0 }.predict(&x, &mut distribution));
/// assert_eq!(distribution, [0.6, 0.4]);
/// assert!(Bigram { alpha: 1.0 }.predict(&x, &mut distribution)); // after 0 came 1, twice
/// assert_eq!(distribution, [0.25, 0.75]);
/// let again = |x: &[u32], distribution: &mut [f64]| {
///     x.last().is_some_and(|last| { distribution[*last as usize] = 1.0; true })
/// };
/// assert!(!again.predict(&[], &mut [0.0; 2]));
/// ```
pub trait Predictor: Send + Sync {
    /// Writes the distribution of the token that follows `tokens`, `[vocab]`, which comes as zeros; `false` where there is none:
    /// such a position is left out of a mean. Numbers that are negative or not finite, or whose sum is not 1 (to 1e-4), are an
    /// error of who asked.
    fn predict(&self, tokens: &[u32], distribution: &mut [f64]) -> bool;

    /// Refuses to predict for a model of `vocab` tokens. It is asked once, when a metric or a loss is resolved against a model; by
    /// default nothing is refused.
    ///
    /// # Errors
    /// If the predictor is of another vocabulary, or a number of it gives no distribution.
    fn check(&self, vocab: usize) -> Result<()> {
        let _ = vocab;
        Ok(())
    }

    /// The predictor in words, for messages.
    fn words(&self) -> String {
        "a predictor".into()
    }
}

/// How far from 1 the sum of a distribution may be.
const SLACK: f64 = 1e-4;

/// Checks what a predictor has answered for the position after `seen` tokens.
///
/// # Errors
/// If a number is negative or not finite, or their sum is not 1.
pub(crate) fn check_answer(predictor: &dyn Predictor, seen: usize, answer: &[f64]) -> Result<()> {
    check_sums_to_one(answer, || format!("{}, after {seen} tokens", predictor.words()))
}

/// Checks that these numbers are a distribution of the next token.
///
/// # Errors
/// If a number is negative or not finite, or their sum is not 1: `whose` says whose they are.
pub(super) fn check_sums_to_one(distribution: &[f64], whose: impl FnOnce() -> String) -> Result<()> {
    let odd = distribution.iter().enumerate().find(|(_, p)| !(p.is_finite() && **p >= 0.0));
    let sum = distribution.iter().sum::<f64>();
    let found = match odd {
        Some((token, p)) => format!("{p} for token {token}"),
        None if (sum - 1.0).abs() <= SLACK => return Ok(()),
        None => format!("numbers whose sum is {sum}"),
    };
    Err(Error::value(whose(), found, "a distribution of the next token: none negative, with sum 1"))
}

impl fmt::Debug for dyn Predictor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Predictor({})", self.words())
    }
}

impl<F: Fn(&[u32], &mut [f64]) -> bool + Send + Sync> Predictor for F {
    fn predict(&self, tokens: &[u32], distribution: &mut [f64]) -> bool {
        self(tokens, distribution)
    }
}

/// The uniform distribution: every token is equally likely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Uniform;

impl Predictor for Uniform {
    fn predict(&self, _: &[u32], distribution: &mut [f64]) -> bool {
        distribution.fill(1.0 / distribution.len() as f64);
        true
    }

    fn words(&self) -> String {
        "the uniform distribution".into()
    }
}

/// The in-context unigram predictor: the probability of each token is its share of the tokens so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unigram {
    /// Added to each count.
    pub alpha: f64,
}

impl Predictor for Unigram {
    fn predict(&self, tokens: &[u32], distribution: &mut [f64]) -> bool {
        shares(tokens.iter().copied(), self.alpha, distribution)
    }

    fn check(&self, _: usize) -> Result<()> {
        check_alpha(self, self.alpha)
    }

    fn words(&self) -> String {
        "the unigrams so far".into()
    }
}

/// The in-context bigram predictor: each token is as likely as it has followed the current token so far. It is what an
/// induction head computes in the limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bigram {
    /// Added to each count.
    pub alpha: f64,
}

impl Predictor for Bigram {
    fn predict(&self, tokens: &[u32], distribution: &mut [f64]) -> bool {
        let last = tokens.last();
        let followed = tokens.windows(2).filter(|pair| Some(&pair[0]) == last).map(|pair| pair[1]);
        shares(followed, self.alpha, distribution)
    }

    fn check(&self, _: usize) -> Result<()> {
        check_alpha(self, self.alpha)
    }

    fn words(&self) -> String {
        "the bigrams so far".into()
    }
}

/// Refuses a number to be added to counts that gives no distribution.
fn check_alpha(predictor: &dyn Predictor, alpha: f64) -> Result<()> {
    if (0.0..=MOST_ALPHA).contains(&alpha) {
        return Ok(());
    }
    let expected = format!("a number from 0 to {MOST_ALPHA:e}");
    Err(Error::value("alpha", alpha, expected).of_part(predictor.words()))
}

/// `(n_j + alpha) / (n + alpha V)`; `false` without a count and without `alpha`.
fn shares(tokens: impl Iterator<Item = u32>, alpha: f64, distribution: &mut [f64]) -> bool {
    distribution.fill(alpha);
    for token in tokens {
        if let Some(count) = distribution.get_mut(token as usize) {
            *count += 1.0;
        }
    }
    let sum: f64 = distribution.iter().sum();
    distribution.iter_mut().for_each(|share| *share /= sum);
    sum > 0.0
}

/// The global bigram predictor: the distribution is the row of a table `[vocab, vocab]` for the current token.
#[derive(Clone, Debug, PartialEq)]
pub struct BigramTable(pub Matrix);

impl Predictor for BigramTable {
    fn predict(&self, tokens: &[u32], distribution: &mut [f64]) -> bool {
        let row = tokens.last().map(|last| *last as usize).filter(|row| *row < self.0.rows());
        match row {
            Some(row) if self.0.cols() == distribution.len() => {
                distribution.copy_from_slice(self.0.row(row));
                true
            }
            _ => false,
        }
    }

    fn check(&self, vocab: usize) -> Result<()> {
        let found = [self.0.rows(), self.0.cols()];
        if found == [vocab; 2] { Ok(()) } else { Err(Error::shape(self.words(), &[vocab; 2], &found)) }
    }

    fn words(&self) -> String {
        "a table of bigrams".into()
    }
}

/// The distribution that a task declares ([`Task::predict`]): the divergence of a model from it is what the model can still learn.
pub struct TaskDistribution(pub Arc<dyn Task>);

impl Predictor for TaskDistribution {
    fn predict(&self, tokens: &[u32], distribution: &mut [f64]) -> bool {
        distribution.len() == self.0.vocab() && self.0.predict(tokens, distribution)
    }

    fn check(&self, vocab: usize) -> Result<()> {
        match self.0.vocab() {
            found if found == vocab => Ok(()),
            found => {
                let expected = format!("the {vocab} of the model's vocabulary");
                Err(Error::misfit(self.words(), format!("{found} tokens"), expected))
            }
        }
    }

    fn words(&self) -> String {
        format!("the distribution of {}", self.0.name())
    }
}
