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
use ihead::nn::ModuleExt;
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

/// The weights, in the order of the model.
pub fn weights(model: &Model) -> Vec<f64> {
    model.tensors().iter().flat_map(|(_, _, tensor)| tensor.data().double().into_owned()).collect()
}

pub fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    // a number that is none is as far as can be; `max` alone would pass over it
    let apart = |(a, b): (&f64, &f64)| if (a - b).is_nan() { f64::INFINITY } else { (a - b).abs() };
    a.iter().zip(b).map(apart).fold(0.0, f64::max)
}

#[test]
fn a_number_that_is_none_is_no_agreement() {
    assert_eq!(largest_difference(&[0.0, f64::NAN, 0.0], &[0.5, 0.0, 0.0]), f64::INFINITY);
    assert_eq!(largest_difference(&[0.0, 1.0], &[0.5, 1.0]), 0.5);
}

pub fn run() -> Run<Model> {
    Run::new(model(), batches()).threads(1).quiet()
}
