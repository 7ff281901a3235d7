//! `run.json`: what a run is made of, where and when it ran, how it ended.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::probe::Unit;
use crate::{Error, Result};

use super::{Table, folder, machine};

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// The run takes steps. The file of a killed process says this too; [`RunInfo::status_now`] tells the two apart.
    Running,
    /// The run has taken all its steps.
    Done,
    /// The run was stopped after a whole step, by a signal or because the program that read its output has ended.
    Stopped,
    /// An error has ended the run.
    Failed,
    /// The run ended because a loss, a gradient or a weight was no longer finite.
    Diverged,
    /// The process of the run was killed. No run writes this state; it follows from `running` without a process.
    Killed,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(format!("{self:?}").to_lowercase().as_str())
    }
}

/// The seeds of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seeds {
    /// The seed of the training batches.
    pub data: u64,
    /// The seed of the initial weights, if the program has a setting `seed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<u64>,
}

/// The content of `run.json`: the state, settings and seeds of a run. It is written when a run begins, at each checkpoint and
/// when it ends.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path();
/// use ihead::run::{RunInfo, Status};
/// # std::fs::write(path.join("run.json"), serde_json::to_string(&RunInfo::begin()).unwrap()).unwrap();
/// let info = RunInfo::read(path)?; // the folder of a run
/// assert_eq!((info.status, info.iterations), (Status::Running, 0));
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// The state of the run.
    pub status: Status,
    /// Why the run ended, unless it is done.
    #[serde(default)]
    pub error: Option<String>,
    /// The number of steps that have been taken.
    pub iterations: usize,
    /// When the run began, in UTC.
    pub started: String,
    /// When the run ended, in UTC.
    #[serde(default)]
    pub ended: Option<String>,
    /// How often the run was resumed.
    #[serde(default)]
    pub resumed: usize,
    /// The seconds that the run took, over all its parts if it was resumed.
    pub seconds: f64,
    /// The mean seconds of a step: forward pass, with what is measured of it on the CPU, backward pass and update.
    #[serde(default)]
    pub seconds_a_step: Option<f64>,
    /// The peak memory of the run's process, in bytes.
    #[serde(default)]
    pub peak_memory: Option<u64>,
    /// The peak memory in bytes that was estimated before the run began.
    #[serde(default)]
    pub estimated_memory: Option<u64>,
    /// Where the weights are, if they could not be written into the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rescued: Option<PathBuf>,
    /// The library's version.
    pub version: String,
    /// The commit that was checked out around the program's file, or else around the current folder.
    #[serde(default)]
    pub commit: Option<String>,
    /// The command line of the program.
    pub command: Vec<String>,
    /// The number of the run's process.
    pub process: u32,
    /// The name of the machine.
    #[serde(default)]
    pub host: Option<String>,
    /// The model of the CPU.
    #[serde(default)]
    pub processor: Option<String>,
    /// The vector instructions of the CPU that were used.
    pub features: String,
    /// The device on which the run computed.
    #[serde(default)]
    pub device: String,
    /// The number of threads.
    #[serde(default)]
    pub threads: usize,
    /// The precision of the run's arithmetic.
    #[serde(default)]
    pub precision: String,
    /// The seeds of the run.
    #[serde(default)]
    pub seeds: Seeds,
    /// The unit of each measured number, from the first evaluation on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub units: BTreeMap<String, Unit>,
    /// The chance level of each number for which it is known: what a random guess reaches.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub chances: BTreeMap<String, f64>,
    /// The names of the numbers that are memory recalls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recalls: Vec<String>,
    /// The task, optimiser, loss, timeline, edits and schedule.
    #[serde(flatten)]
    pub made_of: Map<String, Value>,
}

/// The moment, as RFC 3339 in UTC.
pub(super) fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

