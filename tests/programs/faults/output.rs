//! Standard output that nobody reads, and one that is full.
use std::process::Stdio;

use super::{Place, error_of, said};

/// Programs that print something, each with arguments that do.
fn all(place: &Place) -> Vec<(&'static str, Vec<String>)> {
    let run = format!("run={}", place.path("run").display());
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/basic_k0").to_string();
    vec![
        ("ihead_basic", vec!["--help".into()]),
        ("ihead_basic", vec!["--print-config".into()]),
        ("ihead_full", vec!["--explain".into()]),
        ("probe", vec![run.clone(), "norms=['*']".into()]),
        ("probe", vec![run, "norms=['*']".into(), "json=true".into()]),
        ("template", vec!["steps=2".into()]),
        ("step_time", ["batch=2", "seq=8", "dim=4", "steps=1"].map(String::from).to_vec()),
        ("runs", vec![place.path("run").display().to_string()]),
        ("parity", vec![golden]),
        ("v1_freezing_order", vec!["steps=2".into(), "release=1".into()]),
    ]
}

#[test]
fn a_closed_pipe_ends_every_program_quietly() {
    let place = Place::new();
    place.done("ihead_basic", &["max_iters=2"]);
    for (name, args) in all(&place) {
        let mut command = std::process::Command::new(super::program(name));
        // closed before the program begins: it cannot have written everything already
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.args(&args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!((output.status.code(), said(&output)), (Some(141), String::new()), "{name} {args:?}");
    }
}

#[test]
fn training_until_stopped_ends_when_nobody_reads_it() {
    let place = Place::new();
    let mut child =
        place.command("ihead_basic", &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), said(&output)), (Some(141), String::new()));
    assert_eq!(place.info()["status"], "stopped");
    assert!(place.path("run/final.safetensors").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_one_line_and_no_success() {
    let place = Place::new();
    place.done("ihead_basic", &["max_iters=2"]);
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    for (name, args) in all(&place) {
        let output =
            std::process::Command::new(super::program(name)).args(&args).stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{name} {args:?}: {}", said(&output));
        assert!(error_of(&output).starts_with("cannot write standard output: "), "{}", said(&output));
    }
    let output =
        place.command("ihead_full", &["max_iters=9", "overwrite=true"]).stdout(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = error_of(&output);
    assert!(error.starts_with("cannot write standard output: ") && error.contains(" kept in "), "{error}");
    assert_eq!(place.info()["status"], "failed");
}
