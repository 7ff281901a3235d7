//! The trait of tasks.

use super::{Batch, NumpyRng};

/// A task draws sequences and marks their positions. The paper's task is [`TriggerTask`](super::TriggerTask); your own is a few
/// lines.
///
/// The mark of a position (the paper's `outs`) says how its next token is predictable. `0`: only by the statistics of
/// the data. `1`: the task sets the next token, but the context does not show it yet, as at the first occurrence of a
/// trigger. `2` or more: the context determines it. (A task may count instead how often the context has shown it, as
/// [`CausalGraph`](super::CausalGraph) does.) Negative: selections by marks from 0 on leave the position out; a loss or a
/// metric without a selection has it.
///
/// ```
/// use ihead::data::{NumpyRng, Task, sample};
///
/// /// Random tokens, each said twice.
/// struct Echo;
///
/// impl Task for Echo {
///     fn vocab(&self) -> usize { 10 }
///     fn seq_length(&self) -> usize { 8 }
///     fn sequence(&self, rng: &mut NumpyRng, tokens: &mut [u32], marks: &mut [i32]) {
///         for pair in tokens.chunks_mut(2) {
///             pair.fill(rng.below(10));
///         }
///         for mark in marks.iter_mut().step_by(2) {
///             *mark = 2;
///         }
///     }
/// }
///
/// let batch = sample(&Echo, &mut NumpyRng::new(&[0]), 3)?;
/// let (x, y, marks) = batch.sequence(2);
/// assert!((0..8).all(|t| marks[t] == 0 || x[t] == y[t]));
/// # Ok::<(), ihead::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say how to draw sequences",
    note = "implement `ihead::data::Task` for it: `vocab`, `seq_length` and `sequence`"
)]
pub trait Task: Send + Sync {
    /// The number of different tokens.
    fn vocab(&self) -> usize;

    /// The number of tokens of a sequence that the model reads.
    fn seq_length(&self) -> usize;

    /// Draws one sequence: `tokens`, `[seq_length + 1]`, each below `vocab`, and `marks`, `[seq_length]`, which are zeros at
    /// first. `marks[t]` is about the prediction of `tokens[t + 1]`.
    fn sequence(&self, rng: &mut NumpyRng, tokens: &mut [u32], marks: &mut [i32]);

    /// Draws all sequences of a batch, one after the other from the same stream. Override it to share working
    /// space.
    fn fill(&self, rng: &mut NumpyRng, batch: &mut Batch) {
        batch.draw_each(|tokens, marks| self.sequence(rng, tokens, marks));
    }

    /// Writes the exact distribution of the next token after `tokens`, the sequence so far (empty before the first
    /// token), and returns whether it is known.
    ///
    /// `distribution`, `[vocab]`, holds zeros at first. What is written there is the Bayes-optimal prediction: the mean
    /// over this sequence's latent variables given the prefix. [`check_distribution`](super::check_distribution)
    /// compares it with what is drawn.
    fn predict(&self, tokens: &[u32], distribution: &mut [f64]) -> bool {
        let _ = (tokens, distribution);
        false
    }

    /// The task's name in messages.
    fn name(&self) -> &str {
        std::any::type_name::<Self>()
    }

    /// The text of a token in reports and figures, such as a character.
    fn token_name(&self, token: u32) -> String {
        token.to_string()
    }

    /// The tokens that are triggers in every sequence, if the task has such tokens.
    fn fixed_triggers(&self) -> Option<&[u32]> {
        None
    }
}
