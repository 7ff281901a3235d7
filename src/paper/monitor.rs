//! Evaluations of a run: records, log lines, norms.
use serde_json::{Map, Value};

use crate::Result;
use crate::data::Batch;
use crate::engine::{Engine, Request};
use crate::graph::{Graph, Model};
use crate::nn::{ModuleExt, Params, norm};
use crate::probe::{Evaluation, Metric, Record, WeightProbe, record_weights};
use crate::train::{Device, Monitor, Outputs, Progress, Step, engine};

/// What is measured at an evaluation.
pub struct Measured {
    /// On the batch of the step, before the update.
    pub metrics: Vec<Metric>,
    /// On the test batch, after the update.
    pub test: Metric,
    /// On the weights, after the update.
    pub recalls: Vec<WeightProbe>,
    /// Also the norm and the gradient's norm of each parameter that trains.
    pub norms: bool,
}

/// When to evaluate and what to log.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Iterations between evaluations.
    pub eval_delta: usize,
    /// Log the recalls on a line of their own.
    pub log_probes: bool,
    /// Log the norms of attention matrices.
    pub log_norms: bool,
}

/// An evaluation on an engine of its own.
struct Pass {
    evaluation: Evaluation,
    engine: Box<dyn Engine<f32>>,
}

impl Pass {
    fn new(metrics: Vec<Metric>, graph: &Graph, device: Device, threads: usize) -> Result<Pass> {
        let evaluation = Evaluation::new(metrics, graph, 0)?;
        let request = Request { loss: None, reads: evaluation.reads().to_vec() };
        let engine = engine(device, graph, &request, &|_| false, threads)?;
        Ok(Pass { evaluation, engine })
    }

    fn run(&mut self, model: &impl Model, batch: &Batch) -> Result<Record> {
        let rows = self.evaluation.rows(batch);
        let pass = self.evaluation.pass(batch, &rows);
        self.engine.run(&Params::of(model), batch, &rows, &|i, reads| pass.observe(i, reads))?;
        pass.finish()
    }
}

/// Evaluates, records and logs a run as the paper's programs do.
pub struct PaperMonitor {
    schedule: Schedule,
    /// Absent without triggers: then there is only the loss to log.
    passes: Option<(Pass, Pass)>,
    test_batch: Batch,
    recalls: Vec<WeightProbe>,
    norms: bool,
    outputs: Option<Outputs>,
    progress: Progress,
    before: Option<Record>,
}

impl PaperMonitor {
    /// `measured` is `None` for a task without triggers.
    ///
    /// # Errors
    /// If the model lacks a site or weight that is measured, or the device is not there.
    pub fn new(
        graph: &Graph,
        measured: Option<Measured>,
        test_batch: Batch,
        schedule: Schedule,
        (device, threads): (Device, usize),
    ) -> Result<PaperMonitor> {
        let (mut recalls, mut norms) = (Vec::new(), false);
        let passes = match measured {
            None => None,
            Some(measured) => {
                (recalls, norms) = (measured.recalls, measured.norms);
                let batch = Pass::new(measured.metrics, graph, device, threads)?;
                Some((batch, Pass::new(vec![measured.test], graph, device, threads)?))
            }
        };
        let progress = Progress::new(None);
        Ok(PaperMonitor {
            schedule,
            passes,
            test_batch,
            recalls,
            norms,
            outputs: None,
            progress,
            before: None,
        })
    }

    /// The same monitor, writing its records to the files of a run.
    pub fn recording(mut self, outputs: Option<Outputs>) -> Self {
        self.outputs = outputs;
        self
    }

    /// The same monitor, without log lines and bar.
    pub fn quiet(mut self) -> Self {
        self.progress = Progress::silent();
        self
    }

    /// The same monitor, with a progress bar for this many steps.
    pub fn steps(mut self, steps: Option<usize>) -> Self {
        self.progress = Progress::new(steps);
        self
    }

