//! The settings that both programs share, under the paper's keys.
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{Config, Derived, Problem};
use crate::data::{
    Batch, BatchOptions, Batches, BigramData, Counts, NumpyRng, TriggerOptions, TriggerTask, sample,
};
use crate::graph::{AnyModel, Edits};
use crate::nn::{Module, ModuleExt};
use crate::{Error, Result};

use crate::run::{Cause, CheckpointEvery, Earlier, Estimate, Needs, Part, Resume};

use crate::train::optim::{AdamW, Optim, Sgd};
use crate::train::{Compute, Device, Loss, OnDivergence, Precision, Timeline};

/// Settings of the task: bigrams with triggers.
#[derive(Config, Clone, Debug, PartialEq)]
pub struct DataArgs {
    /// Number of triggers in a sequence.
    #[config(default = 0)]
    pub k: usize,
    /// Tokens that the model sees.
    #[config(default = 256, min = 1)]
    pub seq_length: usize,
    /// The sequence begins with the triggers themselves.
    #[config(default = false)]
    pub show_latents: bool,
    /// The same triggers always: the most frequent tokens.
    #[config(default = false)]
    pub fixed_special_toks: bool,
    /// Number of most frequent tokens that are skipped as fixed triggers.
    #[config(default = 0, applies = "fixed_special_toks=true")]
    pub special_toks_offset: usize,
    /// Marks count the occurrences of a trigger; otherwise they are 1 at each.
    #[config(default = true)]
    pub output_counter: bool,
    /// A trigger's output differs from the trigger.
    #[config(default = false)]
    pub no_repeat: bool,
    /// A text whose characters are counted, instead of the built-in counts.
    pub text: Option<PathBuf>,
}

impl DataArgs {
    /// Returns the bigrams of the text: the built-in ones of Shakespeare's characters, or those of the file `text`.
    ///
    /// # Errors
    /// If the file cannot be read or counted.
    pub fn bigrams(&self) -> Result<Arc<BigramData>> {
        let data = match &self.text {
            Some(path) => BigramData::new(&Counts::from_text(path)?)?,
            None => BigramData::tiny_shakespeare(),
        };
        Ok(Arc::new(data))
    }

    /// Returns the options of the task that these settings ask for, with outputs drawn uniformly.
    pub fn options(&self) -> TriggerOptions {
        TriggerOptions {
            k: self.k,
            seq_length: self.seq_length,
            show_latents: self.show_latents,
            fixed_special_toks: self.fixed_special_toks,
            special_toks_offset: self.special_toks_offset,
            output_counter: self.output_counter,
            no_repeat: self.no_repeat,
            ..TriggerOptions::default()
        }
    }

    /// Makes the task of these options on these bigrams. Its errors name the settings.
    ///
    /// # Errors
    /// If the options do not fit together, or do not fit the vocabulary.
    pub fn task(data: &Arc<BigramData>, options: TriggerOptions) -> Result<TriggerTask> {
        TriggerTask::new(data.clone(), options).map_err(|error| error.within("data_args"))
    }

    /// Draws `sequences` sequences of `task`, always the same: those of seed 0.
    ///
    /// # Errors
    /// If they need more memory than the machine has; the message names `data_args.seq_length`.
    pub fn first(&self, task: &TriggerTask, sequences: usize) -> Result<Batch> {
        probe_batch("data_args.seq_length", task, sequences)
    }

    /// Checks the length of sequences against a model that takes `max_length` positions, and returns the problem, if there
    /// is one, under its dotted key.
    pub fn problems(&self, max_length: usize) -> Vec<Problem> {
        if self.seq_length <= max_length {
            return vec![];
        }
        let message = format!(
            "{} tokens, but the model takes at most model_args.max_length={max_length}",
            self.seq_length
        );
        vec![Problem::new("data_args.seq_length", message)]
    }
}

/// The first `sequences` of `task`; `key` is what asks for them.
fn probe_batch(key: &str, task: &TriggerTask, sequences: usize) -> Result<Batch> {
    sample(task, &mut NumpyRng::new(&[0]), sequences).map_err(|error| error.renamed(|_| key.into()))
}

