//! What an experiment's data has to say: one trait.

use super::{Batch, NumpyRng};

/// A source of sequences. The paper's task is [`TriggerTask`](super::TriggerTask); your own is a few lines.
///
/// Marks say what is to be measured at a position, in the paper's terms (`outs`): `0` nothing decides the next
/// token but the data's statistics; `1` it is decided by the task; `2` and more, it can be known from the context;
/// negative, the position is not measured.
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
    /// Number of different tokens.
    fn vocab(&self) -> usize;

    /// Tokens that the model sees.
    fn seq_length(&self) -> usize;

    /// Draws one sequence: `seq_length + 1` tokens below `vocab`, and a mark for each of the first `seq_length`
    /// positions (they come as zeros; `marks[t]` is about the prediction of `tokens[t + 1]`).
    fn sequence(&self, rng: &mut NumpyRng, tokens: &mut [u32], marks: &mut [i32]);

    /// Draws all sequences of a batch, one after the other from the same stream. Override it to share working
    /// space.
    fn fill(&self, rng: &mut NumpyRng, batch: &mut Batch) {
        batch.draw_each(|tokens, marks| self.sequence(rng, tokens, marks));
    }

    /// The exact distribution of the next token after `tokens`, the sequence so far (the first token comes after none); returns
    /// whether it is known.
    ///
    /// `distribution`, `[vocab]`, holds zeros at first. What is written there is the Bayes-optimal prediction: the mean over this
    /// sequence's latent variables given the prefix.
    /// [`check_distribution`](super::check_distribution) compares it with what is drawn.
    fn predict(&self, tokens: &[u32], distribution: &mut [f64]) -> bool {
        let _ = (tokens, distribution);
        false
    }

    /// The task's name in messages.
    fn name(&self) -> &str {
        std::any::type_name::<Self>()
    }

    /// The text of a token for a reader, such as a character.
    fn token_name(&self, token: u32) -> String {
        token.to_string()
    }

    /// The tokens that are triggers in every sequence, if the task has such.
    fn fixed_triggers(&self) -> Option<&[u32]> {
        None
    }
}
