//! What a training step allocates once its buffers are warm, counted over all threads: nothing a sequence.
//!
//! Inside a call the `gemm` crate takes flags (aligned to one byte) and packing buffers (aligned to 128) and gives them
//! back. They are left out by their alignment: whatever this crate holds is of numbers or pointers.
#![allow(missing_docs, unsafe_code)]
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ihead::config::Config as _;
use ihead::data::numpy::NumpyRng;
use ihead::data::{BigramData, TriggerOptions, TriggerTask, sample};
use ihead::engine::CpuEngine;
use ihead::engine::{Engine, Request, RowLists, RowSet, ignore};
use ihead::graph::{Model, record};
use ihead::model::{Full, FullArgs, Simplified, SimplifiedArgs};
use ihead::nn::Params;

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if (2..=16).contains(&layout.align()) {
            COUNT.fetch_add(1, Ordering::Relaxed);
        }
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
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
fn a_sequence_allocates_nothing_outside_of_gemm() {
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
