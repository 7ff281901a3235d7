//! Weights by name.
use crate::nn::{Module, ModuleExt};
use crate::{Error, Result};

use super::Matrix;

/// Where probes find weights: by their dotted state-dict names. Every [`Module`] is one.
pub trait StateDict {
    /// All names.
    fn names(&self) -> Vec<String>;

    /// The weight of this name, a vector as one row; `None` if there is none or it has more than two axes.
    fn find(&self, name: &str) -> Option<Matrix>;

    /// The weight of this name.
    ///
    /// # Errors
    /// If there is none: the nearest name is in the message.
    fn matrix(&self, name: &str) -> Result<Matrix> {
        self.find(name).ok_or_else(|| {
            let names = self.names();
            Error::unknown("weight", name, names.iter().map(String::as_str))
        })
    }

    /// Whether there is a weight of this name.
    fn has(&self, name: &str) -> bool {
        self.names().iter().any(|known| known == name)
    }
}

impl<M: Module> StateDict for M {
    fn names(&self) -> Vec<String> {
        self.tensors().into_iter().map(|(name, _, _)| name).collect()
    }

    fn find(&self, name: &str) -> Option<Matrix> {
        let tensors = self.tensors();
        let (_, _, tensor) = tensors.into_iter().find(|(known, _, _)| known == name)?;
        match tensor.dims()[..] {
            [cols] => Matrix::from_f32(1, cols, &tensor.values()).ok(),
            [rows, cols] => Matrix::from_f32(rows, cols, &tensor.values()).ok(),
            _ => None,
        }
    }
}
