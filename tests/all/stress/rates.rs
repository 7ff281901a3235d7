//! Learning rates to 1e6: a run ends as `docs/faults.md` says, or stays finite.
use std::sync::Arc;

use ihead::config::Config;
use ihead::data::{BatchOptions, Batches, BigramData, NumpyRng, TriggerOptions, TriggerTask, sample};
use ihead::graph::Model;
use ihead::model::{Full, FullArgs, Simplified, SimplifiedArgs, Transformer, TransformerArgs};
use ihead::nn::ModuleExt;
use ihead::probe::Metric;
use ihead::run::Run;
use ihead::train::optim::{AdamW, Optim, Sgd};
use ihead::train::{Compute, OnDivergence, Precision};

const STEPS: usize = 40;

fn task() -> TriggerTask {
    let options = TriggerOptions { k: 3, seq_length: 8, ..Default::default() };
    TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options).unwrap()
}

/// Trains a model; whether it diverged.
fn train<M: Model<Vocab = usize>>(
    model: M,
    optim: Optim,
    compute: Compute,
    then: OnDivergence,
    what: &str,
) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    let batches =
        Batches::new(Arc::new(task()), BatchOptions { batch_size: 2, seed: 0, workers: 1 }).unwrap();
    let test = sample(&task(), &mut NumpyRng::new(&[0]), 4).unwrap();
    let metrics = [Metric::loss("test_loss"), Metric::accuracy("accuracy")];
    let mut run = Run::new(model, batches)
        .optim(optim)
        .compute(compute)
        .every(1)
        .on(&test, metrics)
        .save_to(&folder)
        .on_divergence(then)
        .quiet();
    let diverged = match run.train(STEPS) {
        Ok(_) => false,
        Err(error) => {
            let error = error.to_string();
            assert!(error.starts_with("diverged at iteration "), "{what}: {error}");
            assert!(!error.contains('\n'), "{what}: {error}");
            true
        }
    };
    assert!(!diverged || then == OnDivergence::Stop, "{what}");
    let records = std::fs::read_to_string(folder.join("res.jsonl")).unwrap();
    for line in records.lines() {
        // what is not finite is no JSON: it is null
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(record.is_object(), "{what}: {line}");
        // and the run then ends at this step, or it had better not
        if then == OnDivergence::Stop && !record["test_loss"].is_number() {
            assert!(diverged, "{what}: {line}");
        }
    }
    if then == OnDivergence::Stop {
        for (name, _, tensor) in run.model().tensors() {
            assert!(tensor.values().iter().all(|v| v.is_finite()), "{what}: {name}");
        }
    } else {
        assert_eq!(records.lines().count(), STEPS, "{what}");
    }
    diverged
}

/// One model with both optimisers, at all rates, in both precisions; how many runs diverged.
fn every_rate<M: Model<Vocab = usize>>(model: impl Fn() -> M, name: &str) -> usize {
    let mut diverged = 0;
    for rate in [1.0, 1e2, 1e4, 1e6] {
        for optim in [
            Optim::Sgd(Sgd::new(rate).momentum(0.9).weight_decay(1e-4)),
            Optim::AdamW(AdamW::new(rate).weight_decay(0.1)),
        ] {
            for precision in [Precision::Single, Precision::Double] {
                for then in [OnDivergence::Stop, OnDivergence::Continue] {
                    let what = format!("{name}, {optim:?}, {precision:?}, {then:?}");
                    let compute = Compute { precision, threads: 1, ..Compute::default() };
                    diverged += usize::from(train(model(), optim.clone(), compute, then, &what));
                }
            }
        }
    }
    diverged
}

#[test]
fn the_simplified_model_at_rates_to_a_million() {
    let args = SimplifiedArgs { dim: 4, max_length: 8, final_ffn: true, ..SimplifiedArgs::defaults() };
    let diverged = every_rate(|| Simplified::new(65, &args).unwrap().init(0), "simplified");
    assert!(diverged > 0, "none diverged");
}

#[test]
fn the_full_model_at_rates_to_a_million() {
    for no_norm in [false, true] {
        let args = FullArgs { dim: 4, max_length: 8, no_norm, ..FullArgs::defaults() };
        let diverged = every_rate(|| Full::new(65, &args).unwrap().init(0), "full");
        assert!(diverged > 0, "none diverged");
    }
}

#[test]
fn the_transformer_at_rates_to_a_million() {
    let args =
        TransformerArgs { dim: 4, heads: 2, max_length: 8, gated: true, ..TransformerArgs::defaults() };
    let diverged = every_rate(|| Transformer::new(65, &args).unwrap().init(0), "transformer");
    assert!(diverged > 0, "none diverged");
}
