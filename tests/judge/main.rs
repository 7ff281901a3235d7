//! Answers a judge that is not ours: a line of JSON on standard input is a command line, the line of standard output that answers
//! it is what this crate makes of it. `tests/python/judge.py` asks, and computes the same in JAX or PyTorch.
//!
//! ```text
//! {"program": "transformer", "line": ["data_args.k=2", "model_args.dim=8"], "steps": 5}
//! ```
//!
//! The answer has the initial tensors, the batches, the logits of the first one, the losses, the gradients of the first
//! step, and the weights after the last step, all in double precision.
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;

use ihead::config::{Config, Exit, parse};
use ihead::data::Batch;
use ihead::engine::{CpuEngine, Engine, Request, RowSet};
use ihead::graph::{Model, record};
use ihead::nn::{ModuleExt, Params, Role};
use ihead::paper::Experiment;
use ihead::train::{EmptyLoss, Monitor, Step};
use ihead::{Error, Result, output};
use serde::{Deserialize, Serialize};

// the programs themselves
#[allow(dead_code)]
#[path = "../any_transformer.rs"]
mod any_transformer;
#[allow(dead_code)]
#[path = "../../examples/ihead_basic.rs"]
mod ihead_basic;
#[allow(dead_code)]
#[path = "../../examples/ihead_full.rs"]
mod ihead_full;

/// What is asked.
#[derive(Deserialize)]
struct Question {
    program: Program,
    line: Vec<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Program {
    Basic,
    Full,
    Transformer,
}

/// What is answered.
#[derive(Default, Serialize)]
struct Answer {
    /// The model's tensors before the first step.
    tensors: BTreeMap<String, Tensor>,
    /// The batch of each step: tokens, next tokens, marks.
    batches: Vec<(Vec<u32>, Vec<u32>, Vec<i32>)>,
    /// Those of the first batch, `[batch, seq, vocab]`.
    logits: Vec<f64>,
    /// The loss of each step; null where it is over nothing.
    losses: Vec<f64>,
    /// Of the first step, by name.
    gradients: BTreeMap<String, Vec<f64>>,
    /// The tensors after the last step.
    weights: BTreeMap<String, Vec<f64>>,
}

#[derive(Serialize)]
struct Tensor {
    shape: Vec<usize>,
    values: Vec<f64>,
    trains: bool,
}

fn main() -> ExitCode {
    std::io::stdin()
        .lines()
        .try_for_each(|line| answer_line(&line.map_err(read)?))
        .map_or_else(|error| output::failed(&error), |()| ExitCode::SUCCESS)
}

fn read(error: std::io::Error) -> Error {
    Error::io("read", "standard input", error)
}

/// Answers one question; what the program refuses is an answer too.
fn answer_line(line: &str) -> Result<()> {
    let question: Question =
        serde_json::from_str(line).map_err(|error| Error::usage(format!("no question: {error}")))?;
    let answer = match question.program {
        Program::Basic => answer(question.line, ihead_basic::experiment),
        Program::Full => answer(question.line, ihead_full::experiment),
        Program::Transformer => answer(question.line, any_transformer::experiment),
    };
    let text = match answer {
        Ok(answer) => serde_json::to_string(&answer),
        Err(error) => serde_json::to_string(&BTreeMap::from([("refused", error.to_string())])),
    };
    output::line(text.map_err(|error| Error::usage(error.to_string()))?)
}

fn answer<A: Config, M: Model>(line: Vec<String>, make: fn(&A) -> Result<Experiment<M>>) -> Result<Answer> {
    let args = parse::<A>(line).map_err(refused)?.args;
    let mut found = Answer::default();
    Experiment { empty_loss: EmptyLoss::Allowed, ..make(&args)? }.watch(&mut Watch(&mut found))?;
    Ok(found)
}

/// A command line that gives no configuration, as an error.
fn refused(exit: Exit) -> Error {
    match exit {
        Exit::Fail(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Error::usage(lines.join("; "))
        }
        Exit::Print { .. } | Exit::Sweep(_) => Error::usage("the line asks for something else than one run"),
    }
}

/// Notes what happens.
struct Watch<'a>(&'a mut Answer);

impl<M: Model> Monitor<M> for Watch<'_> {
    fn before_update(&mut self, iteration: usize, model: &M, batch: &Batch) -> Result<()> {
        let Batch { x, y, marks, .. } = batch.clone();
        self.0.batches.push((x, y, marks));
        if iteration == 0 {
            let tensors = model.tensors().into_iter();
            let named = tensors.map(|(name, role, tensor)| {
                let (shape, values) = (tensor.dims(), tensor.data().iter().collect());
                (name, Tensor { shape, values, trains: role == Role::Param && tensor.trains() })
            });
            self.0.tensors = named.collect();
            self.0.logits = logits(model, batch)?;
        }
        Ok(())
    }

    fn after_update(&mut self, step: &Step<'_, M>) -> Result<()> {
        self.0.losses.push(step.loss);
        if step.iteration == 0 {
            let named = step.gradients.iter().map(|(name, values)| (name.clone(), values.iter().collect()));
            self.0.gradients = named.collect();
        }
        let tensors = step.model.tensors().into_iter();
        self.0.weights = tensors.map(|(name, _, tensor)| (name, tensor.data().iter().collect())).collect();
        Ok(())
    }
}

/// The logits of every position.
fn logits(model: &impl Model, batch: &Batch) -> Result<Vec<f64>> {
    let graph = record(model, batch.seq)?;
    let request = Request::default().and_read(graph.logits(), RowSet::All);
    let mut engine = CpuEngine::<f64>::new(&graph, &request, &|_| false, 1)?;
    let sequences = Mutex::new(vec![Vec::new(); batch.batch]);
    engine.run(&Params::of(model), batch, &[], &|sequence, reads| {
        let rows = (0..batch.seq).flat_map(|position| reads[0].row(position).to_vec());
        if let Ok(mut sequences) = sequences.lock() {
            sequences[sequence] = rows.collect();
        }
    })?;
    Ok(sequences.into_inner().unwrap_or_default().concat())
}
