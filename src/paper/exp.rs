//! `exp.npz`: activations of a batch, for NumPy.
use std::path::Path;

use crate::Result;
use crate::data::Batch;
use crate::graph::{AnyModel, Graph};
use crate::io::Npz;
use crate::run::{Patches, read_whole};
use crate::train::Compute;

/// Writes what a model computes for a batch as arrays for NumPy, the paper's file `exp.npz`.
///
/// | array | shape | what it is |
/// |---|---|---|
/// | `x` | `[batch, seq]` | the tokens of `batch` |
/// | `out` | `[batch, seq + 1]` | its marks, and a last column of zeros, as the paper's program writes them |
/// | `scores_L` | `[batch, heads, seq, seq]` | the attention pattern of layer L |
/// | `preds` | `[batch, seq, vocab]` | the logits |
///
/// `graph` is the recording of `model` for sequences of the batch's length. One array is in memory at a time.
///
/// # Errors
/// If the file cannot be written, or the batch does not fit the graph.
pub fn write_exp(
    path: &Path,
    model: &dyn AnyModel,
    graph: &Graph,
    batch: &Batch,
    compute: Compute,
) -> Result<()> {
    let (n, seq) = (batch.batch as u64, batch.seq as u64);
    let mut failed = Ok(());
    let written = Npz::create(path, |npz| {
        npz.array("x", &[n, seq], batch.x.iter().map(|t| i64::from(*t)))?;
        // the mark of the token behind the last position, which the paper's program writes too, is always 0
        let marks = batch.marks.chunks_exact(batch.seq.max(1));
        let marks = marks.flat_map(|row| row.iter().copied().chain([0]));
        npz.array("out", &[n, seq + 1], marks.map(i64::from))?;
        let layers = (0..).map_while(|l| graph.site(&format!("layers.{l}.attention.pattern")));
        let patterns = layers.enumerate().map(|(l, node)| (format!("scores_{l}"), node));
        for (name, node) in patterns.chain([("preds".to_string(), graph.logits())]) {
            let array = match read_whole(model, graph, batch, node, &Patches::default(), compute) {
                Ok(array) => array,
                Err(error) => {
                    failed = Err(error);
                    return Err(std::io::Error::other("the engine failed"));
                }
            };
            let shape: Vec<u64> = array.shape.iter().map(|n| *n as u64).collect();
            npz.array(&name, &shape, array.values)?;
        }
        Ok(())
    });
    failed.and(written)
}
