//! Sweeps from the command line: folders, what is left out and taken up again, failures, forms for other machines.
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::process::{line, program, run};

/// A folder for sweeps of the program `settings`.
struct Sweep(tempfile::TempDir);

impl Sweep {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join("s")
    }

    fn args(&self, args: &[&str]) -> Vec<String> {
        let mut all = vec![format!("save_dir={}", self.dir().display())];
        all.extend(line(args));
        all
    }

    fn run(&self, args: &[&str]) -> Output {
        run("settings", &self.args(args))
    }

    /// The names of the runs' folders.
    fn folders(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name != "_sweep");
        names.sort();
        names
    }

    fn record(&self, run: &str) -> Value {
        let text = std::fs::read_to_string(self.dir().join("_sweep").join(format!("{run}.json"))).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn results(&self, run: &str) -> String {
        std::fs::read_to_string(self.dir().join(run).join("res.jsonl")).unwrap()
    }
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn each_run_is_the_run_that_its_settings_give_alone() {
    let sweep = Sweep::new();
    let output =
        sweep.run(&["steps=50", "every=10", "--sweep", "seed=0..2", "momentum=0,0.5", "--jobs", "2"]);
    assert!(output.status.success(), "{}", err(&output));
    let names = ["seed=0,momentum=0.0", "seed=0,momentum=0.5", "seed=1,momentum=0.0", "seed=1,momentum=0.5"];
    assert_eq!(sweep.folders(), names);
    let alone = tempfile::tempdir().unwrap();
    let save = format!("save_dir={}", alone.path().join("x").display());
    assert!(
        run("settings", &line(&["steps=50", "every=10", "seed=1", "momentum=0.5", &save])).status.success()
    );
    let text = std::fs::read_to_string(alone.path().join("x/res.jsonl")).unwrap();
    assert_eq!(sweep.results("seed=1,momentum=0.5"), text);
    assert!(out(&output).contains("4 runs in") && out(&output).contains("4 done"), "{}", out(&output));
}

#[test]
fn a_finished_run_is_left_out_and_one_with_other_settings_is_refused() {
    let sweep = Sweep::new();
    assert!(sweep.run(&["steps=20", "--sweep", "seed=0..2"]).status.success());
    let before = sweep.results("seed=0");
    let again = sweep.run(&["steps=20", "--sweep", "seed=0..3"]);
    assert!(
        out(&again).starts_with("2 of 3 runs are finished already\n[3/3] seed=2: done"),
        "{}",
        out(&again)
    );
    let other = sweep.run(&["steps=30", "--sweep", "seed=0..2"]);
    assert_eq!(other.status.code(), Some(1));
    assert!(
        err(&other).contains("holds a finished run with other settings (steps was 20 and is 30)"),
        "{}",
        err(&other)
    );
    assert_eq!(sweep.results("seed=0"), before);
}

#[test]
fn a_run_that_fails_takes_no_other_with_it_and_is_named_with_its_last_line() {
    let sweep = Sweep::new();
    let output = sweep.run(&["steps=200", "--sweep", "learning_rate=0.1,0.001,10", "--jobs", "2"]);
    assert_eq!(output.status.code(), Some(1));
    let said = err(&output);
    assert!(said.starts_with("3 runs in ") && said.contains(": 1 done in "), "{said}");
    for name in ["learning_rate=0.1", "learning_rate=10.0"] {
        let line = format!("  {name}: exit status 2: learning_rate: the ball left the valley at step ");
        assert!(said.contains(&line), "{said}");
        assert_eq!(sweep.record(name)["status"], "failed");
    }
    assert_eq!(sweep.record("learning_rate=0.001")["status"], "done");
}

/// A run that takes long, once it has begun.
fn long(sweep: &Sweep) -> std::process::Child {
    let args = sweep.args(&["steps=2000000000", "--once"]);
    let mut command = Command::new(program("settings"));
    let child = command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let results = sweep.dir().join("res.jsonl");
    let begun = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        results.exists()
    });
    assert!(begun, "the run did not begin within 30 s");
    child
}

#[test]
fn a_second_process_in_the_same_folder_is_refused_and_a_killed_one_leaves_it_free() {
    let sweep = Sweep::new();
    let mut first = long(&sweep);
    let second = sweep.run(&["steps=5", "--once"]);
    let process = format!("is running already (process {})", first.id());
    assert_eq!(second.status.code(), Some(2));
    assert!(err(&second).contains(&process), "{}", err(&second));
    first.kill().unwrap();
    first.wait().unwrap();
    // what is left says that it runs; the lock went with the process
    let third = sweep.run(&["steps=5", "--once"]);
    assert!(third.status.success(), "{}", err(&third));
}

