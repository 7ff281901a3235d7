//! An experiment, ready to run.
use std::path::PathBuf;

use crate::data::{Batch, Batches};
use crate::engine::Request;
use crate::graph::{AnyModel, Graph, Model};
use crate::probe::{Metric, WeightProbe};
use crate::run::{Earlier, Logging, Run, Schedule};
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
        self.start(true, None)
    }

    /// Trains like [`run`](Self::run), but prints nothing and calls `watch` after each step.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    pub fn watch(self, watch: &mut dyn Monitor<M>) -> Result<()> {
        self.start(false, Some(watch))
    }

    /// Returns the folder of the run's files, `save_dir` inside `root_dir`, or `None` if the run has none.
    pub fn save_dir(&self) -> Option<PathBuf> {
        self.run.save_dir.as_ref().map(|dir| self.run.root_dir.join(dir))
    }

    fn start(mut self, lines: bool, watch: Option<&mut dyn Monitor<M>>) -> Result<()> {
        let save_dir = self.save_dir();
        self.timeline = self.timeline.and(self.run.timeline.clone());
        let measures = self.measured.is_some();
        let opening =
            Opening { args: &self.run, batches: &self.batches, save_dir: &save_dir, measures, lines };
        let (earlier, graph) = opening.check(&self.model, &self.timeline, &self.loss, self.empty_loss)?;
        let logging = opening.logging(self.measured.as_ref().is_some_and(|measured| measured.norms));
        let Experiment { run: args, exp_batch, .. } = self;
        let mut run = Run::new(self.model, self.batches)
            .optim(self.optim)
            .loss(self.loss)
            .empty_loss(self.empty_loss)
            .timeline(self.timeline)
            .edits(args.edits.clone())
            .compute(args.compute())
            .schedule(Schedule::every(args.eval_delta))
            .logging(logging)
            .empty_metrics()
            .exp(exp_batch.as_ref().filter(|_| save_dir.is_some()).map_or(0, |batch| batch.batch))
            .settings(kept(&self.params))
            .earlier(earlier)
            .checkpoint_every(args.checkpoint_every)
            .on_divergence(args.on_divergence);
        if let Some(measured) = self.measured {
            run = run
                .on_training(measured.metrics)
                .on(&self.test_batch, [measured.test])
                .weights(measured.recalls);
        }
        if args.report {
            run = run.report();
        }
        if args.figures {
            run = run.figures();
        }
        if args.tensorboard {
            run = run.tensorboard();
        }
        if let Some(dir) = &args.reprobe {
            return run.reprobe(dir).map(drop);
        }
        if let Some(dir) = &save_dir {
            run = run.save_to(dir);
        }
        match watch {
            Some(watch) => run.train_watched(args.max_iters, watch)?,
            None => run.train_on(args.max_iters)?,
        };
        match save_dir.zip(exp_batch) {
            Some((dir, batch)) => run.written_after(&dir.join("exp.npz"), |path, model| {
                write_exp(path, model, &graph, &batch, args.compute())
            }),
            None => Ok(()),
        }
    }
}

/// What is seen to before a run is made.
struct Opening<'a> {
    args: &'a RunArgs,
    batches: &'a Batches,
    save_dir: &'a Option<PathBuf>,
    /// Whether something is measured.
    measures: bool,
    /// Whether lines are printed.
    lines: bool,
}

impl Opening<'_> {
    /// Refuses what does not fit, by the names of the settings. Returns what happens to an earlier run, and the recorded model.
    fn check(
        &self,
        model: &dyn AnyModel,
        timeline: &Timeline,
        loss: &Loss,
        empty_loss: EmptyLoss,
    ) -> Result<(Earlier, Graph)> {
        let (args, seq) = (self.args, self.batches.task().seq_length());
        if args.save_dir.as_ref().is_some_and(|dir| dir.as_os_str().is_empty()) {
            return Err(Error::config("save_dir", "empty; expected a folder, or null to keep no files"));
        }
        if self.lines {
            args.warnings(timeline, self.measures).iter().for_each(output::warn);
        }
        let earlier = args.earlier()?;
        args.check_edits(model, seq)?;
        let graph = model.record_edited(seq, &args.edits)?;
        args.compute().engine(&graph, &Request::default(), &|_| false)?; // is the device there?
        if empty_loss == EmptyLoss::Refused && args.reprobe.is_none() {
            let mend = "give the task triggers whose outputs can be known (data_args.k), or say loss_head_only=False";
            let refused = |error| Error::config("loss_head_only", format!("{error}; {mend}"));
            loss.check(&graph, self.batches.clone()).map_err(refused)?;
        }
        for (key, wanted) in [("report", args.report), ("figures", args.figures)] {
            if wanted && self.save_dir.is_none() && args.reprobe.is_none() {
                return Err(Error::config(key, "true, but there is no save_dir, the folder of the run"));
            }
        }
        Ok((earlier, graph))
    }

    fn logging(&self, norms: bool) -> Logging {
        let args = self.args;
        Logging {
            lines: self.lines && args.log != Log::Quiet,
            paper: args.log == Log::Paper,
            probes_apart: args.log_probes,
            attention_norms: args.log_norms,
            norms,
            records: self.measures,
            not_applicable: Some(-1.0),
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
