//! What is wrong with a timeline, before the first step.
use std::collections::BTreeSet;

use crate::graph::{AnyModel, Edits, Graph};
use crate::nn::{ModuleExt, Role};
use crate::train::optim::Optim;
use crate::{Error, Result};

use super::{Action, Change, Rate, Schedule, Timeline};

/// So many iterations of each entry are gone through to see what it does.
const MOST: usize = 10_000;

/// Edits of [`Timeline::edited`], but for those after the first time of an entry.
const MOST_EDITED: usize = 100;

impl Timeline {
    /// Checks everything against the model and a run of `steps` steps (`None`: until it is stopped): names, sites for sequences
    /// of `seq` tokens beside the edits of the run, ranks, numbers, and that no entry is known to change nothing.
    ///
    /// # Errors
    /// If something does not fit: where it is a name, the nearest one is in the message. If an entry changes nothing: it is
    /// after the last step, or at the last one of a run that has none, it freezes only what is frozen at that moment, releases
    /// only what trains, ends an edit that has not begun, leaves matrices their full rank, or multiplies weights by 1. Whether
    /// weights, or the learning rate, will have the values already that an entry gives them, as when it sets zeros to zero, is
    /// not known before the run. Of [`frozen`](Self::frozen) only the names and the beginning are checked: parameters may stay
    /// frozen to the end.
    pub fn check(&self, model: &dyn AnyModel, seq: usize, edits: &Edits, steps: Option<usize>) -> Result<()> {
        for change in &self.changes {
            match change {
                Change::At(when, action) => {
                    when.check().map_err(|error| error.of_part(entry(change)))?;
                    check(action, model, seq).map_err(|error| error.of_part(entry(change)))?;
                    if let Action::Weights(edit) = action
                        && let Some((why, expected)) = edit.idle(model)?
                    {
                        return Err(changes_nothing(change, &why, expected));
                    }
                }
                Change::Rate(rate) => rate.check()?,
                Change::Frozen(frozen) => {
                    if frozen.during.start > frozen.during.end {
                        let found = "an end before its beginning";
                        return Err(Error::value(entry(change), found, "one at or after it"));
                    }
                    check(&frozen.freeze, model, seq).map_err(|error| error.of_part(entry(change)))?;
                }
            }
        }
        let rates: Vec<&Rate> = self.changes.iter().filter_map(Change::rate).collect();
        for (i, rate) in rates.iter().enumerate() {
            let meets =
                |other: &&&Rate| other.during.start < rate.during.end && rate.during.start < other.during.end;
            if let Some(other) = rates[..i].iter().find(meets) {
                return Err(Error::value(
                    entry(rate),
                    format!("at the same time as '{other}'"),
                    "times apart",
                ));
            }
        }
        for change in &self.changes {
            let Change::At(when, Action::LearningRate(_)) = change else { continue };
            let within = |rate: &&&Rate| {
                let (start, end) = (rate.during.start, rate.during.end);
                (start..end.min(start.saturating_add(MOST))).any(|iteration| when.contains(iteration, steps))
            };
            if let Some(rate) = rates.iter().find(within) {
                let found = format!("while '{rate}' sets the rate of each iteration");
                return Err(Error::value(entry(change), found, "times apart"));
            }
        }
        if steps == Some(0) {
            return Ok(()); // a run of no steps changes nothing, and says so of no entry
        }
        self.check_times(steps)?;
        self.check_effects(model, edits, steps)
    }

    /// Refuses entries after the last step, and at the last one of a run that has none.
    ///
    /// # Errors
    /// If there is one.
    pub(crate) fn check_times(&self, steps: Option<usize>) -> Result<()> {
        let Some(steps) = steps else {
            let Some(change) = self.changes.iter().find(|change| change.is_at_last()) else { return Ok(()) };
            let expected = "a number of steps (max_iters), as a run that is trained until it is stopped has no last \
                            iteration";
            return Err(Error::value(entry(change), "never happens at `last`", expected));
        };
        for change in &self.changes {
            let late = match change {
                Change::At(when, _) => when.after(steps),
                Change::Rate(rate) => Some(rate.during.start).filter(|start| *start >= steps),
                Change::Frozen(frozen) => Some(frozen.during.start).filter(|start| *start >= steps),
            };
            if let Some(late) = late {
                let expected = format!(
                    "an iteration below the run's {steps} steps (a run that is trained in pieces says how many there are in \
                     all, with `Run::steps`)"
                );
                return Err(Error::value(entry(change), format!("never happens at {late}"), expected));
            }
        }
        Ok(())
    }

