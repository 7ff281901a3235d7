//! Measures saved weights later.
use std::path::Path;

use crate::Result;
use crate::graph::{AnyModel, Model};
use crate::probe::Measurements;
use crate::train::Timeline;

use super::inspect::check_length;
use super::recorder::labelled;
use super::work::Work;
use super::{Run, Table};

impl<M: Model> Run<M> {
    /// Measures the saved weights of an earlier run instead of training: its snapshots in order of time, then
    /// `final.safetensors`. The measurements are those of this run, so a probe may be newer than the weights; metrics of the
    /// training batch are those of the first. The records, by iteration or `final`, are returned, printed as a table, and
    /// written to `reprobe.jsonl` in that folder. A snapshot is taken before the step of its iteration, while a record of the
    /// run is made after it. Edits of sites are those of this run: what the timeline of the earlier run edited is not edited
    /// here, unless [`edits`](Self::edits) says so. The model of this run has the last of the weights afterwards.
    ///
    /// With [`report`](Self::report) or [`figures`](Self::figures), these are made of the earlier run, into its folder.
    ///
    /// # Errors
    /// If something of this run does not fit (as for [`train`](Self::train)), there are no stored weights, they are not of
    /// this model, or a report is to be made of a folder whose `run.json`, settings or records cannot be read; then no file is
    /// touched. If a file cannot be written, or a figure not be drawn.
    pub fn reprobe(&mut self, dir: impl AsRef<Path>) -> Result<Vec<(String, Measurements)>> {
        self.work.reprobe(&mut self.model, dir.as_ref())
    }
}

impl Work {
    /// [`Run::reprobe`].
    pub fn reprobe(&mut self, model: &mut dyn AnyModel, dir: &Path) -> Result<Vec<(String, Measurements)>> {
        let stored = crate::io::stored(dir)?;
        self.prepare_looks()?;
        if self.looks.report {
            crate::report::check_run(dir)?;
        }
        let training = &self.training;
        // how many steps the earlier run had is not known: its last iteration comes after all others
        let (seq, steps) = (self.batches.task().seq_length(), Some(usize::MAX));
        check_length("the task", seq, model)?;
        training.timeline.check(model, seq, &training.edits, steps)?;
        let mut probes = self.check(model)?.probes;
        let batch = self.batches.clone().next_batch()?;
        let mut records = Vec::new();
        for (iteration, path) in stored {
            let name = iteration.map_or("final".to_string(), |iteration| iteration.to_string());
            crate::io::load(&path, model)?;
            let mut record = probes.before(model, &batch)?;
            record.extend(probes.of_model(model)?);
            if let Some(number) = self.logging.not_applicable {
                record = record.not_applicable_as(number);
            }
            records.push((name, record));
        }
        let line = |(name, record): &(String, Measurements)| {
            format!("{}\n", labelled("weights", name.as_str().into(), record))
        };
        let text: String = records.iter().map(line).collect();
        crate::io::write_atomically(&dir.join("reprobe.jsonl"), text.as_bytes())?;
        if self.logging.lines {
            crate::output::print(table(&records))?;
        }
        self.look_at(model, dir, &Timeline::default(), 0)?;
        Ok(records)
    }
}

/// A row for each stored weights, a column for each number.
fn table(records: &[(String, Measurements)]) -> Table {
    let names = records.first().into_iter().flat_map(|(_, record)| record.entries()).map(|e| e.name.as_str());
    let names: Vec<&str> = names.collect();
    let mut table = Table::new(std::iter::once("weights").chain(names.iter().copied()));
    for (name, record) in records {
        table.labelled(name, names.iter().map(|name| record.get(name)));
    }
    table
}
