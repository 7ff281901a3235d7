//! An interactive report of runs: one HTML file that needs no network and no server.
//!
//! | on the page | from |
//! |---|---|
//! | settings and origin, those that differ between runs marked | `params.json`, `run.json` |
//! | curves of any numbers, with their units, chance levels and values under the pointer | `res.jsonl`, `run.json` |
//! | what changed when: freezing, learning rates, edits | the timeline in `run.json` |
//! | attention, predictions and terms of the logits at a position, at each snapshot | a [`View`], `view.json` |
//!
//! A run writes it into its folder with [`Run::report`](crate::run::Run::report) or the setting `report=true`; the
//! program `report` of the crate `ihead-figure` makes one of several runs. The page is at most [`Page::BYTES`] large:
//! what does not fit is left out, and the page says so. Everything that comes from a run is shown as text, never as
//! HTML.
//!
//! ```
//! # let dir = tempfile::tempdir().unwrap();
//! # let dirs = [dir.path().to_owned()];
//! # let info = ihead::run::RunInfo::begin();
//! # std::fs::write(dirs[0].join("run.json"), serde_json::to_string(&info).unwrap()).unwrap();
//! use ihead::report::Page;
//! let page = Page::of_runs(&dirs)?; // folders of runs
//! page.write(&dirs[0].join("report.html"))?;
//! # assert!(page.html().len() < Page::BYTES);
//! # Ok::<(), ihead::Error>(())
//! ```
mod base64;
mod look;
mod record;
mod view;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::run::find_runs;
use crate::{Error, Result};

use record::Record;

pub use look::Looked;
pub use view::View;

/// Refuses a folder of which no report could be made, whatever its view, which is made later.
///
/// # Errors
/// If it has no run, or a file of the run cannot be read.
pub(crate) fn check_run(dir: &Path) -> Result<()> {
    Record::without_view(dir).map(drop)
}

/// A report of runs, as one HTML page.
#[derive(Clone, Debug)]
pub struct Page {
    runs: Vec<Record>,
    /// What there is to say beside the runs.
    notes: Vec<String>,
}

impl Page {
    /// The most bytes of a page.
    pub const BYTES: usize = 5_000_000;

    /// The bytes of all [`View`]s, and of all recorded numbers, on a page.
    const VIEWS: usize = 3_400_000;
    const NUMBERS: usize = 1_200_000;

    /// The most runs on a page.
    pub const RUNS: usize = 32;

    /// Makes a report of the runs in these folders and their subfolders.
    ///
    /// # Errors
    /// If there is no run, there are more than [`RUNS`](Self::RUNS), or a file of one cannot be read.
    pub fn of_runs(dirs: &[PathBuf]) -> Result<Page> {
        let mut found: Vec<PathBuf> = Vec::new();
        for dir in dirs {
            if dir.is_file() {
                return Err(Error::format(
                    dir,
                    "a file; expected the folder of a run, or one with runs below",
                ));
            }
            let below = find_runs(dir)?;
            if below.is_empty() {
                return Err(Error::format(
                    dir,
                    "there is no run in it; expected a folder with run.json, or one with runs below",
                ));
            }
            found.extend(below.into_iter().filter(|run| !found.contains(run)).collect::<Vec<_>>());
        }
        if found.len() > Page::RUNS {
            let most = format!("at most {} in a report; for a sweep, see collect and plot table", Page::RUNS);
            return Err(Error::value("runs", found.len(), most));
        }
        let runs = found.iter().map(|dir| Record::read(dir)).collect::<Result<_>>()?;
        Ok(Page { runs, notes: vec![] })
    }

    /// Returns the folders of the report's runs.
    pub fn dirs(&self) -> impl Iterator<Item = &Path> {
        self.runs.iter().map(|run| run.dir.as_path())
    }

    /// Returns whether the report has a view of a run.
    pub fn has_view(&self, dir: &Path) -> bool {
        self.runs.iter().any(|run| run.dir == dir && run.view.is_some())
    }

    /// Adds the view of a run, or the reason why there is none.
    pub fn view(&mut self, dir: &Path, view: Result<View>) {
        for run in self.runs.iter_mut().filter(|run| run.dir == dir) {
            match &view {
                Ok(view) => run.view = Some(view.clone()),
                // the page names the run itself, and runs with one reason together
                Err(Error::Format { path, message }) if path == dir => run.unseen.clone_from(message),
                Err(error) => run.unseen = error.to_string(),
            }
        }
    }

    /// Adds a note above the runs.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Returns the page as HTML.
    pub fn html(&self) -> String {
        // a closing tag or a comment in a text of the runs would end the data: neither has a bracket left
        let data = self.data().to_string();
        let data = data.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
        let scripts = [
            include_str!("page/vendor/uPlot.iife.min.js"),
            include_str!("page/common.js"),
            include_str!("page/settings.js"),
            include_str!("page/curves.js"),
            include_str!("page/timeline.js"),
            include_str!("page/viewer.js"),
            include_str!("page/main.js"),
        ];
        let scripts = scripts.map(|script| format!("<script>\n{script}</script>\n")).concat();
        let styles = [include_str!("page/vendor/uPlot.min.css"), include_str!("page/page.css")].concat();
        // the parts that are put in have no such marks, or come last
        include_str!("page/page.html")
            .replacen("/*styles*/", &styles, 1)
            .replacen("<!--scripts-->", &scripts, 1)
            .replacen("<!--data-->", &data, 1)
    }

    /// Writes the page to a file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        crate::io::write_atomically(path, self.html().as_bytes())
    }

    /// What the page shows.
    fn data(&self) -> Value {
        let seen = self.runs.iter().filter(|run| run.view.is_some()).count().max(1);
        let (views, numbers) = (Page::VIEWS / seen, Page::NUMBERS / self.runs.len().max(1));
        let runs: Vec<Value> = self.runs.iter().map(|run| run.data(views, numbers)).collect();
        json!({ "runs": record::named(runs), "notes": self.notes })
    }
}
