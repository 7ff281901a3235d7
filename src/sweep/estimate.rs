//! How long a sweep may take: some of its runs, a few steps each.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::{Error, Result};

use super::command::{share_of_threads, this_program};
use super::runs::{Plan, Planned};

/// Runs that are timed.
const SAMPLE: usize = 4;
/// The steps of the two timings of a run.
const STEPS: [usize; 2] = [2, 12];

/// What a run costs.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cost {
    /// Seconds before the first step.
    start: f64,
    /// Seconds of a step.
    step: f64,
}

impl Cost {
    /// What two runs of so many [`STEPS`] say, which took so many seconds.
    fn of_two(taken: [f64; 2]) -> Cost {
        let step = ((taken[1] - taken[0]) / (STEPS[1] - STEPS[0]) as f64).max(0.0);
        Cost { start: (taken[0] - STEPS[0] as f64 * step).max(0.0), step }
    }

    /// The seconds of a run of so many steps.
    fn of_run(self, steps: u64) -> f64 {
        self.start + steps as f64 * self.step
    }
}

/// Whether an argument of a run is kept in a short run of it, which has `key` steps and a folder of its own.
fn is_kept(arg: &str, key: &str) -> bool {
    let sets = |key: &str| arg.strip_prefix(key).is_some_and(|rest| rest.starts_with('='));
    !sets(key) && !sets("save_dir") && arg != "--once"
}

impl Plan {
    /// A sentence about the time that these runs will take.
    pub(super) fn estimate(&self, runs: &[&Planned], jobs: usize) -> Result<String> {
        let Some(key) = &self.traits.steps else {
            return Ok(
                "no estimate: the program has none of the settings max_iters, steps, iterations".into()
            );
        };
        let sampled = sample(runs.len());
        let threads = share_of_threads(jobs);
        let mut costs = Vec::new();
        let mut failed = None;
        for at in sampled {
            match self.cost(runs[at], key, threads)? {
                Ok(cost) => costs.push(cost),
                Err(why) => {
                    failed =
                        Some(format!("no estimate: {} fails within {} steps: {why}", runs[at].name, STEPS[1]))
                }
            }
        }
        let Some(mean) = mean(&costs) else {
            return Ok(failed.unwrap_or_else(|| "nothing is left to do".into()));
        };
        let steps = runs.iter().map(|run| run.settings.get(key).and_then(|value| value.as_u64()));
        let Some(steps) = steps.collect::<Option<Vec<u64>>>() else {
            return Ok(format!("no estimate: a run without {key} goes on until it is stopped"));
        };
        let on = if self.traits.threads { format!(" on {threads} threads each") } else { String::new() };
        let all: f64 = steps.iter().map(|steps| mean.of_run(*steps)).sum();
        Ok(format!(
            "about {} with {jobs} at a time{on} ({:.2} s to start and {:.4} s a step, measured on {} of the runs)",
            duration(all / jobs as f64),
            mean.start,
            mean.step,
            costs.len(),
        ))
    }

    /// Two short runs, whose difference is the cost of a step; or why it fails.
    fn cost(&self, run: &Planned, key: &str, threads: usize) -> Result<std::result::Result<Cost, String>> {
        let folder = tempfile::tempdir().map_err(|e| Error::io("create", std::env::temp_dir(), e))?;
        let mut taken = [0.0; 2];
        for (taken, steps) in taken.iter_mut().zip(STEPS) {
            let dir = folder.path().join(steps.to_string());
            let mut args = self.arguments(run, threads);
            args.retain(|arg| is_kept(arg, key));
            args.extend([format!("{key}={steps}"), format!("save_dir={}", dir.display())]);
            let started = Instant::now();
            let mut command = Command::new(this_program());
            let output = command.args(&args).stdin(Stdio::null()).output();
            let output = output.map_err(|e| Error::io("run", this_program(), e))?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                let last = said.lines().last().unwrap_or_default();
                return Ok(Err(last.trim_start_matches("error: ").to_owned()));
            }
            *taken = started.elapsed().as_secs_f64();
        }
        Ok(Ok(Cost::of_two(taken)))
    }
}

/// Places spread over all of them, with the first and the last.
fn sample(runs: usize) -> Vec<usize> {
    let mut places: Vec<usize> =
        (0..SAMPLE.min(runs)).map(|i| i * (runs - 1) / (SAMPLE.min(runs) - 1).max(1)).collect();
    places.dedup();
    places
}

fn mean(costs: &[Cost]) -> Option<Cost> {
    let of = |part: fn(&Cost) -> f64| costs.iter().map(part).sum::<f64>() / costs.len() as f64;
    (!costs.is_empty()).then(|| Cost { start: of(|cost| cost.start), step: of(|cost| cost.step) })
}

/// Seconds for a reader: `45 s`, `3 min 20 s`, `2 h 5 min`.
pub(super) fn duration(seconds: f64) -> String {
    match seconds.round() as u64 {
        0 => format!("{seconds:.1} s"),
        s @ 1..100 => format!("{s} s"),
        s @ 100..6000 => format!("{} min {} s", s / 60, s % 60),
        s => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::{Cost, duration, is_kept, mean, sample};

    #[test]
    fn the_sample_is_spread() {
        assert_eq!(sample(0), [0; 0]);
        assert_eq!(sample(1), [0]);
        assert_eq!(sample(3), [0, 1, 2]);
        assert_eq!(sample(24), [0, 7, 15, 23]);
    }

    #[test]
    fn durations_are_read_at_a_glance() {
        let found = [0.25, 45.2, 200.0, 7500.0].map(duration);
        assert_eq!(found, ["0.2 s", "45 s", "3 min 20 s", "2 h 5 min"]);
        let limits = [0.0, 0.49, 0.5, 99.4, 99.6, 5999.0, 6000.0, 86400.0].map(duration);
        let expected =
            ["0.0 s", "0.5 s", "1 s", "99 s", "1 min 40 s", "99 min 59 s", "1 h 40 min", "24 h 0 min"];
        assert_eq!(limits, expected);
    }

    #[test]
    fn two_short_runs_tell_what_a_long_one_takes() {
        // a second before the first step, a quarter of a second for each
        let cost = Cost::of_two([1.5, 4.0]);
        assert_eq!((cost, cost.of_run(0), cost.of_run(100)), (Cost { start: 1.0, step: 0.25 }, 1.0, 26.0));
        // noise makes no time negative
        assert_eq!(Cost::of_two([2.0, 1.0]), Cost { start: 2.0, step: 0.0 });
        assert_eq!(Cost::of_two([0.1, 10.1]), Cost { start: 0.0, step: 1.0 });
    }

    #[test]
    fn a_short_run_has_steps_and_a_folder_of_its_own() {
        let all = ["--once", "steps=100", "steps_a=3", "save_dir=x", "lr=0.1", "--config=steps=3"];
        let kept: Vec<&str> = all.into_iter().filter(|arg| is_kept(arg, "steps")).collect();
        assert_eq!(kept, ["steps_a=3", "lr=0.1", "--config=steps=3"]);
    }

    #[test]
    fn a_mean_is_of_start_and_step_each() {
        let costs =
            [Cost { start: 1.0, step: 0.5 }, Cost { start: 2.0, step: 0.25 }, Cost { start: 3.0, step: 0.0 }];
        assert_eq!(mean(&costs), Some(Cost { start: 2.0, step: 0.25 }));
        assert_eq!(mean(&[]), None);
    }
}
