//! Trains a [`Transformer`] of any settings on the paper's task: what the judge and the measurement of memory drive.
//!
//! ```text
//! cargo run --release -p ihead-tests --example any_transformer -- max_iters=100 data_args.k=5 model_args.positions=rotary
//! ```
use std::process::ExitCode;

use ihead::config::{Problem, settings_json};
use ihead::model::{Transformer, TransformerArgs};
use ihead::paper::{DataArgs, Experiment, Measured, OptimArgs, RunArgs};
use ihead::probe::{Select, paper};
use ihead::train::{EmptyLoss, Loss, Timeline};
use ihead::{Config, Result};

/// Trains a transformer of interchangeable blocks on the bigram task.
#[derive(Config)]
#[config(validate = Args::problems)]
pub(crate) struct Args {
    #[config(flatten)]
    run: RunArgs,
    /// The loss is over positions whose token can be known from the context (marks of at least 2).
    #[config(default = false)]
    loss_head_only: bool,
    #[config(group)]
    model_args: TransformerArgs,
    #[config(group)]
    data_args: DataArgs,
    #[config(group, default(learning_rate = 0.01, batch_size = 64, use_sgd = false))]
    optim_args: OptimArgs,
}

impl Args {
    fn problems(&self) -> Vec<Problem> {
        self.data_args.problems(self.model_args.max_length)
    }
}

fn main() -> ExitCode {
    ihead::main(|args: Args| experiment(&args)?.run())
}

pub(crate) fn experiment(args: &Args) -> Result<Experiment<Transformer<usize, usize, usize>>> {
    let text = args.data_args.bigrams()?;
    let task = DataArgs::task(&text, args.data_args.options())?;
    let model = Transformer::new(text.vocab(), &args.model_args);
    let model = model.map_err(|error| error.within("model_args"))?;
    args.run.check_memory(&model, &args.data_args, &args.optim_args, 0)?;
    let mut model = model.init(args.run.seed);
    args.run.load_initial(&mut model)?;
    let measured =
        Measured { metrics: paper::full(), test: paper::full_test(), recalls: vec![], norms: false };
    let loss = Loss::next_token();
    Ok(Experiment {
        run: args.run.clone(),
        params: settings_json(args, []),
        model,
        test_batch: args.run.test_batch(&task)?,
        exp_batch: None,
        batches: args.run.batches(task, args.optim_args.batch_size)?,
        optim: args.optim_args.optimizer(|adamw| adamw.betas(0.9, 0.99)),
        timeline: Timeline::default(),
        loss: if args.loss_head_only { loss.over(Select::marks(2..)) } else { loss },
        empty_loss: EmptyLoss::Refused,
        measured: (args.data_args.k > 0).then_some(measured),
    })
}
