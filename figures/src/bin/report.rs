//! A page of runs: `report RUN... [out=FILE.html]`.
//!
//! ```text
//! cargo run --release -p ihead-figure --bin report -- runs/basic out=basic.html
//! cargo run --release -p ihead-figure --bin report -- runs/rates/* out=rates.html
//! ```
use std::path::PathBuf;
use std::process::ExitCode;

use ihead::config::{Exit, Parser, Problem, words};
use ihead::report::Page;
use ihead::{Config, Error, Result, output};
use ihead_figure::again;

/// Makes a page of runs to look at, one HTML file that needs no network: `report RUN... [KEY=VALUE]...`.
#[derive(Config)]
struct Args {
    /// The file to write.
    #[config(default = "report.html")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let (dirs, settings) = words(std::env::args_os().skip(1));
    match Parser::<Args>::new().program("report RUN...").parse(settings) {
        Err(exit) => exit.report(),
        Ok(_) if dirs.is_empty() => {
            let message = "no run is given: write report RUN... [out=FILE.html]".to_string();
            Exit::Fail(vec![Problem::general(message)]).report()
        }
        Ok(parsed) => {
            let dirs: Vec<PathBuf> = dirs.into_iter().map(PathBuf::from).collect();
            let done = report(&dirs, &parsed.args);
            done.map_or_else(|error| output::failed(&error), |()| ExitCode::SUCCESS)
        }
    }
}

fn report(dirs: &[PathBuf], args: &Args) -> Result<()> {
    if args.out.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("html")) {
        return Err(Error::value("out", format!("'{}'", args.out.display()), "a file that ends in .html"));
    }
    let mut page = Page::of_runs(dirs)?;
    let without: Vec<PathBuf> = page.dirs().filter(|dir| !page.has_view(dir)).map(PathBuf::from).collect();
    for dir in without {
        page.view(&dir, again::view(&dir));
    }
    page.write(&args.out)?;
    output::line(format_args!("{}", args.out.display()))
}
