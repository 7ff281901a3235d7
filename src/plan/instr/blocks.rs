//! Blocks of attention below the diagonal.
//!
//! Rows are taken in blocks; a block's keys end at its last query's position, rounded up to the vector width. Entries
//! between a row's own position and that limit are zero in patterns and in their gradients.
use std::ops::Range;

use crate::kernels::{Beta, Buffer, Element, View, ViewMut, clear, gemm, padded};
use crate::plan::program::{Program, Val};

/// The most queries in a block.
pub(crate) const BLOCK: usize = 32;
/// The most queries in a block where they are few.
const SPARSE_BLOCK: usize = 16;
/// Keys at a time where queries are few.
const STRIP: usize = 64;
/// Keys in a block of the products over queries.
const KEY_BLOCK: usize = 32;
// rows are filled up to the end of a block of keys, and products over queries read them as far as a block of queries reaches
const _: () = assert!(KEY_BLOCK.is_multiple_of(BLOCK) && STRIP.is_multiple_of(KEY_BLOCK));

/// Up to where a row of a block with this limit is defined: zeros make the blocks of keys whole.
pub(super) fn filled(limit: usize, seq: usize) -> usize {
    limit.next_multiple_of(KEY_BLOCK).min(seq.next_multiple_of(16))
}

/// Up to where a row of `pattern` is defined: to its end if somebody reads it, or else as far as the products need.
pub(super) fn row_end(program: &Program, pattern: Val, limit: usize, seq: usize) -> usize {
    if program.reads.contains(&pattern) { seq.next_multiple_of(16) } else { filled(limit, seq) }
}

/// Up to where products go for the query at a position: behind it, rounded up to the vector width.
pub(super) fn limit_of(position: u32) -> usize {
    (position as usize + 1).next_multiple_of(16)
}

/// A block of queries: rows `r0..r1` and the limit of their keys.
pub(super) type Block = (usize, usize, usize);

/// Whether queries are few: at most three quarters of the positions from the first of them to the last. A block of many of them would
/// end far behind its first query.
pub(super) fn few(positions: &[u32]) -> bool {
    let (Some(first), Some(last)) = (positions.first(), positions.last()) else { return false };
    4 * positions.len() <= 3 * (last - first + 1) as usize
}

/// The blocks of queries at `positions`.
pub(super) fn blocks(positions: &[u32]) -> impl Iterator<Item = Block> + '_ {
    let most = if few(positions) { SPARSE_BLOCK } else { BLOCK };
    (0..positions.len()).step_by(most).map(move |r0| {
        let r1 = (r0 + most).min(positions.len());
        (r0, r1, limit_of(positions[r1 - 1]))
    })
}

/// The queries at `positions` whose products with keys are to be made before a block is weighed, where blocks are taken in their order:
/// all of them before the first block where they are few, strip by strip, and otherwise those of the block, which is near then.
pub(super) fn multiplied_before(positions: &[u32], (r0, r1, _): Block) -> Option<Range<usize>> {
    match few(positions) {
        true => (r0 == 0).then_some(0..positions.len()),
        false => Some(r0..r1),
    }
}

/// `out (+)= A B` at least as far as the queries at `positions` see: `A` `[rows, n]`, `B` `[n, seq]`, `out` `[rows, seq]`. Where they are
/// few, each strip of keys is multiplied for those that see it; otherwise all are multiplied with what the last one sees.
pub(super) fn up_to_queries<E: Element>(
    positions: &[u32],
    mut out: ViewMut<'_, E>,
    beta: Beta,
    (a, b): (View<'_, E>, View<'_, E>),
) {
    let Some(last) = positions.last() else { return };
    let end = limit_of(*last);
    let strip = if few(positions) { STRIP } else { end };
    for j0 in (0..end).step_by(strip) {
        let (rows, keys) = (seeing(positions, j0), j0..end.min(j0 + strip));
        let to = out.reborrow().block(rows.clone(), keys.clone());
        gemm(to, beta, E::one(), a.rows(rows), b.cols(keys));
    }
}

/// One head of streams whose heads lie side by side: which columns of queries, and which of the keys or values that it shares.
#[derive(Clone, Copy)]
pub(super) struct Head {
    /// Number of the head.
    pub index: usize,
    /// Number of heads.
    pub of: usize,
    /// Number of heads of the shared stream.
    pub shared: usize,
}

impl Head {
    /// The heads of a pattern over keys or values of `shared` heads.
    pub fn all(of: usize, shared: usize) -> impl Iterator<Item = Head> {
        (0..of).map(move |index| Head { index, of, shared })
    }

    /// Its columns in a stream of all heads, `cols` wide.
    pub fn columns(&self, cols: usize) -> Range<usize> {
        let width = cols / self.of;
        self.index * width..(self.index + 1) * width
    }

