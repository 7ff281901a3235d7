//! Times a training step (forward, backward, update) of five of the variations, in the form of a one-line record:
//! `<variation> ihead batch=B seq=T dim=D seconds=<median> rss_mb=<peak>`.
//!
//! ```text
//! cargo run --release --example variation_time
//! python benches/torch_variations.py
//! ```
//! `seq=256 dim=256` times the same models at the README's size.
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use ihead::backend::Dim;
use ihead::data::{BatchOptions, Batches, BigramData, NumpyRng, Task, TriggerOptions, TriggerTask};
use ihead::graph::{Edits, Model, Normaliser};
use ihead::model::{
    Full, FullArgs, NormKind, PositionKind, Simplified, SimplifiedArgs, Transformer, TransformerArgs,
};
use ihead::nn::{Activation, ModuleExt};
use ihead::probe::Select;
use ihead::train::optim::Optim;
use ihead::train::{Compute, Device, Loss, Monitor, Precision, Step, Trainer};
use ihead::{Config, Result};

/// Times a training step of five variations.
#[derive(Config)]
struct Args {
    /// Which: v1, v2, v3, v4, v6, llama (a LLaMA block: RMS norm, SwiGLU, rotary positions).
    #[config(default = ["v1", "v2", "v3", "v4", "v6"].map(String::from).to_vec())]
    variations: Vec<String>,
    /// Tokens of a sequence.
    #[config(default = 64, min = 1)]
    seq: usize,
    /// Width, instead of the variation's own.
    #[config(min = 1)]
    dim: Option<usize>,
    /// Sequences, instead of the variation's own number.
    #[config(min = 1)]
    batch: Option<usize>,
    /// Timed steps, after two that are not.
    #[config(default = 9, min = 1)]
    steps: usize,
    /// Threads; all cores without it.
    #[config(min = 1)]
    threads: Option<usize>,
    /// Precision of the arithmetic.
    #[config(default = Precision::Single)]
    precision: Precision,
    /// Device.
    #[config(default = Device::Cpu)]
    device: Device,
    /// Optimiser, in the words of a timeline.
    #[config(default = "adamw(learning_rate=0.003)")]
    optim: String,
    /// Folder for the weights after the last step, a file for each variation.
    weights: Option<PathBuf>,
}

/// Uniform tokens: what a step costs does not depend on their distribution.
struct Uniform {
    vocab: u32,
    seq: usize,
}

impl Task for Uniform {
    fn vocab(&self) -> usize {
        self.vocab as usize
    }

    fn seq_length(&self) -> usize {
        self.seq
    }

    fn sequence(&self, rng: &mut NumpyRng, tokens: &mut [u32], _: &mut [i32]) {
        tokens.fill_with(|| rng.below(self.vocab));
    }
}

/// The seconds of each step.
struct Seconds(Vec<f64>);

impl<M> Monitor<M> for Seconds {
    fn after_update(&mut self, step: &Step<'_, M>) -> Result<()> {
        self.0.push(step.times.step.as_secs_f64());
        Ok(())
    }
}

fn main() -> ExitCode {
    ihead::main(|args: Args| args.variations.iter().try_for_each(|name| run(&args, name)))
}

fn run(args: &Args, name: &str) -> Result<()> {
    let (seq, known, all) = (args.seq, Loss::next_token().over(Select::marks(2..)), Loss::next_token());
    let simplified = |dim, final_ffn, vocab| {
        let sizes = SimplifiedArgs { max_length: seq, dim, final_ffn, ..SimplifiedArgs::defaults() };
        Simplified::new(vocab, &sizes).map(|model| model.init(1))
    };
    let (edits, dim) = (Edits::default(), |own| args.dim.unwrap_or(own));
    match name {
        "v1" => {
            let mut model = simplified(dim(128), false, 65)?;
            model.freeze("layers.1.attention.wo.weight")?;
            time(args, name, (128, dim(128)), model, known, edits)
        }
        "v2" => {
            let normaliser = Normaliser::MeanRelu;
            let sizes = TransformerArgs {
                max_length: seq,
                dim: dim(64),
                layers: 1,
                normaliser,
                ..TransformerArgs::defaults()
            };
            time(args, name, (32, dim(64)), Transformer::new(66, &sizes)?.init(1), all, edits)
        }
        "v3" => time(args, name, (64, dim(128)), simplified(dim(128), true, 66)?, all, edits),
        "v4" => {
            let sizes =
                FullArgs { max_length: seq, dim: dim(32), n_heads: 1, no_ffn: true, ..FullArgs::defaults() };
            time(args, name, (64, dim(32)), Full::new(3, &sizes)?.init(1), all, edits)
        }
        "v6" => {
            let edits = "layers.0.attention.pattern=previous_token".parse()?;
            time(args, name, (64, dim(128)), simplified(dim(128), false, 65)?, known, edits)
        }
        "llama" => {
            let sizes = TransformerArgs {
                max_length: seq,
                dim: dim(128),
                heads: 4,
                positions: PositionKind::Rotary,
                norm: NormKind::Rms,
                activation: Activation::Silu,
                gated: true,
                hidden: Some(344),
                ..TransformerArgs::defaults()
            };
            time(args, name, (64, dim(128)), Transformer::new(65, &sizes)?.init(1), all, edits)
        }
        _ => {
            let message = format!("'{name}' is none of v1, v2, v3, v4, v6, llama");
            Err(ihead::Error::config("variations", message))
        }
    }
}

fn time<M: Model>(
    args: &Args,
    name: &str,
    (own_batch, dim): (usize, usize),
    model: M,
    loss: Loss,
    edits: Edits,
) -> Result<()> {
    let batch_size = args.batch.unwrap_or(own_batch);
    let vocab = model.vocab().size();
    let task: Arc<dyn Task> = if vocab == 65 {
        let options = TriggerOptions { k: 5, seq_length: args.seq, ..Default::default() };
        Arc::new(TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options)?)
    } else {
        Arc::new(Uniform { vocab: vocab as u32, seq: args.seq })
    };
    let batches = Batches::new(task, BatchOptions { batch_size, seed: 42, workers: 1 })?;
    let threads = args.threads.unwrap_or(Compute::default().threads);
    let compute = Compute { device: args.device, threads, precision: args.precision };
    let optim: Optim = args.optim.parse()?;
    let mut trainer = Trainer::new(model).optim(optim).loss(loss).edits(edits).compute(compute);
    let mut seconds = Seconds(Vec::new());
    trainer.run(batches, Some(args.steps + 2), &mut seconds)?;
    if let Some(folder) = &args.weights {
        ihead::io::save(&folder.join(format!("{name}.safetensors")), &trainer.model)?;
    }
    let mut timed = seconds.0.split_off(2);
    timed.sort_by(f64::total_cmp);
    let (seq, median, peak) =
        (args.seq, timed[timed.len() / 2], ihead::internals::memory::peak().unwrap_or(0) >> 20);
    ihead::output::line(format_args!(
        "{name} ihead batch={batch_size} seq={seq} dim={dim} seconds={median:.5} rss_mb={peak}"
    ))?;
    Ok(())
}
