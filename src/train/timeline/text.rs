//! Timelines as text: `WHEN: CHANGE, ...`.
use std::fmt;
use std::str::FromStr;

use crate::text::{serde_as_text, setting_as_text, split};
use crate::{Error, Result};

use super::{Change, Rate, Timeline};

impl FromStr for Timeline {
    type Err = Error;

    /// # Errors
    /// If the text is not `WHEN: CHANGE, ...`. Names are checked against a model, by [`Timeline::check`].
    fn from_str(text: &str) -> Result<Timeline> {
        if text.trim().is_empty() {
            return Ok(Timeline::default());
        }
        let items = split(text).ok_or_else(|| misfit(text, "brackets or commas do not fit"))?;
        Ok(Timeline { changes: items.into_iter().map(change).collect::<Result<_>>()? })
    }
}

fn misfit(text: &str, what: &str) -> Error {
    Error::usage(format!("timeline '{}': {what}", text.trim()))
}

fn change(text: &str) -> Result<Change> {
    let form = "expected WHEN: CHANGE, as in 300: release(layers.1.*) or every 100: snapshot";
    let (when, what) = text.split_once(':').ok_or_else(|| misfit(text, form))?;
    if when.contains("..") {
        return Rate::parse(when, what).map(Change::Rate);
    }
    let name = what.split('(').next().unwrap_or_default().trim();
    if Rate::NAMES.contains(&name) {
        return Err(misfit(text, "expected two iterations, as in 0..1000: cosine(0.03, 0)"));
    }
    Ok(Change::At(when.parse()?, what.parse()?))
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
