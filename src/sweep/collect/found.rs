//! Runs, as they are found in folders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::config::by_key;
use crate::run::{RunInfo, Status, records};
use crate::{Error, Result};

use super::super::folder::{OF_A_RUN, OWN, Place};
use super::super::runs::compared;

/// A run.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Its folder.
    pub dir: PathBuf,
    /// The state of the run; `None` for a folder that only has results.
    pub status: Option<Status>,
    /// Why it did not reach its end.
    pub error: Option<String>,
    /// Its settings at their dotted keys.
    pub settings: BTreeMap<String, Value>,
    /// Its evaluations: the iteration and what was measured.
    pub records: Vec<(u64, Map<String, Value>)>,
}

/// The runs in `dir`, itself or below, in order of their paths; and those that a sweep in it has planned and not begun.
pub(super) fn find(dir: &Path) -> Result<Vec<Found>> {
    let mut dirs = Vec::new();
    walk(dir, &mut dirs)?;
    dirs.sort();
    dirs.dedup();
    dirs.iter().map(|dir| read(dir)).collect()
}

/// The folders of runs.
fn walk(dir: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    if OF_A_RUN.iter().any(|file| dir.join(file).is_file()) {
        into.push(dir.to_owned());
        return Ok(());
    }
    let failed = |e| Error::io("read", dir, e);
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        // links are not followed: they may lead back
        if !entry.file_type().map_err(failed)?.is_dir() || name.starts_with('.') {
            continue;
        }
        match name.as_str() {
            OWN => into.extend(planned(&path)?.into_keys().map(|run| dir.join(run))),
            _ => walk(&path, into)?,
        }
    }
    Ok(())
}

/// The runs that the sweeps of this folder have planned, with their settings.
pub(super) fn planned(own: &Path) -> Result<BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(own) else { return Ok(all) };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with("plan-") && name.ends_with(".json") {
            let text = crate::io::text(&path)?;
            let plan: BTreeMap<String, Value> = serde_json::from_str(&text)
                .map_err(|e| Error::format(&path, format!("not the plan of a sweep: {e}")))?;
            all.extend(plan);
        }
    }
    Ok(all)
}

fn read(dir: &Path) -> Result<Found> {
    let place = Place::new(dir)?;
    let record = place.record();
    let info = dir.join("run.json").exists().then(|| RunInfo::read(dir)).transpose()?;
    let in_plan = || -> Result<Option<Value>> {
        let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(planned(&dir.parent().unwrap_or(Path::new("")).join(OWN))?.remove(&name))
    };
    let params = json(&dir.join("params.json"))?;
    let chosen = match record.as_ref().map(|record| record.settings.clone()) {
        None if params.is_none() => in_plan()?,
        settings => settings,
    };
    // a run of a sweep in code has its settings in its name alone
    let named = if params.is_none() && chosen.is_none() { of_name(dir) } else { None };
    // what a run has worked out from its settings, such as the size of its vocabulary, is in its parameters alone
    let settings: BTreeMap<String, Value> = [params, chosen, named]
        .into_iter()
        .flatten()
        .flat_map(|settings| by_key(&compared(settings)))
        .filter(|(key, _)| !key.is_empty())
        .collect();
    let recorded = record.as_ref().map(|record| match record.status {
        Status::Running if !place.is_locked() => Status::Killed,
        status => status,
    });
    let own = info.as_ref().map(|info| info.status_now(dir));
    // a run's own word, unless the process around it knows of a failure
    let status = match (own, recorded) {
        (Some(Status::Done) | None, Some(recorded)) => Some(recorded),
        (own, _) => own,
    };
    let error = info.and_then(|info| info.error).or_else(|| record.and_then(|record| record.error));
    let error = match status {
        Some(Status::Done) => None,
        Some(Status::Killed) => error.or_else(|| place.last_line()),
        _ => error,
    };
    Ok(Found { dir: dir.to_owned(), status, error, settings, records: records(dir)? })
}

/// The settings in the name of a folder, as in `rate=0.01,seed=1`; nothing for any other name.
fn of_name(dir: &Path) -> Option<Value> {
    let pair = |part: &str| {
        let (key, text) = part.split_once('=').filter(|(key, _)| !key.is_empty())?;
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        Some((key.to_owned(), value))
    };
    dir.file_name()?.to_str()?.split(',').map(pair).collect::<Option<Map<_, _>>>().map(Value::Object)
}

/// The JSON in a file, if there is one.
fn json(path: &Path) -> Result<Option<Value>> {
    let text = crate::io::text_if_there(path)?;
    let value = text.map(|text| serde_json::from_str(&text)).transpose();
    value.map_err(|e| Error::format(path, format!("not JSON: {e}")))
}
