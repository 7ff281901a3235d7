//! `#[derive(Config)]` and its run time, on a configuration like those of the paper's programs.

mod fragments;
mod line;
mod problems;
mod record;
mod schema;
mod text;

use std::path::PathBuf;

use ihead::Config;
use ihead::config::{self, Derived, Exit, Parsed, Problem};

/// Settings of the optimiser.
#[derive(Config, Clone, Debug, PartialEq)]
struct OptimArgs {
    /// Learning rate.
    #[config(default = 0.2, min = 0.0)]
    learning_rate: f64,
    /// Sequences in a batch.
    #[config(default = 512, min = 1)]
    batch_size: usize,
    /// SGD instead of AdamW.
    #[config(default = true)]
    use_sgd: bool,
    /// Momentum of SGD.
    #[config(default = 0.9, min = 0, max = 1, applies = "use_sgd=true")]
    momentum: f64,
}

/// Settings of the model.
#[derive(Config, Clone, Debug, PartialEq)]
#[config(validate = divisible, derive = head_width, derived("vocab_size"))]
struct ModelArgs {
    /// Width of the residual stream.
    #[config(default = 64, min = 1)]
    dim: usize,
    /// Number of heads.
    #[config(default = 4, min = 1)]
    n_heads: usize,
}

fn divisible(model: &ModelArgs) -> Vec<Problem> {
    let message = || format!("expected a multiple of n_heads={}, found {}", model.n_heads, model.dim);
    if model.dim.is_multiple_of(model.n_heads) { Vec::new() } else { vec![Problem::new("dim", message())] }
}

fn head_width(model: &ModelArgs) -> Vec<Derived> {
    vec![Derived::new("head_width", model.dim / model.n_heads, "dim over n_heads")]
}

/// Where to compute.
#[derive(Config, Clone, Copy, Debug, PartialEq)]
enum Device {
    /// The processor.
    Cpu,
    /// A graphics card.
    Cuda,
    #[config(rename = "tpu-v5")]
    Tpu,
}

/// How to run.
#[derive(Config, Clone, Debug, PartialEq)]
struct RunArgs {
    /// Folder of the records; null writes none.
    save_dir: Option<PathBuf>,
    /// Folder above it.
    #[config(default = "", applies = "save_dir!=null")]
    root_dir: PathBuf,
    /// Seed of the data.
    #[config(default = 42)]
    seed: u64,
}

/// An experiment.
#[derive(Config, Clone, Debug, PartialEq)]
#[config(warn = Args::idle)]
struct Args {
    #[config(group)]
    model_args: ModelArgs,
    #[config(group, default(learning_rate = 3e-4, use_sgd = false))]
    optim_args: OptimArgs,
    /// Steps; null runs on.
    #[config(min = 1)]
    max_iters: Option<usize>,
    /// Which parameters begin to train when.
    #[config(default = "")]
    freeze_until: String,
    #[config(flatten, default(seed = 7))]
    run: RunArgs,
    /// Where to compute.
    #[config(default = Device::Cpu)]
    device: Device,
    /// Layers to probe.
    #[config(max = 9)]
    layers: Vec<usize>,
    /// Names to print.
    #[config(default = ["a", "b"])]
    names: Vec<String>,
    /// A temperature.
    #[config(default = 1, above = 0.0)]
    temperature: f32,
    /// A threshold.
    #[config(default = f64::NEG_INFINITY, nan)]
    threshold: f64,
    /// A shift.
    #[config(default = -3)]
    shift: i32,
    /// A word of the language as a field.
    #[config(default = false)]
    r#type: bool,
}

impl Args {
    fn idle(&self) -> Vec<Problem> {
        let unused = self.layers.is_empty() && self.names != ["a", "b"];
        let mut idle = vec![Problem::new("temperature", "has no effect in these tests")];
        idle.extend(unused.then(|| Problem::new("names", "has no effect: there are no layers to print")));
        idle
    }
}

fn parse(line: &[&str]) -> Result<Parsed<Args>, Exit> {
    config::parse(line.iter().map(|&arg| arg.to_owned()))
}

fn args(line: &[&str]) -> Args {
    match parse(line) {
        Ok(parsed) => parsed.args,
        Err(exit) => panic!("{line:?}: {exit:?}"),
    }
}

fn problems(line: &[&str]) -> Vec<String> {
    match parse(line) {
        Err(Exit::Fail(problems)) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{line:?}: {other:?}"),
    }
}

/// The only problem of one argument.
fn problem(arg: &str) -> String {
    let mut all = problems(&[arg]);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn printed(line: &[&str]) -> String {
    match parse(line) {
        Err(Exit::Print { text, .. }) => text,
        other => panic!("{line:?}: {other:?}"),
    }
}
