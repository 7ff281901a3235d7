//! Probes stored weights with formulas from the command line: of some files, or of every snapshot of a run. No model is
//! built: a formula finds the weights by their names.
//!
//! ```text
//! cargo run --release --example probe -- run=runs/basic norms="['layers.*.wk.weight']" \
//!     recalls="['copies: tok_embeddings -> layers.1.attention.wv -> layers.1.attention.wo -> output => self',
//!               'back: pe ~ pe -> layers.0.attention.wk => previous among 0..64']"
//! ```
use std::path::PathBuf;
use std::process::ExitCode;

use ihead::probe::{Recall, StateDict, Unit, WeightProbe, measure_weights};
use ihead::run::Table;
use ihead::{Config, Error, io};

/// Probes stored weights.
#[derive(Config)]
struct Args {
    /// A run's folder: its snapshots in order, then its final weights.
    run: Option<PathBuf>,
    /// Files of weights (safetensors).
    #[config(default = vec![])]
    weights: Vec<PathBuf>,
    /// Recalls: `NAME: rows -> maps => self`, or `NAME: rows -> maps ~ keys -> maps => previous`.
    #[config(default = vec![])]
    recalls: Vec<Recall>,
    /// The norms of the weights of these names; `*` stands for any characters.
    #[config(default = vec![])]
    norms: Vec<String>,
    /// JSON lines instead of a table.
    #[config(default = false)]
    json: bool,
}

fn main() -> ExitCode {
    ihead::main(run)
}

fn run(args: Args) -> ihead::Result<()> {
    let mut files: Vec<(String, PathBuf)> = match &args.run {
        Some(run) => {
            let label = |iteration: Option<usize>| iteration.map_or("final".into(), |i| i.to_string());
            io::stored(run)?.into_iter().map(|(iteration, path)| (label(iteration), path)).collect()
        }
        None => Vec::new(),
    };
    files.extend(args.weights.iter().map(|path| (path.display().to_string(), path.clone())));
    let Some((_, first)) = files.first() else {
        return Err(Error::value("weights", "none", "run=FOLDER or weights=[FILE, ...]"));
    };
    let first = io::read(first)?;
    let mut probes: Vec<WeightProbe> = args.recalls.iter().cloned().map(WeightProbe::from).collect();
    probes.extend(norms(&args.norms, &first)?);
    if probes.is_empty() {
        return Err(Error::value("recalls", "none", "recalls=[...] or norms=[...]"));
    }

    let chances = args.recalls.iter().map(|recall| Ok(recall.evaluate(&first)?.chance));
    let chances = chances.collect::<ihead::Result<Vec<Option<f64>>>>()?;
    let mut table = Table::new(["weights"].into_iter().chain(probes.iter().map(WeightProbe::name)));
    for (label, path) in &files {
        let record = measure_weights(&probes, &io::read(path)?);
        let mut record = record.map_err(|error| Error::format(path, error.to_string()))?;
        table.labelled(label, record.entries().iter().map(|entry| entry.value.number()));
        if args.json {
            for (recall, chance) in args.recalls.iter().zip(&chances) {
                record.insert(format!("{}_chance", recall.name()), Unit::Share, *chance);
            }
            ihead::output::line(serde_json::json!({ "weights": label, "probes": record }))?;
        }
    }
    if !args.json {
        table.labelled(&"chance", chances);
        ihead::output::print(&table)?;
    }
    Ok(())
}

/// The norms of the weights that some patterns stand for, each once.
fn norms(patterns: &[String], weights: &dyn StateDict) -> ihead::Result<Vec<WeightProbe>> {
    let mut all = Vec::<WeightProbe>::new();
    for pattern in patterns {
        let found = WeightProbe::norms(pattern, weights).map_err(|error| error.of_part("norms"))?;
        if let Some(twice) = found.iter().find(|probe| all.iter().any(|other| other.name() == probe.name())) {
            let weight = twice.name().strip_prefix("norm_").unwrap_or(twice.name());
            let found = format!("'{weight}' is given twice, the second time by '{pattern}'");
            return Err(Error::value("norms", found, "each weight once"));
        }
        all.extend(found);
    }
    Ok(all)
}
