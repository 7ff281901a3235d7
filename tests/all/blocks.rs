//! Every choice of a block: gradients by finite differences, and the two engines against each other.
use ihead::backend::Const;
use ihead::config::{Config, Exit, parse};
use ihead::data::Batch;
use ihead::engine::CpuEngine;
use ihead::engine::{Engine, Request, RowLists, RowSet, ignore};
use ihead::graph::{Graph, Model, record};
use ihead::model::{Transformer, TransformerArgs};
use ihead::nn::{ModuleExt, Params};

use crate::common::fd::{Values, assert_gradients};

const VOCAB: usize = 7;
const LENGTH: usize = 8;
const DIM: usize = 4;
const SEQ: usize = 6;

/// Two heads and linear feed-forward layers unless the line says otherwise.
fn args(line: &str) -> TransformerArgs {
    let defaults = ["dim=4", "heads=2", "ff=linear"];
    let unsaid =
        defaults.into_iter().filter(|word| !line.contains(word.split_inclusive('=').next().unwrap_or(word)));
    let words: Vec<&str> = unsaid.chain(line.split_whitespace()).collect();
    match parse::<TransformerArgs>(words.into_iter().map(String::from)) {
        Ok(parsed) => parsed.args,
        Err(exit) => panic!("{line}: {exit:?}"),
    }
}

/// The model of a line, with all its parameters away from their first values.
fn model(line: &str) -> Transformer<usize, usize, usize> {
    let mut model = Transformer::new(VOCAB, &TransformerArgs { max_length: LENGTH, dim: DIM, ..args(line) })
        .unwrap()
        .init(3);
    let names: Vec<String> = model.training().into_iter().map(|(name, _)| name).collect();
    for name in names {
        let bend = |values: &mut [f32]| {
            values.iter_mut().enumerate().for_each(|(i, v)| *v += 0.1 * (1.0 + 1.7 * i as f32).sin());
        };
        model.update(&name, &mut |values| bend(values)).unwrap();
    }
    model
}

/// Three sequences; marks 0, 1, 2 in turn.
fn batch() -> Batch {
    let tokens =
        |shift: usize| (0..3 * SEQ).map(|i| ((i * i + i / SEQ + shift * i) % VOCAB) as u32).collect();
    let marks = (0..3 * SEQ).map(|i| (i % 3) as i32).collect();
    Batch { x: tokens(1), y: tokens(4), marks, batch: 3, seq: SEQ }
}

const LINES: [&str; 29] = [
    "",
    "positions=frozen",
    "positions=sin_cos",
    "positions=rotary",
    "positions=relative",
    "positions=relative heads=1 norm=none",
    "positions=relative heads=1 norm=none wq=identity wk=identity normaliser=mean_relu",
    "positions=relative heads=1 norm=none freeze_embeddings=true wq=frozen wk=frozen",
    "positions=alibi",
    "positions=alibi heads=1 norm=none",
    "positions=none",
    "normaliser=softmax_off_by_one",
    "normaliser=relu",
    "normaliser=mean_relu positions=rotary",
    "normaliser=sigmoid",
    "normaliser=linear heads=1 norm=none",
    "normaliser=mean_linear",
    "scale_scores=false heads=1",
    "wiring=parallel",
    "wiring=post_norm",
    "wiring=post_norm ff=none",
    "wiring=no_residual",
    "wiring=no_residual ff=none norm=none heads=1",
    "ff=mlp norm=none",
    "ff=none",
    "wq=low_rank wk=low_rank wv=low_rank wo=low_rank rank=2",
    "wq=low_rank wk=low_rank wv=low_rank wo=low_rank rank=1 heads=1 norm=none ff=none",
    "wq=identity wk=frozen wv=identity wo=identity",
    "output=tied freeze_embeddings=false",
];

fn request(rows: RowSet) -> Request {
    Request::loss(rows)
}

fn marked(batch: &Batch) -> [RowLists; 1] {
    [RowLists::select(batch, |_, mark| mark >= 2)]
}

#[test]
fn every_choice_by_finite_differences() {
    for (line, rows) in LINES.into_iter().zip([RowSet::All, RowSet::Set(0)].into_iter().cycle()) {
        println!("{line} {rows:?}");
        let (model, batch) = (model(line), batch());
        let (graph, params) = (record(&model, SEQ).unwrap(), Params::of(&model));
        let mut engine = CpuEngine::<f64>::new(&graph, &request(rows), &|id| params.trains(id), 1).unwrap();
        let without = assert_gradients(&mut engine, &mut Values::of(&model), &batch, &marked(&batch));
        let trains = model.training();
        let idle = without.iter().filter(|name| trains.iter().any(|(n, _)| n == *name));
        assert_eq!(idle.count(), 0, "{line}: {without:?}");
    }
}

