//! Sweeps: many runs of one program or closure, over lists of settings.
//!
//! Every program whose `main` is [`ihead::main`](crate::main) has them on its command line:
//!
//! ```sh
//! cargo run --release --example ihead_basic -- save_dir=runs/rates max_iters=300 data_args.k=5 \
//!     --sweep 'optim_args.learning_rate=logspace(1e-3,1e-1,5)' 'seed=1..=3' --jobs 2
//! ```
//!
//! | axis | runs |
//! |---|---|
//! | `KEY=1,2,4` | one for each value, in the grammar of the command line; a text with a comma is quoted, `'a,b'` |
//! | `KEY=1..8`, `KEY=1..=8` | integers, without and with the end |
//! | `KEY=linspace(0,1,5)`, `KEY=logspace(1e-3,1e-1,5)` | so many, both ends included; those between rounded to six digits |
//! | `zip(KEY=1,2; KEY=3,4)` | keys that change together |
//!
//! The axes of one `--sweep` are combined, the last the fastest; several `--sweep` add up, and a run that two of them have is
//! one run. Settings before the first `--sweep` are those of all runs.
//!
//! Each run is a process of its own, with a folder of its own in `save_dir`, which is named by what it sets: the same sweep
//! again leaves out what is finished, takes up what was broken off, and two processes never run in one folder. `DIR/_sweep`
//! holds the output of each run and how it ended.
//!
//! [`collect`] makes one table of the runs. An experiment that is no command line sweeps over a closure, with [`Sweep`].
//!
//! `--dry-run` shows the commands and an estimate of the time, `--emit` writes them for a shell, GNU parallel or Slurm.
mod axis;
mod collect;
mod command;
mod emit;
mod estimate;
mod folder;
mod local;
mod many;
mod once;
mod runs;

use std::fmt::Write;

use crate::Result;
use crate::config::{Config, Order, Problem, Schema};
use crate::error::Stop;
use crate::output::counted;

pub use collect::{Collect, Collected, Estimate, First, Frame, Rows, collect, estimate};
pub(crate) use folder::refuse_sweep;
pub use many::{Ran, Sweep};
pub(crate) use once::once;

use estimate::duration;
use folder::Place;
use runs::Plan;

/// What came of a sweep.
pub(crate) enum Outcome {
    /// All is well; the text is for standard output.
    Done(String),
    /// Runs failed; the text is for standard error.
    Failed(String),
    /// The sweep was stopped from outside; the text is for standard error.
    Stopped(Stop, String),
}

/// The number of points of each axis.
pub(crate) fn points(texts: &[String], schema: &Schema) -> std::result::Result<Vec<usize>, Vec<Problem>> {
    Ok(axis::group(texts, schema)?.iter().map(|axis| axis.points.len()).collect())
}

/// Does what `order` asks for.
///
/// # Errors
/// If the sweep cannot be: all that is wrong. Nothing has been run or written then.
pub(crate) fn sweep<A: Config>(order: &Order) -> std::result::Result<(Outcome, Vec<Problem>), Vec<Problem>> {
    let plan = runs::plan::<A>(order)?;
    let warnings = plan.warnings.clone();
    let outcome = carry_out(&plan, order).map_err(|error| vec![Problem::general(error.to_string())])?;
    Ok((outcome, warnings))
}

fn carry_out(plan: &Plan, order: &Order) -> Result<Outcome> {
    folder::refuse_run(&plan.dir)?;
    plan.runs.iter().try_for_each(|run| refuse_sweep(&plan.dir_of(run)))?;
    if let Some(form) = order.emit {
        return Ok(Outcome::Done(plan.emit(form, order.jobs, order.per_task)?));
    }
    if order.dry_run {
        return Ok(Outcome::Done(dry_run(plan, order.jobs)?));
    }
    let summary = local::run(plan, order.jobs)?;
    let mut text = format!(
        "{} in {}: {} done in {}",
        counted(plan.runs.len(), "run"),
        plan.dir.display(),
        summary.done,
        duration(summary.seconds)
    );
    if summary.skipped > 0 {
        let _ = write!(text, ", {} finished before", summary.skipped);
    }
    let left = plan.runs.len() - summary.done - summary.skipped - summary.failed.len();
    // a signal that came when all was done has stopped nothing
    if summary.failed.is_empty() && (summary.stopped.is_none() || left == 0) {
        return Ok(Outcome::Done(text + "\n"));
    }
    if let Some(stop) = summary.stopped {
        let _ = write!(text, ", stopped by {stop} with {left} not begun");
    }
    let _ = match summary.failed.len() {
        0 => writeln!(text, "."),
        failed => {
            writeln!(text, ", {failed} {}:", if summary.stopped.is_some() { "broken off" } else { "failed" })
        }
    };
    for (name, why) in &summary.failed {
        let _ = writeln!(text, "  {name}: {why}");
    }
    let _ = writeln!(
        text,
        "The output of each is in {}; {}.",
        plan.dir.join(folder::OWN).display(),
        plan.again()
    );
    Ok(match summary.stopped {
        Some(stop) => Outcome::Stopped(stop, text),
        None => Outcome::Failed(text),
    })
}

/// Numbered commands and an estimate.
fn dry_run(plan: &Plan, jobs: usize) -> Result<String> {
    let program = command::this_program().to_string_lossy().into_owned();
    let (mut text, mut left) = (String::new(), Vec::new());
    let width = plan.runs.len().to_string().len();
    for (number, run) in (1..).zip(&plan.runs) {
        let place = Place::new(&plan.dir_of(run))?;
        let done = place.is_done(&run.settings);
        let note = match place.is_locked() {
            true => "  # is running now",
            false if done => "  # finished",
            false => "",
        };
        let args = plan.arguments(run, command::share_of_threads(jobs));
        let line = command::line(std::iter::once(program.as_str()).chain(args.iter().map(String::as_str)));
        let _ = writeln!(text, "{number:>width$}  {line}{note}");
        if !done {
            left.push(run);
        }
    }
    let (all, finished) = (plan.runs.len(), plan.runs.len() - left.len());
    let _ = writeln!(
        text,
        "{}, {finished} finished; {}",
        counted(all, "run"),
        plan.estimate(&left, jobs.min(left.len()).max(1))?
    );
    Ok(text)
}
