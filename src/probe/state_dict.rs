//! Weights by name.
use std::collections::BTreeMap;

use crate::io::Array;
use crate::nn::{Module, ModuleExt, Values};
use crate::{Error, Result, names};

use super::Matrix;

/// Where probes find weights: by their dotted state-dict names. Every [`Module`] is one, and what
/// [`io::read`](crate::io::read) reads of a file.
pub trait StateDict {
    /// All names.
    fn names(&self) -> Vec<String>;

    /// The weight of this name, a vector as one row; `None` if there is none or it has more than two axes.
    fn find(&self, name: &str) -> Option<Matrix>;

    /// The weight of this name, or of this name with `.weight` behind it.
    fn find_short(&self, name: &str) -> Option<Matrix> {
        self.find(name).or_else(|| self.find(&format!("{name}.weight")))
    }

    /// The weight of this name, or of this name with `.weight` behind it.
    ///
    /// # Errors
    /// If there is none: the nearest name is in the message.
    fn matrix(&self, name: &str) -> Result<Matrix> {
        self.find_short(name).ok_or_else(|| {
            let names = self.names();
            let short = names.iter().filter_map(|name| name.strip_suffix(".weight"));
            Error::unknown("weight", name, names.iter().map(String::as_str).chain(short))
        })
    }

    /// The names that a pattern matches, in order; `*` stands for any characters.
    ///
    /// # Errors
    /// If it matches none: the nearest name is in the message.
    fn matching(&self, pattern: &str) -> Result<Vec<String>> {
        let (found, others): (Vec<String>, Vec<String>) =
            self.names().into_iter().partition(|name| names::matches(pattern, name));
        let unknown = || Error::unknown("weight", pattern, others.iter().map(String::as_str));
        if found.is_empty() { Err(unknown()) } else { Ok(found) }
    }

    /// Whether there is a weight of this name.
    fn has(&self, name: &str) -> bool {
        self.names().iter().any(|known| known == name)
    }
}

/// A stored state dict ([`io::read`](crate::io::read)).
impl StateDict for BTreeMap<String, Array<Values>> {
    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }

    fn find(&self, name: &str) -> Option<Matrix> {
        let array = self.get(name)?;
        of_shape(&array.shape, array.values.double().into_owned())
    }
}

/// A state dict of one's own.
impl StateDict for BTreeMap<String, Array> {
    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }

    fn find(&self, name: &str) -> Option<Matrix> {
        let array = self.get(name)?;
        of_shape(&array.shape, array.values.iter().map(|v| f64::from(*v)).collect())
    }
}

/// A vector is one row.
fn of_shape(shape: &[usize], values: Vec<f64>) -> Option<Matrix> {
    match *shape {
        [cols] => Matrix::new(1, cols, values).ok(),
        [rows, cols] => Matrix::new(rows, cols, values).ok(),
        _ => None,
    }
}

impl<M: Module> StateDict for M {
    fn names(&self) -> Vec<String> {
        self.tensors().into_iter().map(|(name, _, _)| name).collect()
    }

    fn find(&self, name: &str) -> Option<Matrix> {
        let tensors = self.tensors();
        let (_, _, tensor) = tensors.into_iter().find(|(known, _, _)| known == name)?;
        of_shape(&tensor.dims(), tensor.data().double().into_owned())
    }
}
