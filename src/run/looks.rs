//! The report and the figures that a run makes at its end.
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::data::{NumpyRng, sample};
use crate::graph::{AnyModel, Edits};
use crate::report::{Looked, Page, View};
use crate::train::Timeline;
use crate::{Error, Result};

use super::Run;
use super::work::Work;

/// Sequences that are drawn for a run without a test set.
const SEQUENCES: usize = 4;

/// What is made at the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Looks {
    pub report: bool,
    pub figures: bool,
    /// The program that draws, if figures are made.
    plot: PathBuf,
    /// The edits with which the run begins.
    edits: Edits,
}

impl<M> Run<M> {
    /// Writes an interactive report into the folder when the run ends: `report.html`, one file that needs no network,
    /// with the settings, the curves of all that is measured, and what the model attends to and predicts in some
    /// sequences of the first test set (or of the task), at each snapshot and at the end. [`crate::report`] says more.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use ihead::config::Config;
    /// # use ihead::data::{BatchOptions, Batches, BigramData, TriggerOptions, TriggerTask};
    /// # use ihead::model::{Simplified, SimplifiedArgs};
    /// # use ihead::run::Run;
    /// # let options = TriggerOptions { k: 3, seq_length: 16, ..Default::default() };
    /// # let task = Arc::new(TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options)?);
    /// # let batches = Batches::new(task, BatchOptions { batch_size: 4, seed: 0, workers: 1 })?;
    /// # let sizes = SimplifiedArgs { max_length: 16, dim: 8, ..SimplifiedArgs::defaults() };
    /// # let model = Simplified::new(65, &sizes)?.init(0);
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let dir = dir.path().join("run");
    /// Run::new(model, batches).quiet().save_to(&dir).report().train(4)?;
    /// assert!(std::fs::read_to_string(dir.join("report.html")).unwrap().starts_with("<!doctype html>"));
    /// # Ok::<(), ihead::Error>(())
    /// ```
    pub fn report(mut self) -> Self {
        self.work.looks.report = true;
        self
    }

    /// Draws `attention.svg` and, if something was measured, `curves.svg` into the folder when the run ends. It calls the
    /// program `plot` of the crate `ihead-figure`, which must be in the folder of this program, in the one above it, or on
    /// the `PATH`.
    pub fn figures(mut self) -> Self {
        self.work.looks.figures = true;
        self
    }
}

impl Work {
    /// Keeps the edits with which the run begins, and finds the program that draws if it is needed.
    pub(super) fn prepare_looks(&mut self) -> Result<()> {
        self.looks.edits = self.training.edits.clone();
        if self.looks.figures {
            self.looks.plot = find_plot().ok_or_else(|| {
                Error::usage(
                    "figures are drawn by the program plot, which is neither beside this program nor on the PATH: \
                     cargo build --release -p ihead-figure, or cargo install --path figures",
                )
            })?;
        }
        Ok(())
    }

    /// Makes the report and the figures of this run.
    pub fn look(&self, model: &dyn AnyModel) -> Result<()> {
        let Some(dir) = self.dir.clone() else { return Ok(()) };
        self.look_at(model, &dir, &self.training.timeline, self.training.cursor().iteration)
    }

    /// Makes the report and the figures of the run in a folder, into it; `timeline` is what changed in its `iterations`.
    pub fn look_at(
        &self,
        model: &dyn AnyModel,
        dir: &Path,
        timeline: &Timeline,
        iterations: usize,
    ) -> Result<()> {
        if !self.looks.wanted() {
            return Ok(());
        }
        let (edits, compute) = (&self.looks.edits, self.training.compute);
        // names of tokens are code of the user's, as is the model
        Error::or_panicked("the report or the figures of the run", || {
            let drawn = match self.wanted.sets.first() {
                Some(_) => None,
                None => Some(sample(&**self.batches.task(), &mut NumpyRng::new(&[0]), SEQUENCES)?),
            };
            match drawn.as_ref().or(self.wanted.sets.first().map(|set| &set.batch)) {
                Some(batch) => self.draw(dir, &Looked { model, batch, edits, timeline, iterations, compute }),
                None => Ok(()),
            }
        })
    }

    /// Makes the report and the figures of what was looked at, into a folder.
    fn draw(&self, dir: &Path, looked: &Looked<'_>) -> Result<()> {
        let task = self.batches.task();
        // a model may have more tokens than its task
        let name = |token: u32| match (token as usize) < task.vocab() {
            true => task.token_name(token),
            false => format!("#{token}"),
        };
        View::of_run(dir, looked, name)?.write(dir)?;
        if self.looks.report {
            Page::of_runs(&[dir.to_path_buf()])?.write(&dir.join("report.html"))?;
        }
        if self.looks.figures {
            // a run that has recorded no evaluation, as the paper's program without triggers, has no curves
            let measured = std::fs::metadata(dir.join("res.jsonl")).is_ok_and(|file| file.len() > 0);
            for kind in ["curves", "attention"].into_iter().filter(|kind| measured || *kind != "curves") {
                draw(&self.looks.plot, dir, kind)?;
            }
        }
        Ok(())
    }
}

impl Looks {
    /// Whether anything is drawn.
    pub(super) fn wanted(&self) -> bool {
        self.report || self.figures
    }
}

/// The program that draws: beside this program, in the folder above (where that of an example is), or on the `PATH`.
fn find_plot() -> Option<PathBuf> {
    let name = format!("plot{}", std::env::consts::EXE_SUFFIX);
    let own = std::env::current_exe().ok();
    let near = own.iter().flat_map(|own| own.ancestors().skip(1).take(2)).map(Path::to_owned);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = near.chain(std::env::split_paths(&path)).map(|dir| dir.join(&name));
    // others have a program of this name, too
    let is_ours = |program: &PathBuf| {
        let help = Command::new(program).arg("--help").stdin(Stdio::null()).output();
        help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("Draws runs"))
    };
    places.find(|program| program.is_file() && is_ours(program))
}

/// Draws a kind of figure of the run in a folder, into it.
fn draw(plot: &Path, dir: &Path, kind: &str) -> Result<()> {
    let out = dir.join(format!("{kind}.svg"));
    let mut arg = std::ffi::OsString::from("out=");
    arg.push(&out);
    let done = Command::new(plot).arg(dir).arg(kind).arg(arg).stdin(Stdio::null()).output();
    let done = done.map_err(|e| Error::io("run", plot, e))?;
    match done.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&done.stderr);
            let said = said.trim().trim_start_matches("error: ");
            Err(Error::format(&out, format!("not drawn: {said}")))
        }
    }
}
