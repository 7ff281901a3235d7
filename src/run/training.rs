//! A run.
use std::path::{Path, PathBuf};

use crate::Result;
use crate::data::{Batch, Batches};
use crate::graph::{AnyModel, Edits, Model};
use crate::probe::{Metric, WeightProbe};
use crate::train::optim::Optim;
use crate::train::{
    Compute, EmptyLoss, GradientRule, Loss, Monitor, OnDivergence, Timeline, Unwatched, Watched, WeightEdit,
};

use super::probes::TestSet;
use super::work::Work;
use super::{CheckpointEvery, Earlier, History, Logging, Schedule};

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
/// [`Error::Stopped`](crate::Error::Stopped); a second one ends the process.
///
/// [The module](super) has an example.
pub struct Run<M> {
    pub(super) model: M,
    pub(super) work: Work,
}

impl<M: Model> Run<M> {
    /// Makes a run of `model` on these batches. It uses AdamW with learning rate 0.001, the mean loss over all positions and
    /// all cores, changes nothing on the way, and evaluates every 25 iterations and at the last.
    pub fn new(model: M, batches: Batches) -> Self {
        Run { model, work: Work::new(batches) }
    }
}

impl<M> Run<M> {
    /// Sets the optimiser; without it, AdamW with learning rate 0.001.
    pub fn optim(mut self, optim: impl Into<Optim>) -> Self {
        self.work.training.optim = optim.into();
        self
    }

    /// Adds a rule that changes the gradients of all parameters together before the update: [`ClipNorm`](crate::train::ClipNorm), or
    /// one of your own. Rules are followed in the order in which they were added. A monitor and what is logged see the gradients
    /// before them. On a GPU, the gradients of such a run come to the host in each step.
    pub fn gradient_rule(mut self, rule: impl GradientRule + 'static) -> Self {
        self.work.training.gradient_rules.add(rule);
        self
    }

    /// Sets the loss; without it, the mean cross-entropy over all positions.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.work.training.loss = loss;
        self
    }

    /// Sets the changes that happen during the run.
    pub fn timeline(mut self, timeline: Timeline) -> Self {
        self.work.training.timeline = timeline;
        self
    }

    /// Sets the number of all steps of a run that is trained in pieces: the timeline is checked against it, its `last` is the
    /// last of these steps, and more steps are an error. Without it, the first [`train`](Self::train) is taken for the whole
    /// run: a change that comes later is refused, because it would never happen, and each `train` has a `last` of its own. An
    /// evaluation at `last` is made at the end of each piece.
    pub fn steps(mut self, steps: usize) -> Self {
        self.work.training.whole = Some(steps);
        self
    }

    /// Sets what happens if a term of the loss selects no position in any of the first 64 batches; without it, that is an
    /// error.
    pub fn empty_loss(mut self, empty_loss: EmptyLoss) -> Self {
        self.work.training.empty_loss = empty_loss;
        self
    }

    /// Edits some of the model's sites, in training and in all that is measured.
    pub fn edits(mut self, edits: Edits) -> Self {
        self.work.training.edits = edits;
        self
    }

    /// Sets the number of threads, on which the result does not depend. At most one a core is started.
    pub fn threads(mut self, threads: usize) -> Self {
        self.work.training.compute.threads = threads;
        self
    }

    /// Sets the device, the precision and the threads.
    pub fn compute(mut self, compute: Compute) -> Self {
        self.work.training.compute = compute;
        self
    }

    /// Measures these metrics on the training batch of each evaluated step, before the update.
    pub fn on_training(mut self, metrics: impl IntoIterator<Item = Metric>) -> Self {
        self.work.wanted.training.extend(metrics);
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
        self.work.wanted.sets.push(TestSet { batch: batch.clone(), metrics, edited });
        self
    }

    /// Measures these probes of the weights, after the update.
    pub fn weights<P: Into<WeightProbe>>(mut self, probes: impl IntoIterator<Item = P>) -> Self {
        self.work.wanted.weights.extend(probes.into_iter().map(P::into));
        self
    }

    /// Evaluates every `n` iterations and at the last one.
    pub fn every(self, n: usize) -> Self {
        self.schedule(Schedule::every(n).and_last())
    }

    /// Evaluates at the iterations of this schedule.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.work.schedule = schedule;
        self
    }

    /// Writes the files of the run into this folder.
    pub fn save_to(mut self, dir: impl Into<PathBuf>) -> Self {
        self.work.dir = Some(dir.into());
        self
    }

    /// Sets what happens to an earlier run in the folder: an [`Earlier`], or the setting [`Resume`](super::Resume) of a program.
    /// By default, an earlier run is an error.
    pub fn earlier(mut self, earlier: impl Into<Earlier>) -> Self {
        self.work.earlier = earlier.into();
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

    /// Sets how often a checkpoint is written: every ten minutes without it. One is written at the beginning in any case, and
    /// one at the end, unless the run diverges; then it goes on from its last checkpoint when it is continued.
    pub fn checkpoint_every(mut self, every: CheckpointEvery) -> Self {
        self.work.every = every;
        self
    }

    /// Sets what happens when a loss, a gradient or a weight is not finite; without it the run ends.
    pub fn on_divergence(mut self, then: OnDivergence) -> Self {
        self.work.training.on_divergence = then;
        self
    }

    /// Also writes the measurements as events for TensorBoard, into the folder of the run.
    pub fn tensorboard(mut self) -> Self {
        self.work.events = true;
        self
    }

    /// Writes this text, the settings of a program in JSON ([`settings_json`](crate::config::settings_json)), as `params.json`.
    ///
    /// A run that is continued has to have the same settings then, but for where and how long it runs and what is shown of it,
    /// and reports and tables know the run by its settings.
    pub fn settings(mut self, params: impl Into<String>) -> Self {
        self.work.settings = Some(params.into());
        self
    }

    /// Sets which measurements are printed and how they are written.
    pub fn logging(mut self, logging: Logging) -> Self {
        self.work.logging = logging;
        self
    }

    /// Prints neither lines nor a progress bar.
    pub fn quiet(mut self) -> Self {
        self.work.logging.lines = false;
        self
    }

    /// Returns the model with its present weights.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// Returns the stream of training batches, at its beginning.
    pub fn batches(&self) -> &Batches {
        &self.work.batches
    }

    /// Ends the run and gives back its model.
    pub fn into_model(self) -> M {
        self.model
    }

    /// Without warnings of metrics that select no position of their batch.
    pub(crate) fn empty_metrics(mut self) -> Self {
        self.work.warns_of_empty = false;
        self
    }

    /// With so many sequences whose activations are written at the end.
    pub(crate) fn exp(mut self, sequences: usize) -> Self {
        self.work.exp = sequences;
        self
    }
}

