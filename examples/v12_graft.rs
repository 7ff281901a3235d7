//! Variation 12. How much of the wait for an induction head is the wait for the first layer? The layer 0 of a trained model, with
//! the embeddings that it reads, is grafted into new ones: left to train, or frozen; against a clamp of its pattern to the
//! position before, which needs no weights.
//!
//! ```text
//! cargo run --release --example v12_graft
//! ```
//!
//! Reached after 300 steps, means over three seeds with their standard errors: accuracy passes 0.9 at step 200 +- 6 with nothing grafted, at
//! 183 +- 9 with the embeddings alone, at 80 +- 0 with embeddings and layer 0, frozen or not, and at 97 +- 3 with the clamp. So more
//! than half of the wait is the wait for layer 0, whose weights need no more training. At the end the accuracy is 0.958, 0.964, 0.979
//! (frozen 0.973) and 0.984, +- 0.002 or less. 104 s of CPU time for all (AMD EPYC, two busy cores).
use std::{process::ExitCode, sync::Arc};

use ihead::prelude::*;
use ihead::sweep::estimate;

/// Trains a donor, then models with a part of it.
#[derive(Config)]
struct Args {
    /// Training steps of each run.
    #[config(default = 300, min = 1)]
    steps: usize,
    /// Runs of each kind.
    #[config(default = 3, min = 1)]
    seeds: u64,
}

/// What is grafted, what is frozen, what is clamped.
const KINDS: [(&str, &[&str], &[&str], &str); 5] = [
    ("nothing", &[], &[], ""),
    ("embeddings", &["tok_embeddings.*", "pe"], &[], ""),
    ("embeddings, layer 0", &["tok_embeddings.*", "pe", "layers.0.*"], &[], ""),
    ("the same, layer 0 frozen", &["tok_embeddings.*", "pe", "layers.0.*"], &["layers.0.*"], ""),
    ("nothing, but a clamp", &[], &[], "layers.0.attention.pattern=previous_token"),
];

fn main() -> ExitCode {
    ihead::main(run)
}

fn run(args: Args) -> Result<()> {
    let options = TriggerOptions { k: 5, seq_length: 64, ..Default::default() };
    let task = Arc::new(TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options)?);
    let test = sample(&*task, &mut NumpyRng::new(&[0]), 256)?;
    let sizes = SimplifiedArgs { max_length: 64, dim: 128, ..SimplifiedArgs::defaults() };
    let model = |seed| Simplified::new(65, &sizes).map(|model| model.init(seed));
    let prepared = |model: Simplified<usize, usize, usize>, seed| -> Result<Run<_>> {
        let batches = Batches::new(task.clone(), BatchOptions { batch_size: 64, seed, workers: 1 })?;
        let accuracy = Metric::accuracy("acc").over(Select::marks(2..));
        let run = Run::new(model, batches).optim(AdamW::new(0.003));
        let run = run.loss(Loss::next_token().over(Select::marks(2..)));
        Ok(run.on(&test, [accuracy]).every(10).quiet())
    };
    let mut donor = prepared(model(1000)?, 1000)?;
    donor.train(args.steps)?;
    let donor = donor.into_model();

    let mut table = Table::new(["grafted", "accuracy", "above 0.5 from", "above 0.9 from", "runs above"]);
    for (name, grafted, frozen, clamped) in KINDS {
        let mut found = [const { vec![] }; 3];
        for seed in 0..args.seeds {
            let mut new = model(seed)?;
            for pattern in grafted {
                new.copy_from(&donor, pattern)?;
            }
            let freeze = |t: Timeline, pattern: &&str| t.at(0, Action::freeze(*pattern));
            let timeline = frozen.iter().fold(Timeline::default(), freeze);
            let edits = clamped.parse::<Edits>()?;
            let history = prepared(new, seed)?.timeline(timeline).edits(edits).train(args.steps)?;
            found[0].push(history.last("acc")?);
            for (i, bound) in [(1, 0.5), (2, 0.9)] {
                found[i].extend(history.first_above("acc", bound)?.map(|step| step as f64));
            }
        }
        let above = found[2].len();
        let [accuracy, half, most] = found.map(|numbers: Vec<f64>| estimate(&numbers, 0.95));
        table.row([&name, &accuracy, &half, &most, &above]);
    }
    ihead::output::line(&table)
}
