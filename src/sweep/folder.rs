//! What a sweep knows of a run: a record beside the run's folder, and a lock while it runs.
//!
//! The run called `NAME` of the sweep in `DIR` has its files in `DIR/NAME`, and in `DIR/_sweep` its record `NAME.json`, its
//! lock `NAME.lock` and its output `NAME.log`. They stand beside the run's folder, which belongs to the program.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::config::{Value, by_key};
use crate::io::{Lock, write_atomically};
use crate::run::{STEPS, Status};
use crate::{Error, Result};

/// The folder of a sweep's own files.
pub(super) const OWN: &str = "_sweep";

/// Refuses the folder of a sweep as that of a run, which would hide the sweep's runs from whoever gathers them.
///
/// # Errors
/// If there is a sweep in it.
pub(crate) fn refuse_sweep(dir: &Path) -> Result<()> {
    let holds = dir.join(OWN).is_dir();
    let mend = "give the run a folder of its own, in it or elsewhere";
    if holds { Err(Error::folder(dir, "holds a sweep", mend)) } else { Ok(()) }
}

/// Refuses the folder of a run as that of a sweep.
///
/// # Errors
/// If there is a run in it.
pub(super) fn refuse_run(dir: &Path) -> Result<()> {
    let holds = OF_A_RUN.iter().any(|file| dir.join(file).is_file());
    let mend = "give the sweep another save_dir";
    if holds { Err(Error::folder(dir, "holds a run", mend)) } else { Ok(()) }
}

/// The files of which each alone makes a folder one of a run.
pub(super) const OF_A_RUN: [&str; 3] = ["res.jsonl", "run.json", "params.json"];

/// What is known of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub status: Status,
    /// The settings that decide what it computes.
    pub settings: Value,
    /// When it began, in seconds since 1970.
    pub started: u64,
    /// How long it took, of what is over.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
}

/// The files of one run.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The run's own folder.
    pub dir: PathBuf,
    own: PathBuf,
    name: String,
}

impl Place {
    /// The files of the run in `dir`.
    ///
    /// # Errors
    /// If `dir` has no name, like `/`.
    pub fn new(dir: &Path) -> Result<Self> {
        let Some(name) = dir.file_name() else {
            let found = format!("'{}'", dir.display());
            return Err(Error::value("save_dir", found, "a folder with a name"));
        };
        let own = dir.parent().unwrap_or(Path::new("")).join(OWN);
        Ok(Self { dir: dir.to_owned(), own, name: name.to_string_lossy().into_owned() })
    }

    pub fn log(&self) -> PathBuf {
        self.file("log")
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.own.join(format!("{}.{ending}", self.name))
    }

    pub fn create(&self) -> Result<()> {
        std::fs::create_dir_all(&self.own).map_err(|e| Error::io("create", &self.own, e))
    }

    /// Locks the run; the system takes the lock back when this process ends, however it does.
    pub fn lock(&self) -> Result<Lock> {
        let path = self.file("lock");
        let failed = |e| Error::io("lock", &path, e);
        let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let lock = Lock::new(open().map_err(failed)?).map_err(|error| match error {
            TryLockError::WouldBlock => {
                let holder = std::fs::read_to_string(&path).unwrap_or_default();
                let holder = holder.trim();
                let holder = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
                let found = format!("is running already{holder}");
                Error::folder(&self.dir, found, "wait for its end, or give another save_dir")
            }
            TryLockError::Error(error) => failed(error),
        })?;
        let mut file = lock.file();
        file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
        write!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(lock)
    }

    /// Whether a process runs here.
    pub fn is_locked(&self) -> bool {
        let file = OpenOptions::new().read(true).write(true).open(self.file("lock"));
        file.is_ok_and(|file| Lock::is_held(&file))
    }

    /// The record, if there is a whole one.
    pub fn record(&self) -> Option<Record> {
        serde_json::from_slice(&std::fs::read(self.file("json")).ok()?).ok()
    }

    pub fn write(&self, record: &Record) -> Result<()> {
        let text = serde_json::to_string_pretty(record)
            .map_err(|e| Error::format(self.file("json"), e.to_string()))?;
        write_atomically(&self.file("json"), format!("{text}\n").as_bytes())
    }

    /// Whether this run, with these settings, has reached its end.
    pub fn is_done(&self, settings: &Value) -> bool {
        self.record().is_some_and(|record| record.status == Status::Done && record.settings == *settings)
    }

    /// The status that the run itself wrote into its `run.json`, if it wrote one.
    pub fn own_status(&self) -> Option<Status> {
        let text = std::fs::read(self.dir.join("run.json")).ok()?;
        let value: Value = serde_json::from_slice(&text).ok()?;
        serde_json::from_value(value.get("status")?.clone()).ok()
    }