impl<M: Model> Run<M> {
    /// Takes `steps` more steps and returns all measurements since the first step. When a run is resumed, `steps`
    /// includes the steps that had been taken before. After an error, steps are counted from where the run ended.
    ///
    /// # Errors
    /// Before the first step, if something does not fit: unknown names, batches that do not fit the model, two
    /// numbers of one name, parameters that were never initialised, a change that never happens, more steps than
    /// [`steps`](Self::steps) says, a loss one of whose terms selects no position in any of the first 64 batches, a folder that cannot
    /// be made. Later, if data or files fail, a rule or metric of yours fails or panics, a loss, a gradient or a weight is not finite
    /// (unless [`on_divergence`](Self::on_divergence) says otherwise), or the run is stopped from outside.
    pub fn train(&mut self, steps: usize) -> Result<History> {
        self.train_on(Some(steps))
    }

    /// Trains as [`train`](Self::train) does, and calls your own monitor at each step. If `steps` is `None`, the run trains
    /// until it is stopped.
    ///
    /// # Errors
    /// Those of [`train`](Self::train), and those of the monitor.
    pub fn train_watched(&mut self, steps: Option<usize>, own: &mut dyn Monitor<M>) -> Result<History> {
        self.work.go_on(&mut Watched { model: &mut self.model, monitor: own }, steps)
    }

    /// Takes more steps, until it is stopped if their number is `None`.
    pub(crate) fn train_on(&mut self, steps: Option<usize>) -> Result<History> {
        self.work.go_on(&mut Unwatched(&mut self.model), steps)
    }

    /// Writes a file that belongs to the run after its end.
    pub(crate) fn written_after(
        &mut self,
        path: &Path,
        write: impl FnOnce(&Path, &dyn AnyModel) -> Result<()>,
    ) -> Result<()> {
        write(path, &self.model).map_err(|error| self.work.failed(error))?;
        self.work.written()
    }
}
