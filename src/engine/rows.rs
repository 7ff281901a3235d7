//! The positions of each sequence at which a loss or a metric reads values.
use crate::data::Batch;
use crate::{Error, Result};

/// Which positions of a sequence are read: all, or a numbered set, whose positions are given to each run of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RowSet {
    /// Every position.
    All,
    /// The `k`-th of the lists given to the run.
    Set(usize),
}

/// The positions of a row set for each sequence of a batch, in rising order.
///
/// ```
/// use ihead::data::Batch;
/// use ihead::engine::RowLists;
///
/// let batch = Batch { x: vec![0; 6], y: vec![0; 6], marks: vec![1, 0, 2, 0, 3, 2], batch: 2, seq: 3 };
/// let known = RowLists::select(&batch, |_, mark| mark >= 2);
/// assert_eq!((known.sequence(0), known.sequence(1), known.total()), (&[2][..], &[1, 2][..], 3));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowLists {
    ends: Vec<usize>,
    positions: Vec<u32>,
    /// A distribution over the vocabulary for each position, if there are any.
    distributions: Option<Distributions>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Distributions {
    vocab: usize,
    /// `[positions, vocab]`.
    values: Vec<f64>,
}

impl RowLists {
    /// The positions of each sequence at which `keep(position, mark)` holds.
    pub fn select(batch: &Batch, keep: impl Fn(usize, i32) -> bool) -> RowLists {
        RowLists::choose(batch, |i, t| keep(t, batch.marks[i * batch.seq + t]))
    }

    /// The positions of each sequence at which `keep(sequence, position)` holds.
    pub fn choose(batch: &Batch, mut keep: impl FnMut(usize, usize) -> bool) -> RowLists {
        RowLists::choose_by_sequence(batch, |i, positions| {
            positions.extend((0..batch.seq).filter(|&t| keep(i, t)).map(|t| t as u32));
        })
    }

    /// The positions that `choose(sequence, positions)` appends for each sequence, rising, to those of the sequences before.
    pub(crate) fn choose_by_sequence(
        batch: &Batch,
        mut choose: impl FnMut(usize, &mut Vec<u32>),
    ) -> RowLists {
        let mut lists = RowLists { ends: Vec::with_capacity(batch.batch), ..RowLists::default() };
        for i in 0..batch.batch {
            let start = lists.positions.len();
            choose(i, &mut lists.positions);
            debug_assert!(lists.positions[start..].is_sorted(), "positions rise");
            lists.ends.push(lists.positions.len());
        }
        lists
    }

    /// The positions of sequence `i`.
    pub fn sequence(&self, i: usize) -> &[u32] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.positions[start..self.ends[i]]
    }

    /// Number of sequences.
    pub fn sequences(&self) -> usize {
        self.ends.len()
    }

    /// The number of positions in all sequences together.
    pub fn total(&self) -> usize {
        self.positions.len()
    }

    /// The same positions, each with a distribution of the next token: `values` is `[positions, vocab]`, in the order of
    /// sequences and positions.
    ///
    /// # Errors
    /// If there are not as many values.
    pub fn with_distributions(mut self, vocab: usize, values: Vec<f64>) -> Result<RowLists> {
        if values.len() != self.total() * vocab {
            let found = [values.len() / vocab.max(1), vocab];
            return Err(Error::shape("distributions of the next token", &[self.total(), vocab], &found));
        }
        self.distributions = Some(Distributions { vocab, values });
        Ok(self)
    }

    /// The number of tokens that the distributions are over, if there are any.
    pub(crate) fn vocab(&self) -> Option<usize> {
        self.distributions.as_ref().map(|distributions| distributions.vocab)
    }

    /// The distributions of sequence `i`, `[positions, vocab]`; empty if there are none.
    pub(crate) fn distributions(&self, i: usize) -> &[f64] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        let of = |d: &'_ Distributions| start * d.vocab..self.ends[i] * d.vocab;
        self.distributions.as_ref().map_or(&[], |d| &d.values[of(d)])
    }

    /// One more than the last position of any sequence.
    pub(crate) fn positions_end(&self) -> usize {
        self.positions.iter().fold(0, |end, p| end.max(*p as usize + 1))
    }
}
