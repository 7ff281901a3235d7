//! Which memory must be learnt first? (Section 5 of the paper, figure 3.)
//!
//! Some maps are frozen until an iteration; a recall says what each holds just before, and at the end. Read-out and
//! embeddings train too here; `freeze_readout=true` leaves them as they are, as the paper does.
//!
//! Measured at iterations 225 and 599, in 48 s of processor time:
//! - frozen keys learn nothing, but `W_O^2` alone recalls 1.00 of the outputs, with an accuracy of 0.48;
//! - with `W_O^2` frozen the keys learn all the same (recalls 0.76 and 0.65, accuracy 0.95): the read-out that trains makes up
//!   for it, so that the path through the random `W_O^2` recalls 1.00;
//! - after the release every order reaches accuracy 0.987 to 0.992.
//!
//! ```text
//! cargo run --release --example v1_freezing_order
//! ```
use std::process::ExitCode;
use std::sync::Arc;

use ihead::data::{BatchOptions, Batches, BigramData, NumpyRng, TriggerOptions, TriggerTask, sample};
use ihead::model::{Simplified, SimplifiedArgs};
use ihead::probe::{Matrix, Metric, Select, paper};
use ihead::run::{Run, Table};
use ihead::train::optim::{Optim, Sgd};
use ihead::train::{Action, LossOn, Timeline};
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
    /// Number of training steps.
    #[config(default = 600, min = 1)]
    steps: usize,
    /// When what is frozen is released.
    #[config(default = 300)]
    release: usize,
    /// Step size of SGD.
    #[config(default = 0.2, min = 0.0)]
    learning_rate: f64,
    /// Sequences in a batch.
    #[config(default = 128, min = 1)]
    batch_size: usize,
    /// Embeddings and read-out never train.
    #[config(default = false)]
    freeze_readout: bool,
    /// Threads; the result does not depend on it.
    #[config(default = 2, min = 1)]
    threads: usize,
}

fn main() -> ExitCode {
    ihead::main(run)
}

fn run(args: Args) -> Result<()> {
    let data = Arc::new(BigramData::tiny_shakespeare());
    let task = Arc::new(TriggerTask::new(
        data.clone(),
        TriggerOptions { k: 5, seq_length: 64, ..Default::default() },
    )?);
    let test_batch = sample(&*task, &mut NumpyRng::new(&[0]), 256)?;
    let (freeze_embeddings, freeze_output) = (args.freeze_readout, args.freeze_readout);
    let sizes = SimplifiedArgs {
        dim: 128,
        max_length: 64,
        freeze_embeddings,
        freeze_output,
        ..SimplifiedArgs::defaults()
    };

    let mut table =
        Table::new(["frozen", "iter", "W_K^1 recall", "W_K^2 recall", "W_O^2 recall", "accuracy"]);
    for (name, waiting) in WAITING {
        let mut timeline = Timeline::default();
        for weight in waiting {
            timeline = timeline.at(0, Action::freeze(*weight)).at(args.release, Action::release(*weight));
        }
        let model = Simplified::new(65, 64, 128, &sizes)?.init(42, &sizes)?;
        let recalls = paper::recalls(&model, Matrix::from_rows(65, data.cond_rows())?, None)?;
        let batches =
            Batches::new(task.clone(), BatchOptions { batch_size: args.batch_size, seed: 42, workers: 1 })?;
        let history = Run::new(model, batches)
            .optim(Optim::Sgd(Sgd::new(args.learning_rate, 0.9, 1e-4)))
            .loss(LossOn::MarksFrom(2))
            .timeline(timeline)
            .on(&test_batch, [Metric::accuracy("acc").over(Select::marks(2..))])
            .weights(recalls)
            .threads(args.threads)
            .every(args.release.max(1) / 4)
            .quiet()
            .train(args.steps)?;
        for at in [args.release.saturating_sub(1), args.steps - 1] {
            let [wk1, wk2, wo2, acc] = ["wk0_64_acc", "wk1_acc", "wo1_acc", "acc"].map(|n| history.at(n, at));
            table.row([&name, &at, &wk1?, &wk2?, &wo2?, &acc?]);
        }
    }
    println!("{table}");
    Ok(())
}
