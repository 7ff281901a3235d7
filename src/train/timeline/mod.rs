//! What changes during a run, as one value.
mod action;
mod rate;
mod text;

use std::ops::Range;

use serde::{Deserialize, Serialize};

pub use action::Action;
pub use rate::Curve;
use rate::Rate;

use crate::graph::{Edits, Graph, Model, record_with};
use crate::nn::ModuleExt;
use crate::{Error, Result};

use super::Schedule;
use super::optim::Optim;

/// All that changes during a run. A change is made at the beginning of an iteration, before its step; those of one
/// iteration in the order in which they were added.
///
/// Its text, on a command line and in records, is a list of `WHEN: CHANGE`, where `WHEN` is a [`Schedule`] or, for step
/// sizes, `START..END`:
///
/// | change | what happens |
/// |---|---|
/// | `freeze(PATTERN)`, `release(PATTERN)` | parameters stop training, or train |
/// | `learning_rate(0.01)` | the step size from now on |
/// | `0..100: linear(0, 0.03)`, `100..900: cosine(0.03, 0)` | the step size between two iterations, and the last one later |
/// | `edit(SITE=EDIT, ...)`, `unedit(PATTERN)` | [`Edits`] of sites, in training and in all that is measured |
/// | `rank(PATTERN, 4)`, `zero(PATTERN)`, ... | a [`WeightEdit`](super::WeightEdit), once |
/// | `snapshot` | all weights to `snapshots/ITERATION.safetensors` |
/// | `sgd(learning_rate=0.1)`, `adamw(...)` | another [optimiser](super::optim::Optim) |
///
/// ```
/// use ihead::train::{Action, Schedule, Timeline};
/// let timeline = Timeline::default()
///     .at(0, Action::freeze("layers.*.attention.wk.weight"))
///     .at(300, Action::release("layers.1.*"))
///     .at(Schedule::powers(2), Action::Snapshot);
/// let text = "0: freeze(layers.*.attention.wk.weight), 300: release(layers.1.*), powers of 2: snapshot";
/// assert_eq!(timeline.to_string(), text);
/// assert_eq!(text.parse::<Timeline>()?, timeline);
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Timeline {
    changes: Vec<Change>,
}

#[derive(Clone, Debug, PartialEq)]
enum Change {
    At(Schedule, Action),
    Rate(Rate),
}

impl Timeline {
    /// The same timeline with one more change, at an iteration or a schedule.
    pub fn at(mut self, when: impl Into<Schedule>, action: impl Into<Action>) -> Self {
        self.changes.push(Change::At(when.into(), action.into()));
        self
    }

    /// The same timeline with a step size that goes from `from` at the first of these iterations to `to` at their end,
    /// and stays there.
    ///
    /// ```
    /// use ihead::train::{Curve, Timeline};
    /// let timeline = Timeline::default().rate(0..10, Curve::Linear, 0.0, 0.5).rate(10..20, Curve::Cosine, 0.5, 0.0);
    /// let rates = [0, 5, 10, 15, 20, 21].map(|i| timeline.learning_rate(i));
    /// assert_eq!(rates, [Some(0.0), Some(0.25), Some(0.5), Some(0.25), Some(0.0), None]); // unchanged from 20 on
    /// ```
    pub fn rate(mut self, during: Range<usize>, curve: Curve, from: f64, to: f64) -> Self {
        self.changes.push(Change::Rate(Rate { during, curve, from, to }));
        self
    }

    /// These changes, then those.
    pub fn and(mut self, others: Timeline) -> Self {
        self.changes.extend(others.changes);
        self
    }

