//! Activations of one sequence for the observer.
use crate::backend::{EngineDevice, Scalar};
use crate::engine::Read;

use super::forward::Value;

/// The values of a node on the host, `[batch, heads, seq, cols]`; a stream has one head.
pub(super) struct HostValue<E> {
    values: Vec<E>,
    heads: usize,
    seq: usize,
    cols: usize,
}

/// The rows of one sequence at the positions that were asked for, `[heads, positions, cols]`.
pub(super) struct Rows<E> {
    values: Vec<E>,
    positions: Vec<u32>,
    cols: usize,
    heads: usize,
}

impl<E: Scalar> HostValue<E> {
    /// Copies a value from its device.
    pub fn new<Dev: EngineDevice<E>>(value: &Value<E, Dev>) -> Self {
        use crate::backend::HasShape;
        match value {
            Value::Stream(x) => {
                let (_, seq, cols) = *x.shape();
                HostValue { values: x.as_vec(), heads: 1, seq, cols }
            }
            Value::Pattern(x) => {
                let (_, heads, seq, cols) = *x.shape();
                HostValue { values: x.as_vec(), heads, seq, cols }
            }
        }
    }

    /// The rows of sequence `i` at these positions.
    pub fn rows(&self, i: usize, positions: &[u32]) -> Rows<E> {
        let mut values = Vec::with_capacity(self.heads * positions.len() * self.cols);
        for head in 0..self.heads {
            for &position in positions {
                let row = (i * self.heads + head) * self.seq + position as usize;
                values.extend_from_slice(&self.values[row * self.cols..(row + 1) * self.cols]);
            }
        }
        Rows { values, positions: positions.to_vec(), cols: self.cols, heads: self.heads }
    }
}

impl<E> Rows<E> {
    /// The same, as the observer sees it.
    pub fn read(&self) -> Read<'_, E> {
        let rows = self.positions.len();
        Read {
            data: &self.values,
            rows,
            cols: self.cols,
            ld: self.cols,
            head_stride: if self.heads > 1 { rows * self.cols } else { 0 },
            positions: &self.positions,
        }
    }
}
