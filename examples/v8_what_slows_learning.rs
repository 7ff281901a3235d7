//! What slows in-context learning, and what generalises? (Section 5 of the paper, figure 4.)
//!
//! A sweep over the number of triggers, how rare they are, whether they are always the same, and the law of their outputs
//! in training. Each model is tested on uniform and on bigram outputs.
//!
//! Measured after 300 steps, in 80 seconds: fewer triggers are faster (one fixed trigger passes an accuracy of 0.5 at step 200, five
//! do not yet), fixed ones faster than random ones, and bigram outputs by far the fastest (step 80 and 200), but what is learnt
//! from them does not carry over to uniform outputs (0.95 against 0.37), while the reverse does (0.89 against 0.81). Rarer triggers
//! are not slower here (0.39, 0.33, 0.45 from ranks 0, 5, 20). The loss elsewhere is 2.50 to 2.62 when the accuracy passes 0.5.
//!
//! ```text
//! cargo run --release --example v8_what_slows_learning
//! ```
use std::process::ExitCode;
use std::sync::Arc;

use ihead::data::{BatchOptions, Batches, BigramData, NumpyRng, TriggerOptions, TriggerTask, sample};
use ihead::model::{Simplified, SimplifiedArgs};
use ihead::probe::{Metric, Select};
use ihead::run::{Run, Table};
use ihead::train::optim::{AdamW, Optim};
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
    /// Number of training steps.
    #[config(default = 300, min = 1)]
    steps: usize,
    /// Step size of AdamW.
    #[config(default = 0.003, min = 0.0)]
    learning_rate: f64,
    /// Sequences in a batch.
    #[config(default = 32, min = 1)]
    batch_size: usize,
    /// Threads; the result does not depend on it.
    #[config(default = 2, min = 1)]
    threads: usize,
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
        let batches = BatchOptions { batch_size: args.batch_size, seed: 42, workers: 1 };
        let sizes = SimplifiedArgs { dim: 64, max_length: 64, final_ffn: true, ..SimplifiedArgs::defaults() };
        let model = Simplified::new(65, 64, 64, &sizes)?.init(42, &sizes)?;
        let mut run = Run::new(model, Batches::new(Arc::new(task(bigram_outs)?), batches)?)
            .optim(Optim::AdamW(AdamW::new(args.learning_rate, (0.9, 0.95), 1e-8, 0.0)))
            .threads(args.threads)
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
        table.row([
            &k,
            &triggers,
            &outputs,
            &learnt,
            &global,
            &history.last("uniform")?,
            &history.last("bigram")?,
        ]);
    }
    println!("{table}");
    Ok(())
}