    /// Refuses entries that change nothing whenever they happen.
    fn check_effects(&self, model: &dyn AnyModel, edits: &Edits, steps: Option<usize>) -> Result<()> {
        let mut idle: BTreeSet<usize> =
            (0..self.changes.len()).filter(|i| self.changes[*i].may_be_idle()).collect();
        let held =
            model.tensors().into_iter().filter(|(_, role, tensor)| *role == Role::Param && !tensor.trains());
        let mut frozen: BTreeSet<String> = held.map(|(name, ..)| name).collect();
        let mut edits = edits.clone();
        let iterations = self.iterations(steps);
        for iteration in &iterations {
            for (i, action) in self.numbered(*iteration, steps) {
                let changed = match action {
                    Action::Freeze(pattern) => {
                        model
                            .matching(pattern)?
                            .into_iter()
                            .filter(|name| frozen.insert(name.clone()))
                            .count()
                            > 0
                    }
                    Action::Release(pattern) => {
                        model.matching(pattern)?.iter().filter(|name| frozen.remove(*name)).count() > 0
                    }
                    Action::Edit(_) => action.edit(&mut edits),
                    Action::Unedit(_) => {
                        let before = edits.clone();
                        action.edit(&mut edits);
                        edits != before
                    }
                    _ => true,
                };
                if changed {
                    idle.remove(&i);
                }
            }
            if idle.is_empty() {
                return Ok(());
            }
        }
        // an entry that comes too often to be gone through may change something after a later one
        let end = iterations.last().copied().unwrap_or_default();
        let known = |i: &&usize| match &self.changes[**i] {
            Change::At(when, _) => {
                let first = when.first(MOST, steps);
                first.len() < MOST || first.last() >= Some(&end)
            }
            _ => true,
        };
        let Some(change) = idle.iter().find(known).map(|i| &self.changes[*i]) else { return Ok(()) };
        let why = match change {
            Change::At(_, Action::Freeze(_)) => "what it names is frozen already",
            Change::At(_, Action::Release(_)) => "what it names is not frozen then",
            Change::At(_, Action::Unedit(pattern)) => {
                let all = self.all().fold(edits, |all, action| match action {
                    Action::Edit(edits) => all.and(edits.clone()),
                    _ => all,
                });
                if all.without(pattern) == all {
                    return Err(Error::unknown("edited site", pattern, all.sites()).of_part(entry(change)));
                }
                "what it names is not edited then"
            }
            _ => return Ok(()),
        };
        Err(changes_nothing(change, why, "a change"))
    }

    /// The edits that hold after changes of them, in a run that began with `edits`; each with the entry that has made the last
    /// one. An entry that comes again and again makes as many: the first of them are here, and those after the first time of each entry.
    pub(crate) fn edited(&self, edits: &Edits) -> Vec<(String, Edits)> {
        let (mut edits, mut all) = (edits.clone(), Vec::<(String, Edits)>::new());
        let mut seen = BTreeSet::new();
        // the last iteration, whichever it is, comes after all others
        let steps = self.iterations(None).last().map_or(Some(1), |i| i.checked_add(2));
        for iteration in self.iterations(steps) {
            let (mut last, mut is_first) = (None, false);
            for (i, action) in self.numbered(iteration, steps) {
                if action.edit(&mut edits) {
                    last = Some(&self.changes[i]);
                    is_first |= seen.insert(i);
                }
            }
            if let Some(change) = last
                && (is_first || all.len() < MOST_EDITED)
                && all.iter().all(|(_, known)| *known != edits)
            {
                all.push((entry(change), edits.clone()));
            }
        }
        all
    }

