//! A run that is done once: what the commands of a sweep are called with.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::config::{Config, Parsed, Value};
use crate::{Error, Result};

use super::folder::{self, Place, Record};
use super::runs::compared;
use crate::output;
use crate::run::Status;

/// Runs `run` in the folder of its settings, unless that holds this very run, finished; writes how it ended beside the folder.
///
/// # Errors
/// If there is no folder, if it holds a sweep or is in the folder of a run, if another process runs there, if it holds a finished run
/// with other settings and the program cannot continue it; and those of `run`.
pub(crate) fn once<A: Config>(parsed: Parsed<A>, run: impl FnOnce(Parsed<A>) -> Result<()>) -> Result<()> {
    let (values, mut taken) = (parsed.to_json(), Some((parsed, run)));
    with_values(values, &mut || taken.take().map_or(Ok(()), |(parsed, run)| run(parsed)))
}

/// The same for a program with these settings.
fn with_values(values: Value, run: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    let text = |key: &str| values.get(key).and_then(Value::as_str).map(PathBuf::from);
    let Some(save_dir) = text("save_dir").filter(|dir| !dir.as_os_str().is_empty()) else {
        return Err(Error::config("save_dir", "--once needs the folder of the run: give save_dir=FOLDER"));
    };
    let place = Place::new(&text("root_dir").unwrap_or_default().join(save_dir))?;
    folder::refuse_sweep(&place.dir)?;
    folder::refuse_run(place.dir.parent().unwrap_or(Path::new("")))?;
    place.create()?;
    let _lock = place.lock()?;
    let goes_on = values.get("resume").and_then(Value::as_str) == Some("auto");
    let settings = compared(values);
    if let Some(before) = place.record().filter(|record| record.status == Status::Done) {
        let differences = folder::differences(&before.settings, &settings);
        if differences.is_empty() {
            return output::line(format_args!("{} holds this run, finished", place.dir.display()));
        }
        // to go on with it would take no step, and its record is that of its own settings
        if goes_on && folder::is_longer(&before.settings, &settings) {
            let dir = place.dir.display();
            return output::line(format_args!("{dir} holds this run, finished ({})", differences.join(", ")));
        }
        if !goes_on {
            let found = format!("holds a finished run with other settings ({})", differences.join(", "));
            return Err(Error::folder(&place.dir, found, "remove it, or give another save_dir"));
        }
    }
    let started = Instant::now();
    let mut record =
        Record { status: Status::Running, settings, started: folder::now(), seconds: None, error: None };
    place.write(&record)?;
    let outcome = run();
    record.seconds = Some(started.elapsed().as_secs_f64());
    record.status = match &outcome {
        Ok(()) => place.own_status().filter(|own| *own != Status::Running).unwrap_or(Status::Done),
        Err(error) => {
            record.error = Some(error.to_string());
            let own = place.own_status().filter(|own| matches!(own, Status::Stopped | Status::Diverged));
            own.unwrap_or(Status::Failed)
        }
    };
    place.write(&record)?;
    outcome
}
