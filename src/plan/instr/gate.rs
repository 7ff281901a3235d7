//! The gate of a SwiGLU layer.
use std::ops::Range;

use crate::graph::WeightId;
use crate::kernels::{Beta, Buffer, Element, add_into, silu_gate_row, silu_gate_row_back};
use crate::plan::program::{Program, Val};
use crate::plan::text::Text;

use super::{Frame, Instruction};

/// `out = silu(gate) * up`, element by element: one pass over the rows instead of two, and no `silu(gate)` is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gate {
    pub out: Val,
    pub gate: Val,
    pub up: Val,
}

impl Instruction for Gate {
    fn out(&self) -> Option<Val> {
        Some(self.out)
    }

    fn inputs(&self) -> Vec<Val> {
        vec![self.gate, self.up]
    }

    fn vals_mut(&mut self) -> Vec<&mut Val> {
        vec![&mut self.out, &mut self.gate, &mut self.up]
    }

    fn weights(&self) -> Vec<WeightId> {
        vec![]
    }

    fn reads_out_backward(&self) -> bool {
        false
    }

    fn read_backward(&self, _: &Program) -> Vec<Val> {
        vec![self.gate, self.up]
    }

    fn forward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, ranges) = (frame.program(), frame.row_ranges(self.out));
        frame.write(self.out, |ws, buffer| {
            let [gate, up] = [self.gate, self.up].map(|val| ws.value(program, val));
            ranges.for_each(|range| {
                silu_gate_row(&mut buffer[range.clone()], &gate[range.clone()], &up[range]);
            });
        });
    }

    fn backward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, ranges) = (frame.program(), frame.row_ranges(self.out));
        let Some(d_out) = frame.ws.take_gradient(program, self.out) else { return };
        let cols = program.info(self.out).cols;
        let mut scratch = std::mem::take(&mut frame.ws.scratch);
        let (gate_row, up_row) = scratch.scratch(2 * cols).split_at_mut(cols);
        let [mut d_gate, mut d_up] = [self.gate, self.up].map(|val| frame.ws.open(program, val));
        for range in ranges {
            let [gate, up] = [self.gate, self.up].map(|val| &frame.ws.value(program, val)[range.clone()]);
            let d_gate = Target::new(&mut d_gate, range.clone(), gate_row);
            let d_up = Target::new(&mut d_up, range.clone(), up_row);
            silu_gate_row_back(d_gate.row, d_up.row, &d_out[range], gate, up);
            d_gate.finish();
            d_up.finish();
        }
        frame.ws.scratch = scratch;
        for (val, d) in [(self.gate, d_gate), (self.up, d_up)] {
            if let Some((d, _)) = d {
                frame.ws.put_gradient(program, val, d);
            }
        }
        frame.ws.put_gradient(program, self.out, d_out);
    }

    fn text(&self, _: &Text<'_>) -> String {
        format!("silu of {} times {}", self.gate, self.up)
    }
}

/// Where one row of a gradient is written: in its place, or beside it, to be added to what is there, or to be forgotten.
struct Target<'a, E> {
    row: &'a mut [E],
    add_to: Option<&'a mut [E]>,
}

impl<'a, E: Element> Target<'a, E> {
    fn new(opened: &'a mut Option<(Buffer<E>, Beta)>, range: Range<usize>, beside: &'a mut [E]) -> Self {
        match opened {
            Some((d, Beta::Zero)) => Target { row: &mut d[range], add_to: None },
            Some((d, Beta::Add)) => Target { row: beside, add_to: Some(&mut d[range]) },
            None => Target { row: beside, add_to: None },
        }
    }

    fn finish(self) {
        if let Some(sum) = self.add_to {
            add_into(sum, self.row);
        }
    }
}
