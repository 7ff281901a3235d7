//! The paper's experiment on the full model: heads, norms and feed-forward layers, everything trained.
//!
//! ```text
//! cargo run --release --example ihead_full -- max_iters=300 data_args.k=5 save_dir=runs/full
//! ```
//!
//! `--help` lists every setting.
use std::process::ExitCode;

use ihead::config::{Derived, Problem, settings_json};
use ihead::model::{Full, FullArgs};
use ihead::paper::{DataArgs, Experiment, Measured, OptimArgs, RunArgs};
use ihead::probe::{Matrix, paper};
use ihead::train::{EmptyLoss, Loss, Timeline};
use ihead::{Config, Result};

/// Sequences whose activations are written to `exp.npz`.
const EXP_SEQUENCES: usize = 128;

/// Trains the full model of "Birth of a Transformer" and measures its memories.
#[derive(Config)]
#[config(validate = Args::problems, derive = Args::derived, derived("model_args.vocab_size"))]
pub(crate) struct Args {
    #[config(flatten)]
    run: RunArgs,
    #[config(group)]
    model_args: FullArgs,
    #[config(group)]
    pub(crate) data_args: DataArgs,
    #[config(group, default(learning_rate = 0.01, weight_decay = 0.01, batch_size = 64, use_sgd = false))]
    optim_args: OptimArgs,
}

impl Args {
    fn problems(&self) -> Vec<Problem> {
        self.data_args.problems(self.model_args.max_length)
    }

    /// The size of the vocabulary; nothing if the text cannot be read, which the run itself will say.
    fn derived(&self) -> Vec<Derived> {
        let size = self.data_args.bigrams().map(|text| text.vocab());
        size.map(|size| Derived::new("model_args.vocab_size", size, "the characters of the text"))
            .into_iter()
            .collect()
    }
}

fn main() -> ExitCode {
    ihead::main(|args: Args| experiment(&args)?.run())
}

pub(crate) fn experiment(args: &Args) -> Result<Experiment<Full<usize, usize, usize>>> {
    // data
    let text = args.data_args.bigrams()?;
    let task = DataArgs::task(&text, args.data_args.options())?;
    let triggers = task.triggers().map(<[u32]>::to_vec);

    // model: its initial values, or those of a file
    let (sizes, vocab) = (&args.model_args, text.vocab());
    let model = Full::new(vocab, sizes);
    let model = model.map_err(|error| error.within("model_args"))?;
    args.run.check_memory(&model, &args.data_args, &args.optim_args, EXP_SEQUENCES)?;
    let mut model = model.init(args.run.seed);
    args.run.load_initial(&mut model)?;

    // what is measured: predictions on the batch, accuracy on the test batch, recalls of the weights
    let measured = Measured {
        metrics: paper::full(),
        test: paper::full_test(),
        recalls: paper::recalls(&model, Matrix::from_rows(vocab, text.cond_rows())?, triggers.as_deref())?,
        norms: false,
    };

    Ok(Experiment {
        run: args.run.clone(),
        params: settings_json(args, [("model_args.vocab_size", vocab.into())]),
        model,
        test_batch: args.run.test_batch(&task)?,
        exp_batch: Some(args.data_args.first(&task, EXP_SEQUENCES)?),
        batches: args.run.batches(task, args.optim_args.batch_size)?,
        optim: args.optim_args.optimizer(|adamw| adamw.betas(0.9, 0.99)),
        timeline: Timeline::default(),
        loss: Loss::next_token(),
        empty_loss: EmptyLoss::Refused,
        measured: (args.data_args.k > 0).then_some(measured),
    })
}
