//! The files of a run.
use std::path::Path;
use std::time::{Duration, Instant};

use crate::graph::AnyModel;
use crate::nn::Module;
use crate::output::counted;
use crate::probe::Measurements;
use crate::train::Cursor;
use crate::{Error, Result};

use super::appended::Appended;
use super::checkpoint::{Checkpoint, Written};
use super::folder::{Folder, Stage};
use super::recorder::line;
use super::rescue::Rescued;
use super::tensorboard::Events;
use super::{Earlier, RunInfo, Status, info};

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
    /// Where it begins.
    pub checkpoint: &'a Checkpoint,
}

/// The open files of a run, in a folder of its own.
pub(super) struct Outputs {
    folder: Folder,
    records: Appended,
    events: Option<Events>,
    /// What `run.json` says.
    pub info: RunInfo,
    looked: Instant,
    /// When the last checkpoint was written.
    pub checkpointed: Instant,
    /// A line that could not be written.
    pending: String,
}

impl Outputs {
    /// Makes the folder of a new run, with all that it begins with; an earlier run in its place is replaced when all has been
    /// written.
    ///
    /// # Errors
    /// If a file cannot be written; then everything is as it was.
    pub fn create(dir: &Path, earlier: Earlier, content: &Content<'_>, info: RunInfo) -> Result<Outputs> {
        super::signals::no_end_by_long_files();
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
        content.checkpoint.write(new).map_err(said)?;
        info.write(new).map_err(said)?;
        let folder = stage.install()?;
        let records = records.moved_to(folder.path());
        let events = events.map(|events| events.moved_to(folder.path()));
        Ok(Outputs::new(folder, records, events, info))
    }

    fn new(folder: Folder, records: Appended, events: Option<Events>, info: RunInfo) -> Outputs {
        let now = Instant::now();
        Outputs { folder, records, events, info, looked: now, checkpointed: now, pending: String::new() }
    }

    /// Takes the folder of a run that is to be continued, and reads its checkpoint; no file is changed.
    ///
    /// # Errors
    /// If another process runs in it, or it has no checkpoint.
    pub fn open(dir: &Path) -> Result<(Folder, Checkpoint)> {
        super::signals::no_end_by_long_files();
        let folder = Folder::open(dir)?;
        let checkpoint = Checkpoint::read(folder.path())?;
        Ok((folder, checkpoint))
    }

    /// Refuses to go on beside a file of the run that stays as it is, and that its readers would refuse after the end.
    ///
    /// # Errors
    /// If the settings in `params.json` are not in JSON, or a snapshot is not whole or not of this model.
    pub fn check_what_stays(dir: &Path, cursor: Cursor, model: &dyn AnyModel) -> Result<()> {
        let damaged = |error: Error| match error {
            Error::Io { .. } => error,
            _ => Error::usage(format!("{error}; put the file back, or move it away to continue without it")),
        };
        let path = dir.join("params.json");
        if let Some(text) = crate::io::text_if_there(&path)? {
            let settings = serde_json::from_str::<serde_json::Value>(&text);
            settings.map_err(|e| damaged(Error::format(&path, format!("not the settings of a run: {e}"))))?;
        }
        for (iteration, path) in crate::io::snapshots(dir)? {
            if iteration.is_some() && stays(iteration, cursor) {
                crate::io::read_all_of(&path, model).map_err(damaged)?;
            }
        }
        Ok(())
    }

