//! Probes of weights whose widths the compiler checks.
use crate::Result;
use crate::backend::Dim;
use crate::nn::{AnyParam, Param};

use super::map::relu;
use super::{Association, Counter, Matrix};

/// A memory recall written with the parameters themselves instead of their names: rows of width `D`, multiplied by one weight
/// matrix after the other.
///
/// A map of another width does not compile where the widths are `Const`, and is an error with both shapes where they
/// are `usize`.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::nn::{Init, Param};
/// use ihead::probe::{Association, Rows};
/// # fn main() -> ihead::Result<()> {
/// let embed: Param<(Const<5>, Const<8>)> = Param::new((Const, Const), Init::Zeros);
/// let wv: Param<(Const<4>, Const<8>)> = Param::new((Const, Const), Init::Zeros);
/// let output: Param<(Const<5>, Const<4>)> = Param::new((Const, Const), Init::Zeros);
/// let scores: Rows<Const<5>> = Rows::of(&embed)?.through(&wv)?.through(&output)?;
/// let recalled = scores.recall(&Association::ITSELF)?;
/// assert_eq!(recalled.mean(), Some(0.2)); // all scores equal: the first wins
/// # Ok(())
/// # }
/// ```
///
/// ```compile_fail
/// # use ihead::backend::Const;
/// # use ihead::nn::{Init, Param};
/// # use ihead::probe::Rows;
/// # let embed: Param<(Const<5>, Const<8>)> = Param::new((Const, Const), Init::Zeros);
/// # let output: Param<(Const<5>, Const<4>)> = Param::new((Const, Const), Init::Zeros);
/// let scores = Rows::of(&embed)?.through(&output)?; // rows of width 8 into a map of width 4
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Rows<D: Dim> {
    values: Matrix,
    dim: D,
}

impl<D: Dim> Rows<D> {
    /// The rows of a table `[rows, dim]`.
    ///
    /// # Errors
    /// None for a parameter of consistent shape.
    pub fn of<R: Dim>(table: &Param<(R, D)>) -> Result<Self> {
        Ok(Rows { values: matrix(table)?, dim: table.shape().1 })
    }

    /// `W x` of each row, `[rows, out]`.
    ///
    /// # Errors
    /// If run-time widths differ.
    pub fn through<E: Dim>(&self, weight: &Param<(E, D)>) -> Result<Rows<E>> {
        let values = self.values.times_transposed(&matrix(weight)?, "weight of a map")?;
        Ok(Rows { values, dim: weight.shape().0 })
    }

    /// `max(x, 0)` of each row.
    pub fn relu(self) -> Self {
        Rows { values: relu(self.values), dim: self.dim }
    }

    /// The dot product of each row with each row of `keys`, `[rows, keys]`.
    ///
    /// # Errors
    /// If run-time widths differ.
    pub fn against(&self, keys: &Rows<D>) -> Result<Rows<usize>> {
        let values = self.values.times_transposed(&keys.values, "keys of a recall")?;
        Ok(Rows { dim: values.cols(), values })
    }

    /// Counts how many pairs of `association` these scores `[rows, targets]` recall; column `j` is the score of target `j`.
    ///
    /// # Errors
    /// If the association is of more things than there are rows or columns.
    pub fn recall(&self, association: &Association) -> Result<Counter> {
        association.recall(&self.values)
    }

    /// Their width.
    pub fn dim(&self) -> D {
        self.dim
    }

    /// The values.
    pub fn values(&self) -> &Matrix {
        &self.values
    }
}

fn matrix<R: Dim, C: Dim>(param: &Param<(R, C)>) -> Result<Matrix> {
    let (rows, cols) = param.shape();
    Matrix::new(rows.size(), cols.size(), param.data().double().into_owned())
}
