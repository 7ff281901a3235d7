//! What happens to runs: earlier runs in the way, signals, full disks, numbers that diverge. Every test is named after a symptom
//! that a user would see.
mod accepted;
#[cfg(target_os = "linux")]
mod disk;
mod divergence;
mod folders;
mod interchange;
mod memory;
mod odd;
mod output;
mod resume;
#[cfg(unix)]
mod signals;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use super::process::{line, program};

/// Both programs of the paper.
pub const BOTH: [&str; 2] = ["ihead_basic", "ihead_full"];

/// Settings of a run of milliseconds.
const TINY: [&str; 9] = [
    "threads=1",
    "data_args.k=2",
    "data_args.seq_length=8",
    "model_args.max_length=8",
    "model_args.dim=4",
    "optim_args.batch_size=2",
    "test_batch_size=2",
    "num_data_workers=3",
    "eval_delta=2",
];

/// A folder for runs.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A tiny run in its folder `run`, with more settings, or other ones.
    pub fn command(&self, name: &str, more: &[&str]) -> Command {
        let mut command = Command::new(program(name));
        let key = |arg: &str| arg.split_once('=').map(|(key, _)| key.to_string());
        let replaced = |arg: &&str| more.iter().any(|more| key(more) == key(arg));
        command.args(TINY.iter().filter(|arg| !replaced(arg))).args(line(more));
        if !more.iter().any(|arg| arg.starts_with("save_dir=") || arg.starts_with("reprobe=")) {
            command.arg(format!("save_dir={}", self.path("run").display()));
        }
        command.stdin(Stdio::null());
        command
    }

    pub fn run(&self, name: &str, more: &[&str]) -> Output {
        self.command(name, more).output().unwrap()
    }

    /// The same, which must end well.
    pub fn done(&self, name: &str, more: &[&str]) -> Output {
        let output = self.run(name, more);
        assert!(output.status.success(), "{more:?}: {}", said(&output));
        output
    }

    /// The same, which must be refused; returns the one line that says why.
    pub fn refused(&self, name: &str, more: &[&str]) -> String {
        let before = self.content();
        let output = self.run(name, more);
        assert_eq!(output.status.code(), Some(2), "{more:?}: {}", said(&output));
        assert!(before == self.content(), "{more:?} changed a file: {}", said(&output));
        error_of(&output)
    }

    /// The same, in the background, once its first record is there.
    pub fn begun(&self, name: &str, more: &[&str]) -> Child {
        let mut child =
            self.command(name, more).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let records = self.path("run/res.jsonl");
        for _ in 0..1000 {
            if std::fs::metadata(&records).is_ok_and(|found| found.len() > 0) {
                return child;
            }
            assert!(child.try_wait().unwrap().is_none(), "{more:?} has ended: {}", ended(child));
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("{more:?} has written nothing in ten seconds");
    }

    /// Every file below it, with its content.
    pub fn content(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        content(self.0.path())
    }

    pub fn info(&self) -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(self.path("run/run.json")).unwrap()).unwrap()
    }

    pub fn records(&self) -> String {
        std::fs::read_to_string(self.path("run/res.jsonl")).unwrap()
    }
}

/// Every file below a folder, with its content.
pub fn content(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(content(&path));
            found.insert(path, vec![]);
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn ended(child: Child) -> String {
    said(&child.wait_with_output().unwrap())
}

/// The one error line of a program that failed.
pub fn error_of(output: &Output) -> String {
    let stderr = said(output);
    let errors: Vec<&str> = stderr.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    assert_eq!(errors.len(), 1, "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    errors[0].into()
}

/// Sends a signal to a process.
#[cfg(unix)]
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}
