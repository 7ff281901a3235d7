//! The files of a run.
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::nn::Module;
use crate::probe::Record;
use crate::{Error, Result};

use super::appended::Appended;
use super::folder::{Folder, Stage};
use super::recorder::labelled;
use super::tensorboard::Events;
use super::{Earlier, RunInfo, Status, info, rescue};

/// How long the folder may be gone before a run sees it.
const LOOKS_EVERY: Duration = Duration::from_millis(500);

/// What a new run's folder begins with.
pub(super) struct Content<'a> {
    /// The settings of the program, for `params.json`.
    pub params: Option<&'a str>,
    /// Whether the timeline takes snapshots.
    pub snapshots: bool,
    /// Whether events for TensorBoard are written.
    pub events: bool,
}

/// The open files of a run, in a folder of its own.
pub(super) struct Outputs {
    folder: Folder,
    records: Appended,
    events: Option<Events>,
    /// What `run.json` says.
    pub info: RunInfo,
    looked: Instant,
}

impl Outputs {
    /// Makes the folder of a new run, with all that it begins with; an earlier run in its place is replaced when all has been
    /// written.
    ///
    /// # Errors
    /// If a file cannot be written; then everything is as it was.
    pub fn create(dir: &Path, earlier: Earlier, content: &Content<'_>, info: RunInfo) -> Result<Outputs> {
        let stage = Stage::new(dir, earlier)?;
        let new = stage.path();
        let said = |error: Error| error.seen_at(new, dir);
        if let Some(params) = content.params {
            crate::io::write_atomically(&new.join("params.json"), params.as_bytes()).map_err(said)?;
        }
        let records = Appended::create(new.join("res.jsonl")).map_err(said)?;
        let events = content.events.then(|| Events::create(new)).transpose().map_err(said)?;
        if content.snapshots {
            let snapshots = new.join("snapshots");
            std::fs::create_dir(&snapshots).map_err(|e| Error::io("create", dir.join("snapshots"), e))?;
        }
        info.write(new).map_err(said)?;
        let folder = stage.install()?;
        let records = records.moved_to(folder.path());
        let events = events.map(|events| events.moved_to(folder.path()));
        Ok(Outputs { folder, records, events, info, looked: Instant::now() })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// Appends one record: a line of `res.jsonl`, and an event. The line is whole when this returns, or not there.
    ///
    /// # Errors
    /// If it cannot be written, or the folder is gone.
    pub fn record(&mut self, iteration: usize, record: &Record) -> Result<()> {
        self.look()?;
        let line = format!("{}\n", labelled("iter", Value::from(iteration), record));
        self.records.add(line.as_bytes())?;
        self.events.as_mut().map_or(Ok(()), |events| events.add(iteration, record))
    }

    /// Writes all weights to `snapshots/ITERATION.safetensors`.
    ///
    /// # Errors
    /// If the file cannot be written, or the folder is gone.
    pub fn snapshot(&self, iteration: usize, module: &(impl Module + ?Sized)) -> Result<()> {
        self.look()?;
        let dir = self.dir().join("snapshots");
        std::fs::create_dir_all(&dir).map_err(|e| Error::io("create", &dir, e))?;
        crate::io::save(&dir.join(format!("{iteration}.safetensors")), module)
    }

    /// Sees from time to time that the folder is still there.
    ///
    /// # Errors
    /// If it is not.
    pub fn look_now_and_then(&mut self) -> Result<()> {
        if self.looked.elapsed() < LOOKS_EVERY {
            return Ok(());
        }
        self.looked = Instant::now();
        self.look()
    }

    /// Sees that the folder is still there.
    fn look(&self) -> Result<()> {
        if self.folder.is_there() {
            return Ok(());
        }
        Err(Error::usage(format!(
            "the run's folder {} is gone: removed, moved or replaced",
            self.dir().display()
        )))
    }

    /// Writes `run.json` again.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn describe(&self) -> Result<()> {
        self.look()?;
        self.info.write(self.dir())
    }

    /// The end of a run, good or bad: its last weights and `run.json`.
    ///
    /// # Errors
    /// That of the run, and where its weights are; or that of a file that cannot be written.
    pub fn end(&mut self, model: &(impl Module + ?Sized), trained: Result<()>) -> Result<()> {
        self.info.ended = Some(info::now());
        self.info.status = match &trained {
            Ok(()) => Status::Done,
            Err(error) if error.stop().is_some() => Status::Stopped,
            Err(Error::Diverged { .. }) => Status::Diverged,
            Err(_) => Status::Failed,
        };
        self.info.error = trained.as_ref().err().map(ToString::to_string);
        let path = self.dir().join("final.safetensors");
        let kept = self.look().and_then(|()| crate::io::save(&path, model));
        let ended = match (trained, kept) {
            (Ok(()), Ok(())) => return self.info.write(self.dir()),
            (Err(error), Ok(())) => ended(error, format!("the last weights are in {}", path.display())),
            (trained, Err(unwritten)) => {
                let (kept, place) = rescue::weights(self.dir(), model);
                self.info.rescued = place;
                self.info.status = if trained.is_ok() { Status::Failed } else { self.info.status };
                ended(trained.err().unwrap_or(unwritten), kept)
            }
        };
        self.info.error = Some(ended.to_string());
        // the error of the run is what is to be said
        let _ = self.look().and_then(|()| self.info.write(self.dir()));
        Err(ended)
    }
}

fn ended(error: Error, kept: String) -> Error {
    Error::Ended { error: Box::new(error), kept }
}
