//! Attention scores where queries and keys are sums of lookups.
//!
//! In the first layer a query is `sum_a Q_a[q_a]` and a key `sum_b K_b[k_b]`: rows of a few tables (tokens, positions).
//! Their score needs no product a sequence, only the tables `G_ab = Q_a K_b^T`, which depend on weights alone:
//! `score(r, j) = sum_a sum_b G_ab[q_a[r], k_b[j]]`.

use std::ops::Range;

use super::gather::{accumulate, add_rows};
use super::lanes::{Lanes, WIDTH, kernel};
use super::{Buffer, Element, Index, View, ViewMut, clear};

/// Which table rows the queries and keys of one sequence take.
///
/// Tables are listed query term by query term: `G_ab` is number `a * keys.len() + b`.
#[derive(Clone, Copy, Debug)]
pub struct TablePattern<'a> {
    /// Each term of the queries: the row of `G_ab` that query row r takes.
    pub queries: &'a [Index<'a>],
    /// Each term of the keys: the column of `G_ab` that key j takes.
    pub keys: &'a [Index<'a>],
    /// The last key that query row r sees: its position.
    pub last: &'a [u32],
}

/// One more than the largest; 0 of nothing.
#[inline(always)]
fn one_more_than_largest(numbers: &[u32]) -> usize {
    // `max` of an iterator stays a call for each number here
    let mut end = 0;
    for &number in numbers {
        end = end.max(number as usize + 1);
    }
    end
}

impl TablePattern<'_> {
    /// The number of keys that query row r sees.
    #[inline(always)]
    fn seen(&self, r: usize) -> usize {
        self.last[r] as usize + 1
    }

    /// The largest number of keys that one of these query rows sees.
    #[inline(always)]
    fn most_seen(&self, rows: Range<usize>) -> usize {
        one_more_than_largest(&self.last[rows])
    }

    /// The smallest number of keys that one of these query rows sees; `rows` is not empty.
    #[inline(always)]
    fn least_seen(&self, rows: Range<usize>) -> usize {
        let mut least = u32::MAX;
        for &last in &self.last[rows] {
            least = least.min(last);
        }
        least as usize + 1
    }

    /// How many keys there are numbers for, in the lists of tokens and in the tables by position.
    #[inline(always)]
    fn reach<E>(&self, tables: &[View<'_, E>]) -> usize {
        let mut reach = usize::MAX;
        for (i, table) in tables.iter().enumerate() {
            reach = reach.min(match self.keys[i % self.keys.len()] {
                Index::Tokens(tokens) => tokens.len(),
                Index::Positions => table.n_cols(),
            });
        }
        reach
    }

    /// The scores of query row r in table `G_ab` for the first `len` rows of key table b.
    #[inline(always)]
    fn scores<'t, E: Element>(
        &self,
        tables: &[View<'t, E>],
        (a, b): (usize, usize),
        r: usize,
        len: usize,
    ) -> &'t [E] {
        &tables[a * self.keys.len() + b].row(self.queries[a].at(r))[..len]
    }

    /// Panics unless there is a table for each pair of terms and an index for each query and key.
    fn check(&self, rows: &Range<usize>, tables: usize) {
        let (queries, keys) = (self.queries.len(), self.keys.len());
        assert!(tables == queries * keys, "{tables} tables for {queries} query and {keys} key terms");
        let most = self.most_seen(rows.clone());
        self.queries.iter().for_each(|index| index.check_items(rows.end));
        self.keys.iter().for_each(|index| index.check_items(most));
    }
}

