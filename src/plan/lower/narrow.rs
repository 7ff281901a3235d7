//! Maps with few outputs, which are applied before values are mixed.
use crate::engine::RowSet;
use crate::graph::{NodeId, Op, WeightId};

use super::{Lowering, STRETCH, Term, Way};

impl Lowering<'_> {
    /// `W x` at all positions for a `W` with at most three quarters as many outputs as inputs, where `x` is made of mixes of one head:
    /// `W (A V) = A (V W^T)` is a product with the pattern that is as wide as the outputs. `None` where nothing is gained.
    ///
    /// At chosen positions alone it may be dearer, since values are mapped at every position.
    pub(super) fn narrowed(&mut self, weight: WeightId, x: NodeId, rows: RowSet) -> Option<Vec<Term>> {
        self.narrowed_within(weight, x, rows, STRETCH)
    }

    /// The same, looking so many nodes back, so that the depth of the stack is bounded.
    fn narrowed_within(
        &mut self,
        weight: WeightId,
        x: NodeId,
        rows: RowSet,
        nodes: usize,
    ) -> Option<Vec<Term>> {
        let (outputs, inputs) = self.shape(weight);
        if nodes == 0 || rows != RowSet::All || self.way == Way::Plain || 4 * outputs > 3 * inputs {
            return None;
        }
        let demand = &self.demands[x.index()];
        if demand.readers > 1 {
            // it is made anyway, but the maps of what it is made of may be cheaper
            return (demand.dense > 0).then(|| self.through_patterns(weight, x, rows)).flatten();
        }
        match self.op(x) {
            Op::Add(a, b) => {
                let [of_a, of_b] = [a, b].map(|x| self.narrowed_within(weight, x, rows, nodes - 1));
                if of_a.is_none() && of_b.is_none() {
                    return None;
                }
                let mut sum = of_a.unwrap_or_else(|| self.linear(weight, a, rows));
                for term in of_b.unwrap_or_else(|| self.linear(weight, b, rows)) {
                    self.add_term(&mut sum, term);
                }
                Some(sum)
            }
            Op::Linear { weight: inner, x } => {
                let weight = self.product(weight, inner);
                self.narrowed_within(weight, x, rows, nodes - 1)
            }
            Op::Mix { pattern, v, value_heads: 1 } if self.cols(pattern) == 1 => {
                let mapped = self.mapped_values(weight, v);
                let mapped = self.affine(mapped, rows, outputs);
                Some(self.mix_of(pattern, mapped, 1, None, rows))
            }
            _ => None,
        }
    }

    /// `W v` for the values of a mix that nobody reads as they are; their own map is folded.
    fn mapped_values(&mut self, weight: WeightId, v: NodeId) -> Vec<Term> {
        let (weight, x) = match self.op(v) {
            Op::Linear { weight: inner, x } if self.demands[v.index()].readers == 1 => {
                (self.product(weight, inner), x)
            }
            _ => (weight, v),
        };
        self.narrowed(weight, x, RowSet::All).unwrap_or_else(|| self.linear(weight, x, RowSet::All))
    }
}
