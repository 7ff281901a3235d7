//! Some heads of one pattern, the rest of another.
use std::sync::Arc;

use crate::graph::WeightId;
use crate::kernels::Element;
use crate::plan::program::{Program, Val};
use crate::plan::text::Text;
use crate::plan::workspace::{head, head_mut};

use super::select::copy_seen;
use super::{Frame, Instruction};

/// The chosen heads of `other`, the rest of `base`; to be read, no gradient flows through it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Splice {
    pub out: Val,
    pub base: Val,
    pub other: Val,
    pub chosen: Arc<[bool]>,
}

impl Instruction for Splice {
    fn out(&self) -> Option<Val> {
        Some(self.out)
    }

    fn inputs(&self) -> Vec<Val> {
        vec![self.base, self.other]
    }

    fn vals_mut(&mut self) -> Vec<&mut Val> {
        vec![&mut self.out, &mut self.base, &mut self.other]
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
        let (program, rows, t) = (frame.program(), frame.positions(self.out), frame.len());
        frame.write(self.out, |ws, buffer| {
            for (h, chosen) in self.chosen.iter().enumerate() {
                let from = if *chosen { self.other } else { self.base };
                let from = head(ws.value(program, from), h, rows.len(), t);
                let mut to = head_mut(buffer, h, rows.len(), t);
                for (r, &p) in rows.iter().enumerate() {
                    copy_seen(to.row_mut(r), from.row(r), p);
                }
            }
        });
    }

    fn backward<E: Element>(&self, _: &mut Frame<'_, E>) {}

    fn text(&self, _: &Text<'_>) -> String {
        let heads: Vec<usize> = (0..self.chosen.len()).filter(|h| self.chosen[*h]).collect();
        format!("{} with heads {heads:?} of {}", self.base, self.other)
    }
}
