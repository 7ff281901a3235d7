//! What tells runs apart whose settings are the same: the batches that they draw, and what their model and loss compute.
use serde_json::{Map, Value, json};

use crate::Result;
use crate::data::{Batch, Batches};
use crate::graph::{AnyModel, Graph};
use crate::nn::{ModuleExt, Params, Values};
use crate::train::{Compute, Device, Training};

/// Sequences for which the loss is computed.
const SEQUENCES: usize = 4;

/// A number that tells the first batch from others, and its first sequences.
pub(super) fn first_of(mut batches: Batches) -> Result<(u32, Batch)> {
    // made before the batch, which may be large: what is allocated behind it would keep its place from being given back
    let room = SEQUENCES * batches.task().seq_length();
    let (mut x, mut y, mut marks) =
        (Vec::with_capacity(room), Vec::with_capacity(room), Vec::with_capacity(room));
    let batch = batches.next_batch()?;
    let sequences = batch.batch.min(SEQUENCES);
    let n = sequences * batch.seq;
    x.extend_from_slice(&batch.x[..n]);
    y.extend_from_slice(&batch.y[..n]);
    marks.extend_from_slice(&batch.marks[..n]);
    Ok((of_batch(&batch), Batch { x, y, marks, batch: sequences, seq: batch.seq }))
}

/// A number that tells batches apart.
fn of_batch(batch: &Batch) -> u32 {
    let sum = with(
        with(0, batch.x.iter().map(|token| token.to_le_bytes())),
        batch.y.iter().map(|token| token.to_le_bytes()),
    );
    with(sum, batch.marks.iter().map(|mark| mark.to_le_bytes()))
}

/// A checksum that goes on with these numbers.
fn with<const N: usize>(sum: u32, numbers: impl Iterator<Item = [u8; N]>) -> u32 {
    let (mut sum, mut numbers, mut bytes) = (sum, numbers, Vec::with_capacity(1024 * N));
    loop {
        // many at a time: a call for each number takes longer than the sum
        bytes.clear();
        bytes.extend(numbers.by_ref().take(1024).flatten());
        if bytes.is_empty() {
            return sum;
        }
        sum = crc32c::crc32c_append(sum, &bytes);
    }
}

/// The terms of the loss for the [first sequences](first_of) with the present weights, and a number that tells these apart. With
/// the same weights, other terms are those of other code: of an operation, a mask, a predictor or a selection, of which a
/// graph has the name alone.
pub(super) fn of_loss(
    model: &dyn AnyModel,
    graph: &Graph,
    training: &Training,
    batch: &Batch,
) -> Result<Value> {
    let loss = training.loss.resolve(graph)?;
    let compute = Compute { device: Device::Cpu, threads: 1, ..training.compute };
    let mut engine = compute.engine(graph, loss.request(), &|_| false)?;
    let positions = loss.positions(batch, model.vocab_size())?;
    let found = engine.run(&Params::of(model), batch, &positions)?;
    let found = loss.finish(found, engine.terms(), model, &mut Vec::new());
    let terms: Map<String, Value> =
        found.terms.into_iter().map(|(name, value)| (name, value.into())).collect();
    Ok(json!({ "weights": of_weights(model), "terms": terms }))
}

/// A number that tells weights apart.
fn of_weights(model: &dyn AnyModel) -> u32 {
    model.tensors().into_iter().fold(0, |sum, (.., tensor)| with_values(sum, tensor.data()))
}

/// A checksum that goes on with these values.
pub(super) fn with_values(sum: u32, values: &Values) -> u32 {
    match values {
        Values::Single(values) => with(sum, values.iter().map(|value| value.to_le_bytes())),
        Values::Double(values) => with(sum, values.iter().map(|value| value.to_le_bytes())),
    }
}

/// Whether two terms of a loss are the same but for rounding, which differs between kinds of processors.
pub(super) fn is_same(was: &Value, is: &Value) -> bool {
    match (was.as_f64(), is.as_f64()) {
        (Some(was), Some(is)) => (was - is).abs() <= 1e-4 * was.abs().max(is.abs()).max(1e-6),
        _ => was == is,
    }
}
