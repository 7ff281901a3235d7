//! Batches whose rows are alike: what depends on token and position alone is computed once for each distinct pair.
use ihead::config::Config as _;
use ihead::data::Batch;
use ihead::engine::{CpuEngine, Request, RowLists, RowSet};
use ihead::graph::{Edit, Edits, Graph, record, record_with};
use ihead::model::{Full, FullArgs};
use ihead::nn::{Module, ModuleExt};

use crate::common::ways::assert_agree;

const VOCAB: usize = 7;

fn model(seq: usize, dim: usize) -> Full<usize, usize, usize> {
    let args = FullArgs { max_length: seq, dim, n_heads: 2, n_layers: 2, ..FullArgs::defaults() };
    Full::new(VOCAB, &args).unwrap().init(3)
}

/// Sequences of tokens that are neither all alike nor all different.
fn batch(sequences: usize, seq: usize) -> Batch {
    let token = |i: usize| (i * i / 3 + i / seq * 5 + i) as u32 % VOCAB as u32;
    let n = sequences * seq;
    Batch {
        x: (0..n).map(token).collect(),
        y: (0..n).map(|i| token(i + 1)).collect(),
        marks: (0..n).map(|i| if i % 3 == 0 { 2 } else { 0 }).collect(),
        batch: sequences,
        seq,
    }
}

/// Compares runs on one, two and five threads with each other and with the program without rewrites.
#[track_caller]
fn check(model: &impl Module, graph: &Graph, request: &Request, sizes: &[usize]) {
    let batches: Vec<Batch> = sizes.iter().map(|sequences| batch(*sequences, graph.seq())).collect();
    let rows = |batch: &Batch| vec![RowLists::select(batch, |_, mark| mark >= 2)];
    let program = assert_agree(model, graph, request, &batches, rows);
    assert!(program.contains("once for each token and position"), "{program}");
}

#[test]
fn with_less_than_a_quarter_of_the_maps_in_front_there_is_none() {
    for (n_layers, expected) in [(1, true), (3, true), (4, false)] {
        let args = FullArgs { max_length: 10, dim: 8, n_heads: 2, n_layers, ..FullArgs::defaults() };
        let model = Full::new(VOCAB, &args).unwrap();
        let graph = record(&model, 10).unwrap();
        let engine = CpuEngine::<f64>::new(&graph, &Request::loss(RowSet::All), &|_| true, 1).unwrap();
        assert_eq!(engine.program().contains("once for each token and position"), expected, "{n_layers}");
    }
}

#[test]
fn batches_of_any_size_agree_with_the_plain_program() {
    let model = model(10, 8);
    let graph = record(&model, 10).unwrap();
    for rows in [RowSet::All, RowSet::Set(0)] {
        check(&model, &graph, &Request::loss(rows), &[40, 1, 3, 17]);
    }
}

#[test]
fn a_batch_of_several_groups_agrees_too() {
    let model = model(32, 32);
    // of 32 positions and four streams of 32 numbers of 64 bits, 1024 sequences are run together
    let graph = record(&model, 32).unwrap();
    check(&model, &graph, &Request::loss(RowSet::All), &[1100]);
}

#[test]
fn sums_in_turn_agree_too() {
    let model = model(10, 256);
    let graph = record(&model, 10).unwrap();
    check(&model, &graph, &Request::loss(RowSet::All), &[12]);
}

#[test]
fn reads_of_the_front_and_frozen_parts_of_it() {
    let mut model = model(10, 8);
    let graph = record(&model, 10).unwrap();
    let read = |name: &str| (graph.site(name).unwrap(), RowSet::All);
    let reads = vec![read("layers.0.ff.out"), read("layers.0.attention.q"), read("logits")];
    let request = Request { reads: reads.clone(), ..Request::loss(RowSet::All) };
    check(&model, &graph, &request, &[12]);
    check(&model, &graph, &Request::reads(reads), &[12]);
    for part in ["layers.0.ff.", "layers.0.", "tok_embeddings.", "pos_embeddings.", "layers.0.attention"] {
        let names: Vec<String> = model.tensors().into_iter().map(|(name, ..)| name).collect();
        for name in names.iter().filter(|name| name.starts_with(part)) {
            model.freeze(name).unwrap();
        }
        check(&model, &graph, &request, &[12]);
    }
}

#[test]
fn an_edit_of_the_front() {
    let model = model(10, 8);
    let edits = Edits::default().with("layers.0.ff.out", Edit::Scale(-0.5));
    let graph = record_with(&model, 10, &edits).unwrap();
    check(&model, &graph, &Request::loss(RowSet::All), &[12]);
}
