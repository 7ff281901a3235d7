//! The loader hands out the direct stream's batches, ends cleanly, and turns a task's failure into an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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

/// Counts its sequences, pauses in each, and panics at one.
struct Fragile {
    drawn: AtomicUsize,
    breaks_at: usize,
    pause: Duration,
}

impl Fragile {
    fn stream(breaks_at: usize, pause: Duration) -> (Arc<Self>, Batches) {
        let task = Arc::new(Self { drawn: AtomicUsize::new(0), breaks_at, pause });
        let options = BatchOptions { batch_size: 1, workers: 2, ..Default::default() };
        (task.clone(), Batches::new(task, options).expect("stream"))
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
        std::thread::sleep(self.pause);
        let drawn = self.drawn.fetch_add(1, Ordering::SeqCst);
        assert_ne!(drawn, self.breaks_at, "no sequence {drawn}");
    }
    fn name(&self) -> &str {
        "my task"
    }
}

#[test]
fn a_panic_in_a_task_is_an_error_of_the_batch_it_broke_and_of_all_later_ones() {
    let (_, batches) = Fragile::stream(2, Duration::ZERO);
    let mut loader = Loader::new(batches, LoaderOptions::default()).expect("loader");
    assert!(loader.next_batch().is_ok() && loader.next_batch().is_ok());
    for _ in 0..2 {
        let message = loader.next_batch().expect_err("the third is broken").to_string();
        assert!(message.starts_with("my task panicked: ") && message.contains("no sequence 2"), "{message}");
    }
}

#[test]
fn waiting_is_measured_and_dropping_stops_the_thread() {
    let (task, batches) = Fragile::stream(usize::MAX, Duration::from_millis(100));
    let mut loader = Loader::new(batches, LoaderOptions { ahead: 1, threads: 1 }).expect("loader");
    loader.next_batch().expect("batch");
    assert!(loader.waited() > Duration::from_millis(50), "{:?}", loader.waited());
    std::thread::sleep(Duration::from_millis(250));
    loader.next_batch().expect("batch");
    assert!(loader.waited() < Duration::from_millis(80), "{:?}", loader.waited());
    drop(loader);
    let drawn = task.drawn.load(Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(task.drawn.load(Ordering::SeqCst), drawn);
    assert_eq!(Arc::strong_count(&task), 1);
}

#[test]
fn a_loader_without_threads_is_refused() {
    let message = Loader::new(stream(1), LoaderOptions { threads: 0, ahead: 1 }).err().map(|e| e.to_string());
    assert_eq!(message.as_deref(), Some("a loader of 0 threads; expected at least 1"));
}
