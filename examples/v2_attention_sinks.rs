//! Variation 2: attention sinks from dormant heads.
//!
//! Question: does a head that has work only after a trigger rest on BOS otherwise, with a small value there; do ReLU attention
//! and SGD lessen it?
//! Reached after 1000 steps of each run, in 48 s: with softmax and AdamW 0.990 of the attention is on BOS where there is nothing to
//! copy and 0.0001 behind triggers, and the value of BOS has norm 2.0 (9.8 elsewhere); accuracy 0.999. ReLU attention has no sink
//! (0.0000; norm 13.0, 18.4 elsewhere). SGD in place of AdamW does not lessen it here: 0.987, norm 1.6 (10.7).
//!
//! ```text
//! cargo run --release --example v2_attention_sinks
//! ```
use std::{process::ExitCode, sync::Arc};

use ihead::data::{BatchOptions, Batches, BigramData, NumpyRng, Task, check_distribution, sample};
use ihead::graph::Normaliser;
use ihead::model::{Transformer, TransformerArgs};
use ihead::probe::{Head, Key, Metric, Select};
use ihead::run::{Run, Table, activations};
use ihead::train::optim::{AdamW, Optim, Sgd};

/// Trains one layer to copy back after triggers: with softmax and AdamW, with ReLU attention, with SGD.
#[derive(ihead::Config)]
struct Args {
    /// Training steps of each run.
    #[config(default = 1000, min = 1)]
    steps: usize,
}

/// Bigram text behind a BOS token; after a trigger comes the token before it.
struct BackCopy(BigramData, Vec<u32>);

impl Task for BackCopy {
    fn vocab(&self) -> usize {
        self.0.vocab() + 1
    }
    fn seq_length(&self) -> usize {
        64
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
    let task = Arc::new(BackCopy(text, triggers));
    check_distribution(&*task, &mut NumpyRng::new(&[1]), 500)?;
    let test = sample(&*task, &mut NumpyRng::new(&[0]), 128)?;
    let (head, marked) = (Head::of_layer(0, 0), Select::marks(2..));
    let metrics = [
        Metric::accuracy("acc").over(marked.clone()),
        Metric::attention("to BOS off", &head, Key::First).over(!marked.clone()),
        Metric::attention("to BOS on", &head, Key::First).over(marked),
    ];
    let adam = Optim::AdamW(AdamW::new(0.003).betas(0.9, 0.99));
    let sgd = Optim::Sgd(Sgd::new(0.3).momentum(0.9));
    let mut table = Table::new(["run", "acc", "to BOS off", "to BOS on", "|v BOS|", "|v others|"]);
    for (name, normaliser, optim) in [
        ("softmax, AdamW", Normaliser::Softmax, adam.clone()),
        ("ReLU, AdamW", Normaliser::MeanRelu, adam),
        ("softmax, SGD", Normaliser::Softmax, sgd),
    ] {
        let sizes =
            TransformerArgs { max_length: 64, dim: 64, layers: 1, normaliser, ..ihead::Config::defaults() };
        let model = Transformer::new(task.vocab(), &sizes)?.init(42);
        let batches = Batches::new(task.clone(), BatchOptions { batch_size: 32, seed: 42, workers: 1 })?;
        let run = Run::new(model, batches).optim(optim).on(&test, metrics.clone()).threads(2);
        let mut run = run.every(args.steps).quiet();
        let history = run.train(args.steps)?;
        let values = activations(run.model(), &test, "layers.0.attention.v")?.values;
        let norm = |bos: bool| {
            let rows = values.chunks(64).enumerate().filter(move |(i, _)| (i % 64 == 0) == bos);
            rows.clone().map(|(_, v)| ihead::nn::norm(v)).sum::<f64>() / rows.count() as f64
        };
        let [acc, off, on] = ["acc", "to BOS off", "to BOS on"].map(|name| history.last(name));
        table.row([&name, &acc?, &off?, &on?, &norm(true), &norm(false)]);
    }
    ihead::output::line(&table)?;
    Ok(())
}
