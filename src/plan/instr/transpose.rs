//! The transpose of a stream, for products that read it by columns.
use crate::graph::WeightId;
use crate::kernels::{Element, ViewMut, padded, transpose};
use crate::plan::program::{Program, Val};
use crate::plan::text::Text;

use super::{Frame, Instruction};

/// `x^T`, padded with zeros to the vector width. No gradient flows through it: its readers know `x`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Transpose {
    pub out: Val,
    pub x: Val,
}

impl Instruction for Transpose {
    fn out(&self) -> Option<Val> {
        Some(self.out)
    }

    fn inputs(&self) -> Vec<Val> {
        vec![self.x]
    }

    fn vals_mut(&mut self) -> Vec<&mut Val> {
        vec![&mut self.out, &mut self.x]
    }

    fn weights(&self) -> Vec<WeightId> {
        vec![]
    }

    fn reads_out_backward(&self) -> bool {
        false
    }

    fn read_backward(&self, _: &Program) -> Vec<Val> {
        vec![]
    }

    fn forward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, t) = (frame.program(), frame.len());
        let cols = program.info(self.x).cols;
        frame.write(self.out, |ws, buffer| {
            transpose(ViewMut::new(buffer, cols, t, padded(t)), ws.stream(program, self.x, t));
        });
    }

    fn backward<E: Element>(&self, _: &mut Frame<'_, E>) {}

    fn text(&self, _: &Text<'_>) -> String {
        format!("transpose of {}", self.x)
    }
}
