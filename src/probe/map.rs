//! Maps of rows: the steps of a circuit.
use std::fmt;
use std::sync::Arc;

use crate::{Error, Result};

use super::Matrix;
use super::path::Held;

/// A map of the rows of a matrix, one step of a [`Circuit`](super::Circuit). Implement it for a step that the library lacks.
pub trait Map: fmt::Debug + Send + Sync {
    /// The image of each row, `[n, in]` to `[n, out]`.
    ///
    /// # Errors
    /// If the rows have another width than the map takes.
    fn apply(&self, rows: &Matrix) -> Result<Matrix>;
}

/// One step of a [`Circuit`](super::Circuit). Its `Display` is its form in a formula; a map of your own has none.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// `W x`, with the weight `[out, in]` of this name.
    Linear(String),
    /// The same. Where the model has no weight of this name, rows stay as they are, since the identity has no weight.
    LinearIfPresent(String),
    /// `max(x, 0)`.
    Relu,
    /// `factor x`.
    Scale(f64),
    /// The columns of one head stay as they are, and those of the others become 0.
    Head {
        /// Which head.
        head: usize,
        /// Of how many.
        heads: usize,
    },
    /// Your own map.
    Own(Arc<dyn Map>),
}

impl Step {
    /// The image of rows by this step, with its weight: of a step without one, and of an optional one that the model lacks, none.
    ///
    /// # Errors
    /// If the rows have another width than the step takes, its factor is not finite, its head does not divide the width, or a map of
    /// the user's fails.
    pub(super) fn apply(&self, x: Matrix, weight: Option<&Held<'_>>) -> Result<Matrix> {
        match self {
            Step::Linear(name) | Step::LinearIfPresent(name) => match weight {
                Some(weight) => x.times_borrowed(weight.matrix(), name),
                None => Ok(x),
            },
            Step::Relu => Ok(relu(x)),
            Step::Scale(factor) if !factor.is_finite() => {
                Err(Error::value("the factor of a circuit", factor, "a finite number"))
            }
            Step::Scale(factor) => Ok(scaled(x, *factor)),
            Step::Head { head, heads } => only_head(x, *head, *heads),
            Step::Own(map) => mapped(&**map, &x),
        }
    }
}

/// The rows that a map of the user's makes of others, as many.
fn mapped(map: &dyn Map, x: &Matrix) -> Result<Matrix> {
    let y = map.apply(x)?;
    if y.rows() != x.rows() {
        let found = format!("{} rows made of {}", y.rows(), x.rows());
        return Err(Error::misfit(format!("map {map:?}"), found, "a row for each"));
    }
    Ok(y)
}

/// `max(x, 0)` of each value.
pub(super) fn relu(mut x: Matrix) -> Matrix {
    x.values_mut().iter_mut().for_each(|value| *value = value.max(0.0));
    x
}

fn scaled(mut x: Matrix, factor: f64) -> Matrix {
    x.values_mut().iter_mut().for_each(|value| *value *= factor);
    x
}

fn only_head(mut x: Matrix, head: usize, heads: usize) -> Result<Matrix> {
    let cols = x.cols();
    if head >= heads || !cols.is_multiple_of(heads) {
        let found = format!("head {head} of {heads} in rows of width {cols}");
        return Err(Error::misfit("head", found, "one of the heads, which divide the width"));
    }
    let width = cols / heads;
    let kept = head * width..(head + 1) * width;
    if cols > 0 {
        for row in x.values_mut().chunks_exact_mut(cols) {
            row[..kept.start].fill(0.0);
            row[kept.end..].fill(0.0);
        }
    }
    Ok(x)
}

impl From<ihead_formula::Step> for Step {
    fn from(step: ihead_formula::Step) -> Self {
        use ihead_formula::Step as Written;
        match step {
            Written::Map(name) => Step::Linear(name),
            Written::MapOrIdentity(name) => Step::LinearIfPresent(name),
            Written::Relu => Step::Relu,
            Written::Scale(factor) => Step::Scale(factor),
            Written::Head { head, heads } => Step::Head { head, heads },
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Linear(name) => write!(f, "{name}"),
            Step::LinearIfPresent(name) => write!(f, "{name}?"),
            Step::Relu => write!(f, "relu"),
            Step::Scale(factor) => write!(f, "scale({factor})"),
            Step::Head { head, heads } => write!(f, "head({head}/{heads})"),
            Step::Own(map) => write!(f, "{map:?}"),
        }
    }
}
