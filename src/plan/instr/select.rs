//! The rows of a value at some of its positions.
use crate::graph::WeightId;
use crate::kernels::{Element, View, clear, padded};
use crate::plan::program::{FrozenMix, Layout, Program, Val};
use crate::plan::text::Text;
use crate::plan::workspace::{head, head_mut};

use super::{Frame, Instruction};

/// The rows of `x` at the positions of `out`. A pattern is selected to be read: no gradient flows through it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Select {
    pub out: Val,
    pub x: Val,
}

/// A row of a pattern at position `p`: beyond the keys that a query sees, a pattern's buffer is not defined.
pub(super) fn copy_seen<E: Element>(to: &mut [E], from: &[E], p: u32) {
    let seen = p as usize + 1;
    to[..seen].copy_from_slice(&from[..seen]);
    clear(&mut to[seen..]);
}

impl Select {
    /// Rows of a mix with frozen values: their gradient becomes that of the pattern.
    fn backward_to_pattern<E: Element>(&self, frame: &mut Frame<'_, E>, mix: FrozenMix) {
        let (program, positions) = (frame.program(), frame.positions(self.out));
        let Some(dy) = frame.ws.take_gradient(program, self.out) else { return };
        if let Some(mut to) = frame.open_pattern(mix) {
            let cols = program.info(self.out).cols;
            to.add_rows(frame, positions, View::new(&dy, positions.len(), cols, padded(cols)));
            frame.close_pattern(to);
        }
        frame.ws.put_gradient(program, self.out, dy);
    }

    fn is_pattern<E: Element>(&self, frame: &Frame<'_, E>) -> bool {
        frame.program().info(self.x).layout == Layout::Pattern
    }

    fn queries<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, rows, t) = (frame.program(), frame.positions(self.out), frame.len());
        frame.write(self.out, |ws, buffer| {
            for h in 0..program.info(self.x).heads {
                let from = head(ws.value(program, self.x), h, t, t);
                let mut to = head_mut(buffer, h, rows.len(), t);
                for (r, &p) in rows.iter().enumerate() {
                    copy_seen(to.row_mut(r), from.row(p as usize), p);
                }
            }
        });
    }
}

impl Instruction for Select {
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

    fn read_backward(&self, program: &Program) -> Vec<Val> {
        program.info(self.x).frozen_mix.map(|mix| mix.values_t).into_iter().collect()
    }

    fn forward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        if self.is_pattern(frame) {
            return self.queries(frame);
        }
        let rows = frame.positions(self.out).iter().map(|p| Some(*p as usize));
        frame.copy_rows(self.out, self.x, rows);
    }

    fn backward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        if let Some(mix) = frame.frozen_mix(self.x, frame.positions(self.out).len()) {
            return self.backward_to_pattern(frame, mix);
        }
        let rows = frame.positions(self.out).iter().map(|p| Some(*p as usize));
        frame.add_rows(self.out, self.x, rows);
    }

    fn text(&self, _: &Text<'_>) -> String {
        format!("select of {}", self.x)
    }
}
