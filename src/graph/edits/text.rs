//! Edits as text.
use std::fmt;
use std::str::FromStr;

use crate::names::empty_range;
use crate::text::{Number, Reader, serde_as_text, setting_as_text};
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
const WITH_VALUES: [(&str, &str); 5] = [
    ("scale", "scale(0.5)"),
    ("add", "add(0.5, 1)"),
    ("row", "row(0.5, 1)"),
    ("rows", "rows((0.5, 1), (0, 2))"),
    ("parents", "parents(0, 0..7)"),
];

impl FromStr for Edit {
    type Err = Error;

    /// # Errors
    /// If the text is no edit: the nearest is in the message, or all of them.
    fn from_str(text: &str) -> Result<Edit> {
        Reader::whole("edit", text, Edit::read, "the end")
    }
}

impl Edit {
    fn read(reader: &mut Reader<'_>) -> Result<Edit> {
        let place = reader.place();
        let name = reader.word("an edit, such as ablate or scale(0.5)")?;
        if let Some((_, edit)) = PLAIN.iter().find(|(known, _)| *known == name) {
            let without = || reader.misfit(&format!("no values after {name}"));
            return if reader.is_at("(") { Err(without()) } else { Ok(edit.clone()) };
        }
        let Some((_, example)) = WITH_VALUES.iter().find(|(known, _)| *known == name) else {
            let known = PLAIN.iter().map(|(name, _)| *name).chain(WITH_VALUES.map(|(name, _)| name));
            return Err(reader.unknown("edit", (place, name), known));
        };
        let expected = &format!("finite numbers, as in {example}");
        reader.sign("(", expected)?;
        match name {
            "scale" => reader.exactly(expected).map(|[by]| Edit::Scale(by)),
            "add" => reader.numbers(expected).map(Edit::Add),
            "row" => reader.numbers(expected).map(Edit::Row),
            "rows" => {
                let rows = reader.list(|reader| {
                    reader.sign("(", expected)?;
                    reader.numbers(expected)
                })?;
                reader.sign(")", expected)?;
                Ok(Edit::Rows(rows))
            }
            _ => {
                let expected = &format!("positions, as in {example}");
                let parents = reader.counts(expected)?;
                reader.sign(")", expected)?;
                Ok(Edit::Parents(parents))
            }
        }
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Edit::Scale(by) => write!(f, "scale({})", Number(*by)),
            Edit::Add(row) => write!(f, "add({})", numbers(row)),
            Edit::Row(row) => write!(f, "row({})", numbers(row)),
            Edit::Rows(rows) => {
                let rows: Vec<String> = rows.iter().map(|row| format!("({})", numbers(row))).collect();
                write!(f, "rows({})", rows.join(", "))
            }
            Edit::Parents(parents) => write!(f, "parents({})", joined(parents.iter())),
            plain => {
                let name = PLAIN.iter().find(|(_, edit)| edit == plain).map_or("", |(name, _)| *name);
                f.write_str(name)
            }
        }
    }
}

fn numbers(row: &[f64]) -> String {
    joined(row.iter().copied().map(Number))
}

fn joined(items: impl Iterator<Item = impl fmt::Display>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

impl FromStr for Edits {
    type Err = Error;

    /// # Errors
    /// If the text is not `SITE=EDIT, ...`. Names of sites are checked against a model, by [`Edits::check`].
    fn from_str(text: &str) -> Result<Edits> {
        if text.trim().is_empty() {
            return Ok(Edits::default());
        }
        Reader::whole("edits", text, Edits::read, "`,` and another edit, or the end")
    }
}

impl Edits {
    /// At least one edit, up to something else than a comma.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Edits> {
        Ok(Edits { entries: reader.list(entry)? })
    }

    /// This edit of one site or pattern of sites, written as in a text of edits: all its heads, or those that are named.
    ///
    /// # Errors
    /// If the text is something else.
    pub(crate) fn of_site(text: &str, edit: Edit) -> Result<Edits> {
        const FORM: &str = "a site, or heads of it, as in layers.1.attention.mixed[0]";
        let (site, heads) = Reader::whole("site", text, |reader| sites(reader, FORM), "the end")?;
        Ok(Edits { entries: vec![Entry { site: site.to_string(), heads, edit }] })
    }
}

