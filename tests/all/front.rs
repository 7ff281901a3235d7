//! Batches whose rows are alike: what depends on token and position alone is computed once for each distinct pair.
use std::sync::Mutex;

use ihead::config::Config as _;
use ihead::data::Batch;
use ihead::engine::{CpuEngine, Engine, Read, Request, RowLists, RowSet};
use ihead::graph::{Edit, Edits, Graph, record, record_with};
use ihead::model::{Full, FullArgs};
use ihead::nn::{Module, ModuleExt, Params};

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

#[derive(Debug, PartialEq)]
struct Left {
    loss: f64,
    read: Vec<Vec<f64>>,
    gradients: Vec<(String, Option<Vec<f64>>)>,
}

fn run(engine: &mut CpuEngine<f64>, model: &impl Module, batch: &Batch) -> Left {
    let rows = [RowLists::select(batch, |_, mark| mark >= 2)];
    let read = Mutex::new(vec![vec![]; batch.batch]);
    let observe = |i: usize, reads: &[Read<'_, f64>]| {
        let rows = reads.iter().flat_map(|read| (0..read.rows).flat_map(|r| read.row(r).to_vec()));
        read.lock().unwrap()[i] = rows.collect();
    };
    let loss = engine.run(&Params::of(model), batch, &rows, &observe).unwrap();
    let loss = if loss.is_nan() { 0.0 } else { loss }; // a request for reads alone has none
    let gradient = |param| engine.gradient(param).map(<[f64]>::to_vec);
    let gradients = model.tensors().into_iter().map(|(name, _, p)| (name, gradient(p.id()))).collect();
    Left { loss, read: read.into_inner().unwrap(), gradients }
}

/// Runs batches on one, two and five threads, which must leave the same bits, and compares with the program without rewrites.
#[track_caller]
fn check(model: &impl Module, graph: &Graph, request: &Request, sizes: &[usize]) {
    let params = Params::of(model);
    let trains = |id| params.trains(id);
    let mut engines = [1, 2, 5].map(|threads| CpuEngine::new(graph, request, &trains, threads).unwrap());
    assert!(engines[0].program().contains("once for each token and position"), "{}", engines[0].program());
    let mut plain = CpuEngine::plain(graph, request, &trains).unwrap();
    for &sequences in sizes {
        let batch = batch(sequences, graph.seq());
        let [one, two, five] = engines.each_mut().map(|engine| run(engine, model, &batch));
        assert!(one == two && one == five, "other bits on other threads, {sequences} sequences");
        let expected = run(&mut plain, model, &batch);
        assert!((expected.loss - one.loss).abs() < 1e-10, "{} {}", expected.loss, one.loss);
        let all = |left: &Left| -> Vec<Vec<f64>> {
            let gradients = left.gradients.iter().map(|(_, gradient)| gradient.clone().unwrap_or_default());
            left.read.iter().cloned().chain(gradients).collect()
        };
        for (expected, found) in all(&expected).iter().zip(all(&one)) {
            let off = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(expected.len() == found.len() && off < 1e-9, "off by {off:e}, {sequences} sequences");
        }
    }
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