    /// Continues in a folder that was opened: what is newer than the checkpoint is removed.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn reopen(
        folder: Folder,
        cursor: Cursor,
        written: &Written,
        events: bool,
        now: RunInfo,
    ) -> Result<Outputs> {
        let dir = folder.path();
        let earlier = RunInfo::read(dir)?;
        let mut records = Appended::reopen(dir.join("res.jsonl"), written.records)?;
        records.add(written.pending.as_bytes())?;
        let events = events.then(|| Events::reopen(dir, written.events)).transpose()?;
        for (iteration, path) in crate::io::snapshots(dir)? {
            if !stays(iteration, cursor) {
                std::fs::remove_file(&path).map_err(|e| Error::io("remove", &path, e))?;
            }
        }
        let info = RunInfo {
            iterations: cursor.iteration,
            started: earlier.started,
            resumed: earlier.resumed + 1,
            seconds: written.seconds,
            ..now
        };
        info.write(dir)?;
        Ok(Outputs::new(folder, records, events, info))
    }

    /// Says how much has been written.
    pub fn tell(&self, written: &mut Written) {
        written.records = self.records.len();
        written.pending = self.pending.clone();
        written.events = self.events.as_ref().map_or(0, Events::len);
    }

    /// Writes a checkpoint in the place of the earlier one.
    ///
    /// # Errors
    /// If it cannot be written, or the folder is gone; then the earlier one stays.
    pub fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.look()?;
        // the disk has the records that the checkpoint knows of
        self.records.sync()?;
        checkpoint.write(self.dir())?;
        self.checkpointed = Instant::now();
        self.info.peak_memory = crate::memory::peak();
        self.info.write(self.dir())
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// Appends one record: a line of `res.jsonl`, and an event. The line is whole when this returns, or not there.
    ///
    /// # Errors
    /// If it cannot be written, or the folder is gone.
    pub fn record(&mut self, iteration: usize, record: &Measurements) -> Result<()> {
        let line = line(iteration, record);
        if let Err(error) = self.look().and_then(|()| self.records.add(line.as_bytes())) {
            self.pending = line;
            return Err(error);
        }
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
        Err(Error::folder(self.dir(), "is gone", "the run's folder was removed, moved or replaced"))
    }

    /// Writes `run.json` again.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn describe(&self) -> Result<()> {
        self.look()?;
        self.info.write(self.dir())
    }

    /// The end of a run, good or bad: its last weights, a checkpoint (unless it diverged) and `run.json`. `records` makes all
    /// lines of `res.jsonl`, which are wanted where the folder cannot be written any more.
    ///
    /// # Errors
    /// That of the run, and where it is kept; or that of a file that cannot be written.
    pub fn end(
        &mut self,
        model: &(impl Module + ?Sized),
        checkpoint: Checkpoint,
        records: impl FnOnce() -> String,
        trained: Result<()>,
    ) -> Result<()> {
        self.info.ended = Some(info::now());
        self.info.status = match &trained {
            Ok(()) => Status::Done,
            Err(error) if error.stop().is_some() => Status::Stopped,
            Err(Error::Diverged { .. }) => Status::Diverged,
            Err(_) => Status::Failed,
        };
        let diverged = self.info.status == Status::Diverged;
        self.info.error = trained.as_ref().err().map(ToString::to_string);
        let path = self.dir().join("final.safetensors");
        // a run that diverged goes on from its last checkpoint, not from where it would diverge again
        let kept = self
            .look()
            .and_then(|()| crate::io::save(&path, model))
            .and_then(|()| if diverged { self.info.write(self.dir()) } else { self.checkpoint(&checkpoint) });
        let ended = match (trained, kept) {
            (Ok(()), Ok(())) => return Ok(()),
            (Err(error), Ok(())) if diverged => {
                ended(error, format!("the last finite weights are in {}", path.display()))
            }
            (Err(error), Ok(())) => {
                let done = counted(self.info.iterations, "iteration");
                ended(error, format!("{done} kept in {}, resume=true continues", self.dir().display()))
            }
            (trained, Err(unwritten)) => {
                self.info.status = if trained.is_ok() { Status::Failed } else { self.info.status };
                let error = trained.err().unwrap_or(unwritten);
                let run = Rescued { model, checkpoint, records: records(), info: &self.info };
                let (kept, place) = run.write(self.dir());
                self.info.rescued = place;
                ended(error, kept)
            }
        };
        self.info.error = Some(ended.to_string());
        // the error of the run is what is to be said
        let _ = self.look().and_then(|()| self.info.write(self.dir()));
        Err(ended)
    }
}

/// Whether a snapshot is no newer than the checkpoint: that of the coming iteration is taken before its step, and taken
/// already if its changes have begun.
fn stays(iteration: Option<usize>, cursor: Cursor) -> bool {
    iteration.is_none_or(|i| i < cursor.iteration || i == cursor.iteration && cursor.applied > 0)
}

fn ended(error: Error, kept: String) -> Error {
    Error::Ended { error: Box::new(error), kept }
}
