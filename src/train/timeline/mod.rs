//! The timeline: what changes during a run.
mod action;
mod check;
mod rate;
mod stretch;
mod text;

use std::ops::Range;

use serde::{Deserialize, Serialize};

pub use action::Action;
pub(super) use check::refuse_patches;
pub use rate::Curve;
use rate::Rate;
pub use stretch::Stretch;

use crate::{Error, Result};

use super::Schedule;

/// All that changes during a run. A change is made at the beginning of an iteration, before its step. Of the changes of one
/// iteration, the ends of `START..END: freeze` are made first, then their beginnings, then the others in the order in which
/// they were added.
///
/// Its text, on a command line and in `run.json`, is a list of `WHEN: CHANGE`. `WHEN` is a [`Schedule`] or, for
/// learning rates and `freeze`, `START..END`:
///
/// | change | what happens |
/// |---|---|
/// | `freeze(PATTERN)`, `release(PATTERN)` | parameters stop training, or train |
/// | `learning_rate(0.01)` | the learning rate from now on |
/// | `0..100: freeze(PATTERN)` | they are frozen in these iterations and train later, whatever else had frozen them |
/// | `0..100: linear(0, 0.03)`, `100..900: cosine(0.03, 0)` | the learning rate between two iterations, and the last one later |
/// | `edit(SITE=EDIT, ...)`, `unedit(PATTERN)` | [`Edits`](crate::graph::Edits) of sites, in training and in all that is measured |
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
    Frozen(Frozen),
}

/// Parameters that are frozen in some iterations and train from their end on.
#[derive(Clone, Debug, PartialEq)]
struct Frozen {
    during: Range<usize>,
    freeze: Action,
    release: Action,
}

impl Frozen {
    fn new(during: Range<usize>, pattern: &str) -> Frozen {
        Frozen { during, freeze: Action::freeze(pattern), release: Action::release(pattern) }
    }
}

impl Timeline {
    /// The same timeline with one more change, at an iteration or a schedule.
    pub fn at(mut self, when: impl Into<Schedule>, action: impl Into<Action>) -> Self {
        self.changes.push(Change::At(when.into(), action.into()));
        self
    }

    /// The same timeline with a learning rate that goes from `from` at the first of these iterations to `to` at their end,
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

    /// These changes, followed by `others`.
    pub fn and(mut self, others: Timeline) -> Self {
        self.changes.extend(others.changes);
        self
    }

    /// The same timeline with parameters that are frozen in these iterations, and train from their end on whatever else had
    /// frozen them; to the end of the run, if it ends before. Of two such entries for one parameter the first end counts.
    pub fn frozen(mut self, during: Range<usize>, pattern: &str) -> Self {
        self.changes.push(Change::Frozen(Frozen::new(during, pattern)));
        self
    }

