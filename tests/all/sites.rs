//! Names of activations: what they name, and that they cost nothing.
use std::sync::Arc;

use ihead::config::Config;
use ihead::data::{BigramData, NumpyRng, TriggerOptions, TriggerTask, sample};
use ihead::engine::CpuEngine;
use ihead::engine::{Engine, Request, RowLists, RowSet, ignore};
use ihead::graph::{Graph, Model, record};
use ihead::model::{Simplified, SimplifiedArgs};
use ihead::nn::{ModuleExt, Params};

use crate::common::unnamed::Unnamed;

const SEQ: usize = 48;

/// The gradient of each parameter, as bits.
type Gradients = Vec<(String, Option<Vec<u32>>)>;

/// The loss and every gradient of one step, as bits.
fn step(model: &impl Model, graph: &Graph) -> (u64, Gradients) {
    let options = TriggerOptions { k: 3, seq_length: SEQ, ..Default::default() };
    let task = TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options).unwrap();
    let batch = sample(&task, &mut NumpyRng::new(&[1]), 20).unwrap();
    let rows = [RowLists::select(&batch, |_, mark| mark >= 2)];
    let params = Params::of(model);
    let request = Request::loss(RowSet::Set(0));
    let mut engine = CpuEngine::<f32>::new(graph, &request, &|id| params.trains(id), 2).unwrap();
    let loss = engine.run(&params, &batch, &rows, &ignore).unwrap();
    let bits = |gradient: &[f32]| gradient.iter().map(|g| g.to_bits()).collect();
    let gradients = model.tensors().into_iter().map(|(name, _, p)| (name, engine.gradient(p.id()).map(bits)));
    (loss.to_bits(), gradients.collect())
}

/// The names are beside the graph, not in it: nothing is computed otherwise, to the last bit.
#[test]
fn a_name_that_nobody_asks_for_changes_nothing() {
    let args = SimplifiedArgs { max_length: SEQ, dim: 32, ..SimplifiedArgs::defaults() };
    let model = Simplified::new(65, &args).unwrap().init(5);
    let (named, unnamed) = (record(&model, SEQ).unwrap(), record(&Unnamed(&model), SEQ).unwrap());
    assert!(named.sites().len() > 20, "{:?}", named.sites());
    assert_eq!(unnamed.sites().len(), 1, "the logits alone");
    assert_eq!(named.len(), unnamed.len());
    assert_eq!(step(&model, &named), step(&Unnamed(&model), &unnamed));
}
