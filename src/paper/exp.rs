//! `exp.npz`: activations of a batch, for NumPy.
use std::path::Path;
use std::sync::Mutex;

use crate::Result;
use crate::data::Batch;
use crate::engine::{Read, Request, RowSet};
use crate::graph::{Graph, Model, NodeId};
use crate::io::Npz;
use crate::nn::Params;
use crate::train::{Device, engine};

/// Writes `x` and `out` (the tokens and marks of `batch`), `scores_L` `[batch, heads, seq, seq]` (the pattern of each
/// layer) and `preds` `[batch, seq, vocab]` (the logits). One array is in memory at a time.
///
/// # Errors
/// If the file cannot be written, or the batch does not fit the graph.
pub fn write_exp(
    path: &Path,
    model: &impl Model,
    graph: &Graph,
    batch: &Batch,
    (device, threads): (Device, usize),
) -> Result<()> {
    let (n, seq) = (batch.batch as u64, batch.seq as u64);
    let values = |node: NodeId| activations(model, graph, batch, node, (device, threads));
    let mut failed = Ok(());
    let written = Npz::create(path, |npz| {
        npz.array("x", &[n, seq], batch.x.iter().map(|t| i64::from(*t)))?;
        npz.array("out", &[n, seq], batch.marks.iter().map(|m| i64::from(*m)))?;
        let layers = (0..).map_while(|l| graph.site(&format!("layers.{l}.attention.pattern")));
        let patterns = layers.enumerate().map(|(l, node)| (format!("scores_{l}"), node));
        for (name, node) in patterns.chain([("preds".to_string(), graph.logits())]) {
            let array = match values(node) {
                Ok(array) => array,
                Err(error) => {
                    failed = Err(error);
                    return Err(std::io::Error::other("the engine failed"));
                }
            };
            let cols = graph.nodes()[node.index()].cols as u64;
            let shape = if name == "preds" { vec![n, seq, cols] } else { vec![n, cols, seq, seq] };
            npz.array(&name, &shape, array)?;
        }
        Ok(())
    });
    failed.and(written)
}

/// The values of a node for every sequence of a batch, in order: `[batch, seq, dim]`, or `[batch, heads, seq, seq]` of a
/// pattern.
///
/// # Errors
/// If the device is not there, or the batch does not fit the graph.
pub fn activations(
    model: &impl Model,
    graph: &Graph,
    batch: &Batch,
    node: NodeId,
    (device, threads): (Device, usize),
) -> Result<Vec<f32>> {
    let request = Request { loss: None, reads: vec![(node, RowSet::All)] };
    let mut engine = engine(device, graph, &request, &|_| false, threads)?;
    let info = &graph.nodes()[node.index()];
    let heads = if info.op.is_pattern() { info.cols } else { 1 };
    let slots: Vec<Mutex<Vec<f32>>> = (0..batch.batch).map(|_| Mutex::default()).collect();
    let observe = |i: usize, reads: &[Read<'_, f32>]| {
        let read = &reads[0];
        let rows = (0..heads).flat_map(|h| (0..read.rows).map(move |r| (h, r)));
        let values = rows.flat_map(|(h, r)| read.head_row(h, r)).copied().collect();
        if let Ok(mut slot) = slots[i].lock() {
            *slot = values;
        }
    };
    engine.run(&Params::of(model), batch, &[], &observe)?;
    Ok(slots.into_iter().flat_map(|slot| slot.into_inner().unwrap_or_default()).collect())
}
