//! The example that probes stored weights: of a run's snapshots and of files, as a table and as JSON lines.
use std::path::Path;

use ihead::nn::{Init, ModuleExt, Param};

use crate::process::{line, run};

/// Three tokens, read out by their own embeddings.
#[derive(ihead::Module)]
struct Tied {
    #[param]
    embed: Param<(usize, usize)>,
}

/// A run's folder with two snapshots and final weights.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("snapshots")).unwrap();
    let mut model = Tied { embed: Param::new((3, 3), Init::Zeros) };
    let mut save = |name: &str, scale: f32| {
        let write = |values: &mut [f32]| values.iter_mut().step_by(4).for_each(|value| *value = scale);
        model.update("embed", &mut { write }).unwrap();
        ihead::io::save(&dir.path().join(name), &model).unwrap();
    };
    save("snapshots/5.safetensors", 0.0);
    save("snapshots/10.safetensors", -2.0);
    save("final.safetensors", 1.0);
    dir
}

fn probe(args: &[&str]) -> (Option<i32>, String, String) {
    let output = run("probe", &line(args));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn set(key: &str, path: &Path) -> String {
    format!("{key}={}", path.display())
}

#[test]
fn each_snapshot_of_a_run_is_a_row() {
    let dir = folder();
    let (run, recalls) = (set("run", dir.path()), "recalls=['own: embed -> embed => self']");
    let (status, table, errors) = probe(&[&run, recalls, "norms=['em*']"]);
    assert_eq!((status, errors.as_str()), (Some(0), ""));
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        rows,
        [
            vec!["weights", "own", "norm_embed"],
            vec!["5", "0.3333", "0.0000"], // all scores equal: the first wins
            vec!["10", "1.0000", "3.4641"],
            vec!["final", "1.0000", "1.7321"],
            vec!["chance", "0.3333"],
        ]
    );
}

#[test]
fn json_lines_have_the_chance_level() {
    let dir = folder();
    let file = dir.path().join("final.safetensors");
    let weights = format!("weights=['{}']", file.display());
    let (_, lines, _) = probe(&[&weights, "recalls=['own: embed -> embed => self']", "json=true"]);
    let line: serde_json::Value = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!(line["weights"], file.display().to_string());
    assert_eq!(
        (line["probes"]["own"].as_f64(), line["probes"]["own_chance"].as_f64()),
        (Some(1.0), Some(1.0 / 3.0))
    );
}

#[test]
fn what_cannot_be_probed_is_told() {
    let (dir, empty) = (folder(), tempfile::tempdir().unwrap());
    let run = set("run", dir.path());
    let refused = |args: &[&str], expected: &str| {
        let (status, _, errors) = probe(args);
        assert!(status == Some(2) && errors.contains(expected) && errors.lines().count() == 1, "{errors}");
    };
    refused(&[], "weights: none; expected run=FOLDER or weights=[FILE, ...]");
    refused(&[&run], "recalls: none; expected recalls=[...] or norms=[...]");
    refused(&[&run, "recalls=['own: embed => slef']"], "expected `self`, `previous`, or pairs");
    refused(&[&run, "recalls=['own: embd -> embed => self']"], "no weight 'embd'; did you mean 'embed'?");
    refused(&[&run, "norms=['w*']"], "no weight 'w*'");
    let twice = "recalls=['a: embed -> embed => self', 'a: embed -> embed => previous']";
    refused(&[&run, twice], "two probes are named 'a'");
    let twice = "norms: 'embed' is given twice, the second time by 'em*'; expected each weight once";
    refused(&[&run, "norms=['embed', 'em*']"], twice);
    refused(&[&set("run", empty.path()), "norms=['*']"], "expected a run's folder");
    std::fs::write(dir.path().join("snapshots/last.safetensors"), "").unwrap();
    refused(&[&run, "norms=['*']"], "expected a snapshot's name to be its iteration");
}
