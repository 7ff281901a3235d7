//! The `main` of a program whose command line is a configuration.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use crate::Error;
use crate::output::{self, report};
use crate::sweep::{self, Outcome};

use super::{Config, Exit, Parsed, Parser, Problem};

/// The exit status of a program that was asked for what it cannot do.
const FAILURE: u8 = 2;
/// The exit status of a sweep some of whose runs failed.
const RUNS_FAILED: u8 = 1;

/// Runs `run` with the configuration of this process's command line.
///
/// With `--help`, `--print-config`, `--explain`, `--schema`, `--completions`, `--dry-run` and `--emit`, it prints, and the
/// status is 0. What is wrong with the command line, and an error of `run`, is printed on standard error, each a line that
/// begins with `error: `, with status 2. A sweep ends with status 1 if one of its runs failed. A run or a sweep that a signal
/// stopped ends with the status of that signal ([`Error::status`]); one whose output nobody reads any more, without a line.
///
/// ```no_run
/// /// Prints a sum.
/// #[derive(ihead::Config)]
/// struct Args {
///     /// First term.
///     #[config(default = 1)]
///     a: i64,
///     /// Second term.
///     #[config(default = 2)]
///     b: i64,
/// }
///
/// fn main() -> std::process::ExitCode {
///     ihead::main(|args: Args| {
///         ihead::output::line(args.a + args.b)
///     })
/// }
/// ```
pub fn main<A: Config>(run: impl FnOnce(A) -> Result<(), Error>) -> ExitCode {
    main_with(|parsed: Parsed<A>| run(parsed.args))
}

/// Like [`main`], for a program that also wants to know where each value comes from.
pub fn main_with<A: Config>(run: impl FnOnce(Parsed<A>) -> Result<(), Error>) -> ExitCode {
    let mut args = std::env::args_os();
    let program = args.next().map_or("PROGRAM".into(), |program| file_name(&program));
    let parsed = unicode(args.collect()).and_then(|args| Parser::new().program(program).sweeps().parse(args));
    match parsed {
        Ok(parsed) => {
            report("warning", &parsed.warnings);
            let outcome = if parsed.once { sweep::once(parsed, run) } else { run(parsed) };
            match outcome {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => output::failed(&error),
            }
        }
        Err(Exit::Sweep(order)) => swept(sweep::sweep::<A>(&order)),
        Err(exit) => exit.report(),
    }
}

/// The status of a sweep, and what it prints at the end.
fn swept(outcome: Result<(Outcome, Vec<Problem>), Vec<Problem>>) -> ExitCode {
    match outcome {
        Ok((outcome, warnings)) => {
            report("warning", &warnings);
            match outcome {
                Outcome::Done(text) => Exit::Print { text, warnings: Vec::new() }.report(),
                Outcome::Failed(text) => failed(&text, RUNS_FAILED),
                Outcome::Stopped(stop, text) => failed(&text, stop.status()),
            }
        }
        Err(problems) => Exit::Fail(problems).report(),
    }
}

/// What is said of a sweep that did not reach its end.
fn failed(text: &str, status: u8) -> ExitCode {
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::from(status)
}

impl Exit {
    /// Prints what there is to print and gives the status to exit with.
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Print { text, warnings } => {
                report("warning", warnings);
                output::print(text).map_or_else(|error| output::failed(&error), |()| ExitCode::SUCCESS)
            }
            Self::Fail(problems) => {
                report("error", problems);
                ExitCode::from(FAILURE)
            }
            Self::Sweep(_) => {
                report("error", ["this program makes no sweeps: those do whose `main` is `ihead::main`"]);
                ExitCode::from(FAILURE)
            }
        }
    }
}

fn file_name(program: &OsString) -> String {
    let name = Path::new(program).file_name().unwrap_or(program);
    name.to_string_lossy().into_owned()
}

/// The arguments as text, or which of them are not.
fn unicode(args: Vec<OsString>) -> Result<Vec<String>, Exit> {
    let (mut texts, mut problems) = (Vec::new(), Vec::new());
    for (number, arg) in (1..).zip(args) {
        match arg.into_string() {
            Ok(text) => texts.push(text),
            Err(arg) => {
                let message = format!("argument {number} is not valid Unicode: {}", arg.to_string_lossy());
                problems.push(Problem::general(message));
            }
        }
    }
    if problems.is_empty() { Ok(texts) } else { Err(Exit::Fail(problems)) }
}
