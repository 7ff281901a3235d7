//! A run.
use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::data::{Batch, Batches, Loader, LoaderOptions};
use crate::engine::Request;
use crate::graph::{Edits, Model};
use crate::probe::{Metric, WeightProbe};
use crate::train::optim::Optim;
use crate::train::{
    Compute, EmptyLoss, Loss, Monitor, OnDivergence, Progress, Step, Timeline, Trainer, WeightEdit,
};
use crate::{Error, Result};

use super::checkpoint::{Checkpoint, Written};
use super::folder::{self, Found};
use super::inspect::check_length;
use super::looks::Looks;
use super::outputs::{Content, Outputs};
use super::probes::{Probes, TestSet, Wanted};
use super::recorder::{Recorder, Watch};
use super::screen::{End, Screen};
use super::signals::Watching;
use super::{
    Cause, CheckpointEvery, Earlier, Estimate, History, Logging, Needs, Part, RunInfo, Schedule, Seeds,
    Status, same,
};

/// Trains a model, measures it on a schedule, prints a line at each evaluation, and writes the files of a run.
///
/// A number of an iteration is of its training batch before the update ([`on_training`](Self::on_training)), or of the
/// model after the update ([`on`](Self::on), [`weights`](Self::weights)); `loss` is the loss of the step, unless a
/// metric has that name. Everything that can be refused is refused before the first step and before a file is touched.
///
/// The folder of [`save_to`](Self::save_to) holds `run.json` (what the run was made of), `params.json` (the settings of
/// the program, if [they are given](Self::settings)), `res.jsonl` (a line at each evaluation), `final.safetensors`, and
/// `snapshots/ITERATION.safetensors` where the timeline takes them.
///
/// `checkpoint.safetensors` there holds all that [`resume`](Self::resume) needs: killed at any moment and resumed, a run leaves the
/// same records and the same final weights, to the last byte, as one that was not interrupted (on the CPU; a GPU adds in no fixed
/// order). Data, optimiser, timeline and edits continue where they were; a monitor of your own starts again.
///
/// While it trains, the first SIGINT, SIGTERM or SIGHUP stops a run with a folder after its step, with
/// [`Error::Stopped`]; a second one ends the process.
///
/// [The module](super) has an example.
pub struct Run<M> {
    pub(super) trainer: Trainer<M>,
    batches: Batches,
    pub(super) wanted: Wanted,
    schedule: Schedule,
    pub(super) logging: Logging,
    pub(super) dir: Option<PathBuf>,
    earlier: Earlier,
    events: bool,
    every: CheckpointEvery,
    settings: Option<String>,
    steps: Option<usize>,
    /// Sequences whose activations are written at the end.
    exp: usize,
    /// The report and figures that are made at the end.
    pub(super) looks: Looks,
    started: Option<Started>,
}

/// What the checks before the first step have made.
pub(super) struct Checked {
    pub probes: Probes,
    /// What the run will hold in memory.
    pub estimate: Estimate,
}

/// What is open once the first step is taken.
struct Started {
    loader: Loader,
    recorder: Recorder,
    /// Steps that have been asked for.
    asked: usize,
}

/// No monitor of the user's own.
pub(crate) struct Alone;

impl<M> Monitor<M> for Alone {
    fn reads(&self, _: usize) -> bool {
        false
    }

    fn after_update(&mut self, _: &Step<'_, M>) -> Result<()> {
        Ok(())
    }
}

impl<M: Model> Run<M> {
    /// Makes a run of `model` on these batches. It uses AdamW with learning rate 0.001, the mean loss over all positions and
    /// all cores, changes nothing on the way, and evaluates every 25 iterations and at the last.
    pub fn new(model: M, batches: Batches) -> Self {
        Run {
            trainer: Trainer::new(model),
            batches,
            wanted: Wanted::default(),
            schedule: Schedule::every(25).and_last(),
            logging: Logging::default(),
            dir: None,
            earlier: Earlier::Refuse,
            events: false,
            every: CheckpointEvery::default(),
            settings: None,
            steps: None,
            exp: 0,
            looks: Looks::default(),
            started: None,
        }
    }

    /// Sets the optimiser; without it, AdamW with learning rate 0.001.
    pub fn optim(mut self, optim: impl Into<Optim>) -> Self {
        self.trainer.optim = optim.into();
        self
    }

