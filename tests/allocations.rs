//! What a training step allocates once its buffers are warm, counted over all threads: nothing a sequence; and what is
//! held after 1,000 and after 20,000 steps: the same.
//!
//! On processors other than x86-64, products are those of the `gemm` crate, which takes flags (aligned to one byte) and packing
//! buffers (aligned to 128) in each call and gives them back. There they are left out by their alignment: whatever this crate
//! holds is of numbers or pointers.
#![allow(missing_docs, unsafe_code)]
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ihead::config::Config as _;
use ihead::data::numpy::NumpyRng;
use ihead::data::{BatchOptions, Batches, BigramData, TriggerOptions, TriggerTask, sample};
use ihead::engine::CpuEngine;
use ihead::engine::{Engine, Request, RowLists, RowSet, ignore};
use ihead::graph::{Model, record};
use ihead::model::{Full, FullArgs, Simplified, SimplifiedArgs};
use ihead::nn::Params;
use ihead::probe::Metric;
use ihead::run::Run;
use ihead::train::Step;
use ihead::train::optim::{AdamW, Optim, Sgd};

/// The system's allocator, with two counts.
///
/// This is the one `unsafe` code of the tests. The crates that count allocations were weighed first: none of those that are
/// small counts what all threads take and can leave out what `gemm` does, and `dhat` would bring twenty crates for backtraces. It is sound
/// because it is a plain wrapper: each call is passed on with the caller's own arguments, and the system's answer is
/// returned unchanged; whatever a caller of `GlobalAlloc` must hold to, it holds to towards [`System`]. What is added
/// cannot unwind, allocate or wait: two relaxed additions to atomics, which nothing but the tests reads. `alloc_zeroed` and
/// `realloc` are the trait's own, in terms of the two functions here, so that both counts see them.
struct Counting;

/// Allocations, but for those of `gemm`.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Bytes that are held, of any alignment.
static HELD: AtomicIsize = AtomicIsize::new(0);
/// What one test counts, another must not add to.
static ALONE: Mutex<()> = Mutex::new(());

// SAFETY: a wrapper of the system's allocator that changes neither arguments nor answers, see above.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if cfg!(target_arch = "x86_64") || (2..=16).contains(&layout.align()) {
            COUNT.fetch_add(1, Ordering::Relaxed);
        }
        HELD.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller has seen to it that the size of `layout` is not zero.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: `ptr` is the caller's from `alloc` above with this `layout`, so the system's allocator gave it.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of one step of `batch` sequences, after two that warm up.
fn allocations(model: &impl Model, batch: usize, loss: RowSet) -> usize {
    let task = TriggerTask::new(
        Arc::new(BigramData::tiny_shakespeare()),
        TriggerOptions { k: 5, fixed_special_toks: true, seq_length: 64, ..Default::default() },
    );
    let batch = sample(&task.unwrap(), &mut NumpyRng::new(&[42, 0]), batch).unwrap();
    let rows = [RowLists::select(&batch, |_, mark| mark >= 2)];
    let params = Params::of(model);
    let request = Request::loss(loss);
    let mut engine =
        CpuEngine::<f32>::new(&record(model, 64).unwrap(), &request, &|id| params.trains(id), 1).unwrap();
    for _ in 0..2 {
        engine.run(&params, &batch, &rows, &ignore).unwrap();
    }
    let before = COUNT.load(Ordering::Relaxed);
    engine.run(&params, &batch, &rows, &ignore).unwrap();
    COUNT.load(Ordering::Relaxed) - before
}

#[test]
fn a_sequence_allocates_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let args =
        SimplifiedArgs { max_length: 64, dim: 32, freeze_embeddings: true, ..SimplifiedArgs::defaults() };
    let simplified = Simplified::new(65, &args).unwrap().init(1);
    let full = Full::new(65, &FullArgs { max_length: 64, dim: 32, ..FullArgs::defaults() }).unwrap().init(1);
    let per_sequence = [
        (
            "simplified",
            allocations(&simplified, 32, RowSet::Set(0)),
            allocations(&simplified, 96, RowSet::Set(0)),
        ),
        ("full", allocations(&full, 32, RowSet::All), allocations(&full, 96, RowSet::All)),
    ];
    for (model, few, many) in per_sequence {
        assert_eq!(few, many, "{model}: allocations of a step of 32 and of 96 sequences");
    }
}

/// Bytes held after 1,000 and after 20,000 steps of a run.
fn held<M: Model<Vocab = usize>>(model: M, optim: impl Into<Optim>) -> [isize; 2] {
    let options = TriggerOptions { k: 2, seq_length: 8, ..Default::default() };
    let task = TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options).unwrap();
    let test = sample(&task, &mut NumpyRng::new(&[0]), 2).unwrap();
    let batches = Batches::new(Arc::new(task), BatchOptions { batch_size: 2, seed: 0, workers: 1 }).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut held = Vec::new();
    let watch = &mut |step: &Step<'_, M>| {
        if [1_000, 19_999].contains(&step.iteration) {
            held.push(HELD.load(Ordering::Relaxed));
        }
        Ok(())
    };
    Run::new(model, batches)
        .optim(optim)
        // elsewhere than on x86-64, the second may take a megabyte for its first product at any step: `gemm` keeps it for each thread
        .threads(if cfg!(target_arch = "x86_64") { 2 } else { 1 })
        .every(500)
        .on(&test, [Metric::loss("loss")])
        .save_to(dir.path().join("run"))
        .quiet()
        .train_watched(Some(20_000), watch)
        .unwrap();
    held.try_into().unwrap()
}

#[test]
fn twenty_thousand_steps_hold_no_more_than_a_thousand() {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let args = SimplifiedArgs { max_length: 8, dim: 2, ..SimplifiedArgs::defaults() };
    let simplified = Simplified::new(65, &args).unwrap().init(1);
    let args = FullArgs { max_length: 8, dim: 2, n_heads: 1, ..FullArgs::defaults() };
    let full = Full::new(65, &args).unwrap().init(1);
    for (model, [early, late]) in [
        ("simplified", held(simplified, Sgd::new(0.01).momentum(0.9))),
        ("full", held(full, AdamW::new(0.001))),
    ] {
        println!("{model}: {early} bytes held at step 1,000, {late} at step 20,000");
        // 38 evaluations more are in the history, of about 50 bytes each; some batches are drawn ahead
        assert!((late - early).abs() < 10_000, "{model}: {early} bytes held, then {late}");
    }
}
