//! Lookups: rows as sums of rows of tables.

use super::lanes::{self, Lanes, kernel};
use super::{Beta, Element, View, ViewMut, clear};

/// Which table row each item takes.
#[derive(Clone, Copy, Debug)]
pub enum Index<'a> {
    /// Item i takes row `tokens[i]`: any row, in any order.
    Tokens(&'a [u32]),
    /// Item i takes row i.
    Positions,
}

impl Index<'_> {
    /// The table row of item `i`.
    #[inline(always)]
    pub fn at(&self, i: usize) -> usize {
        match self {
            Self::Tokens(tokens) => tokens[i] as usize,
            Self::Positions => i,
        }
    }

    /// Panics unless there are `items` of them.
    pub(super) fn check_items(&self, items: usize) {
        if let Self::Tokens(tokens) = self {
            assert!(tokens.len() >= items, "an index of {} items for {items}", tokens.len());
        }
    }
}

kernel! {
    /// `out[i] = sum over terms of table[index[i]]`, or added to `out[i]` with [`Beta::Add`]; the terms are added in their order,
    /// the first two in one pass.
    ///
    /// `out: [seq, dim]`, each table `[rows, dim]`. The embedding `E[x] + P` (the paper's section 4.1) is two terms.
    ///
    /// # Panics
    /// When an index is beyond its table, or the widths differ.
    pub fn gather_rows<'a, E>(
        simd; out: ViewMut<'a, E>, beta: Beta, terms: &'a [(View<'a, E>, Index<'a>)]
    ) -> () {
        let mut out = out;
        for (_, index) in terms {
            index.check_items(out.n_rows());
        }
        for i in 0..out.n_rows() {
            let to = out.row_mut(i);
            let rest = match (terms, beta) {
                ([], Beta::Zero) => {
                    clear(to);
                    terms
                }
                ([(table, index)], Beta::Zero) => {
                    to.copy_from_slice(table.row(index.at(i)));
                    &[]
                }
                ([(table_a, a), (table_b, b), rest @ ..], beta) => {
                    let (a, b) = (table_a.row(a.at(i)), table_b.row(b.at(i)));
                    match beta {
                        Beta::Zero => add_rows(simd, to, a, b),
                        Beta::Add => accumulate_two(simd, to, a, b),
                    }
                    rest
                }
                (terms, Beta::Add) => terms,
            };
            for (table, index) in rest {
                accumulate(simd, to, table.row(index.at(i)));
            }
        }
    }
}

kernel! {
    /// `dtable[index[i]] += dout[i]`: the gradient of a term of [`gather_rows`].
    ///
    /// # Panics
    /// When an index is beyond the table, or the widths differ.
    pub fn scatter_rows_add<'a, E>(simd; dtable: ViewMut<'a, E>, index: Index<'a>, dout: View<'a, E>) -> () {
        let mut dtable = dtable;
        index.check_items(dout.n_rows());
        for i in 0..dout.n_rows() {
            accumulate(simd, dtable.row_mut(index.at(i)), dout.row(i));
        }
    }
}

/// `to = a + b`.
#[inline(always)]
pub(super) fn add_rows<E: Element, L: Lanes<E>>(simd: L, to: &mut [E], a: &[E], b: &[E]) {
    assert!(to.len() == a.len() && to.len() == b.len(), "rows of {}, {} and {}", to.len(), a.len(), b.len());
    lanes::zip2(
        simd,
        to,
        a,
        b,
        #[inline(always)]
        |_, a, b| simd.add(a, b),
    );
}

/// `to = (to + a) + b`.
#[inline(always)]
fn accumulate_two<E: Element, L: Lanes<E>>(simd: L, to: &mut [E], a: &[E], b: &[E]) {
    assert!(
        to.len() == a.len() && to.len() == b.len(),
        "rows of {} and {} added to one of {}",
        a.len(),
        b.len(),
        to.len()
    );
    lanes::zip2(
        simd,
        to,
        a,
        b,
        #[inline(always)]
        |to, a, b| simd.add(simd.add(to, a), b),
    );
}

/// `to += from`.
#[inline(always)]
pub(super) fn accumulate<E: Element, L: Lanes<E>>(simd: L, to: &mut [E], from: &[E]) {
    assert!(to.len() == from.len(), "a row of {} added to one of {}", from.len(), to.len());
    lanes::zip1(
        simd,
        to,
        from,
        #[inline(always)]
        |to, from| simd.add(to, from),
    );
}
