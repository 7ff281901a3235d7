//! Nothing is made before everything is found right.
use std::sync::Arc;

use ihead::data::{BatchOptions, Batches, NumpyRng, Task};
use ihead::graph::{Edit, Edits};
use ihead::probe::{Association, Head, Key, Metric, Path, Recall};
use ihead::run::{Inspect, Run, Schedule, activations};
use ihead::train::{Action, Timeline};

use super::{Model, batches, model, run, test_batch};

#[track_caller]
fn refused(run: Run<Model>, said: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let error = run.save_to(&path).train(3).unwrap_err().to_string();
    assert!(error.contains(said), "{error}");
    assert!(!path.exists(), "a folder was made before `{error}`");
}

#[test]
fn names_that_the_model_has_not() {
    let looks = |site: &str| Metric::attends("looks", &Head::new(site, 0), Key::Previous);
    let did_you_mean = "did you mean 'layers.0.attention.pattern'?";
    refused(run().on(&test_batch(), [looks("layers.0.attention.patern")]), did_you_mean);
    refused(run().on_training([looks("layers.0.attention.patern")]), did_you_mean);
    let edits = Edits::default().with("layers.0.attention.patern", Edit::PreviousToken);
    refused(run().edits(edits.clone()), did_you_mean);
    let recall = Recall::new("r", Path::rows("tok_embedding.weight"), Association::identity(65));
    refused(run().weights([recall]), "did you mean 'tok_embeddings.weight'?");
    let timeline = Timeline::default().at(9, Action::release("layers.1.attention.wkk.weight"));
    refused(run().timeline(timeline), "did you mean 'layers.1.attention.wk.weight'?");

    let error = Inspect::new(&model()).edits(edits).measure([Metric::loss("l")], &test_batch()).unwrap_err();
    assert!(error.to_string().contains(did_you_mean), "{error}");
    let error = activations(&model(), &test_batch(), "layers.0.attention.patern").unwrap_err();
    assert!(error.to_string().contains(did_you_mean), "{error}");
}

#[test]
fn two_numbers_of_one_name() {
    let said = "two numbers of a run are named 'acc'";
    let acc = || [Metric::accuracy("acc")];
    refused(run().on(&test_batch(), acc()).on(&test_batch(), acc()), said);
    refused(run().on(&test_batch(), acc()).on_training(acc()), said);
    let recall = Recall::new("acc", Path::rows("tok_embeddings.weight"), Association::identity(65));
    refused(run().on(&test_batch(), acc()).weights([recall]), said);
    refused(run().on(&test_batch(), [Metric::accuracy("iter")]), "named 'iter'");
}

#[test]
fn batches_that_do_not_fit_the_model() {
    let mut long = test_batch();
    (long.batch, long.seq) = (4, 32);
    refused(run().on(&long, [Metric::loss("l")]), "sequences of 32 tokens, the model takes at most 16");
    let mut foreign = test_batch();
    foreign.x[3] = 65;
    refused(run().on(&foreign, [Metric::loss("l")]), "token 65 is outside the model's vocabulary of 65");

    struct Wide;
    impl Task for Wide {
        fn vocab(&self) -> usize {
            66
        }
        fn seq_length(&self) -> usize {
            8
        }
        fn sequence(&self, rng: &mut NumpyRng, tokens: &mut [u32], _: &mut [i32]) {
            tokens.fill_with(|| rng.below(66));
        }
    }
    let wide = Batches::new(Arc::new(Wide), BatchOptions { batch_size: 4, seed: 0, workers: 1 }).unwrap();
    refused(Run::new(model(), wide), "66 tokens, the model a vocabulary of 65");
}

#[test]
fn a_schedule_that_cannot_be_kept() {
    refused(run().every(0), "every 0 iterations");
    refused(run().schedule(Schedule::powers(1)), "powers of 1");
}

#[test]
fn a_test_set_of_another_length_is_fine() {
    let mut short = test_batch();
    (short.batch, short.seq) = (16, 8);
    let history =
        Run::new(model(), batches()).quiet().threads(1).on(&short, [Metric::loss("short")]).train(1);
    assert!(history.unwrap().last("short").unwrap() > 1.0);
}
