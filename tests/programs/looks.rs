//! What a run leaves to be looked at: `report=true` and `figures=true`, and what is refused before the first step.
use std::path::Path;
use std::process::{Command, Output};

use crate::process::{SMALL, line, program, run};

fn small(more: &[&str]) -> Vec<String> {
    line(&[&SMALL[..], &["max_iters=4", "log=quiet"], more].concat())
}

/// One line, with status 2.
fn refused(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.starts_with("error: ") && said.lines().count() == 1, "{said}");
    said
}

fn save_dir(dir: &Path) -> String {
    format!("save_dir={}", dir.join("run").display())
}

#[test]
fn without_a_folder_nothing_can_be_looked_at_and_no_step_is_taken() {
    for what in ["report", "figures"] {
        let said = refused(&run("ihead_basic", &small(&[&format!("{what}=true")])));
        assert!(said.contains(what) && said.contains("save_dir"), "{said}");
    }
}

#[test]
fn figures_without_the_program_that_draws_are_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    // a copy of the program in a folder in which no plot lies
    let alone = dir.path().join("bin/examples");
    std::fs::create_dir_all(&alone).unwrap();
    let copy = alone.join("ihead_basic");
    std::fs::copy(program("ihead_basic"), &copy).unwrap();
    // and another program of the name on the path, which is not asked to draw
    let other = dir.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("plot"), "not a program").unwrap();
    let mut command = Command::new(&copy);
    command.args(small(&["figures=true", &save_dir(dir.path())])).env("PATH", &other);
    let said = refused(&command.output().unwrap());
    assert!(
        said.contains("program plot") && said.contains("cargo build --release -p ihead-figure"),
        "{said}"
    );
    assert!(!dir.path().join("run").exists());
}

#[test]
fn a_run_leaves_a_page_that_can_be_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let done = run("ihead_basic", &small(&["report=true", &save_dir(dir.path())]));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let page = ihead::report::Page::of_runs(&[dir.path().to_owned()]).unwrap();
    assert!(page.has_view(&dir.path().join("run")));
    let (page, left) = (page.html(), std::fs::read_to_string(dir.path().join("run/report.html")).unwrap());
    // the page says what was known at its end: the status is that of the run
    assert!(page.starts_with("<!doctype html>") && left.starts_with("<!doctype html>"));
    for html in [&page, &left] {
        assert!(html.contains("\"acc_end_test\"") && html.contains("layers.1.attention.pattern"));
    }
}
