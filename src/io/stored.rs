//! The weights that a run has saved in its folder.
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Lists the files of weights in a run's folder, in order: `snapshots/ITERATION.safetensors` by iteration, then
/// `final.safetensors`; each with its iteration, or `None` for the final one.
///
/// # Errors
/// If the folder cannot be read, a snapshot has no iteration for a name, or there is no file of weights.
pub fn stored(run: &Path) -> Result<Vec<(Option<usize>, PathBuf)>> {
    let mut files = own_snapshots(run)?;
    let last = run.join("final.safetensors");
    if last.is_dir() {
        return Err(Error::format(last, "is a folder, where a file of weights would be"));
    }
    if last.exists() {
        files.push((None, last));
    }
    if files.is_empty() {
        let message = "expected a run's folder, with final.safetensors or snapshots in it";
        return Err(Error::format(run, message));
    }
    Ok(files)
}

/// The snapshots in a run's folder, by iteration, each of which has one.
///
/// # Errors
/// If a file's name is no iteration, or the folder of snapshots is there and cannot be read.
pub(crate) fn own_snapshots(run: &Path) -> Result<Vec<(Option<usize>, PathBuf)>> {
    let files = snapshots(run)?;
    match files.iter().find(|(iteration, _)| iteration.is_none()) {
        Some((_, path)) => {
            Err(Error::format(path, "expected a snapshot's name to be its iteration, as in 300.safetensors"))
        }
        None => Ok(files),
    }
}

/// The iteration of a snapshot's name as a run writes it: `+7` and `007` are names that somebody else has given.
fn iteration(stem: &str) -> Option<usize> {
    stem.parse().ok().filter(|iteration: &usize| iteration.to_string() == stem)
}

/// The snapshots in a run's folder, by iteration; `None` where a file's name is no iteration.
///
/// # Errors
/// If the folder of snapshots is there and cannot be read.
pub(crate) fn snapshots(run: &Path) -> Result<Vec<(Option<usize>, PathBuf)>> {
    let dir = run.join("snapshots");
    if !dir.is_dir() {
        return Ok(vec![]);
    }
    let failed = |e| Error::io("read", &dir, e);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|end| end == "safetensors") {
            let iteration = path.file_stem().and_then(|stem| iteration(stem.to_str()?));
            found.push((iteration, path));
        }
    }
    found.sort();
    Ok(found)
}
