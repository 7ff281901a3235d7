//! The theorem on single gradient steps, beside its simulation.
//!
//! *Birth of a Transformer*, section 6: from zero weights, one gradient step each on `W_O^2`, `W_K^2` and `W_K^1`, in this
//! order, makes the induction head. The setting, for `N` tokens and sequences of length `T` ([`SingleTrigger`]):
//!
//! - a trigger `q` and its output `o != q` are uniform; `q` stands at a position `s0` uniform in `1..=T-2` and at `T`, `o`
//!   at `s0 + 1`; every other position is uniform over the tokens but `q`; the loss is at `T` alone, and its target `o`;
//! - layer 0 attends from positions to positions, with scores `p_t . W_K^1 p_s`, and feeds the keys of layer 1 alone; layer
//!   1 attends with scores `e(x_T) . W_K^2 y_s`, `y_s` being what layer 0 read at `s`, and adds `W_O^2 e(x_s)` to the logits
//!   ([`TwoSteps`]). Embeddings are orthonormal.
//!
//! With `p(o) = 1 / N` (exact before the first step, and to first order in its size after it) each step has a closed form:
//! [`SingleTrigger::output_step`], [`SingleTrigger::second_key_step`] and [`SingleTrigger::first_key_step`]. Positions are
//! counted from 1 in the formulas, from 0 in the code. They are minus the gradients: the directions of the steps.
//!
//! ```
//! use ihead::paper::theory::SingleTrigger;
//! let setting = SingleTrigger::new(32, 32)?;
//! let first = setting.output_step(); // each token is written where it was read
//! assert!(first.diagonal > 0.0 && (first.diagonal + 31.0 * first.off_diagonal).abs() < 1e-15);
//! let second = setting.second_key_step(1024.0 * first.contrast()); // a query seeks keys that have read its own token
//! let third = setting.first_key_step(1024.0 * first.contrast(), 20.0); // each position attends to the one before
//! let row = &third[16];
//! assert!(second.diagonal > 0.0 && (0..32).all(|s| s == 15 || row[s] < row[15]));
//! # Ok::<(), ihead::Error>(())
//! ```
mod model;

pub use model::{Embeddings, TwoSteps, TwoStepsLayer};

use crate::data::{NumpyRng, Task};
use crate::{Error, Result};

/// The task of the theorem: sequences that end in a trigger which came once before. [The module](self) describes it.
///
/// Marks: `2` at the last position, whose next token is the trigger's output; `0` elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SingleTrigger {
    vocab: usize,
    seq: usize,
}

/// A square matrix with one value on its diagonal and another one everywhere else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Diagonal {
    /// The value on the diagonal.
    pub diagonal: f64,
    /// The value off the diagonal.
    pub off_diagonal: f64,
}

impl Diagonal {
    /// Returns `diagonal - off_diagonal`. A softmax of a row depends on this difference alone.
    pub fn contrast(&self) -> f64 {
        self.diagonal - self.off_diagonal
    }

    /// Returns the matrix of this size, `[size][size]`.
    pub fn matrix(&self, size: usize) -> Vec<Vec<f64>> {
        let entry = |r: usize, c: usize| if r == c { self.diagonal } else { self.off_diagonal };
        (0..size).map(|r| (0..size).map(|c| entry(r, c)).collect()).collect()
    }

    /// With rows that sum to 0.
    fn balanced(diagonal: f64, size: usize) -> Diagonal {
        Diagonal { diagonal, off_diagonal: -diagonal / (size - 1) as f64 }
    }
}

impl SingleTrigger {
    /// Makes the setting with `N = vocab` tokens and sequences of length `T = seq`.
    ///
    /// # Errors
    /// If there are fewer than 2 tokens, or sequences are shorter than 3: there is no room for a trigger, its output and
    /// the trigger.
    pub fn new(vocab: usize, seq: usize) -> Result<Self> {
        if vocab < 2 || seq < 3 {
            let found = format!("{vocab} tokens in sequences of {seq}");
            return Err(Error::value("vocab and seq", found, "at least 2 in at least 3"));
        }
        Ok(SingleTrigger { vocab, seq })
    }

    /// Returns the direction of the first step, on `W_O^2` at zero weights, `[vocab, vocab]`.
    ///
    /// It is `-dL/dW_O^2[j, k] = E[(1{o = j} - 1/N) vbar_k]`, where `vbar_k` is the share of token `k` in the sequence. On
    /// the diagonal this is `(1 + (T-3)/(N-1) - T/N) / (N T)`: the output is there once for certain, and among the `T - 3`
    /// free positions as often as others. Rows sum to 0.
    pub fn output_step(&self) -> Diagonal {
        let (n, t) = (self.vocab as f64, self.seq as f64);
        Diagonal::balanced((self.outputs() - t / n) / (n * t), self.vocab)
    }

