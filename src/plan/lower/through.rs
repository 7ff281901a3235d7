//! Maps that go through an attention pattern to the tables behind it.
use crate::engine::RowSet;
use crate::graph::{NodeId, Op, WeightId};

use super::{LARGEST_MAPPED_TABLE, Lowering, Term};

impl Lowering<'_> {
    /// `W x` where `x` is made of lookups and of one-headed mixes of lookups: `W (E[t] + B A V) = (E W^T)[t] + A (V B^T W^T)` maps
    /// tables, once a step, and mixes once more. `None` where that is not cheaper than `W x` itself.
    pub(super) fn through_patterns(
        &mut self,
        weight: WeightId,
        x: NodeId,
        rows: RowSet,
    ) -> Option<Vec<Term>> {
        // a product with `[inputs, outputs]` against one with about half of `[seq, outputs]`
        let cheaper = 2 * self.shape(weight).1 > self.graph.seq();
        let mixes = self.mixes_of_lookups(x, rows)?;
        (cheaper && mixes == 1).then(|| self.through(weight, x, rows))
    }

    /// The number of mixes in `x`, if it is made of lookups and of one-headed mixes of lookups at these rows.
    fn mixes_of_lookups(&mut self, x: NodeId, rows: RowSet) -> Option<usize> {
        match self.op(x) {
            Op::Lookup { table, .. } => (self.shape(table).0 <= LARGEST_MAPPED_TABLE).then_some(0),
            // what was added last says first that there are others
            Op::Add(a, b) => Some(self.mixes_of_lookups(b, rows)? + self.mixes_of_lookups(a, rows)?),
            Op::Scale { x, .. } | Op::Linear { x, .. } => self.mixes_of_lookups(x, rows),
            Op::Mix { pattern, v, .. } => {
                let values = self.sum(v, RowSet::All);
                let of_lookups = !values.is_empty() && self.only_small_tables(&values);
                let at_these = self.cols(pattern) == 1 && self.rows_of(pattern) == rows;
                (of_lookups && at_these).then_some(1)
            }
            _ => None,
        }
    }

    fn through(&mut self, weight: WeightId, x: NodeId, rows: RowSet) -> Vec<Term> {
        match self.op(x) {
            Op::Lookup { table, index } => vec![self.mapped(weight, Term::Lookup { table, index })],
            Op::Add(a, b) => {
                let mut sum = self.through(weight, a, rows);
                sum.extend(self.through(weight, b, rows));
                sum
            }
            Op::Scale { x, by } => {
                let sum = self.through(weight, x, rows);
                sum.into_iter().map(|term| self.scaled(term, by)).collect()
            }
            Op::Linear { weight: inner, x } => {
                let weight = self.product(weight, inner);
                self.through(weight, x, rows)
            }
            Op::Mix { pattern, v, .. } => self.mix_of_mapped(weight, pattern, v, rows),
            _ => unreachable!("made of lookups and mixes"),
        }
    }
}
