//! An experiment, ready to run.
use std::path::PathBuf;

use crate::Result;
use crate::data::{Batch, Batches};
use crate::engine::Request;
use crate::graph::{Graph, Model, record};
use crate::train::optim::Optim;
use crate::train::{LossOn, Monitor, Outputs, RunArgs, Step, Timeline, Trainer, engine};

use super::{Measured, PaperMonitor, Schedule, write_exp};

/// A model, its data, what is measured and what changes during the run: all that a program of the paper has decided
/// before its first step. The programs in `examples/` build one and [run](Experiment::run) it.
pub struct Experiment<M> {
    /// The settings of the run.
    pub run: RunArgs,
    /// The text of `params.json`.
    pub params: String,
    /// The model with its initial weights.
    pub model: M,
    /// Training batches.
    pub batches: Batches,
    /// The batch on which `acc_end_test` is measured.
    pub test_batch: Batch,
    /// The batch whose activations are written to `exp.npz` at the end.
    pub exp_batch: Option<Batch>,
    /// The optimiser.
    pub optim: Optim,
    /// What changes during the run.
    pub timeline: Timeline,
    /// What the loss is over.
    pub loss: LossOn,
    /// What is measured; `None` for a task without triggers.
    pub measured: Option<Measured>,
}

impl<M: Model> Experiment<M> {
    /// Trains, measures, logs, and writes the files of the run if it has a `save_dir`.
    ///
    /// # Errors
    /// If the settings do not fit the model or the machine; then no file has been touched. Later, if a file cannot be
    /// written.
    pub fn run(self) -> Result<()> {
        self.start(true, &mut |_| ())
    }

    /// Runs without log lines and shows each step to `watch`.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    pub fn watch(self, watch: &mut dyn FnMut(&Step<'_, M>)) -> Result<()> {
        self.start(false, watch)
    }

    /// The folder of the run's files.
    pub fn save_dir(&self) -> Option<PathBuf> {
        self.run.save_dir.as_ref().map(|dir| self.run.root_dir.join(dir))
    }

    fn start(self, logs: bool, watch: &mut dyn FnMut(&Step<'_, M>)) -> Result<()> {
        let save_dir = self.save_dir();
        let Experiment { run, params, model, batches, test_batch, exp_batch, .. } = self;
        let (device, threads) = (run.device, run.threads());

        // whatever can be refused is refused before a file is touched
        self.timeline.check(&model)?;
        let graph = record(&model, batches.task().seq_length());
        check_memory(&graph, threads)?;
        engine(device, &graph, &Request::default(), &|_| false, 1)?;
        let schedule =
            Schedule { eval_delta: run.eval_delta, log_probes: run.log_probes, log_norms: run.log_norms };
        let monitor = PaperMonitor::new(&graph, self.measured, test_batch, schedule, (device, threads))?;
        let monitor = if logs { monitor.steps(run.max_iters) } else { monitor.quiet() };
        let outputs = save_dir.as_ref().map(|dir| Outputs::create(dir.clone(), &params)).transpose()?;

        let (optim, timeline, loss) = (self.optim, self.timeline, self.loss);
        let mut trainer = Trainer { model, optim, timeline, loss, device, threads };
        let mut monitor = Watched { monitor: monitor.recording(outputs), watch };
        trainer.run(batches, run.max_iters, &mut monitor)?;
        let Some(dir) = save_dir else { return Ok(()) };
        crate::io::save(&dir.join("final.safetensors"), &trainer.model)?;
        exp_batch.map_or(Ok(()), |batch| {
            write_exp(&dir.join("exp.npz"), &trainer.model, &graph, &batch, (device, threads))
        })
    }
}

/// Refuses sequences so long that the machine cannot hold the patterns of one for each thread.
fn check_memory(graph: &Graph, threads: usize) -> Result<()> {
    let heads = graph.nodes().iter().filter(|node| node.op.is_pattern()).map(|node| node.cols);
    let (seq, heads) = (graph.seq() as f64, heads.sum::<usize>() as f64);
    let what = format!("attention over {} tokens on {threads} threads", graph.seq());
    crate::memory::check("data_args.seq_length", &what, 4.0 * heads * seq * seq * threads as f64)
}

/// A monitor, and a closure that sees each step after it.
struct Watched<'a, M> {
    monitor: PaperMonitor,
    watch: &'a mut dyn FnMut(&Step<'_, M>),
}

impl<M: Model> Monitor<M> for Watched<'_, M> {
    fn before_update(&mut self, iteration: usize, model: &M, batch: &Batch) -> Result<()> {
        self.monitor.before_update(iteration, model, batch)
    }

    fn after_update(&mut self, step: &Step<'_, M>) -> Result<()> {
        self.monitor.after_update(step)?;
        (self.watch)(step);
        Ok(())
    }
}
