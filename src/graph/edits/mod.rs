//! Edits: changes of the values at sites.
mod text;

pub(crate) use text::site_and_head;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::names::matches;
use crate::{Error, Result};

use super::fixed::FixedPattern;
use super::{AnyModel, Graph};

/// A change of the values at a site while the model runs. It has a text form, such as `previous_token` or
/// `scale(0.5)`.
///
/// | edit | text | for |
/// |---|---|---|
/// | [`Ablate`](Self::Ablate) | `ablate` | streams and patterns |
/// | [`Scale`](Self::Scale) | `scale(0.5)` | streams |
/// | [`Row`](Self::Row) | `row(0.5, 1)` | streams |
/// | [`Add`](Self::Add) | `add(0.5, 1)` | streams |
/// | [`Rows`](Self::Rows) | `rows((0.5, 1), (0, 2))` | streams |
/// | [`PreviousToken`](Self::PreviousToken) | `previous_token` | patterns |
/// | [`Induction`](Self::Induction) | `induction` | patterns |
/// | [`FirstToken`](Self::FirstToken) | `first_token` | patterns |
/// | [`CurrentToken`](Self::CurrentToken) | `current_token` | patterns |
/// | [`Uniform`](Self::Uniform) | `uniform` | patterns |
/// | [`Parents`](Self::Parents) | `parents(0, 0, 1)`, `parents(0, 0..7)` | patterns |
/// | [`Patch`](Self::Patch) | `patch` | streams and patterns |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[non_exhaustive]
pub enum Edit {
    /// The values become zero; a head whose pattern is ablated attends to nothing.
    Ablate,
    /// The values are multiplied by a factor.
    Scale(f64),
    /// Every position gets the same given row, `[dim]`. With the mean over a batch this is mean ablation
    /// ([`crate::run::mean_ablation`]).
    Row(Vec<f64>),
    /// The same given row, `[dim]`, is added to the values of every position: steering. Of some heads, only their columns of the
    /// row are added.
    Add(Vec<f64>),
    /// Each position gets a row of its own, `[seq, dim]`. There may be more rows than positions.
    Rows(Vec<Vec<f64>>),
    /// Attention to the previous position (position 0 attends to itself).
    PreviousToken,
    /// Attention to the position after the last earlier occurrence of the current token (to position 0 where there is
    /// none): what an induction head does.
    Induction,
    /// Attention to position 0.
    FirstToken,
    /// Attention of each position to itself.
    CurrentToken,
    /// Attention to all positions so far, with equal weights.
    Uniform,
    /// Attention of each position to a given one that is not later, `[seq]`. The list may be longer than the sequence.
    Parents(Vec<u32>),
    /// The values are those that the engine is given for the site ([`crate::engine::Engine::patch`]), such as those of
    /// another batch or of another model. [`crate::run::Inspect::patch`] makes such an edit together with its values.
    Patch,
}

impl Edit {
    /// What can become of a stream, in words.
    pub(super) const OF_STREAMS: &str = "ablate, scale, add, row, rows, patch";
    /// What can become of a pattern, in words.
    pub(super) const OF_PATTERNS: &str =
        "ablate, previous_token, induction, first_token, current_token, uniform, parents, patch";

    /// The rule of a pattern, checked for `seq` positions; `None` if this edit is not of patterns.
    pub(super) fn rule(&self, seq: usize) -> Result<Option<FixedPattern>> {
        let rule = match self {
            Edit::Ablate => FixedPattern::Nothing,
            Edit::PreviousToken => FixedPattern::Previous,
            Edit::Induction => FixedPattern::Induction,
            Edit::FirstToken => FixedPattern::First,
            Edit::CurrentToken => FixedPattern::Current,
            Edit::Uniform => FixedPattern::Uniform,
            Edit::Parents(parents) => FixedPattern::Parents(Arc::from(parents.as_slice())),
            Edit::Scale(_) | Edit::Add(_) | Edit::Row(_) | Edit::Rows(_) | Edit::Patch => {
                return Ok(None);
            }
        };
        rule.problem(seq).map_or(Ok(Some(rule)), Err)
    }
}

/// One edit, of a site or of some heads of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// The name, in which `*` stands for any characters and `0..4` for a number.
    pub site: String,
    /// The heads; all without a list.
    pub heads: Option<Vec<usize>>,
    /// The change.
    pub edit: Edit,
}

