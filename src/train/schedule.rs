//! Schedules: sets of iterations.
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::{Reader, Token};
use crate::{Error, Result};

/// A set of iterations of a run, counted from 0, at which something happens.
///
/// Its text, on a command line and in `run.json`, is a list with `and`: `every 100`, `powers of 2`, iterations such as
/// `0 1 5`, `last`.
///
/// ```
/// use ihead::train::Schedule;
/// let dense_at_first = Schedule::powers(2).and(Schedule::every(100)).and_last();
/// let chosen: Vec<usize> = (0..=250).filter(|i| dense_at_first.contains(*i, Some(251))).collect();
/// assert_eq!(chosen, [0, 1, 2, 4, 8, 16, 32, 64, 100, 128, 200, 250]);
/// assert_eq!(dense_at_first.to_string(), "every 100 and powers of 2 and last");
/// assert_eq!("every 100 and powers of 2 and last".parse::<Schedule>()?, dense_at_first);
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Schedule {
    every: BTreeSet<usize>,
    powers: BTreeSet<usize>,
    at: BTreeSet<usize>,
    last: bool,
}

impl Schedule {
    /// Makes a schedule without any iteration.
    pub fn never() -> Self {
        Schedule::default()
    }

    /// Makes a schedule of every `n`-th iteration: `0, n, 2 n, ...`.
    pub fn every(n: usize) -> Self {
        Schedule { every: [n].into(), ..Schedule::default() }
    }

    /// Makes a schedule of these iterations.
    pub fn at(iterations: impl IntoIterator<Item = usize>) -> Self {
        Schedule { at: iterations.into_iter().collect(), ..Schedule::default() }
    }

    /// Makes a schedule of the iterations `0, 1, base, base^2, ...`, which are dense at first.
    pub fn powers(base: usize) -> Self {
        Schedule { powers: [base].into(), ..Schedule::default() }
    }

    /// Adds the iterations of another schedule.
    pub fn and(mut self, other: Schedule) -> Self {
        self.every.extend(other.every);
        self.powers.extend(other.powers);
        self.at.extend(other.at);
        self.last |= other.last;
        self
    }

    /// Adds the last iteration of the run.
    pub fn and_last(mut self) -> Self {
        self.last = true;
        self
    }

    /// Returns whether `iteration` is one of the schedule, in a run of `steps` steps; `None` for a run without a last step.
    pub fn contains(&self, iteration: usize, steps: Option<usize>) -> bool {
        (self.last && steps.is_some_and(|steps| iteration.checked_add(1) == Some(steps)))
            || self.at.contains(&iteration)
            || self.every.iter().any(|n| iteration.is_multiple_of(*n))
            || self.powers.iter().any(|base| is_power(iteration, *base))
    }

    /// The first iteration of its own, if it names one, that a run of `steps` steps does not reach.
    pub(super) fn after(&self, steps: usize) -> Option<usize> {
        self.at.range(steps..).next().copied()
    }

    /// Whether it has the last iteration of a run.
    pub(super) fn has_last(&self) -> bool {
        self.last
    }

    /// Its first iterations in a run of `steps` steps, `most` of each kind.
    pub(super) fn first(&self, most: usize, steps: Option<usize>) -> BTreeSet<usize> {
        let mut found: BTreeSet<usize> = self.at.iter().copied().take(most).collect();
        for n in &self.every {
            found.extend(
                (0..most).map_while(|k| k.checked_mul(*n)).take_while(|i| steps.is_none_or(|s| *i < s)),
            );
        }
        for base in &self.powers {
            found.insert(0);
            found.extend(std::iter::successors(Some(1_usize), |p| {
                p.checked_mul(*base).filter(|next| next > p)
            }));
        }
        found.extend(steps.filter(|_| self.last).map(|steps| steps - 1));
        found
    }

    /// The iteration of a schedule that is one by itself.
    pub(crate) fn single(&self) -> Option<usize> {
        let iteration = *self.at.first()?;
        (*self == Schedule::at([iteration])).then_some(iteration)
    }

    /// Checks that no number of the schedule is impossible, such as every 0 iterations.
    ///
    /// # Errors
    /// For every 0 iterations, or powers of 0 or 1.
    pub fn check(&self) -> Result<()> {
        if self.every.contains(&0) {
            return Err(Error::value("schedule", "every 0 iterations", "every 1 or more"));
        }
        match self.powers.first() {
            Some(base @ 0..=1) => Err(Error::value("schedule", format!("powers of {base}"), "of 2 or more")),
            _ => Ok(()),
        }
    }
}

impl From<usize> for Schedule {
    fn from(iteration: usize) -> Schedule {
        Schedule::at([iteration])
    }
}

impl FromStr for Schedule {
    type Err = Error;

    /// # Errors
    /// If the text is of another form, or says every 0 iterations or powers of less than 2.
    fn from_str(text: &str) -> Result<Schedule> {
        let schedule = Reader::whole("schedule", text, Schedule::read, FORM)?;
        schedule.check()?;
        Ok(schedule)
    }
}

