//! The distinct pairs of token and position of some sequences, and what the front of a program makes of them.
//!
//! Rows of the front (`front.rs`) are equal wherever token and position are. Blocks of distinct pairs run through the front as if
//! they were sequences. Sequences then copy their rows, run the rest of the program, and leave the gradients of these rows. When all
//! are there, each block adds up the gradients of its pairs, in the order of the sequences, and runs the front backwards. So the
//! order of additions does not depend on the number of threads.
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::kernels::{Buffer, Element, add_into, clear, padded};

use super::front::{Front, Handed};
use super::program::Program;
use super::step::CHUNKS;
use super::workspace::Workspace;

/// Bytes of the gradients that sequences leave: as many sequences are run together as these hold.
const MOST_BYTES: usize = 1 << 25;
/// If not even so many sequences can be run together, few of their rows are alike.
const FEWEST_SEQUENCES: usize = 16;

/// How many sequences of so many positions are run together; `None` if each is run by itself.
pub(crate) fn together<E>(front: &Front, seq: usize) -> Option<usize> {
    let row = front.width * size_of::<E>();
    let sequences = MOST_BYTES.checked_div(row.saturating_mul(seq))?;
    (sequences >= FEWEST_SEQUENCES).then_some(sequences)
}

/// About how many elements are held for the pairs of a batch of so many sequences, before there is one: of a text, about half of the
/// vocabulary is found at a position, and enough rows are alike from a third of it on.
pub(crate) fn elements<E>(front: &Front, (seq, vocab): (usize, usize), sequences: usize) -> f64 {
    let sequences = together::<E>(front, seq).map_or(0, |together| together.min(sequences));
    if sequences < vocab / 3 {
        return 0.0;
    }
    let with_gradients = if front.trains() { sequences } else { 0 };
    (with_gradients as f64 + sequences.min(vocab) as f64 / 2.0) * seq as f64 * front.width as f64
}

/// The pairs of some sequences, numbered by position.
#[derive(Debug, Default)]
pub(crate) struct Pairs<E> {
    /// Of each pair.
    tokens: Vec<u32>,
    positions: Vec<u32>,
    /// Positions of a sequence.
    seq: usize,
    /// Pairs of a block; the last one may have fewer.
    block: usize,
    /// The pair of each row of the sequences, `[sequences, seq]`.
    of_row: Vec<u32>,
    /// The rows of pair `p` are `rows[starts[p]..starts[p + 1]]`, in the order of the sequences.
    starts: Vec<usize>,
    rows: Vec<u32>,
    /// Of each token: the position at which it was seen last, and the pair.
    seen: Vec<(u32, u32)>,
    /// What the front has made of each pair.
    values: Buffer<E>,
    /// The gradients that have arrived at each row.
    gradients: Buffer<E>,
}

impl<E: Element> Pairs<E> {
    /// Finds the pairs of the tokens of some sequences, `[sequences, seq]`. Returns whether it pays to run the front once for each.
    pub fn find(&mut self, x: &[u32], seq: usize, vocab: usize) -> bool {
        self.tokens.clear();
        self.positions.clear();
        self.of_row.clear();
        self.of_row.resize(x.len(), 0);
        self.seen.clear();
        self.seen.resize(vocab, (u32::MAX, 0));
        for t in 0..seq {
            for row in (t..x.len()).step_by(seq) {
                let (at, pair) = &mut self.seen[x[row] as usize];
                if *at != t as u32 {
                    (*at, *pair) = (t as u32, self.tokens.len() as u32);
                    self.tokens.push(x[row]);
                    self.positions.push(t as u32);
                }
                self.of_row[row] = *pair;
            }
        }
        let pairs = self.tokens.len();
        // as many blocks for each chunk, and whole vectors of rows
        let blocks = pairs.div_ceil(seq).next_multiple_of(CHUNKS).max(1);
        (self.seq, self.block) = (seq, pairs.div_ceil(blocks).next_multiple_of(16).min(seq).max(1));
        4 * pairs <= 3 * x.len()
    }

