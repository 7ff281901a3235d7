//! Variation 2: attention sinks from dormant heads (Guo and others 2024, the task "bigram-backcopy").
//!
//! Question: does a head that has work only after a trigger rest on BOS otherwise, with a small value there; do ReLU
//! attention and SGD lessen it? Their settings (not run here): `model.dim=256 optim.learning_rate=3e-4
//! optim.weight_decay=1e-4 optim.batch_size=512 steps=10000`. Reduced to a batch of 32, 64 tokens and 1,000 steps,
//! width 64, accuracy above 0.98 where not said, seeds 1 and 2: attention to BOS where there is nothing to copy, then
//! the norm of its value (of the others). One layer, AdamW at 3e-3: 0.96, 0.97, norm 1.7, 2.0 (8.8, 9.1); ReLU
//! attention: 0.000, 0.001; SGD at 0.1: 0.84, 0.90. The rate decides in so few steps: AdamW at 3e-4 leaves 0.13, 0.23,
//! and an accuracy of 0.79, 0.92 (width 256, 1,500 steps, one seed: 0.15, but an accuracy of 1.000). Three layers: the
//! residual stream behind layer 0 has norm 36, 30 at BOS and 20, 22 elsewhere with AdamW at 3e-3; with SGD 16, 18 and
//! 9, 9, so this peak stays at this size; sinks stay too, in other layers.
//!
//! ```text
//! cargo run --release --example v2_attention_sinks
//! ```
use std::{path::PathBuf, process::ExitCode, sync::Arc};

use ihead::config::settings_json;
use ihead::data::{BatchOptions, Batches, BigramData, NumpyRng, Task, check_distribution, sample};
use ihead::model::{Transformer, TransformerArgs};
use ihead::paper::OptimArgs;
use ihead::probe::{Head, Key, Metric, Select};
use ihead::run::{Run, Table};

/// Trains a transformer to copy back after triggers, and measures sinks and norms at BOS.
#[derive(ihead::Config)]
struct Args {
    /// Training steps.
    #[config(default = 1000, min = 1)]
    steps: usize,
    /// The optimiser and the batch.
    #[config(group, default(use_sgd = false, learning_rate = 3e-3, batch_size = 64))]
    optim: OptimArgs,
    /// The model, as long as the sequences.
    #[config(group, default(layers = 1, max_length = 64))]
    model: TransformerArgs,
    /// Seed of the weights and the data.
    #[config(default = 42)]
    seed: u64,
    /// Iterations between evaluations.
    #[config(default = 50, min = 1)]
    every: usize,
    /// Folder of the run's files.
    save_dir: Option<PathBuf>,
}

/// Bigram text behind a BOS token; after a trigger comes the token before it.
struct BackCopy(BigramData, Vec<u32>, usize);

impl Task for BackCopy {
    fn vocab(&self) -> usize {
        self.0.vocab() + 1
    }
    fn seq_length(&self) -> usize {
        self.2
    }
    fn sequence(&self, rng: &mut NumpyRng, tokens: &mut [u32], marks: &mut [i32]) {
        for t in 0..tokens.len() {
            let mut distribution = vec![0.0; self.vocab()];
            self.predict(&tokens[..t], &mut distribution);
            tokens[t] = rng.weighted(&distribution);
        }
        marks.iter_mut().zip(tokens).for_each(|(mark, x)| *mark = 2 * i32::from(self.1.contains(x)));
    }
    fn predict(&self, tokens: &[u32], distribution: &mut [f64]) -> bool {
        let (bos, triggers) = (self.0.vocab(), &self.1);
        let others = (0..bos).filter(|v| !triggers.contains(&(*v as u32)));
        match tokens {
            [] => distribution[bos] = 1.0,
            [_] => others.clone().for_each(|v| distribution[v] = 1.0 / others.clone().count() as f64),
            [.., before, last] if triggers.contains(last) => distribution[*before as usize] = 1.0,
            [.., last] => distribution[..bos].copy_from_slice(self.0.cond(*last)),
        }
        true
    }
}

fn main() -> ExitCode {
    ihead::main(run)
}

fn run(args: Args) -> ihead::Result<()> {
    let text = BigramData::tiny_shakespeare();
    let triggers = text.encode("teo")?;
    let task = Arc::new(BackCopy(text, triggers, args.model.max_length));
    check_distribution(&*task, &mut NumpyRng::new(&[1]), 500)?;
    let test = sample(&*task, &mut NumpyRng::new(&[0]), 128)?;
    let (bos, marked) = (Select::first(1), Select::marks(2..));
    let mut metrics = vec![Metric::accuracy("acc").over(marked.clone())];
    let mut table =
        Table::new(["layer", "sink, dormant", "sink, active", "|v| BOS", "|v|", "|h| BOS", "|h|"]);
    for layer in 0..args.model.layers {
        let (head, value) = (Head::of_layer(layer, 0), format!("layers.{layer}.attention.v"));
        let last = layer + 1 == args.model.layers;
        let after = if last { "final.resid".into() } else { format!("layers.{}.resid", layer + 1) };
        metrics.extend([
            Metric::attention(format!("sink_{layer}"), &head, Key::First).over(!marked.clone()),
            Metric::attention(format!("sink_active_{layer}"), &head, Key::First).over(marked.clone()),
            Metric::norm(format!("v_bos_{layer}"), &value).over(bos.clone()),
            Metric::norm(format!("v_others_{layer}"), &value).over(!bos.clone()),
            Metric::norm(format!("h_bos_{layer}"), &after).over(bos.clone()),
            Metric::norm(format!("h_others_{layer}"), &after).over(!bos.clone()),
        ]);
    }
    let model = Transformer::new(task.vocab(), &args.model)?.init(args.seed);
    let options = BatchOptions { batch_size: args.optim.batch_size, seed: args.seed, workers: 1 };
    let batches = Batches::new(task, options)?;
    let (optim, settings) = (args.optim.optimizer(|adamw| adamw), settings_json(&args, []));
    let mut run =
        Run::new(model, batches).optim(optim).on(&test, metrics).every(args.every).settings(settings);
    if let Some(dir) = args.save_dir {
        run = run.save_to(dir);
    }
    let history = run.train(args.steps)?;
    for layer in 0..args.model.layers {
        let of = |name: &str| history.last(&format!("{name}_{layer}"));
        let numbers = ["sink", "sink_active", "v_bos", "v_others", "h_bos", "h_others"].map(of);
        table.labelled(&layer, numbers.into_iter().collect::<ihead::Result<Vec<f64>>>()?);
    }
    ihead::output::line(&table)
}
