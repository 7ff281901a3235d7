//! Attention scores between sums of lookups, and their gradient.

use ihead::internals::kernels::*;

use super::{assert_near, at_each_level, narrow, random};

/// One sequence: the query rows, the keys, and the shapes of the tables.
struct Case {
    queries: Vec<Option<Vec<u32>>>,
    keys: Vec<Option<Vec<u32>>>,
    last: Vec<u32>,
    query_rows: Vec<usize>,
    key_rows: Vec<usize>,
}

fn index(terms: &[Option<Vec<u32>>]) -> Vec<Index<'_>> {
    terms.iter().map(|t| t.as_ref().map_or(Index::Positions, |t| Index::Tokens(t))).collect()
}

impl Case {
    /// Tokens and positions on both sides; `last` as given.
    fn two_by_two(vocab: usize, seq: usize, last: Vec<u32>) -> Self {
        let tokens: Vec<u32> = (0..seq).map(|j| (j * j % (vocab + 3) % vocab) as u32).collect();
        let selected = last.iter().map(|&p| tokens[p as usize]).collect();
        Self {
            queries: vec![Some(selected), Some(last.clone())],
            keys: vec![Some(tokens), None],
            last,
            query_rows: vec![vocab, seq],
            key_rows: vec![vocab, seq],
        }
    }

    fn check(&self, block: usize) {
        let seq = self.last.iter().max().map_or(0, |&p| p as usize + 1);
        let (queries, keys) = (index(&self.queries), index(&self.keys));
        let pattern = TablePattern { queries: &queries, keys: &keys, last: &self.last };
        let shapes: Vec<(usize, usize)> =
            self.query_rows.iter().flat_map(|&q| self.key_rows.iter().map(move |&k| (q, k))).collect();
        let tables: Vec<Vec<f64>> =
            shapes.iter().enumerate().map(|(i, (q, k))| random(i as u64, q * padded(*k))).collect();
        let at = |ab: usize, r: usize, j: usize| {
            let (a, b) = (ab / keys.len(), ab % keys.len());
            queries[a].at(r) * padded(shapes[ab].1) + keys[b].at(j)
        };
        let ds = random(99, self.last.len() * padded(seq));
        let mut grads: Vec<Vec<f64>> = tables.iter().map(|t| vec![0.25; t.len()]).collect();
        let mut expected = vec![f64::NAN; self.last.len() * padded(seq)];
        for (r, &last) in self.last.iter().enumerate() {
            for j in 0..=last as usize {
                expected[r * padded(seq) + j] = (0..tables.len()).map(|ab| tables[ab][at(ab, r, j)]).sum();
                (0..tables.len()).for_each(|ab| grads[ab][at(ab, r, j)] += ds[r * padded(seq) + j]);
            }
        }
        at_each_level(|level| {
            let what = format!("{level:?}, vocabulary {:?}, blocks of {block}", self.key_rows);
            let narrow_tables: Vec<Vec<f32>> = tables.iter().map(|t| narrow(t, 0)).collect();
            let views: Vec<_> =
                narrow_tables.iter().zip(&shapes).map(|(t, &(q, k))| View::new(t, q, k, padded(k))).collect();
            let mut found_grads: Vec<Vec<f32>> = tables.iter().map(|t| vec![0.25; t.len()]).collect();
            let mut scratch = Buffer::new();
            let ds = narrow(&ds, 0);
            for start in (0..self.last.len()).step_by(block) {
                let rows = start..self.last.len().min(start + block);
                let mut out = vec![-7.0; rows.len() * padded(seq)];
                let view = ViewMut::new(&mut out, rows.len(), seq, padded(seq));
                table_scores_block(&pattern, rows.clone(), &views, view, &mut scratch);
                for r in rows.clone() {
                    let row = &out[(r - start) * padded(seq)..][..padded(seq)];
                    let seen = self.last[r] as usize + 1;
                    assert_near(&row[..seen], &expected[r * padded(seq)..][..seen], 1e-6, &what);
                    let left = &row[seen.next_multiple_of(16)..];
                    assert!(left.iter().all(|&x| x == -7.0), "{what}: a column beyond was written");
                }
                let mut grad_views: Vec<_> = found_grads
                    .iter_mut()
                    .zip(&shapes)
                    .map(|(t, &(q, k))| ViewMut::new(t, q, k, padded(k)))
                    .collect();
                let ds = View::new(&ds, self.last.len(), seq, padded(seq)).rows(rows.clone());
                table_scatter_block(&pattern, rows, &mut grad_views, ds, &mut scratch);
            }
            for (found, expected) in found_grads.iter().zip(&grads) {
                assert_near(found, expected, 1e-6, &what);
            }
        });
    }
}

#[test]
fn tokens_and_positions_for_every_kind_of_vocabulary() {
    for vocab in [1, 2, 16, 31, 32, 33, 64, 65, 80, 97, 128, 129, 256, 300, 1500] {
        Case::two_by_two(vocab, 50, (0..50).collect()).check(16);
    }
}

#[test]
fn sequences_and_blocks_of_many_lengths() {
    for seq in [1, 2, 15, 16, 17, 40] {
        for block in [1, 5, 16, 32, 64] {
            Case::two_by_two(65, seq, (0..seq as u32).collect()).check(block);
        }
    }
}

#[test]
fn selected_rows_in_any_order() {
    let last = vec![3, 30, 2, 2, 63, 17, 0, 16, 15, 47, 48, 33, 9, 8, 1, 5, 6, 60, 61, 33];
    Case::two_by_two(65, 64, last).check(16);
}

#[test]
fn other_numbers_of_terms() {
    let tokens = |n: usize, vocab: u32| Some((0..n as u32).map(|i| (3 * i + 1) % vocab).collect::<Vec<_>>());
    let last: Vec<u32> = (0..33).collect();
    // One token table on each side.
    let (queries, keys) = (vec![tokens(33, 7)], vec![tokens(33, 9)]);
    Case { queries, keys, last: last.clone(), query_rows: vec![7], key_rows: vec![9] }.check(16);
    // Positions alone.
    let (queries, keys) = (vec![None], vec![None]);
    Case { queries, keys, last: last.clone(), query_rows: vec![33], key_rows: vec![33] }.check(16);
    // Three query terms, two token tables and positions as keys.
    let queries = vec![tokens(33, 5), None, tokens(33, 11)];
    let keys = vec![tokens(33, 40), tokens(33, 70), None];
    Case { queries, keys, last, query_rows: vec![5, 33, 11], key_rows: vec![40, 70, 33] }.check(16);
}

#[test]
#[should_panic(expected = "key row 8 of a table with 7")]
fn a_key_beyond_its_table_is_refused() {
    let (queries, keys) = ([Index::Positions], [Index::Tokens(&[7])]);
    let pattern = TablePattern { queries: &queries, keys: &keys, last: &[0] };
    let (table, mut out) = ([0.0_f32; 7], [0.0]);
    let table = [View::new(&table, 1, 7, 7)];
    table_scores_block(&pattern, 0..1, &table, ViewMut::new(&mut out, 1, 1, 1), &mut Buffer::new());
}
