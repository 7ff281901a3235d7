//! Variation 14. Does it matter for in-context learning what the hidden units of the feed-forward layers are? The operations and
//! the block are one's own, from outside of the library: a pointwise function, an operation on rows with its own backward pass, and a
//! block that has them beside its attention.
//!
//! ```text
//! cargo run --release --example v14_own_operation
//! ```
//!
//! Reached after 300 steps of batches of 32, means over three seeds with their standard errors: loss 2.707 +- 0.026 with ReLU, 2.672 +- 0.019
//! with squared ReLU, 2.787 +- 0.035 with sparsemax; accuracy 0.572 +- 0.035, 0.616 +- 0.023, 0.423 +- 0.065 where the context tells the
//! next token. Sparsemax is behind this early; the two others are within each other's errors. 16 s of CPU time for the nine
//! runs (AMD EPYC, one busy core).
use std::{process::ExitCode, sync::Arc};

use ihead::nn::{Layer, through};
use ihead::ops::each_element;
use ihead::prelude::*;
use ihead::sweep::estimate;

/// Trains two layers with each kind of hidden units.
#[derive(Config)]
struct Args {
    /// Training steps of each run.
    #[config(default = 300, min = 1)]
    steps: usize,
    /// Runs of each kind.
    #[config(default = 3, min = 1)]
    seeds: u64,
}

ihead::pointwise! {
    /// `max(x, 0)^2` (So and others 2021).
    squared_relu(x) = x.max(0.0).powi(2), derivative = 2.0 * x.max(0.0)
}

/// The nearest point of the simplex (Martins and Astudillo 2016): `max(x - tau, 0)`, with the `tau` that makes the sum 1.
struct Sparsemax;

impl RowWise for Sparsemax {
    fn name(&self) -> &str {
        "sparsemax"
    }
    fn width(&self, inputs: &[usize]) -> std::result::Result<usize, String> {
        Ok(inputs[0])
    }
    fn forward(&self, inputs: &[&[f64]], out: &mut [f64]) {
        let mut sorted = inputs[0].to_vec();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let (mut sum, mut tau) = (0.0, 0.0);
        for (n, x) in sorted.iter().enumerate() {
            sum += x;
            if 1.0 + (n + 1) as f64 * x > sum {
                tau = (sum - 1.0) / (n + 1) as f64;
            }
        }
        out.iter_mut().zip(inputs[0]).for_each(|(y, x)| *y = (x - tau).max(0.0));
    }
    fn backward(&self, _: &[&[f64]], out: &[f64], d_out: &[f64], d_inputs: &mut [Vec<f64>]) {
        let active = || out.iter().zip(d_out).filter(|(y, _)| **y > 0.0).map(|(_, d)| d);
        let mean = active().sum::<f64>() / active().count() as f64;
        for ((dx, y), d) in d_inputs[0].iter_mut().zip(out).zip(d_out) {
            *dx = if *y > 0.0 { d - mean } else { 0.0 };
        }
    }
}

/// `x + attention(n) + W_2 units(W_1 n)` with `n = norm(x)`: attention and feed-forward layer side by side, behind one norm.
#[derive(Module)]
struct OwnBlock {
    #[module]
    norm: RmsNorm<usize>,
    #[module]
    attention: Attention<usize>,
    #[module]
    up: Linear<usize, usize>,
    #[module]
    down: Linear<usize, usize>,
    units: &'static str,
}

impl Layer<usize> for OwnBlock {
    fn layer<T: Dim>(&self, x: &Stream<T, usize>, site: &Site) -> Stream<T, usize> {
        let n = self.norm.forward(x);
        let h = self.up.forward(&n);
        let hidden = match self.units {
            "squared ReLU" => squared_relu(&h),
            "sparsemax" => h.rows(Sparsemax, &[], h.dim()),
            _ => h.relu(),
        };
        let mixed = self.attention.forward(&n, &n, &site.at("attention"));
        x.clone() + mixed + self.down.forward(&site.stream("hidden", hidden))
    }
}

#[derive(Module)]
struct Layers {
    #[module]
    embed: Embedding<usize, usize>,
    #[module]
    positions: Positions<usize, usize>,
    #[module]
    layers: Vec<OwnBlock>,
    #[module]
    output: Linear<usize, usize>,
}

impl Model for Layers {
    type Vocab = usize;

    fn vocab(&self) -> usize {
        self.embed.weight.shape().0
    }
    fn forward<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
        let h = self.positions.add_to(self.embed.forward(x), x);
        self.output.forward(&through(&self.layers, h))
    }
}

fn main() -> ExitCode {
    ihead::main(run)
}

fn run(args: Args) -> Result<()> {
    check_gradient(&each_element(SquaredRelu), &[8], 1e-6)?;
    check_gradient(&Sparsemax, &[8], 1e-6)?;
    let (length, dim, hidden) = (32, 64, 64);
    let options = TriggerOptions { k: 5, seq_length: length, ..Default::default() };
    let task = Arc::new(TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options)?);
    let test = sample(&*task, &mut NumpyRng::new(&[0]), 256)?;
    let mut table = Table::new(["hidden units", "loss", "accuracy"]);
    for units in ["ReLU", "squared ReLU", "sparsemax"] {
        let (mut losses, mut accuracies) = (vec![], vec![]);
        for seed in 0..args.seeds {
            let block = |_| OwnBlock {
                norm: RmsNorm::new(dim),
                attention: Attention::new(dim, 1),
                up: Linear::new(dim, hidden),
                down: Linear::new(hidden, dim),
                units,
            };
            let model = Layers {
                embed: Embedding::new(65, dim),
                positions: Positions::learned(length, dim),
                layers: (0..2).map(block).collect(),
                output: Linear::new(dim, 65),
            }
            .init(seed);
            let batches = Batches::new(task.clone(), BatchOptions { batch_size: 32, seed, workers: 1 })?;
            let metrics = [Metric::loss("test"), Metric::accuracy("acc").over(Select::marks(2..))];
            let run = Run::new(model, batches).optim(AdamW::new(0.003)).on(&test, metrics);
            let history = run.quiet().train(args.steps)?;
            losses.push(history.last("test")?);
            accuracies.push(history.last("acc")?);
        }
        table.row([&units, &estimate(&losses, 0.95), &estimate(&accuracies, 0.95)]);
    }
    ihead::output::line(&table)
}