    /// Returns the direction of the second step, on `W_K^2` at zero keys, `[vocab, vocab]`, once `W_O^2` has the contrast
    /// `c = output_contrast` ([`Diagonal::contrast`]).
    ///
    /// It is `-dL/dW_K^2[a, b] = c/T E[1{q = a} sum_s (1{x_s = o} - vbar_o) y_s[b]]`, where `y_s[b]` is the share of `b` in
    /// `x_1..x_s`. Given `s0` the events of `o` and of `b` are independent, so the diagonal is `c/(N T)` times the mean
    /// over `s0` of `sum_s (w_s - m/T) y_s[q]`, with `w_s = P(x_s = o | s0)`, `m = sum_s w_s`,
    /// `y_s[q] = (1{s >= s0} + 1{s = T}) / s`. Rows sum to 0.
    pub fn second_key_step(&self, output_contrast: f64) -> Diagonal {
        let (n, t) = (self.vocab as f64, self.seq as f64);
        let mean = self.outputs() / t;
        let of_start =
            |s0| (1..=self.seq).map(|s| (self.is_output(s, s0) - mean) * self.trigger(s, s0)).sum();
        let diagonal = output_contrast / (n * t) * self.over_starts(of_start);
        Diagonal::balanced(diagonal, self.vocab)
    }

    /// Returns the direction of the third step, on `W_K^1` at zero, `[seq][seq]`, once `W_O^2` has the contrast
    /// `c = output_contrast` and `W_K^2` the contrast `k = key_contrast`. Row `s` belongs to the query at position `s`,
    /// column `r` to the key at `r`.
    ///
    /// It is `-dL/dW_K^1[s, r] = c k/s E[A_s (1{x_s = o} - sum_s' A_s' 1{x_s' = o}) (1{x_r = q} - y_s[q])]` for `r <= s`,
    /// else 0, with layer 1's attention `A_s` proportional to `exp(k y_s[q])`. Given `s0` all but `1{x_s = o}` is certain,
    /// so that the form is exact for any `k`. Rows sum to 0.
    pub fn first_key_step(&self, output_contrast: f64, key_contrast: f64) -> Vec<Vec<f64>> {
        let mut step = vec![vec![0.0; self.seq]; self.seq];
        let starts = (self.seq - 2) as f64;
        for s0 in 1..=self.seq - 2 {
            let weights: Vec<f64> =
                (1..=self.seq).map(|s| (key_contrast * self.trigger(s, s0)).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let attention = |s: usize| weights[s - 1] / sum;
            let attended: f64 = (1..=self.seq).map(|s| attention(s) * self.is_output(s, s0)).sum();
            for s in 1..=self.seq {
                let pull = attention(s) * (self.is_output(s, s0) - attended) / s as f64;
                for r in 1..=s {
                    let is_trigger = f64::from(u8::from(r == s0 || r == self.seq));
                    let change = pull * (is_trigger - self.trigger(s, s0));
                    step[s - 1][r - 1] += output_contrast * key_contrast * change / starts;
                }
            }
        }
        step
    }

    /// `m`: how often the output is in a sequence, on average.
    fn outputs(&self) -> f64 {
        1.0 + (self.seq - 3) as f64 / (self.vocab - 1) as f64
    }

    /// `P(x_s = o | s0)`.
    fn is_output(&self, s: usize, s0: usize) -> f64 {
        match s {
            _ if s == s0 || s == self.seq => 0.0,
            _ if s == s0 + 1 => 1.0,
            _ => 1.0 / (self.vocab - 1) as f64,
        }
    }

    /// `y_s[q]`: the share of the trigger in the tokens up to `s`.
    fn trigger(&self, s: usize, s0: usize) -> f64 {
        f64::from(u8::from(s >= s0) + u8::from(s == self.seq)) / s as f64
    }

    /// The mean over the trigger's first position.
    fn over_starts(&self, of: impl Fn(usize) -> f64) -> f64 {
        (1..=self.seq - 2).map(of).sum::<f64>() / (self.seq - 2) as f64
    }
}

impl Task for SingleTrigger {
    fn vocab(&self) -> usize {
        self.vocab
    }

    fn seq_length(&self) -> usize {
        self.seq
    }

    fn sequence(&self, rng: &mut NumpyRng, tokens: &mut [u32], marks: &mut [i32]) {
        let trigger = rng.below(self.vocab as u32);
        let others = self.vocab as u32 - 1;
        let mut other = || (trigger + 1 + rng.below(others)) % self.vocab as u32;
        let output = other();
        tokens.fill_with(&mut other);
        let start = rng.below(self.seq as u32 - 2) as usize;
        (tokens[start], tokens[start + 1]) = (trigger, output);
        (tokens[self.seq - 1], tokens[self.seq]) = (trigger, output);
        marks[self.seq - 1] = 2;
    }

    fn name(&self) -> &str {
        "the task of one trigger"
    }
}
