//! A pattern that follows a rule.
use crate::graph::{FixedPattern as Rule, WeightId};
use crate::kernels::{Element, clear};
use crate::plan::program::{Program, Val};
use crate::plan::text::Text;
use crate::plan::workspace::head_mut;

use super::{Frame, Instruction};

/// A pattern that looks where its rule says, in each head.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FixedPattern {
    pub out: Val,
    pub rule: Rule,
}

impl FixedPattern {
    /// The weights of the keys that the query at `p` sees.
    fn fill<E: Element>(&self, seen: &mut [E], tokens: &[u32], p: usize) {
        clear(seen);
        match &self.rule {
            Rule::Nothing => {}
            Rule::Uniform => seen.fill(E::from_f64(1.0 / (p as f64 + 1.0))),
            Rule::Weights(weights) => {
                let row = &weights[p * tokens.len()..];
                seen.iter_mut().zip(row).for_each(|(to, weight)| *to = E::from_f64(*weight));
            }
            rule => rule.source(tokens, p).into_iter().for_each(|j| seen[j] = E::one()),
        }
    }
}

impl Instruction for FixedPattern {
    fn out(&self) -> Option<Val> {
        Some(self.out)
    }

    fn inputs(&self) -> Vec<Val> {
        vec![]
    }

    fn vals_mut(&mut self) -> Vec<&mut Val> {
        vec![&mut self.out]
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
        let (positions, seq) = (frame.positions(self.out), frame.seq);
        let heads = frame.program().info(self.out).heads;
        frame.write(self.out, |_, buffer| {
            for h in 0..heads {
                let mut pattern = head_mut(buffer, h, positions.len(), seq.x.len());
                for (r, &p) in positions.iter().enumerate() {
                    let (seen, beyond) = pattern.row_mut(r).split_at_mut(p as usize + 1);
                    self.fill(seen, seq.x, p as usize);
                    clear(beyond);
                }
            }
        });
    }

    fn backward<E: Element>(&self, _: &mut Frame<'_, E>) {}

    fn text(&self, _: &Text<'_>) -> String {
        format!("fixed pattern {}", self.rule)
    }
}
