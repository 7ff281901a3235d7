//! The files of a run.
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::nn::Module;
use crate::{Error, Result};

/// The folder of a run: `run.json`, `params.json`, `res.jsonl`, and what is saved later.
pub struct Outputs {
    dir: PathBuf,
    records: BufWriter<File>,
}

impl Outputs {
    /// Makes the folder and writes `run.json`, what the run is made of, and `params.json`, the settings of its program;
    /// earlier records and snapshots in the folder are replaced.
    ///
    /// # Errors
    /// If the folder or a file in it cannot be made.
    pub fn create(dir: PathBuf, run: &str, params: Option<&str>) -> Result<Outputs> {
        std::fs::create_dir_all(&dir).map_err(|e| Error::io("create", &dir, e))?;
        let path = dir.join("res.jsonl");
        let failed = |e| Error::io("create", &path, e);
        // earlier records go only when the rest of the folder can be written
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        for (name, text) in [("params.json", params), ("run.json", Some(run))] {
            let write = |text: &str| crate::io::write_atomically(&dir.join(name), text.as_bytes());
            text.map_or(Ok(()), write)?;
        }
        file.set_len(0).map_err(failed)?;
        for (_, path) in crate::io::snapshots(&dir)?.into_iter().filter(|(iteration, _)| iteration.is_some())
        {
            std::fs::remove_file(&path).map_err(|e| Error::io("remove", &path, e))?;
        }
        Ok(Outputs { dir, records: BufWriter::new(file) })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Appends one record to `res.jsonl`, a line that is whole on disk when this returns.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn record(&mut self, record: &Value) -> Result<()> {
        let line = format!("{record}\n");
        let written = self.records.write_all(line.as_bytes()).and_then(|()| self.records.flush());
        written.map_err(|e| Error::io("write", self.dir.join("res.jsonl"), e))
    }

    /// Writes all weights to `snapshots/ITERATION.safetensors`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn snapshot(&self, iteration: usize, module: &(impl Module + ?Sized)) -> Result<()> {
        let dir = self.dir.join("snapshots");
        std::fs::create_dir_all(&dir).map_err(|e| Error::io("create", &dir, e))?;
        crate::io::save(&dir.join(format!("{iteration}.safetensors")), module)
    }
}