const FORM: &str =
    "iterations (0 1 5), `every 100`, `powers of 2`, `last`, `never`, or some of them with `and` between";

impl Schedule {
    /// Whether a schedule could be next.
    pub(crate) fn begins(reader: &Reader<'_>) -> bool {
        match reader.token() {
            Token::Number(_) => true,
            Token::Name(name) => ["every", "powers", "last", "never"].contains(&name),
            _ => false,
        }
    }

    /// Up to something that no schedule has.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Schedule> {
        let mut schedule = Schedule::part(reader)?;
        while reader.take_name("and") {
            schedule = schedule.and(Schedule::part(reader)?);
        }
        Ok(schedule)
    }

    fn part(reader: &mut Reader<'_>) -> Result<Schedule> {
        if reader.take_name("every") {
            return reader.count("a number of iterations, as in `every 100`").map(Schedule::every);
        }
        if reader.take_name("powers") {
            const EXAMPLE: &str = "a base, as in `powers of 2`";
            let of = reader.take_name("of");
            let base = if of { reader.count(EXAMPLE) } else { Err(reader.misfit(EXAMPLE)) };
            return base.map(Schedule::powers);
        }
        if reader.take_name("last") {
            return Ok(Schedule::never().and_last());
        }
        if reader.take_name("never") {
            return Ok(Schedule::never());
        }
        let mut at = vec![reader.count(FORM)?];
        while let Some(iteration) = reader.take_count() {
            at.push(iteration);
        }
        Ok(Schedule::at(at))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at: Vec<String> = self.at.iter().map(ToString::to_string).collect();
        let mut parts: Vec<String> = Vec::new();
        parts.extend((!at.is_empty()).then(|| at.join(" ")));
        parts.extend(self.every.iter().map(|n| format!("every {n}")));
        parts.extend(self.powers.iter().map(|base| format!("powers of {base}")));
        parts.extend(self.last.then(|| "last".into()));
        f.write_str(if parts.is_empty() { "never".into() } else { parts.join(" and ") }.as_str())
    }
}

crate::text::serde_as_text!(Schedule);

/// Whether it is 0 or a power of `base`.
fn is_power(iteration: usize, base: usize) -> bool {
    let powers = std::iter::successors(Some(1_usize), |p| p.checked_mul(base).filter(|next| next > p));
    iteration == 0 || powers.take_while(|p| *p <= iteration).any(|p| p == iteration)
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    #[test]
    fn a_schedule_that_has_no_next_iteration_is_an_error() {
        assert!(Schedule::every(0).check().is_err());
        assert!(Schedule::every(3).and(Schedule::powers(1)).check().is_err());
        assert!(Schedule::powers(2).and(Schedule::at([0])).check().is_ok());
    }

    #[test]
    fn it_is_the_same_after_writing_and_reading() {
        let schedule = Schedule::powers(3).and(Schedule::at([5, 7])).and_last();
        let json = serde_json::to_string(&schedule).unwrap();
        assert_eq!(serde_json::from_str::<Schedule>(&json).unwrap(), schedule);
    }

    #[test]
    fn the_last_iteration_is_one_below_the_number_of_steps() {
        let last = Schedule::never().and_last();
        assert!(last.contains(9, Some(10)) && !last.contains(10, Some(10)) && !last.contains(8, Some(10)));
        assert!(!last.contains(9, None) && !last.contains(usize::MAX, Some(0)));
        assert_eq!((last.to_string().as_str(), Schedule::never().to_string().as_str()), ("last", "never"));
    }

    #[test]
    fn the_first_iterations_of_each_kind_and_those_that_never_come() {
        let first =
            |schedule: &Schedule, most, steps| schedule.first(most, steps).into_iter().collect::<Vec<_>>();
        assert_eq!(first(&Schedule::every(3), 3, None), [0, 3, 6]);
        assert_eq!(first(&Schedule::every(3), 9, Some(6)), [0, 3]);
        assert_eq!(first(&Schedule::at([5, 1, 9]), 2, Some(3)), [1, 5]);
        assert_eq!(first(&Schedule::never().and_last(), 9, Some(7)), [6]);
        assert_eq!(first(&Schedule::powers(3), 9, None)[..5], [0, 1, 3, 9, 27]);
        let schedule = Schedule::at([3, 10]).and(Schedule::every(100));
        assert_eq!([schedule.after(3), schedule.after(10), schedule.after(11)], [Some(3), Some(10), None]);
        assert_eq!(
            [Schedule::at([3]).single(), Schedule::at([3, 4]).single(), Schedule::every(3).single()],
            [Some(3), None, None]
        );
        assert_eq!(Schedule::at([3]).and_last().single(), None);
    }

    #[test]
    fn no_iteration_is_never_and_the_greatest_can_be_asked_for() {
        assert!((0..100).all(|i| !Schedule::never().contains(i, Some(i + 1))));
        assert!(!Schedule::powers(2).contains(usize::MAX, None));
    }
}
