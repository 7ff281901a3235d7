//! Building blocks and the paper's two models: how they are made, their partial passes, their gradients as a whole.
//! Their numbers against the paper's program are in `tests/all/golden.rs`.
mod blocks;
mod construction;
mod gradients;
mod passes;
mod reference;

use std::collections::BTreeMap;
use std::sync::Mutex;

use ihead::data::Batch;
use ihead::engine::CpuEngine;
use ihead::engine::{Engine, Read, Request, RowSet};
use ihead::graph::{Graph, Model, record};
use ihead::nn::{ModuleExt, Params};

pub const VOCAB: usize = 7;
pub const LENGTH: usize = 8;
pub const DIM: usize = 4;
pub const SEQ: usize = 6;

/// Three sequences; marks 0, 1, 2 in turn.
pub fn batch() -> Batch {
    let tokens =
        |shift: usize| (0..3 * SEQ).map(|i| ((i * i + i / SEQ + shift * i) % VOCAB) as u32).collect();
    let marks = (0..3 * SEQ).map(|i| (i % 3) as i32).collect();
    Batch { x: tokens(1), y: tokens(4), marks, batch: 3, seq: SEQ }
}

pub fn engine(graph: &Graph, request: &Request, model: &impl Model) -> CpuEngine<f64> {
    let params = Params::of(model);
    CpuEngine::new(graph, request, &|id| params.trains(id), 1).unwrap()
}

/// The value of each stream that has a name, in the first sequence of [`batch`], as rows.
pub fn streams(model: &impl Model) -> BTreeMap<String, Vec<Vec<f64>>> {
    let graph = record(model, SEQ).unwrap();
    let is_stream = |name: &&String| !graph.is_pattern(graph.sites()[*name]);
    let names: Vec<&String> = graph.sites().keys().filter(is_stream).collect();
    let reads = names.iter().map(|name| (graph.sites()[*name], RowSet::All)).collect();
    let seen: Mutex<BTreeMap<String, Vec<Vec<f64>>>> = Mutex::default();
    let observe = |i: usize, reads: &[Read<'_, f64>]| {
        for (name, read) in names.iter().zip(reads).filter(|_| i == 0) {
            let rows = (0..read.rows).map(|r| read.row(r).to_vec()).collect();
            seen.lock().unwrap().insert(name.to_string(), rows);
        }
    };
    let request = Request::reads(reads);
    engine(&graph, &request, model).run(&Params::of(model), &batch(), &[], &observe).unwrap();
    seen.into_inner().unwrap()
}

/// The values of a tensor as rows.
pub fn rows(model: &impl Model, name: &str) -> Vec<Vec<f64>> {
    let tensor = model.tensor(name).unwrap();
    let values: Vec<f64> = tensor.values().into_iter().map(f64::from).collect();
    values.chunks(*tensor.dims().last().unwrap()).map(<[f64]>::to_vec).collect()
}

#[track_caller]
pub fn assert_close(found: &[Vec<f64>], expected: &[Vec<f64>]) {
    assert_eq!(found.len(), expected.len(), "rows");
    for (t, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.len(), expected.len(), "width of row {t}");
        for (f, e) in found.iter().zip(expected) {
            assert!(
                (f - e).abs() < 1e-9 * (1.0 + e.abs()),
                "row {t}: found {found:?}, expected {expected:?}"
            );
        }
    }
}