/// Edits of sites, in order. Where two edits are of the same site, the second one changes the result of the first.
///
/// Their text, on a command line and in `params.json` and `run.json`, is `SITE=EDIT, ...`. `SITE[0,2]=EDIT` edits two
/// heads, and `SITE[0..4]=EDIT` the heads 0 to 3. In a name, `*` stands for any characters, and a part such as `0..4` for
/// the numbers 0 to 3: `layers.0..4.ff.out`. As a field of a `#[derive(Config)]` struct,
/// `#[config(default = Edits::default())]` makes it a setting.
///
/// ```
/// use ihead::graph::{Edit, Edits};
///
/// let edits = Edits::default()
///     .with("layers.*.attention.pattern", Edit::PreviousToken)
///     .on_heads("layers.1.attention.pattern", [0, 2], Edit::Ablate);
/// let text = "layers.*.attention.pattern=previous_token, layers.1.attention.pattern[0,2]=ablate";
/// assert_eq!(edits.to_string(), text);
/// assert_eq!(text.parse::<Edits>()?, edits);
///
/// let error = "layers.0.ff.out=scael(0.5)".parse::<Edits>().unwrap_err();
/// assert_eq!(error.to_string(), "no edit 'scael'; did you mean 'scale'?");
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Edits {
    entries: Vec<Entry>,
}

impl Edits {
    /// Adds an edit of the sites that `site` names: a name, or a pattern with `*` or with a range, such as
    /// `layers.0..4.ff.out`.
    pub fn with(self, site: impl Into<String>, edit: Edit) -> Self {
        self.of(site, None, edit)
    }

    /// Adds an edit of some heads of a pattern, or of a stream that has heads: the sites `q`, `k`, `v` and `mixed` of attention,
    /// and what a model names by [`Site::heads`](super::Site::heads). Nothing is edited if no head is listed.
    pub fn on_heads(
        self,
        site: impl Into<String>,
        heads: impl IntoIterator<Item = usize>,
        edit: Edit,
    ) -> Self {
        let heads: Vec<usize> = heads.into_iter().collect();
        if heads.is_empty() { self } else { self.of(site, Some(heads), edit) }
    }

    /// Adds an edit of these heads, of all without a list.
    pub(crate) fn of(mut self, site: impl Into<String>, heads: Option<Vec<usize>>, edit: Edit) -> Self {
        self.entries.push(Entry { site: site.into(), heads, edit });
        self
    }

    /// Returns these edits, followed by `others`.
    pub fn and(mut self, others: Edits) -> Self {
        self.entries.extend(others.entries);
        self
    }

    /// Returns these edits without those whose site, as it was written, matches `pattern` (`*` stands for any characters).
    pub fn without(&self, pattern: &str) -> Edits {
        let stays = |entry: &&Entry| !matches(pattern, &entry.site);
        Edits { entries: self.entries.iter().filter(stays).cloned().collect() }
    }

    /// Iterates over the names and patterns of the edited sites, as they were written.
    pub fn sites(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.site.as_str())
    }

    /// Returns whether there are no edits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Checks every name, head and size against the model, for sequences of `seq` tokens.
    ///
    /// # Errors
    /// If an edit names no site (the nearest name is in the message), or does not fit its site.
    pub fn check(&self, model: &dyn AnyModel, seq: usize) -> Result<()> {
        if self.is_empty() { Ok(()) } else { model.record_edited(seq, self).map(drop) }
    }

    /// An edit for each site of a recorded model that an entry names, of the heads of that entry: what `edit` gives for the name.
    ///
    /// # Errors
    /// If an entry names no site: the nearest name is in the message. Those of `edit`.
    pub(crate) fn replaced(
        &self,
        graph: &Graph,
        mut edit: impl FnMut(&str) -> Result<Edit>,
    ) -> Result<Edits> {
        if let Some(error) = self.unknown(graph) {
            return Err(error);
        }
        let mut entries = Vec::new();
        for Entry { site, heads, .. } in &self.entries {
            for name in graph.sites().keys().filter(|name| matches(site, name)) {
                entries.push(Entry { site: name.clone(), heads: heads.clone(), edit: edit(name)? });
            }
        }
        Ok(Edits { entries })
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The error of the first edit that is of no site of a recorded model.
    pub(super) fn unknown(&self, graph: &Graph) -> Option<Error> {
        let names = || graph.sites().keys().map(String::as_str);
        let known = |entry: &&Entry| names().any(|name| matches(&entry.site, name));
        let unknown = self.entries.iter().find(|entry| !known(entry))?;
        Some(Error::unknown("site", &unknown.site, names()))
    }
}
