//! Repeats reference runs of the paper's program and compares every number.
//!
//! ```text
//! cargo run --release --example parity -- tests/golden/*/
//! ```
//!
//! Each argument is a folder as described in `tests/golden/README.md`. Errors are relative: of activations, gradients
//! and weights to the largest recorded entry, of losses and norms to the recorded value. The exit status is 1 if a
//! verdict fails, 2 if a case cannot be run.
use std::path::PathBuf;
use std::process::ExitCode;

use ihead::config::{Exit, Parser, Problem, parse, words};
use ihead::paper::Experiment;
use ihead::train::EmptyLoss;
use ihead::{Config, Error, Result, output};

#[path = "parity/case.rs"]
mod case;
#[path = "parity/checks.rs"]
mod checks;
// the programs themselves: what they build is what is compared
#[allow(dead_code)]
#[path = "ihead_basic.rs"]
mod ihead_basic;
#[allow(dead_code)]
#[path = "ihead_full.rs"]
mod ihead_full;

use case::Case;
use checks::{Check, check};

/// Repeats reference runs and compares every number: `parity CASE...`, each a folder as in tests/golden.
#[derive(Config)]
struct Args {}

fn main() -> ExitCode {
    let (dirs, settings) = words(std::env::args_os().skip(1));
    match Parser::<Args>::new().program("parity CASE...").parse(settings) {
        Err(exit) => exit.report(),
        Ok(_) if dirs.is_empty() => {
            Exit::Fail(vec![Problem::general("no case is given: write parity CASE...")]).report()
        }
        Ok(_) => {
            let dirs: Vec<PathBuf> = dirs.into_iter().map(PathBuf::from).collect();
            compare(&dirs).unwrap_or_else(|error| output::failed(&error))
        }
    }
}

/// Prints the table of all cases, which are opened before its first line.
fn compare(dirs: &[PathBuf]) -> Result<ExitCode> {
    let cases = dirs.iter().map(|dir| Case::open(dir)).collect::<Result<Vec<_>>>()?;
    output::line(format_args!(
        "{:<34} {:<23} {:>9} {:>9}  {:<7} worst at",
        "case", "quantity", "error", "tolerance", "verdict"
    ))?;
    let mut failed = 0;
    for case in &cases {
        let name = case.name();
        for check in run(case).map_err(|error| error.of_part(&name))? {
            failed += usize::from(!check.passes());
            print(&name, &check)?;
        }
    }
    output::line(format_args!("{} cases, {failed} verdicts failed", cases.len()))?;
    Ok(ExitCode::from(u8::from(failed > 0)))
}

fn print(name: &str, check: &Check) -> Result<()> {
    let verdict = if check.passes() { "ok" } else { "FAILED" };
    let Check { quantity, worst, place, tolerance } = check;
    output::line(format_args!(
        "{name:<34} {quantity:<23} {worst:>9.1e} {tolerance:>9.0e}  {verdict:<7} {place}"
    ))
}

/// Runs a case with the program that it was recorded from.
fn run(case: &Case) -> Result<Vec<Check>> {
    let dir = tempfile::tempdir().map_err(|e| Error::io("create", std::env::temp_dir(), e))?;
    let line = case.command_line(dir.path());
    if case.simplified() {
        let args = parse::<ihead_basic::Args>(line).map_err(refused)?.args;
        // in one case the loss is over nothing
        let experiment = Experiment { empty_loss: EmptyLoss::Allowed, ..ihead_basic::experiment(&args)? };
        check(case, experiment, dir.path())
    } else {
        let args = parse::<ihead_full::Args>(line).map_err(refused)?.args;
        check(case, ihead_full::experiment(&args)?, dir.path())
    }
}

/// A command line that gives no configuration, as an error.
fn refused(exit: Exit) -> Error {
    match exit {
        Exit::Fail(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Error::usage(lines.join("; "))
        }
        Exit::Print { .. } | Exit::Sweep(_) => {
            Error::usage("the command line asks for something else than one run")
        }
    }
}
