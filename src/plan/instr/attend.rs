//! A pattern and the mix that it is made for, head by head.
use crate::graph::WeightId;
use crate::kernels::{Element, ViewMut, padded};
use crate::plan::program::{Program, Val};
use crate::plan::text::Text;
use crate::plan::workspace::head_mut;

use super::blocks::{Head, blocks};
use super::{DotPattern, Frame, Instruction, Mix};

/// A [`DotPattern`] and the one [`Mix`] that reads it. Each block of weights is mixed as soon as it is made, and the backward
/// pass takes one head after the other: no pattern of all heads, nor its gradient, is gone through from end to end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Attend {
    pub pattern: DotPattern,
    pub mix: Mix,
}

impl Instruction for Attend {
    fn out(&self) -> Option<Val> {
        Some(self.mix.out)
    }

    fn inputs(&self) -> Vec<Val> {
        let values = [self.mix.v].into_iter().chain(self.mix.values_t);
        self.pattern.inputs().into_iter().chain(values).collect()
    }

    fn vals_mut(&mut self) -> Vec<&mut Val> {
        let values = [&mut self.mix.out, &mut self.mix.v].into_iter().chain(&mut self.mix.values_t);
        let mut vals = self.pattern.vals_mut();
        vals.push(&mut self.mix.pattern);
        vals.extend(values);
        vals
    }

    fn weights(&self) -> Vec<WeightId> {
        self.pattern.weights()
    }

    fn reads_out_backward(&self) -> bool {
        false
    }

    fn read_backward(&self, program: &Program) -> Vec<Val> {
        let mut read = self.pattern.read_backward(program);
        read.push(self.pattern.out);
        read.extend(self.mix.read_backward(program));
        read
    }

    fn forward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, positions, t) = (frame.program(), frame.positions(self.mix.out), frame.len());
        let cols = program.info(self.mix.out).cols;
        let mut patterns = frame.ws.take(program, self.pattern.out);
        let mut out = frame.ws.take(program, self.mix.out);
        let mut mixed = ViewMut::new(&mut out, positions.len(), cols, padded(cols));
        let values_of = Head::all(self.pattern.scoring.heads, self.mix.value_heads);
        for (keys_of, values_of) in self.pattern.heads().zip(values_of) {
            let mut pattern = head_mut(&mut patterns, keys_of.index, positions.len(), t);
            for block in blocks(positions) {
                self.pattern.weigh_block(frame, keys_of, block, &mut pattern);
                self.mix.mix_block(program, frame.ws, values_of, (block, t), pattern.as_view(), &mut mixed);
            }
        }
        frame.ws.put(program, self.pattern.out, patterns);
        frame.ws.put(program, self.mix.out, out);
    }

    fn backward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        self.pattern.back_by_heads(frame, Some(&self.mix), self.mix.mixed().as_slice());
    }

    fn text(&self, text: &Text<'_>) -> String {
        let (pattern, mix) = (self.pattern.text(text), self.mix.text(text));
        format!("{mix} with {} @{} = {pattern}", self.pattern.out, text.program.info(self.pattern.out).buffer)
    }
}