/// Settings of the optimiser.
#[derive(Config, Clone, Debug, PartialEq)]
pub struct OptimArgs {
    /// Learning rate.
    #[config(default = 0.2, min = 0.0)]
    pub learning_rate: f64,
    /// Weight decay: added to the gradient in SGD, decoupled in AdamW.
    #[config(default = 1e-4, min = 0.0)]
    pub weight_decay: f64,
    /// Momentum of SGD.
    #[config(default = 0.9, min = 0.0, applies = "use_sgd=true")]
    pub momentum: f64,
    /// Sequences in a batch.
    #[config(default = 512, min = 1)]
    pub batch_size: usize,
    /// SGD instead of AdamW.
    #[config(default = true)]
    pub use_sgd: bool,
}

impl OptimArgs {
    /// Returns the optimiser of these settings. If it is AdamW, `adamw` may change it further, as the settings have only
    /// its learning rate and weight decay.
    ///
    /// ```
    /// use ihead::config::Config;
    /// use ihead::paper::OptimArgs;
    /// use ihead::train::optim::{AdamW, Optim};
    ///
    /// let args = OptimArgs { use_sgd: false, learning_rate: 0.01, weight_decay: 0.0, ..OptimArgs::defaults() };
    /// let optim = args.optimizer(|adamw| adamw.betas(0.9, 0.99));
    /// assert_eq!(optim, Optim::AdamW(AdamW::new(0.01).betas(0.9, 0.99)));
    /// ```
    pub fn optimizer(&self, adamw: impl FnOnce(AdamW) -> AdamW) -> Optim {
        if self.use_sgd {
            Optim::Sgd(Sgd::new(self.learning_rate).momentum(self.momentum).weight_decay(self.weight_decay))
        } else {
            Optim::AdamW(adamw(AdamW::new(self.learning_rate).weight_decay(self.weight_decay)))
        }
    }
}

/// What a run shows.
#[derive(Config, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Log {
    /// On a terminal a table with few columns, elsewhere the lines of the paper's programs.
    #[default]
    Auto,
    /// The lines of the paper's programs, with losses, accuracies and recalls. Norms are in `res.jsonl` alone.
    Paper,
    /// Nothing.
    Quiet,
}

/// Settings of a run.
#[derive(Config, Clone, Debug, PartialEq)]
#[config(derive = RunArgs::derived)]
pub struct RunArgs {
    /// Number of steps; without it, until stopped.
    pub max_iters: Option<usize>,
    /// Iterations between evaluations.
    #[config(default = 5, min = 1)]
    pub eval_delta: usize,
    /// What is shown while it runs.
    #[config(default = Log::Auto)]
    pub log: Log,
    /// Log the norms of attention matrices and of their gradients.
    #[config(default = false)]
    pub log_norms: bool,
    /// Log the memory recalls on a line of their own.
    #[config(default = false)]
    pub log_probes: bool,
    /// Data streams from which batches are taken in turn.
    #[config(default = 60, min = 1, max = 65536)]
    pub num_data_workers: usize,
    /// Folder of the run's files, inside root_dir.
    pub save_dir: Option<PathBuf>,
    /// Folder that holds save_dir.
    #[config(default = "")]
    pub root_dir: PathBuf,
    /// An earlier run in the folder is replaced, all of it, when this one is ready for its first step.
    #[config(default = false)]
    pub overwrite: bool,
    /// What becomes of an earlier run in the folder.
    #[config(default = Resume::No)]
    pub resume: Resume,
    /// How often a checkpoint is written: a number of iterations, of minutes (`10 minutes`), or never. One is written at
    /// the beginning in any case, and one at the end unless the run diverges.
    #[config(default = CheckpointEvery::default())]
    pub checkpoint_every: CheckpointEvery,
    /// What to do when a loss, a gradient or a weight is not finite.
    #[config(default = OnDivergence::Stop)]
    pub on_divergence: OnDivergence,
    /// Also writes what is measured as events for TensorBoard, into the folder.
    #[config(default = false)]
    pub tensorboard: bool,
    /// Also writes an interactive report, report.html, into the folder.
    #[config(default = false)]
    pub report: bool,
    /// Also draws curves.svg and attention.svg into the folder, by the program plot of ihead-figure.
    #[config(default = false)]
    pub figures: bool,
    /// Seed of the data and of the initial weights.
    #[config(default = 42)]
    pub seed: u64,
    /// Initial weights: a safetensors file with the names of the state dict.
    pub init_from: Option<PathBuf>,
    /// Edits of sites, in training and in all that is measured: `SITE=EDIT, SITE[HEADS]=EDIT, ...`
    #[config(default = Edits::default())]
    pub edits: Edits,
    /// What changes on the way, WHEN: CHANGE, ...; as in 0: freeze(layers.1.*), 300: release(layers.1.*), every 100: snapshot.
    #[config(default = Timeline::default())]
    pub timeline: Timeline,
    /// Instead of training, measures the stored snapshots and final weights in this folder of an earlier run.
    pub reprobe: Option<PathBuf>,
    /// Sequences of the test batch.
    #[config(default = 512, min = 1)]
    pub test_batch_size: usize,
    /// Threads, at most one a core; all cores without it. The result does not depend on it.
    #[config(min = 1, max = 1024)]
    pub threads: Option<usize>,
    /// Where to compute.
    #[config(default = Device::Cpu)]
    pub device: Device,
    /// Precision of the arithmetic, and with double also of weights, optimiser and files.
    #[config(default = Precision::Auto)]
    pub precision: Precision,
}

