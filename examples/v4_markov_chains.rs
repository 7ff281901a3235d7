//! Variation 4. Which predictor does a transformer resemble while it learns Markov chains in context?
//!
//! ```text
//! cargo run --release --example v4_markov_chains
//! ```
//!
//! First the uniform distribution (to step 8), then the unigrams so far (steps 16 to 128), then the bigrams so far (from step 256;
//! 0.034 nats away at step 399). 3 s.
use std::sync::Arc;

use ihead::Config;
use ihead::data::{BatchOptions, Batches, CausalGraph, NumpyRng, sample};
use ihead::model::{Full, FullArgs};
use ihead::probe::{Bigram, Metric, Select, Uniform, Unigram};
use ihead::run::{Run, Schedule, Table};
use ihead::train::optim::AdamW;

/// In-context Markov chains: which predictor is nearest, over time.
#[derive(Config)]
struct Args {
    /// States of a chain.
    #[config(default = 3, min = 2, max = 4096)]
    states: usize,
    /// Training steps.
    #[config(default = 400, min = 1)]
    steps: usize,
}

fn main() -> std::process::ExitCode {
    ihead::main(run)
}

fn run(args: Args) -> ihead::Result<()> {
    // each sequence has a transition matrix of its own, whose rows are uniform over the simplex
    let task = Arc::new(CausalGraph::chain(args.states, 64, 1.0)?);
    let test = sample(&*task, &mut NumpyRng::new(&[0, 1]), 256)?;
    let batches = Batches::new(task, BatchOptions { batch_size: 64, seed: 0, workers: 1 })?;
    let sizes =
        FullArgs { max_length: 64, dim: 32, n_layers: 2, n_heads: 1, no_ffn: true, ..FullArgs::defaults() };
    let model = Full::new(args.states, &sizes)?.init(0);
    let late = || Select::last(32);
    let metrics = [
        Metric::loss("loss_late").over(late()),
        Metric::kl("kl_uniform", Uniform).over(late()),
        Metric::kl("kl_unigram", Unigram { alpha: 1.0 }).over(late()),
        Metric::kl("kl_bigram", Bigram { alpha: 1.0 }).over(late()),
    ];
    let mut run = Run::new(model, batches)
        .optim(AdamW::new(0.003).betas(0.9, 0.99))
        .on(&test, metrics)
        .schedule(Schedule::powers(2).and_last())
        .quiet();
    let history = run.train(args.steps)?;
    let names = ["kl_uniform", "kl_unigram", "kl_bigram"];
    let mut table = Table::new(["step", "loss_late", "kl_uniform", "kl_unigram", "kl_bigram", "nearest"]);
    for (iteration, record) in history.records() {
        let kl = names.map(|name| record.get(name).unwrap_or(f64::NAN));
        let nearest = (0..3).min_by(|a, b| kl[*a].total_cmp(&kl[*b])).map_or("", |i| &names[i][3..]);
        table.row([iteration, &record.get("loss_late"), &kl[0], &kl[1], &kl[2], &nearest]);
    }
    ihead::output::line(&table)?;
    Ok(())
}
