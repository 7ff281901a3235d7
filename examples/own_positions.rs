//! Beside the course: positions and tied embeddings.
//!
//! Question: how fast does an induction head form on repeated random letters if positions are learned, rotary, ALiBi or absent,
//! and if the unembedding is the token embeddings?
//! Reached after 400 steps of each, in 10 s: with learned and rotary positions accuracy passes 0.5 at steps 220 and 200 and ends at
//! 0.997 and 0.999, with induction scores of 0.96 and 0.92. ALiBi (of one head: a slope of 2^-8) and no positions pass it at 360 and end at 0.53. With the
//! embeddings as the unembedding none learns in this time (accuracy 0.02).
//!
//! ```text
//! cargo run --release --example own_positions
//! ```
use std::{process::ExitCode, sync::Arc};

use ihead::Config;
use ihead::data::{BatchOptions, Batches, NumpyRng, Task, sample};
use ihead::model::{FeedForwardKind, OutputKind, PositionKind, Transformer, TransformerArgs};
use ihead::probe::{Head, Metric, Select, head_scores};
use ihead::run::{Run, Table};
use ihead::train::optim::{AdamW, Optim};

/// Trains one model for each kind of positions and each unembedding.
#[derive(Config)]
struct Args {
    /// Training steps of each run.
    #[config(default = 400, min = 1)]
    steps: usize,
}

/// Distinct letters, again and again, with a period of each sequence's own.
struct Repeats;

impl Task for Repeats {
    fn vocab(&self) -> usize {
        24
    }
    fn seq_length(&self) -> usize {
        32
    }
    fn sequence(&self, rng: &mut NumpyRng, tokens: &mut [u32], marks: &mut [i32]) {
        let period = 6 + rng.below(9) as usize;
        for t in 0..tokens.len() {
            tokens[t] = if t < period { rng.below(24) } else { tokens[t - period] };
            while t < period && tokens[..t].contains(&tokens[t]) {
                tokens[t] = rng.below(24);
            }
        }
        marks[period..].fill(2); // from the first letter that comes again
    }
}

fn main() -> ExitCode {
    ihead::main(run)
}

fn run(args: Args) -> ihead::Result<()> {
    let test = sample(&Repeats, &mut NumpyRng::new(&[0]), 128)?;
    let mut metrics = vec![Metric::accuracy("acc").over(Select::marks(2..))];
    metrics.extend(head_scores("first", &Head::of_layer(0, 0)));
    metrics.extend(head_scores("second", &Head::of_layer(1, 0)));
    let optim = Optim::AdamW(AdamW::new(0.003).betas(0.9, 0.99));
    let headings = ["positions", "output", "acc>0.5 from", "acc", "first: previous", "second: induction"];
    let mut table = Table::new(headings);
    for positions in [PositionKind::Learned, PositionKind::Rotary, PositionKind::Alibi, PositionKind::None] {
        for output in [OutputKind::Trained, OutputKind::Tied] {
            let ff = FeedForwardKind::None;
            let sizes = TransformerArgs {
                max_length: 32,
                dim: 32,
                layers: 2,
                positions,
                output,
                ff,
                ..Config::defaults()
            };
            let model = Transformer::new(24, &sizes)?.init(42);
            let batches =
                Batches::new(Arc::new(Repeats), BatchOptions { batch_size: 32, seed: 42, workers: 1 })?;
            let run = Run::new(model, batches).optim(optim.clone()).threads(2).on(&test, metrics.clone());
            let history = run.every(20).quiet().train(args.steps)?;
            let [acc, previous, induction] =
                ["acc", "first_previous_weight", "second_induction_weight"].map(|name| history.last(name));
            let (names, from) = (format!("{positions:?}"), history.first_above("acc", 0.5)?);
            table.row([&names, &format!("{output:?}"), &from, &acc?, &previous?, &induction?]);
        }
    }
    ihead::output::line(&table)?;
    Ok(())
}
