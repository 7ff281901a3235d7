//! Variation 3. Is noise stored in the feed-forward layer? In training the output of a trigger is one noise token with probability
//! 0.3, never in the test set; measured with the linear feed-forward layer truncated to a share of its rank, training untouched.
//!
//! ```text
//! cargo run --release --example v3_noise_and_rank
//! ```
//!
//! Reached after 400 steps, in 6 s: the probability of the right output is 0.626, 0.502, 0.402, 0.344 with shares 1, 0.2, 0.1, 0 of
//! the rank, accuracy 0.890, 0.712, 0.567, 0.843, loss elsewhere 2.24 to 2.92. After 2000 steps: 0.638, 0.515, 0.486, 0.316 and
//! 0.910, 0.693, 0.771, 0.900. That is not the literature's direction: without the layer the right output is not more probable
//! here, though it is nearly as often the first.
use std::{process::ExitCode, sync::Arc};

use ihead::data::{BatchOptions, Batches, BigramData, NumpyRng, Task, TriggerOptions, TriggerTask, sample};
use ihead::model::{Simplified, SimplifiedArgs};
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
    let data = Arc::new(BigramData::tiny_shakespeare());
    let options = TriggerOptions { k: 5, seq_length: 64, fixed_special_toks: true, ..Default::default() };
    let task = |noise| TriggerTask::new(data.clone(), options.clone()).map(|clean| Noisy { clean, noise });
    let test_batch = sample(&task(0.0)?, &mut NumpyRng::new(&[0]), 256)?;
    let batches =
        Batches::new(Arc::new(task(args.noise)?), BatchOptions { batch_size: 64, seed: 42, workers: 1 })?;
    let sizes = SimplifiedArgs { dim: 128, max_length: 64, final_ffn: true, ..SimplifiedArgs::defaults() };
    let model = Simplified::new(66, &sizes)?.init(42);

    let mut run = Run::new(model, batches).optim(AdamW::new(0.003)).every(100);
    for share in SHARES {
        let (known, bigram) = (Select::marks(2..), Select::marks(0..=0));
        let metrics = [
            Metric::probability(format!("right_{share}")).over(known.clone()),
            Metric::accuracy(format!("acc_{share}")).over(known),
            Metric::loss(format!("bigram_{share}")).over(bigram),
        ];
        run = run.on_edited([WeightEdit::rank_share("layers.1.ff.weight", share)], &test_batch, metrics);
    }
    let history = run.train(args.steps)?;

    let mut table =
        Table::new(["share of rank", "probability of right output", "accuracy", "loss elsewhere"]);
    for share in SHARES {
        let of = |name: &str| history.last(&format!("{name}_{share}"));
        table.row([&share, &of("right")?, &of("acc")?, &of("bigram")?]);
    }
    ihead::output::line(&table)?;
    Ok(())
}
