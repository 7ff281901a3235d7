//! In-context Markov chains and graphs of positions. Each sequence has its own transitions.
use rand_distr::{Distribution, Gamma};

use super::{NumpyRng, Task};
use crate::{Error, Result};

/// A task in which each token depends on the token at its parent position, by transitions that are drawn anew for each sequence.
///
/// Row `a` of the transitions is `P(. | a) ~ Dirichlet(alpha, ..., alpha)`, anew in each sequence. A token without parent
/// is uniform, the others are drawn from the row of their parent's token. With `parents[t] = t - 1` these are
/// in-context Markov chains ([`CausalGraph::chain`]); the general case is the latent causal graph of *How Transformers
/// Learn Causal Structure with Gradient Descent* (2024). Marks: 0 where the next token has no parent, else one more
/// than the number of earlier tokens whose parent held the same token.
///
/// The declared distribution is exact: with `n(a, b)` the number of tokens `b` so far whose parent holds `a`, the next token
/// after parent `a` is `b` with probability `(n(a, b) + alpha) / (n(a) + alpha vocab)`.
///
/// ```
/// use ihead::data::{CausalGraph, NumpyRng, Task, check_distribution, sample};
///
/// let chain = CausalGraph::chain(3, 16, 1.0)?; // 3 tokens, sequences of 16
/// let mut distribution = vec![0.0; 3];
/// assert!(chain.predict(&[0, 1, 0, 1, 0], &mut distribution)); // after 0 came 1, twice
/// assert_eq!(distribution, [1.0 / 5.0, 3.0 / 5.0, 1.0 / 5.0]);
///
/// // token 3 depends on token 1, token 4 on token 3; the others on nothing
/// let graph = CausalGraph::new(3, vec![None, None, None, Some(1), Some(3)], 0.5)?;
/// let mut rng = NumpyRng::new(&[0]);
/// assert_eq!(sample(&graph, &mut rng, 1)?.sequence(0).2[..3], [0, 0, 1]);
/// check_distribution(&graph, &mut rng, 1000)?;
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CausalGraph {
    vocab: usize,
    parents: Vec<Option<usize>>,
    alpha: f64,
    gamma: Gamma<f64>,
    last_only: bool,
}

/// The most tokens: each sequence draws a table of so many rows and columns.
const MOST_TOKENS: usize = 8192;
/// The largest `alpha`: above it, counts beside it are lost to rounding, and its sum overflows at last.
pub(crate) const MOST_ALPHA: f64 = 1e15;
/// The most positions.
const MOST_POSITIONS: usize = 1 << 28;

impl CausalGraph {
    /// Makes the task of a graph over positions: `parents[t]` is the parent of position `t`, an earlier position, or `None`. A
    /// sequence has as many tokens as there are entries, of which a model sees all but the last.
    ///
    /// # Errors
    /// A parent that is not before its child, fewer than two positions, no token or more than 8192, or an `alpha` that is not
    /// positive or above 1e15.
    pub fn new(vocab: usize, parents: Vec<Option<usize>>, alpha: f64) -> Result<Self> {
        if !(1..=MOST_TOKENS).contains(&vocab) {
            return Err(Error::value("vocab", vocab, format!("1 to {MOST_TOKENS}")));
        }
        if parents.len() < 2 {
            return Err(Error::value("parents", format!("{} positions", parents.len()), "at least 2"));
        }
        if let Some((t, parent)) =
            parents.iter().enumerate().find_map(|(t, p)| p.filter(|p| *p >= t).map(|p| (t, p)))
        {
            let found = format!("position {t} has the parent {parent}");
            return Err(Error::value("parents", found, "an earlier position"));
        }
        let gamma = Gamma::new(alpha, 1.0).ok().filter(|_| alpha <= MOST_ALPHA);
        let refuse = || Error::value("alpha", alpha, format!("a positive number, at most {MOST_ALPHA:e}"));
        Ok(CausalGraph { vocab, parents, alpha, gamma: gamma.ok_or_else(refuse)?, last_only: false })
    }

    /// Makes the task of in-context Markov chains of `seq_length + 1` tokens: each token's parent is the previous token.
    ///
    /// # Errors
    /// As for [`CausalGraph::new`], and if there are more than 2^28 positions.
    pub fn chain(vocab: usize, seq_length: usize, alpha: f64) -> Result<Self> {
        if seq_length > MOST_POSITIONS {
            return Err(Error::value("seq_length", seq_length, format!("at most {MOST_POSITIONS}")));
        }
        CausalGraph::new(vocab, (0..=seq_length).map(|t| t.checked_sub(1)).collect(), alpha)
    }

    /// Returns the same task with only the last position marked, to train on the prediction of the last token alone.
    pub fn last_only(self) -> Self {
        CausalGraph { last_only: true, ..self }
    }

    /// Returns the parent of each position.
    pub fn parents(&self) -> &[Option<usize>] {
        &self.parents
    }

    /// Transitions `[vocab, vocab]`, each row a draw from the Dirichlet distribution.
    fn transitions(&self, rng: &mut NumpyRng) -> Vec<f64> {
        let mut rows: Vec<f64> = (0..self.vocab * self.vocab).map(|_| self.gamma.sample(rng)).collect();
        for row in rows.chunks_exact_mut(self.vocab) {
            let sum: f64 = row.iter().sum();
            // with a tiny alpha all draws of a row may vanish: then its distribution is a point, and any point is as likely
            if sum > 0.0 {
                row.iter_mut().for_each(|p| *p /= sum);
            } else {
                row[rng.below(self.vocab as u32) as usize] = 1.0;
            }
        }
        rows
    }
}

impl Task for CausalGraph {
    fn vocab(&self) -> usize {
        self.vocab
    }

    fn seq_length(&self) -> usize {
        self.parents.len() - 1
    }

    fn sequence(&self, rng: &mut NumpyRng, tokens: &mut [u32], marks: &mut [i32]) {
        let (transitions, last) = (self.transitions(rng), marks.len());
        let mut seen = vec![0; self.vocab];
        for (t, parent) in self.parents.iter().enumerate() {
            let Some(parent) = parent else {
                tokens[t] = rng.below(self.vocab as u32);
                continue;
            };
            let before = tokens[*parent] as usize;
            tokens[t] = rng.weighted(&transitions[before * self.vocab..][..self.vocab]);
            seen[before] += 1;
            if !self.last_only || t == last {
                marks[t - 1] = seen[before];
            }
        }
    }

    /// There is no prediction beyond the task's own positions, and none after tokens beyond its vocabulary.
    fn predict(&self, tokens: &[u32], distribution: &mut [f64]) -> bool {
        let of_task = distribution.len() == self.vocab && tokens.iter().all(|x| (*x as usize) < self.vocab);
        let Some(parent) = self.parents.get(tokens.len()).filter(|_| of_task) else { return false };
        let Some(parent) = *parent else {
            distribution.fill(1.0 / self.vocab as f64);
            return true;
        };
        distribution.fill(self.alpha);
        let children = self.parents.iter().zip(tokens);
        for (_, token) in children.filter(|(p, _)| p.is_some_and(|p| tokens[p] == tokens[parent])) {
            distribution[*token as usize] += 1.0;
        }
        let sum: f64 = distribution.iter().sum();
        distribution.iter_mut().for_each(|p| *p /= sum);
        true
    }

    fn name(&self) -> &str {
        "the task of a causal graph"
    }
}
