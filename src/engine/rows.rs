//! Which positions are wanted.
use crate::data::Batch;

/// A choice of positions, named when an engine is built, filled in at each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RowSet {
    /// Every position.
    All,
    /// The `k`-th of the lists given to the run.
    Set(usize),
}

/// Positions of each sequence of a batch, rising.
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
}

impl RowLists {
    /// The positions of each sequence at which `keep(position, mark)` holds.
    pub fn select(batch: &Batch, keep: impl Fn(usize, i32) -> bool) -> RowLists {
        RowLists::choose(batch, |i, t| keep(t, batch.marks[i * batch.seq + t]))
    }

    /// The positions of each sequence at which `keep(sequence, position)` holds.
    pub fn choose(batch: &Batch, keep: impl Fn(usize, usize) -> bool) -> RowLists {
        let mut lists = RowLists { ends: Vec::with_capacity(batch.batch), positions: Vec::new() };
        for i in 0..batch.batch {
            lists.positions.extend((0..batch.seq).filter(|&t| keep(i, t)).map(|t| t as u32));
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

    /// Number of positions in all sequences together.
    pub fn total(&self) -> usize {
        self.positions.len()
    }
}
