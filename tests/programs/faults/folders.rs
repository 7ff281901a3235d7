//! Whose a folder is, and what becomes of the run that is in it.
use std::process::Command;

use super::program;
use super::{BOTH, Place, error_of, said};

const SNAPSHOTS: &str = "timeline=every 2: snapshot";

#[test]
fn a_finished_run_is_not_overwritten_without_a_word() {
    for name in BOTH {
        let place = Place::new();
        place.done(name, &["max_iters=4"]);
        let error = place.refused(name, &["max_iters=4", "seed=7"]);
        assert!(error.contains("holds a run (done, 4 iterations)"), "{error}");
        for way in ["resume=true", "overwrite=true", "another folder"] {
            assert!(error.contains(way), "{error}");
        }
    }
}

#[test]
fn files_of_a_run_without_run_json_are_a_run_too() {
    let place = Place::new();
    std::fs::create_dir(place.path("run")).unwrap();
    std::fs::write(place.path("run/res.jsonl"), "{}\n").unwrap();
    assert!(place.refused("ihead_basic", &["max_iters=1"]).contains("holds an earlier run"));
}

#[test]
fn overwriting_replaces_every_file_of_the_earlier_run_and_no_other_file() {
    let place = Place::new();
    place.done("ihead_full", &["max_iters=5", SNAPSHOTS]);
    std::fs::write(place.path("run/reprobe.jsonl"), "{}\n").unwrap();
    std::fs::write(place.path("run/notes.md"), "mine").unwrap();
    std::fs::write(place.path("run/snapshots/best.safetensors"), "mine too").unwrap();
    place.done("ihead_basic", &["max_iters=3", "overwrite=true"]);
    let files: Vec<String> = place
        .content()
        .into_keys()
        .map(|path| path.strip_prefix(place.path("")).unwrap().display().to_string())
        .filter(|path| !path.contains("checkpoint"))
        .collect();
    let expected = [
        "run",
        "run/final.safetensors",
        "run/notes.md",
        "run/params.json",
        "run/res.jsonl",
        "run/run.json",
        "run/snapshots",
        "run/snapshots/best.safetensors",
    ];
    assert_eq!(files, expected);
    assert_eq!(std::fs::read_to_string(place.path("run/notes.md")).unwrap(), "mine");
    assert_eq!(place.info()["iterations"], 3);
    // the settings to begin from again do not ask for another replacement
    assert!(std::fs::read_to_string(place.path("run/params.json")).unwrap().contains("\"overwrite\": false"));
}

#[test]
fn what_others_have_put_among_the_snapshots_stays_and_is_no_snapshot() {
    // a folder that holds no run, but a folder of this name with other files
    let place = Place::new();
    std::fs::create_dir_all(place.path("run/snapshots")).unwrap();
    std::fs::write(place.path("run/snapshots/notes.md"), "mine").unwrap();
    place.done("ihead_basic", &["max_iters=3", SNAPSHOTS, "report=true"]);
    assert!(place.path("run/snapshots/2.safetensors").exists() && !place.path("run/.ihead-new").exists());

    // names that a run does not write, though they are numbers
    for name in ["002.safetensors", "+2.safetensors"] {
        let path = place.path("run/snapshots").join(name);
        std::fs::copy(place.path("run/snapshots/2.safetensors"), &path).unwrap();
        let expected =
            format!("{name}: expected a snapshot's name to be its iteration, as in 300.safetensors");
        let reprobe = format!("reprobe={}", place.path("run").display());
        // a report would be refused at the end: so is the run before it begins
        for more in [&[&*reprobe][..], &["overwrite=true", "report=true"], &["resume=true", "report=true"]] {
            let error = place.refused("ihead_basic", more);
            assert!(error.ends_with(&expected), "{error}");
        }
        place.done("ihead_basic", &["max_iters=3", SNAPSHOTS, "overwrite=true"]);
        assert!(path.exists(), "{name} is not of the run");
        std::fs::remove_file(path).unwrap();
    }
    assert_eq!(std::fs::read_to_string(place.path("run/snapshots/notes.md")).unwrap(), "mine");
}

#[test]
fn no_report_of_a_folder_whose_run_cannot_be_read_touches_a_file_of_it() {
    let place = Place::new();
    place.done("ihead_basic", &["max_iters=2"]);
    let reprobe = format!("reprobe={}", place.path("run").display());
    for (file, said) in [("run.json", "not of a run"), ("params.json", "not the settings"), ("res.jsonl", "")]
    {
        let path = place.path("run").join(file);
        let before = std::fs::read(&path).unwrap();
        std::fs::write(&path, "{\n").unwrap();
        let error = place.refused("ihead_basic", &[&reprobe, "report=true"]);
        assert!(error.contains(file) && error.contains(said), "{error}");
        std::fs::write(&path, before).unwrap();
    }
    // a view is made anew, whatever was there
    std::fs::write(place.path("run/view.json"), "{").unwrap();
    place.done("ihead_basic", &[&reprobe, "report=true"]);
}

