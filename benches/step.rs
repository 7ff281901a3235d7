//! A training step of both models at small batches, one thread.
#![allow(missing_docs)]
use std::sync::Arc;

use divan::Bencher;
use ihead::config::Config as _;
use ihead::data::numpy::NumpyRng;
use ihead::data::{BigramData, TriggerOptions, TriggerTask, sample};
use ihead::engine::CpuEngine;
use ihead::engine::{Engine, Request, RowLists, RowSet, ignore};
use ihead::graph::{Model, record};
use ihead::model::{Full, FullArgs, Simplified, SimplifiedArgs};
use ihead::nn::Params;

const SEQ: usize = 256;

fn main() {
    divan::main();
}

fn step(bencher: Bencher<'_, '_>, model: &impl Model, batch: usize, loss: RowSet) {
    let options = TriggerOptions { k: 5, fixed_special_toks: true, seq_length: SEQ, ..Default::default() };
    let task = TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options).unwrap();
    let batch = sample(&task, &mut NumpyRng::new(&[42, 0]), batch).unwrap();
    let rows = [RowLists::select(&batch, |_, mark| mark >= 2)];
    let params = Params::of(model);
    let request = Request::loss(loss);
    let mut engine =
        CpuEngine::<f32>::new(&record(model, SEQ).unwrap(), &request, &|id| params.trains(id), 1).unwrap();
    let mut run = || engine.run(&params, &batch, &rows, &ignore).unwrap();
    run();
    bencher.bench_local(run);
}

#[divan::bench(args = [32, 64], sample_count = 5)]
fn readme(bencher: Bencher<'_, '_>, batch: usize) {
    let args = SimplifiedArgs {
        max_length: SEQ,
        dim: 256,
        freeze_embeddings: true,
        freeze_output: true,
        ..SimplifiedArgs::defaults()
    };
    let model = Simplified::new(65, &args).unwrap().init(1);
    step(bencher, &model, batch, RowSet::Set(0));
}

#[divan::bench(args = [32, 64], sample_count = 5)]
fn full(bencher: Bencher<'_, '_>, batch: usize) {
    let model =
        Full::new(65, &FullArgs { max_length: SEQ, dim: 128, ..FullArgs::defaults() }).unwrap().init(1);
    step(bencher, &model, batch, RowSet::All);
}
