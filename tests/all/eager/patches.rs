//! Activations that are given to a run.
use std::sync::Mutex;

use ihead::data::Batch;
use ihead::engine::CpuEngine;
use ihead::engine::{Engine, Read, Request, RowSet, ignore};
use ihead::graph::{Edit, Edits, Graph, Normaliser, record_with};
use ihead::nn::{ModuleExt, Params};

use super::models::{Body, SEQ, Tiny, batch, edit_of, engine, graph, loss, marked};
use crate::common::fd::{Values, assert_gradients};

/// Patched sites of [`Body::TwoLayers`], each with the heads that are patched (all, if none is listed).
const SITES: [(&str, &[usize]); 4] = [("first", &[]), ("first", &[1]), ("second", &[]), ("body", &[])];

fn patched(tiny: &Tiny, site: &str, heads: &[usize]) -> Graph {
    record_with(tiny, SEQ, &edit_of(site, heads, Edit::Patch)).unwrap()
}

/// The other batch, whose activations are put in.
fn other() -> Batch {
    let mut batch = batch();
    batch.x.rotate_left(SEQ);
    batch.x.reverse();
    batch
}

/// The activations of a site for every sequence, and their shape.
fn activations(tiny: &Tiny, site: &str, batch: &Batch) -> (Vec<usize>, Vec<f64>) {
    let graph = graph(tiny);
    let node = graph.site(site).unwrap();
    let (cols, is_pattern) = (graph.width(node), graph.is_pattern(node));
    let heads = if is_pattern { cols } else { 1 };
    let found = Mutex::new(vec![vec![]; batch.batch]);
    let observe = |i: usize, reads: &[Read<'_, f64>]| {
        let rows = (0..heads).flat_map(|h| (0..SEQ).map(move |t| (h, t)));
        let values = rows.flat_map(|(h, t)| reads[0].head_row(h, t).to_vec()).collect();
        found.lock().unwrap()[i] = values;
    };
    let request = Request::reads(vec![(node, RowSet::All)]);
    engine(&graph, &request, tiny).run(&Values::of(tiny), batch, &[], &observe).unwrap();
    let shape = if is_pattern { vec![batch.batch, heads, SEQ, SEQ] } else { vec![batch.batch, SEQ, cols] };
    (shape, found.into_inner().unwrap().concat())
}

/// Both engines on a patched graph, given the values.
fn engines(tiny: &Tiny, graph: &Graph, site: &str, from: &Batch) -> Vec<Box<dyn Engine<f64>>> {
    let params = Params::of(tiny);
    let cpu = CpuEngine::<f64>::new(graph, &loss(RowSet::Set(0)), &|id| params.trains(id), 1).unwrap();
    let mut engines: Vec<Box<dyn Engine<f64>>> =
        vec![engine(graph, &loss(RowSet::Set(0)), tiny), Box::new(cpu)];
    let (shape, values) = activations(tiny, site, from);
    engines.iter_mut().for_each(|engine| engine.patch(site, &shape, &values).unwrap());
    engines
}

#[test]
fn an_activation_of_the_batch_itself_changes_no_loss() {
    let (tiny, batch) = (Tiny::new(Body::TwoLayers), batch());
    let plain = engine(&graph(&tiny), &loss(RowSet::Set(0)), &tiny)
        .run(&Values::of(&tiny), &batch, &marked(&batch), &ignore)
        .unwrap();
    for (site, heads) in SITES {
        for mut engine in engines(&tiny, &patched(&tiny, site, heads), site, &batch) {
            let found = engine.run(&Values::of(&tiny), &batch, &marked(&batch), &ignore).unwrap();
            assert!((plain - found).abs() < 1e-12, "{site}{heads:?}: {plain}, {found}");
        }
    }
}

