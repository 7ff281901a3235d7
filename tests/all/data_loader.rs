//! The loader hands out the direct stream's batches, ends cleanly, and turns a task's failure into an error.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use ihead::data::{
    BatchOptions, Batches, BigramData, Loader, LoaderOptions, NumpyRng, Task, TriggerOptions, TriggerTask,
};

fn stream(workers: usize) -> Batches {
    let options = TriggerOptions { k: 3, seq_length: 20, ..Default::default() };
    let task = TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options).expect("task");
    let options = BatchOptions { batch_size: 3, workers, ..Default::default() };
    Batches::new(Arc::new(task), options).expect("stream")
}

#[test]
fn loaded_batches_are_the_direct_stream_for_any_number_of_workers_and_threads() {
    for workers in [1, 2, 5] {
        for (threads, ahead) in [(1, 0), (1, 2), (2, 1), (3, 4), (9, 2)] {
            let mut direct = stream(workers);
            let mut loader = Loader::new(stream(workers), LoaderOptions { ahead, threads }).expect("loader");
            let mut kept = Vec::new();
            for i in 0..17 {
                let batch = loader.next_batch().expect("batch");
                assert_eq!(*batch, direct.next_batch().expect("batch"), "{workers} {threads} {i}");
                assert_eq!(*loader.position(), direct.position());
                if i % 3 == 0 {
                    kept.push((batch.clone(), batch.as_ref().clone()));
                }
            }
            // What the user still holds is not written over.
            assert!(kept.iter().all(|(held, copy)| **held == *copy));
        }
    }
}

#[test]
fn a_loader_goes_on_from_the_position_of_the_last_batch_handed_out() {
    let mut loader = Loader::new(stream(5), LoaderOptions { ahead: 3, threads: 2 }).expect("loader");
    (0..7).for_each(|_| drop(loader.next_batch().expect("batch")));
    let position = loader.position().clone();
    let resumed = stream(5).resume(&position).expect("resumed");
    let mut resumed = Loader::new(resumed, LoaderOptions { ahead: 1, threads: 3 }).expect("loader");
    for _ in 0..8 {
        assert_eq!(resumed.next_batch().expect("batch"), loader.next_batch().expect("batch"));
    }
}

/// Counts its sequences, starts each when the test does, and panics at one.
struct Fragile {
    drawn: AtomicUsize,
    breaks_at: usize,
    start: Option<Barrier>,
}

impl Fragile {
    fn stream(breaks_at: usize, start: Option<Barrier>) -> (Arc<Self>, Batches) {
        let task = Arc::new(Self { drawn: AtomicUsize::new(0), breaks_at, start });
        let options = BatchOptions { batch_size: 1, workers: 2, ..Default::default() };
        (task.clone(), Batches::new(task, options).expect("stream"))
    }

    /// A task whose sequences each begin with a call of [`begin`](Self::begin), and the loader that draws them.
    fn at_a_barrier() -> (Arc<Self>, Loader) {
        let (task, batches) = Self::stream(usize::MAX, Some(Barrier::new(2)));
        (task, Loader::new(batches, LoaderOptions { ahead: 1, threads: 1 }).expect("loader"))
    }

    /// Waits until the other thread is here as well.
    fn begin(&self) {
        if let Some(barrier) = &self.start {
            barrier.wait();
        }
    }
}

impl Task for Fragile {
    fn vocab(&self) -> usize {
        2
    }
    fn seq_length(&self) -> usize {
        1
    }
    fn sequence(&self, _: &mut NumpyRng, _: &mut [u32], _: &mut [i32]) {
        self.begin();
        let drawn = self.drawn.fetch_add(1, Ordering::SeqCst);
        assert_ne!(drawn, self.breaks_at, "no sequence {drawn}");
    }
    fn name(&self) -> &str {
        "my task"
    }
}

#[test]
fn a_panic_in_a_task_is_an_error_of_the_batch_it_broke_and_of_all_later_ones() {
    let (_, batches) = Fragile::stream(2, None);
    let mut loader = Loader::new(batches, LoaderOptions::default()).expect("loader");
    assert!(loader.next_batch().is_ok() && loader.next_batch().is_ok());
    for _ in 0..2 {
        let message = loader.next_batch().expect_err("the third is broken").to_string();
        assert!(message.starts_with("my task panicked: ") && message.contains("no sequence 2"), "{message}");
    }
}

/// Only what holds on a machine of any speed: waiting is a part of the call, and of this call alone.
#[test]
fn waiting_is_measured_call_by_call() {
    let (task, mut loader) = Fragile::at_a_barrier();
    assert_eq!(loader.waited(), Duration::ZERO);
    let begin_late = || {
        std::thread::sleep(Duration::from_millis(50));
        task.begin();
    };
    let (first, second) = std::thread::scope(|scope| {
        scope.spawn(begin_late);
        let first = wait_of_next(&mut loader);
        task.begin(); // the second sequence is drawn before it is asked for
        (first, wait_of_next(&mut loader))
    });
    for (waited, call) in [first, second] {
        assert!(Duration::ZERO < waited && waited <= call, "waited {waited:?} in a call of {call:?}");
    }
    end(&task, loader);
}

/// How long the loader says that it waited for the next batch, and how long the call took.
fn wait_of_next(loader: &mut Loader) -> (Duration, Duration) {
    let start = Instant::now();
    loader.next_batch().expect("batch");
    (loader.waited(), start.elapsed())
}

/// Drops the loader, whose thread waits to begin a sequence.
fn end(task: &Fragile, loader: Loader) {
    std::thread::scope(|scope| {
        scope.spawn(|| task.begin());
        drop(loader);
    });
}

#[test]
fn dropping_a_loader_ends_its_thread_after_the_sequence_that_it_draws() {
    let (task, mut loader) = Fragile::at_a_barrier();
    for _ in 0..2 {
        std::thread::scope(|scope| {
            scope.spawn(|| task.begin());
            loader.next_batch().expect("batch");
        });
    }
    assert_eq!(task.drawn.load(Ordering::SeqCst), 2, "the third waits");
    end(&task, loader);
    assert_eq!(task.drawn.load(Ordering::SeqCst), 3);
    assert_eq!(Arc::strong_count(&task), 1, "the thread has given back its task");
}

#[test]
fn a_loader_without_threads_is_refused() {
    let message = Loader::new(stream(1), LoaderOptions { threads: 0, ahead: 1 }).err().map(|e| e.to_string());
    assert_eq!(message.as_deref(), Some("threads: 0; expected at least 1"));
}

#[test]
fn more_batches_ahead_than_any_memory_holds_are_refused() {
    for ahead in [usize::MAX, 1 << 40, (1 << 16) + 1] {
        let error = Loader::new(stream(1), LoaderOptions { ahead, threads: 1 }).err().expect("refused");
        assert_eq!(error.to_string(), format!("ahead: {ahead}; expected at most 65536 batches"));
    }
    assert!(Loader::new(stream(1), LoaderOptions { ahead: 1 << 16, threads: 1 }).is_ok());
}
