//! A run: what it measures and when, what it writes, and what it refuses before its first step.
mod continued;
mod edited;
mod panics;
mod records;
mod refused;
mod timeline;

use std::sync::Arc;

use ihead::config::Config;
use ihead::data::{Batch, BatchOptions, Batches, BigramData, NumpyRng, TriggerOptions, TriggerTask, sample};
use ihead::model::{Simplified, SimplifiedArgs};
use ihead::run::Run;

pub type Model = Simplified<usize, usize, usize>;

pub fn task() -> TriggerTask {
    let options = TriggerOptions { k: 3, seq_length: 16, ..Default::default() };
    TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options).unwrap()
}

pub fn model() -> Model {
    let sizes = SimplifiedArgs { max_length: 16, dim: 8, ..SimplifiedArgs::defaults() };
    Simplified::new(65, &sizes).unwrap().init(0)
}

pub fn batches() -> Batches {
    Batches::new(Arc::new(task()), BatchOptions { batch_size: 4, seed: 0, workers: 1 }).unwrap()
}

pub fn test_batch() -> Batch {
    sample(&task(), &mut NumpyRng::new(&[0]), 8).unwrap()
}

pub fn run() -> Run<Model> {
    Run::new(model(), batches()).threads(1).quiet()
}