    /// Its columns in the shared stream, `cols` wide.
    pub fn shared_columns(&self, cols: usize) -> Range<usize> {
        let (width, group) = (cols / self.shared, self.of / self.shared);
        let index = self.index / group;
        index * width..(index + 1) * width
    }

    /// Whether to add to the gradient of the shared columns: after the first of the heads that share them, in any case.
    pub fn beta(&self, beta: Beta) -> Beta {
        if self.index.is_multiple_of(self.of / self.shared) { beta } else { Beta::Add }
    }
}

/// Up to how many columns of a head the products over queries are made block by block of queries.
const NARROW: usize = 64;

/// `dx (+)= P^T Y` for one head: `P` `[rows, seq]`, `Y` `[rows, dim]`, `dx` `[seq, shared dim]`.
///
/// The gradients of a narrow head are small (256 KB with 1024 keys), so that each block of queries adds to them while its weights,
/// whose rows are read from end to end, are near. Those of a wide head are not: there, blocks of keys sum over all queries at once.
pub(super) fn over_keys<E: Element>(
    positions: &[u32],
    (p, y): (View<'_, E>, View<'_, E>),
    head: Head,
    (dx, t, dx_cols): (&mut Buffer<E>, usize, usize),
    beta: Beta,
) {
    let (columns, shared) = (head.columns(y.n_cols()), head.shared_columns(dx_cols));
    let (y, beta) = (y.cols(columns), head.beta(beta));
    let dx = ViewMut::new(dx, t, dx_cols, padded(dx_cols)).block(0..t, shared);
    if dx.n_cols() <= NARROW {
        by_queries(positions, (p, y), dx, beta)
    } else {
        by_keys(positions, (p, y), dx, beta)
    }
}

/// Sums block by block of queries.
fn by_queries<E: Element>(
    positions: &[u32],
    (p, y): (View<'_, E>, View<'_, E>),
    mut dx: ViewMut<'_, E>,
    beta: Beta,
) {
    let t = dx.n_rows();
    let mut written = 0;
    for (r0, r1, limit) in blocks(positions) {
        let limit = limit.min(t);
        for (keys, beta) in [(0..written, Beta::Add), (written..limit, beta)] {
            let p = p.block(r0..r1, keys.clone()).t();
            gemm(dx.reborrow().rows(keys), beta, E::one(), p, y.rows(r0..r1));
        }
        written = limit;
    }
    if beta == Beta::Zero {
        (written..t).for_each(|key| clear(dx.row_mut(key)));
    }
}

/// The queries that see this key; none of those before them does.
pub(super) fn seeing(positions: &[u32], key: usize) -> Range<usize> {
    positions.partition_point(|&p| (p as usize) < key)..positions.len()
}