/// The runs of a sweep that have begun, and how the sweep ends that gets this signal.
#[cfg(unix)]
#[test]
fn a_signal_to_a_sweep_stops_its_runs_after_their_steps_and_the_same_command_takes_them_up() {
    let sweep = Sweep::new();
    let args = |steps: &str| {
        let axis = ["--sweep", "learning_rate=0.001,0.002,0.003", "--jobs", "2"];
        sweep.args(&[&[steps, "threads=1"], &axis[..]].concat())
    };
    let mut command = Command::new(program("template"));
    let child =
        command.args(args("steps=2000000000")).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = (0..1200).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        ["learning_rate=0.001", "learning_rate=0.002"]
            .iter()
            .all(|run| sweep.dir().join(run).join("res.jsonl").exists())
    });
    crate::faults::signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert!(begun, "the runs did not begin within a minute");
    assert_eq!(output.status.code(), Some(143), "{}", err(&output));
    let said = err(&output);
    assert!(said.contains("stopped by SIGTERM with 1 not begun, 2 broken off:"), "{said}");
    assert!(said.contains("learning_rate=0.001: stopped: SIGTERM after "), "{said}");
    assert!(said.contains("; the same command takes them up again."), "{said}");
    assert_eq!(sweep.folders(), ["learning_rate=0.001", "learning_rate=0.002"]);
    for run in sweep.folders() {
        assert_eq!(sweep.record(&run)["status"], "stopped");
        assert!(sweep.dir().join(&run).join("final.safetensors").exists());
    }

    let again = run("template", &args("steps=1"));
    assert!(again.status.success(), "{}", err(&again));
    assert_eq!(sweep.folders().len(), 3);
    assert!(sweep.folders().iter().all(|run| sweep.record(run)["status"] == "done"));
}

