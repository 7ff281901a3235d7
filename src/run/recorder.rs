//! Measures, keeps, prints and writes, as a monitor of the loop.
use std::time::Instant;

use serde_json::{Map, Value};

use crate::data::{Batch, Loader};
use crate::graph::{AnyModel, Edits};
use crate::output::counted;
use crate::probe::{Measurements, Metric};
use crate::train::{Progress, Subject, Taken, Training};
use crate::{Error, Result};

use super::checkpoint::{Checkpoint, Written};
use super::outputs::Outputs;
use super::probes::Probes;
use super::screen::Screen;
use super::{CheckpointEvery, History, Logging, Schedule, logging, signals};

/// Measures, keeps, prints and writes.
pub(super) struct Recorder {
    pub schedule: Schedule,
    pub probes: Probes,
    pub logging: Logging,
    pub outputs: Option<Outputs>,
    pub history: History,
    /// Numbers of the batch of this iteration, before its update, if they were measured before the step.
    pub before: Option<Measurements>,
    /// Steps that have been taken.
    pub done: usize,
    /// The evaluation of the last step has failed.
    pub unmeasured: bool,
    pub began: Instant,
    /// What has been written and measured before it began, by a run that was interrupted.
    pub written: Written,
    pub every: CheckpointEvery,
    /// What may not change when the run is continued.
    pub identity: Value,
}

/// A recorder during some iterations, in front of the model and what watches it.
pub(super) struct Watch<'a> {
    pub recorder: &'a mut Recorder,
    pub progress: Progress,
    /// The table on a terminal.
    pub screen: &'a mut Option<Screen>,
    /// The number of steps of the run.
    pub steps: usize,
    pub subject: &'a mut dyn Subject,
}

impl Subject for Watch<'_> {
    fn model(&self) -> &dyn AnyModel {
        self.subject.model()
    }

    fn model_mut(&mut self) -> &mut dyn AnyModel {
        self.subject.model_mut()
    }

    fn reads(&self, iteration: usize) -> bool {
        self.measures(iteration) || self.recorder.is_due(iteration + 1) || self.subject.reads(iteration)
    }

    fn metrics(&self) -> &[Metric] {
        self.recorder.probes.metrics()
    }

    fn measures(&self, iteration: usize) -> bool {
        self.recorder.schedule.contains(iteration, Some(self.steps))
    }

    fn measure(&mut self, batch: &Batch) -> Result<()> {
        self.recorder.before = Some(self.recorder.probes.before(self.subject.model(), batch)?);
        Ok(())
    }

    fn before_update(&mut self, iteration: usize, batch: &Batch) -> Result<()> {
        self.subject.before_update(iteration, batch)
    }

    fn edited(&mut self, edits: &Edits) -> Result<()> {
        self.recorder.probes.reopen(self.subject.model(), edits)?;
        self.subject.edited(edits)
    }

    fn snapshot(&mut self, iteration: usize) -> Result<()> {
        if let Some(outputs) = &self.recorder.outputs {
            outputs.snapshot(iteration, self.subject.model())?;
        }
        self.subject.snapshot(iteration)
    }

    fn after_update(&mut self, taken: Taken<'_>) -> Result<()> {
        self.recorder.done = taken.iteration + 1;
        self.recorder.written.seconds_of_steps += taken.times.step.as_secs_f64();
        let before = self.recorder.before.take();
        if let Some(before) = taken.measured.cloned().or(before) {
            let model = self.subject.model();
            self.recorder.record(model, taken, before, &self.progress, self.screen)?;
        }
        self.subject.after_update(taken)?;
        self.progress.advance(|| format!("loss {:.3}", taken.loss));
        Ok(())
    }

    fn between(&mut self, training: &Training, loader: &Loader) -> Result<()> {
        self.recorder.between(self.subject.model(), training, loader)
    }
}

impl Recorder {
    /// Whether a checkpoint is due after `done` iterations.
    fn is_due(&self, done: usize) -> bool {
        self.outputs.as_ref().is_some_and(|outputs| self.every.is_due(done, outputs.checkpointed.elapsed()))
    }

    /// Between two steps: a checkpoint if one is due, and whether something wants the run to stop.
    fn between(&mut self, model: &dyn AnyModel, training: &Training, loader: &Loader) -> Result<()> {
        // one that has become due since the step began is written after the next step, for which the model is brought to the host
        if training.is_current() && self.is_due(self.done) {
            let checkpoint = self.checkpoint(model, training, loader)?;
            self.describe();
            self.outputs.as_mut().map_or(Ok(()), |outputs| outputs.checkpoint(&checkpoint))?;
        }
        let Some(outputs) = &mut self.outputs else { return Ok(()) };
        if let Some(by) = signals::caught() {
            return Err(Error::stopped(by, format!("{by} after {}", counted(self.done, "iteration"))));
        }
        outputs.look_now_and_then()
    }