#[test]
fn both_engines_agree_on_every_choice() {
    for line in LINES {
        let (model, batch) = (model(line), batch());
        let (graph, params, values) = (record(&model, SEQ).unwrap(), Params::of(&model), Values::of(&model));
        let (rows, trains) = (marked(&batch), |id| params.trains(id));
        let mut cpu = CpuEngine::<f64>::new(&graph, &request(RowSet::Set(0)), &trains, 1).unwrap();
        let mut eager = ihead_reference::double(&graph, &request(RowSet::Set(0)), &trains, 4);
        let found = cpu.run(&values, &batch, &rows, &ignore).unwrap();
        let expected = eager.run(&values, &batch, &rows, &ignore).unwrap();
        assert!((found - expected).abs() < 1e-12, "{line}: loss {expected}, {found}");
        for (name, param) in model.training() {
            let (found, expected) = (cpu.gradient(param.id()).unwrap(), eager.gradient(param.id()).unwrap());
            let close = expected.iter().zip(found).all(|(e, f)| (e - f).abs() < 1e-11);
            assert!(close, "{line}: gradient of {name}: {expected:?}, {found:?}");
        }
    }
}

#[test]
fn sizes_of_both_kinds_record_the_same_graph() {
    for line in LINES {
        let fixed = Transformer::sized(Const::<VOCAB>, Const::<LENGTH>, Const::<DIM>, &args(line)).unwrap();
        let free =
            Transformer::new(VOCAB, &TransformerArgs { max_length: LENGTH, dim: DIM, ..args(line) }).unwrap();
        assert_eq!(
            record(&fixed, Const::<SEQ>).unwrap().to_string(),
            record(&free, SEQ).unwrap().to_string(),
            "{line}"
        );
    }
}

#[test]
fn what_is_frozen_does_not_train_and_what_is_left_out_has_no_parameter() {
    let names = |line: &str| -> Vec<String> {
        Transformer::new(VOCAB, &TransformerArgs { max_length: LENGTH, dim: DIM, ..args(line) })
            .unwrap()
            .training()
            .into_iter()
            .map(|p| p.0)
            .collect()
    };
    let bare = "ff=none norm=none layers=1";
    assert_eq!(
        names(&format!("{bare} wq=identity wk=frozen wv=low_rank rank=2 positions=frozen")),
        [
            "tok_embeddings.weight",
            "layers.0.attention.wv.down.weight",
            "layers.0.attention.wv.up.weight",
            "layers.0.attention.wo.weight",
            "output.weight"
        ]
    );
    let maps = "wq=identity wk=identity wv=identity wo=identity";
    let still = format!("{bare} {maps} freeze_embeddings=true output=frozen");
    assert_eq!(names(&format!("{still} positions=relative")), ["layers.0.attention.relative.weight"]);
    for positions in ["learned", "sin_cos", "alibi", "rotary", "none"] {
        assert_eq!(names(&format!("{still} positions={positions}")), [""; 0], "{positions}");
    }
    assert_eq!(names(&format!("{bare} {maps} output=tied positions=none")), ["tok_embeddings.weight"]);
}

#[test]
fn without_a_residual_nothing_is_added() {
    let line = "wiring=no_residual positions=none ff=none norm=none";
    let graph: Graph = record(&model(line), SEQ).unwrap();
    assert!(!graph.to_string().contains(" + "), "{graph}");
}

#[test]
fn the_longest_sequence_is_that_of_the_positions() {
    let longest = |line: &str| model(line).max_seq();
    assert_eq!(longest("positions=learned"), Some(LENGTH));
    assert_eq!(longest("positions=relative"), Some(LENGTH));
    assert_eq!(longest("positions=rotary"), None);
    assert_eq!(longest("positions=none"), None);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let problems = |line: &str| {
        let Err(Exit::Fail(problems)) = parse::<TransformerArgs>(line.split_whitespace().map(String::from))
        else {
            panic!("{line} is accepted")
        };
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(problems("dim=10 heads=4"), "heads: 4 heads of equal width do not fit in dim 10");
    let odd = "heads: 2 heads in dim 6 are 3 wide; rotary positions turn pairs, so expected an even width";
    assert_eq!(problems("dim=6 heads=2 positions=rotary"), odd);
    assert_eq!(problems("dim=8 wk=low_rank rank=9"), "rank: 9, expected 1 to dim = 8");
    assert!(problems("normaliser=sofmax").contains("softmax"), "{}", problems("normaliser=sofmax"));
    let error = Transformer::new(
        VOCAB,
        &TransformerArgs { max_length: LENGTH, dim: 5, heads: 2, ..TransformerArgs::defaults() },
    );
    let message = error.err().unwrap().to_string();
    assert_eq!(message, "heads: 2 heads of equal width do not fit in dim 5");
}