#[test]
fn a_dry_run_numbers_the_commands_estimates_and_writes_nothing() {
    let sweep = Sweep::new();
    let output =
        sweep.run(&["--dry-run", "--sweep", "zip(seed=1..3; momentum=0.1,0.2)", "--sweep", "seed=7"]);
    let text = out(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert!(output.status.success() && lines.len() == 4, "{text}{}", err(&output));
    let dir = sweep.dir();
    assert!(
        lines[0].starts_with("1  ") && lines[0].contains(" --once seed=1 momentum=0.1 save_dir="),
        "{text}"
    );
    assert!(lines[0].ends_with(&format!("save_dir={}/seed=1,momentum=0.1", dir.display())), "{text}");
    assert!(lines[2].ends_with(&format!("--once seed=7 save_dir={}/seed=7", dir.display())), "{text}");
    assert!(
        lines[3].starts_with("3 runs, 0 finished; about ") && lines[3].contains("measured on 3 of the runs"),
        "{text}"
    );
    assert!(lines[3].contains(" with 1 at a time ("), "it has no setting for threads: {text}");
    assert!(!dir.exists());
}

#[test]
fn a_dry_run_estimates_runs_whose_timeline_is_longer_than_the_timed_steps() {
    let dir = tempfile::tempdir().unwrap();
    let save = format!("save_dir={}", dir.path().join("s").display());
    let args = line(&[
        "max_iters=100",
        "timeline=50: freeze(layers.1.attention.wk.weight)",
        "data_args.k=2",
        "data_args.seq_length=16",
        "model_args.dim=8",
        "test_batch_size=4",
        "optim_args.batch_size=4",
        "num_data_workers=1",
        &save,
        "--dry-run",
        "--sweep",
        "seed=1..=2",
    ]);
    let output = run("ihead_basic", &args);
    let text = out(&output);
    assert!(output.status.success() && text.contains("2 runs, 0 finished; about "), "{text}{}", err(&output));
}

#[test]
fn a_command_is_complete_in_itself() {
    let sweep = Sweep::new();
    let output = sweep.run(&["steps=20", "--emit", "commands", "--sweep", "seed=1..3"]);
    let text = out(&output);
    assert_eq!(text.lines().count(), 2, "{text}{}", err(&output));
    for line in text.lines() {
        let output = Command::new("sh").arg("-c").arg(line).current_dir("/").output().unwrap();
        assert!(output.status.success(), "{line}: {}", err(&output));
    }
    assert_eq!(sweep.folders(), ["seed=1", "seed=2"]);
    let again = Command::new("sh").arg("-c").arg(text.lines().next().unwrap()).output().unwrap();
    assert!(out(&again).ends_with("holds this run, finished\n"), "{}", out(&again));
}

#[test]
fn gnu_parallel_runs_what_is_emitted_and_takes_up_what_failed() {
    let sweep = Sweep::new();
    if Command::new("parallel").arg("--version").output().is_err() {
        eprintln!("skipped: there is no GNU parallel here");
        return;
    }
    let args = ["steps=300", "--emit", "parallel", "--jobs", "2", "--sweep", "learning_rate=1e-3,1e-4,1"];
    let script = out(&sweep.run(&args));
    let bash = || Command::new("bash").arg("-c").arg(&script).output().unwrap();
    let first = bash();
    assert_eq!(first.status.code(), Some(1), "one of the runs fails: {}", err(&first));
    let said = std::fs::read_to_string(sweep.dir().join("_sweep/learning_rate=1.0.log")).unwrap();
    assert!(said.contains("the ball left the valley"), "{said}");
    assert_eq!(sweep.record("learning_rate=0.001")["status"], "done");
    let log = std::fs::read_to_string(sweep.dir().join("_sweep/joblog")).unwrap();
    assert_eq!(log.lines().count(), 4, "{log}");
    // what succeeded is not run again
    let done = sweep.record("learning_rate=0.001");
    assert_eq!(bash().status.code(), Some(1));
    assert_eq!(sweep.record("learning_rate=0.001"), done);
}

#[test]
fn a_script_for_slurm_is_bash_and_has_every_run_once() {
    let sweep = Sweep::new();
    let args = ["--emit", "slurm", "--per-task", "2", "--jobs", "3", "--sweep", "seed=0..5"];
    let script = out(&sweep.run(&args));
    assert!(script.contains("#SBATCH --array=0-2%3\n") && script.contains("#SBATCH --requeue\n"), "{script}");
    // the body, run task by task as Slurm would
    std::fs::create_dir_all(sweep.dir().join("_sweep")).unwrap();
    for task in 0..3 {
        let mut command = Command::new("bash");
        let output =
            command.arg("-c").arg(&script).env("SLURM_ARRAY_TASK_ID", task.to_string()).output().unwrap();
        assert!(output.status.success(), "{}", err(&output));
    }
    assert_eq!(sweep.folders(), ["seed=0", "seed=1", "seed=2", "seed=3", "seed=4"]);
}

#[test]
fn the_paper_s_program_runs_through_a_sweep_with_its_threads_shared() {
    let dir = tempfile::tempdir().unwrap();
    let save = format!("save_dir={}", dir.path().display());
    let small =
        ["max_iters=3", "data_args.k=2", "data_args.seq_length=16", "model_args.dim=8", "test_batch_size=4"];
    let mut args = line(&small);
    args.extend(line(&[
        "optim_args.batch_size=4",
        "num_data_workers=1",
        &save,
        "--sweep",
        "seed=1..=2",
        "--jobs",
        "2",
    ]));
    let output = run("ihead_basic", &args);
    assert!(output.status.success(), "{}{}", out(&output), err(&output));
    let lines = |dir: &Path| std::fs::read_to_string(dir.join("res.jsonl")).unwrap().lines().count();
    assert_eq!(lines(&dir.path().join("seed=1")), 1);
    let again = run("ihead_basic", &args);
    assert!(out(&again).starts_with("2 of 2 runs are finished already\n"), "{}", out(&again));

    // fewer steps than were taken: nothing is left to do, and the records say what the runs are
    let mut fewer = args.clone();
    fewer[0] = "max_iters=2".into();
    let fewer = run("ihead_basic", &fewer);
    assert!(fewer.status.success(), "{}", err(&fewer));
    let of_sweep = |file: &str| std::fs::read_to_string(dir.path().join("_sweep").join(file)).unwrap();
    assert!(of_sweep("seed=1.json").contains("\"max_iters\": 3"));
    assert!(of_sweep("seed=1.log").ends_with("holds this run, finished (max_iters was 3 and is 2)\n"));
    let mut resumed = args.clone();
    resumed.insert(0, "resume=true".into());
    let said = err(&run("ihead_basic", &resumed));
    assert!(
        said.starts_with("error: resume: a run that has not begun cannot be resumed: leave it out"),
        "{said}"
    );

    // nothing to take up: what was finished stays, and the rest begins again
    let mut over = args.clone();
    over.insert(0, "overwrite=true".into());
    let over = run("ihead_basic", &over);
    assert!(over.status.success(), "{}", err(&over));
    let mut reprobe = args.clone();
    reprobe.insert(0, "reprobe=nowhere".into());
    let said = err(&run("ihead_basic", &reprobe));
    assert!(said.starts_with("error: reprobe: it measures one run's snapshots"), "{said}");

    // beside a run that no sweep has made: what runs work out from their settings is no difference between them
    let alone = format!("save_dir={}", dir.path().join("alone").display());
    let mut args = line(&small);
    args.extend(line(&["optim_args.batch_size=4", "num_data_workers=1", "seed=3", &alone]));
    assert!(run("ihead_basic", &args).status.success());
    let runs = [dir.path().to_owned()];
    let table = ihead::sweep::collect(&runs, &ihead::sweep::Collect::default()).unwrap().table;
    assert_eq!(table.columns[..4], ["run", "status", "seed", "iter"], "{:?}", table.columns);
    assert_eq!(table.rows.len(), 3);
}
