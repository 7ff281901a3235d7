//! Lists runs: how each stands, how far it came, how long a step took, and why it ended.
//!
//! ```text
//! cargo run --release --example runs -- runs/
//! ```
//!
//! Each argument is a run's folder, or a folder with runs in it or below. A run whose process was killed is `killed`; it says
//! `running` only while its process is there.
use std::path::PathBuf;
use std::process::ExitCode;

use ihead::config::{Exit, Parser, Problem, words};
use ihead::run::{find_runs, table_of_runs};
use ihead::{Config, Error, Result, output};

/// Lists runs: `runs DIR...`, each the folder of a run, or a folder with runs in it or below.
#[derive(Config)]
struct Args {}

fn main() -> ExitCode {
    let (dirs, settings) = words(std::env::args_os().skip(1));
    match Parser::<Args>::new().program("runs DIR...").parse(settings) {
        Err(exit) => exit.report(),
        Ok(_) if dirs.is_empty() => {
            Exit::Fail(vec![Problem::general("no folder is given: write runs DIR...")]).report()
        }
        Ok(_) => {
            let dirs: Vec<PathBuf> = dirs.into_iter().map(PathBuf::from).collect();
            list(&dirs).map_or_else(|error| output::failed(&error), |()| ExitCode::SUCCESS)
        }
    }
}

fn list(dirs: &[PathBuf]) -> Result<()> {
    let mut found = Vec::new();
    for dir in dirs {
        let runs = find_runs(dir)?;
        if runs.is_empty() {
            return Err(Error::format(
                dir,
                "expected a run's folder, with run.json in it, or a folder of runs",
            ));
        }
        found.extend(runs);
    }
    output::print(table_of_runs(&found))
}
