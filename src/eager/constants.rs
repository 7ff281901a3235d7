//! Matrices and indices that follow from the graph and the shape of a batch: sent to the device once.
use std::cell::RefCell;
use std::collections::HashMap;

use crate::backend::{EngineDevice, Scalar, Tensor};

use super::{Matrix, scalar};

/// What a constant is, and the numbers that tell it from others of its name.
type Key = (&'static str, Vec<u64>);

/// Rows of a table, or numbers of rows, `[rows, cols]`.
pub(super) type Indices<Dev> = Tensor<(usize, usize), usize, Dev>;

/// The constants of one graph on one device.
pub(super) struct Constants<E: Scalar, Dev: EngineDevice<E>> {
    /// The device.
    pub device: Dev,
    matrices: RefCell<HashMap<Key, Matrix<E, Dev>>>,
    indices: RefCell<HashMap<Key, Indices<Dev>>>,
}

impl<E: Scalar, Dev: EngineDevice<E>> Constants<E, Dev> {
    /// None yet.
    pub fn new(device: Dev) -> Self {
        Constants { device, matrices: RefCell::default(), indices: RefCell::default() }
    }

    /// The matrix `[rows, cols]` whose elements are `value(row, col)`: one of this name, numbers and shape is made once.
    pub fn matrix(
        &self,
        (name, numbers): (&'static str, &[u64]),
        (rows, cols): (usize, usize),
        value: impl Fn(usize, usize) -> f64,
    ) -> Result<Matrix<E, Dev>, Dev::Err> {
        self.rows((name, numbers), (rows, cols), &|row| (0..cols).map(|col| value(row, col)).collect())
    }

    /// The same matrix from the values of each row.
    pub fn rows(
        &self,
        (name, numbers): (&'static str, &[u64]),
        (rows, cols): (usize, usize),
        row: &dyn Fn(usize) -> Vec<f64>,
    ) -> Result<Matrix<E, Dev>, Dev::Err> {
        let key = key(name, numbers, (rows, cols));
        if let Some(known) = self.matrices.borrow().get(&key) {
            return Ok(known.clone());
        }
        let values = (0..rows).flat_map(row).map(scalar).collect();
        let made = self.device.try_tensor_from_vec(values, (rows, cols))?;
        self.matrices.borrow_mut().insert(key, made.clone());
        Ok(made)
    }

    /// The indices `[rows, cols]` that are `value(row, col)`: made once as well.
    pub fn indices(
        &self,
        (name, numbers): (&'static str, &[u64]),
        (rows, cols): (usize, usize),
        value: &dyn Fn(usize, usize) -> usize,
    ) -> Result<Indices<Dev>, Dev::Err> {
        let key = key(name, numbers, (rows, cols));
        if let Some(known) = self.indices.borrow().get(&key) {
            return Ok(known.clone());
        }
        let values = (0..rows * cols).map(|i| value(i / cols, i % cols)).collect();
        let made = self.device.try_tensor_from_vec(values, (rows, cols))?;
        self.indices.borrow_mut().insert(key, made.clone());
        Ok(made)
    }
}

fn key(name: &'static str, numbers: &[u64], (rows, cols): (usize, usize)) -> Key {
    (name, numbers.iter().copied().chain([rows as u64, cols as u64]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Cpu;

    #[test]
    fn a_constant_is_made_once_for_each_name_numbers_and_shape() {
        let constants = Constants::<f64, Cpu>::new(Cpu::default());
        let of = |name, numbers: &[u64], shape, value: f64| {
            constants.matrix((name, numbers), shape, |r, c| value + (r * 10 + c) as f64).unwrap().as_vec()
        };
        assert_eq!(of("a", &[1], (2, 2), 0.0), [0.0, 1.0, 10.0, 11.0]);
        assert_eq!(of("a", &[1], (2, 2), 5.0), [0.0, 1.0, 10.0, 11.0]);
        for (name, numbers, shape) in [("b", [1], (2, 2)), ("a", [2], (2, 2)), ("a", [1], (1, 2))] {
            assert_eq!(of(name, &numbers, shape, 5.0)[..2], [5.0, 6.0]);
        }
        let rows = |value| constants.indices(("a", &[]), (1, 2), &|_, c| value + c).unwrap().as_vec();
        assert_eq!((rows(3), rows(4)), (vec![3, 4], vec![3, 4]));
    }
}
