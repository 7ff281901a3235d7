//! Single changes of a run.
use std::fmt;
use std::str::FromStr;

use crate::graph::Edits;
use crate::text::{Number, Reader};
use crate::train::WeightEdit;
use crate::train::optim::Optim;
use crate::{Error, Result};

use super::Rate;

/// A change at the beginning of an iteration.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Parameters that this name or pattern (`*`) matches stop training.
    Freeze(String),
    /// Parameters that this name or pattern matches train, whatever had frozen them.
    Release(String),
    /// The optimiser has this learning rate from now on.
    LearningRate(f64),
    /// Sites are edited from now on, in training and in all that is measured, beside the edits that are there.
    Edit(Edits),
    /// The edits of sites that this name or pattern matches end.
    Unedit(String),
    /// Weights are changed, once.
    Weights(WeightEdit),
    /// All weights are written to `snapshots/ITERATION.safetensors` in the folder of the run.
    Snapshot,
    /// Another optimiser trains from now on, with a new state.
    Optim(Box<Optim>),
}

impl Action {
    const NAMES: [&str; 8] =
        ["freeze", "release", "learning_rate", "edit", "unedit", "snapshot", "sgd", "adamw"];

    /// Makes an [`Action::Freeze`] of the parameters that a name or pattern matches.
    pub fn freeze(pattern: impl Into<String>) -> Action {
        Action::Freeze(pattern.into())
    }

    /// Makes an [`Action::Release`] of the parameters that a name or pattern matches.
    pub fn release(pattern: impl Into<String>) -> Action {
        Action::Release(pattern.into())
    }

    /// Makes an [`Action::Unedit`] of the sites that a name or pattern matches.
    pub fn unedit(pattern: impl Into<String>) -> Action {
        Action::Unedit(pattern.into())
    }

    /// Makes its change of the edits that hold, and says whether it is one.
    pub(crate) fn edit(&self, edits: &mut Edits) -> bool {
        match self {
            Action::Edit(more) => *edits = std::mem::take(edits).and(more.clone()),
            Action::Unedit(pattern) => *edits = edits.without(pattern),
            _ => return false,
        }
        true
    }

    /// Whether it changes what is frozen or edited, so that what another one does depends on it.
    pub(super) fn is_of_state(&self) -> bool {
        matches!(self, Action::Freeze(_) | Action::Release(_) | Action::Edit(_) | Action::Unedit(_))
    }

    /// Makes an [`Action::Optim`]: another optimiser from now on.
    pub fn optim(optim: impl Into<Optim>) -> Action {
        Action::Optim(Box::new(optim.into()))
    }
}

impl From<WeightEdit> for Action {
    fn from(edit: WeightEdit) -> Action {
        Action::Weights(edit)
    }
}

impl From<Edits> for Action {
    fn from(edits: Edits) -> Action {
        Action::Edit(edits)
    }
}

impl FromStr for Action {
    type Err = Error;

    /// # Errors
    /// If the text is no action: the nearest is in the message.
    fn from_str(text: &str) -> Result<Action> {
        Reader::whole("change of a run", text, Action::read, "the end")
    }
}

impl Action {
    /// Whether it is the name of a change at one time.
    pub(super) fn is_name(name: &str) -> bool {
        Action::NAMES.contains(&name) || WeightEdit::NAMES.contains(&name)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Action> {
        let place = reader.place();
        let name = reader.word("a change, such as release(layers.1.*) or snapshot")?;
        let pattern = |reader: &mut Reader<'_>| {
            let expected = &format!("a name or pattern, as in {name}(layers.1.attention.*)");
            reader.sign("(", expected)?;
            let pattern = reader.word(expected)?.to_string();
            if name == "unedit" && reader.is_at("[") {
                return Err(reader.misfit("`)`: unedit ends the edits of all heads of a site"));
            }
            reader.sign(")", "`)` after one name or pattern")?;
            Ok::<String, Error>(pattern)
        };
        Ok(match name {
            "freeze" => Action::Freeze(pattern(reader)?),
            "release" => Action::Release(pattern(reader)?),
            "learning_rate" => {
                let expected = "a number of at least 0, as in learning_rate(0.01)";
                reader.sign("(", expected)?;
                let place = reader.place();
                let [rate] = reader.exactly(expected)?;
                if rate < 0.0 {
                    return Err(reader.misfit_at(place, expected));
                }
                Action::LearningRate(rate)
            }
            "edit" => {
                reader.sign("(", "edits, as in edit(layers.0.attention.pattern=previous_token)")?;
                let edits = Edits::read(reader)?;
                reader.sign(")", "`,` and another edit, or `)`")?;
                Action::Edit(edits)
            }
            "unedit" => Action::Unedit(pattern(reader)?),
            "snapshot" if reader.is_at("(") => return Err(reader.misfit("nothing after snapshot")),
            "snapshot" => Action::Snapshot,
            "sgd" | "adamw" => Action::optim(Optim::read(name, reader)?),
            _ if WeightEdit::NAMES.contains(&name) => Action::Weights(WeightEdit::read(name, reader)?),
            _ if Rate::NAMES.contains(&name) => {
                return Err(reader.misfit_at(
                    place,
                    "two iterations before linear and cosine, as in 0..1000: cosine(0.03, 0)",
                ));
            }
            "unfreeze" => {
                let (kind, nearest) = ("change of a run", Some("release".to_owned()));
                return Err(Error::Unknown { kind, name: name.to_owned(), nearest });
            }
            _ => {
                let known = Action::NAMES.iter().chain(&WeightEdit::NAMES).chain(&Rate::NAMES);
                return Err(reader.unknown("change of a run", (place, name), known.copied()));
            }
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Freeze(pattern) => write!(f, "freeze({pattern})"),
            Action::Release(pattern) => write!(f, "release({pattern})"),
            Action::LearningRate(rate) => write!(f, "learning_rate({})", Number(*rate)),
            Action::Edit(edits) => write!(f, "edit({edits})"),
            Action::Unedit(pattern) => write!(f, "unedit({pattern})"),
            Action::Weights(edit) => write!(f, "{edit}"),
            Action::Snapshot => f.write_str("snapshot"),
            Action::Optim(optim) => write!(f, "{optim}"),
        }
    }
}
