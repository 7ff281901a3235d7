//! A penalty of an activation.
use crate::engine::Penalty;
use crate::graph::WeightId;
use crate::kernels::{Beta, Element};
use crate::plan::program::{Program, Val};
use crate::plan::text::Text;

use super::{Frame, Instruction};

/// Term `term` of the loss: the mean over positions of the penalty of `x`, summed over its width.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SitePenalty {
    pub x: Val,
    pub penalty: Penalty,
    pub term: usize,
}

impl Instruction for SitePenalty {
    fn out(&self) -> Option<Val> {
        None
    }

    fn inputs(&self) -> Vec<Val> {
        vec![self.x]
    }

    fn vals_mut(&mut self) -> Vec<&mut Val> {
        vec![&mut self.x]
    }

    fn weights(&self) -> Vec<WeightId> {
        vec![]
    }

    fn reads_out_backward(&self) -> bool {
        false
    }

    fn read_backward(&self, _: &Program) -> Vec<Val> {
        vec![self.x]
    }

    fn forward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, mean) = (frame.program(), frame.shares.means[self.term]);
        let values = frame.ws.value(program, self.x);
        let row = |range: std::ops::Range<usize>| -> f64 {
            values[range].iter().map(|x| self.penalty.at(x.to_f64()).0).sum()
        };
        let sum: f64 = frame.row_ranges(self.x).map(row).sum();
        frame.sums.losses[self.term] += sum * mean;
    }

    fn backward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, share) = (frame.program(), frame.shares.gradient(self.term));
        let ranges = frame.row_ranges(self.x);
        let Some((mut dx, beta)) = frame.ws.open(program, self.x) else { return };
        let values = frame.ws.value(program, self.x);
        for range in ranges {
            for (d, x) in dx[range.clone()].iter_mut().zip(&values[range]) {
                let gradient = E::from_f64(share * self.penalty.at(x.to_f64()).1);
                *d = if beta == Beta::Add { *d + gradient } else { gradient };
            }
        }
        frame.ws.put_gradient(program, self.x, dx);
    }

    fn text(&self, _: &Text<'_>) -> String {
        format!("loss {}: {:?} of {}", self.term, self.penalty, self.x)
    }
}
