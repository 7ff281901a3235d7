//! Measures, keeps, prints and writes, as a monitor of the loop.
use std::time::Instant;

use serde_json::{Map, Value};

use crate::data::{Batch, Loader};
use crate::graph::{Edits, Model};
use crate::probe::Measurements;
use crate::train::{Monitor, Progress, Step, Trainer};
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
    /// Numbers of the batch of this iteration, before its update.
    pub before: Option<Measurements>,
    /// Steps that have been taken.
    pub done: usize,
    pub began: Instant,
    /// What has been written and measured before it began, by a run that was interrupted.
    pub written: Written,
    pub every: CheckpointEvery,
    /// What may not change when the run is continued.
    pub identity: Value,
}

/// A recorder during some iterations, and the user's own monitor beside it.
pub(super) struct Watch<'a, M> {
    pub recorder: &'a mut Recorder,
    pub progress: Progress,
    /// The table on a terminal.
    pub screen: &'a mut Option<Screen>,
    /// The number of steps of the run.
    pub steps: usize,
    pub own: &'a mut dyn Monitor<M>,
}

impl<M: Model> Monitor<M> for Watch<'_, M> {
    fn reads(&self, iteration: usize) -> bool {
        let recorder = &*self.recorder;
        recorder.schedule.contains(iteration, Some(self.steps))
            || recorder.is_due(iteration + 1)
            || self.own.reads(iteration)
    }

    fn before_update(&mut self, iteration: usize, model: &M, batch: &Batch) -> Result<()> {
        let recorder = &mut *self.recorder;
        if recorder.schedule.contains(iteration, Some(self.steps)) {
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
        self.recorder.written.seconds_of_steps += step.times.step.as_secs_f64();
        if let Some(before) = self.recorder.before.take() {
            self.recorder.record(step, before, &self.progress, self.screen)?;
        }
        self.own.after_update(step)?;
        self.progress.advance(|| format!("loss {:.3}", step.loss));
        Ok(())
    }

    fn between(&mut self, trainer: &Trainer<M>, loader: &Loader) -> Result<()> {
        self.own.between(trainer, loader)?;
        self.recorder.between(trainer, loader)
    }
}

impl Recorder {
    /// Whether a checkpoint is due after `done` iterations.
    fn is_due(&self, done: usize) -> bool {
        self.outputs.as_ref().is_some_and(|outputs| self.every.is_due(done, outputs.checkpointed.elapsed()))
    }

    /// Between two steps: a checkpoint if one is due, and whether something wants the run to stop.
    fn between<M: Model>(&mut self, trainer: &Trainer<M>, loader: &Loader) -> Result<()> {
        // one that has become due since the step began is written after the next step, for which the model is brought to the host
        if trainer.is_current() && self.is_due(self.done) {
            let checkpoint = self.checkpoint(trainer, loader)?;
            self.describe();
            self.outputs.as_mut().map_or(Ok(()), |outputs| outputs.checkpoint(&checkpoint))?;
        }
        let Some(outputs) = &mut self.outputs else { return Ok(()) };
        if let Some(by) = signals::caught() {
            return Err(Error::stopped(by, format!("{by} after {} iterations", self.done)));
        }
        outputs.look_now_and_then()
    }

    /// The end of a run, good or bad: its last weights and `run.json`.
    pub fn end<M: Model>(
        &mut self,
        trainer: &Trainer<M>,
        loader: &Loader,
        trained: Result<()>,
    ) -> Result<()> {
        if self.outputs.is_none() {
            return trained;
        }
        self.describe();
        let checkpoint = self.checkpoint(trainer, loader)?;
        let history = &self.history;
        let records = || history.records().iter().map(|(i, record)| line(*i, record)).collect();
        self.outputs
            .as_mut()
            .map_or(Ok(()), |outputs| outputs.end(&trainer.model, checkpoint, records, trained))
    }

    /// What the run is now.
    fn checkpoint<M: Model>(&self, trainer: &Trainer<M>, loader: &Loader) -> Result<Checkpoint> {
        let mut written = self.written.clone();
        written.seconds = self.seconds();
        if let Some(outputs) = &self.outputs {
            outputs.tell(&mut written);
        }
        for entry in self.history.records().last().into_iter().flat_map(|(_, record)| record.entries()) {
            written.units.insert(entry.name.clone(), entry.unit);
        }
        Checkpoint::of(trainer, trainer.position(loader), written, self.identity.clone())
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
    fn record<M: Model>(
        &mut self,
        step: &Step<'_, M>,
        before: Measurements,
        progress: &Progress,
        screen: &mut Option<Screen>,
    ) -> Result<()> {
        let of_batch: Vec<String> = before.entries().iter().map(|entry| entry.name.clone()).collect();
        let mut record = self.probes.after(before, step)?;
        let lines = match screen {
            Some(screen) => screen.row(step.iteration, &record, |name| of_batch.iter().any(|of| of == name)),
            None => self.logging.lines(step, &record, |name| self.probes.is_of_weights(name)),
        };
        lines.iter().try_for_each(|line| progress.line(line))?;
        if !self.logging.records {
            return Ok(());
        }
        if self.logging.norms {
            record.extend(logging::norms(step));
        }
        if let Some(number) = self.logging.not_applicable {
            record = record.not_applicable_as(number);
        }
        let written = self.outputs.as_mut().map(|outputs| outputs.record(step.iteration, &record));
        self.history.push(step.iteration, record);
        written.unwrap_or(Ok(()))
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
