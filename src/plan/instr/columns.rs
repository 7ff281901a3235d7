//! Some columns of a stream, and columns side by side.
use crate::graph::WeightId;
use crate::kernels::{Beta, Element, add_into, clear, padded};
use crate::plan::program::{Program, Val};
use crate::plan::text::Text;

use super::{Frame, Instruction};

/// The columns of `x` from `first` on, as many as `out` has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Columns {
    pub out: Val,
    pub x: Val,
    pub first: usize,
}

/// The columns of all inputs, side by side.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Concat {
    pub out: Val,
    pub inputs: Vec<Val>,
}

impl Instruction for Columns {
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
        let (program, ranges) = (frame.program(), frame.row_ranges(self.out));
        let ld = padded(program.info(self.x).cols);
        frame.write(self.out, |ws, buffer| {
            let x = ws.value(program, self.x);
            for (r, to) in ranges.enumerate() {
                let from = r * ld + self.first;
                let width = to.len();
                buffer[to].copy_from_slice(&x[from..from + width]);
            }
        });
    }

    fn backward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (ranges, n) = (frame.row_ranges(self.out), frame.positions(self.x).len());
        let ld = padded(frame.program().info(self.x).cols);
        frame.pass_back(self.out, self.x, |_, dy, dx, beta| {
            if beta == Beta::Zero {
                clear(&mut dx[..n * ld]);
            }
            for (r, from) in ranges.enumerate() {
                let to = r * ld + self.first;
                add_into(&mut dx[to..to + from.len()], &dy[from]);
            }
        });
    }

    fn text(&self, _: &Text<'_>) -> String {
        format!("columns from {} of {}", self.first, self.x)
    }
}

impl Concat {
    /// Each input with its first column.
    fn parts<'a, E: Element>(
        &'a self,
        frame: &Frame<'a, E>,
    ) -> impl Iterator<Item = (Val, usize)> + use<'a, E> {
        let program = frame.program();
        self.inputs.iter().scan(0, move |first, input| {
            let at = *first;
            *first += program.info(*input).cols;
            Some((*input, at))
        })
    }
}

impl Instruction for Concat {
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
        false
    }

    fn read_backward(&self, _: &Program) -> Vec<Val> {
        vec![]
    }

    fn forward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let program = frame.program();
        let ld = padded(program.info(self.out).cols);
        for (input, first) in self.parts(frame) {
            let ranges = frame.row_ranges(input);
            frame.write(self.out, |ws, buffer| {
                let x = ws.value(program, input);
                for (r, from) in ranges.enumerate() {
                    let to = r * ld + first;
                    buffer[to..to + from.len()].copy_from_slice(&x[from]);
                }
            });
        }
    }

    fn backward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let ld = padded(frame.program().info(self.out).cols);
        for (input, first) in self.parts(frame) {
            let ranges = frame.row_ranges(input);
            frame.pass_back(self.out, input, |_, dy, dx, beta| {
                for (r, to) in ranges.enumerate() {
                    let from = r * ld + first;
                    let dy = &dy[from..from + to.len()];
                    match beta {
                        Beta::Zero => dx[to].copy_from_slice(dy),
                        Beta::Add => add_into(&mut dx[to], dy),
                    }
                }
            });
        }
    }

    fn text(&self, text: &Text<'_>) -> String {
        format!("concat of {}", text.vals(&self.inputs))
    }
}
