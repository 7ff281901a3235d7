//! A model, settings and a recall of one's own, with no other dependency than ihead.
use std::process::ExitCode;
use std::sync::Arc;

use ihead::backend::{Const, Dim};
use ihead::data::{BatchOptions, Batches, NumpyRng, Task, sample};
use ihead::graph::{Model, Stream, Tokens};
use ihead::nn::{Embedding, Linear, ModuleExt};
use ihead::probe::Metric;
use ihead::run::Run;
use ihead::train::optim::AdamW;
use ihead::{Config, Module, Result, recall};

/// Learns which token comes next on a circle.
#[derive(Config)]
struct Args {
    /// Number of training steps.
    #[config(default = 60, min = 1)]
    steps: usize,
}

/// Each token is followed by the next one, round a circle of ten.
struct Circle;

impl Task for Circle {
    fn vocab(&self) -> usize {
        10
    }

    fn seq_length(&self) -> usize {
        8
    }

    fn sequence(&self, rng: &mut NumpyRng, tokens: &mut [u32], _: &mut [i32]) {
        let start = rng.below(10);
        tokens.iter_mut().zip(start..).for_each(|(token, x)| *token = x % 10);
    }
}

#[derive(Module)]
struct Bigram {
    #[module]
    embed: Embedding<Const<10>, Const<16>>,
    #[module]
    output: Linear<Const<16>, Const<10>>,
}

impl Model for Bigram {
    type Vocab = Const<10>;

    fn vocab(&self) -> Const<10> {
        Const
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, Const<10>>) -> Stream<T, Const<10>> {
        self.output.forward(&self.embed.forward(x))
    }
}

fn main() -> ExitCode {
    ihead::main(run)
}

fn run(args: Args) -> Result<()> {
    let model = Bigram { embed: Embedding::new(Const, Const), output: Linear::new(Const, Const) }.init(1);
    let batches = Batches::new(Arc::new(Circle), BatchOptions { batch_size: 8, seed: 1, workers: 1 })?;
    let test = sample(&Circle, &mut NumpyRng::new(&[0]), 8)?;
    let mut run = Run::new(model, batches)
        .optim(AdamW::new(0.05))
        .on(&test, [Metric::accuracy("acc")])
        .weights([recall!("next: embed -> output => {0:1, 1:2, 8:9}")])
        .every(20)
        .quiet();
    let history = run.train(args.steps)?;
    println!("accuracy {:.2}, recall {:.2}", history.last("acc")?, history.last("next")?);
    Ok(())
}
