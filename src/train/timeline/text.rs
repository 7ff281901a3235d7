//! Timelines as text: `WHEN: CHANGE, ...`.
use std::fmt;
use std::str::FromStr;

use crate::text::{Reader, serde_as_text, setting_as_text};
use crate::{Error, Result};

use super::{Action, Change, Frozen, Rate, Schedule, Timeline};

impl FromStr for Timeline {
    type Err = Error;

    /// # Errors
    /// If the text is not `WHEN: CHANGE, ...`. Names are checked against a model, by [`Timeline::check`].
    fn from_str(text: &str) -> Result<Timeline> {
        if text.trim().is_empty() {
            return Ok(Timeline::default());
        }
        let read = |reader: &mut Reader<'_>| reader.list(change);
        let changes = Reader::whole("timeline", text, read, "`,` and another change, or the end")?;
        Ok(Timeline { changes })
    }
}

fn change(reader: &mut Reader<'_>) -> Result<Change> {
    const FORM: &str = "WHEN: CHANGE, as in 300: release(layers.1.*) or every 100: snapshot";
    if !Schedule::begins(reader) {
        return Err(reader.misfit(FORM));
    }
    let place = reader.place();
    let when = Schedule::read(reader)?;
    if reader.is_at("..") {
        return range(reader, place, &when);
    }
    reader.sign(":", FORM)?;
    when.check()?;
    Ok(Change::At(when, Action::read(reader)?))
}

/// A change between two iterations, after the first of them.
fn range(reader: &mut Reader<'_>, place: usize, start: &Schedule) -> Result<Change> {
    const FORM: &str = "linear(FROM, TO), cosine(FROM, TO) or freeze(PATTERN) between two iterations, \
                        as in 0..1000: cosine(0.03, 0)";
    let start = start.single().ok_or_else(|| reader.misfit_at(place, FORM))?;
    reader.sign("..", FORM)?;
    let during = start..reader.count(FORM)?;
    reader.sign(":", FORM)?;
    if !reader.take_name("freeze") {
        return Rate::read(reader, during).map(Change::Rate);
    }
    let expected = "a name or pattern, as in 0..100: freeze(layers.1.*)";
    reader.sign("(", expected)?;
    let pattern = reader.word(expected)?;
    reader.sign(")", "`)` after one name or pattern")?;
    Ok(Change::Frozen(Frozen::new(during, pattern)))
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, change) in self.changes.iter().enumerate() {
            write!(f, "{}{change}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::At(when, action) => write!(f, "{when}: {action}"),
            Change::Rate(rate) => write!(f, "{rate}"),
            Change::Frozen(frozen) => {
                let Frozen { during, freeze, .. } = frozen;
                write!(f, "{}..{}: {freeze}", during.start, during.end)
            }
        }
    }
}

serde_as_text!(Timeline);

setting_as_text!(Timeline);