    /// The iterations at which parameters freeze or train again, or edits change, rising: the first of each entry.
    fn iterations(&self, steps: Option<usize>) -> BTreeSet<usize> {
        let mut iterations = BTreeSet::new();
        for change in &self.changes {
            match change {
                Change::At(when, action) if action.is_of_state() => {
                    iterations.extend(when.first(MOST, steps))
                }
                Change::At(..) | Change::Rate(_) => {}
                Change::Frozen(frozen) => iterations.extend([frozen.during.start, frozen.during.end]),
            }
        }
        iterations.into_iter().filter(|i| steps.is_none_or(|steps| *i < steps)).collect()
    }
}

impl Change {
    fn rate(&self) -> Option<&Rate> {
        if let Change::Rate(rate) = self { Some(rate) } else { None }
    }

    /// Whether it comes at the last iteration, which a run without a number of steps does not have.
    fn is_at_last(&self) -> bool {
        matches!(self, Change::At(when, _) if when.has_last())
    }

    /// Whether it may come at a moment when there is nothing to change.
    fn may_be_idle(&self) -> bool {
        matches!(self, Change::At(when, Action::Freeze(_) | Action::Release(_) | Action::Unedit(_)) if *when != Schedule::never())
    }
}

/// Refuses a graph with patched sites: a run has no other activations to put in.
pub fn refuse_patches(graph: &Graph) -> Result<()> {
    match graph.patched().first() {
        Some(site) => {
            let found = "a run has no other activations to put in";
            Err(Error::misfit(
                format!("patch of '{}'", site.name),
                found,
                "`run::Inspect::patch`, which is given them",
            ))
        }
        None => Ok(()),
    }
}

/// The error of an entry that changes nothing.
fn changes_nothing(change: &Change, why: &str, expected: impl Into<String>) -> Error {
    Error::value(entry(change), format!("changes nothing, since {why}"), expected)
}

/// An entry of a timeline, as a message names it.
pub(super) fn entry(entry: &impl std::fmt::Display) -> String {
    format!("timeline '{entry}'")
}

fn check(action: &Action, model: &dyn AnyModel, seq: usize) -> Result<()> {
    match action {
        Action::Freeze(pattern) | Action::Release(pattern) => model.matching(pattern).map(drop),
        Action::LearningRate(rate) if !(rate.is_finite() && *rate >= 0.0) => {
            Err(Error::value("learning_rate", rate, "a learning rate of at least 0"))
        }
        Action::Edit(edits) => refuse_patches(&model.record_edited(seq, edits)?),
        Action::Weights(edit) => edit.check(model),
        Action::Optim(optim) if matches!(**optim, Optim::Groups(_)) => Err(Error::value(
            entry(action),
            "groups of parameters",
            "one optimiser for all, as groups are set with the run",
        )),
        Action::Optim(optim) if optim.has_own() => Err(Error::value(
            entry(action),
            "a rule of your own",
            "sgd or adamw, as a rule of your own is set with the run",
        )),
        Action::Optim(optim) => optim.check(model),
        Action::LearningRate(_) | Action::Unedit(_) | Action::Snapshot => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each edit of an entry that comes again and again stands beside those before it: ten thousand graphs would be recorded.
    #[test]
    fn of_edits_that_come_again_and_again_the_first_are_looked_at_and_each_entry_once() {
        let edited = |text: &str| text.parse::<Timeline>().unwrap().edited(&Edits::default());
        let all = edited("every 1: edit(a=ablate), 9000: edit(b=ablate), 9500: unedit(a)");
        assert_eq!(all.len(), MOST_EDITED + 2);
        assert!(all[0].0.contains("edit(a=ablate)") && all[0].1 == "a=ablate".parse().unwrap());
        assert!(
            all[MOST_EDITED].0.contains("edit(b=ablate)")
                && all[MOST_EDITED].1.sites().any(|site| site == "b")
        );
        let last = "b=ablate".parse::<Edits>().unwrap();
        assert!(all[MOST_EDITED + 1].0.contains("unedit(a)") && all[MOST_EDITED + 1].1 == last);
        // a state that comes again is there once
        let states = edited("every 2: edit(a=ablate), every 3: unedit(a), 5: snapshot");
        assert!(states.len() < 5, "{}", states.len());
        // whichever the last iteration is, it comes after all others
        let at_last = edited("last: unedit(a), 3: edit(a=ablate)");
        assert!(at_last.len() == 2 && at_last[1].0.contains("last: unedit(a)") && at_last[1].1.is_empty());
    }
}
