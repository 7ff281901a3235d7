//! Variation 2: attention sinks from dormant heads (Guo and others 2024, the task "bigram-backcopy").
//!
//! Question: does a head that has work only after a trigger rest on BOS otherwise, with a small value there; do ReLU
//! attention and SGD lessen it? What follows first is for 64 tokens, width 64, batches of 32, 1,000 steps and the seeds 1, 2 and 3;
//! docs/figures.md has the curves.
//!
//! One layer: with AdamW at 3e-3 the attention to BOS where there is nothing to copy is 0.96, 0.97 and 1.00, and the norm of the
//! value there is 1.7 to 2.0, of other values 8.8 to 10.1. With ReLU attention (`model.normaliser=mean_relu`) it is 0.000 to 0.001,
//! with SGD (`optim.use_sgd=true optim.learning_rate=0.1`) 0.84 to 0.90. All of these copy with an accuracy of 0.99 or more. At 3e-4
//! AdamW has not learnt to copy yet (0.79 and 0.92), and the attention is 0.13 and 0.23.
//!
//! Three layers (`model.layers=3`): the residual stream after layer 0 has a norm of 36, 30 and 22 at BOS and of 20, 22 and 15 elsewhere
//! with AdamW, of 16 to 18 and of 9 with SGD. The sink is in layers 0 and 1 with AdamW, in layer 2 with SGD.
//!
//! At the settings of that work (`model.dim=256 optim.learning_rate=3e-4 optim.weight_decay=1e-4 steps=10000`, one seed, `device=cuda`): one
//! layer, batches of 512, attends to BOS with 0.20 only, though the value there is small (3.1, others 9.4). So in one layer the learning rate decides.
//! Three layers, batches of 128: with AdamW layer 1 is a sink of 0.98, and the stream after layer 0 has a norm of 116 at BOS, of 35 elsewhere; with SGD
//! at 0.1 the sink stays (0.48) and the norm at BOS falls from 31 to 12.5 (others 7.8; after layer 2, 12.4 and 11.1): the peak goes away,
//! as that work reports.
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
use ihead::train::{Compute, Device};

/// Trains a transformer to copy back after triggers, and measures sinks and norms at BOS.
#[derive(ihead::Config)]
struct Args {
    /// Training steps.
    #[config(default = 1000, min = 1)]
    steps: usize,
    /// The optimiser and the batch.
    #[config(group, default(use_sgd = false, learning_rate = 3e-3, batch_size = 32))]
    optim: OptimArgs,
    /// The model, as long as the sequences.
    #[config(group, default(layers = 1, max_length = 64))]
    model: TransformerArgs,
    /// Seed of the weights and the data.
    #[config(default = 42)]
    seed: u64,
    /// Where to compute.
    #[config(default = Device::Cpu)]
    device: Device,
    /// Folder of the run's files.
    save_dir: Option<PathBuf>,
}

/// Bigram text after a BOS token; after a trigger comes the token before it.
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
    let (text, layers, seed) = (BigramData::tiny_shakespeare(), args.model.layers, args.seed);
    // first, since it refuses what the machine cannot hold
    let model = Transformer::new(text.vocab() + 1, &args.model).map_err(|error| error.within("model"))?;
    let triggers = text.encode("teo")?;
    let task = Arc::new(BackCopy(text, triggers, args.model.max_length));
    check_distribution(&*task, &mut NumpyRng::new(&[1]), 500)?;
    let test = sample(&*task, &mut NumpyRng::new(&[0]), 128)?;
    let (bos, marked) = (Select::first(1), Select::marks(2..));
    let mut metrics = vec![Metric::accuracy("acc").over(marked.clone())];
    let mut table = Table::new(["layer", "sink", "sink, active", "|v| BOS", "|v|", "|h| BOS", "|h|"]);
    for layer in 0..layers {
        let (head, value, next) =
            (Head::of_layer(layer, 0), format!("layers.{layer}.attention.v"), layer + 1);
        let after = if next < layers { format!("layers.{next}.resid") } else { "final.resid".into() };
        metrics.extend([
            Metric::attention(format!("sink_{layer}"), &head, Key::First).over(!marked.clone()),
            Metric::attention(format!("sink_active_{layer}"), &head, Key::First).over(marked.clone()),
            Metric::norm(format!("v_bos_{layer}"), &value).over(bos.clone()),
            Metric::norm(format!("v_others_{layer}"), &value).over(!bos.clone()),
            Metric::norm(format!("h_bos_{layer}"), &after).over(bos.clone()),
            Metric::norm(format!("h_others_{layer}"), &after).over(!bos.clone()),
        ]);
    }
    let options = BatchOptions { batch_size: args.optim.batch_size, seed, workers: 1 };
    let batches = Batches::new(task, options).map_err(|error| error.within("optim"))?;
    let (optim, settings) = (args.optim.optimizer(|adamw| adamw), settings_json(&args, []));
    let compute = Compute { device: args.device, ..Compute::default() };
    let mut run = Run::new(model.init(seed), batches)
        .optim(optim)
        .compute(compute)
        .on(&test, metrics)
        .every(50)
        .settings(settings);
    if let Some(dir) = args.save_dir {
        run = run.save_to(dir);
    }
    let history = run.train(args.steps)?;
    for layer in 0..layers {
        let of = |name: &str| history.last(&format!("{name}_{layer}"));
        let numbers = ["sink", "sink_active", "v_bos", "v_others", "h_bos", "h_others"].map(of);
        table.labelled(&layer, numbers.into_iter().collect::<ihead::Result<Vec<f64>>>()?);
    }
    ihead::output::line(&table)
}
