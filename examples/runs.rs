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

use ihead::run::{find_runs, table_of_runs};
use ihead::{Error, Result, output};

fn main() -> ExitCode {
    let dirs: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if dirs.is_empty() || dirs.iter().any(|dir| dir.as_os_str() == "--help") {
        output::report("usage", ["runs DIR..."]);
        return ExitCode::from(if dirs.is_empty() { 2 } else { 0 });
    }
    list(&dirs).map_or_else(|error| output::failed(&error), |()| ExitCode::SUCCESS)
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