    /// The number of blocks.
    pub fn blocks(&self) -> usize {
        self.tokens.len().div_ceil(self.block)
    }

    fn pairs(&self, block: usize) -> Range<usize> {
        block * self.block..((block + 1) * self.block).min(self.tokens.len())
    }

    /// The tokens and the positions of a block.
    pub fn rows(&self, block: usize) -> (&[u32], &[u32]) {
        let pairs = self.pairs(block);
        (&self.tokens[pairs.clone()], &self.positions[pairs])
    }

    /// Calls `body` with a place for what the front makes of each block.
    pub fn fill_values(&mut self, width: usize, body: impl FnOnce(&Self, &[Mutex<&mut [E]>])) {
        let mut values = std::mem::take(&mut self.values);
        body(self, &parts(values.scratch(self.tokens.len() * width), self.block * width));
        self.values = values;
    }

    /// Calls `body` with a place for the gradients that each sequence leaves.
    pub fn fill_gradients(&mut self, width: usize, body: impl FnOnce(&Self, &[Mutex<&mut [E]>])) {
        let mut gradients = std::mem::take(&mut self.gradients);
        body(self, &parts(gradients.scratch(self.of_row.len() * width), self.seq * width));
        self.gradients = gradients;
        self.sort_rows();
    }

    /// Finds the rows of each pair.
    fn sort_rows(&mut self) {
        self.starts.clear();
        self.starts.resize(self.tokens.len() + 1, 0);
        self.of_row.iter().for_each(|pair| self.starts[*pair as usize + 1] += 1);
        for p in 0..self.tokens.len() {
            self.starts[p + 1] += self.starts[p];
        }
        self.rows.clear();
        self.rows.resize(self.of_row.len(), 0);
        for (row, pair) in self.of_row.iter().enumerate() {
            let next = &mut self.starts[*pair as usize];
            self.rows[*next] = row as u32;
            *next += 1;
        }
        // each start has moved to the next one
        self.starts.rotate_right(1);
        self.starts[0] = 0;
    }

    /// Copies what the front has made of a block.
    pub fn keep(&self, program: &Program, ws: &Workspace<E>, block: usize, values: &mut [E]) {
        let of = |handed: &Handed| Some(ws.value(program, handed.val));
        copy_out(program, self.pairs(block).len(), values, of);
    }

    /// Gives a sequence, by its number among those of [`find`](Self::find), what the front has made of its rows.
    pub fn hand_on(&self, program: &Program, ws: &mut Workspace<E>, sequence: usize) {
        let of_row = &self.of_row[sequence * self.seq..(sequence + 1) * self.seq];
        for &Handed { val, first, .. } in &program.front.handed {
            let cols = program.info(val).cols;
            ws.write(program, val, |_, buffer| {
                for (to, pair) in buffer.chunks_exact_mut(padded(cols)).zip(of_row) {
                    let from = &self.values[*pair as usize * program.front.width + first..][..cols];
                    to[..cols].copy_from_slice(from);
                }
            });
        }
    }

    /// Copies the gradients that have arrived at the rows of a sequence.
    pub fn leave(&self, program: &Program, ws: &Workspace<E>, gradients: &mut [E]) {
        let of = |handed: &Handed| ws.gradient(program, handed.val).filter(|_| handed.trains);
        copy_out(program, self.seq, gradients, of);
    }

    /// Makes the gradients of what the front has made of a block: for each pair, the sum of those of its rows.
    pub fn add_up(&self, program: &Program, ws: &mut Workspace<E>, block: usize) {
        for &Handed { val, first, .. } in program.front.handed.iter().filter(|handed| handed.trains) {
            let Some((mut d, _)) = ws.open(program, val) else { continue };
            let cols = program.info(val).cols;
            for (to, p) in d.chunks_exact_mut(padded(cols)).zip(self.pairs(block)) {
                clear(to);
                for row in &self.rows[self.starts[p]..self.starts[p + 1]] {
                    let from = &self.gradients[*row as usize * program.front.width + first..][..cols];
                    add_into(&mut to[..cols], from);
                }
            }
            ws.put_gradient(program, val, d);
        }
    }
}

