use ihead::graph::{Graph, record};
use ihead::nn::{Module, ModuleExt};
use ihead::probe::attribution::{self, Against};
use ihead::probe::{Association, Circuit, Head, Key, Metric, Recall, Select};
use ihead::run::{Run, Schedule, measure};
use ihead::train::{Compute, Loss, OnDivergence, Precision, Step};

use super::{Model, batches, model, run, test_batch, weights};

#[test]
fn training_metrics_are_before_the_update_and_test_sets_after_it() {
    let mut begun = run().on(&test_batch(), [Metric::loss("test")]).on_training([Metric::loss("before")]);
    let history = begun.train(1).unwrap();
    // the loss of the step is the metric of the same batch before its update
    assert!((history.last("loss").unwrap() - history.last("before").unwrap()).abs() < 1e-6);
    let after = measure(begun.model(), [Metric::loss("test")], &test_batch()).unwrap();
    assert_eq!(after.get("test"), Some(history.last("test").unwrap()));
}

fn graph() -> Graph {
    record(&model(), 16).unwrap()
}

/// A step measures its own forward pass: what it measures is what an engine of its own finds, and training is the same to the last bit.
#[test]
fn training_does_not_depend_on_what_is_measured() {
    let metrics = || {
        let head = Head::new("layers.1.attention.pattern", 0);
        let pattern = Metric::attention("attended", &head, Key::Previous).over(Select::marks(1..));
        let late = Metric::accuracy("late").over(Select::marks(1..));
        // a term of the logits, which the graph is extended by
        let added = attribution::metrics("by_", &graph(), Against::Zero).next().unwrap();
        [Metric::loss("all"), late, pattern, added]
    };
    let compute = |precision| Compute { threads: 2, precision, ..Compute::default() };
    for precision in [Precision::Single, Precision::Auto, Precision::Double] {
        let begin = || run().compute(compute(precision)).loss(Loss::next_token().over(Select::marks(1..)));
        let mut alone = begin().schedule(Schedule::never());
        alone.train(4).unwrap();
        let mut measured = begin().on_training(metrics()).schedule(Schedule::at([0, 1, 3]));
        let history = measured.train(4).unwrap();
        assert_eq!(weights(measured.model()), weights(alone.model()), "{precision:?}");
        let first = batches().next_batch().unwrap();
        let apart = measure(&model(), metrics(), &first).unwrap();
        let (_, record) = &history.records()[0];
        for name in metrics().iter().map(Metric::name) {
            let (found, expected) = (record.get(name).unwrap(), apart.get(name).unwrap());
            assert!((found - expected).abs() < 1e-5, "{precision:?}, {name}: {found} {expected}");
        }
    }
}

/// A step looks at what it trains alone.
#[test]
fn a_frozen_weight_that_is_not_finite_is_found_before_the_first_step() {
    let frozen = "layers.0.attention.wv.weight";
    let begin = || {
        let mut model = model();
        model.freeze(frozen).unwrap();
        let mut values = model.tensor(frozen).unwrap().values();
        values[5] = f32::INFINITY;
        model.visit_mut("", &mut |name, _, tensor| {
            if name == frozen {
                tensor.write(&values).unwrap();
            }
        });
        Run::new(model, batches()).threads(1).quiet()
    };
    let said = begin().train(1).unwrap_err().to_string();
    let expected = format!("diverged at iteration 0: {frozen} is not finite before the step");
    assert!(said.contains(&expected), "{said}");
    assert_eq!(begin().on_divergence(OnDivergence::Continue).train(2).unwrap().iterations().count(), 2);
}

#[test]
fn evaluations_follow_the_schedule_and_the_last_step_is_one_if_asked() {
    let at = |schedule: Schedule, steps: usize| {
        let history = run().schedule(schedule).train(steps).unwrap();
        history.iterations().collect::<Vec<_>>()
    };
    assert_eq!(at(Schedule::at([0, 1, 5, 99]), 7), [0, 1, 5]);
    assert_eq!(at(Schedule::powers(3).and_last(), 11), [0, 1, 3, 9, 10]);
    assert!(at(Schedule::never(), 2).is_empty());
}

#[test]
fn a_run_records_what_a_guess_reaches() {
    let dir = tempfile::tempdir().unwrap();
    let accuracy = [Metric::accuracy("accuracy"), Metric::loss("test")];
    let began = std::time::Instant::now();
    run().on(&test_batch(), accuracy).every(1).save_to(dir.path().join("run")).train(1).unwrap();
    let took = began.elapsed().as_secs_f64();
    let info = std::fs::read_to_string(dir.path().join("run/run.json")).unwrap();
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    let [seconds, step] = ["seconds", "seconds_a_step"].map(|key| info[key].as_f64().unwrap());
    assert!(0.0 < step && step <= seconds && seconds <= took, "{step} {seconds} {took}");
    let chances = &info["chances"];
    // one of 65 tokens
    assert_eq!(chances["accuracy"].as_f64(), Some(1.0 / 65.0), "{chances}");
    assert!((chances["test"].as_f64().unwrap() - 65f64.ln()).abs() < 1e-12, "{chances}");
}

#[test]
fn going_on_is_one_long_run() {
    let metrics = || [Metric::loss("test")];
    let mut once = run().on(&test_batch(), metrics()).every(1);
    let whole = once.train(6).unwrap();
    let mut twice = run().on(&test_batch(), metrics()).every(1);
    twice.train(2).unwrap();
    assert_eq!(twice.train(4).unwrap(), whole);
    for ((name, _, a), (_, _, b)) in once.model().tensors().into_iter().zip(twice.model().tensors()) {
        assert_eq!(a.values(), b.values(), "{name}");
    }
}

#[test]
fn the_files_hold_what_was_measured_and_what_the_run_was_made_of() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let recall = Recall::new("back", Circuit::rows("tok_embeddings.weight"), Association::identity(65))
        .against(Circuit::rows("tok_embeddings.weight"));
    let mut saved =
        run().every(2).weights([recall]).on(&test_batch(), [Metric::accuracy("acc")]).save_to(&path);
    let history = saved.train(4).unwrap();
    let lines = std::fs::read_to_string(path.join("res.jsonl")).unwrap();
    let rows: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 3);
    for (row, (iteration, record)) in rows.iter().zip(history.records()) {
        assert_eq!(row["iter"].as_u64(), Some(*iteration as u64));
        assert_eq!(row["acc"].as_f64(), record.get("acc"));
        assert!(row["back"].is_f64() && row["back"].as_f64() == record.get("back"));
    }
    let made_of: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path.join("run.json")).unwrap()).unwrap();
    assert_eq!(made_of["task"]["seq_length"], 16);
    assert_eq!(made_of["loss"], "next_token");
    assert_eq!(made_of["recalls"], serde_json::json!(["back"]));
    assert!(!path.join("params.json").exists()); // nobody gave settings
    let mut again = model();
    ihead::io::load(&path.join("final.safetensors"), &mut again).unwrap();
    let weights = |m: &Model| m.tensors().into_iter().flat_map(|(_, _, t)| t.values()).collect::<Vec<_>>();
    assert_eq!(weights(&again), weights(saved.model()));
}

#[test]
fn one_s_own_monitor_sees_every_step() {
    let mut seen = Vec::new();
    run()
        .schedule(Schedule::never())
        .train_watched(Some(3), &mut |step: &Step<'_, Model>| {
            seen.push((step.iteration, step.gradients.is_empty()));
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, [(0, false), (1, false), (2, false)]);
}
