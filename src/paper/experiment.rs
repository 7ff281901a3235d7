//! An experiment, ready to run.
use std::path::PathBuf;

use crate::data::{Batch, Batches};
use crate::engine::Request;
use crate::graph::{Model, record_with};
use crate::probe::{Metric, WeightProbe};
use crate::run::{Alone, Logging, Run, Schedule};
use crate::train::optim::Optim;
use crate::train::{EmptyLoss, Loss, Monitor, Timeline};
use crate::{Error, Result, output};

use super::{Log, RunArgs, write_exp};

/// A complete experiment of the paper's programs: the model, its data, its measurements and its timeline, as a program has
/// decided them before the first step.
///
/// `examples/ihead_basic.rs` and `examples/ihead_full.rs` build one and [run](Experiment::run) it.
pub struct Experiment<M> {
    /// The settings of the run.
    pub run: RunArgs,
    /// The text of `params.json`: every setting, as [`settings_json`](crate::config::settings_json) gives them.
    pub params: String,
    /// The model with its initial weights.
    pub model: M,
    /// The training batches.
    pub batches: Batches,
    /// The batch on which `acc_end_test` is measured.
    pub test_batch: Batch,
    /// The batch whose activations are written to `exp.npz` at the end.
    pub exp_batch: Option<Batch>,
    /// The optimiser.
    pub optim: Optim,
    /// What changes during the run, before the changes of its settings.
    pub timeline: Timeline,
    /// The loss that training minimises.
    pub loss: Loss,
    /// What happens if the loss selects no position.
    pub empty_loss: EmptyLoss,
    /// What is measured; `None` for a task without triggers.
    pub measured: Option<Measured>,
}

/// What an evaluation of an [`Experiment`] measures.
pub struct Measured {
    /// Metrics of the batch of the step, before the update.
    pub metrics: Vec<Metric>,
    /// The metric of the test batch, after the update.
    pub test: Metric,
    /// The recalls of the weights, after the update.
    pub recalls: Vec<WeightProbe>,
    /// Whether the norm of each parameter that trains, and that of its gradient, are measured too.
    pub norms: bool,
}

impl<M: Model> Experiment<M> {
    /// Trains, measures, logs, and writes the files of the run if it has a `save_dir`.
    ///
    /// # Errors
    /// If the settings do not fit the model or the machine; then no file has been touched. Later, if a file cannot be
    /// written, the run diverges, or a signal stops it.
    pub fn run(self) -> Result<()> {
        self.start(true, &mut Alone)
    }

    /// Trains like [`run`](Self::run), but prints nothing and calls `watch` after each step.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    pub fn watch(self, watch: &mut dyn Monitor<M>) -> Result<()> {
        self.start(false, watch)
    }

    /// Returns the folder of the run's files, `save_dir` inside `root_dir`, or `None` if the run has none.
    pub fn save_dir(&self) -> Option<PathBuf> {
        self.run.save_dir.as_ref().map(|dir| self.run.root_dir.join(dir))
    }

    fn start(self, lines: bool, watch: &mut dyn Monitor<M>) -> Result<()> {
        if self.run.save_dir.as_ref().is_some_and(|dir| dir.as_os_str().is_empty()) {
            return Err(Error::config("save_dir", "empty; expected a folder, or null to keep no files"));
        }
        let (save_dir, compute) = (self.save_dir(), self.run.compute());
        let timeline = self.timeline.and(self.run.timeline.clone());
        if lines {
            self.run.warnings(&timeline, self.measured.is_some()).iter().for_each(output::warn);
        }
        let earlier = self.run.earlier()?;
        self.run.check_edits(&self.model, self.batches.task().seq_length())?;
        let Experiment { run: args, model, batches, exp_batch, measured, .. } = self;
        let graph = record_with(&model, batches.task().seq_length(), &args.edits)?;
        compute.engine(&graph, &Request::default(), &|_| false)?; // is the device there?
        if self.empty_loss == EmptyLoss::Refused && args.reprobe.is_none() {
            let mend = "give the task triggers whose outputs can be known (data_args.k), or say loss_head_only=False";
            let refused = |error| Error::config("loss_head_only", format!("{error}; {mend}"));
            self.loss.check(&graph, batches.clone()).map_err(refused)?;
        }

        let logging = Logging {
            lines: lines && args.log != Log::Quiet,
            paper: args.log == Log::Paper,
            probes_apart: args.log_probes,
            attention_norms: args.log_norms,
            norms: measured.as_ref().is_some_and(|measured| measured.norms),
            records: measured.is_some(),
            not_applicable: Some(-1.0),
        };
        let mut run = Run::new(model, batches)
            .optim(self.optim)
            .loss(self.loss)
            .empty_loss(self.empty_loss)
            .timeline(timeline)
            .edits(args.edits)
            .compute(compute)
            .schedule(Schedule::every(args.eval_delta))
            .logging(logging)
            .exp(exp_batch.as_ref().filter(|_| save_dir.is_some()).map_or(0, |batch| batch.batch))
            .settings(kept(&self.params));
        if let Some(measured) = measured {
            run = run
                .on_training(measured.metrics)
                .on(&self.test_batch, [measured.test])
                .weights(measured.recalls);
        }
        for (key, wanted) in [("report", args.report), ("figures", args.figures)] {
            if wanted && save_dir.is_none() && args.reprobe.is_none() {
                return Err(Error::config(key, "true, but there is no save_dir, the folder of the run"));
            }
        }
        if args.report {
            run = run.report();
        }
        if args.figures {
            run = run.figures();
        }
        if let Some(dir) = &args.reprobe {
            return run.reprobe(dir).map(drop);
        }
        if let Some(dir) = &save_dir {
            run = run.save_to(dir);
        }
        run = run.earlier(earlier).checkpoint_every(args.checkpoint_every).on_divergence(args.on_divergence);
        if args.tensorboard {
            run = run.tensorboard();
        }
        run.train_watched(args.max_iters, watch)?;
        match (save_dir, exp_batch) {
            (Some(dir), Some(batch)) => {
                let written = write_exp(&dir.join("exp.npz"), run.model(), &graph, &batch, compute);
                written.map_err(|error| run.failed(error))?;
                run.written()
            }
            _ => Ok(()),
        }
    }
}

/// The settings to keep: those that say what becomes of an earlier run are for this time alone.
fn kept(params: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(params) {
        Ok(mut settings) if settings.get("overwrite").is_some() => {
            (settings["overwrite"], settings["resume"]) = (false.into(), "false".into());
            format!("{settings:#}\n")
        }
        _ => params.into(),
    }
}
