//! The paper's experiment on the simplified model (section 4.2): two layers of attention over fixed embeddings learn
//! bigrams with triggers, and their weights become associative memories.
//!
//! ```text
//! cargo run --release --example ihead_basic -- max_iters=1000 log_probes=True data_args.k=5 save_dir=runs/basic
//! ```
//!
//! `--help` lists every setting.
use std::process::ExitCode;

use ihead::config::{Derived, Problem, settings_json};
use ihead::data::TriggerOptions;
use ihead::model::{Simplified, SimplifiedArgs};
use ihead::paper::{DataArgs, Experiment, Measured, OptimArgs, RunArgs};
use ihead::probe::{Matrix, Select, paper};
use ihead::train::{EmptyLoss, Loss, Timeline};
use ihead::{Config, Result};

/// Trains the simplified model of "Birth of a Transformer" and measures its memories.
#[derive(Config)]
#[config(validate = Args::problems, derive = Args::derived, derived("model_args.vocab_size"))]
pub(crate) struct Args {
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
    pub(crate) data_args: DataArgs,
    #[config(group)]
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

pub(crate) fn experiment(args: &Args) -> Result<Experiment<Simplified<usize, usize, usize>>> {
    // data: one task to train on, one to test on
    let text = args.data_args.bigrams()?;
    let task =
        |bigram_outs| DataArgs::task(&text, TriggerOptions { bigram_outs, ..args.data_args.options() });
    let (task, test_task) = (task(args.bigram_outs_train)?, task(args.bigram_outs_test)?);
    let triggers = task.triggers().map(<[u32]>::to_vec);

    // model: its initial values, or those of a file
    let (sizes, vocab) = (&args.model_args, text.vocab());
    let model = Simplified::new(vocab, sizes);
    let model = model.map_err(|error| error.within("model_args"))?;
    args.run.check_memory(&model, &args.data_args, &args.optim_args, 0)?;
    let mut model = model.init(args.run.seed);
    args.run.load_initial(&mut model)?;

    // a true tie unembeds by the embeddings over sqrt(dim), as the frozen tie does by its own map
    let tied = sizes.tie_output && !sizes.freeze_output;
    let unembed = if tied { 1.0 / (sizes.dim as f64).sqrt() } else { 1.0 };
    let distribution = Matrix::from_rows(vocab, text.cond_rows())?;

    // what is trained: tokens that the context determines, or all
    let loss_over = if args.loss_head_only { Select::marks(2..) } else { Select::All };

    // what changes: parameters that are frozen at first
    let timeline = Timeline::freeze_until(&args.freeze_until)?;
    let fits = timeline.check(&model, args.data_args.seq_length, &args.run.edits, None);
    fits.map_err(|error| error.of_part("freeze_until"))?;

    // what is measured: predictions and attention on the batch, accuracy on the test batch, recalls of the weights
    let measured = Measured {
        metrics: paper::simplified(loss_over.clone()),
        test: paper::simplified_test(),
        recalls: paper::recalls_unembedded(&model, distribution, triggers.as_deref(), unembed)?,
        norms: true,
    };

    Ok(Experiment {
        run: args.run.clone(),
        params: settings_json(args, [("model_args.vocab_size", vocab.into())]),
        model,
        test_batch: args.run.test_batch(&test_task)?,
        exp_batch: None,
        batches: args.run.batches(task, args.optim_args.batch_size)?,
        optim: args.optim_args.optimizer(|adamw| adamw.betas(0.9, 0.95)),
        timeline,
        loss: Loss::next_token().over(loss_over),
        empty_loss: EmptyLoss::Refused,
        measured: (args.data_args.k > 0).then_some(measured),
    })
}
