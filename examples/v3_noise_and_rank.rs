//! Variation 3. Is noise stored in the feed-forward layer? (Chen, Bruna and Bietti 2024.) In training the output of a trigger is one noise
//! token with probability 0.3, never in the test set; measured with layer 1's feed-forward layer truncated to a share of its rank, training
//! untouched. `margin` is the logit of the right output minus that of the noise token.
//!
//! ```text
//! cargo run --release --example v3_noise_and_rank
//! ```
//!
//! Reached after 400 steps with shares 1, 0.2, 0.1, 0 of the rank, in 25 s of two cores, means of the seeds 42, 1 and 2. The full model,
//! whose layer is an MLP (its first matrix truncated): the probability of the right output is 0.67, 0.82, 0.83, 0.84, the margin 0.92,
//! 1.93, 2.06, 2.17, accuracy 0.90 to 1.00, loss elsewhere 2.19, 2.19, 2.22, 3.01; each seed has this order. That is the literature's
//! direction: the noise is in this layer, and a tenth of its rank keeps all else.
//! The model decides: with the linear layer (`model=simplified`) the probability falls, 0.59, 0.46, 0.38, 0.34, and the margin is 0.80,
//! 0.24, -0.08, 1.48: without the layer the noise token loses, and so does the right one. docs/figures.md has the curves.
use std::{path::PathBuf, process::ExitCode, sync::Arc};

use ihead::data::{BatchOptions, Batches, BigramData, NumpyRng, Task, TriggerOptions, TriggerTask, sample};
use ihead::graph::Model;
use ihead::model::{Full, FullArgs, Simplified, SimplifiedArgs};
use ihead::probe::attribution::Against;
use ihead::probe::{Metric, Select};
use ihead::run::{Run, Table};
use ihead::train::WeightEdit;
use ihead::train::optim::AdamW;
use ihead::{Config, Result};

const SHARES: [f64; 4] = [1.0, 0.2, 0.1, 0.0];

/// Trains with noisy outputs and truncates the feed-forward layer.
#[derive(Config)]
struct Args {
    /// Training steps.
    #[config(default = 400, min = 1)]
    steps: usize,
    /// How often an output is noise in training.
    #[config(default = 0.3, min = 0.0, max = 1.0)]
    noise: f64,
    /// The model, which decides the answer.
    #[config(default = Kind::Full)]
    model: Kind,
    /// Seed of the data.
    #[config(default = 42)]
    seed: u64,
    /// Folder of the run's files.
    save_dir: Option<PathBuf>,
}

/// Two models of the paper.
#[derive(Config, Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// The full model, one head a layer: its feed-forward layers are MLPs.
    Full,
    /// The simplified model with a linear feed-forward layer.
    Simplified,
}

/// Bigrams with triggers, whose outputs are sometimes replaced by a token of their own.
struct Noisy {
    clean: TriggerTask,
    noise: f64,
}

impl Task for Noisy {
    fn vocab(&self) -> usize {
        self.clean.vocab() + 1
    }
    fn seq_length(&self) -> usize {
        self.clean.seq_length()
    }
    fn sequence(&self, rng: &mut NumpyRng, tokens: &mut [u32], marks: &mut [i32]) {
        self.clean.sequence(rng, tokens, marks);
        for t in 0..marks.len() {
            if marks[t] >= 1 && rng.random() < self.noise {
                tokens[t + 1] = self.clean.vocab() as u32; // the text goes on as it was
                marks.get_mut(t + 1).into_iter().for_each(|mark| *mark = 0); // no trigger any more, if it was one
            }
        }
    }
}

fn main() -> ExitCode {
    ihead::main(run)
}

fn run(args: Args) -> Result<()> {
    let full = FullArgs { n_heads: 1, max_length: 64, ..Config::defaults() };
    let simplified = SimplifiedArgs { dim: 128, max_length: 64, final_ffn: true, ..Config::defaults() };
    match args.model {
        Kind::Full => measure(&args, Full::new(66, &full)?.init(42), "layers.1.ff.w1.weight"),
        Kind::Simplified => measure(&args, Simplified::new(66, &simplified)?.init(42), "layers.1.ff.weight"),
    }
}

fn measure(args: &Args, model: impl Model, layer: &str) -> Result<()> {
    let data = Arc::new(BigramData::tiny_shakespeare());
    let options = TriggerOptions { k: 5, seq_length: 64, fixed_special_toks: true, ..Default::default() };
    let task = |noise| TriggerTask::new(data.clone(), options.clone()).map(|clean| Noisy { clean, noise });
    let test_batch = sample(&task(0.0)?, &mut NumpyRng::new(&[0]), 256)?;
    let options = BatchOptions { batch_size: 64, seed: args.seed, workers: 1 };
    let batches = Batches::new(Arc::new(task(args.noise)?), options)?;
    let settings = ihead::config::settings_json(args, []);
    let mut run = Run::new(model, batches).optim(AdamW::new(0.003)).every(50).settings(settings);
    if let Some(dir) = &args.save_dir {
        run = run.save_to(dir);
    }
    for share in SHARES {
        let known = Select::marks(2..);
        let metrics = [
            Metric::probability(format!("right_{share}")).over(known.clone()),
            Metric::logit(format!("margin_{share}"), Against::Token(data.vocab() as u32)).over(known.clone()),
            Metric::accuracy(format!("acc_{share}")).over(known),
            Metric::loss(format!("bigram_{share}")).over(Select::marks(0..=0)),
        ];
        run = run.on_edited([WeightEdit::rank_share(layer, share)], &test_batch, metrics);
    }
    let history = run.train(args.steps)?;

    let mut table = Table::new(["share of rank", "right output", "margin", "accuracy", "loss elsewhere"]);
    for share in SHARES {
        let of = |name: &str| history.last(&format!("{name}_{share}"));
        table.row([&share, &of("right")?, &of("margin")?, &of("acc")?, &of("bigram")?]);
    }
    ihead::output::line(&table)
}
