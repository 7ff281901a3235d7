//! Settings that make no sense and were accepted.
use std::process::Command;

use super::{Place, error_of, said};

#[test]
fn settings_that_contradict_themselves_are_refused() {
    let place = Place::new();
    for (setting, expected) in [
        ("timeline=1: adamw(beta1=2)", "expected a number from 0 to less than 1, as in beta1=0.9"),
        ("timeline=1: adamw(beta2=1)", "expected a number from 0 to less than 1, as in beta2=0.9"),
        ("timeline=1: sgd(learning_rate=1, learning_rate=2)", "each setting once, not learning_rate again"),
        (
            "edits=layers.0.attention.out[0]=ablate",
            "edits: edit of 'layers.0.attention.out': head 0 of a stream that is named without heads",
        ),
        ("edits=layers.0.attention.outt=ablate", "edits: no site 'layers.0.attention.outt'; did you mean"),
        ("timeline=0..10: freez(pe)", "no change between two iterations 'freez'; did you mean 'freeze'?"),
    ] {
        let error = place.refused("ihead_full", &["max_iters=9", setting]);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_key_that_a_config_has_twice_is_refused() {
    let place = Place::new();
    let path = place.path("twice.json");
    for text in [r#"{"seed": 1, "seed": 2}"#, r#"{"model_args": {"dim": 4, "dim": 8}}"#] {
        std::fs::write(&path, text).unwrap();
        let error = place.refused("ihead_basic", &[&format!("--config={}", path.display())]);
        assert!(error.contains(" is there twice at line 1 column "), "{error}");
    }
}

#[test]
fn a_snapshot_whose_name_is_no_iteration_is_refused_by_probe_and_reprobe() {
    let place = Place::new();
    place.done("ihead_basic", &["max_iters=1"]);
    let run = place.path("run");
    std::fs::create_dir(run.join("snapshots")).unwrap();
    std::fs::copy(run.join("final.safetensors"), run.join("snapshots/last.safetensors")).unwrap();
    let expected = "last.safetensors: expected a snapshot's name to be its iteration, as in 300.safetensors";
    let error = place.refused("ihead_basic", &[&format!("reprobe={}", run.display())]);
    assert!(error.ends_with(expected), "{error}");
    let run = format!("run={}", run.display());
    let output = Command::new(super::program("probe")).args([&run, "norms=['*']"]).output().unwrap();
    assert!(error_of(&output).ends_with(expected), "{}", said(&output));
}

#[test]
fn probe_says_which_file_lacks_a_weight_and_passes_over_no_folder() {
    let place = Place::new();
    let saved = |name: &str| place.path(name).display().to_string();
    place.done("ihead_basic", &["max_iters=1", &format!("save_dir={}", saved("basic"))]);
    place.done("ihead_full", &["max_iters=1", &format!("save_dir={}", saved("full"))]);
    let probe = |args: &[&str]| Command::new(super::program("probe")).args(args).output().unwrap();
    let [basic, full] = ["basic", "full"].map(|name| saved(&format!("{name}/final.safetensors")));
    let output = probe(&[&format!("weights=['{basic}','{full}']"), "norms=['pe']"]);
    assert_eq!(error_of(&output), format!("{full}: no weight 'pe'"), "{}", said(&output));
    std::fs::create_dir_all(place.path("odd/final.safetensors")).unwrap();
    std::fs::create_dir_all(place.path("odd/snapshots")).unwrap();
    std::fs::copy(&basic, place.path("odd/snapshots/3.safetensors")).unwrap();
    let output = probe(&[&format!("run={}", saved("odd")), "norms=['*']"]);
    assert!(
        error_of(&output).ends_with("is a folder, where a file of weights would be"),
        "{}",
        said(&output)
    );
    let output = probe(&[&format!("run={}", saved("basic")), "norms=['a"]);
    assert!(
        error_of(&output).ends_with("found '['a'; a quote is not closed, at character 2"),
        "{}",
        said(&output)
    );
}
