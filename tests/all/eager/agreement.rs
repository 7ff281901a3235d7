//! Agreement with the CPU engine, and with the recorded first steps of the paper's program.
use ihead::engine::CpuEngine;
use ihead::engine::{Engine, RowLists, RowSet, ignore};
use ihead::graph::{Graph, Model, record, record_with};
use ihead::nn::{ModuleExt, Params};

use super::models::{BODIES, SEQ, Tiny, batch, edits, engine, graph, loss, marked};
use crate::common::cases::{Case, fill, worst};
use crate::common::fd::Values;

/// The two engines in f64 on the same graph: losses, and gradients of every parameter.
fn assert_agreement(tiny: &Tiny, graph: &Graph, rows: RowSet, what: &str) {
    let (batch, values, params) = (batch(), Values::of(tiny), Params::of(tiny));
    let lists = marked(&batch);
    let mut eager = engine(graph, &loss(rows), tiny);
    let mut cpu = CpuEngine::<f64>::new(graph, &loss(rows), &|id| params.trains(id), 1).unwrap();
    let expected = eager.run(&values, &batch, &lists, &ignore).unwrap();
    let found = cpu.run(&values, &batch, &lists, &ignore).unwrap();
    assert!((expected - found).abs() < 1e-12, "{what}: loss {expected}, {found}");
    for (name, _, param) in tiny.tensors() {
        match (eager.gradient(param.id()), cpu.gradient(param.id())) {
            (None, None) => {}
            (Some(expected), Some(found)) => {
                let close = expected.iter().zip(found).all(|(e, f)| (e - f).abs() < 1e-11);
                assert!(close, "{what}: gradient of {name}: {expected:?}, {found:?}");
            }
            // a gradient that is zero may be left out
            (one, other) => {
                let zero = one.or(other).is_some_and(|g| g.iter().all(|g| *g == 0.0));
                assert!(zero, "{what}: gradient of {name}: {} / {}", one.is_some(), other.is_some());
            }
        }
    }
}

#[test]
fn both_engines_agree_on_every_operation() {
    for body in BODIES {
        let tiny = Tiny::new(body);
        for rows in [RowSet::All, RowSet::Set(0)] {
            assert_agreement(&tiny, &graph(&tiny), rows, &format!("{body:?} {rows:?}"));
        }
    }
}

#[test]
fn both_engines_agree_on_edits_and_frozen_parameters() {
    for body in BODIES {
        let mut tiny = Tiny::new(body);
        for edits in edits(&tiny) {
            let edited = record_with(&tiny, SEQ, &edits).unwrap();
            assert_agreement(&tiny, &edited, RowSet::Set(0), &format!("{body:?} {edits}"));
        }
        for frozen in ["tok", "a", "unembed"] {
            tiny.freeze(frozen).unwrap();
            assert_agreement(&tiny, &graph(&tiny), RowSet::Set(0), &format!("{body:?} without {frozen}"));
        }
    }
}

/// The gradients of one recorded step, within 1e-4 of the largest.
fn check_step(case: &Case, model: &mut impl Model) {
    fill(model, &case.tensors("init.safetensors").unwrap());
    case.frozen().into_iter().for_each(|name| model.freeze(name).unwrap());
    let batch = Case::batch(&case.tensors("batches.safetensors").unwrap(), "0").unwrap();
    let head_only = case.simplified() && case.param("/loss_head_only").as_bool().unwrap();
    let (graph, request) =
        (record(model, batch.seq).unwrap(), loss(if head_only { RowSet::Set(0) } else { RowSet::All }));
    let params = Params::of(model);
    let mut engine = ihead_reference::single(&graph, &request, &|id| params.trains(id), 4);
    let rows = [RowLists::select(&batch, |_, mark| mark >= 2)];
    engine.run(&params, &batch, &rows, &ignore).unwrap();
    let step = case.tensors("step0.safetensors").unwrap();
    for (name, _, param) in model.tensors() {
        let (found, expected) = (engine.gradient(param.id()), step.get(&format!("grad.{name}")));
        if let (Some(found), Some(expected)) = (found, expected) {
            let error = worst(&expected.values, found.iter().map(|g| f64::from(*g)));
            assert!(error < 1e-4, "{}: gradient of {name}: {error:e}", case.name());
        } else {
            // a tied parameter is recorded under its first name only
            assert!(expected.is_none(), "{}: no gradient of {name}", case.name());
        }
    }
}

#[test]
fn first_steps_are_those_of_the_papers_program() {
    for case in Case::all() {
        if case.simplified() {
            check_step(&case, &mut case.simplified_model());
        } else {
            check_step(&case, &mut case.full_model());
        }
    }
}
