//! A timeline as stretches of a run, for figures and reports.
use crate::graph::Edits;

use super::{Action, Change, Timeline};

/// One change of a timeline, with its beginning and end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// When, as the timeline's text has it: `300`, `0..100`, `every 10`.
    pub when: String,
    /// The iteration at which it begins; `None` if it happens more than once.
    pub from: Option<usize>,
    /// The iteration at which it ends: that of its beginning for a moment, `None` if it lasts to the end of the run.
    pub to: Option<usize>,
    /// What happens: `freeze(layers.1.*)`, `cosine(0.03, 0)`, `snapshot`.
    pub what: String,
}

impl Timeline {
    /// Its changes, in the order in which they were added. A release ends the stretch that froze the same parameters.
    ///
    /// ```
    /// use ihead::train::Timeline;
    /// let timeline: Timeline = "0: freeze(layers.1.*), 300: release(layers.1.*), every 100: snapshot".parse()?;
    /// let found: Vec<_> = timeline.stretches().into_iter().map(|s| (s.when, s.from, s.to, s.what)).collect();
    /// assert_eq!(found[0], ("0..300".into(), Some(0), Some(300), "freeze(layers.1.*)".into()));
    /// assert_eq!(found[1], ("every 100".into(), None, None, "snapshot".into()));
    /// # Ok::<(), ihead::Error>(())
    /// ```
    pub fn stretches(&self) -> Vec<Stretch> {
        let mut found: Vec<Stretch> = Vec::new();
        for change in &self.changes {
            let between = |during: &std::ops::Range<usize>, what: String| Stretch {
                when: format!("{}..{}", during.start, during.end),
                from: Some(during.start),
                to: Some(during.end),
                what,
            };
            match change {
                Change::Frozen(frozen) => found.push(between(&frozen.during, frozen.freeze.to_string())),
                Change::Rate(rate) => {
                    let text = rate.to_string();
                    let what = text.split_once(": ").map_or(text.as_str(), |(_, what)| what);
                    found.push(between(&rate.during, what.into()));
                }
                Change::At(when, action) => {
                    let (from, what) = (when.single(), action.to_string());
                    let frozen = match (action, from) {
                        (Action::Release(pattern), Some(_)) => Action::freeze(pattern).to_string(),
                        _ => String::new(),
                    };
                    let open =
                        found.iter_mut().find(|s| s.what == frozen && s.from.is_some() && s.to.is_none());
                    if let (Some(open), Some(end)) = (open, from) {
                        open.when = format!("{}..{end}", open.when);
                        open.to = Some(end);
                        continue;
                    }
                    // the weights train or stop training from then on; everything else is a moment
                    let to = if matches!(action, Action::Freeze(_)) { None } else { from };
                    found.push(Stretch { when: when.to_string(), from, to, what });
                }
            }
        }
        found
    }

    /// The edits that hold when each of these snapshots is taken, `None` after the last iteration, in a run of so many
    /// iterations that began with `edits`.
    pub(crate) fn edits_at(
        &self,
        snapshots: &[Option<usize>],
        iterations: usize,
        edits: &Edits,
    ) -> Vec<Edits> {
        let mut edits = edits.clone();
        let mut found: Vec<Option<Edits>> = vec![None; snapshots.len()];
        let mut hold = |moment: Option<usize>, edits: &Edits| {
            for (found, _) in found.iter_mut().zip(snapshots).filter(|(_, snapshot)| **snapshot == moment) {
                found.get_or_insert_with(|| edits.clone());
            }
        };
        let end = snapshots.iter().flatten().map(|iteration| iteration + 1).fold(iterations, usize::max);
        for iteration in 0..end {
            for action in self.actions(iteration, Some(iterations)) {
                if *action == Action::Snapshot {
                    hold(Some(iteration), &edits);
                }
                action.edit(&mut edits);
            }
            hold(Some(iteration), &edits);
        }
        hold(None, &edits);
        found.into_iter().map(|found| found.unwrap_or_else(|| edits.clone())).collect()
    }
}
