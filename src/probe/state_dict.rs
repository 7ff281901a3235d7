//! Weights by name.
use std::collections::BTreeMap;

use crate::io::Array;
use crate::nn::{Module, ModuleExt, Values, unknown};
use crate::{Error, Result, names};

use super::Matrix;

/// Weights by their dotted names, in which probes find them. Every [`Module`] is one, and what
/// [`io::read`](crate::io::read) reads of a file.
pub trait StateDict {
    /// All names.
    fn names(&self) -> Vec<String>;

    /// The weight of this name, a vector as one row; `None` if there is none or it has more than two axes.
    fn find(&self, name: &str) -> Option<Matrix>;

    /// Borrows the weight of this name, a vector as one row, if it is held as [`Values`]; what cannot be borrowed is copied by
    /// [`find`](Self::find).
    fn borrowed(&self, name: &str) -> Option<BorrowedMatrix<'_>> {
        let _ = name;
        None
    }

    /// The weight of this name, or the only one of the module of this name.
    fn find_short(&self, name: &str) -> Option<Matrix> {
        self.find(name).or_else(|| self.find(names::only(name, self.names().iter().map(String::as_str))?))
    }

    /// Borrows the weight of this name, or the only one of the module of this name, if it is held as [`Values`].
    fn borrowed_short(&self, name: &str) -> Option<BorrowedMatrix<'_>> {
        let names = self.names();
        let known = names.iter().find(|known| *known == name).map(String::as_str);
        self.borrowed(known.or_else(|| names::only(name, names.iter().map(String::as_str)))?)
    }

    /// The weight of this name, or the only one of the module of this name.
    ///
    /// # Errors
    /// If there is none: the nearest name is in the message.
    fn matrix(&self, name: &str) -> Result<Matrix> {
        self.find_short(name).ok_or_else(|| no_weight(name, &self.names()))
    }

    /// The names that a pattern stands for, in order: a name, a pattern with `*` for any characters, or either for the path of
    /// a module that holds one weight alone.
    ///
    /// # Errors
    /// If it stands for none: the nearest name is in the message.
    fn matching(&self, pattern: &str) -> Result<Vec<String>> {
        meant(pattern, &self.names())
    }

    /// Whether there is a weight of this name.
    fn has(&self, name: &str) -> bool {
        self.names().iter().any(|known| known == name)
    }
}

/// A matrix `[rows, cols]` that is borrowed, row-major, in the precision in which it is kept.
#[derive(Clone, Copy, Debug)]
pub struct BorrowedMatrix<'a> {
    rows: usize,
    cols: usize,
    /// `rows * cols` of them.
    values: Numbers<'a>,
}

/// Numbers in the precision in which they are kept.
#[derive(Clone, Copy, Debug)]
pub(super) enum Numbers<'a> {
    Single(&'a [f32]),
    Double(&'a [f64]),
}

impl<'a> BorrowedMatrix<'a> {
    /// Borrows values of this shape. A vector is one row; `None` of more than two axes, or if there are not as many values.
    pub fn new(shape: &[usize], values: &'a Values) -> Option<Self> {
        let (rows, cols) = match *shape {
            [cols] => (1, cols),
            [rows, cols] => (rows, cols),
            _ => return None,
        };
        let numbers = match values {
            Values::Single(values) => Numbers::Single(values),
            Values::Double(values) => Numbers::Double(values),
        };
        let fits = rows.checked_mul(cols) == Some(values.len());
        fits.then_some(BorrowedMatrix { rows, cols, values: numbers })
    }

    /// Borrows a matrix.
    pub(super) fn of(matrix: &'a Matrix) -> Self {
        let (rows, cols) = (matrix.rows(), matrix.cols());
        BorrowedMatrix { rows, cols, values: Numbers::Double(matrix.values()) }
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The values, `rows * cols` of them, row-major.
    pub(super) fn values(&self) -> Numbers<'a> {
        self.values
    }
}

/// There is no weight of this name.
fn no_weight(name: &str, names: &[String]) -> Error {
    let short = names.iter().filter_map(|name| name.strip_suffix(".weight"));
    let known = names.iter().map(String::as_str);
    match names.iter().any(|known| known.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))) {
        true => unknown("weight", name, known),
        false => Error::unknown("weight", name, known.chain(short)),
    }
}

/// The names that a pattern stands for.
fn meant(pattern: &str, names: &[String]) -> Result<Vec<String>> {
    let names = || names.iter().map(String::as_str);
    let found: Vec<String> = names::stands_for(pattern, names()).into_iter().map(String::from).collect();
    if found.is_empty() { Err(unknown("weight", pattern, names())) } else { Ok(found) }
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

    fn borrowed(&self, name: &str) -> Option<BorrowedMatrix<'_>> {
        let array = self.get(name)?;
        BorrowedMatrix::new(&array.shape, &array.values)
    }
}

/// Weights by name that a program built itself.
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

    fn borrowed(&self, name: &str) -> Option<BorrowedMatrix<'_>> {
        let (_, _, tensor) = self.tensors().into_iter().find(|(known, _, _)| known == name)?;
        BorrowedMatrix::new(&tensor.dims(), tensor.data())
    }
}
