//! Single changes of a run.
use std::fmt;
use std::str::FromStr;

use crate::graph::Edits;
use crate::text::{call, exactly};
use crate::train::WeightEdit;
use crate::train::optim::Optim;
use crate::{Error, Result};

/// A change at the beginning of an iteration.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Parameters that this name or pattern (`*`) matches stop training.
    Freeze(String),
    /// They train, also if something else had frozen them.
    Release(String),
    /// The optimiser's step size, from now on.
    LearningRate(f64),
    /// Sites are edited from now on, in training and in all that is measured, beside the edits that are there.
    Edit(Edits),
    /// The edits of sites that this name or pattern matches end.
    Unedit(String),
    /// Weights are changed, once.
    Weights(WeightEdit),
    /// All weights are written to `snapshots/ITERATION.safetensors` in the folder of the run.
    Snapshot,
    /// Another optimiser, with its state at the beginning.
    Optim(Box<Optim>),
}

impl Action {
    const NAMES: [&str; 8] =
        ["freeze", "release", "learning_rate", "edit", "unedit", "snapshot", "sgd", "adamw"];

    /// [`Action::Freeze`].
    pub fn freeze(pattern: impl Into<String>) -> Action {
        Action::Freeze(pattern.into())
    }

    /// [`Action::Release`].
    pub fn release(pattern: impl Into<String>) -> Action {
        Action::Release(pattern.into())
    }

    /// [`Action::Unedit`].
    pub fn unedit(pattern: impl Into<String>) -> Action {
        Action::Unedit(pattern.into())
    }

    /// [`Action::Optim`].
    pub fn optim(optim: Optim) -> Action {
        Action::Optim(Box::new(optim))
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
        let misfit = |what: &str| Error::usage(format!("'{}': expected {what}", text.trim()));
        let (name, inside) = call(text).ok_or_else(|| misfit("a closing bracket"))?;
        let pattern = || match inside.is_empty() {
            true => Err(misfit(&format!("a name or pattern, as in {name}(layers.1.attention.*)"))),
            false => Ok(inside.to_string()),
        };
        Ok(match name {
            "freeze" => Action::Freeze(pattern()?),
            "release" => Action::Release(pattern()?),
            "learning_rate" => {
                let rate = exactly::<1>(inside).filter(|[rate]| *rate >= 0.0);
                let [rate] =
                    rate.ok_or_else(|| misfit("a number of at least 0, as in learning_rate(0.01)"))?;
                Action::LearningRate(rate)
            }
            "edit" if inside.is_empty() => {
                return Err(misfit("edits, as in edit(layers.0.attention.pattern=previous_token)"));
            }
            "edit" => Action::Edit(inside.parse()?),
            "unedit" => Action::Unedit(pattern()?),
            "snapshot" if inside.is_empty() => Action::Snapshot,
            "snapshot" => return Err(misfit("snapshot alone")),
            "sgd" | "adamw" => Action::optim(text.parse()?),
            _ if WeightEdit::NAMES.contains(&name) => Action::Weights(text.parse()?),
            _ => {
                let known = Action::NAMES.iter().chain(&WeightEdit::NAMES).chain(&super::rate::Rate::NAMES);
                return Err(Error::unknown("change of a run", name, known.copied()));
            }
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Freeze(pattern) => write!(f, "freeze({pattern})"),
            Action::Release(pattern) => write!(f, "release({pattern})"),
            Action::LearningRate(rate) => write!(f, "learning_rate({rate})"),
            Action::Edit(edits) => write!(f, "edit({edits})"),
            Action::Unedit(pattern) => write!(f, "unedit({pattern})"),
            Action::Weights(edit) => write!(f, "{edit}"),
            Action::Snapshot => f.write_str("snapshot"),
            Action::Optim(optim) => write!(f, "{optim}"),
        }
    }
}