/// Cuts into parts of one size.
fn parts<E>(all: &mut [E], size: usize) -> Vec<Mutex<&mut [E]>> {
    let mut parts = Vec::with_capacity(all.len().div_ceil(size.max(1)));
    parts.extend(all.chunks_mut(size.max(1)).map(Mutex::new));
    parts
}

/// A part, which nobody else uses.
pub(crate) fn part<'a, 'b, E>(parts: &'a [Mutex<&'b mut [E]>], i: usize) -> MutexGuard<'a, &'b mut [E]> {
    parts[i].lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts the first `n` rows of all values that are handed on side by side; zeros where `of` has none.
fn copy_out<'a, E: Element>(
    program: &Program,
    n: usize,
    out: &mut [E],
    of: impl Fn(&Handed) -> Option<&'a [E]>,
) {
    for handed in &program.front.handed {
        let cols = program.info(handed.val).cols;
        let columns = handed.first..handed.first + cols;
        let rows = out.chunks_exact_mut(program.front.width).take(n);
        match of(handed) {
            Some(from) => rows
                .zip(from.chunks_exact(padded(cols)))
                .for_each(|(to, from)| to[columns.clone()].copy_from_slice(&from[..cols])),
            None => rows.for_each(|to| clear(&mut to[columns.clone()])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pairs;

    const SEQ: usize = 5;

    fn found(x: &[u32]) -> (Pairs<f32>, bool) {
        let mut pairs = Pairs::default();
        // what an earlier batch has left makes no difference
        pairs.find(&[6; 3 * SEQ], SEQ, 7);
        let pays = pairs.find(x, SEQ, 7);
        pairs.sort_rows();
        (pairs, pays)
    }

    #[test]
    fn each_row_has_the_pair_of_its_token_and_position_and_each_pair_its_rows_in_order() {
        let x: Vec<u32> = (0..12 * SEQ as u32).map(|i| i * i % 7).collect();
        let (pairs, _) = found(&x);
        for (row, pair) in pairs.of_row.iter().enumerate() {
            let pair = *pair as usize;
            assert_eq!((pairs.tokens[pair], pairs.positions[pair]), (x[row], (row % SEQ) as u32));
        }
        let mut rows = 0;
        for p in 0..pairs.tokens.len() {
            let of_pair = &pairs.rows[pairs.starts[p]..pairs.starts[p + 1]];
            assert!(of_pair.is_sorted() && of_pair.iter().all(|row| pairs.of_row[*row as usize] == p as u32));
            assert!(!of_pair.is_empty());
            rows += of_pair.len();
        }
        assert_eq!(rows, x.len());
        let mut distinct: Vec<_> = pairs.tokens.iter().zip(&pairs.positions).collect();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), pairs.tokens.len());
    }

    #[test]
    fn blocks_hold_all_pairs_and_fit_into_a_sequence() {
        let x: Vec<u32> = (0..12 * SEQ as u32).map(|i| i * i % 7).collect();
        let (pairs, _) = found(&x);
        let tokens: Vec<u32> = (0..pairs.blocks()).flat_map(|b| pairs.rows(b).0.to_vec()).collect();
        assert_eq!(tokens, pairs.tokens);
        assert!((0..pairs.blocks()).all(|b| (1..=SEQ).contains(&pairs.rows(b).1.len())));
    }

    #[test]
    fn it_pays_if_a_quarter_of_the_rows_is_left_out() {
        let apart = [0, 1, 2, 3, 4, 1, 2, 3, 4, 5, 2, 3, 4, 5, 6, 3, 4, 5, 6, 0];
        let (pairs, pays) = found(&apart);
        assert_eq!((pairs.tokens.len(), pays), (20, false));
        let alike = [0, 1, 2, 3, 4, 1, 2, 3, 4, 5, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4];
        let (pairs, pays) = found(&alike);
        assert_eq!((pairs.tokens.len(), pays), (15, true));
        assert!(found(&alike[..0]).1);
    }
}