    /// The end of a run, good or bad: its last weights and `run.json`.
    pub fn end(
        &mut self,
        model: &dyn AnyModel,
        training: &Training,
        loader: &Loader,
        trained: Result<()>,
    ) -> Result<()> {
        if self.outputs.is_none() {
            return trained;
        }
        let mut checkpoint = self.checkpoint(model, training, loader)?;
        // an evaluation that failed is made again when the run goes on, which it does from its last checkpoint
        if let (true, Some(outputs)) = (self.unmeasured, &self.outputs)
            && let Ok(last) = Checkpoint::read(outputs.dir())
        {
            (self.done, checkpoint) = (last.rest.cursor.iteration, last);
        }
        self.describe();
        let (history, done) = (&self.history, self.done);
        let kept = history.records().iter().filter(|(i, _)| *i < done);
        let records = || kept.map(|(i, record)| line(*i, record)).collect();
        self.outputs.as_mut().map_or(Ok(()), |outputs| outputs.end(model, checkpoint, records, trained))
    }

    /// What the run is now.
    fn checkpoint(&self, model: &dyn AnyModel, training: &Training, loader: &Loader) -> Result<Checkpoint> {
        let mut written = self.written.clone();
        written.seconds = self.seconds();
        if let Some(outputs) = &self.outputs {
            outputs.tell(&mut written);
        }
        for entry in self.history.records().last().into_iter().flat_map(|(_, record)| record.entries()) {
            written.units.insert(entry.name.clone(), entry.unit);
        }
        Checkpoint::of(model, training, training.position(loader), written, self.identity.clone())
    }

    fn seconds(&self) -> f64 {
        self.written.seconds + self.began.elapsed().as_secs_f64()
    }

    /// Brings up to date what `run.json` says.
    fn describe(&mut self) {
        let (done, seconds, steps) = (self.done, self.seconds(), self.written.seconds_of_steps);
        let last = self.history.records().last();
        let units =
            last.into_iter().flat_map(|(_, record)| record.entries()).map(|e| (e.name.clone(), e.unit));
        if let Some(outputs) = &mut self.outputs {
            let info = &mut outputs.info;
            info.units.extend(units);
            (info.iterations, info.seconds) = (done, seconds);
            info.seconds_a_step = (done > 0).then(|| steps / done as f64);
            info.peak_memory = crate::memory::peak();
        }
    }

    /// One evaluation.
    fn record(
        &mut self,
        model: &dyn AnyModel,
        step: Taken<'_>,
        before: Measurements,
        progress: &Progress,
        screen: &mut Option<Screen>,
    ) -> Result<()> {
        let of_batch: Vec<String> = before.entries().iter().map(|entry| entry.name.clone()).collect();
        self.unmeasured = true;
        let mut record = self.probes.after(before, model, step)?;
        self.unmeasured = false;
        let lines = match screen {
            Some(screen) => screen.row(step.iteration, &record, |name| of_batch.iter().any(|of| of == name)),
            None => self.logging.lines(model, step, &record, |name| self.probes.is_of_weights(name)),
        };
        let printed = || lines.iter().try_for_each(|line| progress.line(line));
        if !self.logging.records {
            return printed();
        }
        if self.logging.norms {
            record.extend(logging::norms(model, step));
        }
        if let Some(number) = self.logging.not_applicable {
            record = record.not_applicable_as(number);
        }
        let written = self.outputs.as_mut().map(|outputs| outputs.record(step.iteration, &record));
        self.history.push(step.iteration, record);
        // a reader that has gone stops the run, which has this record then
        written.unwrap_or(Ok(())).and_then(|()| printed())
    }
}

/// The line of an evaluation in `res.jsonl`.
pub(super) fn line(iteration: usize, record: &Measurements) -> String {
    format!("{}\n", labelled("iter", Value::from(iteration), record))
}

/// A label, then the record.
pub(super) fn labelled(key: &str, label: Value, record: &Measurements) -> Value {
    let mut object = Map::new();
    object.insert(key.into(), label);
    if let Ok(Value::Object(entries)) = serde_json::to_value(record) {
        object.extend(entries);
    }
    Value::Object(object)
}
