//! Losses over chosen rows, reads, micro-batches, and requests that cannot be met.
use std::sync::Mutex;

use ihead::data::Batch;
use ihead::engine::{Read, Request, RowLists, RowSet, ignore};
#[cfg(not(feature = "cuda"))]
use ihead::internals::{backend::DeviceKind, eager::open};

use super::models::{BODIES, Body, SEQ, Tiny, VOCAB, batch, engine, graph, loss, marked};
use crate::common::fd::Values;

#[test]
fn the_loss_over_nothing_is_nan_and_its_gradients_zero() {
    let (tiny, batch) = (Tiny::new(Body::TwoLayers), batch());
    let mut engine = engine(&graph(&tiny), &loss(RowSet::Set(0)), &tiny);
    let values = Values::of(&tiny);
    engine.run(&values, &batch, &marked(&batch), &ignore).unwrap();
    assert!(engine.gradient(tiny.tok.id()).unwrap().iter().any(|g| *g != 0.0));
    let nothing = [RowLists::select(&batch, |_, _| false)];
    assert!(engine.run(&values, &batch, &nothing, &ignore).unwrap().is_nan());
    assert!(engine.gradient(tiny.tok.id()).unwrap().iter().all(|g| *g == 0.0));
}

#[test]
fn the_size_of_micro_batches_changes_rounding_only() {
    let (tiny, batch) = (Tiny::new(Body::TwoLayers), batch());
    let (graph, request, values) = (graph(&tiny), loss(RowSet::Set(0)), Values::of(&tiny));
    let mut results = [1, 2, 5, 64].map(|sequences| {
        let mut engine = ihead_reference::double(&graph, &request, &|_| true, sequences);
        let loss = engine.run(&values, &batch, &marked(&batch), &ignore).unwrap();
        (loss, engine.gradient(tiny.a.id()).unwrap().to_vec())
    });
    let (expected, rest) = results.split_first_mut().unwrap();
    for (loss, gradient) in rest {
        assert!((expected.0 - *loss).abs() < 1e-13);
        assert!(expected.1.iter().zip(gradient).all(|(e, g)| (e - *g).abs() < 1e-13));
    }
}

#[test]
fn f32_agrees_with_f64() {
    let batch = batch();
    for body in BODIES {
        let tiny = Tiny::new(body);
        let (graph, request, values) = (graph(&tiny), loss(RowSet::All), Values::of(&tiny));
        let mut wide = engine(&graph, &request, &tiny);
        let mut narrow = ihead_reference::single(&graph, &request, &|_| true, 2);
        let expected = wide.run(&values, &batch, &[], &ignore).unwrap();
        let found = narrow.run(&values, &batch, &[], &ignore).unwrap();
        assert!((expected - found).abs() < 1e-5 * expected, "{body:?}: {expected} {found}");
        let (expected, found) =
            (wide.gradient(tiny.tok.id()).unwrap(), narrow.gradient(tiny.tok.id()).unwrap());
        let largest = expected.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
        let close = |(e, f): (&f64, &f32)| (e - f64::from(*f)).abs() < 1e-5 * largest;
        assert!(expected.iter().zip(found).all(close), "{body:?}");
    }
}

#[test]
fn reads_come_once_a_sequence_at_the_positions_that_were_asked_for() {
    let (tiny, batch) = (Tiny::new(Body::TwoLayers), batch());
    let graph = graph(&tiny);
    let nodes = ["first", "body", "logits"].map(|site| graph.site(site).unwrap());
    let reads = [RowSet::All, RowSet::Set(0)].into_iter().flat_map(|set| nodes.map(|node| (node, set)));
    let request = Request::reads(reads.collect());
    let rows = marked(&batch);
    let seen = Mutex::new(Vec::new());
    let observe = |i: usize, reads: &[Read<'_, f64>]| {
        let (all, some) = reads.split_at(3);
        for (all, some) in all.iter().zip(some) {
            assert_eq!(some.positions, rows[0].sequence(i));
            assert_eq!((all.rows, some.rows, all.cols), (SEQ, some.positions.len(), some.cols));
            let heads = if all.head_stride == 0 { 1 } else { 2 };
            for head in 0..heads {
                for (r, &position) in some.positions.iter().enumerate() {
                    assert_eq!(some.head_row(head, r), all.head_row(head, position as usize));
                }
            }
        }
        for (head, t) in (0..2).flat_map(|head| (0..SEQ).map(move |t| (head, t))) {
            let row = all[0].head_row(head, t);
            assert!(row[t + 1..].iter().all(|weight| *weight == 0.0), "no weight beyond the query");
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
        assert_eq!((all[1].cols, all[2].cols), (4, VOCAB));
        seen.lock().unwrap().push(i);
    };
    let loss = engine(&graph, &request, &tiny).run(&Values::of(&tiny), &batch, &rows, &observe).unwrap();
    assert!(loss.is_nan());
    let mut seen = seen.into_inner().unwrap();
    seen.sort(); // several threads look at what was computed
    assert_eq!(seen, [0, 1, 2, 3, 4]);
}

#[test]
fn what_cannot_be_run_is_an_error() {
    let tiny = Tiny::new(Body::Nothing);
    let mut engine = engine(&graph(&tiny), &loss(RowSet::Set(0)), &tiny);
    let mut message = |batch: &Batch, rows: &[RowLists]| {
        engine.run(&Values::of(&tiny), batch, rows, &ignore).unwrap_err().to_string()
    };
    assert_eq!(message(&Batch::new(1, 3), &[]), "run: a batch of sequences of 3 tokens; expected 6");
    let mut outside = batch();
    outside.y[4] = 9;
    assert_eq!(message(&outside, &[]), "token 9 of the model's vocabulary, which has tokens 0 to 6");
    assert_eq!(message(&batch(), &[]), "run: 0 lists of positions; expected 1, each for all sequences");
}

#[test]
#[cfg(not(feature = "cuda"))]
fn a_build_without_cuda_says_how_to_get_it() {
    let tiny = Tiny::new(Body::Nothing);
    assert!(open::<f32>(DeviceKind::Cpu, &graph(&tiny), &loss(RowSet::All), &|_| true).is_ok());
    let error = open::<f32>(DeviceKind::Cuda, &graph(&tiny), &loss(RowSet::All), &|_| true).err().unwrap();
    let expected = "device=cuda: this build has no CUDA support; build with `--features cuda` \
                    (it needs the CUDA toolkit and a driver), or leave device=cpu";
    assert_eq!(error.to_string(), expected);
}
