//! The training batches, drawn ahead on background threads.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::batches::draw;
use super::numpy::Position;
use super::{Batch, Batches, NumpyRng, StreamPosition, Task};
use crate::{Error, Result};

/// Settings of [`Loader`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoaderOptions {
    /// How many batches each thread may draw ahead of the one that is asked for: at most 65536, and as many as fit in memory.
    pub ahead: usize,
    /// The number of threads that draw; the batches do not depend on it. The paper's task needs one, a slow task of your own
    /// perhaps more.
    pub threads: usize,
}

impl Default for LoaderOptions {
    fn default() -> Self {
        Self { ahead: 2, threads: 1 }
    }
}

/// The most batches that a thread may draw ahead.
const MOST_AHEAD: usize = 1 << 16;

/// Draws [`Batches`] ahead of time on background threads: the same batches in the same order. Dropping it stops the threads.
///
/// ```
/// use std::sync::Arc;
/// use ihead::data::{BatchOptions, Batches, BigramData, Loader, LoaderOptions, TriggerOptions, TriggerTask};
///
/// # fn main() -> ihead::Result<()> {
/// let task = Arc::new(TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), TriggerOptions::default())?);
/// let batches = Batches::new(task, BatchOptions { batch_size: 4, ..Default::default() })?;
/// let mut loader = Loader::new(batches.clone(), LoaderOptions::default())?;
/// for expected in batches.take(3) {
///     assert_eq!(*loader.next_batch()?, expected?);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Loader {
    threads: Vec<DrawingThread>,
    /// Worker `w` is drawn by thread `w % threads.len()`.
    position: StreamPosition,
    /// The worker that drew the last batch, and its position before that.
    before: Option<(usize, Position)>,
    /// Batches that were handed out and may have been dropped since.
    lent: VecDeque<Arc<Batch>>,
    waited: Duration,
    /// Why there are no more batches.
    failed: Option<String>,
}

struct DrawingThread {
    /// `None` once the loader is being dropped.
    drawn: Option<Receiver<Result<Drawn>>>,
    used: Sender<Batch>,
    handle: Option<JoinHandle<()>>,
}

struct Drawn {
    batch: Batch,
    /// Of the worker's stream, after this batch.
    position: Position,
}

impl Loader {
    /// Starts to draw the next batches of `batches` on background threads.
    ///
    /// # Errors
    /// No thread, more than 65536 batches ahead, or the system cannot start a thread.
    pub fn new(batches: Batches, options: LoaderOptions) -> Result<Self> {
        if options.threads == 0 {
            return Err(Error::value("threads", 0, "at least 1"));
        }
        if options.ahead > MOST_AHEAD {
            return Err(Error::value("ahead", options.ahead, format!("at most {MOST_AHEAD} batches")));
        }
        let position = batches.position();
        let (task, size) = (batches.task().clone(), batches.options().batch_size);
        let count = options.threads.min(position.workers.len());
        let mut turns: Vec<Vec<NumpyRng>> = vec![Vec::new(); count];
        for (worker, stream) in batches.into_turns() {
            turns[worker % count].push(stream);
        }
        let start = |streams| DrawingThread::start(task.clone(), size, streams, options.ahead);
        let threads = turns.into_iter().map(start).collect::<Result<_>>()?;
        Ok(Self {
            threads,
            position,
            before: None,
            lent: VecDeque::new(),
            waited: Duration::ZERO,
            failed: None,
        })
    }

    /// Returns the next batch, and waits until it is drawn. Once every copy of the batch is dropped, its buffers are used
    /// again.
    ///
    /// # Errors
    /// The task panicked, or drew a token beyond its vocabulary; then every later call fails with the same
    /// message.
    pub fn next_batch(&mut self) -> Result<Arc<Batch>> {
        if let Some(message) = &self.failed {
            return Err(Error::usage(message));
        }
        let turn = self.position.turn;
        let at = turn % self.threads.len();
        self.give_back(at);
        let start = Instant::now();
        let received = self.threads[at].receive();
        self.waited = start.elapsed();
        let Drawn { batch, position } =
            received.inspect_err(|error| self.failed = Some(error.to_string()))?;
        self.before = Some((turn, self.position.workers[turn]));
        self.position.workers[turn] = position;
        self.position.turn = (turn + 1) % self.position.workers.len();
        let batch = Arc::new(batch);
        self.lent.push_back(batch.clone());
        Ok(batch)
    }

    /// Returns how long the last call of [`next_batch`](Self::next_batch) waited.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Returns how far the batches that were handed out have read the random streams. [`Batches::resume`] continues from there.
    pub fn position(&self) -> &StreamPosition {
        &self.position
    }

    /// Returns the position before the last batch that was handed out. A stream that is continued from there draws that batch
    /// again.
    pub fn position_before(&self) -> StreamPosition {
        let mut position = self.position.clone();
        if let Some((turn, before)) = self.before {
            (position.turn, position.workers[turn]) = (turn, before);
        }
        position
    }

    /// Sends the buffers of dropped batches to a thread; of batches that are kept for good, the oldest is
    /// forgotten.
    fn give_back(&mut self, thread: usize) {
        const REMEMBERED: usize = 8;
        for _ in 0..self.lent.len() {
            let Some(batch) = self.lent.pop_front() else { break };
            match Arc::try_unwrap(batch) {
                // A thread that has ended needs no buffers.
                Ok(batch) => drop(self.threads[thread].used.send(batch)),
                Err(batch) => self.lent.push_back(batch),
            }
        }
        while self.lent.len() > REMEMBERED {
            self.lent.pop_front();
        }
    }
}

impl DrawingThread {
    fn start(task: Arc<dyn Task>, size: usize, mut streams: Vec<NumpyRng>, ahead: usize) -> Result<Self> {
        let (sender, drawn) = sync_channel(ahead.max(1) - 1);
        let (used, buffers) = channel();
        let work = move || draw_all(&*task, size, &mut streams, &sender, &buffers);
        let handle = std::thread::Builder::new()
            .name("data".into())
            .spawn(work)
            .map_err(|e| Error::device("cpu", format!("cannot start a thread that draws batches: {e}")))?;
        Ok(Self { drawn: Some(drawn), used, handle: Some(handle) })
    }

    fn receive(&self) -> Result<Drawn> {
        let ended = || Err(Error::device("cpu", "the thread that draws batches has ended"));
        self.drawn.as_ref().map_or_else(ended, |drawn| drawn.recv().unwrap_or_else(|_| ended()))
    }
}

impl Drop for DrawingThread {
    fn drop(&mut self) {
        // Without a receiver the thread ends after the batch it is drawing; a panic was already reported as an
        // error.
        self.drawn = None;
        if let Some(handle) = self.handle.take() {
            let _ = handle.join();
        }
    }
}

/// Draws from `streams` in turn until the loader is dropped or the task fails.
fn draw_all(
    task: &dyn Task,
    size: usize,
    streams: &mut [NumpyRng],
    sender: &SyncSender<Result<Drawn>>,
    buffers: &Receiver<Batch>,
) {
    loop {
        for stream in &mut *streams {
            let mut batch = buffers.try_recv().unwrap_or_default();
            let drawn = Error::or_panicked(task.name(), || draw(task, stream, size, &mut batch))
                .map(|()| Drawn { batch, position: stream.position() });
            let failed = drawn.is_err();
            if sender.send(drawn).is_err() || failed {
                return;
            }
        }
    }
}
