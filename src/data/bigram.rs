//! The bigram model: the probability of a token, and of a token after another one.

use super::Counts;
use crate::{Error, Result};

/// A bigram model of a text: the probability `marginal[i] = P(i)` of each token, and the probability `cond[i][j] = P(j | i)`
/// that token `j` follows token `i`.
///
/// ```
/// use ihead::data::{BigramData, Counts};
/// # fn main() -> ihead::Result<()> {
/// let data = BigramData::new(&Counts::of("abac a")?)?;
/// let a = data.encode("a")?[0];
/// assert_eq!(data.cond(a), [0.0, 0.0, 0.5, 0.5]); // after "a": " ", "a", "b", "c"
/// assert_eq!(data.decode(&[1, 2]), "ab");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BigramData {
    tokens: Vec<String>,
    marginal: Vec<f64>,
    /// `[vocab, vocab]`
    cond: Vec<f64>,
}

impl BigramData {
    /// Makes the bigram model of some counts: `marginal = unigrams / sum(unigrams)` and `cond[i] = bigrams[i] /
    /// sum(bigrams[i])`.
    ///
    /// # Errors
    /// The three parts of `counts` differ in size, no token occurs, or a token is never followed by anything.
    pub fn new(counts: &Counts) -> Result<Self> {
        let vocab = counts.tokens.len();
        let lengths =
            counts.bigrams.iter().map(Vec::len).chain([counts.unigrams.len(), counts.bigrams.len()]);
        if let Some(length) = lengths.into_iter().find(|length| *length != vocab) {
            return Err(Error::shape("counts", &[vocab], &[length]));
        }
        if vocab == 0 || counts.unigrams.iter().all(|n| *n == 0) {
            return Err(Error::value("counts", "all zero", "at least one token"));
        }
        let mut cond = Vec::with_capacity(vocab * vocab);
        for (row, token) in counts.bigrams.iter().zip(&counts.tokens) {
            if row.iter().all(|n| *n == 0) {
                return Err(Error::value(
                    "counts",
                    format!("nothing ever follows token {token:?}"),
                    "a pair",
                ));
            }
            cond.extend(shares(row));
        }
        Ok(Self { tokens: counts.tokens.clone(), marginal: shares(&counts.unigrams).collect(), cond })
    }

    /// Makes the bigram model of the paper's data, from the built-in counts of Tiny Shakespeare.
    pub fn tiny_shakespeare() -> Self {
        Self::new(&Counts::tiny_shakespeare()).expect("the built-in counts are checked by a test")
    }

    /// Returns the number of different tokens.
    pub fn vocab(&self) -> usize {
        self.tokens.len()
    }

    /// Returns the probability `P(i)` of each token, `[vocab]`.
    pub fn marginal(&self) -> &[f64] {
        &self.marginal
    }

    /// Returns the probabilities `P(. | token)` of the next token, `[vocab]`: the exact prediction after a token that is not a
    /// trigger.
    ///
    /// # Panics
    /// `token` is not below [`vocab`](Self::vocab).
    pub fn cond(&self, token: u32) -> &[f64] {
        let start = token as usize * self.vocab();
        &self.cond[start..start + self.vocab()]
    }

    /// Returns all rows `P(. | i)` of `cond`, `[vocab, vocab]`, in the order of `i`.
    pub fn cond_rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.cond.chunks_exact(self.vocab())
    }

    /// Returns the tokens from the rarest to the most frequent; of equally frequent tokens, the lower number comes first (as in
    /// NumPy's stable `argsort`).
    pub fn by_rising_frequency(&self) -> Vec<u32> {
        let mut tokens: Vec<u32> = (0..self.vocab() as u32).collect();
        tokens.sort_by(|a, b| self.marginal[*a as usize].total_cmp(&self.marginal[*b as usize]));
        tokens
    }

    /// Returns the text of a token; `None` beyond the vocabulary.
    pub fn token(&self, token: u32) -> Option<&str> {
        self.tokens.get(token as usize).map(String::as_str)
    }

    /// Returns the text of some tokens; a token beyond the vocabulary is written as the replacement character.
    pub fn decode(&self, tokens: &[u32]) -> String {
        tokens.iter().map(|token| self.token(*token).unwrap_or("\u{fffd}")).collect()
    }

    /// Returns the tokens of a text, one for each character.
    ///
    /// # Errors
    /// A character that is no token.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut buffer = [0; 4];
        let mut token = |character: char| {
            let text: &str = character.encode_utf8(&mut buffer);
            let at = self.tokens.iter().position(|token| token == text);
            at.map(|at| at as u32)
                .ok_or_else(|| Error::unknown("character of the data", &character.to_string(), []))
        };
        text.chars().map(&mut token).collect()
    }
}

/// Each count over their sum; exact up to one rounding, since sums of integers are.
fn shares(counts: &[u64]) -> impl Iterator<Item = f64> {
    // counts of a user's own may be of any size
    let sum = counts.iter().map(|count| u128::from(*count)).sum::<u128>() as f64;
    counts.iter().map(move |count| *count as f64 / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_distributions_and_frequencies_rise() -> Result<()> {
        let data = BigramData::tiny_shakespeare();
        for row in data.cond_rows().chain([data.marginal()]) {
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
        let order = data.by_rising_frequency();
        assert!(order.is_sorted_by(|a, b| data.marginal()[*a as usize] <= data.marginal()[*b as usize]));
        assert_eq!(data.decode(&order[60..]), "aote ");
        assert_eq!(data.decode(&data.encode("What?\n")?), "What?\n");
        assert_eq!(data.encode("1").expect_err("refused").to_string(), "no character of the data '1'");
        Ok(())
    }

    #[test]
    fn counts_beyond_all_numbers_are_shares_too() -> Result<()> {
        let counts = Counts {
            tokens: vec!["a".into(), "b".into()],
            unigrams: vec![u64::MAX; 2],
            bigrams: vec![vec![u64::MAX; 2], vec![1, 0]],
        };
        let data = BigramData::new(&counts)?;
        assert_eq!(
            (data.marginal(), data.cond(0), data.cond(1)),
            (&[0.5; 2][..], &[0.5; 2][..], &[1.0, 0.0][..])
        );
        Ok(())
    }

    #[test]
    fn counts_that_make_no_model_are_refused() {
        let refuse = |counts: Counts| BigramData::new(&counts).expect_err("refused").to_string();
        let mut counts = Counts::of("abab").expect("counts");
        counts.bigrams[1] = vec![0, 0];
        assert_eq!(refuse(counts.clone()), "counts: nothing ever follows token \"b\"; expected a pair");
        counts.bigrams.pop();
        assert_eq!(refuse(counts), "counts: expected shape [2], found [1]");
    }
}
