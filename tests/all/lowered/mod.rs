//! The lowered programs of seven models, as text: what the passes make of them. After a change that is meant,
//! `INSTA_UPDATE=always cargo test -p ihead-tests --test all lowered` writes them anew, and `git diff` shows what has become
//! of each.
use ihead::config::Config;
use ihead::engine::CpuEngine;
use ihead::engine::{LossTerm, Penalty, Request, RowSet};
use ihead::graph::{Graph, Model, record};
use ihead::model::{
    Full, FullArgs, NormKind, PositionKind, Simplified, SimplifiedArgs, Transformer, TransformerArgs,
};
use ihead::nn::{Activation, ModuleExt, Params};

const VOCAB: usize = 11;
const SEQ: usize = 10;
const DIM: usize = 8;

/// The graph, then the program for the loss at marked positions.
fn lowered(model: &impl Model) -> String {
    let graph = record(model, SEQ).unwrap();
    lowered_for(model, &graph, &Request::loss(RowSet::Set(0)))
}

fn lowered_for(model: &impl Model, graph: &Graph, request: &Request) -> String {
    let params = Params::of(model);
    let engine = CpuEngine::<f64>::new(graph, request, &|id| params.trains(id), 1).unwrap();
    engine.program()
}

fn transformer(args: &TransformerArgs) -> Transformer<usize, usize, usize> {
    Transformer::new(VOCAB, &TransformerArgs { max_length: SEQ, dim: DIM, ..args.clone() }).unwrap()
}

#[test]
fn simplified() {
    let args = SimplifiedArgs {
        max_length: SEQ,
        dim: DIM,
        freeze_embeddings: true,
        freeze_output: true,
        ..SimplifiedArgs::defaults()
    };
    insta::assert_snapshot!(lowered(&Simplified::new(VOCAB, &args).unwrap()));
}

#[test]
fn simplified_with_feed_forwards_and_rotary_positions() {
    let args = SimplifiedArgs {
        max_length: SEQ,
        dim: DIM,
        use_rope: true,
        first_ffn: true,
        final_ffn: true,
        linear_final_ffn: false,
        ..SimplifiedArgs::defaults()
    };
    insta::assert_snapshot!(lowered(&Simplified::new(VOCAB, &args).unwrap()));
}

#[test]
fn full() {
    let args = FullArgs { max_length: SEQ, dim: DIM, n_heads: 2, ..FullArgs::defaults() };
    insta::assert_snapshot!(lowered(&Full::new(VOCAB, &args).unwrap()));
}

#[test]
fn llama() {
    insta::assert_snapshot!(lowered(&transformer(&TransformerArgs {
        heads: 2,
        positions: PositionKind::Rotary,
        norm: NormKind::Rms,
        activation: Activation::Silu,
        gated: true,
        ..TransformerArgs::defaults()
    })));
}

#[test]
fn fewer_key_heads_in_a_window() {
    insta::assert_snapshot!(lowered(&transformer(&TransformerArgs {
        heads: 4,
        key_heads: Some(2),
        window: Some(3),
        ..TransformerArgs::defaults()
    })));
}

#[test]
fn three_terms_of_a_loss_with_frozen_parts() {
    let mut model = transformer(&TransformerArgs { heads: 1, ..TransformerArgs::defaults() });
    let names: Vec<String> = model.tensors().into_iter().map(|(name, ..)| name).collect();
    for name in names.iter().filter(|name| name.starts_with("layers.0.") || name.starts_with("tok_")) {
        model.freeze(name).unwrap();
    }
    let graph = record(&model, SEQ).unwrap();
    let node = graph.site("layers.1.ff.hidden").unwrap();
    let request = Request {
        losses: vec![
            LossTerm::NextToken { rows: RowSet::Set(0), weight: 1.0 },
            LossTerm::NextToken { rows: RowSet::All, weight: 0.1 },
            LossTerm::Penalty { node, penalty: Penalty::L1, rows: RowSet::All, weight: 0.01 },
        ],
        reads: vec![(graph.site("layers.1.attention.pattern").unwrap(), RowSet::Set(1))],
    };
    insta::assert_snapshot!(lowered_for(&model, &graph, &request));
}

/// What metrics read of a step that needs few positions: the first layer is there, the second is computed for all of them.
#[test]
fn simplified_step_that_is_measured() {
    let args = SimplifiedArgs { max_length: SEQ, dim: 16, ..SimplifiedArgs::defaults() };
    let model = Simplified::new(VOCAB, &args).unwrap();
    let graph = record(&model, SEQ).unwrap();
    let request = Request::loss(RowSet::Set(0))
        .and_read(graph.logits(), RowSet::All)
        .and_read(graph.site("layers.0.attention.pattern").unwrap(), RowSet::All)
        .and_read(graph.site("layers.1.attention.pattern").unwrap(), RowSet::Set(1));
    insta::assert_snapshot!(lowered_for(&model, &graph, &request));
}