    fn log(&self, step: &Step<'_, impl Model>, record: &Record) {
        let times = step.times;
        let mut line = format!(
            "{} ({:.2}, {:.2}, {:.2}): loss: {:.4}",
            step.iteration,
            times.data.as_secs_f64(),
            times.step.as_secs_f64(),
            times.total.as_secs_f64(),
            step.loss
        );
        let is_recall = |name: &str| self.recalls.iter().any(|probe| probe.name() == name);
        let mut probes = String::new();
        for entry in record.entries().iter().filter(|e| e.name != "loss" && !e.name.contains("norm_")) {
            let value = entry.value.number().map_or("-".into(), |v| format!("{v:.4}"));
            let target = if is_recall(&entry.name) { &mut probes } else { &mut line };
            target.push_str(&format!(", {}: {value}", entry.name));
        }
        if self.schedule.log_probes {
            self.progress.line(&line);
            if !probes.is_empty() {
                self.progress.line(&format!("memory probes: {}", probes.trim_start_matches(", ")));
            }
        } else {
            self.progress.line(&format!("{line}{probes}"));
        }
        if self.schedule.log_norms {
            self.progress.line(&norms_line(step));
        }
    }
}

impl<M: Model> Monitor<M> for PaperMonitor {
    fn before_update(&mut self, iteration: usize, model: &M, batch: &Batch) -> Result<()> {
        if iteration.is_multiple_of(self.schedule.eval_delta)
            && let Some((pass, _)) = &mut self.passes
        {
            self.before = Some(pass.run(model, batch)?);
        }
        Ok(())
    }

    fn after_update(&mut self, step: &Step<'_, M>) -> Result<()> {
        if step.iteration.is_multiple_of(self.schedule.eval_delta) {
            let mut record = self.before.take().unwrap_or_default();
            if let Some((_, test)) = &mut self.passes {
                record.extend(test.run(step.model, &self.test_batch)?);
                record.extend(record_weights(&self.recalls, step.model)?);
                self.log(step, &record);
                if let Some(outputs) = &mut self.outputs {
                    let record = record.not_applicable_as(-1.0);
                    let json = serde_json::to_value(&record).unwrap_or_default();
                    let norms = if self.norms { norms(step) } else { Map::new() };
                    outputs.record(&with_iteration(step.iteration, json, norms))?;
                }
            } else {
                self.log(step, &record);
            }
        }
        self.progress.advance(|| format!("loss {:.3}", step.loss));
        Ok(())
    }
}

/// `iter`, the record, then the norms.
fn with_iteration(iteration: usize, record: Value, norms: Map<String, Value>) -> Value {
    let mut object = Map::new();
    object.insert("iter".into(), iteration.into());
    if let Value::Object(entries) = record {
        object.extend(entries);
    }
    object.extend(norms);
    Value::Object(object)
}

/// `norm_NAME` (after the update) and `gradnorm_NAME` of each parameter that has a gradient.
fn norms(step: &Step<'_, impl Model>) -> Map<String, Value> {
    let mut norms = Map::new();
    for (name, param) in step.model.training() {
        norms.insert(format!("norm_{name}"), param.norm().into());
        let gradient = step.gradients.iter().find(|(n, _)| *n == name);
        norms.insert(format!("gradnorm_{name}"), gradient.map(|(_, g)| norm(g)).into());
    }
    norms
}

/// One line with the norms of attention matrices and of their gradients.
fn norms_line(step: &Step<'_, impl Model>) -> String {
    let mut line = String::from("norms:");
    for (name, _, tensor) in step.model.tensors() {
        let wanted =
            ["wq", "wk", "wv", "wo"].iter().any(|w| name.ends_with(&format!("attention.{w}.weight")));
        if wanted {
            let gradient = step.gradients.iter().find(|(n, _)| *n == name);
            let gradient = gradient.map_or("frozen".into(), |(_, g)| format!("grad {:.4}", norm(g)));
            line.push_str(&format!(" {name} {:.4} ({gradient})", tensor.norm()));
        }
    }
    line
}
