//! What a run says that it will need, and what it needs.
use std::process::Command;

use super::super::process::{line, program};
use super::{Place, said};

/// Runs of both programs: tiny, wide, long sequences, large batches, double precision, patterns written at the end.
const RUNS: [(&str, &[&str]); 7] = [
    ("ihead_basic", &[]),
    (
        "ihead_basic",
        &[
            "optim_args.batch_size=64",
            "data_args.seq_length=256",
            "model_args.max_length=256",
            "model_args.dim=64",
        ],
    ),
    (
        "ihead_basic",
        &["data_args.seq_length=512", "model_args.max_length=512", "precision=double", "threads=2"],
    ),
    ("ihead_basic", &["optim_args.batch_size=100000", "test_batch_size=100000"]),
    ("ihead_full", &["data_args.seq_length=128", "model_args.max_length=128", "model_args.dim=32"]),
    ("ihead_full", &["model_args.dim=512"]),
    (
        "ihead_full",
        &[
            "model_args.dim=256",
            "optim_args.use_sgd=true",
            "model_args.no_ffn=true",
            "timeline=1: initial(output.weight)",
        ],
    ),
];

#[cfg(target_os = "linux")]
#[test]
fn the_estimate_of_memory_is_right_within_30_percent() {
    for (name, more) in RUNS {
        let place = Place::new();
        place.done(name, &[&["max_iters=2"], more].concat());
        let info = place.info();
        let [estimated, peak] = ["estimated_memory", "peak_memory"].map(|key| info[key].as_f64().unwrap());
        let off = estimated / peak;
        assert!((0.7..=1.3).contains(&off), "{name} {more:?}: estimated {estimated}, was {peak}");
    }
}

#[test]
fn what_does_not_fit_is_refused_by_the_setting_that_makes_it_large_before_anything_is_touched() {
    let place = Place::new();
    place.done("ihead_full", &["max_iters=2"]);
    for (setting, key) in [
        ("model_args.dim=400000", "model_args.dim"),
        ("model_args.n_layers=50000000", "model_args.n_layers"),
        ("optim_args.batch_size=100000000000", "optim_args.batch_size"),
        ("test_batch_size=100000000000", "test_batch_size"),
    ] {
        let error = place.refused("ihead_full", &["max_iters=2", "overwrite=true", setting]);
        assert!(error.starts_with(&format!("{key}: ")) && error.contains(" of memory; "), "{error}");
    }
    let long = ["data_args.seq_length=3000000", "model_args.max_length=3000000", "overwrite=true"];
    let error = place.refused("ihead_full", &long);
    assert!(
        error.starts_with("data_args.seq_length: 3000000 tokens a sequence: the run (weights "),
        "{error}"
    );
}

/// Under a limit of the system's, as by `ulimit -v`, what needs more is refused in one line, and does not end in an abort.
#[cfg(target_os = "linux")]
#[test]
fn a_limit_of_the_system_s_is_seen_before_it_is_met() {
    let place = Place::new();
    for more in [
        &["model_args.dim=2000"][..],
        &["optim_args.batch_size=33554432"],
        &["test_batch_size=33554432"],
        &["data_args.seq_length=8192", "model_args.max_length=8192"],
        &["model_args.n_layers=1000000"],
    ] {
        let run = place.command("ihead_full", &[&["max_iters=2"], more].concat());
        let mut limited = std::process::Command::new("sh");
        limited.args(["-c", "ulimit -v 2000000; exec \"$0\" \"$@\""]).arg(run.get_program());
        let output = limited.args(run.get_args()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{more:?}: {}", said(&output));
        // what no machine has is refused before the limit is asked about
        assert!(super::error_of(&output).contains(" of memory; "), "{}", said(&output));
        assert!(!place.path("run").exists());
    }
}

#[test]
fn threads_beyond_the_cores_are_said_and_not_started() {
    let place = Place::new();
    let cores = std::thread::available_parallelism().unwrap().get();
    let output = place.done("ihead_basic", &["max_iters=2", "threads=1024"]);
    let warning = format!("warning: threads: 1024, but there are {cores} cores; {cores} threads are used\n");
    assert_eq!(said(&output), warning);
    assert_eq!(place.info()["threads"], cores);
}

/// Every other program started as many threads as it was told to: a step of the template on 512 threads took 9 s.
#[test]
fn every_program_starts_no_more_threads_than_there_are_cores() {
    let dir = tempfile::tempdir().unwrap();
    let save = format!("save_dir={}", dir.path().join("run").display());
    let args = line(&["steps=2", "threads=512", &save]);
    let output = Command::new(program("template")).args(args).output().unwrap();
    let cores = std::thread::available_parallelism().unwrap().get();
    let warning = format!("warning: threads: 512, but there are {cores} cores; {cores} threads are used\n");
    assert_eq!((output.status.code(), said(&output)), (Some(0), warning));
    let info = std::fs::read_to_string(dir.path().join("run/run.json")).unwrap();
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    assert_eq!(info["threads"], cores);
}

/// The metrics of each layer were made before the model was, whose check of memory comes first.
#[test]
fn the_refusal_of_a_program_s_model_comes_first_and_has_the_key_as_it_was_typed() {
    for (name, setting, key) in [
        ("v2_attention_sinks", "model.layers=100000000", "model.layers"),
        ("v2_attention_sinks", "model.hidden=1000000000000", "model.hidden"),
        ("v2_attention_sinks", "model.max_length=1000000000000", "model.max_length"),
        ("v2_attention_sinks", "optim.batch_size=1000000000000", "optim.batch_size"),
        ("v6_clamped_circuits", "model_args.dim=100000000", "model_args.dim"),
        ("v11_llama_block", "model_args.dim=9000000000000000000", "model_args.dim"),
    ] {
        let output = Command::new(program(name)).args(["steps=1", setting]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{setting}: {}", said(&output));
        let error = super::error_of(&output);
        assert!(error.starts_with(&format!("{key}: ")), "{error}");
    }
}

#[test]
fn many_layers_start() {
    let place = Place::new();
    place.done("ihead_full", &["max_iters=2", "model_args.n_layers=100"]);
    assert_eq!(place.info()["iterations"], 2);
}

#[cfg(unix)]
#[test]
fn a_device_that_never_ends_is_no_file() {
    let place = Place::new();
    for setting in ["--config=/dev/zero", "init_from=/dev/zero", "data_args.text=/dev/zero"] {
        let error = place.refused("ihead_basic", &["max_iters=1", setting]);
        assert_eq!(error, "/dev/zero: a device; expected a file or a pipe");
    }
    #[cfg(unix)]
    for name in ["res.jsonl", "params.json", "run.json"] {
        place.done("ihead_basic", &["max_iters=1", "overwrite=true"]);
        let path = place.path("run").join(name);
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        let output =
            std::process::Command::new(super::program("collect")).arg(place.path("run")).output().unwrap();
        let error = super::error_of(&output);
        assert!(error.ends_with(&format!("{name}: a device; expected a file or a pipe")), "{error}");
        std::fs::remove_dir_all(place.path("run")).unwrap();
    }
}

#[test]
fn a_large_config_is_refused_unread() {
    let place = Place::new();
    let path = place.path("large.json");
    std::fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    let output = place.run("ihead_basic", &[&format!("--config={}", path.display())]);
    assert_eq!(output.status.code(), Some(2));
    assert!(super::error_of(&output).ends_with("large.json: longer than 10 MB"), "{}", said(&output));
}
