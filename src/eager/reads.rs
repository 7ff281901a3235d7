//! Activations of a micro-batch on the host, shown to the observer one sequence at a time.
use crate::backend::{EngineDevice, HasShape, Scalar};
use crate::engine::Read;

use super::forward::Value;
use super::host;

/// The values of a node on the host: `[batch, seq, cols]`, or `[batch, heads, seq, cols]` for a pattern.
pub(super) struct HostValue<E> {
    values: Vec<E>,
    heads: Option<usize>,
    seq: usize,
    cols: usize,
}

impl<E: Scalar> HostValue<E> {
    /// Copies a value from its device.
    pub fn new<Dev: EngineDevice<E>>(value: &Value<E, Dev>) -> Result<Self, Dev::Err> {
        Ok(match value {
            Value::Stream(x) => {
                let (_, seq, cols) = *x.shape();
                HostValue { values: host(x)?, heads: None, seq, cols }
            }
            Value::Pattern(x) => {
                let (_, heads, seq, cols) = *x.shape();
                HostValue { values: host(x)?, heads: Some(heads), seq, cols }
            }
        })
    }

    /// The rows of sequence `i` at these positions: where they lie if these are all, in `chosen` if they are some, those of each
    /// head together.
    pub fn rows<'a>(&'a self, i: usize, positions: &'a [u32], chosen: &'a mut Vec<E>) -> Read<'a, E> {
        let (heads, rows) = (self.heads.unwrap_or(1), positions.len());
        let whole = &self.values[i * heads * self.seq * self.cols..][..heads * self.seq * self.cols];
        let data: &[E] = if rows == self.seq {
            whole
        } else {
            for head in whole.chunks_exact(self.seq * self.cols) {
                let row = |position: &u32| &head[*position as usize * self.cols..][..self.cols];
                positions.iter().for_each(|position| chosen.extend_from_slice(row(position)));
            }
            chosen
        };
        let head_stride = if self.heads.is_some() { rows * self.cols } else { 0 };
        Read { data, rows, cols: self.cols, ld: self.cols, head_stride, positions }
    }
}
