//! Activations of one sequence for the observer.
use crate::backend::{EngineDevice, HasShape, Scalar};
use crate::engine::Read;

use super::forward::Value;

/// The values of a node on the host: `[batch, seq, cols]`, or `[batch, heads, seq, cols]` for a pattern.
pub(super) struct HostValue<E> {
    values: Vec<E>,
    heads: Option<usize>,
    seq: usize,
    cols: usize,
}

/// The rows of one sequence at the positions that were asked for, those of each head together.
pub(super) struct Rows<E> {
    values: Vec<E>,
    positions: Vec<u32>,
    cols: usize,
    is_pattern: bool,
}

impl<E: Scalar> HostValue<E> {
    /// Copies a value from its device.
    pub fn new<Dev: EngineDevice<E>>(value: &Value<E, Dev>) -> Self {
        match value {
            Value::Stream(x) => {
                let (_, seq, cols) = *x.shape();
                HostValue { values: x.as_vec(), heads: None, seq, cols }
            }
            Value::Pattern(x) => {
                let (_, heads, seq, cols) = *x.shape();
                HostValue { values: x.as_vec(), heads: Some(heads), seq, cols }
            }
        }
    }

    /// The rows of sequence `i` at these positions.
    pub fn rows(&self, i: usize, positions: &[u32]) -> Rows<E> {
        let heads = self.heads.unwrap_or(1);
        let mut values = Vec::with_capacity(heads * positions.len() * self.cols);
        for head in 0..heads {
            for &position in positions {
                let row = (i * heads + head) * self.seq + position as usize;
                values.extend_from_slice(&self.values[row * self.cols..(row + 1) * self.cols]);
            }
        }
        Rows { values, positions: positions.to_vec(), cols: self.cols, is_pattern: self.heads.is_some() }
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
            head_stride: if self.is_pattern { rows * self.cols } else { 0 },
            positions: &self.positions,
        }
    }
}