/// Sums over all queries for each block of keys.
fn by_keys<E: Element>(
    positions: &[u32],
    (p, y): (View<'_, E>, View<'_, E>),
    mut dx: ViewMut<'_, E>,
    beta: Beta,
) {
    let t = dx.n_rows();
    for j0 in (0..t).step_by(KEY_BLOCK) {
        let j1 = (j0 + KEY_BLOCK).min(t);
        let rows = seeing(positions, j0);
        let p = p.block(rows.clone(), j0..j1).t();
        gemm(dx.reborrow().rows(j0..j1), beta, E::one(), p, y.rows(rows));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::workspace::{head, head_stride};

    /// Eighths between -1 and 1, whose products and sums have no rounding.
    fn eighth(i: usize) -> f64 {
        (i * 7919 % 17) as f64 / 8.0 - 1.0
    }

    /// Weights of queries at these positions: of no key behind the query, and not a number where no product reads.
    fn weights(positions: &[u32], t: usize) -> Vec<f64> {
        let (ld, mut p) = (padded(t), vec![f64::NAN; head_stride(t)]);
        for (r0, r1, limit) in blocks(positions) {
            for r in r0..r1 {
                for j in 0..filled(limit, t) {
                    p[r * ld + j] = if j <= positions[r] as usize { eighth(r * t + j) } else { 0.0 };
                }
            }
        }
        p
    }

    #[test]
    fn sums_over_queries_are_those_of_a_plain_loop_in_either_order() {
        let width = 3;
        for t in [1_u32, 16, 31, 33, 70, 100] {
            let every = |step: usize| (0..t).step_by(step).collect::<Vec<_>>();
            let first = (0..t.min(15)).flat_map(|p| [p; 3]).collect::<Vec<_>>();
            for positions in [vec![], vec![0], vec![t - 1], every(1), every(3), first] {
                let (rows, t) = (positions.len(), t as usize);
                if rows > t {
                    continue;
                }
                let p = weights(&positions, t);
                let y: Vec<f64> = (0..rows * padded(width)).map(eighth).collect();
                let (p, y) = (head(&p, 0, rows, t), View::new(&y, rows, width, padded(width)));
                for (beta, before) in [(Beta::Zero, f64::NAN), (Beta::Add, 0.25)] {
                    let mut expected = vec![if beta == Beta::Zero { 0.0 } else { before }; t * width];
                    for (r, &position) in positions.iter().enumerate() {
                        for j in 0..=position as usize {
                            for c in 0..width {
                                expected[j * width + c] += p.row(r)[j] * y.row(r)[c];
                            }
                        }
                    }
                    for order in ["by queries", "by keys"] {
                        let mut dx = vec![before; t * padded(width)];
                        let to = ViewMut::new(&mut dx, t, width, padded(width));
                        match order {
                            "by queries" => by_queries(&positions, (p, y), to, beta),
                            _ => by_keys(&positions, (p, y), to, beta),
                        }
                        let found: Vec<f64> =
                            dx.chunks(padded(width)).flat_map(|row| row[..width].to_vec()).collect();
                        assert_eq!(found, expected, "{order}, {beta:?}, {t}, {positions:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn queries_are_few_by_the_stretch_that_they_lie_in() {
        assert!([&[][..], &[7], &[7, 8], &[90, 91, 92, 93, 94, 95]].into_iter().all(|p| !few(p)));
        assert!(few(&[0, 2]) && few(&[1, 50]) && !few(&[0, 1, 2, 4]) && few(&[0, 1, 4]));
        // blocks of few queries are smaller, and their products come before the first of them
        let sparse: Vec<u32> = (0..40).map(|i| 3 * i).collect();
        let found: Vec<_> = blocks(&sparse).map(|block| (block, multiplied_before(&sparse, block))).collect();
        let expected = [((0, 16, 48), Some(0..40)), ((16, 32, 96), None), ((32, 40, 128), None)];
        assert_eq!(found, expected);
        let dense: Vec<u32> = (10..50).collect();
        let found: Vec<_> = blocks(&dense).map(|block| (block, multiplied_before(&dense, block))).collect();
        assert_eq!(found, [((0, 32, 48), Some(0..32)), ((32, 40, 64), Some(32..40))]);
    }

    #[test]
    fn products_reach_as_far_as_each_query_sees() {
        let (n, t) = (3, 150);
        for positions in
            [vec![], vec![0], vec![149], (0..150).collect(), (0..50).map(|i| 3 * i).collect::<Vec<_>>()]
        {
            let rows = positions.len();
            let a: Vec<f64> = (0..rows * padded(n)).map(eighth).collect();
            let b: Vec<f64> = (0..n * padded(t)).map(|i| eighth(i + 5)).collect();
            let (a, b) =
                (View::new(&a, rows, n, padded(n)), View::new(&b, n, t.next_multiple_of(16), padded(t)));
            for (beta, before) in [(Beta::Zero, f64::NAN), (Beta::Add, 0.25)] {
                let mut out = vec![before; rows * padded(t)];
                let to = ViewMut::new(&mut out, rows, t.next_multiple_of(16), padded(t));
                up_to_queries(&positions, to, beta, (a, b));
                for (r, position) in positions.iter().enumerate() {
                    for j in 0..=*position as usize {
                        let product: f64 = (0..n).map(|i| a.row(r)[i] * b.row(i)[j]).sum();
                        let expected = if beta == Beta::Add { before + product } else { product };
                        assert_eq!(out[r * padded(t) + j], expected, "{beta:?}, row {r} of {rows}, key {j}");
                    }
                }
            }
        }
    }

    #[test]
    fn heads_that_share_keys_add_to_the_same_gradient() {
        let (t, positions) = (40, (0..40).collect::<Vec<u32>>());
        let p = weights(&positions, t);
        let y: Vec<f64> = (0..t * padded(8)).map(eighth).collect();
        let (p, y) = (head(&p, 0, t, t), View::new(&y, t, 8, padded(8)));
        let mut dx = Buffer::zeros(t * padded(4));
        dx.fill(f64::NAN);
        for head in Head::all(4, 2) {
            over_keys(&positions, (p, y), head, (&mut dx, t, 4), Beta::Zero);
        }
        for j in 0..t {
            for c in 0..4 {
                // columns 0 and 1 of heads 0 and 1, columns 2 and 3 of heads 2 and 3
                let columns = [c / 2 * 4 + c % 2, c / 2 * 4 + 2 + c % 2];
                let sum: f64 =
                    (j..t).map(|r| p.row(r)[j] * columns.map(|c| y.row(r)[c]).iter().sum::<f64>()).sum();
                assert_eq!(dx[j * padded(4) + c], sum, "key {j}, column {c}");
            }
        }
    }
}