    /// From `freeze_until`: `ITERATION:NAME,...` freezes each parameter from the start, until the first iteration whose entry
    /// names it.
    ///
    /// # Errors
    /// If the text is not of that form.
    ///
    /// ```
    /// use ihead::train::Timeline;
    /// let timeline = Timeline::freeze_until("100:output.weight").unwrap();
    /// assert_eq!(timeline.to_string(), "0..100: freeze(output.weight)");
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
            timeline = timeline.frozen(0..at, name);
        }
        Ok(timeline)
    }

    /// The changes of one iteration of a run of so many steps, `None` where it has no last one: the ends of
    /// [`frozen`](Self::frozen), its beginnings, then all else in the order in which it was added.
    pub fn actions(&self, iteration: usize, steps: Option<usize>) -> impl Iterator<Item = &Action> {
        self.numbered(iteration, steps).map(|(_, action)| action)
    }

    /// The same, each with the number of its entry.
    fn numbered(&self, iteration: usize, steps: Option<usize>) -> impl Iterator<Item = (usize, &Action)> {
        let ranges = || {
            self.changes.iter().enumerate().filter_map(|(i, change)| match change {
                Change::Frozen(frozen) => Some((i, frozen)),
                Change::At(..) | Change::Rate(_) => None,
            })
        };
        let ends = move |(_, f): &(usize, &Frozen)| f.during.end == iteration && !f.during.is_empty();
        let begins = move |(_, f): &(usize, &Frozen)| f.during.start == iteration;
        let in_order = self.changes.iter().enumerate().filter_map(move |(i, change)| match change {
            Change::At(when, action) if when.contains(iteration, steps) => Some((i, action)),
            // nothing between its ends: what it names trains from here on
            Change::Frozen(f) if f.during.is_empty() && f.during.end == iteration => Some((i, &f.release)),
            Change::At(..) | Change::Rate(_) | Change::Frozen(_) => None,
        });
        let ended = ranges().filter(ends).map(|(i, frozen)| (i, &frozen.release));
        let begun = ranges().filter(begins).map(|(i, frozen)| (i, &frozen.freeze));
        ended.chain(begun).chain(in_order)
    }

    /// The learning rate of an iteration, if [`rate`](Self::rate) has one for it.
    pub fn learning_rate(&self, iteration: usize) -> Option<f64> {
        self.changes.iter().rev().find_map(|change| match change {
            Change::Rate(rate) => rate.at(iteration),
            Change::At(..) | Change::Frozen(_) => None,
        })
    }

    /// Whether [`rate`](Self::rate) goes on at an iteration; at its end it does not.
    pub(crate) fn is_in_curve(&self, iteration: usize) -> bool {
        let goes_on =
            |change: &Change| matches!(change, Change::Rate(rate) if rate.during.contains(&iteration));
        self.changes.iter().any(goes_on)
    }

    /// Whether it takes snapshots, which need a folder.
    pub fn takes_snapshots(&self) -> bool {
        self.all().any(|action| *action == Action::Snapshot)
    }

    /// The entries of [`frozen`](Self::frozen), as text, that a run of `end` iterations begins and does not come to the end of.
    pub(crate) fn frozen_beyond(&self, end: usize) -> Vec<String> {
        let beyond = |change: &&Change| matches!(change, Change::Frozen(f) if f.during.start < end && f.during.end >= end);
        self.changes.iter().filter(beyond).map(ToString::to_string).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Action> {
        self.changes.iter().filter_map(|change| match change {
            Change::At(_, action) => Some(action),
            Change::Rate(_) | Change::Frozen(_) => None,
        })
    }

    /// Whether it changes weights.
    pub(crate) fn edits_weights(&self) -> bool {
        self.all().any(|action| matches!(action, Action::Weights(_)))
    }

    /// Whether the weights before the first step are needed later.
    pub(crate) fn needs_initial(&self) -> bool {
        self.all().any(|action| matches!(action, Action::Weights(edit) if edit.needs_initial()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A release at iteration 100 is made by a run of 101 iterations, 0 to 100, and by no shorter one.
    #[test]
    fn what_stays_frozen_to_the_end_of_a_run_is_named() {
        let timeline = Timeline::default()
            .frozen(0..100, "wk")
            .frozen(0..20, "wv")
            .at(500, Action::freeze("wq"))
            .frozen(150..300, "wo");
        let beyond = [20, 21, 100, 101].map(|end| timeline.frozen_beyond(end).join("; "));
        assert_eq!(
            beyond,
            ["0..100: freeze(wk); 0..20: freeze(wv)", "0..100: freeze(wk)", "0..100: freeze(wk)", ""]
        );
    }

    #[test]
    fn ends_of_ranges_come_before_beginnings_and_those_before_all_else() {
        let timeline = Timeline::default()
            .at(10, Action::Snapshot)
            .frozen(10..20, "b")
            .frozen(0..10, "a")
            .frozen(10..10, "c");
        let said = |iteration| timeline.actions(iteration, None).map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(said(0), ["freeze(a)"]);
        assert_eq!(said(10), ["release(a)", "freeze(b)", "freeze(c)", "snapshot", "release(c)"]);
        assert_eq!((said(20), said(15)), (vec!["release(b)".into()], vec![]));
        assert!(timeline.takes_snapshots() && !Timeline::default().frozen(0..10, "a").takes_snapshots());
    }
}