impl RunArgs {
    /// What follows from the settings: the threads that are used, if another number of them is given or none.
    fn derived(&self) -> Vec<Derived> {
        let threads = self.compute().threads;
        let reason = if self.threads.is_none() { "all cores" } else { "at most one a core" };
        let differ = self.threads != Some(threads);
        differ.then(|| Derived::new("threads", threads, reason)).into_iter().collect()
    }

    /// Checks that the machine's memory can hold a run of `model` with these settings, before weights and batches are made.
    ///
    /// The values of `model` need not be drawn yet. `exp` is the number of sequences whose activations are written at the end.
    ///
    /// # Errors
    /// If the run needs more memory than there is (the message names the setting that needs most), or an edit does not fit the
    /// model.
    pub fn check_memory(
        &self,
        model: &dyn AnyModel,
        data: &DataArgs,
        optim: &OptimArgs,
        exp: usize,
    ) -> Result<()> {
        self.check_edits(model, data.seq_length)?;
        let keeps = self.reprobe.is_none() && self.save_dir.is_some();
        let measured = data.k > 0;
        let needs = Needs {
            seq: data.seq_length,
            batch: optim.batch_size,
            sets: if measured { vec![(self.test_batch_size, data.seq_length)] } else { vec![] },
            evaluates: measured,
            exp: if keeps { exp } else { 0 },
            optim: &optim.optimizer(|adamw| adamw),
            changes_gradients: false,
            loss: &Loss::next_token(),
            timeline: &self.timeline,
            edits: &self.edits,
            compute: self.compute(),
            on_divergence: self.on_divergence,
            keeps,
        };
        let (batch, test) = (optim.batch_size, self.test_batch_size);
        let sequences = |n| format!("{n} sequences of {} tokens", data.seq_length);
        Estimate::of(model, &needs)?.check(|part| match part {
            Part::Weights => Cause::new("model_args.dim", "all its weights"),
            Part::Sequence => {
                Cause::new("data_args.seq_length", format!("{} tokens a sequence", data.seq_length))
            }
            Part::Batches if test > batch => Cause::new("test_batch_size", sequences(test)),
            Part::Batches => Cause::new("optim_args.batch_size", sequences(batch)),
        })
    }

    /// Refuses edits that do not fit the model, by the name of their setting.
    pub(super) fn check_edits(&self, model: &dyn AnyModel, seq: usize) -> Result<()> {
        self.edits.check(model, seq).map_err(|error| error.of_part("edits"))
    }