kernel! {
    /// Scores of the query rows `rows`: `out[r - rows.start, j] = sum_ab G_ab[q_a[r], k_b[j]]` for `j <= last[r]`.
    ///
    /// `out: [rows, keys]`; of the columns beyond `last[r]`, those up to the next multiple of 16 may be written to, the others are
    /// left as they are. `tables`: the `G_ab`, `[query rows, key rows]`. `scratch` is any buffer, kept to be used again.
    ///
    /// # Panics
    /// When an index is beyond its table, those of the next multiple of 16 keys included, or `out` is too small.
    pub fn table_scores_block<'a, E>(
        simd; pattern: &'a TablePattern<'a>, rows: Range<usize>, tables: &'a [View<'a, E>], out: ViewMut<'a, E>,
        scratch: &'a mut Buffer<E>
    ) -> () {
        pattern.check(&rows, tables.len());
        let mut out = out;
        let most = pattern.most_seen(rows.clone());
        let reach = pattern.reach(tables).min(out.n_cols());
        let columns = most.next_multiple_of(WIDTH).min(reach).max(most);
        let terms = pattern.keys.len();
        for (b, index) in pattern.keys.iter().enumerate() {
            let largest = match index {
                Index::Tokens(tokens) => one_more_than_largest(&tokens[..columns]),
                Index::Positions => most,
            };
            for table in tables.iter().skip(b).step_by(terms) {
                assert!(largest <= table.n_cols(), "key row {largest} of a table with {}", table.n_cols());
            }
        }
        for r in rows.clone() {
            // rows that end in the same vector go through their loops equally often: the processor foresees where they end
            let columns = pattern.seen(r).next_multiple_of(WIDTH).min(columns);
            let to = &mut out.row_mut(r - rows.start)[..columns];
            let mut written = false;
            for (b, _) in pattern.keys.iter().enumerate().filter(|(_, key)| matches!(key, Index::Positions)) {
                sum_of_tables(simd, to, pattern, tables, (r, b), written);
                written = true;
            }
            for (b, key) in pattern.keys.iter().enumerate() {
                let Index::Tokens(tokens) = key else { continue };
                let mapped = scratch.scratch(tables[b].n_cols());
                sum_of_tables(simd, mapped, pattern, tables, (r, b), false);
                simd.lookup(to, written, mapped, &tokens[..to.len()]);
                written = true;
            }
        }
    }
}