impl RunInfo {
    /// Makes the content of `run.json` for a run that begins now in this process.
    pub fn begin() -> RunInfo {
        RunInfo {
            status: Status::Running,
            error: None,
            iterations: 0,
            started: now(),
            ended: None,
            resumed: 0,
            seconds: 0.0,
            seconds_a_step: None,
            peak_memory: None,
            estimated_memory: None,
            rescued: None,
            version: env!("CARGO_PKG_VERSION").into(),
            commit: machine::commit(),
            command: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
            process: std::process::id(),
            host: machine::host(),
            processor: machine::processor(),
            features: machine::features(),
            device: String::new(),
            threads: 0,
            precision: String::new(),
            seeds: Seeds::default(),
            units: BTreeMap::new(),
            chances: BTreeMap::new(),
            recalls: vec![],
            made_of: Map::new(),
        }
    }

    /// Reads the `run.json` of the run in a folder.
    ///
    /// # Errors
    /// If there is none, or it is of another version's form.
    pub fn read(dir: &Path) -> Result<RunInfo> {
        let path = dir.join("run.json");
        let text = crate::io::text(&path)?;
        serde_json::from_str(&text).map_err(|e| Error::format(&path, format!("not of a run: {e}")))
    }

    /// Writes `run.json` into a folder.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        let path = dir.join("run.json");
        let text = serde_json::to_string_pretty(self).map_err(|e| Error::format(&path, e.to_string()))?;
        crate::io::write_atomically(&path, format!("{text}\n").as_bytes())
    }

    /// Returns the state of the run in `dir` as it is now: a run that says `running`, in a folder that no process has locked,
    /// was killed.
    pub fn status_now(&self, dir: &Path) -> Status {
        match self.status {
            Status::Running if !folder::is_locked(dir) => Status::Killed,
            status => status,
        }
    }
}

/// Returns the folders of all runs in `dir` and in its subfolders, sorted by path; `dir` alone, if it is a run. The folder of a run is
/// not searched, and links are not followed.
///
/// # Errors
/// If a folder cannot be read.
pub fn find_runs(dir: &Path) -> Result<Vec<PathBuf>> {
    if dir.join("run.json").is_file() {
        return Ok(vec![dir.to_owned()]);
    }
    let failed = |e| Error::io("read", dir, e);
    let listed = std::fs::read_dir(dir).map_err(failed)?;
    let mut folders = Vec::new();
    for entry in listed {
        let entry = entry.map_err(failed)?;
        // links are not followed: they may lead back
        if entry.file_type().map_err(failed)?.is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    let below = folders.iter().map(|folder| find_runs(folder)).collect::<Result<Vec<_>>>()?;
    Ok(below.concat())
}

/// Makes a table of runs with a row for each folder: its state, how many iterations it has done, when it began, how long a step
/// took, the memory, and why it ended. A folder whose `run.json` cannot be read has a row that says so.
pub fn table_of_runs(dirs: &[PathBuf]) -> Table {
    let headings = [
        "run",
        "status",
        "iterations",
        "started",
        "seconds",
        "s/step",
        "memory MB",
        "threads",
        "precision",
        "error",
    ];
    let mut table = Table::new(headings);
    for dir in dirs {
        let name = crate::output::plain(&dir.display().to_string());
        let info = match RunInfo::read(dir) {
            Ok(info) => info,
            Err(error) => {
                let unknown = ["-"; 7].map(|cell| cell.to_string());
                let mut cells = vec![name, "unreadable".into()];
                cells.extend(unknown);
                cells.push(crate::output::plain(&error.to_string()));
                table.cells(&cells.iter().map(|cell| cell as &dyn super::Cell).collect::<Vec<_>>());
                continue;
            }
        };
        table.row([
            &name,
            &info.status_now(dir).to_string(),
            &info.iterations,
            &info.started,
            &format!("{:.0}", info.seconds),
            &info.seconds_a_step,
            &info.peak_memory.map(|bytes| bytes / 1_000_000),
            &info.threads,
            &info.precision,
            &crate::output::plain(info.error.as_deref().unwrap_or("")),
        ]);
    }
    table
}