    /// Sets the loss; without it, the mean cross-entropy over all positions.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.trainer.loss = loss;
        self
    }

    /// Sets the changes that happen during the run.
    pub fn timeline(mut self, timeline: Timeline) -> Self {
        self.trainer.timeline = timeline;
        self
    }

    /// Sets the number of all steps of a run that is trained in pieces; the timeline is checked against this number. Without
    /// it, the first [`train`](Self::train) is taken for the whole run, and a change that comes later is refused, because it
    /// would never happen.
    pub fn steps(mut self, steps: usize) -> Self {
        self.steps = Some(steps);
        self
    }

    /// Sets what happens if the loss selects no position of the first batch; without it, that is an error.
    pub fn empty_loss(mut self, empty_loss: EmptyLoss) -> Self {
        self.trainer.empty_loss = empty_loss;
        self
    }

    /// Edits some of the model's sites, in training and in all that is measured.
    pub fn edits(mut self, edits: Edits) -> Self {
        self.trainer.edits = edits;
        self
    }

    /// Sets the number of threads, on which the result does not depend.
    pub fn threads(mut self, threads: usize) -> Self {
        self.trainer.compute.threads = threads;
        self
    }

    /// Sets the device, the precision and the threads.
    pub fn compute(mut self, compute: Compute) -> Self {
        self.trainer.compute = compute;
        self
    }

    /// Measures these metrics on the training batch of each evaluated step, before the update.
    pub fn on_training(mut self, metrics: impl IntoIterator<Item = Metric>) -> Self {
        self.wanted.training.extend(metrics);
        self
    }

    /// Measures these metrics on a fixed batch, after the update. There may be any number of fixed batches, of any length;
    /// names must be different in all of them.
    pub fn on(self, batch: &Batch, metrics: impl IntoIterator<Item = Metric>) -> Self {
        self.on_edited([], batch, metrics)
    }

    /// Measures these metrics on a fixed batch, after the update, for a copy of the model with some of its weights changed.
    /// This shows what the model computes without a memory. Training is not affected.
    pub fn on_edited(
        mut self,
        edited: impl IntoIterator<Item = WeightEdit>,
        batch: &Batch,
        metrics: impl IntoIterator<Item = Metric>,
    ) -> Self {
        let (metrics, edited) = (metrics.into_iter().collect(), edited.into_iter().collect());
        self.wanted.sets.push(TestSet { batch: batch.clone(), metrics, edited });
        self
    }

    /// Measures these probes of the weights, after the update.
    pub fn weights<P: Into<WeightProbe>>(mut self, probes: impl IntoIterator<Item = P>) -> Self {
        self.wanted.weights.extend(probes.into_iter().map(P::into));
        self
    }

    /// Evaluates every `n` iterations and at the last one.
    pub fn every(self, n: usize) -> Self {
        self.schedule(Schedule::every(n).and_last())
    }

    /// Evaluates at the iterations of this schedule.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Writes the files of the run into this folder.
    pub fn save_to(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Sets what happens to an earlier run in the folder. By default, an earlier run is an error.
    pub fn earlier(mut self, earlier: Earlier) -> Self {
        self.earlier = earlier;
        self
    }

    /// Continues the run in the folder: `earlier(Earlier::Resume)`.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use ihead::config::Config;
    /// # use ihead::data::{BatchOptions, Batches, BigramData, TriggerOptions, TriggerTask};
    /// # use ihead::model::{Simplified, SimplifiedArgs};
    /// # use ihead::run::Run;
    /// # fn new() -> ihead::Result<Run<Simplified<usize, usize, usize>>> {
    /// #     let options = TriggerOptions { k: 3, seq_length: 16, ..Default::default() };
    /// #     let task = Arc::new(TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options)?);
    /// #     let batches = Batches::new(task, BatchOptions { batch_size: 4, seed: 0, workers: 1 })?;
    /// #     let sizes = SimplifiedArgs { max_length: 16, dim: 8, ..SimplifiedArgs::defaults() };
    /// #     Ok(Run::new(Simplified::new(65, &sizes)?.init(0), batches).every(2).quiet())
    /// # }
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("run");
    /// let whole = new()?.train(6)?; // `new` makes the same run each time
    /// new()?.save_to(&path).train(4)?;
    /// // the same program again: steps are counted from the beginning, those that were taken are not taken again
    /// let resumed = new()?.save_to(&path).resume().train(6)?;
    /// assert_eq!(resumed.last("loss")?, whole.last("loss")?);
    /// # Ok::<(), ihead::Error>(())
    /// ```
    pub fn resume(self) -> Self {
        self.earlier(Earlier::Resume)
    }

    /// Sets how often a checkpoint is written: every ten minutes without it, and at the beginning and at the end in any case.
    pub fn checkpoint_every(mut self, every: CheckpointEvery) -> Self {
        self.every = every;
        self
    }

    /// Sets what happens when a loss, a gradient or a weight is not finite; without it the run ends.
    pub fn on_divergence(mut self, then: OnDivergence) -> Self {
        self.trainer.on_divergence = then;
        self
    }

    /// Also writes the measurements as events for TensorBoard, into the folder of the run.
    pub fn tensorboard(mut self) -> Self {
        self.events = true;
        self
    }

    /// Writes this text, the settings of a program in JSON, as `params.json`.
    pub fn settings(mut self, params: impl Into<String>) -> Self {
        self.settings = Some(params.into());
        self
    }

    /// Sets which measurements are printed and how they are written.
    pub fn logging(mut self, logging: Logging) -> Self {
        self.logging = logging;
        self
    }

    /// Prints neither lines nor a progress bar.
    pub fn quiet(mut self) -> Self {
        self.logging.lines = false;
        self
    }

    /// Returns the model with its present weights.
    pub fn model(&self) -> &M {
        &self.trainer.model
    }

    /// Returns the stream of training batches, at its beginning.
    pub fn batches(&self) -> &Batches {
        &self.batches
    }

    /// Ends the run and gives back its model.
    pub fn into_model(self) -> M {
        self.trainer.model
    }

    /// Takes `steps` more steps and returns all measurements since the first step. When a run is resumed, `steps`
    /// includes the steps that had been taken before.
    ///
    /// # Errors
    /// Before the first step, if something does not fit: unknown names, batches that do not fit the model, two
    /// numbers of one name, parameters that were never initialised, a change that never happens, a loss over no position of the
    /// first batch, a folder that cannot be made. Later, if data or files fail.
    pub fn train(&mut self, steps: usize) -> Result<History> {
        self.train_watched(Some(steps), &mut Alone)
    }

    /// Trains as [`train`](Self::train) does, and calls your own monitor at each step. If `steps` is `None`, the run trains
    /// until it is stopped.
    ///
    /// # Errors
    /// Those of [`train`](Self::train), and those of the monitor.
    pub fn train_watched(&mut self, steps: Option<usize>, own: &mut dyn Monitor<M>) -> Result<History> {
        let mut started = match self.started.take() {
            Some(started) => started,
            None => {
                let (model, seq) = (&self.trainer.model, self.batches.task().seq_length());
                check_length("the task", seq, model)?;
                self.trainer.check(&self.batches, self.steps.or(steps))?;
                self.start()?
            }
        };
        if let Some(outputs) = &mut started.recorder.outputs
            && outputs.info.ended.take().is_some()
        {
            (outputs.info.status, outputs.info.error) = (Status::Running, None);
            outputs.describe()?;
        }
        let watching = started.recorder.outputs.is_some().then(Watching::begin);
        let done = self.trainer.cursor().iteration;
        started.asked = steps.map_or(usize::MAX, |steps| started.asked.saturating_add(steps));
        let (asked, seq) = (started.asked, self.batches.task().seq_length());
        let left = steps.map(|_| started.asked.saturating_sub(done));
        let progress = if self.logging.lines { Progress::new(left) } else { Progress::silent() };
        if left == Some(0) && done > 0 {
            progress.line(&format!(
                "{done} iterations have been taken, {} were asked for: nothing is left to do",
                started.asked
            ))?;
        }
        let table = self.logging.lines && !self.logging.paper;
        let mut screen = if table { Screen::of_terminal() } else { None };
        let began = Instant::now();
        let recorder = &mut started.recorder;
        let mut watch = Watch { recorder, progress, screen: &mut screen, steps: asked, own };
        let trained = self.trainer.steps(seq, &mut started.loader, started.asked, &mut watch);
        drop(watch);
        let ended = started.recorder.end(&self.trainer, &started.loader, trained);
        drop(watching);
        let history = started.recorder.history.clone();
        let dir = started.recorder.outputs.as_ref().map(|outputs| outputs.dir().to_owned());
        self.started = Some(started);
        if ended.as_ref().err().is_none_or(|error| error.stop().is_some()) {
            // a run that was stopped says so, whatever else fails
            let looked = self.look().map_err(|error| self.failed(error));
            ended.and(looked)?;
        } else {
            ended?;
        }
        let (steps, last) = (self.trainer.cursor().iteration, history.records().last());
        let lines = screen.map(|screen| {
            let end =
                End { steps, took: began.elapsed(), last: last.map(|(_, r)| r), report: self.looks.report };
            screen.end(&end, dir.as_deref())
        });
        lines.into_iter().flatten().try_for_each(crate::output::line)?;
        Ok(history)
    }

    /// Says in `run.json` what the files have taken that are written after the run's end.
    pub(crate) fn written(&mut self) -> Result<()> {
        let outputs = self.started.as_mut().and_then(|started| started.recorder.outputs.as_mut());
        outputs.map_or(Ok(()), |outputs| {
            outputs.info.peak_memory = crate::memory::peak();
            outputs.describe()
        })
    }

    /// Says in `run.json` that a file that belongs to the run could not be written after its end.
    pub(crate) fn failed(&mut self, error: Error) -> Error {
        let outputs = self.started.as_mut().and_then(|started| started.recorder.outputs.as_mut());
        if let Some(outputs) = outputs {
            outputs.info.status = Status::Failed;
            outputs.info.error = Some(error.to_string());
            let _ = outputs.describe();
        }
        error
    }

    /// Checks everything, then makes the files.
    fn start(&mut self) -> Result<Started> {
        let Checked { mut probes, estimate } = self.check()?;
        self.check_looks()?;
        let identity = self.identity();
        self.trainer.prepare()?;
        let mut written = Written::default();
        let (mut batches, mut history) = (self.batches.clone(), History::default());
        let outputs = match self.dir.clone() {
            None if self.trainer.timeline.takes_snapshots() => {
                let needed = "a folder for them: `save_to`, or save_dir=...";
                return Err(Error::value("timeline", "takes snapshots", needed));
            }
            None => None,
            Some(dir) if self.earlier.resumes() && folder::look(&dir)? == Found::Run => {
                let (folder, checkpoint) = Outputs::open(&dir)?;
                same::check(&dir, &checkpoint.rest.settings, &identity)?;
                batches = batches.resume(&checkpoint.rest.data)?;
                written = checkpoint.rest.written.clone();
                let cursor = checkpoint.rest.cursor;
                checkpoint.restore(&mut self.trainer)?;
                probes.reopen(&self.trainer.model, &self.trainer.edits)?;
                let outputs = Outputs::reopen(
                    folder,
                    cursor,
                    &written,
                    self.events,
                    self.describe(&estimate, &probes)?,
                )?;
                history = History::read(&outputs.dir().join("res.jsonl"), &written.units)?;
                Some(outputs)
            }
            Some(dir) if self.earlier == Earlier::Resume => {
                let mend = "resume=auto begins one where there is none";
                return Err(Error::folder(dir, "holds no run to go on with", mend));
            }
            Some(dir) => {
                let position = self.batches.position();
                let checkpoint =
                    Checkpoint::of(&self.trainer, position, Written::default(), identity.clone())?;
                let content = Content {
                    params: self.settings.as_deref(),
                    snapshots: self.trainer.timeline.takes_snapshots(),
                    events: self.events,
                    checkpoint: &checkpoint,
                };
                let info = self.describe(&estimate, &probes)?;
                Some(Outputs::create(&dir, self.earlier, &content, info)?)
            }
        };
        let loader = Loader::new(batches, LoaderOptions::default())?;
        let (schedule, logging) = (self.schedule.clone(), self.logging.clone());
        let recorder = Recorder {
            schedule,
            probes,
            logging,
            outputs,
            history,
            before: None,
            done: self.trainer.cursor().iteration,
            began: Instant::now(),
            written,
            every: self.every,
            identity,
        };
        Ok(Started { loader, recorder, asked: 0 })
    }

    /// What may not change when the run is continued: the settings of the program, and what they have made.
    fn identity(&self) -> Value {
        let options = self.batches.options();
        let mut run = Value::Object(self.made_of());
        run["precision"] = format!("{:?}", self.trainer.compute.precision).into();
        run["batches"] =
            json!({ "size": options.batch_size, "seed": options.seed, "workers": options.workers });
        let settings = self.settings.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let mut identity = settings.filter(Value::is_object).unwrap_or_else(|| json!({}));
        identity["run"] = run;
        identity
    }

    /// Checks everything, without touching a file.
    pub(super) fn check(&self) -> Result<Checked> {
        let (trainer, task) = (&self.trainer, self.batches.task());
        let (model, seq) = (&trainer.model, task.seq_length());
        check_length("the task", seq, model)?;
        trainer.timeline.check(model, seq, &trainer.edits, None)?;
        trainer.optim.check(model)?;
        self.schedule.check()?;
        let graph = trainer.graph(seq)?;
        trainer.check_values(&graph)?;
        if task.vocab() > graph.vocab() {
            let (found, most) = (format!("{} tokens", task.vocab()), graph.vocab());
            return Err(Error::misfit(
                task.name(),
                found,
                format!("at most the {most} of the model's vocabulary"),
            ));
        }
        self.wanted.check(model)?;
        let estimate = self.estimate()?;
        estimate.check(|part| match part {
            Part::Weights => Cause::new("model", "all its weights"),
            Part::Sequence => Cause::new("seq_length", format!("{seq} tokens a sequence")),
            Part::Batches => {
                let batch = self.batches.options().batch_size;
                Cause::new("batch_size", format!("{batch} sequences of {seq} tokens"))
            }
        })?;
        trainer.compute.engine(&graph, &Request::default(), &|_| false)?;
        let probes = self.wanted.clone().open(model, seq, &trainer.edits, trainer.compute)?;
        Ok(Checked { probes, estimate })
    }

    /// What it will hold in memory.
    fn estimate(&self) -> Result<Estimate> {
        let trainer = &self.trainer;
        let needs = Needs {
            seq: self.batches.task().seq_length(),
            batch: self.batches.options().batch_size,
            sets: self.wanted.sets.iter().map(|set| (set.batch.batch, set.batch.seq)).collect(),
            evaluates: !self.wanted.training.is_empty(),
            exp: self.exp,
            optim: &trainer.optim,
            loss: &trainer.loss,
            timeline: &trainer.timeline,
            edits: &trainer.edits,
            compute: trainer.compute,
            on_divergence: trainer.on_divergence,
            keeps: self.dir.is_some(),
        };
        Estimate::of(&trainer.model, &needs)
    }

    /// With so many sequences whose activations are written at the end.
    pub(crate) fn exp(mut self, sequences: usize) -> Self {
        self.exp = sequences;
        self
    }

    /// What the run is made of, as `run.json` has it.
    fn made_of(&self) -> Map<String, Value> {
        let (trainer, task) = (&self.trainer, self.batches.task());
        let made_of = json!({
            "task": { "name": task.name(), "vocab": task.vocab(), "seq_length": task.seq_length() },
            "optim": trainer.optim.to_string(),
            "loss": trainer.loss,
            "timeline": trainer.timeline,
            "edits": trainer.edits,
            "schedule": self.schedule,
        });
        made_of.as_object().cloned().unwrap_or_default()
    }

    /// What `run.json` says of a run that begins.
    fn describe(&self, estimate: &Estimate, probes: &Probes) -> Result<RunInfo> {
        let settings = self.settings.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let Compute { device, threads, precision } = self.trainer.compute;
        Ok(RunInfo {
            device: format!("{device:?}").to_lowercase(),
            precision: format!("{precision:?}").to_lowercase(),
            threads,
            seeds: Seeds {
                data: self.batches.options().seed,
                weights: settings.and_then(|settings| settings.get("seed")?.as_u64()),
            },
            made_of: self.made_of(),
            estimated_memory: Some(estimate.bytes() as u64),
            chances: probes.chances(&self.trainer.model)?,
            recalls: probes.recalls(),
            ..RunInfo::begin()
        })
    }
}
