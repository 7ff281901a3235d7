//! State of a parameter in an optimiser; in JSON, NaN and infinities are words.
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

/// A number for each value of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State(pub Vec<f32>);

/// Refuses a gradient or state that is not of the parameter's size.
pub(super) fn check(name: &str, what: &str, expected: usize, found: usize) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::shape(format!("{what} of {name}"), &[expected], &[found]))
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Float {
    Finite(f32),
    Word(String),
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|v| match v.is_finite() {
            true => Float::Finite(*v),
            false => Float::Word(v.to_string()),
        }))
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<State, D::Error> {
        let read = |float| match float {
            Float::Finite(value) => Ok(value),
            Float::Word(word) => {
                word.parse().map_err(|_| D::Error::custom(format!("'{word}' is no number of an optimiser")))
            }
        };
        Vec::<Float>::deserialize(deserializer)?.into_iter().map(read).collect::<Result<_, _>>().map(State)
    }
}
