//! Layers that read a mix of frozen values at a few positions: its gradient goes on to the pattern without being made.
use ihead::Module;
use ihead::backend::Dim;
use ihead::config::Config as _;
use ihead::data::Batch;
use ihead::engine::{LossTerm, Penalty, Request, RowLists, RowSet};
use ihead::graph::{
    Edit, Edits, FixedPattern, Graph, Model, Normaliser, Pattern, Scores, Stream, Tokens, record, record_with,
};
use ihead::model::{Simplified, SimplifiedArgs};
use ihead::nn::{Init, ModuleExt, Param};

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
fn check(model: &impl ihead::nn::Module, graph: &Graph, request: &Request) -> String {
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
    for (seq, dim) in [(1, 16), (10, 8), (16, 16), (33, 20), (64, 32), (64, 64), (100, 16), (128, 128)] {
        let model = model(seq, dim);
        let graph = record(&model, seq).unwrap();
        let program = check(&model, &graph, &Request::loss(RowSet::Set(0)));
        assert_eq!(program.matches(" or dv").count(), 1, "{program}");
    }
}

#[test]
fn beside_readers_at_all_positions() {
    let model = model(40, 16);
    let graph = record(&model, 40).unwrap();
    let node = |name: &str| graph.site(name).unwrap();
    // nobody reads it at some positions alone
    assert!(!check(&model, &graph, &Request::loss(RowSet::All)).contains(" or dv"));
    // a penalty needs the gradient itself, and the second set of rows makes the stream be read twice
    for (name, rows) in
        [("layers.0.resid", RowSet::All), ("layers.0.resid", RowSet::Set(1)), ("logits", RowSet::Set(1))]
    {
        let mut request = Request::loss(RowSet::Set(0));
        request.losses.push(LossTerm::Penalty { node: node(name), penalty: Penalty::L2, rows, weight: 0.3 });
        let program = check(&model, &graph, &request);
        // logits at two sets of positions are made at all
        assert_eq!(program.contains(" or dv"), name != "logits", "{program}");
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

/// Two layers over embeddings, values and an unembedding that never train; `kind` names what the second one is.
#[derive(Module)]
struct Layers {
    #[param]
    tok: Param<(usize, usize)>,
    #[param]
    pos: Param<(usize, usize)>,
    #[param]
    keys: Param<(usize, usize)>,
    #[param]
    queries: Param<(usize, usize)>,
    #[param]
    values: Param<(usize, usize)>,
    #[param]
    other_values: Param<(usize, usize)>,
    #[param]
    by_distance: Param<(usize, usize)>,
    kind: &'static str,
}

impl Layers {
    const SEQ: usize = 40;
    const DIM: usize = 16;

    fn new(kind: &'static str) -> Layers {
        let matrix = |rows| Param::new((rows, Layers::DIM), Init::Normal { std: 0.5 });
        let [keys, queries, values, other_values] = [(); 4].map(|()| matrix(Layers::DIM));
        let by_distance = Param::new((1, Layers::SEQ), Init::Normal { std: 0.5 });
        let (tok, pos) = (matrix(VOCAB), matrix(Layers::SEQ));
        let mut layers = Layers { tok, pos, keys, queries, values, other_values, by_distance, kind };
        for name in ["tok", "pos", "values", "other_values"] {
            layers.freeze(name).unwrap();
        }
        layers.init(5)
    }
}

impl Model for Layers {
    type Vocab = usize;

    fn vocab(&self) -> usize {
        VOCAB
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
        let r = x.recorder();
        let [keys, queries, values] = [&self.keys, &self.queries, &self.values].map(|p| r.weight(p));
        let (tok, one) = (r.weight(&self.tok), Scores::new(1));
        let h = x.lookup(&tok) + x.positions(&r.weight(&self.pos));
        let scores = if self.kind == "relu below" { one.normaliser(Normaliser::MeanRelu) } else { one };
        let below = Pattern::causal(&h, &h.linear(&keys), scores);
        let below =
            if self.kind == "bias below" { below.with_bias(&r.weight(&self.by_distance)) } else { below };
        let x = h.clone() + below.mix(&h.linear(&values));
        let q = x.linear(&queries);
        let out = match self.kind {
            "one pattern of two mixes" => {
                let other = h.clone() + below.mix(&h.linear(&r.weight(&self.other_values)));
                Pattern::causal(&q, &x, one).mix(&other)
            }
            "a rule" => Pattern::fixed(&x, 1, FixedPattern::Uniform).mix(&x),
            "a pattern of two readers" => {
                let pattern = Pattern::causal(&q, &x, one);
                pattern.mix(&x) + pattern.mix(&x.tanh())
            }
            "two heads" => Pattern::causal(&q, &x, Scores::new(2)).mix(&x),
            "a bias" => Pattern::causal(&q, &x, one).with_bias(&r.weight(&self.by_distance)).mix(&x),
            _ => Pattern::causal(&q, &x, one).mix(&x),
        };
        (x + out).linear(&tok)
    }
}

#[test]
fn whatever_reads_them() {
    for kind in [
        "attention",
        "one pattern of two mixes",
        "a rule",
        "a pattern of two readers",
        "two heads",
        "a bias",
        "relu below",
        "bias below",
    ] {
        let model = Layers::new(kind);
        let graph = record(&model, Layers::SEQ).unwrap();
        let program = check(&model, &graph, &Request::loss(RowSet::Set(0)));
        assert!(program.contains(" or dv"), "{kind}:\n{program}");
    }
}
