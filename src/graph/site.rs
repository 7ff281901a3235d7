//! Sites: names of places in a model.
use crate::backend::Dim;

use super::edits::Edit;
use super::op::Index;
use super::pattern::Pattern;
use super::record::{Recorder, SiteEdit};
use super::stream::Stream;
use crate::{Error, Result};

/// A place in the model, such as `layers.0.attention`, below which `forward` names streams and patterns.
///
/// A named stream or pattern is a *site*: it can be read, and changed by an [`Edit`] ([`super::record_with`]), by its name.
/// A name costs nothing where nobody asks for it. White space, brackets, `,`, `=`, `:` and `*` cannot be part of a name, since
/// the text of an edit could not say it: the recording is then an error.
///
/// ```
/// use ihead::backend::Dim;
/// use ihead::graph::{Site, Stream};
///
/// /// Named `NAME.ff.hidden`, `NAME` being the place that the caller gives.
/// fn hidden<T: Dim, D: Dim>(x: &Stream<T, D>, site: &Site) -> Stream<T, D> {
///     site.at("ff").stream("hidden", x.relu())
/// }
/// ```
#[derive(Clone)]
pub struct Site {
    recorder: Recorder,
    path: String,
}

impl Site {
    pub(crate) fn root(recorder: Recorder) -> Site {
        Site { recorder, path: String::new() }
    }

    /// Returns the place `name` inside this one: `attention` in `layers.0` is `layers.0.attention`.
    pub fn at(&self, name: impl std::fmt::Display) -> Site {
        let path = if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) };
        Site { recorder: self.recorder.clone(), path }
    }

    /// Returns the recorder of this forward pass, which turns parameters into matrices.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Names a stream `[seq, dim]`: in the place `layers.0`, the name `resid` makes the site `layers.0.resid`. The result
    /// is the stream after the edits of that site, so go on with it.
    pub fn stream<T: Dim, D: Dim>(&self, name: &str, x: Stream<T, D>) -> Stream<T, D> {
        self.named(name, x, None)
    }

    /// Names a stream `[seq, dim]` whose columns are `heads` heads side by side, so that edits can name single heads. The
    /// result is the stream after the edits of that site.
    pub fn heads<T: Dim, D: Dim>(&self, name: &str, x: Stream<T, D>, heads: usize) -> Stream<T, D> {
        let path = self.at(name).path;
        if self.is_foreign(&path, x.recorder()) {
            return x;
        }
        if heads == 0 || !x.dim().size().is_multiple_of(heads) {
            let found = format!("{} in {heads} heads", self.recorder.graph().node_words(x.id()));
            self.recorder.misfit(
                &format!("site '{path}'"),
                found,
                "a number of heads that divides the width",
            );
            return x;
        }
        self.named(name, x, Some(heads))
    }

    fn named<T: Dim, D: Dim>(&self, name: &str, mut x: Stream<T, D>, heads: Option<usize>) -> Stream<T, D> {
        let path = self.at(name).path;
        if self.is_foreign(&path, x.recorder()) {
            return x;
        }
        for SiteEdit { edit, heads } in self.recorder.edits_of(&path, heads) {
            match (edited_stream(&x, edit, &path), heads) {
                (Ok(y), None) => x = y,
                (Ok(y), Some(chosen)) => x = x.spliced(&y, &chosen),
                (Err(error), _) => self.recorder.refuse(error),
            }
        }
        if let Some(heads) = heads {
            self.recorder.graph_mut().heads.insert(x.id(), heads);
        }
        self.recorder.name(path, x.id());
        x
    }

    /// Names an attention pattern `[heads, seq, seq]`. The result is the pattern after the edits of that site, so go on
    /// with it.
    pub fn pattern<T: Dim>(&self, name: &str, mut pattern: Pattern<T>) -> Pattern<T> {
        let path = self.at(name).path;
        if self.is_foreign(&path, pattern.recorder()) {
            return pattern;
        }
        for SiteEdit { edit, heads } in self.recorder.edits_of(&path, Some(pattern.heads())) {
            match (edited_pattern(&pattern, edit, &path), heads) {
                (Ok(edited), None) => pattern = edited,
                (Ok(edited), Some(chosen)) => pattern = pattern.spliced(&edited, chosen),
                (Err(error), _) => self.recorder.refuse(error),
            }
        }
        self.recorder.name(path, pattern.id());
        pattern
    }

    /// Whether what is to be named belongs to another recording, in which case this one has failed.
    fn is_foreign(&self, path: &str, of: &Recorder) -> bool {
        let foreign = !self.recorder.owns(of);
        if foreign {
            let found = "an activation of another recording".into();
            self.recorder.misfit(&format!("site '{path}'"), found, "one of this model");
            // the name may be of a recording that is over, and the activation of the one that goes on
            of.misfit(&format!("site '{path}'"), "a place of another recording".into(), "one of this model");
        }
        foreign
    }
}

/// An edit that does not fit its site.
fn misfit(site: &str, found: String, expected: impl Into<String>) -> Error {
    Error::misfit(format!("edit of '{site}'"), found, expected)
}

/// The pattern of a site after an edit.
fn edited_pattern<T: Dim>(pattern: &Pattern<T>, edit: &Edit, site: &str) -> Result<Pattern<T>> {
    match edit.rule(pattern.seq().size()).map_err(|error| error.of_part(format!("edit of '{site}'")))? {
        Some(rule) => Ok(pattern.clamped(rule)),
        None if *edit == Edit::Patch => Ok(pattern.patched(site)),
        None => Err(misfit(site, format!("{edit} of a pattern"), Edit::OF_PATTERNS)),
    }
}

/// The stream of a site after an edit.
fn edited_stream<T: Dim, D: Dim>(x: &Stream<T, D>, edit: &Edit, site: &str) -> Result<Stream<T, D>> {
    let (seq, dim) = (x.seq().size(), x.dim().size());
    let fits = |row: &[f64]| match (row.len(), row.iter().find(|value| !value.is_finite())) {
        (found, _) if found != dim => Err(misfit(site, format!("a row of {found} values"), dim.to_string())),
        (_, Some(value)) => Err(misfit(site, format!("a row with {value}"), "finite values")),
        _ => Ok(()),
    };
    match edit {
        Edit::Ablate => Ok(x.zero()),
        Edit::Scale(by) if !by.is_finite() => Err(misfit(site, format!("scale({by})"), "a finite number")),
        Edit::Scale(by) => Ok(x.scale(*by)),
        Edit::Add(row) => {
            fits(row)?;
            Ok(x.clone() + x.held(1, row, Index::First))
        }
        Edit::Row(row) => {
            fits(row)?;
            Ok(x.held(1, row, Index::First))
        }
        Edit::Rows(rows) if rows.len() < seq => {
            Err(misfit(site, format!("{} rows", rows.len()), format!("one for each of {seq} positions")))
        }
        Edit::Rows(rows) => {
            rows.iter().try_for_each(|row| fits(row))?;
            Ok(x.held(seq, &rows[..seq].concat(), Index::Positions))
        }
        Edit::Patch => Ok(x.patched(site)),
        _ => Err(misfit(site, format!("{edit} of a stream"), Edit::OF_STREAMS)),
    }
}
