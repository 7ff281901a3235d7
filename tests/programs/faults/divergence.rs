//! Numbers that are no longer finite.
use std::collections::HashMap;

use super::{BOTH, Place, said};

/// A state dict with one value changed.
fn poisoned(from: &std::path::Path, name: &str, value: f32) -> Vec<u8> {
    let bytes = std::fs::read(from).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut changed: HashMap<String, Vec<u8>> = HashMap::new();
    for (known, view) in file.tensors() {
        let mut data = view.data().to_vec();
        if known == name {
            data[..4].copy_from_slice(&value.to_le_bytes());
        }
        changed.insert(known, data);
    }
    let views = file.tensors().into_iter().map(|(known, view)| {
        let data = &changed[&known];
        (known, safetensors::tensor::TensorView::new(view.dtype(), view.shape().to_vec(), data).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

#[test]
fn initial_weights_that_are_not_finite_are_refused_by_the_tensor_s_name() {
    let place = Place::new();
    place.done("ihead_basic", &["max_iters=1"]);
    for (value, said) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let path = place.path("poisoned.safetensors");
        std::fs::write(&path, poisoned(&place.path("run/final.safetensors"), "output.weight", value))
            .unwrap();
        let init = format!("init_from={}", path.display());
        let error = place.refused("ihead_basic", &["max_iters=1", "overwrite=true", &init]);
        assert!(error.contains(&format!("output.weight has {said} at place 0; expected finite")), "{error}");
    }
}

#[test]
fn nan_weights_score_nothing() {
    for name in BOTH {
        let place = Place::new();
        place.done(name, &["max_iters=1"]);
        let stored = place.path("run/final.safetensors");
        std::fs::write(&stored, poisoned(&stored, "output.weight", f32::NAN)).unwrap();
        let reprobe = format!("reprobe={}", place.path("run").display());
        let output = place.run(name, &[&reprobe]);
        assert!(output.status.success(), "{}", said(&output));
        let text = std::fs::read_to_string(place.path("run/reprobe.jsonl")).unwrap();
        let row: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        for key in ["acc_end_test", "wo1_acc"] {
            assert!(row[key].is_null(), "{name} {key}: {row}");
        }
        let run = format!("weights=['{}']", stored.display());
        let recall = "recalls=['r: tok_embeddings -> output => self']";
        let mut probe = std::process::Command::new(super::program("probe"));
        let output = probe.args([run.as_str(), recall, "json=true"]).output().unwrap();
        let line = String::from_utf8(output.stdout).unwrap();
        assert!(line.contains("\"r\":null"), "{line}{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_run_that_diverges_ends_with_its_records_and_its_last_finite_weights() {
    for (name, more) in [
        ("ihead_basic", &["optim_args.learning_rate=1e6"][..]),
        ("ihead_basic", &["optim_args.momentum=1e30"][..]),
        ("ihead_basic", &["optim_args.weight_decay=1e30"][..]),
        ("ihead_full", &["timeline=3: scale(*, 1e38)"][..]),
    ] {
        let place = Place::new();
        let output = place.run(name, &[&["max_iters=500"], more].concat());
        assert_eq!(output.status.code(), Some(2), "{more:?}: {}", said(&output));
        let error = super::error_of(&output);
        assert!(error.starts_with("diverged at iteration "), "{error}");
        assert!(error.contains("the last finite weights are in"), "{error}");
        assert_eq!(place.info()["status"], "diverged");
        let bytes = std::fs::read(place.path("run/final.safetensors")).unwrap();
        for (tensor, view) in safetensors::SafeTensors::deserialize(&bytes).unwrap().tensors() {
            let values = view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
            assert!(values.into_iter().all(f32::is_finite), "{more:?}: {tensor}");
        }
        let records = place.records();
        // every second iteration is evaluated, the first one among them
        let iterations = place.info()["iterations"].as_u64().unwrap();
        assert_eq!(records.lines().count() as u64, iterations.div_ceil(2));
    }
    let place = Place::new();
    let more = ["max_iters=500", "optim_args.learning_rate=1e6", "on_divergence=continue"];
    let output = place.done("ihead_basic", &more);
    assert_eq!(said(&output).matches("warning: diverged at iteration ").count(), 1, "{}", said(&output));
    assert_eq!(place.info()["iterations"], 500);
}
