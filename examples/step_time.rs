//! Times one training step (forward, backward, gradients of all weights), in the form of a one-line record:
//! `<model> ihead batch=B seq=T dim=D seconds=<median> rss_mb=<peak>`.
//!
//! ```text
//! cargo run --release --example step_time -- model=full batch=64 dim=128
//! ```
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use ihead::Config;
use ihead::data::numpy::NumpyRng;
use ihead::data::{BigramData, TriggerOptions, TriggerTask, sample};
use ihead::engine::CpuEngine;
use ihead::engine::{Engine, Request, RowLists, RowSet, ignore};
use ihead::graph::{Model, record};
use ihead::model::{Full, FullArgs, Simplified, SimplifiedArgs};
use ihead::nn::Params;

/// Times one training step.
#[derive(Config)]
struct Args {
    /// Which of the paper's models.
    #[config(default = Which::Basic)]
    model: Which,
    /// Sequences.
    #[config(default = 512, min = 1)]
    batch: usize,
    /// Tokens of a sequence.
    #[config(default = 256, min = 1)]
    seq: usize,
    /// Width.
    #[config(default = 256, min = 1)]
    dim: usize,
    /// Heads (full).
    #[config(default = 4, min = 1, applies = "model=full")]
    heads: usize,
    /// Layers (full).
    #[config(default = 2, min = 1, applies = "model=full")]
    layers: usize,
    /// Tokens of the vocabulary; those of the data are the first 65.
    #[config(default = 65, min = 65)]
    vocab: usize,
    /// Embeddings and output train too (basic).
    #[config(default = false, applies = "model=basic")]
    trained: bool,
    /// Loss on every position, not only those known from the context (basic).
    #[config(default = false, applies = "model=basic")]
    all_rows: bool,
    /// Triggers drawn for each sequence; 0 for the 5 most frequent tokens.
    #[config(default = 0)]
    k: usize,
    /// Threads; all cores without it.
    #[config(min = 1, max = 1024)]
    threads: Option<usize>,
    /// Timed steps, after two that are not.
    #[config(default = 5, min = 1)]
    steps: usize,
}

/// Which model.
#[derive(Config, Clone, Copy, PartialEq)]
enum Which {
    /// Two layers of one head.
    Basic,
    /// Heads, norms, feed-forward layers.
    Full,
}

fn main() -> ExitCode {
    ihead::main(run)
}

fn run(args: Args) -> ihead::Result<()> {
    match args.model {
        Which::Basic => {
            let sizes = SimplifiedArgs {
                dim: args.dim,
                max_length: args.seq,
                freeze_embeddings: !args.trained,
                freeze_output: !args.trained,
                ..SimplifiedArgs::defaults()
            };
            let model = Simplified::new(args.vocab, &sizes)?.init(1);
            time(&args, "basic", &model, if args.all_rows { RowSet::All } else { RowSet::Set(0) })
        }
        Which::Full => {
            let sizes = FullArgs {
                dim: args.dim,
                max_length: args.seq,
                n_heads: args.heads,
                n_layers: args.layers,
                ..FullArgs::defaults()
            };
            let model = Full::new(args.vocab, &sizes)?.init(1);
            time(&args, "full", &model, RowSet::All)
        }
    }
}

fn time(args: &Args, name: &str, model: &impl Model, loss: RowSet) -> ihead::Result<()> {
    let (k, fixed) = if args.k == 0 { (5, true) } else { (args.k, false) };
    let options = TriggerOptions { k, fixed_special_toks: fixed, seq_length: args.seq, ..Default::default() };
    let task = TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options)?;
    let batch = sample(&task, &mut NumpyRng::new(&[42, 0]), args.batch)?;
    let rows = [RowLists::select(&batch, |_, mark| mark >= 2)];
    let params = Params::of(model);
    let request = Request::loss(loss);
    let cores = || std::thread::available_parallelism().map_or(1, |n| n.get());
    let threads = args.threads.unwrap_or_else(cores);
    let graph = record(model, args.seq)?;
    let mut engine = CpuEngine::<f32>::new(&graph, &request, &|id| params.trains(id), threads)?;
    let mut seconds = Vec::new();
    for _ in 0..args.steps + 2 {
        let begin = Instant::now();
        engine.run(&params, &batch, &rows, &ignore)?;
        seconds.push(begin.elapsed().as_secs_f64());
    }
    let mut timed = seconds.split_off(2);
    timed.sort_by(f64::total_cmp);
    let (Args { batch, seq, dim, .. }, median) = (args, timed[timed.len() / 2]);
    let peak = ihead::internals::memory::peak().unwrap_or(0) >> 20;
    ihead::output::line(format_args!(
        "{name} ihead batch={batch} seq={seq} dim={dim} seconds={median:.4} rss_mb={peak}"
    ))?;
    Ok(())
}
