//! Edits as text.
use std::fmt;
use std::str::FromStr;

use crate::text::{exactly, numbers, serde_as_text, setting_as_text, split};
use crate::{Error, Result};

use super::{Edit, Edits, Entry};

/// Edits that take nothing.
const PLAIN: [(&str, Edit); 7] = [
    ("ablate", Edit::Ablate),
    ("previous_token", Edit::PreviousToken),
    ("induction", Edit::Induction),
    ("first_token", Edit::FirstToken),
    ("current_token", Edit::CurrentToken),
    ("uniform", Edit::Uniform),
    ("patch", Edit::Patch),
];

/// Edits that take values, with an example of each.
const WITH_VALUES: [(&str, &str); 4] = [
    ("scale", "scale(0.5)"),
    ("row", "row(0.5, 1)"),
    ("rows", "rows((0.5, 1), (0, 2))"),
    ("parents", "parents(0, 0, 1)"),
];

impl FromStr for Edit {
    type Err = Error;

    /// # Errors
    /// If the text is no edit: the nearest is in the message.
    fn from_str(text: &str) -> Result<Edit> {
        let text = text.trim();
        let (name, values) = match text.split_once('(') {
            None => (text, None),
            Some((name, rest)) => {
                let inside = rest.strip_suffix(')').ok_or_else(|| misfit(text, "a '(' is not closed"))?;
                (name.trim_end(), Some(inside))
            }
        };
        if let Some((_, edit)) = PLAIN.iter().find(|(known, _)| *known == name) {
            return if values.is_none() { Ok(edit.clone()) } else { Err(misfit(text, "it takes no values")) };
        }
        let Some((_, example)) = WITH_VALUES.iter().find(|(known, _)| *known == name) else {
            let known = PLAIN.iter().map(|(name, _)| *name).chain(WITH_VALUES.map(|(name, _)| name));
            return Err(Error::unknown("edit", name, known));
        };
        with_values(name, values.unwrap_or_default())
            .ok_or_else(|| misfit(text, &format!("expected finite numbers, as in {example}")))
    }
}

fn misfit(text: &str, what: &str) -> Error {
    Error::usage(format!("edit '{text}': {what}"))
}

/// An edit from what stands between its brackets; `None` if that does not fit.
fn with_values(name: &str, values: &str) -> Option<Edit> {
    match name {
        "scale" => exactly(values).map(|[by]| Edit::Scale(by)),
        "row" => numbers(values).map(Edit::Row),
        "rows" => {
            let row = |text: &str| numbers(text.strip_prefix('(')?.strip_suffix(')')?);
            split(values)?.into_iter().map(row).collect::<Option<_>>().map(Edit::Rows)
        }
        _ => split(values)?.into_iter().map(|p| p.parse().ok()).collect::<Option<_>>().map(Edit::Parents),
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Edit::Scale(by) => write!(f, "scale({by})"),
            Edit::Row(row) => write!(f, "row({})", joined(row)),
            Edit::Rows(rows) => {
                let rows: Vec<String> = rows.iter().map(|row| format!("({})", joined(row))).collect();
                write!(f, "rows({})", rows.join(", "))
            }
            Edit::Parents(parents) => write!(f, "parents({})", joined(parents)),
            plain => {
                let name = PLAIN.iter().find(|(_, edit)| edit == plain).map_or("", |(name, _)| *name);
                f.write_str(name)
            }
        }
    }
}

fn joined(items: &[impl fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl FromStr for Edits {
    type Err = Error;

    /// # Errors
    /// If the text is not `SITE=EDIT, ...`. Names of sites are checked against a model, by [`Edits::check`].
    fn from_str(text: &str) -> Result<Edits> {
        if text.trim().is_empty() {
            return Ok(Edits::default());
        }
        let items = split(text).ok_or_else(|| misfit(text, "brackets or commas do not fit"))?;
        let entries = items.into_iter().map(entry).collect::<Result<_>>()?;
        Ok(Edits { entries })
    }
}

fn entry(text: &str) -> Result<Entry> {
    let form = || misfit(text, "expected SITE=EDIT, as in layers.0.attention.pattern=previous_token");
    let (place, edit) = text.split_once('=').ok_or_else(form)?;
    let (site, heads) = match place.trim().split_once('[') {
        None => (place.trim(), vec![]),
        Some((site, heads)) => {
            let heads = heads.strip_suffix(']').and_then(split);
            let heads = heads.and_then(|heads| heads.into_iter().map(|h| h.parse().ok()).collect());
            let what = "expected heads by number, as in layers.0.attention.pattern[0,2]=ablate";
            (site.trim_end(), heads.ok_or_else(|| misfit(text, what))?)
        }
    };
    if site.is_empty() {
        return Err(form());
    }
    Ok(Entry { site: site.to_string(), heads, edit: edit.parse()? })
}

impl fmt::Display for Edits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Entry { site, heads, edit }) in self.entries.iter().enumerate() {
            let heads = if heads.is_empty() {
                String::new()
            } else {
                format!("[{}]", heads.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
            };
            write!(f, "{}{site}{heads}={edit}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

serde_as_text!(Edit, Edits);

setting_as_text!(Edits);