#[test]
fn an_activation_of_another_batch_changes_the_loss_alike_on_both_engines() {
    let (tiny, batch) = (Tiny::new(Body::TwoLayers), batch());
    let values = Values::of(&tiny);
    for (site, heads) in SITES {
        let graph = patched(&tiny, site, heads);
        let run = |from: &Batch| -> Vec<(f64, Vec<Option<Vec<f64>>>)> {
            let run = |mut engine: Box<dyn Engine<f64>>| {
                let loss = engine.run(&values, &batch, &marked(&batch), &ignore).unwrap();
                let of =
                    |id| engine.gradient(id).map(<[f64]>::to_vec).filter(|g| g.iter().any(|g| *g != 0.0));
                (loss, tiny.tensors().iter().map(|(_, _, p)| of(p.id())).collect())
            };
            engines(&tiny, &graph, site, from).into_iter().map(run).collect()
        };
        let (own, others) = (run(&batch), run(&other()));
        assert!((own[0].0 - others[0].0).abs() > 1e-3, "{site}{heads:?}");
        assert!((others[0].0 - others[1].0).abs() < 1e-12, "{site}{heads:?}");
        for (eager, cpu) in others[0].1.iter().zip(&others[1].1) {
            let close = match (eager, cpu) {
                (Some(a), Some(b)) => a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-11),
                (a, b) => a.is_none() && b.is_none(),
            };
            assert!(close, "{site}{heads:?}: {eager:?}, {cpu:?}");
        }
    }
}

#[test]
fn nothing_that_acts_only_through_a_patched_site_has_a_gradient() {
    let (tiny, batch) = (Tiny::new(Body::Attention(2, Normaliser::Softmax)), batch());
    for (site, heads, expected) in [
        ("pattern", &[][..], &["a", "b", "gain", "bias"][..]),
        ("pattern", &[0], &["gain", "bias"]),
        ("body", &[], &["tok", "pos", "a", "b", "gain", "bias"]),
    ] {
        for mut engine in engines(&tiny, &patched(&tiny, site, heads), site, &other()) {
            let without = assert_gradients(engine.as_mut(), &mut Values::of(&tiny), &batch, &marked(&batch));
            assert_eq!(without, expected, "{site}{heads:?}");
        }
    }
}

#[test]
fn values_that_do_not_fit_are_refused() {
    let (tiny, batch) = (Tiny::new(Body::Attention(2, Normaliser::Softmax)), batch());
    let edits = Edits::default().with("pattern", Edit::Patch);
    let graph = record_with(&tiny, SEQ, &edits).unwrap();
    let mut engine = engine(&graph, &loss(RowSet::All), &tiny);
    let run = |engine: &mut dyn Engine<f64>| {
        engine.run(&Values::of(&tiny), &batch, &[], &ignore).unwrap_err().to_string()
    };
    assert_eq!(
        run(&mut *engine),
        "patch of 'pattern': no activations were handed over; expected those of the batch's 5 sequences"
    );

    let given = |engine: &mut dyn Engine<f64>, site: &str, shape: &[usize], value: f64| {
        let values = vec![value; shape.iter().product()];
        engine.patch(site, shape, &values).map_err(|error| error.to_string())
    };
    assert_eq!(
        given(&mut *engine, "patern", &[5, 2, 6, 6], 0.0),
        Err("no patched site 'patern'; did you mean 'pattern'?".into())
    );
    assert_eq!(
        given(&mut *engine, "pattern", &[5, 2, 6, 5], 0.0),
        Err("activations for 'pattern': expected shape [5, 2, 6, 6], found [5, 2, 6, 5]".into())
    );
    assert_eq!(
        given(&mut *engine, "pattern", &[5, 2, 6, 6], 0.5),
        Err("patch of 'pattern': a pattern in which position 0 looks at a later one; expected zeros there"
            .into())
    );
    assert_eq!(given(&mut *engine, "pattern", &[4, 2, 6, 6], 0.0), Ok(()));
    assert_eq!(
        run(&mut *engine),
        "patch of 'pattern': activations of 4 sequences; expected those of the batch's 5 sequences"
    );
}
