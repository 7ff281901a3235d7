//! The paper's experiment on the simplified model (section 4.2): two layers of attention over fixed embeddings learn
//! bigrams with triggers, and their weights become associative memories.
//!
//! ```text
//! cargo run --release --example ihead_basic -- max_iters=1000 log_probes=True data_args.k=5 save_dir=runs/basic
//! ```
//!
//! `--help` lists every setting.
use std::process::ExitCode;
use std::sync::Arc;

use ihead::Config;
use ihead::config::{Problem, record};
use ihead::data::numpy::NumpyRng;
use ihead::data::{BatchOptions, Batches, sample};
use ihead::model::{Simplified, SimplifiedArgs};
use ihead::paper::{Measured, PaperMonitor, Schedule};
use ihead::probe::{Matrix, paper};
use ihead::train::{DataArgs, LossOn, OptimArgs, Outputs, RunArgs, Timeline, Trainer};

/// Trains the simplified model of "Birth of a Transformer" and measures its memories.
#[derive(Config)]
#[config(validate = Args::problems, derived("model_args.vocab_size"))]
struct Args {
    #[config(flatten)]
    run: RunArgs,
    /// The loss is over positions whose token can be known from the context (marks of at least 2).
    #[config(default = true)]
    loss_head_only: bool,
    /// Parameters that are frozen until an iteration: ITERATION:NAME,...
    #[config(default = "")]
    freeze_until: String,
    /// Outputs of triggers in training follow the bigrams instead of being uniform.
    #[config(default = false)]
    bigram_outs_train: bool,
    /// Outputs of triggers in the test batch follow the bigrams instead of being uniform.
    #[config(default = false)]
    bigram_outs_test: bool,
    #[config(group)]
    model_args: SimplifiedArgs,
    #[config(group)]
    data_args: DataArgs,
    #[config(group)]
    optim_args: OptimArgs,
}

impl Args {
    fn problems(&self) -> Vec<Problem> {
        self.data_args.problems(self.model_args.max_length)
    }
}

fn main() -> ExitCode {
    ihead::main(run)
}

fn run(args: Args) -> ihead::Result<()> {
    let (run, device) = (&args.run, (args.run.device, args.run.threads()));

    // data: one task to train on, one to test on
    let bigrams = args.data_args.bigrams()?;
    let task = Arc::new(args.data_args.task(&bigrams, args.bigram_outs_train)?);
    let test_task = args.data_args.task(&bigrams, args.bigram_outs_test)?;
    let test_batch = sample(&test_task, &mut NumpyRng::new(&[0]), run.test_batch_size)?;
    let triggers = task.triggers().map(<[u32]>::to_vec);
    let options = BatchOptions {
        batch_size: args.optim_args.batch_size,
        seed: run.seed,
        workers: run.num_data_workers,
    };
    let batches = Batches::new(task, options)?;

    // model
    let sizes = &args.model_args;
    let vocab = bigrams.vocab();
    let mut model = Simplified::new(vocab, sizes.max_length, sizes.dim, sizes)?.init(run.seed, sizes)?;
    if let Some(path) = &run.init_from {
        ihead::io::load(path, &mut model)?;
    }
    let timeline = Timeline::freeze_until(&args.freeze_until)?;
    timeline.check(&model)?;

    // what is measured
    let graph = ihead::graph::record(&model, args.data_args.seq_length);
    let law = Matrix::from_rows(vocab, bigrams.cond_rows())?;
    let measured = Measured {
        metrics: paper::simplified(args.loss_head_only),
        test: paper::simplified_test(),
        recalls: paper::recalls(&model, law, triggers.as_deref())?,
        norms: true,
    };
    let measured = (args.data_args.k > 0).then_some(measured);
    let schedule =
        Schedule { eval_delta: run.eval_delta, log_probes: run.log_probes, log_norms: run.log_norms };
    let monitor = PaperMonitor::new(&graph, measured, test_batch, schedule, device)?;
    let outputs = match &run.save_dir {
        Some(dir) => {
            let params = record(&args, [("model_args.vocab_size", vocab.into())]);
            Some(Outputs::create(run.root_dir.join(dir), &params)?)
        }
        None => None,
    };
    let save_to = outputs.as_ref().map(|o| o.dir().join("final.safetensors"));

    // run
    let loss = if args.loss_head_only { LossOn::MarksFrom(2) } else { LossOn::All };
    let optim = args.optim_args.optimizer((0.9, 0.95));
    let mut trainer = Trainer { model, optim, timeline, loss, device: device.0, threads: device.1 };
    let mut monitor = monitor.recording(outputs).steps(run.max_iters);
    trainer.run(batches, run.max_iters, &mut monitor)?;
    save_to.map_or(Ok(()), |path| ihead::io::save(&path, &trainer.model))
}