    /// From `freeze_until`: `ITERATION:NAME,...` freezes each parameter from the start and releases it then.
    ///
    /// # Errors
    /// If the text is not of that form.
    ///
    /// ```
    /// use ihead::train::Timeline;
    /// let timeline = Timeline::freeze_until("100:output.weight").unwrap();
    /// assert_eq!(timeline.to_string(), "0: freeze(output.weight), 100: release(output.weight)");
    /// assert!(Timeline::freeze_until("wk:100").is_err());
    /// ```
    pub fn freeze_until(text: &str) -> Result<Timeline> {
        let mut timeline = Timeline::default();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let parsed =
                entry.split_once(':').and_then(|(at, name)| Some((at.trim().parse().ok()?, name.trim())));
            let Some((at, name)) = parsed.filter(|(_, name): &(usize, &str)| !name.is_empty()) else {
                let message =
                    format!("'{entry}' is not ITERATION:NAME, as in 300:layers.1.attention.wk.weight");
                return Err(Error::Config { key: "freeze_until".into(), message });
            };
            timeline = timeline.at(0, Action::freeze(name)).at(at, Action::release(name));
        }
        Ok(timeline)
    }

    /// The changes of one iteration; `last` says whether it is the last of the run.
    pub fn actions(&self, iteration: usize, last: bool) -> impl Iterator<Item = &Action> {
        self.changes.iter().filter_map(move |change| match change {
            Change::At(when, action) if when.contains(iteration, last) => Some(action),
            Change::At(..) | Change::Rate(_) => None,
        })
    }

    /// The step size of an iteration, if [`rate`](Self::rate) has one for it.
    pub fn learning_rate(&self, iteration: usize) -> Option<f64> {
        self.changes.iter().rev().find_map(|change| match change {
            Change::Rate(rate) => rate.at(iteration),
            Change::At(..) => None,
        })
    }

    /// Whether it takes snapshots, which need a folder.
    pub fn takes_snapshots(&self) -> bool {
        self.all().any(|action| *action == Action::Snapshot)
    }

    /// Checks everything against the model: names, sites for sequences of `seq` tokens beside the edits of the run,
    /// ranks, numbers.
    ///
    /// # Errors
    /// If something does not fit: where it is a name, the nearest one is in the message.
    pub fn check(&self, model: &impl Model, seq: usize, edits: &Edits) -> Result<()> {
        let mut all_edits = edits.clone();
        for change in &self.changes {
            match change {
                Change::At(when, action) => {
                    when.check()?;
                    check(action, model, seq)?;
                    if let Action::Edit(edits) = action {
                        all_edits = all_edits.and(edits.clone());
                    }
                }
                Change::Rate(rate) => rate.check()?,
            }
        }
        for action in self.all() {
            if let Action::Unedit(pattern) = action
                && all_edits.without(pattern) == all_edits
            {
                return Err(Error::unknown("edited site", pattern, all_edits.sites()));
            }
        }
        let rates: Vec<&Rate> = self.changes.iter().filter_map(Change::rate).collect();
        for (i, rate) in rates.iter().enumerate() {
            let meets =
                |other: &&&Rate| other.during.start < rate.during.end && rate.during.start < other.during.end;
            if let Some(other) = rates[..i].iter().find(meets) {
                return Err(Error::usage(format!("'{other}' and '{rate}' are at the same time")));
            }
        }
        Ok(())
    }

    /// The changes, as text, that a run of `end` iterations does not come to.
    pub(crate) fn after(&self, end: usize) -> Vec<String> {
        let late = |change: &&Change| match change {
            Change::At(when, _) => when.is_after(end),
            Change::Rate(rate) => rate.during.start >= end,
        };
        let alone = |change: &Change| Timeline { changes: vec![change.clone()] }.to_string();
        self.changes.iter().filter(late).map(alone).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Action> {
        self.changes.iter().filter_map(|change| match change {
            Change::At(_, action) => Some(action),
            Change::Rate(_) => None,
        })
    }

    /// Whether the weights before the first step are needed later.
    pub(super) fn needs_initial(&self) -> bool {
        self.all().any(|action| matches!(action, Action::Weights(edit) if edit.needs_initial()))
    }
}

impl Change {
    fn rate(&self) -> Option<&Rate> {
        if let Change::Rate(rate) = self { Some(rate) } else { None }
    }
}

/// Refuses a graph with patched sites: a run has no other activations to put in.
pub(super) fn refuse_patches(graph: &Graph) -> Result<()> {
    match graph.patched().first() {
        Some(site) => {
            let message =
                format!("'{}' is patched, which a run cannot do; `run::Inspect::patch` can", site.name);
            Err(Error::usage(message))
        }
        None => Ok(()),
    }
}

fn check(action: &Action, model: &impl Model, seq: usize) -> Result<()> {
    match action {
        Action::Freeze(pattern) | Action::Release(pattern) => model.matching(pattern).map(drop),
        Action::LearningRate(rate) if !(rate.is_finite() && *rate >= 0.0) => {
            Err(Error::usage(format!("'{action}': expected a step size of at least 0")))
        }
        Action::Edit(edits) => refuse_patches(&record_with(model, seq, edits)?),
        Action::Weights(edit) => edit.check(model),
        Action::Optim(optim) if matches!(**optim, Optim::Groups(_)) => Err(Error::usage(
            "a timeline changes to one optimiser for all parameters; groups are set with the run",
        )),
        Action::LearningRate(_) | Action::Unedit(_) | Action::Snapshot | Action::Optim(_) => Ok(()),
    }
}
