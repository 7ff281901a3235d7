//! Where a run is written if its folder cannot be written.
use std::path::{Path, PathBuf};

use crate::nn::Module;
use crate::output::counted;
use crate::{Error, Result};

use super::RunInfo;
use super::checkpoint::Checkpoint;

/// All of a run that is in memory.
pub(super) struct Rescued<'a, M: ?Sized> {
    pub model: &'a M,
    pub checkpoint: Checkpoint,
    /// All lines of `res.jsonl`.
    pub records: String,
    pub info: &'a RunInfo,
}

impl<M: Module + ?Sized> Rescued<'_, M> {
    /// Writes the run of the folder `dir` into a new folder in some other place, from which it can be continued; says where it is,
    /// or that it is lost.
    pub fn write(mut self, dir: &Path) -> (String, Option<PathBuf>) {
        let run = dir.file_name().map_or_else(|| "run".into(), |name| name.to_string_lossy().into_owned());
        let name = format!("ihead-rescued-{run}-{}", std::process::id());
        self.checkpoint.rest.written.records = self.records.len() as u64;
        self.checkpoint.rest.written.pending.clear();
        self.checkpoint.rest.written.events = 0;
        let mut refused = String::new();
        for place in places() {
            let rescued = place.join(&name);
            match self.write_into(&rescued) {
                Ok(()) => {
                    let done = counted(self.info.iterations, "iteration");
                    let kept = format!("{done} kept in {}, resume=true continues there", rescued.display());
                    return (kept, Some(rescued));
                }
                Err(error) => {
                    let _ = std::fs::remove_dir_all(&rescued);
                    refused = format!(", {error}");
                }
            }
        }
        (format!("the last weights are lost{refused}"), None)
    }

    fn write_into(&self, dir: &Path) -> Result<()> {
        std::fs::create_dir(dir).map_err(|e| Error::io("create", dir, e))?;
        crate::io::save(&dir.join("final.safetensors"), self.model)?;
        crate::io::write_atomically(&dir.join("res.jsonl"), self.records.as_bytes())?;
        self.checkpoint.write(dir)?;
        self.info.write(dir)
    }
}

/// Folders that may have room.
fn places() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    [Some(std::env::temp_dir()), std::env::current_dir().ok(), home].into_iter().flatten().collect()
}
