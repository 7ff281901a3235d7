//! What names cost: a training step of the simplified model as it is, with every activation named, and of the same formulas
//! without any name; then with edits.
#![allow(missing_docs)]
mod readme;
#[path = "../tests/all/common/unnamed.rs"]
mod unnamed;

use divan::Bencher;
use ihead::engine::{CpuEngine, Engine, Request, RowSet, ignore};
use ihead::graph::{Edits, Graph, record, record_with};
use ihead::model::Simplified;
use ihead::nn::Params;
use readme::{SEQ, model};
use unnamed::Unnamed;

fn main() {
    divan::main();
}

fn step(bencher: Bencher<'_, '_>, model: &Simplified<usize, usize, usize>, graph: &Graph) {
    let (batch, rows) = readme::batch(32);
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
