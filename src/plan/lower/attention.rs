//! Attention: patterns from tables of scores or from dense queries and keys, and mixes whose maps wait.
use std::collections::HashSet;

use crate::engine::RowSet;
use crate::graph::{Index, NodeId, Op, WeightId};

use super::{LARGEST_MAPPED_TABLE, Lowering, Term, Way, only_lookups, plain};
use crate::plan::instr::{
    DotPattern, FixedPattern, MOST_TERMS, Mix, Pick, Source, Splice, TablePattern, Transpose,
};
use crate::plan::program::{Layout, Val, ValInfo};

impl Lowering<'_> {
    /// A pattern at these rows.
    pub(super) fn pattern(&mut self, node: NodeId, rows: RowSet) -> Val {
        let rows = if rows == self.rows_of(node) { rows } else { RowSet::All };
        if let Some(val) = self.patterns.get(&(node, rows)) {
            return *val;
        }
        let heads = self.cols(node);
        let val = match self.op(node) {
            Op::Pattern { q, k, scoring } => {
                let bias_trains = scoring.bias.is_some_and(|bias| self.leaf(bias));
                let (queries, keys) = (self.sum(q, rows), self.sum(k, RowSet::All));
                let few = |l: &Self, sum: &[Term]| {
                    only_lookups(sum)
                        && sum.len() <= MOST_TERMS
                        && l.table_rows(sum) <= LARGEST_MAPPED_TABLE / 4
                };
                let of_tables = heads == 1
                    && !queries.is_empty()
                    && !keys.is_empty()
                    && few(self, &queries)
                    && few(self, &keys);
                let grid = of_tables.then(|| self.score_tables(&queries, &keys));
                if let Some(grid) = grid.filter(|grid| all_different(grid, scoring.bias)) {
                    let train: Vec<bool> = grid.iter().flatten().map(|w| self.leaf(*w)).collect();
                    let trains = train.contains(&true);
                    let out = self.pattern_val(rows, 1, trains || bias_trains);
                    let indices = |sum: &[Term]| sum.iter().map(index_of).collect();
                    let (queries, keys) = (indices(&queries), indices(&keys));
                    self.emit(TablePattern { out, queries, keys, grid, scoring });
                    out
                } else {
                    let (q, k) = self.queries_and_keys(q, k, rows, heads);
                    let trains = self.val_trains(q) || self.val_trains(k) || bias_trains;
                    let keys_t = self.transposed(k);
                    let out = self.pattern_val(rows, heads, trains);
                    self.emit(DotPattern { out, q, k, keys_t, scoring });
                    out
                }
            }
            Op::FixedPattern { rule, .. } => {
                let out = self.pattern_val(rows, heads, false);
                self.emit(FixedPattern { out, rule });
                out
            }
            Op::SplicedPattern { base, other, chosen } => {
                let [base, other] = [base, other].map(|part| self.read_pattern(part, rows));
                let out = self.pattern_val(rows, heads, false);
                self.emit(Splice { out, base, other, chosen });
                out
            }
            Op::Patched { slot, .. } => {
                let out = self.pattern_val(rows, heads, false);
                self.program.patched.push((out, slot));
                out
            }
            _ => unreachable!("the operation is a pattern"),
        };
        self.patterns.insert((node, rows), val);
        val
    }

    /// A pattern at exactly these rows, to be read.
    pub(super) fn read_pattern(&mut self, node: NodeId, rows: RowSet) -> Val {
        let pattern = self.pattern(node, rows);
        if self.program.info(pattern).rows == rows { pattern } else { self.select(pattern, rows) }
    }

    fn table_rows(&self, sum: &[Term]) -> usize {
        let rows = |t: &Term| match *t {
            Term::Lookup { table, .. } => self.shape(table).0,
            Term::Dense { .. } => 0,
        };
        sum.iter().map(rows).sum()
    }

    /// The scores of each pair of tables.
    fn score_tables(&mut self, queries: &[Term], keys: &[Term]) -> Vec<Vec<WeightId>> {
        let mut grid = Vec::new();
        for q in queries {
            let mut row = Vec::new();
            for k in keys {
                let (Term::Lookup { table: q, .. }, Term::Lookup { table: k, .. }) = (q, k) else {
                    unreachable!("only lookups have tables")
                };
                let keys_t = self.transpose(*k);
                row.push(self.product(*q, keys_t));
            }
            grid.push(row);
        }
        grid
    }

    /// Dense queries and keys with the same scores. With one head all maps go to the queries' side:
    /// `(W_Q x) . (W_K y) = (W_K^T W_Q x) . y`, which maps only the rows that are asked for, once.
    fn queries_and_keys(&mut self, q: NodeId, k: NodeId, rows: RowSet, heads: usize) -> (Val, Val) {
        let keys = self.sum(k, RowSet::All);
        if let (1, [Term::Dense { val, map: Some(map), .. }]) = (heads, &keys[..]) {
            let (val, map) = (*val, self.transpose(*map));
            let folded = self.program.info(val).cols <= 2 * self.cols(k);
            if folded {
                let cols = self.program.info(val).cols;
                if let Some(query) = self.through_patterns(map, q, rows) {
                    return (self.affine(query, rows, cols), val);
                }
                let query = match self.sum(q, rows)[..] {
                    [Term::Dense { val, map: Some(m), .. }] if self.demands[q.index()].dense <= 1 => {
                        Term::Dense { val, map: Some(self.product(map, m)), scale: 1.0 }
                    }
                    _ => {
                        let q = self.dense(q, rows);
                        self.mapped(map, plain(q))
                    }
                };
                return (self.affine(vec![query], rows, cols), val);
            }
        }
        (self.dense(q, rows), self.dense(k, RowSet::All))
    }

    pub(super) fn mix(&mut self, pattern: NodeId, v: NodeId, value_heads: usize, rows: RowSet) -> Vec<Term> {
        let heads = self.cols(pattern);
        let values = self.sum(v, RowSet::All);
        if values.is_empty() {
            return vec![];
        }
        // with one head the map of the values can wait: A (V W^T) = (A V) W^T
        match values[..] {
            [Term::Dense { val, map: Some(map), .. }]
                if heads == 1 && self.program.info(val).cols <= 2 * self.cols(v) =>
            {
                self.mix_of(pattern, val, 1, Some(map), rows)
            }
            _ => {
                let v = self.dense(v, RowSet::All);
                self.mix_of(pattern, v, value_heads, None, rows)
            }
        }
    }

    /// `W x` where `x` mixes lookups with one head: `W (A V) = A (V W^T)` maps tables, once a step, and no positions.
    pub(super) fn mix_of_mapped_values(&mut self, w: WeightId, x: NodeId, rows: RowSet) -> Option<Vec<Term>> {
        let Op::Mix { pattern, v, .. } = self.op(x) else { return None };
        let (outputs, inputs) = self.shape(w);
        let demand = &self.demands[x.index()];
        let for_nobody_else = demand.linears == 1 && demand.dense == 0;
        if self.cols(pattern) > 1 || outputs > inputs || !for_nobody_else {
            return None;
        }
        let values = self.sum(v, RowSet::All);
        if values.is_empty() || !self.only_small_tables(&values) {
            return None;
        }
        Some(self.mix_of_mapped(w, pattern, v, rows))
    }

    /// `pattern (v W^T)`, with the terms of `v` mapped first.
    pub(super) fn mix_of_mapped(
        &mut self,
        w: WeightId,
        pattern: NodeId,
        v: NodeId,
        rows: RowSet,
    ) -> Vec<Term> {
        let values = self.sum(v, RowSet::All);
        let mapped = values.into_iter().map(|t| self.mapped(w, t)).collect();
        let mapped = self.affine(mapped, RowSet::All, self.shape(w).0);
        self.mix_of(pattern, mapped, 1, None, rows)
    }

    /// `map (pattern v)` with the map pending.
    pub(super) fn mix_of(
        &mut self,
        pattern: NodeId,
        v: Val,
        value_heads: usize,
        map: Option<WeightId>,
        rows: RowSet,
    ) -> Vec<Term> {
        let heads = self.cols(pattern);
        let cols = self.program.info(v).cols / value_heads * heads;
        if let Op::FixedPattern { rule, .. } = self.op(pattern)
            && rule.is_one_hot()
            && self.way == Way::Cheapest
            && value_heads == heads
        {
            let out = self.val(rows, cols, self.val_trains(v));
            self.emit(Pick { out, x: v, source: Source::Rule(rule) });
            return vec![Term::Dense { val: out, map, scale: 1.0 }];
        }
        let pattern = self.pattern(pattern, rows);
        let values_t = self.val_trains(pattern).then(|| self.transposed(v));
        let trains = self.val_trains(pattern) || self.val_trains(v);
        let at = self.program.info(pattern).rows;
        let out = self.val(at, cols, trains);
        self.emit(Mix { out, pattern, v, values_t, value_heads });
        let out = if at == rows { out } else { self.select(out, rows) };
        vec![Term::Dense { val: out, map, scale: 1.0 }]
    }

    fn transposed(&mut self, x: Val) -> Val {
        if let Some(val) = self.transposes.get(&x) {
            return *val;
        }
        let info = ValInfo { layout: Layout::Transposed, trains: false, ..*self.program.info(x) };
        let out = self.new_val(info);
        self.emit(Transpose { out, x });
        self.transposes.insert(x, out);
        out
    }
}

/// Whether no two tables of scores, nor a bias and one of them, are the same matrix: a pattern of tables writes to the gradients
/// of all of them together.
fn all_different(grid: &[Vec<WeightId>], bias: Option<WeightId>) -> bool {
    let mut known = HashSet::new();
    grid.iter().flatten().copied().chain(bias).all(|w| known.insert(w))
}

fn index_of(term: &Term) -> Index {
    match *term {
        Term::Lookup { index, .. } => index,
        Term::Dense { .. } => unreachable!("only lookups have an index"),
    }
}
