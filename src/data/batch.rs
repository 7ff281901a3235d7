//! A batch of sequences.
use crate::{Error, Result};

/// Sequences with their targets and marks, row-major `[batch, seq]`.
///
/// ```
/// use ihead::data::Batch;
/// let mut batch = Batch::new(2, 3);
/// batch.draw_each(|tokens, _| tokens.copy_from_slice(&[5, 6, 7, 8]));
/// assert_eq!(batch.sequence(1), ([5, 6, 7].as_slice(), [6, 7, 8].as_slice(), [0, 0, 0].as_slice()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The tokens that the model reads, `[batch, seq]`.
    pub x: Vec<u32>,
    /// The next token after each position, `[batch, seq]`: what the model predicts.
    pub y: Vec<u32>,
    /// The mark of each position, `[batch, seq]` (the paper's `outs`): how its next token is predictable; see
    /// [`Task`](super::Task).
    pub marks: Vec<i32>,
    /// The number of sequences.
    pub batch: usize,
    /// The number of positions of a sequence.
    pub seq: usize,
}

impl Batch {
    /// Makes a batch of zeros: tokens, targets and marks `[batch, seq]`.
    pub fn new(batch: usize, seq: usize) -> Self {
        let n = batch * seq;
        Self { x: vec![0; n], y: vec![0; n], marks: vec![0; n], batch, seq }
    }

    /// Gives the batch this shape. Marks are then zero and tokens unspecified; buffers that are large enough are reused.
    pub fn reshape(&mut self, batch: usize, seq: usize) {
        let n = batch * seq;
        (self.batch, self.seq) = (batch, seq);
        self.x.resize(n, 0);
        self.y.resize(n, 0);
        self.marks.clear();
        self.marks.resize(n, 0);
    }

    /// Checks that `x`, `y` and `marks` have as many numbers as `batch` and `seq` say: the fields of a batch that is made by
    /// hand need not. What takes a batch checks it.
    ///
    /// # Errors
    /// [`Error::Shape`] if one has more or fewer.
    ///
    /// ```
    /// use ihead::data::Batch;
    /// let batch = Batch { x: vec![1; 7], y: vec![1; 8], marks: vec![0; 8], batch: 2, seq: 4 };
    /// let error = batch.check().unwrap_err().to_string();
    /// assert_eq!(error, "`x` of a batch: expected shape [2, 4], found [7]");
    /// ```
    pub fn check(&self) -> Result<()> {
        let expected = [self.batch, self.seq];
        self.misfit().map_or(Ok(()), |(what, found)| {
            Err(Error::shape(format!("`{what}` of a batch"), &expected, &[found]))
        })
    }

    /// The first of its lists that has more or fewer numbers than `batch` and `seq` say, and how many.
    pub(super) fn misfit(&self) -> Option<(&'static str, usize)> {
        let expected = self.batch.checked_mul(self.seq);
        let lists = [("x", self.x.len()), ("y", self.y.len()), ("marks", self.marks.len())];
        lists.into_iter().find(|(_, found)| Some(*found) != expected)
    }

    /// Returns `x`, `y` and `marks` of sequence `i`, each `[seq]`.
    ///
    /// # Panics
    /// `i` is not below `batch`, or the batch is not as [`check`](Self::check) expects it.
    pub fn sequence(&self, i: usize) -> (&[u32], &[u32], &[i32]) {
        let row = i * self.seq..(i + 1) * self.seq;
        (&self.x[row.clone()], &self.y[row.clone()], &self.marks[row])
    }

    /// Calls `draw(tokens, marks)` for each sequence in turn, with `tokens` `[seq + 1]` to write and `marks`
    /// `[seq]`, zero at first.
    pub fn draw_each(&mut self, mut draw: impl FnMut(&mut [u32], &mut [i32])) {
        self.marks.fill(0);
        if self.seq == 0 {
            return;
        }
        let mut tokens = vec![0; self.seq + 1];
        let xy = self.x.chunks_exact_mut(self.seq).zip(self.y.chunks_exact_mut(self.seq));
        for ((x, y), marks) in xy.zip(self.marks.chunks_exact_mut(self.seq)) {
            draw(&mut tokens, marks);
            x.copy_from_slice(&tokens[..self.seq]);
            y.copy_from_slice(&tokens[1..]);
        }
    }
}
