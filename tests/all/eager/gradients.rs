//! Each operation by finite differences.
use ihead::engine::{RowSet, ignore};
use ihead::graph::{Edit, Edits, Normaliser, record_with};
use ihead::nn::ModuleExt;

use super::models::{BODIES, Body, SEQ, Tiny, batch, edits, engine, graph, loss, marked};
use crate::common::fd::{Values, assert_gradients};

/// The parameters of which a body makes no use.
fn unused(body: Body) -> Vec<&'static str> {
    match body {
        Body::Nothing | Body::Scale | Body::Normalise | Body::Twice | Body::SelfScores => {
            vec!["a", "b", "gain", "bias"]
        }
        Body::Gain => vec!["a", "b", "bias"],
        Body::Bias => vec!["a", "b", "gain"],
        Body::WeightProduct | Body::WeightSum | Body::Attention(..) | Body::Relative(..) => {
            vec!["gain", "bias"]
        }
        Body::TwoLayers => vec![],
        _ => vec!["b", "gain", "bias"],
    }
}

#[test]
fn every_operation_by_finite_differences() {
    let batch = batch();
    for body in BODIES {
        let tiny = Tiny::new(body);
        for rows in [RowSet::All, RowSet::Set(0)] {
            let mut engine = engine(&graph(&tiny), &loss(rows), &tiny);
            let without = assert_gradients(&mut *engine, &mut Values::of(&tiny), &batch, &marked(&batch));
            assert_eq!(without, unused(body), "{body:?}");
        }
    }
}

#[test]
fn edits_by_finite_differences() {
    let batch = batch();
    let mut tiny = Tiny::new(Body::TwoLayers);
    for edits in edits(&tiny) {
        let graph = record_with(&tiny, SEQ, &edits).unwrap();
        let mut engine = engine(&graph, &loss(RowSet::Set(0)), &tiny);
        let without = assert_gradients(&mut *engine, &mut Values::of(&tiny), &batch, &marked(&batch));
        // what has no gradient has no effect either
        let mut run = |tiny: &Tiny| engine.run(&Values::of(tiny), &batch, &marked(&batch), &ignore).unwrap();
        let before = run(&tiny);
        for name in without {
            tiny.update(&name, &mut |values| values.iter_mut().for_each(|v| *v += 0.5)).unwrap();
            assert_eq!(run(&tiny), before, "{edits}: {name}");
        }
        tiny = tiny.init(11);
    }
}

#[test]
fn what_acts_only_through_an_edited_site_has_no_gradient() {
    let batch = batch();
    let tiny = Tiny::new(Body::Attention(1, Normaliser::Softmax));
    let cases =
        [("pattern", Edit::Induction, vec!["a", "b"]), ("body", Edit::Ablate, vec!["tok", "pos", "a", "b"])];
    for (site, edit, expected) in cases {
        let graph = record_with(&tiny, SEQ, &Edits::default().with(site, edit)).unwrap();
        let mut engine = engine(&graph, &loss(RowSet::All), &tiny);
        let without = assert_gradients(&mut *engine, &mut Values::of(&tiny), &batch, &marked(&batch));
        let expected: Vec<&str> = expected.into_iter().chain(["gain", "bias"]).collect();
        assert_eq!(without, expected, "{site}");
    }
}

#[test]
fn a_frozen_parameter_has_no_gradient_and_the_others_keep_theirs() {
    let batch = batch();
    let mut tiny = Tiny::new(Body::TwoLayers);
    for frozen in [vec!["tok", "pos"], vec!["a"], vec!["b", "unembed"], vec!["tok", "pos", "gain"]] {
        frozen.iter().for_each(|name| tiny.freeze(name).unwrap());
        let mut engine = engine(&graph(&tiny), &loss(RowSet::All), &tiny);
        let without = assert_gradients(&mut *engine, &mut Values::of(&tiny), &batch, &[]);
        assert_eq!(without, frozen);
        tiny.release("*").unwrap();
    }
}
