//! The training batches, which are a function of their seed, and batches to measure on.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::numpy::Position;
use super::{Batch, NumpyRng, Task};
use crate::{Error, Result};

/// The most tokens of a batch: 3 GB of buffers.
const MAX_TOKENS: usize = 1 << 28;

/// Settings of [`Batches`], with the simplified program's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// The number of sequences in a batch.
    pub batch_size: usize,
    /// The seed of the random streams (`seed`).
    pub seed: u64,
    /// The number of random streams from which batches are taken in turn (`num_data_workers`). It decides which data are drawn, not
    /// how many threads draw them.
    pub workers: usize,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self { batch_size: 512, seed: 42, workers: 60 }
    }
}

/// The stream of training batches `[batch_size, seq_length]`. Worker `w` draws whole batches from the random stream
/// `default_rng([seed, w])`; batches are taken from the workers in turn, `w = 0, 1, ...`.
///
/// ```
/// use std::sync::Arc;
/// use ihead::data::{BatchOptions, Batches, BigramData, TriggerOptions, TriggerTask};
///
/// # fn main() -> ihead::Result<()> {
/// let task = Arc::new(TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), TriggerOptions::default())?);
/// let options = BatchOptions { batch_size: 2, workers: 3, ..Default::default() };
/// let mut batches = Batches::new(task.clone(), options.clone())?;
/// batches.next_batch()?;
/// let position = batches.position(); // say, written to a checkpoint
/// let mut resumed = Batches::new(task, options)?.resume(&position)?;
/// assert_eq!(resumed.next_batch()?, batches.next_batch()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Batches {
    task: Arc<dyn Task>,
    options: BatchOptions,
    /// `[workers]`
    streams: Vec<NumpyRng>,
    /// The worker whose turn it is.
    turn: usize,
}

/// The position in the random streams after some batches. Together with the task and the options it is all that is needed to
/// continue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamPosition {
    /// The worker whose turn it is.
    pub turn: usize,
    /// The position of each worker's stream.
    pub workers: Vec<Position>,
}

/// The most random streams.
const MOST_WORKERS: usize = 65_536;

impl Batches {
    /// Makes the stream of batches of `task`, at its beginning.
    ///
    /// # Errors
    /// No worker or more than 65536, an empty batch, a batch of more than 2^28 tokens, a task of length 0.
    pub fn new(task: Arc<dyn Task>, options: BatchOptions) -> Result<Self> {
        if !(1..=MOST_WORKERS).contains(&options.workers) {
            return Err(Error::value("workers", options.workers, format!("1 to {MOST_WORKERS}")));
        }
        if options.batch_size == 0 {
            return Err(Error::value("batch_size", 0, "at least 1"));
        }
        check_size(&*task, options.batch_size)?;
        let streams = (0..options.workers as u64).map(|w| NumpyRng::new(&[options.seed, w])).collect();
        Ok(Self { task, options, streams, turn: 0 })
    }

    /// Continues the stream from `position`, without drawing anything again.
    ///
    /// # Errors
    /// The position was taken with another number of workers, or is further than any stream can have been read.
    pub fn resume(mut self, position: &StreamPosition) -> Result<Self> {
        let workers = self.options.workers;
        if position.workers.len() != workers || position.turn >= workers {
            let found = position.workers.len();
            let expected =
                format!("{found}, with which the data's position was saved (turn {})", position.turn);
            return Err(Error::value("workers", workers, expected));
        }
        // what no run can have drawn could not be counted any further
        if let Some(damaged) = position.workers.iter().find(|position| position.words > u64::MAX / 2) {
            return Err(Error::value("words drawn by a worker", damaged.words, "less than 2^63"));
        }
        for (w, (stream, position)) in self.streams.iter_mut().zip(&position.workers).enumerate() {
            *stream = NumpyRng::resume(&[self.options.seed, w as u64], *position);
        }
        self.turn = position.turn;
        Ok(self)
    }

    /// Returns how far the random streams have been read.
    pub fn position(&self) -> StreamPosition {
        StreamPosition { turn: self.turn, workers: self.streams.iter().map(NumpyRng::position).collect() }
    }

    /// Returns the task whose sequences are drawn.
    pub fn task(&self) -> &Arc<dyn Task> {
        &self.task
    }

    /// Returns the settings of the stream.
    pub fn options(&self) -> &BatchOptions {
        &self.options
    }

    /// Draws the next batch and returns it.
    ///
    /// # Errors
    /// The task drew a token beyond its vocabulary, or its own `fill` changed the batch's size.
    pub fn next_batch(&mut self) -> Result<Batch> {
        let mut batch = Batch::default();
        self.next_into(&mut batch)?;
        Ok(batch)
    }

    /// Draws the next batch into `batch`, whose buffers are reused.
    ///
    /// # Errors
    /// As for [`next_batch`](Self::next_batch).
    pub fn next_into(&mut self, batch: &mut Batch) -> Result<()> {
        let stream = &mut self.streams[self.turn];
        self.turn = (self.turn + 1) % self.options.workers;
        draw(&*self.task, stream, self.options.batch_size, batch)
    }

    /// Takes the streams apart: `(worker, stream)` from the one whose turn it is, for each to be drawn from
    /// elsewhere.
    pub(super) fn into_turns(self) -> Vec<(usize, NumpyRng)> {
        let mut turns: Vec<_> = self.streams.into_iter().enumerate().collect();
        turns.rotate_left(self.turn);
        turns
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    /// The next batch; there is always one.
    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_batch())
    }
}

/// Draws a batch to measure on: `batch` sequences of the task, `[batch, seq_length]`, from the random stream `rng`.
///
/// # Errors
/// More than 2^28 tokens, a task of length 0, or the errors of [`Batches::next_batch`].
pub fn sample(task: &dyn Task, rng: &mut NumpyRng, batch: usize) -> Result<Batch> {
    check_size(task, batch)?;
    let mut drawn = Batch::default();
    draw(task, rng, batch, &mut drawn)?;
    Ok(drawn)
}

/// Draws a batch over `batch` and checks the tokens.
pub(super) fn draw(task: &dyn Task, rng: &mut NumpyRng, size: usize, batch: &mut Batch) -> Result<()> {
    batch.reshape(size, task.seq_length());
    task.fill(rng, batch);
    let (expected, found) = ([size, task.seq_length()], [batch.batch, batch.seq]);
    if found != expected {
        return Err(Error::shape(format!("the batch of {}", task.name()), &expected, &found));
    }
    if let Some((what, found)) = batch.misfit() {
        let tokens = size * task.seq_length();
        return Err(Error::shape(format!("{what} of {}", task.name()), &[tokens], &[found]));
    }
    let most = batch.x.iter().chain(&batch.y).fold(0, |most, token| most.max(*token));
    if (most as usize) < task.vocab() {
        return Ok(());
    }
    Err(Error::value(
        task.name(),
        format!("drew token {most}"),
        format!("below its vocab = {}", task.vocab()),
    ))
}

fn check_size(task: &dyn Task, batch: usize) -> Result<()> {
    if task.seq_length() == 0 {
        return Err(Error::value(task.name(), "seq_length 0", "at least 1"));
    }
    match batch.checked_mul(task.seq_length()) {
        Some(tokens) if tokens <= MAX_TOKENS => Ok(()),
        _ => {
            let found = format!("{batch} sequences of {}", task.seq_length());
            Err(Error::value("batch_size", found, format!("at most {MAX_TOKENS} tokens in all")))
        }
    }
}
