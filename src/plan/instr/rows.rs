//! Operations on each row by itself.
use std::ops::Range;

use crate::graph::WeightId;
use crate::kernels::{Beta, Element, add_into, padded};
use crate::ops::{Operation, Row, RowOp};
use crate::plan::program::{Program, Val};
use crate::plan::text::Text;
use crate::plan::workspace::Workspace;

use super::{Frame, Instruction};

/// `out[t] = op(inputs[t])`, the columns of each of the `heads` by themselves; perhaps where its only input stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rows {
    pub out: Val,
    pub op: RowOp,
    pub inputs: Vec<Val>,
    pub heads: usize,
}

/// The parts of rows of an operation: part `i` is that of head `i % heads` of row `i / heads`.
#[derive(Clone, Copy)]
struct Parts {
    rows: usize,
    heads: usize,
}

impl Parts {
    fn count(self) -> usize {
        self.rows * self.heads
    }

    /// Where part `i` of a value of so many columns lies.
    fn range(self, i: usize, cols: usize) -> Range<usize> {
        let width = cols / self.heads;
        let start = i / self.heads * padded(cols) + i % self.heads * width;
        start..start + width
    }
}

impl Rows {
    /// Whether the value may be computed in the buffer of its input, if nobody else reads that.
    pub fn may_replace_its_input(&self) -> bool {
        self.inputs.len() == 1 && !self.op.reads_inputs_backward()
    }

    fn parts<E: Element>(&self, frame: &Frame<'_, E>) -> Parts {
        Parts { rows: frame.positions(self.out).len(), heads: self.heads }
    }

    /// Whether the value is computed in the buffer of its input.
    fn in_place<E: Element>(&self, frame: &Frame<'_, E>) -> bool {
        let home = |val: Val| frame.program().info(val).home;
        self.inputs.len() == 1 && home(self.out) == home(self.inputs[0])
    }

    /// Calls `body` with part `i` of each input.
    fn with_inputs<E: Element, R>(
        &self,
        ws: &Workspace<E>,
        program: &Program,
        (parts, i): (Parts, usize),
        body: impl FnOnce(&[&[E]]) -> R,
    ) -> R {
        let part = |val: Val| &ws.value(program, val)[parts.range(i, program.info(val).cols)];
        match self.inputs[..] {
            [a] => body(&[part(a)]),
            [a, b] => body(&[part(a), part(b)]),
            ref more => body(&more.iter().map(|val| part(*val)).collect::<Vec<_>>()),
        }
    }

    /// The same for the backward pass: no inputs where it reads none, as others may live in their buffers by then.
    fn with_inputs_backward<E: Element, R>(
        &self,
        ws: &Workspace<E>,
        program: &Program,
        part: (Parts, usize),
        body: impl FnOnce(&[&[E]]) -> R,
    ) -> R {
        if self.op.reads_inputs_backward() { self.with_inputs(ws, program, part, body) } else { body(&[]) }
    }
}

impl Instruction for Rows {
    fn out(&self) -> Option<Val> {
        Some(self.out)
    }

    fn inputs(&self) -> Vec<Val> {
        self.inputs.clone()
    }

    fn vals_mut(&mut self) -> Vec<&mut Val> {
        std::iter::once(&mut self.out).chain(&mut self.inputs).collect()
    }

    fn weights(&self) -> Vec<WeightId> {
        vec![]
    }

    fn reads_out_backward(&self) -> bool {
        self.op.reads_out_backward()
    }

    fn read_backward(&self, _: &Program) -> Vec<Val> {
        if self.op.reads_inputs_backward() { self.inputs.clone() } else { vec![] }
    }

    fn forward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, parts, in_place) = (frame.program(), self.parts(frame), self.in_place(frame));
        let cols = program.info(self.out).cols;
        frame.write(self.out, |ws, buffer| {
            let mut kept = std::mem::take(&mut ws.kept[self.out.0]);
            let mut row = std::mem::take(&mut ws.row);
            for i in 0..parts.count() {
                let out = &mut buffer[parts.range(i, cols)];
                kept[i] = if in_place {
                    row[..out.len()].copy_from_slice(out);
                    self.op.forward(&[&row[..out.len()]], out)
                } else {
                    self.with_inputs(ws, program, (parts, i), |inputs| self.op.forward(inputs, out))
                };
            }
            ws.kept[self.out.0] = kept;
            ws.row = row;
        });
    }

    fn backward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, parts) = (frame.program(), self.parts(frame));
        let cols = program.info(self.out).cols;
        if self.in_place(frame) {
            // the gradient has one buffer, too
            let Some(mut d) = frame.ws.take_gradient(program, self.out) else { return };
            let mut copy = std::mem::take(&mut frame.ws.row);
            for i in 0..parts.count() {
                let range = parts.range(i, cols);
                let d_out = &mut copy[..range.len()];
                d_out.copy_from_slice(&d[range.clone()]);
                let out = &frame.ws.value(program, self.out)[range.clone()];
                let row = Row { inputs: &[], out, d_out, kept: frame.ws.kept[self.out.0][i] };
                self.op.backward(0, &row, &mut d[range]);
            }
            frame.ws.row = copy;
            frame.ws.put_gradient(program, self.out, d);
            return;
        }
        for (which, x) in self.inputs.iter().enumerate() {
            let input_cols = program.info(*x).cols;
            frame.pass_back(self.out, *x, |ws, dy, dx, beta| {
                let mut summand = std::mem::take(&mut ws.row);
                for i in 0..parts.count() {
                    let range = parts.range(i, cols);
                    let (out, d_out) = (&ws.value(program, self.out)[range.clone()], &dy[range]);
                    let kept = ws.kept[self.out.0][i];
                    let dx = &mut dx[parts.range(i, input_cols)];
                    self.with_inputs_backward(ws, program, (parts, i), |inputs| {
                        let row = Row { inputs, out, d_out, kept };
                        match beta {
                            Beta::Zero => self.op.backward(which, &row, dx),
                            Beta::Add => {
                                let summand = &mut summand[..dx.len()];
                                self.op.backward(which, &row, summand);
                                add_into(dx, summand);
                            }
                        }
                    });
                }
                ws.row = summand;
            });
        }
    }

    fn text(&self, text: &Text<'_>) -> String {
        let heads = if self.heads == 1 { String::new() } else { format!(" by {} heads", self.heads) };
        format!("{} of {}{heads}", self.op.text(), text.vals(&self.inputs))
    }
}
