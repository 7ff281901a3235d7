//! A training step of both models at small batches, one thread.
#![allow(missing_docs)]
mod readme;

use divan::Bencher;
use ihead::config::Config as _;
use ihead::engine::{CpuEngine, Engine, Request, RowSet, ignore};
use ihead::graph::{Model, record};
use ihead::model::{Full, FullArgs};
use ihead::nn::Params;
use readme::SEQ;

fn main() {
    divan::main();
}

fn step(bencher: Bencher<'_, '_>, model: &impl Model, batch: usize, loss: RowSet) {
    let (batch, rows) = readme::batch(batch);
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
    step(bencher, &readme::model(), batch, RowSet::Set(0));
}

#[divan::bench(args = [32, 64], sample_count = 5)]
fn full(bencher: Bencher<'_, '_>, batch: usize) {
    let model =
        Full::new(65, &FullArgs { max_length: SEQ, dim: 128, ..FullArgs::defaults() }).unwrap().init(1);
    step(bencher, &model, batch, RowSet::All);
}
