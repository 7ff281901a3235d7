//! Runs gathered in one table: by the program, and read by pandas.
use std::path::Path;
use std::process::Output;

use crate::process::{line, run};
use crate::settings::{python, script};

/// A sweep of six runs, of which those of the largest learning rate fail.
fn sweep(dir: &Path) {
    let mut args = vec![format!("save_dir={}", dir.display())];
    args.extend(line(&["steps=400", "--sweep", "learning_rate=1e-3,1e-4,1", "seed=0,1", "--jobs", "2"]));
    assert_eq!(run("settings", &args).status.code(), Some(1));
}

fn collect(dir: &Path, args: &[&str]) -> Output {
    let mut all = vec![dir.display().to_string()];
    all.extend(line(args));
    run("collect", &all)
}

fn out(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The rows of a JSON lines table.
fn rows(dir: &Path, args: &[&str]) -> Vec<serde_json::Value> {
    let args: Vec<&str> = args.iter().copied().chain(["format=jsonl"]).collect();
    out(&collect(dir, &args)).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_table_has_what_differs_what_was_measured_and_what_failed() {
    let dir = tempfile::tempdir().unwrap();
    sweep(dir.path());
    let table = rows(dir.path(), &["first=['height < 50']"]);
    let keys: Vec<&String> = table[0].as_object().unwrap().keys().collect();
    let expected =
        ["run", "status", "learning_rate", "seed", "iter", "height", "x", "y", "first height < 50"];
    assert_eq!(keys, expected);
    assert_eq!(table.len(), 6);
    assert_eq!((&table[2]["status"], &table[2]["iter"]), (&"done".into(), &300.into()));
    let output = collect(dir.path(), &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    let line = "learning_rate=1.0,seed=1: failed: learning_rate: the ball left the valley at step ";
    assert!(said.lines().count() == 2 && said.contains(line), "{said}");
    assert_eq!(rows(dir.path(), &["rows=all"]).len(), 4 * 4 + 2);
}

#[test]
fn means_are_over_the_runs_that_reached_their_end() {
    let dir = tempfile::tempdir().unwrap();
    sweep(dir.path());
    let single = rows(dir.path(), &["metrics=[height]"]);
    let means = rows(dir.path(), &["metrics=[height]", "over=[seed]", "first=['height < 1']"]);
    assert_eq!(means.len(), 3);
    for mean in &means {
        let of = |row: &&serde_json::Value| row["learning_rate"] == mean["learning_rate"];
        let runs: Vec<_> = single.iter().filter(of).collect();
        let [a, b] = [0, 1].map(|seed| runs[seed]["height"].as_f64().unwrap());
        if mean["learning_rate"] == 1.0 {
            assert_eq!((&mean["runs"], &mean["missing"]), (&0.into(), &2.into()));
            assert!(mean["height"].is_null());
        } else {
            let found = ["height", "height se", "height high"].map(|key| mean[key].as_f64().unwrap());
            let error = (a - b).abs() / 2.0;
            for (found, expected) in found.iter().zip([(a + b) / 2.0, error, (a + b) / 2.0 + 12.7062 * error])
            {
                assert!((found - expected).abs() < 1e-4 * expected.abs(), "{mean}");
            }
        }
    }
}

#[test]
fn runs_that_were_planned_and_never_begun_are_missing() {
    let dir = tempfile::tempdir().unwrap();
    sweep(dir.path());
    let gone = dir.path().join("learning_rate=0.001,seed=0");
    std::fs::remove_dir_all(&gone).unwrap();
    std::fs::remove_file(dir.path().join("_sweep/learning_rate=0.001,seed=0.json")).unwrap();
    let table = rows(dir.path(), &[]);
    let row = table.iter().find(|row| row["run"] == gone.display().to_string()).unwrap();
    assert_eq!((&row["status"], &row["learning_rate"]), (&"missing".into(), &0.001.into()));
}

#[test]
fn what_a_killed_run_has_left_counts_up_to_its_last_whole_line() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("res.jsonl"), "{\"iter\": 0, \"acc\": 0.5}\n{\"iter\": 5, \"a").unwrap();
    let table = rows(dir.path(), &[]);
    assert_eq!((&table[0]["iter"], &table[0]["acc"]), (&0.into(), &0.5.into()));
    std::fs::write(dir.path().join("res.jsonl"), "{\"iter\": 0}\nx\n{\"iter\": 1}\n").unwrap();
    let output = collect(dir.path(), &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && said.contains("res.jsonl: line 2: not JSON: "), "{said}");
}

#[test]
fn what_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    sweep(dir.path());
    for (args, expected) in [
        (&["metrics=[hight]"][..], "metrics: no measured number 'hight'; did you mean 'height'?"),
        (&["over=[sed]"][..], "over: no setting 'sed'; did you mean 'seed'?"),
        (&["metrics=[qqqqq]"][..], "metrics: no measured number 'qqqqq'; expected one of height, x, y"),
        (&["first=['hight > 1']"][..], "first: no measured number 'hight'; did you mean 'height'?"),
        (&["first=['height']"][..], "first: 'height'; expected NAME > NUMBER, or with <, >= or <="),
        (
            &["format=cvs"][..],
            "format: expected one of markdown, csv, jsonl, found 'cvs'; did you mean 'csv'?",
        ),
    ] {
        let output = collect(dir.path(), args);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("error: {expected}\n"));
    }
    let empty = tempfile::tempdir().unwrap();
    let said = String::from_utf8(collect(empty.path(), &[]).stderr).unwrap();
    assert!(said.contains("holds no run"), "{said}");
}

#[test]
fn pandas_reads_the_forms_of_a_table_as_the_same_numbers() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    sweep(&dir.path().join("s"));
    for format in ["csv", "jsonl"] {
        let text = out(&collect(&dir.path().join("s"), &["rows=all", &format!("format={format}")]));
        std::fs::write(dir.path().join(format!("table.{format}")), text).unwrap();
    }
    assert_eq!(script(&python, "read_tables.py", &[dir.path()]), "18 rows, 8 columns, equal\n");
}