    /// The last line of the output that says something.
    pub fn last_line(&self) -> Option<String> {
        const TAIL: u64 = 8192;
        let mut file = File::open(self.log()).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(std::io::SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let says =
            |line: &&str| !line.trim().is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE");
        text.lines().rev().find(says).map(|line| line.trim().trim_start_matches("error: ").to_owned())
    }
}

/// The dotted keys at which two settings differ, each with both values.
pub(super) fn differences(before: &Value, now: &Value) -> Vec<String> {
    let (before_flat, now_flat) = (by_key(before), by_key(now));
    let find = |all: &[(String, Value)], key: &str| {
        all.iter().find(|(known, _)| known == key).map_or(Value::Null, |(_, value)| value.clone())
    };
    let mut keys: Vec<&String> = before_flat.iter().chain(&now_flat).map(|(key, _)| key).collect();
    keys.sort();
    keys.dedup();
    let pairs = keys.into_iter().map(|key| (key, find(&before_flat, key), find(&now_flat, key)));
    pairs.filter(|(_, a, b)| a != b).map(|(key, a, b)| format!("{key} was {a} and is {b}")).collect()
}

/// Whether two settings differ in the number of steps alone, of which `before` has more.
pub(super) fn is_longer(before: &Value, now: &Value) -> bool {
    let (before_flat, now_flat) = (by_key(before), by_key(now));
    let mut longer = false;
    before_flat.len() == now_flat.len()
        && before_flat.iter().zip(&now_flat).all(|((key, before), (same, now))| {
            let steps = |value: &Value| value.as_u64().filter(|_| STEPS.contains(&key.as_str()));
            let more = steps(before).zip(steps(now)).is_some_and(|(before, now)| before > now);
            longer |= more;
            key == same && (more || before == now)
        })
        && longer
}

/// Now, in seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn place() -> (tempfile::TempDir, Place) {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(&dir.path().join("seed=1")).unwrap();
        place.create().unwrap();
        (dir, place)
    }

    #[test]
    fn the_last_line_that_says_something_is_the_reason() {
        let (_dir, place) = place();
        assert_eq!(place.last_line(), None);
        let last = |text: &str| {
            std::fs::write(place.log(), text).unwrap();
            place.last_line()
        };
        assert_eq!(last(""), None);
        assert_eq!(last("a\nerror: no space left\n\n  \n").as_deref(), Some("no space left"));
        let panic =
            "task panicked\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";
        assert_eq!(last(panic).as_deref(), Some("task panicked"));
        // of a long output only the end is read
        assert_eq!(last(&format!("{}\nthe end", "x".repeat(100_000))).as_deref(), Some("the end"));
    }

    #[test]
    fn settings_of_more_steps_are_longer_and_others_are_not() {
        let of = |steps: Value, rate: f64| json!({ "max_iters": steps, "optim": { "rate": rate } });
        let longer = |before, now| is_longer(&before, &now);
        assert!(longer(of(json!(9), 0.1), of(json!(8), 0.1)));
        assert!(
            !longer(of(json!(8), 0.1), of(json!(8), 0.1)) && !longer(of(json!(8), 0.1), of(json!(9), 0.1))
        );
        assert!(
            !longer(of(json!(9), 0.1), of(json!(8), 0.2)) && !longer(of(json!(9), 0.1), of(json!(null), 0.1))
        );
        assert!(!longer(json!({ "max_iters": 9, "seed": 2 }), json!({ "max_iters": 8, "size": 2 })));
        assert!(!longer(json!({ "max_iters": 9, "seed": 2 }), json!({ "max_iters": 8 })));
        assert!(!longer(json!({ "dim": 9 }), json!({ "dim": 8 })));
    }

    #[test]
    fn a_run_is_done_with_the_settings_that_it_had_and_locked_while_it_runs() {
        let (_dir, place) = place();
        let settings = json!({ "seed": 1 });
        let record =
            |status| Record { status, settings: settings.clone(), started: 7, seconds: None, error: None };
        assert!(!place.is_done(&settings) && place.record().is_none());
        place.write(&record(Status::Running)).unwrap();
        assert!(!place.is_done(&settings));
        place.write(&record(Status::Done)).unwrap();
        assert!(place.is_done(&settings) && !place.is_done(&json!({ "seed": 2 })));
        assert_eq!(place.record(), Some(record(Status::Done)));

        assert!(!place.is_locked());
        let lock = place.lock().unwrap();
        assert!(place.is_locked());
        let refused = place.lock().unwrap_err().to_string();
        assert!(
            refused.contains(&format!("is running already (process {})", std::process::id())),
            "{refused}"
        );
        drop(lock);
        assert!(!place.is_locked() && place.lock().is_ok());
    }

    #[test]
    fn the_run_s_own_word_is_read_from_its_folder() {
        let (_dir, place) = place();
        std::fs::create_dir(&place.dir).unwrap();
        let own = |text: &str| {
            std::fs::write(place.dir.join("run.json"), text).unwrap();
            place.own_status()
        };
        assert_eq!(own("{\"status\": \"diverged\"}"), Some(Status::Diverged));
        assert_eq!((own("{}"), own("{"), own("{\"status\": 3}")), (None, None, None));
        assert!(Place::new(Path::new("/")).unwrap_err().to_string().contains("a folder with a name"));
    }

    #[test]
    fn settings_differ_by_their_dotted_keys() {
        let found = differences(
            &json!({ "a": { "b": 1, "c": 2 }, "d": 3 }),
            &json!({ "a": { "b": 1, "c": 5 }, "e": 4 }),
        );
        assert_eq!(found, ["a.c was 2 and is 5", "d was 3 and is null", "e was null and is 4"]);
        assert!(now() > 1_600_000_000 && now() < 10_000_000_000);
    }
}
