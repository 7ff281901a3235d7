//! Layers that read a mix of frozen values at a few positions: its gradient goes on to the pattern without being made.
use ihead::config::Config as _;
use ihead::data::Batch;
use ihead::engine::{LossTerm, Penalty, Request, RowLists, RowSet};
use ihead::graph::{Edit, Edits, Graph, record, record_with};
use ihead::model::{Simplified, SimplifiedArgs};
use ihead::nn::{Module, ModuleExt};

use crate::common::recurring;
use crate::common::ways::assert_agree;

const VOCAB: usize = 7;

/// The paper's simplified model, in whose first layer nothing trains but the pattern.
fn model(seq: usize, dim: usize) -> Simplified<usize, usize, usize> {
    let args = SimplifiedArgs {
        max_length: seq,
        dim,
        final_ffn: false,
        freeze_embeddings: true,
        ..SimplifiedArgs::defaults()
    };
    Simplified::new(VOCAB, &args).unwrap().init(3)
}

/// Compares at none, the first, the last, a few, half and all positions, those of each sequence others.
#[track_caller]
fn check(model: &impl Module, graph: &Graph, request: &Request) -> String {
    let seq = graph.seq();
    type Choice = fn(usize, usize) -> bool;
    let choices: [Choice; 7] = [
        |_, _| false,
        |at, _| at == 0,
        |at, seq| at + 1 == seq,
        |at, _| at % 11 == 5,
        |at, _| at % 3 == 1,
        |at, seq| 2 * at >= seq,
        |_, _| true,
    ];
    let mut program = String::new();
    for choice in choices {
        let batches = [1, 5].map(|sequences| recurring(VOCAB, seq, sequences, |at| choice(at % seq, seq)));
        let rows = |batch: &Batch| {
            vec![RowLists::select(batch, |_, mark| mark == 1), RowLists::select(batch, |at, _| at % 2 == 1)]
        };
        program = assert_agree(model, graph, request, &batches, rows);
    }
    program
}

#[test]
fn at_positions_of_any_number_and_sizes_of_any_kind() {
    for (seq, dim) in [(1, 16), (10, 8), (16, 16), (33, 20), (64, 32), (100, 16)] {
        let model = model(seq, dim);
        let graph = record(&model, seq).unwrap();
        let program = check(&model, &graph, &Request::loss(RowSet::Set(0)));
        // of `v3 = mix ...`, and of the sum that grows there
        assert_eq!(program.matches(" or dv").count(), 2, "{program}");
    }
}

#[test]
fn beside_readers_at_all_positions() {
    let model = model(40, 16);
    let graph = record(&model, 40).unwrap();
    let node = |name: &str| graph.site(name).unwrap();
    // a penalty needs the gradient itself, and the second set of rows makes the stream be read twice
    for (name, rows) in
        [("layers.0.resid", RowSet::All), ("layers.0.resid", RowSet::Set(1)), ("logits", RowSet::Set(1))]
    {
        let mut request = Request::loss(RowSet::Set(0));
        request.losses.push(LossTerm::Penalty { node: node(name), penalty: Penalty::L2, rows, weight: 0.3 });
        let program = check(&model, &graph, &request);
        assert!(program.contains(" or dv"), "{program}");
    }
    // a value that is read keeps its buffer
    let reads = ["layers.0.attention.pattern", "layers.0.resid", "layers.1.attention.pattern", "logits"];
    let reads = reads.map(|name| (node(name), RowSet::All)).to_vec();
    check(&model, &graph, &Request { reads, ..Request::loss(RowSet::Set(0)) });
}

#[test]
fn only_where_nothing_but_the_pattern_trains() {
    let frozen = |change: fn(&mut SimplifiedArgs), thaw: &[&str]| {
        let mut args = SimplifiedArgs {
            max_length: 40,
            dim: 16,
            final_ffn: false,
            freeze_embeddings: true,
            ..SimplifiedArgs::defaults()
        };
        change(&mut args);
        let mut model = Simplified::new(VOCAB, &args).unwrap().init(3);
        thaw.iter().for_each(|name| model.release(name).unwrap());
        let graph = record(&model, 40).unwrap();
        check(&model, &graph, &Request::loss(RowSet::Set(0))).contains(" or dv")
    };
    assert!(frozen(|_| {}, &[]));
    assert!(!frozen(|args| args.freeze_embeddings = false, &[]));
    assert!(!frozen(|_| {}, &["layers.0.attention.wv.weight"]));
    assert!(frozen(|_| {}, &["layers.1.attention.wv.weight"]));
}

#[test]
fn under_edits() {
    let model = model(40, 16);
    for (name, edit) in [
        ("layers.0.resid", Edit::Scale(-0.5)),
        ("layers.0.attention.out", Edit::Add(vec![0.25; 16])),
        ("layers.1.attention.pattern", Edit::PreviousToken),
    ] {
        let graph = record_with(&model, 40, &Edits::default().with(name, edit)).unwrap();
        check(&model, &graph, &Request::loss(RowSet::Set(0)));
    }
}
