//! Variation 8. What slows in-context learning, and what generalises? (Section 5 of the paper, figure 4.) A sweep over the number of
//! triggers, how rare they are, whether they are always the same, and the distribution of their outputs; tests on both distributions.
//!
//! ```text
//! cargo run --release --example v8_what_slows_learning
//! ```
//!
//! Reached in 145 s on two busy cores (77 s of CPU time). Accuracy passes 0.5 at step 260 with the 5 most frequent tokens as
//! triggers, at 580 with ranks 5 to 9, never with ranks 20 to 24; at 360 with 5 random ones; with one at 160 (fixed) and never
//! (random). The global loss is then 2.36 to 2.55. Bigram outputs are learnt first (60 and 140) but do not carry over to uniform
//! ones (0.58 and 0.33 against 0.99 and 0.87), while uniform outputs do to bigram ones.
use std::{process::ExitCode, sync::Arc};

use ihead::data::{BatchOptions, Batches, BigramData, NumpyRng, TriggerOptions, TriggerTask, sample};
use ihead::model::{Simplified, SimplifiedArgs};
use ihead::probe::{Metric, Select};
use ihead::run::{Run, Table};
use ihead::train::optim::AdamW;
use ihead::{Config, Result};

/// Number of triggers, rank of the most frequent (none if they are random), bigram outputs in training.
const SWEEP: [(usize, Option<usize>, bool); 8] = [
    (5, Some(0), false),
    (5, Some(5), false),
    (5, Some(20), false),
    (5, None, false),
    (1, Some(0), false),
    (1, None, false),
    (5, Some(0), true),
    (5, None, true),
];

/// Sweeps over the settings of the task.
#[derive(Config)]
struct Args {
    /// Training steps.
    #[config(default = 800, min = 1)]
    steps: usize,
}

fn main() -> ExitCode {
    ihead::main(run)
}

fn run(args: Args) -> Result<()> {
    let data = Arc::new(BigramData::tiny_shakespeare());
    let headings =
        ["k", "triggers", "outputs", "acc>0.5 from", "global loss then", "acc, uniform", "acc, bigram"];
    let mut table = Table::new(headings);
    for (k, rank, bigram_outs) in SWEEP {
        let options = TriggerOptions {
            k,
            seq_length: 64,
            fixed_special_toks: rank.is_some(),
            special_toks_offset: rank.unwrap_or(0),
            ..Default::default()
        };
        let task =
            |bigram_outs| TriggerTask::new(data.clone(), TriggerOptions { bigram_outs, ..options.clone() });
        let batches = BatchOptions { batch_size: 64, seed: 42, workers: 1 };
        let sizes = SimplifiedArgs { dim: 64, max_length: 64, final_ffn: true, ..SimplifiedArgs::defaults() };
        let model = Simplified::new(65, &sizes)?.init(42);
        let mut run = Run::new(model, Batches::new(Arc::new(task(bigram_outs)?), batches)?)
            .optim(AdamW::new(0.003))
            .every(20)
            .quiet();
        for (name, bigram) in [("uniform", false), ("bigram", true)] {
            let test_batch = sample(&task(bigram)?, &mut NumpyRng::new(&[0]), 256)?;
            let known = Metric::accuracy(name).over(Select::marks(2..));
            run = run.on(
                &test_batch,
                [known, Metric::loss(format!("{name}_elsewhere")).over(Select::marks(0..=0))],
            );
        }
        let history = run.train(args.steps)?;
        let outputs = if bigram_outs { "bigram" } else { "uniform" };
        let triggers = rank.map_or("random".to_string(), |rank| format!("fixed from rank {rank}"));
        let learnt = history.first_above(outputs, 0.5)?;
        let global = learnt.map(|at| history.at(&format!("{outputs}_elsewhere"), at)).transpose()?;
        let [uniform, bigram] = [history.last("uniform")?, history.last("bigram")?];
        table.row([&k, &triggers, &outputs, &learnt, &global, &uniform, &bigram]);
    }
    ihead::output::line(&table)?;
    Ok(())
}
