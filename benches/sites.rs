//! What names cost: a training step of the simplified model as it is, with every activation named, and of the same formulas
//! without any name; then with edits.
#![allow(missing_docs)]
#[path = "../tests/all/common/unnamed.rs"]
mod unnamed;

use std::sync::Arc;

use divan::Bencher;
use ihead::config::Config as _;
use ihead::data::{BigramData, NumpyRng, TriggerOptions, TriggerTask, sample};
use ihead::engine::CpuEngine;
use ihead::engine::{Engine, Request, RowLists, RowSet, ignore};
use ihead::graph::{Edits, Graph, record, record_with};
use ihead::model::{Simplified, SimplifiedArgs};
use ihead::nn::Params;
use unnamed::Unnamed;

const SEQ: usize = 256;

fn main() {
    divan::main();
}

fn model() -> Simplified<usize, usize, usize> {
    let args = SimplifiedArgs {
        max_length: SEQ,
        dim: 256,
        freeze_embeddings: true,
        freeze_output: true,
        ..SimplifiedArgs::defaults()
    };
    Simplified::new(65, &args).unwrap().init(1)
}

fn step(bencher: Bencher<'_, '_>, model: &Simplified<usize, usize, usize>, graph: &Graph) {
    let options = TriggerOptions { k: 5, fixed_special_toks: true, seq_length: SEQ, ..Default::default() };
    let task = TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options).unwrap();
    let batch = sample(&task, &mut NumpyRng::new(&[42, 0]), 32).unwrap();
    let rows = [RowLists::select(&batch, |_, mark| mark >= 2)];
    let params = Params::of(model);
    let request = Request::loss(RowSet::Set(0));
    let mut engine = CpuEngine::<f32>::new(graph, &request, &|id| params.trains(id), 1).unwrap();
    let mut run = || engine.run(&params, &batch, &rows, &ignore).unwrap();
    run();
    bencher.bench_local(run);
}

#[divan::bench(sample_count = 15)]
fn named(bencher: Bencher<'_, '_>) {
    let model = model();
    step(bencher, &model, &record(&model, SEQ).unwrap());
}

#[divan::bench(sample_count = 15)]
fn unnamed(bencher: Bencher<'_, '_>) {
    let model = model();
    step(bencher, &model, &record(&Unnamed(&model), SEQ).unwrap());
}

#[divan::bench(sample_count = 15, args = [
    "layers.0.attention.pattern=previous_token",
    "layers.1.attention.pattern=induction",
    "layers.0.attention.out=ablate",
])]
fn edited(bencher: Bencher<'_, '_>, edits: &str) {
    let (model, edits) = (model(), edits.parse::<Edits>().unwrap());
    step(bencher, &model, &record_with(&model, SEQ, &edits).unwrap());
}
