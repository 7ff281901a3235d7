//! Variation 1. Which memory must be learnt first? (Section 5 of the paper, figure 3.) Some maps are frozen until iteration 300;
//! the recalls just before, and at the end.
//!
//! ```text
//! cargo run --release --example v1_freezing_order
//! ```
//!
//! Reached in 21 s (two busy cores), embeddings and unembedding frozen as in the paper. While W_O^2 waits the keys learn next to nothing
//! (recalls 0.10 and 0.05, accuracy 0.07); W_O^2 alone recalls 0.97 with both keys waiting (accuracy 0.34). After the release all
//! reach accuracy 0.96 to 0.98; with nothing frozen 0.99.
//!
//! Exact: what is frozen keeps its bits until it is released (`tests/all/run/timeline.rs`).
use std::{process::ExitCode, sync::Arc};

use ihead::data::{BatchOptions, Batches, BigramData, NumpyRng, TriggerOptions, TriggerTask, sample};
use ihead::model::{Simplified, SimplifiedArgs};
use ihead::probe::{Matrix, Metric, Select, paper};
use ihead::run::{Run, Schedule, Table};
use ihead::train::optim::Sgd;
use ihead::train::{Action, Loss, Timeline};
use ihead::{Config, Result};

const WK1: &str = "layers.0.attention.wk.weight";
const WK2: &str = "layers.1.attention.wk.weight";
const WO2: &str = "layers.1.attention.wo.weight";

/// What waits in each run, in the paper's names.
const WAITING: [(&str, &[&str]); 6] = [
    ("nothing", &[]),
    ("W_O^2", &[WO2]),
    ("W_K^2", &[WK2]),
    ("W_K^1", &[WK1]),
    ("both keys", &[WK1, WK2]),
    ("W_K^1 and W_O^2", &[WK1, WO2]),
];

/// Freezes maps until an iteration and watches what the others learn.
#[derive(Config)]
struct Args {
    /// Training steps.
    #[config(default = 600, min = 2)]
    steps: usize,
    /// When what is frozen is released.
    #[config(default = 300, min = 1)]
    release: usize,
}

fn main() -> ExitCode {
    ihead::main(run)
}

fn run(args: Args) -> Result<()> {
    let data = Arc::new(BigramData::tiny_shakespeare());
    let options = TriggerOptions { k: 5, seq_length: 64, ..Default::default() };
    let task = Arc::new(TriggerTask::new(data.clone(), options)?);
    let test_batch = sample(&*task, &mut NumpyRng::new(&[0]), 256)?;
    let sizes = SimplifiedArgs {
        max_length: 64,
        dim: 128,
        freeze_embeddings: true,
        freeze_output: true,
        ..SimplifiedArgs::defaults()
    };

    let mut table = Table::new(["frozen", "iteration", "W_K^1", "W_K^2", "W_O^2", "accuracy"]);
    for (name, waiting) in WAITING {
        let timeline = waiting.iter().fold(Timeline::default(), |timeline, weight| {
            timeline.at(0, Action::freeze(*weight)).at(args.release, Action::release(*weight))
        });
        let model = Simplified::new(65, &sizes)?.init(42);
        let recalls = paper::recalls(&model, Matrix::from_rows(65, data.cond_rows())?, None)?;
        let batches = Batches::new(task.clone(), BatchOptions { batch_size: 128, seed: 42, workers: 1 })?;
        let history = Run::new(model, batches)
            .optim(Sgd::new(0.2).momentum(0.9).weight_decay(1e-4))
            .loss(Loss::next_token().over(Select::marks(2..)))
            .timeline(timeline)
            .on(&test_batch, [Metric::accuracy("acc").over(Select::marks(2..))])
            .weights(recalls)
            .schedule(Schedule::at([args.release - 1]).and_last())
            .quiet()
            .train(args.steps)?;
        for (iteration, record) in history.records() {
            let [wk1, wk2, wo2, acc] =
                ["wk0_64_acc", "wk1_acc", "wo1_acc", "acc"].map(|name| record.get(name));
            table.row([&name, iteration, &wk1, &wk2, &wo2, &acc]);
        }
    }
    ihead::output::line(&table)?;
    Ok(())
}
