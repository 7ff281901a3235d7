//! What an optimiser remembers.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::nn::Values;
use crate::{Error, Result};

/// The state of an optimiser for each parameter, by the parameter's name.
pub type State = BTreeMap<String, ParamState>;

/// The state of an optimiser for one parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParamState {
    /// Steps taken, where the optimiser counts them (AdamW); 0 otherwise.
    pub steps: u32,
    /// `momentum` of SGD, `first` and `second` of AdamW: a number for each value of the parameter, in its precision.
    pub moments: BTreeMap<String, Values>,
}

impl ParamState {
    pub(crate) fn new<const N: usize>(steps: u32, moments: [(&str, &Values); N]) -> ParamState {
        let moments = moments.into_iter().map(|(name, values)| (name.to_string(), values.clone()));
        ParamState { steps, moments: moments.collect() }
    }

    /// The moments of these names, no fewer and no more.
    pub(super) fn take<const N: usize>(
        mut self,
        param: &str,
        optim: &str,
        names: [&str; N],
    ) -> Result<[Values; N]> {
        let found: Vec<String> = self.moments.keys().cloned().collect();
        if found != names {
            let (expected, found) = (names.join(", "), found.join(", "));
            return Err(Error::value(
                format!("the state of {param}"),
                format!("moments [{found}]"),
                format!("those of {optim}, [{expected}]"),
            ));
        }
        Ok(names.map(|name| self.moments.remove(name).unwrap_or(Values::Single(vec![]))))
    }
}

/// Refuses a gradient or state that is not of the parameter's size.
pub(super) fn check(name: &str, what: &str, expected: usize, found: usize) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::shape(format!("{what} of {name}"), &[expected], &[found]))
}
