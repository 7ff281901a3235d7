//! Timelines as text: `WHEN: CHANGE, ...`.
use std::fmt;
use std::str::FromStr;

use crate::text::{Reader, serde_as_text, setting_as_text};
use crate::{Error, Result};

use super::{Action, Change, Rate, Schedule, Timeline};

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
        return Rate::read(reader, place, &when).map(Change::Rate);
    }
    reader.sign(":", FORM)?;
    when.check()?;
    Ok(Change::At(when, Action::read(reader)?))
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, change) in self.changes.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            match change {
                Change::At(when, action) => write!(f, "{when}: {action}")?,
                Change::Rate(rate) => write!(f, "{rate}")?,
            }
        }
        Ok(())
    }
}

serde_as_text!(Timeline);

setting_as_text!(Timeline);
