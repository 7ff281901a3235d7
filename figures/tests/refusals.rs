//! What `report` and `plot` refuse: one clear line, status 2, and nothing written.
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use ihead::data::{BatchOptions, Batches, BigramData, NumpyRng, TriggerOptions, TriggerTask, sample};
use ihead::prelude::*;

const REPORT: &str = env!("CARGO_BIN_EXE_report");
const PLOT: &str = env!("CARGO_BIN_EXE_plot");

/// A folder with a real run in `run`, an empty folder, and a file.
fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let options = TriggerOptions { k: 3, seq_length: 16, ..TriggerOptions::default() };
    let task = Arc::new(TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options).unwrap());
    let test = sample(&*task, &mut NumpyRng::new(&[0]), 4).unwrap();
    let batches = Batches::new(task, BatchOptions { batch_size: 4, seed: 0, workers: 1 }).unwrap();
    let sizes = TransformerArgs { layers: 1, dim: 16, max_length: 16, ..TransformerArgs::defaults() };
    let model = Transformer::new(65, &sizes).unwrap().init(0);
    let run = Run::new(model, batches).on(&test, [Metric::accuracy("acc")]).every(1).quiet();
    run.save_to(dir.path().join("run")).report().settings("{\"seed\": 0}").train(4).unwrap();
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    std::fs::write(dir.path().join("file"), "nothing").unwrap();
    dir
}

/// What stands in a folder, and below.
fn listed(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        all.push(path.display().to_string());
        if path.is_dir() {
            all.extend(listed(&path));
        }
    }
    all.sort();
    all
}

fn call(program: &str, dir: &Path, args: &[&str]) -> Output {
    Command::new(program).args(args).current_dir(dir).output().unwrap()
}

/// The error of a call, which has written nothing.
fn refused(program: &str, dir: &Path, args: &[&str]) -> String {
    let before = listed(dir);
    let done = call(program, dir, args);
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(2), "{args:?}: {said}");
    assert!(said.starts_with("error: ") && said.lines().count() == 1, "{args:?}: {said}");
    assert!(done.stdout.is_empty() && listed(dir) == before, "{args:?}");
    said
}

/// Checks that each call is refused with a line that has these words.
fn check(program: &str, dir: &Path, cases: &[(&[&str], &[&str])]) {
    for (args, words) in cases {
        let said = refused(program, dir, args);
        for word in *words {
            assert!(said.contains(word), "{args:?}: '{word}' is not in: {said}");
        }
    }
}

#[test]
fn folders_that_hold_no_run_and_places_that_cannot_be_written_are_named() {
    let place = place();
    let cases: [(&[&str], &[&str]); 6] = [
        (&[], &["no run is given", "report RUN..."]),
        (&["nowhere"], &["cannot read nowhere"]),
        (&["empty"], &["empty", "no run in it", "run.json"]),
        (&["file"], &["file", "expected the folder of a run"]),
        (
            &["run", "out=no/such/page.html"],
            &["cannot write no/such/page.html", "the folder no/such is not there"],
        ),
        (&["run", "out=file/page.html"], &["file/page.html", "the folder file is not a folder"]),
    ];
    check(REPORT, place.path(), &cases);
    check(
        REPORT,
        place.path(),
        &[
            (&["run", "out=empty"], &["out: 'empty'", "a file that ends in .html"]),
            (&["run", "out=run/run.json"], &["out: 'run/run.json'", "a file that ends in .html"]),
            (&["run", "out=run/nothing.html/page.html"], &["cannot write run/nothing.html/page.html"]),
            (&["run", "ouf=a"], &["'ouf'", "out"]),
        ],
    );
    let cases: [(&[&str], &[&str]); 21] = [
        // these two ended the process, or asked for a file of the kind's name
        (&["run", "width=2000", "dpi=10000", "out=a.png"], &["dpi: 10000", "a smaller picture"]),
        (&["run", "atention"], &["no run or kind of figure 'atention'", "did you mean 'attention'?"]),
        (&["run", "attention", "sequences=[]"], &["sequences: none", "at least one"]),
        (&["run", "attention", "from=16"], &["from: 16", "a position below 16"]),
        (&["run", "over=[x]"], &["over: no setting 'x' in which the runs differ", "they differ in none"]),
        (&["run", "panels=[loss]"], &["panels: no setting 'loss' in which the runs differ"]),
        (&["run", "y=[lss]"], &["y: no measured number 'lss'", "'loss'"]),
        (
            &["run", "attention", "sites=[layers]"],
            &["sites: no attention pattern 'layers'", "expected one of "],
        ),
        (&["run", "attention", "heads=[9]"], &["heads: head 9 of an attention pattern"]),
        (&["run", "associations", "recalls=['x: tok -> output => self']"], &["recalls: ", "no weight 'tok"]),
        (&["run", "y_range=[1]"], &["y_range: 1 numbers", "two, the ends of the axis, as in [0.5, 1]"]),
        (&["run", "y_range=[1, 0]"], &["y_range: [1, 0]", "the lower one first"]),
        (&["run", "x=lr"], &["x: no column 'lr'; expected one of ", "iter"]),
        (&["nowhere"], &["cannot read nowhere"]),
        (&["empty"], &["empty", "holds no run"]),
        (&["file"], &["file", "collect"]),
        (&["run", "out=no/such/a.svg"], &["cannot write no/such/a.svg", "the folder no/such is not there"]),
        (&["run", "out=empty"], &["empty", ".svg or .png"]),
        (&["run", "attention", "sequences=[99]"], &["sequences", "99"]),
        (
            &["run", "attention", "snapshots=[7]"],
            &["no snapshot of iteration 7", "the run has none", "timeline"],
        ),
        (&["run", "associations", "snapshots=[7]"], &["no snapshot of iteration 7", "the run has none"]),
    ];
    check(PLOT, place.path(), &cases);
}

