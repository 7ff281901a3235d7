//! The model and the task of the README's command, for the benchmarks of a step.
use std::sync::Arc;

use ihead::config::Config as _;
use ihead::data::{Batch, BigramData, NumpyRng, TriggerOptions, TriggerTask, sample};
use ihead::engine::RowLists;
use ihead::model::{Simplified, SimplifiedArgs};

/// Tokens of a sequence.
pub const SEQ: usize = 256;

/// The simplified model with frozen embeddings and output.
pub fn model() -> Simplified<usize, usize, usize> {
    let args = SimplifiedArgs {
        max_length: SEQ,
        dim: 256,
        freeze_embeddings: true,
        freeze_output: true,
        ..SimplifiedArgs::defaults()
    };
    Simplified::new(65, &args).unwrap().init(1)
}

/// So many sequences, and the positions whose tokens can be known.
pub fn batch(sequences: usize) -> (Batch, [RowLists; 1]) {
    let options = TriggerOptions { k: 5, fixed_special_toks: true, seq_length: SEQ, ..Default::default() };
    let task = TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options).unwrap();
    let batch = sample(&task, &mut NumpyRng::new(&[42, 0]), sequences).unwrap();
    let rows = [RowLists::select(&batch, |_, mark| mark >= 2)];
    (batch, rows)
}
