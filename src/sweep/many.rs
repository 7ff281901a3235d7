//! Sweeps in code: over any closure that makes a run.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::graph::Model;
use crate::run::{Earlier, History, Run};
use crate::{Error, Result};

use super::command::share_of_threads;

/// A sweep in code: a closure makes a run of each of several points, and the runs are trained.
///
/// Each point has a name and a value, from which the closure makes a [`Run`]. Runs are trained so many at a time, with the
/// threads shared out between them; one that fails, or panics, takes no other with it.
///
/// ```
/// use std::sync::Arc;
///
/// use ihead::config::Config;
/// use ihead::data::{BatchOptions, Batches, BigramData, TriggerOptions, TriggerTask};
/// use ihead::model::{Simplified, SimplifiedArgs};
/// use ihead::run::Run;
/// use ihead::sweep::Sweep;
///
/// let text = Arc::new(BigramData::tiny_shakespeare());
/// let points = [1, 3, 100].map(|k| (format!("k={k}"), k)); // there are 65 characters
/// let sweep = Sweep::over(points)?.jobs(2);
/// let ran = sweep.train(5, |k| {
///     let options = TriggerOptions { k: *k, seq_length: 16, ..Default::default() };
///     let task = Arc::new(TriggerTask::new(text.clone(), options)?);
///     let batches = Batches::new(task, BatchOptions { batch_size: 4, seed: 0, workers: 1 })?;
///     let sizes = SimplifiedArgs { max_length: 16, dim: 8, ..Default::default() };
///     Ok(Run::new(Simplified::new(65, &sizes)?.init(0), batches).quiet())
/// });
/// assert_eq!(ran[1].name, "k=3");
/// assert!(ran[1].history.as_ref().is_ok_and(|history| history.last("loss").is_ok()));
/// assert!(ran[2].history.is_err());
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sweep<P> {
    points: Vec<(String, P)>,
    jobs: usize,
    dir: Option<PathBuf>,
}

/// A finished run of a [`Sweep`].
#[derive(Debug)]
pub struct Ran<P> {
    /// The name of the point.
    pub name: String,
    /// The point.
    pub point: P,
    /// The measurements of the run, or the reason why it failed.
    pub history: Result<History>,
}

impl<P: Sync> Sweep<P> {
    /// Makes a sweep over these points, each with its name. Names such as `rate=0.01,seed=1` are the settings of their runs
    /// for tables and figures ([`collect`](super::collect())), unless the runs have [settings](Run::settings) of their own.
    ///
    /// # Errors
    /// If two points have one name, or a name is none of a folder.
    pub fn over<N: Into<String>>(points: impl IntoIterator<Item = (N, P)>) -> Result<Self> {
        let points: Vec<(String, P)> = points.into_iter().map(|(name, point)| (name.into(), point)).collect();
        for (at, (name, _)) in points.iter().enumerate() {
            if name.is_empty() || name.contains(['/', '\\', '\0']) || name.starts_with('.') {
                return Err(Error::value(
                    "name of a run",
                    format!("'{name}'"),
                    "one that can name its folder",
                ));
            }
            if points[..at].iter().any(|(other, _)| other == name) {
                return Err(Error::duplicate("points of a sweep", name));
            }
        }
        Ok(Self { points, jobs: 1, dir: None })
    }

    /// Sets how many runs are trained at the same time; they share the threads of the machine. By default it is one.
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = jobs.max(1);
        self
    }

    /// Each run writes its files into a folder of its name in this one. A finished run is not run again, and an
    /// unfinished one is continued, so the same program continues a sweep that was stopped.
    pub fn save_to(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Makes the run of each point and trains it for `steps` steps; the results are in the order of the points.
    pub fn train<M: Model>(self, steps: usize, make: impl Fn(&P) -> Result<Run<M>> + Sync) -> Vec<Ran<P>> {
        let jobs = self.jobs.min(self.points.len()).max(1);
        let (next, histories) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let worker = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some((name, point)) = self.points.get(at) else { return };
                let one = || -> Result<History> {
                    let mut run = make(point)?.threads(share_of_threads(jobs));
                    if let Some(dir) = &self.dir {
                        run = run.save_to(dir.join(name)).earlier(Earlier::Auto);
                    }
                    run.train(steps)
                };
                let history = Error::or_panicked(&format!("the run {name}"), one);
                histories.lock().unwrap_or_else(|e| e.into_inner()).push((at, history));
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(worker);
            }
        });
        let mut histories = histories.into_inner().unwrap_or_else(|e| e.into_inner());
        histories.sort_by_key(|(at, _)| *at);
        let ran = self.points.into_iter().zip(histories);
        ran.map(|((name, point), (_, history))| Ran { name, point, history }).collect()
    }
}
