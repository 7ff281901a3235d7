//! Maps of rows, and paths of them through a model.
use std::fmt;
use std::sync::Arc;

use crate::{Error, Result};

use super::{Matrix, StateDict};

/// A map of the rows of a matrix: implement it for what the library lacks, and put it in a [`Path`].
pub trait Map: fmt::Debug + Send + Sync {
    /// The image of each row, `[n, in]` to `[n, out]`.
    ///
    /// # Errors
    /// If the rows have another width than the map takes.
    fn apply(&self, rows: &Matrix) -> Result<Matrix>;
}

/// One step of a [`Path`].
#[derive(Clone, Debug)]
pub enum Step {
    /// `W x`, with the weight `[out, in]` of this name.
    Linear(String),
    /// The same, or nothing where the model has no weight of this name: an identity map has no key.
    LinearIfPresent(String),
    /// `max(x, 0)`.
    Relu,
    /// `factor x`.
    Scale(f64),
    /// Only the part of one head: the columns of the others become 0.
    Head {
        /// Which head.
        head: usize,
        /// Of how many.
        heads: usize,
    },
    /// A map of one's own.
    Own(Arc<dyn Map>),
}

impl Step {
    fn apply(&self, x: Matrix, weights: &dyn StateDict) -> Result<Matrix> {
        match self {
            Step::Linear(name) => x.times_transposed(&weights.matrix(name)?, name),
            Step::LinearIfPresent(name) => match weights.find(name) {
                Some(weight) => x.times_transposed(&weight, name),
                None => Ok(x),
            },
            Step::Relu => Ok(relu(x)),
            Step::Scale(factor) => Ok(scaled(x, *factor)),
            Step::Head { head, heads } => only_head(x, *head, *heads),
            Step::Own(map) => map.apply(&x),
        }
    }
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
        return Err(Error::usage(format!("head {head} of {heads} in rows of width {cols}")));
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

/// Rows of a table and the maps that they go through, by name: `tok_embeddings.weight -> layers.1.attention.wv.weight`.
///
/// It is a value: nothing is computed until weights are given.
///
/// ```
/// use ihead::probe::Path;
/// let values = Path::rows("tok_embeddings.weight").through("layers.1.attention.wv.weight");
/// let ff = values.clone().through("layers.1.ff.w1.weight").relu().through("layers.1.ff.w2.weight");
/// assert_eq!(values.to_string(), "tok_embeddings.weight -> layers.1.attention.wv.weight");
/// # drop(ff);
/// ```
#[derive(Clone, Debug)]
pub struct Path {
    table: String,
    steps: Vec<Step>,
}

impl Path {
    /// The rows of the table of this name.
    pub fn rows(table: impl Into<String>) -> Self {
        Path { table: table.into(), steps: Vec::new() }
    }

    /// Then this step.
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Then the linear map whose weight `[out, in]` has this name.
    pub fn through(self, weight: impl Into<String>) -> Self {
        self.then(Step::Linear(weight.into()))
    }

    /// Then the linear map whose weight has this name, or the identity where the model has none.
    pub fn through_if_present(self, weight: impl Into<String>) -> Self {
        self.then(Step::LinearIfPresent(weight.into()))
    }

    /// Then `max(x, 0)`.
    pub fn relu(self) -> Self {
        self.then(Step::Relu)
    }

    /// Then `factor x`.
    pub fn scaled(self, factor: f64) -> Self {
        self.then(Step::Scale(factor))
    }

    /// Then only the columns of head `head` of `heads`.
    pub fn head(self, head: usize, heads: usize) -> Self {
        self.then(Step::Head { head, heads })
    }

    /// Then a map of one's own.
    pub fn through_map(self, map: impl Map + 'static) -> Self {
        self.then(Step::Own(Arc::new(map)))
    }

    /// The table.
    pub(super) fn table(&self, weights: &dyn StateDict) -> Result<Matrix> {
        weights.matrix(&self.table)
    }

    /// The image of some rows of the table.
    pub(super) fn map(&self, rows: Matrix, weights: &dyn StateDict) -> Result<Matrix> {
        self.steps.iter().try_fold(rows, |x, step| step.apply(x, weights))
    }

    /// The image of every row, `[rows, out]`.
    ///
    /// # Errors
    /// If there is no weight of a name, or a map does not fit: the message has both shapes.
    pub fn apply(&self, weights: &dyn StateDict) -> Result<Matrix> {
        self.map(self.table(weights)?, weights)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table)?;
        for step in &self.steps {
            match step {
                Step::Linear(name) => write!(f, " -> {name}")?,
                Step::LinearIfPresent(name) => write!(f, " -> {name} (or identity)")?,
                Step::Relu => write!(f, " -> relu")?,
                Step::Scale(factor) => write!(f, " -> times {factor}")?,
                Step::Head { head, heads } => write!(f, " -> head {head} of {heads}")?,
                Step::Own(map) => write!(f, " -> {map:?}")?,
            }
        }
        Ok(())
    }
}