fn entry(reader: &mut Reader<'_>) -> Result<Entry> {
    const FORM: &str = "SITE=EDIT, as in layers.0.attention.pattern=previous_token";
    let (site, heads) = sites(reader, FORM)?;
    reader.sign("=", FORM)?;
    Ok(Entry { site: site.to_string(), heads, edit: Edit::read(reader)? })
}

/// A site or a pattern of sites, and the heads of it that are named.
fn sites<'a>(reader: &mut Reader<'a>, form: &str) -> Result<(&'a str, Option<Vec<usize>>)> {
    let place = reader.place();
    let (site, heads) = site(reader, form)?;
    match empty_range(site) {
        Some(at) => Err(reader.misfit_at(place + at, "a range of numbers, as in layers.0..2.ff.out=ablate")),
        None => Ok((site, heads)),
    }
}

/// A site, and the heads of it that are named.
fn site<'a>(reader: &mut Reader<'a>, form: &str) -> Result<(&'a str, Option<Vec<usize>>)> {
    const HEADS: &str = "heads by number or range, as in layers.0.attention.pattern[0,2..4]";
    let site = reader.word(form)?;
    if !reader.take("[") {
        return Ok((site, None));
    }
    let heads = reader.counts(HEADS)?;
    reader.sign("]", HEADS)?;
    Ok((site, Some(heads)))
}

/// The name of a site, and the one head that `name[2]` asks for.
///
/// # Errors
/// If the text is neither.
pub(crate) fn site_and_head(text: &str) -> Result<(&str, Option<usize>)> {
    const FORM: &str = "a site or one head of it, as in layers.0.attention.v[2]";
    let (site, heads) = Reader::whole("site", text, |reader| site(reader, FORM), "the end")?;
    match heads.as_deref() {
        None => Ok((site, None)),
        Some([head]) => Ok((site, Some(*head))),
        Some(heads) => Err(Error::misfit(format!("site '{text}'"), format!("{} heads", heads.len()), FORM)),
    }
}

impl fmt::Display for Edits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Entry { site, heads, edit }) in self.entries.iter().enumerate() {
            write!(f, "{}{site}", if i == 0 { "" } else { ", " })?;
            if let Some(heads) = heads {
                write!(f, "[{}]", heads.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))?;
            }
            write!(f, "={edit}")?;
        }
        Ok(())
    }
}

serde_as_text!(Edit, Edits);

setting_as_text!(Edits);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_head_of_a_site_is_named_as_in_an_edit() {
        for (text, expected) in [
            ("layers.0.resid", ("layers.0.resid", None)),
            ("layers.0.attention.v[2]", ("layers.0.attention.v", Some(2))),
            (" v [ 2..3 ] ", ("v", Some(2))),
        ] {
            assert_eq!(site_and_head(text).unwrap(), expected, "{text}");
        }
        for (text, said) in [
            ("v[0,2]", "site 'v[0,2]': 2 heads; expected a site or one head of it"),
            ("v[x]", "site 'v[x]': expected heads by number or range"),
            ("v[2]=ablate", "site 'v[2]=ablate': expected the end, found `=` at character 5"),
            ("", "site '': expected a site or one head of it"),
        ] {
            let error = site_and_head(text).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }

    #[test]
    fn an_edit_of_one_site_takes_no_other_text() {
        let edits = Edits::of_site("layers.*.attention.mixed[0,2]", Edit::Ablate).unwrap();
        assert_eq!(edits.to_string(), "layers.*.attention.mixed[0,2]=ablate");
        for text in ["a=ablate, b", "=", "", "a, b", "a[x]", "a.2..2"] {
            let error = Edits::of_site(text, Edit::Ablate).unwrap_err().to_string();
            assert!(error.starts_with(&format!("site '{text}': expected ")), "{error}");
            assert!(!error.contains("=ablate'"), "{error}");
        }
    }
}