#[test]
fn a_run_that_cannot_begin_leaves_the_earlier_one_as_it_was() {
    let place = Place::new();
    place.done("ihead_basic", &["max_iters=4", SNAPSHOTS]);
    for wrong in [
        "timeline=40: edit(layers.0.attention.pattern=patch)",
        "timeline=40: freeze(layers.7.*)",
        "init_from=/nowhere/at.all",
        "data_args.k=66",
        "test_batch_size=999999999999",
    ] {
        place.refused("ihead_basic", &["max_iters=50", "overwrite=true", wrong]);
    }
}

#[test]
fn an_earlier_run_that_cannot_be_removed_is_not_replaced() {
    let place = Place::new();
    place.done("ihead_basic", &["max_iters=4", SNAPSHOTS]);
    let overwrite = ["max_iters=3", "overwrite=true", SNAPSHOTS];
    let folder = place.path("run/snapshots/77.safetensors");
    std::fs::create_dir(&folder).unwrap();
    let error = place.refused("ihead_basic", &overwrite);
    assert!(error.ends_with("is a folder, where a snapshot of a run would be; move it away"), "{error}");
    std::fs::remove_dir(&folder).unwrap();
    #[cfg(unix)]
    for name in ["run", "run/snapshots"] {
        use std::os::unix::fs::PermissionsExt;
        let permit = |mode| {
            std::fs::set_permissions(place.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        permit(0o555);
        // whom nothing is forbidden replaces it
        if std::fs::write(place.path(name).join("tried"), "").is_err() {
            let error = place.refused("ihead_basic", &overwrite);
            assert!(error.starts_with("cannot replace the files in ") && error.contains(name), "{error}");
        }
        permit(0o755);
    }
    place.done("ihead_basic", &overwrite);
}

#[test]
fn a_second_run_into_a_folder_that_is_being_written_is_refused() {
    let place = Place::new();
    let mut first = place.begun("ihead_basic", &["on_divergence=continue"]);
    for more in [&["overwrite=true"][..], &[][..]] {
        let output = place.run("ihead_basic", more);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        let error = error_of(&output);
        assert!(
            more.is_empty() || error.contains(&format!("is being written by process {}", first.id())),
            "{error}"
        );
        assert!(more.is_empty() == error.contains("holds a run (running"), "{error}");
    }
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(place.refused("ihead_basic", &[]).contains("holds a run (killed"));
    let lines = place.records();
    let whole = lines.rsplit_once('\n').unwrap().0;
    for line in whole.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    place.done("ihead_basic", &["max_iters=2", "overwrite=true"]);
}

#[test]
fn what_a_killed_process_has_left_is_cleared_by_the_next_run() {
    let place = Place::new();
    place.done("ihead_basic", &["max_iters=2", "timeline=0: snapshot"]);
    // killed while it wrote, and while a new run was made beside it
    std::fs::write(place.path("run/.ihead-x1y2z3.tmp"), "half").unwrap();
    std::fs::write(place.path("run/snapshots/.ihead-x1y2z3.tmp"), "half").unwrap();
    std::fs::create_dir(place.path(".run.ihead-new")).unwrap();
    std::fs::write(place.path(".run.ihead-new/res.jsonl"), "").unwrap();
    place.done("ihead_basic", &["max_iters=2", "overwrite=true"]);
    assert!(!place.content().keys().any(|path| path.display().to_string().contains("ihead-")));
    // killed between the two moves of a replacement: the earlier run comes back
    std::fs::rename(place.path("run"), place.path(".run.ihead-old")).unwrap();
    std::fs::create_dir(place.path(".run.ihead-new")).unwrap();
    let output = place.run("ihead_basic", &["max_iters=2"]);
    assert!(error_of(&output).contains("holds a run (done, 2 iterations)"), "{}", said(&output));
    // killed behind them: the replaced run goes, what is not of a run stays
    let old = place.path(".run.ihead-old");
    std::fs::create_dir(&old).unwrap();
    std::fs::write(old.join("res.jsonl"), "old").unwrap();
    std::fs::write(old.join("notes.md"), "mine").unwrap();
    place.done("ihead_basic", &["max_iters=2", "overwrite=true"]);
    assert!(!old.exists() && place.path("run/notes.md").exists());
    // killed while files were moved into a folder that had been there
    let place = Place::new();
    std::fs::create_dir_all(place.path("run/.ihead-new")).unwrap();
    std::fs::write(place.path("run/res.jsonl"), "").unwrap();
    place.done("ihead_basic", &["max_iters=2"]);
}

#[test]
fn run_json_says_what_where_when_and_how_it_ended() {
    let place = Place::new();
    place.done("ihead_basic", &["max_iters=3", "seed=5"]);
    let info = place.info();
    assert_eq!(info["status"], "done");
    assert_eq!((&info["seeds"]["data"], &info["seeds"]["weights"]), (&5.into(), &5.into()));
    assert_eq!(info["threads"], 1);
    assert_eq!(info["task"]["seq_length"], 8);
    assert!(info["command"].as_array().unwrap().iter().any(|arg| arg == "seed=5"));
    let timed = |key: &str| info[key].as_str().is_some_and(|time| time.ends_with('Z') && time.len() == 20);
    assert!(timed("started") && timed("ended"), "{info:#}");
    assert!(info["seconds_a_step"].as_f64().unwrap() > 0.0 && info["version"].is_string());
    if cfg!(target_os = "linux") {
        assert!(info["peak_memory"].as_u64().unwrap() > 1_000_000 && info["processor"].is_string());
    }
}

#[test]
fn runs_lists_every_run_below_a_folder() {
    let place = Place::new();
    place.done("ihead_basic", &["max_iters=3", &format!("save_dir={}", place.path("a/b").display())]);
    place.done("ihead_full", &["max_iters=2", &format!("save_dir={}", place.path("c").display())]);
    std::fs::create_dir(place.path("broken")).unwrap();
    std::fs::write(place.path("broken/run.json"), "{").unwrap();
    let output = Command::new(program("runs")).arg(place.path("")).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{table}");
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 4, "{table}");
    let of = |end: &str| rows.iter().find(|row| row[0].ends_with(end)).unwrap();
    assert_eq!((of("a/b")[1], of("a/b")[2]), ("done", "3"));
    assert_eq!((of("c")[1], of("broken")[1]), ("done", "unreadable"));
    let empty = Place::new();
    let output = Command::new(program("runs")).arg(empty.path("")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn programs_that_take_folders_alone_have_help_and_refuse_options_that_they_lack() {
    for name in ["runs", "parity"] {
        let said = |args: &[&str]| {
            let output = Command::new(program(name)).args(args).output().unwrap();
            let text = |bytes| String::from_utf8(bytes).unwrap();
            (output.status.code(), text(output.stdout), text(output.stderr))
        };
        for help in ["--help", "-h"] {
            let (code, printed, error) = said(&[help]);
            assert!(
                code == Some(0) && printed.contains(&format!("Usage: {name} ")) && error.is_empty(),
                "{name} {help}"
            );
        }
        for (args, expected) in [
            (&[][..], "is given: write "),
            (&["--hlep"], "no option '--hlep'; did you mean '--help'?"),
            (&["no/such", "format=csv"], "no setting 'format'"),
        ] {
            let (code, printed, error) = said(args);
            assert!(code == Some(2) && printed.is_empty(), "{name} {args:?}: {printed}");
            assert!(error.contains(expected) && error.lines().count() == 1, "{name} {args:?}: {error}");
        }
    }
}

/// Such a run hid the whole sweep from `collect`, `plot` and `runs`.
#[test]
fn a_run_is_not_made_where_a_sweep_is_nor_a_sweep_where_a_run_is() {
    let place = Place::new();
    let dir = format!("save_dir={}", place.path("run").display());
    // what follows `--sweep` is an axis
    let settings = |more: &[&'static str]| [&["max_iters=2", &dir], more].concat();
    place.done("ihead_basic", &settings(&["--sweep", "seed=1,2"]));
    for more in [&[][..], &["overwrite=true"], &["resume=auto"], &["--once"]] {
        let error = place.refused("ihead_basic", &settings(more));
        let expected = "run holds a sweep: give the run a folder of its own, in it or elsewhere";
        assert!(error.ends_with(expected), "{error}");
    }
    place.done("ihead_basic", &settings(&["--sweep", "seed=1..4"]));

    std::fs::remove_dir_all(place.path("run")).unwrap();
    place.done("ihead_basic", &settings(&[]));
    let expected = "run holds a run: give the sweep another save_dir";
    for more in [&[][..], &["overwrite=true"], &["--dry-run"], &["--emit", "slurm"]] {
        let error = place.refused("ihead_basic", &[&settings(more)[..], &["--sweep", "seed=1,2"]].concat());
        assert!(error.ends_with(expected), "{error}");
    }
    // a command that was emitted before the run was there
    let inside = format!("save_dir={}", place.path("run/seed=1").display());
    let error = place.refused("ihead_basic", &["max_iters=2", "--once", &inside]);
    assert!(error.ends_with(expected), "{error}");
}