    /// Makes the training batches of `task`, from `num_data_workers` random streams of `seed`.
    ///
    /// # Errors
    /// If a batch is too large; the message names the setting.
    pub fn batches(&self, task: TriggerTask, batch_size: usize) -> Result<Batches> {
        let options = BatchOptions { batch_size, seed: self.seed, workers: self.num_data_workers };
        let key_of = |field: &str| match field {
            "batch_size" => "optim_args.batch_size".to_string(),
            "workers" => "num_data_workers".into(),
            other => other.into(),
        };
        Batches::new(Arc::new(task), options).map_err(|error| error.renamed(key_of))
    }

    /// Draws the test batch, `test_batch_size` sequences of `task`, always the same: those of seed 0.
    ///
    /// # Errors
    /// If they need more memory than the machine has.
    pub fn test_batch(&self, task: &TriggerTask) -> Result<Batch> {
        probe_batch("test_batch_size", task, self.test_batch_size)
    }

    /// Replaces the weights of `model` by those of `init_from`, if there is one.
    ///
    /// # Errors
    /// If the file does not hold a state dict of this model, or a number in it is not finite.
    pub fn load_initial(&self, model: &mut impl Module) -> Result<()> {
        let Some(path) = &self.init_from else { return Ok(()) };
        crate::io::load(path, model)?;
        for (name, _, tensor) in model.tensors() {
            let found = tensor.data().iter().enumerate().find(|(_, value)| !value.is_finite());
            if let Some((place, value)) = found {
                let message = format!("{name} has {value} at place {place}; expected finite numbers");
                return Err(Error::format(path, message));
            }
        }
        Ok(())
    }

    /// Where to compute, on as many threads as were asked for.
    fn asked(&self) -> Compute {
        let threads = self.threads.unwrap_or(Compute::default().threads);
        Compute { device: self.device, threads, precision: self.precision }
    }

    /// Returns where to compute: the device, the precision, and at most as many threads as the machine has cores.
    pub fn compute(&self) -> Compute {
        self.asked().on_cores()
    }

    /// Returns what is to happen to an earlier run in the folder.
    ///
    /// # Errors
    /// If `overwrite=true` and `resume` contradict each other, or `resume=true` has no `save_dir`.
    pub fn earlier(&self) -> Result<Earlier> {
        match (self.overwrite, self.resume) {
            (true, Resume::Yes | Resume::Auto) => {
                let message = format!("{}, but overwrite=true: a run is continued or replaced", self.resume);
                Err(Error::config("resume", message))
            }
            (true, _) => Ok(Earlier::Overwrite),
            (false, Resume::Yes) if self.save_dir.is_none() => {
                Err(Error::config("resume", "true, but there is no save_dir, the folder of the run"))
            }
            (false, resume) => Ok(resume.into()),
        }
    }

    /// What of these settings has no effect, or another one than it says, beside a timeline of `timeline` and for a task with
    /// triggers or without.
    pub(crate) fn warnings(&self, timeline: &Timeline, triggers: bool) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |is: bool, message: String| warnings.extend(is.then_some(message));
        let reprobes = self.reprobe.is_some();
        let idle = |key: &str, when: &str| format!("{key}: has no effect {when}");
        let rootless = self.save_dir.is_none() && !self.root_dir.as_os_str().is_empty();
        warn(rootless, idle("root_dir", "without save_dir"));
        warn(reprobes && self.max_iters.is_some(), idle("max_iters", "with reprobe, which does not train"));
        warn(
            reprobes && self.save_dir.is_some(),
            idle("save_dir", "with reprobe, which writes into its own folder"),
        );
        warn(
            !triggers && self.log_probes,
            idle("log_probes", "for data_args.k=0, where nothing is measured"),
        );
        warn(!triggers && reprobes, idle("reprobe", "for data_args.k=0, where nothing is measured"));
        warn(self.overwrite && self.save_dir.is_none(), idle("overwrite", "without save_dir"));
        warn(self.resume == Resume::Auto && self.save_dir.is_none(), idle("resume", "without save_dir"));
        warn(self.tensorboard && self.save_dir.is_none(), idle("tensorboard", "without save_dir"));
        if let Some(end) = self.max_iters {
            for change in timeline.frozen_beyond(end) {
                warn(true, format!("'{change}': frozen to the last of max_iters={end} iterations"));
            }
        }
        self.asked().too_many_threads().into_iter().chain(warnings).collect()
    }
}
