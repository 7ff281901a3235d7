//! Gathers runs in one table: the settings in which they differ, how each stands, what was measured.
//!
//! ```text
//! cargo run --release --example collect -- runs/rates metrics=[loss,acc*] first=['acc_end > 0.9']
//! cargo run --release --example collect -- runs/rates over=[seed] format=csv > rates.csv
//! ```
//!
//! Each argument without `=` is the folder of a run, or a folder with runs in it or below. Runs that are missing or failed are
//! in the table without numbers, and on standard error with the reason.
use std::path::PathBuf;
use std::process::ExitCode;

use ihead::config::{Exit, Parser, words};
use ihead::sweep::{Collect, First, Rows, collect};
use ihead::{Config, Result, output};

/// Gathers runs in one table: collect DIR... [KEY=VALUE]...
#[derive(Config)]
struct Args {
    /// The form of the table.
    #[config(default = Format::Markdown)]
    format: Format,
    /// The rows of a run.
    #[config(default = RowsOf::Last)]
    rows: RowsOf,
    /// Measured numbers, with * for any characters; all without it.
    metrics: Vec<String>,
    /// First iterations at which a number passes a bound, as in ['acc > 0.9'].
    first: Vec<String>,
    /// Settings to average over, as in [seed]: mean, standard error and interval of each number.
    over: Vec<String>,
    /// The probability of an interval.
    #[config(default = 0.95, above = 0, below = 1)]
    confidence: f64,
}

/// The form of a table.
#[derive(Config, Clone, Copy)]
enum Format {
    /// For a reader.
    Markdown,
    /// For pandas and spreadsheets.
    Csv,
    /// A JSON object a row.
    Jsonl,
}

/// The rows of a run.
#[derive(Config, Clone, Copy)]
enum RowsOf {
    /// Its last evaluation.
    Last,
    /// Every evaluation.
    All,
}

fn main() -> ExitCode {
    let (dirs, settings) = words(std::env::args_os().skip(1));
    match Parser::<Args>::new().program("collect DIR...").parse(settings) {
        Err(exit) => exit.report(),
        Ok(_) if dirs.is_empty() => Exit::Fail(vec![ihead::config::Problem::general(
            "no folder is given: write collect DIR... [KEY=VALUE]...",
        )])
        .report(),
        Ok(parsed) => {
            let dirs: Vec<PathBuf> = dirs.into_iter().map(PathBuf::from).collect();
            run(&dirs, parsed.args).map_or_else(|error| output::failed(&error), |()| ExitCode::SUCCESS)
        }
    }
}

fn run(dirs: &[PathBuf], args: Args) -> Result<()> {
    let options = Collect {
        rows: match args.rows {
            RowsOf::Last => Rows::Last,
            RowsOf::All => Rows::All,
        },
        metrics: args.metrics,
        first: args.first.iter().map(|text| text.parse()).collect::<Result<Vec<First>>>()?,
        over: args.over,
        confidence: args.confidence,
    };
    let collected = collect(dirs, &options)?;
    output::report("incomplete", &collected.incomplete);
    output::print(match args.format {
        Format::Markdown => collected.table.markdown(),
        Format::Csv => collected.table.csv(),
        Format::Jsonl => collected.table.jsonl(),
    })
}
