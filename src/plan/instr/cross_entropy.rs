//! Cross-entropy of the logits: against the next tokens, or against distributions of them.
use crate::graph::WeightId;
use crate::kernels::{
    Beta, Element, add_into, cross_entropy_distribution_row_grad, cross_entropy_row_grad, padded,
};
use crate::plan::program::{Program, Val};
use crate::plan::text::Text;

use super::{Frame, Instruction};

/// Term `term` of the loss: the mean cross-entropy of the logits at their positions. It leaves the gradient of the logits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CrossEntropy {
    pub logits: Val,
    pub term: usize,
    /// The row set whose distributions are the targets; without one, the next tokens are.
    pub distributions: Option<usize>,
}

impl Instruction for CrossEntropy {
    fn out(&self) -> Option<Val> {
        None
    }

    fn inputs(&self) -> Vec<Val> {
        vec![self.logits]
    }

    fn vals_mut(&mut self) -> Vec<&mut Val> {
        vec![&mut self.logits]
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

    /// Leaves `weight / positions * (softmax - target)` as the logits' gradient.
    fn forward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, positions) = (frame.program(), frame.positions(self.logits));
        let cols = program.info(self.logits).cols;
        let (mean, share) = (frame.shares.means[self.term], E::from_f64(frame.shares.gradient(self.term)));
        let ld = padded(cols);
        let opened = frame.ws.open(program, self.logits);
        let mut row = std::mem::take(&mut frame.ws.row);
        let mut scratch = std::mem::take(&mut frame.ws.scratch);
        let values = frame.ws.value(program, self.logits);
        let (mut gradient, beta) = match opened {
            Some((gradient, beta)) => (Some(gradient), beta),
            None => (None, Beta::Zero),
        };
        scratch.scratch(ld);
        let mut sum = 0.0;
        for (r, &p) in positions.iter().enumerate() {
            let (range, p) = (r * ld..(r + 1) * ld, p as usize);
            let d = match (&mut gradient, beta) {
                (Some(gradient), Beta::Zero) => &mut gradient[range.clone()],
                _ => &mut scratch[..ld],
            };
            d.copy_from_slice(&values[range.clone()]);
            let logits = &mut d[..cols];
            let loss = match self.distributions {
                None => cross_entropy_row_grad(logits, frame.seq.y[p] as usize, share),
                Some(set) => {
                    let target = &mut row[..cols];
                    let values = &frame.seq.distributions(set)[r * cols..(r + 1) * cols];
                    target.iter_mut().zip(values).for_each(|(to, value)| *to = E::from_f64(*value));
                    cross_entropy_distribution_row_grad(logits, target, share)
                }
            };
            sum += loss.to_f64() * mean;
            if let (Some(gradient), Beta::Add) = (&mut gradient, beta) {
                add_into(&mut gradient[range], &scratch[..ld]);
            }
        }
        frame.sums.losses[self.term] += sum;
        frame.ws.row = row;
        frame.ws.scratch = scratch;
        if let Some(gradient) = gradient {
            frame.ws.put_gradient(program, self.logits, gradient);
        }
    }

    /// Nothing: the forward pass has left the gradient.
    fn backward<E: Element>(&self, _: &mut Frame<'_, E>) {}

    fn text(&self, _: &Text<'_>) -> String {
        let against = if self.distributions.is_some() { "distributions" } else { "next tokens" };
        format!("loss {}: cross-entropy of {} against {against}", self.term, self.logits)
    }
}
