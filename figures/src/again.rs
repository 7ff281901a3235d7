//! Runs of the paper's programs, made again from their settings.
use std::path::Path;
use std::sync::Arc;

use ihead::config::{Config, Exit};
use ihead::data::BigramData;
use ihead::graph::Model;
use ihead::model::{Full, Simplified};
use ihead::paper::Experiment;
use ihead::report::{Looked, View};
use ihead::run::RunInfo;
use ihead::train::{Compute, Device};
use ihead::{Error, Result};

// the programs themselves
#[allow(dead_code)]
#[path = "../../examples/ihead_basic.rs"]
mod ihead_basic;
#[allow(dead_code)]
#[path = "../../examples/ihead_full.rs"]
mod ihead_full;

/// What a run's settings make again: its model with initial weights, its test batch.
pub enum Again {
    /// A run of `ihead_basic`.
    Basic(Box<Experiment<Simplified<usize, usize, usize>>>),
    /// A run of `ihead_full`.
    Full(Box<Experiment<Full<usize, usize, usize>>>),
}

/// The experiment of a run of the paper's programs, and its text.
///
/// # Errors
/// If it is a run of another program, or its settings cannot be read.
pub fn again(dir: &Path) -> Result<(Again, Arc<BigramData>)> {
    let info = RunInfo::read(dir)?;
    let program = info
        .command
        .first()
        .map(|path| Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned());
    match program.as_deref() {
        Some("ihead_basic") => {
            let args = settings::<ihead_basic::Args>(dir)?;
            let text = args.data_args.bigrams()?;
            Ok((Again::Basic(Box::new(ihead_basic::experiment(&args)?)), text))
        }
        Some("ihead_full") => {
            let args = settings::<ihead_full::Args>(dir)?;
            let text = args.data_args.bigrams()?;
            Ok((Again::Full(Box::new(ihead_full::experiment(&args)?)), text))
        }
        other => {
            let other = other.unwrap_or("an unknown program");
            let message = format!(
                "a run of {other}, whose model only that program can make: run it with report=true, or call Run::report"
            );
            Err(Error::format(dir, message))
        }
    }
}

/// The settings of a run.
fn settings<A: Config>(dir: &Path) -> Result<A> {
    let path = dir.join("params.json");
    let line = [format!("--config={}", path.display())];
    ihead::config::parse::<A>(line).map(|parsed| parsed.args).map_err(|exit| match exit {
        Exit::Fail(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Error::format(&path, lines.join("; "))
        }
        _ => Error::format(&path, "not the settings of one run"),
    })
}

/// What the model of a run does in some sequences: as the run has left it, or made again.
///
/// # Errors
/// If the run has left nothing and is not one of the paper's programs, or its weights cannot be read.
pub fn view(dir: &Path) -> Result<View> {
    if let Some(view) = View::read(dir)? {
        return Ok(view);
    }
    let iterations = RunInfo::read(dir)?.iterations;
    let (again, text) = again(dir)?;
    match again {
        Again::Basic(made) => seen(dir, &made, iterations, &text),
        Again::Full(made) => seen(dir, &made, iterations, &text),
    }
}

fn seen<M: Model>(dir: &Path, made: &Experiment<M>, iterations: usize, text: &BigramData) -> Result<View> {
    let looked = Looked {
        model: &made.model,
        batch: &made.test_batch,
        edits: &made.run.edits,
        timeline: &made.timeline.clone().and(made.run.timeline.clone()),
        iterations,
        // the run may be of a machine with a GPU
        compute: Compute { device: Device::Cpu, ..made.run.compute() },
    };
    View::of_run(dir, &looked, |token| text.token(token).unwrap_or("?").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_a_gpu_is_looked_at_on_the_cpu() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("run");
        let line = "max_iters=1 log=quiet test_batch_size=2 optim_args.batch_size=2 \
                    data_args.k=2 data_args.seq_length=8 model_args.max_length=8 model_args.dim=4";
        let line = line.split_whitespace().map(String::from).chain([format!("save_dir={}", dir.display())]);
        let Ok(parsed) = ihead::config::parse::<ihead_basic::Args>(line) else {
            panic!("these are settings")
        };
        ihead_basic::experiment(&parsed.args).unwrap().run().unwrap();

        let change = |file: &str, key: &str, is: serde_json::Value| {
            let path = dir.join(file);
            let mut all: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            all[key] = is;
            std::fs::write(path, all.to_string()).unwrap();
        };
        change("params.json", "device", "cuda".into());
        change("run.json", "command", vec!["bin/ihead_basic"].into());
        let view = serde_json::to_value(view(&dir).unwrap()).unwrap();
        assert_eq!(view["moments"].as_array().unwrap().len(), 1);
    }
}
