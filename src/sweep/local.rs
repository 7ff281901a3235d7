//! Runs as processes of this machine.

use std::fs::OpenOptions;
use std::io::IsTerminal;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::Stop;
use crate::io::write_atomically;
use crate::output;
use crate::run::Status;
use crate::run::signals::{Watching, caught};
use crate::{Error, Result};

use super::command::{share_of_threads, this_program};
use super::folder::{OWN, Place};
use super::runs::{Plan, Planned};

/// How the runs of a sweep ended.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub done: usize,
    pub skipped: usize,
    /// The names of those that did not reach their end, and why.
    pub failed: Vec<(String, String)>,
    /// What stopped the sweep, if it was stopped: the runs that were on their way are among the failed, the rest never began.
    pub stopped: Option<Stop>,
    pub seconds: f64,
}

/// Runs all that is not finished, so many at a time. A run that fails takes none of the others with it. A signal to this
/// process stops those that are on their way, each as if it had been sent to the run, and no other begins.
pub(super) fn run(plan: &Plan, jobs: usize) -> Result<Summary> {
    let places = plan.runs.iter().map(|run| Place::new(&plan.dir_of(run))).collect::<Result<Vec<_>>>()?;
    if let Some(first) = places.first() {
        first.create()?;
        let path = plan.dir.join(OWN).join(plan.file());
        write_atomically(&path, plan.listed().as_bytes())?;
    }
    let waiting: Vec<(&Planned, &Place)> =
        plan.runs.iter().zip(&places).filter(|(run, place)| !place.is_done(&run.settings)).collect();
    let display = Display::new(plan.runs.len(), plan.runs.len() - waiting.len());
    let jobs = jobs.min(waiting.len()).max(1);
    let (next, started) = (AtomicUsize::new(0), Instant::now());
    let summary = Mutex::new(Summary { skipped: plan.runs.len() - waiting.len(), ..Summary::default() });
    let watching = Watching::begin();
    let worker = || {
        while caught().is_none()
            && let Some((run, place)) = waiting.get(next.fetch_add(1, Ordering::Relaxed))
        {
            display.begin(&run.name);
            let begun = Instant::now();
            let outcome = one(plan, run, place, jobs);
            display.end(&run.name, &outcome, begun.elapsed());
            let mut summary = summary.lock().unwrap_or_else(|e| e.into_inner());
            match outcome {
                Ok(()) => summary.done += 1,
                Err(why) => summary.failed.push((run.name.clone(), why)),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(worker);
        }
    });
    drop(watching);
    display.close();
    let mut summary = summary.into_inner().unwrap_or_else(|e| e.into_inner());
    summary.failed.sort();
    summary.stopped = caught();
    summary.seconds = started.elapsed().as_secs_f64();
    Ok(summary)
}

/// One run to its end; the error is why it did not get there.
fn one(plan: &Plan, run: &Planned, place: &Place, jobs: usize) -> std::result::Result<(), String> {
    let log = || {
        let file = OpenOptions::new().create(true).append(true).open(place.log());
        file.map_err(|e| Error::io("write", place.log(), e).to_string())
    };
    let (out, err) = (log()?, log()?);
    let mut command = Command::new(this_program());
    command.args(plan.arguments(run, share_of_threads(jobs))).stdin(Stdio::null()).stdout(out).stderr(err);
    let status = command.spawn().and_then(end_of).map_err(|e| format!("cannot be started: {e}"))?;
    let last = place.last_line().unwrap_or_else(|| "it said nothing".into());
    match (status.success(), place.record().map(|record| record.status)) {
        (true, Some(Status::Done)) => Ok(()),
        // its last line begins with that word
        (_, Some(how @ (Status::Stopped | Status::Diverged))) if last.starts_with(&how.to_string()) => {
            Err(last)
        }
        (_, Some(how @ (Status::Stopped | Status::Diverged))) => Err(format!("{how}: {last}")),
        _ => Err(format!("{}: {last}", ending(status))),
    }
}

/// Waits for the end of a run, and passes on what asks this process to stop. A run that has been asked as well, as by a terminal
/// or by who stops all processes of a job, has five seconds to end before: a second signal would end it at once.
fn end_of(mut child: Child) -> std::io::Result<ExitStatus> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let (begun, mut asked, mut passed_on) = (Instant::now(), None, false);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if let Some(stop) = caught() {
            let since = *asked.get_or_insert_with(Instant::now);
            if !passed_on && since.elapsed() >= PATIENCE {
                passed_on = true;
                pass_on(&child, stop);
            }
        }
        // what is looked at costs a short run little of its time, and a long one nothing
        std::thread::sleep((begun.elapsed() / 50).clamp(Duration::from_millis(1), Duration::from_millis(50)));
    }
}

/// Asks a run to stop after its step.
#[cfg(unix)]
fn pass_on(child: &Child, stop: Stop) {
    use rustix::process::{Pid, Signal, kill_process};
    let signal = match stop {
        Stop::Interrupt => Signal::INT,
        Stop::HangUp => Signal::HUP,
        _ => Signal::TERM,
    };
    // one that has ended in this moment needs no signal
    let _ = kill_process(Pid::from_child(child), signal);
}

#[cfg(not(unix))]
fn pass_on(_: &Child, _: Stop) {}

/// A line on standard output. A reader that went away is no reason to leave runs alone.
fn say(line: &str) {
    let _ = output::line(line);
}

/// How a process ended.
fn ending(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("ended by signal {signal}");
    }
    status.code().map_or("ended".into(), |code| format!("exit status {code}"))
}

/// A line for each run that ends; on a terminal, below them a bar with the runs of this moment and the time left.
struct Display {
    bar: Option<ProgressBar>,
    total: usize,
    ended: AtomicUsize,
    running: Mutex<Vec<String>>,
}

impl Display {
    fn new(total: usize, ended: usize) -> Self {
        if ended > 0 {
            say(&format!("{ended} of {total} runs are finished already"));
        }
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total as u64).with_position(ended as u64);
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
            if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} left {eta} {msg}") {
                bar.set_style(style);
            }
            bar.reset_eta();
            bar
        });
        Self { bar, total, ended: AtomicUsize::new(ended), running: Mutex::default() }
    }

    fn begin(&self, name: &str) {
        self.change(|running| running.push(name.into()));
    }

    fn end(&self, name: &str, outcome: &std::result::Result<(), String>, took: Duration) {
        self.change(|running| running.retain(|other| other != name));
        let number = self.ended.fetch_add(1, Ordering::Relaxed) + 1;
        let (total, seconds) = (self.total, took.as_secs_f64());
        let line = match outcome {
            Ok(()) => format!("[{number}/{total}] {name}: done in {seconds:.1} s"),
            Err(why) => format!("[{number}/{total}] {name}: {why}"),
        };
        let print = || say(&line);
        match &self.bar {
            Some(bar) => {
                bar.suspend(print);
                bar.inc(1);
            }
            None => print(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<String>)) {
        let mut running = self.running.lock().unwrap_or_else(|e| e.into_inner());
        change(&mut running);
        if let Some(bar) = &self.bar {
            bar.set_message(running.join("  "));
        }
    }

    fn close(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn how_a_process_ended_is_said() {
        let of = |script: &str| ending(Command::new("sh").args(["-c", script]).status().unwrap());
        assert_eq!([of("exit 3"), of("kill -9 $$")], ["exit status 3", "ended by signal 9"]);
    }
}
