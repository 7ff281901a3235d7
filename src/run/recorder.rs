//! Measures, keeps, prints and writes, as a monitor of the loop.
use std::time::Instant;

use serde_json::{Map, Value};

use crate::data::Batch;
use crate::graph::{Edits, Model};
use crate::probe::Record;
use crate::train::{Monitor, Progress, Step};
use crate::{Error, Result};

use super::outputs::Outputs;
use super::probes::Probes;
use super::{History, Report, Schedule, report, signals};

/// Measures, keeps, prints and writes.
pub(super) struct Recorder {
    pub schedule: Schedule,
    pub probes: Probes,
    pub report: Report,
    pub outputs: Option<Outputs>,
    pub history: History,
    /// Numbers of the batch of this iteration, before its update.
    pub before: Option<Record>,
    /// Steps that have been taken.
    pub done: usize,
    /// Seconds of these steps.
    pub seconds: f64,
    began: Instant,
}

/// A recorder during some iterations, and the user's own monitor beside it.
pub(super) struct Watch<'a, M> {
    pub recorder: &'a mut Recorder,
    pub progress: Progress,
    /// The last iteration.
    pub last: usize,
    pub own: &'a mut dyn Monitor<M>,
}

impl<M: Model> Monitor<M> for Watch<'_, M> {
    fn before_update(&mut self, iteration: usize, model: &M, batch: &Batch) -> Result<()> {
        let recorder = &mut *self.recorder;
        if recorder.schedule.contains(iteration, self.last == iteration) {
            recorder.before = Some(recorder.probes.before(model, batch)?);
        }
        self.own.before_update(iteration, model, batch)
    }

    fn edited(&mut self, model: &M, edits: &Edits) -> Result<()> {
        self.recorder.probes.reopen(model, edits)?;
        self.own.edited(model, edits)
    }

    fn snapshot(&mut self, iteration: usize, model: &M) -> Result<()> {
        if let Some(outputs) = &self.recorder.outputs {
            outputs.snapshot(iteration, model)?;
        }
        self.own.snapshot(iteration, model)
    }

    fn after_update(&mut self, step: &Step<'_, M>) -> Result<()> {
        self.recorder.done = step.iteration + 1;
        self.recorder.seconds += step.times.step.as_secs_f64();
        if let Some(before) = self.recorder.before.take() {
            self.recorder.record(step, before, &self.progress)?;
        }
        self.own.after_update(step)?;
        self.progress.advance(|| format!("loss {:.3}", step.loss));
        self.recorder.between()
    }
}

impl Recorder {
    /// A recorder of a run that begins.
    pub fn new(schedule: Schedule, probes: Probes, report: Report, outputs: Option<Outputs>) -> Recorder {
        let (history, began) = (History::default(), Instant::now());
        Recorder { schedule, probes, report, outputs, history, before: None, done: 0, seconds: 0.0, began }
    }

    /// Between two steps: whether something wants the run to stop.
    fn between(&mut self) -> Result<()> {
        let Some(outputs) = &mut self.outputs else { return Ok(()) };
        if let Some(by) = signals::caught() {
            return Err(Error::stopped(by, format!("{by} after {} iterations", self.done)));
        }
        outputs.look_now_and_then()
    }

    /// The end of a run, good or bad: its last weights and `run.json`.
    pub fn end(&mut self, model: &impl Model, trained: Result<()>) -> Result<()> {
        let Some(outputs) = &mut self.outputs else { return trained };
        let info = &mut outputs.info;
        info.iterations = self.done;
        info.seconds = self.began.elapsed().as_secs_f64();
        info.seconds_a_step = (self.done > 0).then(|| self.seconds / self.done as f64);
        info.peak_memory = crate::memory::peak();
        outputs.end(model, trained)
    }

    /// One evaluation.
    fn record<M: Model>(&mut self, step: &Step<'_, M>, before: Record, progress: &Progress) -> Result<()> {
        let mut record = self.probes.after(before, step)?;
        for line in self.report.lines(step, &record, |name| self.probes.is_of_weights(name)) {
            progress.line(&line)?;
        }
        if !self.report.records {
            return Ok(());
        }
        if self.report.norms {
            record.extend(report::norms(step));
        }
        if let Some(number) = self.report.not_applicable {
            record = record.not_applicable_as(number);
        }
        let written = self.outputs.as_mut().map(|outputs| outputs.record(step.iteration, &record));
        self.history.push(step.iteration, record);
        written.unwrap_or(Ok(()))
    }
}

/// A label, then the record.
pub(super) fn labelled(key: &str, label: Value, record: &Record) -> Value {
    let mut object = Map::new();
    object.insert(key.into(), label);
    if let Ok(Value::Object(entries)) = serde_json::to_value(record) {
        object.extend(entries);
    }
    Value::Object(object)
}