/// `to = sum over query terms a of G_ab[q_a[r], ..]`, or `+=` when `add`: the scores of query row r for the first rows of key
/// table b.
#[inline(always)]
fn sum_of_tables<E: Element, L: Lanes<E>>(
    simd: L,
    to: &mut [E],
    pattern: &TablePattern<'_>,
    tables: &[View<'_, E>],
    (r, b): (usize, usize),
    add: bool,
) {
    let (queries, len) = (pattern.queries.len(), to.len());
    if !add {
        match queries {
            0 => clear(to),
            1 => to.copy_from_slice(pattern.scores(tables, (0, b), r, len)),
            _ => add_rows(
                simd,
                to,
                pattern.scores(tables, (0, b), r, len),
                pattern.scores(tables, (1, b), r, len),
            ),
        }
    }
    let mut a = if add { 0 } else { 2 };
    while a < queries {
        accumulate(simd, to, pattern.scores(tables, (a, b), r, len));
        a += 1;
    }
}

/// Up to this many key rows, the gradients of 16 queries are summed in a transposed buffer of 16 columns.
const TRANSPOSED_LIMIT: usize = 1024;

kernel! {
    /// The gradient of [`table_scores_block`]: `grads_ab[q_a[r], k_b[j]] += dscores[r - rows.start, j]` for `j <= last[r]`.
    ///
    /// `dscores: [rows, keys]`; columns beyond `last[r]` are not read. `grads`: like `tables` there. Fastest when the
    /// number of rows is a multiple of 16.
    ///
    /// # Panics
    /// When an index is beyond its table, or `dscores` is too small.
    pub fn table_scatter_block<'a, 'g, E>(
        simd; pattern: &'a TablePattern<'a>, rows: Range<usize>, grads: &'a mut [ViewMut<'g, E>],
        dscores: View<'a, E>, scratch: &'a mut Buffer<E>
    ) -> () {
        pattern.check(&rows, grads.len());
        for start in rows.clone().step_by(WIDTH) {
            let group = start..rows.end.min(start + WIDTH);
            let dscores = dscores.rows(start - rows.start..group.end - rows.start);
            for (b, key) in pattern.keys.iter().enumerate() {
                let key_rows = grads.get(b).map_or(0, ViewMut::n_cols);
                match key {
                    Index::Tokens(tokens) if key_rows <= TRANSPOSED_LIMIT => {
                        let sums = scratch.scratch(key_rows.next_multiple_of(WIDTH) * WIDTH).as_chunks_mut().0;
                        sum_by_token(simd, sums, pattern, &group, tokens, dscores);
                        add_transposed(simd, grads, pattern, &group, b, sums);
                    }
                    Index::Tokens(tokens) => {
                        for r in group.clone() {
                            let from = &dscores.row(r - start)[..pattern.seen(r)];
                            for (a, query) in pattern.queries.iter().enumerate() {
                                let to = grads[a * pattern.keys.len() + b].row_mut(query.at(r));
                                for (&d, &token) in from.iter().zip(*tokens) {
                                    to[token as usize] += d;
                                }
                            }
                        }
                    }
                    Index::Positions => {
                        for r in group.clone() {
                            let from = &dscores.row(r - start)[..pattern.seen(r)];
                            for (a, query) in pattern.queries.iter().enumerate() {
                                let to = grads[a * pattern.keys.len() + b].row_mut(query.at(r));
                                accumulate(simd, &mut to[..from.len()], from);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// `sums[v][i] = sum over keys j with token v of dscores[i, j]`, through transposed blocks: a key's gradients of the
/// 16 queries of `group` are one vector.
#[inline(always)]
fn sum_by_token<E: Element, L: Lanes<E>>(
    simd: L,
    sums: &mut [[E; WIDTH]],
    pattern: &TablePattern<'_>,
    group: &Range<usize>,
    tokens: &[u32],
    dscores: View<'_, E>,
) {
    let zero = simd.splat(E::zero());
    for sum in &mut *sums {
        simd.store(sum, zero);
    }
    let most = pattern.most_seen(group.clone());
    let least = pattern.least_seen(group.clone());
    for start in (0..most).step_by(WIDTH) {
        let mut block = [zero; WIDTH];
        if group.len() == WIDTH && start + WIDTH <= least {
            for (i, v) in block.iter_mut().enumerate() {
                *v = simd.load_up_to_16(&dscores.row(i)[start..start + WIDTH]);
            }
        } else {
            for (i, v) in block[..group.len()].iter_mut().enumerate() {
                let seen = pattern.seen(group.start + i);
                *v = simd.load_up_to_16(&dscores.row(i)[start.min(seen)..seen]);
            }
        }
        let block = simd.transpose(block);
        let tokens = &tokens[start..most.min(start + WIDTH)];
        for (j, &token) in tokens.iter().enumerate() {
            let sum = &mut sums[token as usize];
            let v = simd.add(simd.load(sum), block[j]);
            simd.store(sum, v);
        }
    }
}

/// `grads_ab[q_a[group.start + i], v] += sums[v][i]` for key term `b` and every query term a.
#[inline(always)]
fn add_transposed<E: Element, L: Lanes<E>>(
    simd: L,
    grads: &mut [ViewMut<'_, E>],
    pattern: &TablePattern<'_>,
    group: &Range<usize>,
    b: usize,
    sums: &[[E; WIDTH]],
) {
    for (part, sums) in sums.as_chunks::<WIDTH>().0.iter().enumerate() {
        let mut by_row = [simd.splat(E::zero()); WIDTH];
        for i in 0..WIDTH {
            by_row[i] = simd.load(&sums[i]);
        }
        let by_row = simd.transpose(by_row);
        for (a, query) in pattern.queries.iter().enumerate() {
            let grad = &mut grads[a * pattern.keys.len() + b];
            let columns = part * WIDTH..grad.n_cols().min((part + 1) * WIDTH);
            for (i, v) in by_row[..group.len()].iter().enumerate() {
                let to = &mut grad.row_mut(query.at(group.start + i))[columns.clone()];
                let sum = simd.add(simd.load_up_to_16(to), *v);
                simd.store_up_to_16(to, sum);
            }
        }
    }
}