/// A setting that nobody has given is not to blame.
#[test]
fn a_program_without_the_papers_weights_is_told_that_its_associations_have_to_be_named() {
    let place = place();
    let path = place.path().join("run/final.safetensors");
    let stored = std::fs::read(&path).unwrap();
    let (paper, own) = (b"tok_embeddings", b"own_embeddings");
    let at = stored.windows(paper.len()).position(|name| name == paper).unwrap();
    std::fs::write(&path, [&stored[..at], own, &stored[at + own.len()..]].concat()).unwrap();
    let said = refused(PLOT, place.path(), &["run", "associations"]);
    for word in ["run: the two associations of the paper", "'tok_embeddings'", "recalls=[...] names others"] {
        assert!(said.contains(word), "{said}");
    }
    assert!(!said.contains("recalls: "), "{said}");
}

/// A change of a text.
type Damage = fn(&str) -> String;

#[test]
fn damaged_files_of_a_run_are_named_and_no_page_is_made_of_them() {
    let half: Damage = |text| text[..text.len() / 2].into();
    let cases: [(&str, Damage, &[&str]); 7] = [
        ("run.json", half, &["run.json", "not of a run"]),
        ("params.json", half, &["params.json", "not the settings of a run"]),
        ("view.json", half, &["view.json"]),
        (
            "view.json",
            |text| text.replacen("\"format\":1", "\"format\":9", 1),
            &["view.json", "form 9", "expected 1"],
        ),
        // a page that is made of these could not be drawn
        (
            "view.json",
            |text| text.replacen("\"data\":[\"", "\"data\":[\"AAAA", 1),
            &["view.json", "damaged", "moment 0"],
        ),
        ("res.jsonl", |text| text.replacen("{\"iter\":1", "{\"iter\":", 1), &["res.jsonl", "line 2"]),
        ("res.jsonl", |text| format!("{text}[1, 2]\n"), &["res.jsonl", "line 5"]),
    ];
    for (file, damage, words) in cases {
        let place = place();
        let path = place.path().join("run").join(file);
        let (text, damaged) = {
            let text = std::fs::read_to_string(&path).unwrap();
            (text.clone(), damage(&text))
        };
        assert_ne!(text, damaged, "{file}");
        std::fs::write(&path, damaged).unwrap();
        check(REPORT, place.path(), &[(&["run"], words)]);
        if file == "run.json" {
            check(PLOT, place.path(), &[(&["run"], words)]);
        }
    }
}

#[test]
fn without_a_view_a_page_says_what_is_missing_and_a_line_that_is_being_written_is_no_fault() {
    let place = place();
    let run = place.path().join("run");
    std::fs::remove_file(run.join("view.json")).unwrap();
    let records = std::fs::read_to_string(run.join("res.jsonl")).unwrap();
    std::fs::write(run.join("res.jsonl"), format!("{records}{{\"iter\": 4, \"lo")).unwrap();
    let done = call(REPORT, place.path(), &["run"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let page = std::fs::read_to_string(place.path().join("report.html")).unwrap();
    assert!(page.contains("whose model only that program can make: run it with report=true"), "no reason");
    assert!(page.contains("\"iterations\":[0,1,2,3]"));
    // the reason does not name the run, so that a page of several runs gives it once
    assert!(page.contains("\"unseen\":\"a run of "), "not the reason alone");
    // plot cannot show attention that nobody kept
    let said = refused(PLOT, place.path(), &["run", "attention"]);
    assert!(said.contains("report=true"), "{said}");
}

/// As `size=8` for several kinds of figures in turn.
#[test]
fn a_setting_of_another_kind_of_figure_is_warned_of() {
    let place = place();
    for (args, said) in [
        (
            &["run", "attention", "y=[loss]"][..],
            "y: has no effect on a figure of kind attention, only on one of kind paper, curves, table",
        ),
        (
            &["run", "size=8"],
            "size: has no effect on a figure of kind curves, only on one of kind attention, associations",
        ),
    ] {
        let done = call(PLOT, place.path(), args);
        assert!(done.status.success(), "{args:?}");
        assert_eq!(String::from_utf8_lossy(&done.stderr), format!("warning: {said}\n"));
    }
}
