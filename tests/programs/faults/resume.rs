//! Runs that are interrupted and continued. `tests/python/kill_test.py` is the same at many more moments.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{BOTH, Place, said};

/// Freezing, edits of sites and weights, learning rates, snapshots, another optimiser.
const TIMELINE: &str = "timeline=0: freeze(layers.1.attention.wk.weight), 40: release(layers.1.attention.wk.weight), \
    every 25: snapshot, 60: scale(output.weight, 0.5), 30: edit(layers.0.attention.pattern=previous_token), 90: unedit(*), \
    0..50: linear(0, 0.01), 120: initial(layers.0.attention.wo.weight), last: snapshot";

const LONG: [&str; 4] = ["max_iters=300", "optim_args.use_sgd=false", "checkpoint_every=7", TIMELINE];

/// What must be the same to the last byte.
fn results(place: &Place) -> BTreeMap<PathBuf, Vec<u8>> {
    let run = place.path("run");
    let relative = |(path, bytes): (PathBuf, Vec<u8>)| {
        let name = path.strip_prefix(&run).ok()?.to_owned();
        let kept = ["res.jsonl", "final.safetensors", "exp.npz"].iter().any(|file| name.ends_with(file))
            || name.starts_with("snapshots");
        kept.then_some((name, bytes))
    };
    place.content().into_iter().filter_map(relative).collect()
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    for name in BOTH {
        let whole = Place::new();
        whole.done(name, &LONG);
        let expected = results(&whole);
        assert!(expected.len() > 13);
        for moment in [0, 3, 20, 70, 150] {
            let place = Place::new();
            let more = [&LONG[..], &["resume=auto"]].concat();
            for _ in 0..2 {
                let mut run = place.command(name, &more).stdout(std::process::Stdio::null()).spawn().unwrap();
                std::thread::sleep(Duration::from_millis(moment));
                run.kill().unwrap();
                run.wait().unwrap();
            }
            place.done(name, &more);
            assert!(results(&place) == expected, "{name}, killed after {moment} ms");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_stopped_run_goes_on_to_the_same_bytes_on_other_threads() {
    let whole = Place::new();
    whole.done("ihead_basic", &LONG);
    let place = Place::new();
    let mut run = place.begun("ihead_basic", &LONG);
    super::signal(&run, "TERM");
    run.wait().unwrap();
    let more: Vec<&str> = LONG.iter().copied().chain(["resume=true", "log_probes=true"]).collect();
    place.done("ihead_basic", &more);
    assert!(results(&place) == results(&whole));
    assert!(place.info()["status"] == "done" && place.info()["iterations"] == 300);
    // once more: nothing is left to do, and nothing changes
    place.done("ihead_basic", &more);
    assert!(results(&place) == results(&whole));
}

#[test]
fn a_longer_run_is_a_shorter_one_gone_on_with() {
    let (whole, place) = (Place::new(), Place::new());
    whole.done("ihead_full", &["max_iters=9"]);
    place.done("ihead_full", &["max_iters=4"]);
    place.done("ihead_full", &["max_iters=9", "resume=true"]);
    assert!(results(&place) == results(&whole));
}

#[test]
fn other_settings_are_refused_by_name_and_change_nothing() {
    let place = Place::new();
    place.done("ihead_basic", &["max_iters=4"]);
    for (changed, key) in [
        ("optim_args.learning_rate=0.1", "optim_args.learning_rate was 0.2, is 0.1"),
        ("seed=1", "seed was 42, is 1"),
        ("timeline=2: freeze(output.weight)", "timeline was \"\", is \"2: freeze(output.weight)\""),
        ("precision=double", "precision was \"auto\", is \"double\""),
    ] {
        let error = place.refused("ihead_basic", &["max_iters=9", "resume=true", changed]);
        assert!(
            error.contains(key)
                && error.contains("threads, the number of steps and what is logged may change"),
            "{error}"
        );
    }
}

#[test]
fn nothing_to_go_on_with_is_said() {
    let place = Place::new();
    assert!(place.refused("ihead_basic", &["resume=true"]).contains("resume=auto begins one"));
    assert!(
        place.refused("ihead_basic", &["resume=auto", "overwrite=true"]).contains("continued or replaced")
    );
    assert!(place.refused("ihead_basic", &["resume=atuo"]).contains("did you mean 'auto'?"));
    std::fs::create_dir(place.path("run")).unwrap();
    std::fs::write(place.path("run/res.jsonl"), "{}\n").unwrap();
    assert!(place.refused("ihead_basic", &["resume=true"]).contains("checkpoint.safetensors"));
}

#[test]
fn a_folder_that_vanishes_is_noticed_and_the_run_is_kept_elsewhere() {
    let (place, other) = (Place::new(), Place::new());
    let mut command = place.command("ihead_basic", &[]);
    let run = command.env("TMPDIR", other.path("")).stdout(std::process::Stdio::null());
    let run = run.stderr(std::process::Stdio::piped()).spawn().unwrap();
    while std::fs::metadata(place.path("run/res.jsonl")).map_or(0, |found| found.len()) == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::fs::remove_dir_all(place.path("run")).unwrap();
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let error = super::error_of(&output);
    assert!(
        error.contains("is gone: the run's folder was removed, moved or replaced")
            && error.contains(" kept in "),
        "{error}"
    );
    let rescued = std::fs::read_dir(other.path("")).unwrap().next().unwrap().unwrap().path();
    for file in ["run.json", "res.jsonl", "checkpoint.safetensors", "final.safetensors"] {
        assert!(rescued.join(file).exists(), "{file}");
    }
    let text = std::fs::read_to_string(rescued.join("run.json")).unwrap();
    let info: serde_json::Value = serde_json::from_str(&text).unwrap();
    let more = format!("max_iters={}", info["iterations"].as_u64().unwrap() + 3);
    place.done("ihead_basic", &["resume=true", &more, &format!("save_dir={}", rescued.display())]);
}
