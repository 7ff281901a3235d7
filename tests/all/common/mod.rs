//! What several subjects share.
pub mod cases;
pub mod fd;
pub mod maths;
pub mod npz;
pub mod unnamed;
pub mod ways;

use ihead::data::Batch;

/// Sequences in which tokens recur; a position is marked 1 where `marked` says so of its number plus that of its sequence.
pub fn recurring(vocab: usize, seq: usize, sequences: usize, marked: impl Fn(usize) -> bool) -> Batch {
    let mut batch = Batch::new(sequences, seq);
    let mut sequence = 0;
    batch.draw_each(|tokens, marks| {
        tokens
            .iter_mut()
            .enumerate()
            .for_each(|(t, to)| *to = ((t * t + 3 * sequence + t / 3) % vocab) as u32);
        marks.iter_mut().enumerate().for_each(|(t, mark)| *mark = i32::from(marked(t + sequence)));
        sequence += 1;
    });
    batch
}
