//! The paper's experiment on the full model: heads, norms and feed-forward layers, everything trained.
//!
//! ```text
//! cargo run --release --example ihead_full -- max_iters=300 data_args.k=5 save_dir=runs/full
//! ```
//!
//! `--help` lists every setting.
use std::process::ExitCode;
use std::sync::Arc;

use ihead::Config;
use ihead::config::{Problem, record};
use ihead::data::numpy::NumpyRng;
use ihead::data::{BatchOptions, Batches, sample};
use ihead::model::{Full, FullArgs};
use ihead::paper::{Measured, PaperMonitor, Schedule, write_exp};
use ihead::probe::{Matrix, paper};
use ihead::train::{DataArgs, LossOn, OptimArgs, Outputs, RunArgs, Timeline, Trainer};

/// Trains the full model of "Birth of a Transformer" and measures its memories.
#[derive(Config)]
#[config(validate = Args::problems, derived("model_args.vocab_size"))]
struct Args {
    #[config(flatten)]
    run: RunArgs,
    #[config(group)]
    model_args: FullArgs,
    #[config(group)]
    data_args: DataArgs,
    #[config(group, default(learning_rate = 0.01, weight_decay = 0.01, batch_size = 64, use_sgd = false))]
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

    // data
    let bigrams = args.data_args.bigrams()?;
    let task = Arc::new(args.data_args.task(&bigrams, false)?);
    let exp_batch = sample(task.as_ref(), &mut NumpyRng::new(&[0]), 128)?;
    let test_batch = sample(task.as_ref(), &mut NumpyRng::new(&[0]), run.test_batch_size)?;
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
    let mut model = Full::new(vocab, sizes.max_length, sizes.dim, sizes)?.init(run.seed);
    if let Some(path) = &run.init_from {
        ihead::io::load(path, &mut model)?;
    }

    // what is measured
    let graph = ihead::graph::record(&model, args.data_args.seq_length);
    let law = Matrix::from_rows(vocab, bigrams.cond_rows())?;
    let measured = Measured {
        metrics: paper::full(),
        test: paper::full_test(),
        recalls: paper::recalls(&model, law, triggers.as_deref())?,
        norms: false,
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
    let dir = outputs.as_ref().map(|o| o.dir().to_path_buf());

    // run
    let optim = args.optim_args.optimizer((0.9, 0.99));
    let (timeline, loss) = (Timeline::default(), LossOn::All);
    let mut trainer = Trainer { model, optim, timeline, loss, device: device.0, threads: device.1 };
    let mut monitor = monitor.recording(outputs).steps(run.max_iters);
    trainer.run(batches, run.max_iters, &mut monitor)?;
    if let Some(dir) = dir {
        ihead::io::save(&dir.join("final.safetensors"), &trainer.model)?;
        write_exp(&dir.join("exp.npz"), &trainer.model, &graph, &exp_batch, device)?;
    }
    Ok(())
}
