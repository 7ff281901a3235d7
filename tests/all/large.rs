//! A model so large that all threads add to one sum of each weight's gradient, in turn.
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ihead::config::Config as _;
use ihead::data::Batch;
use ihead::engine::{CpuEngine, Engine, Read, Request, RowLists, RowSet, ignore};
use ihead::graph::record;
use ihead::model::{Full, FullArgs};
use ihead::nn::{Module, ModuleExt, Params};

const SEQ: usize = 16;

fn batch(sequences: usize) -> Batch {
    let token = |i: usize| (i * i + 3 * i) as u32 % 11;
    let n = sequences * SEQ;
    Batch {
        x: (0..n).map(token).collect(),
        y: (0..n).map(|i| token(i + 1)).collect(),
        // sequence 2 is in no loss of marked positions
        marks: (0..n).map(|i| if i % 3 == 0 && i / SEQ != 2 { 2 } else { 0 }).collect(),
        batch: sequences,
        seq: SEQ,
    }
}

fn model() -> impl ihead::graph::Model {
    let sizes = FullArgs { max_length: SEQ, dim: 256, n_heads: 4, n_layers: 2, ..FullArgs::defaults() };
    Full::new(11, &sizes).unwrap().init(5)
}

type Gradients = BTreeMap<String, Vec<f32>>;

fn gradients(module: &impl Module, engine: &mut dyn Engine<f32>, batch: &Batch) -> (f64, Gradients) {
    let rows = [RowLists::select(batch, |_, mark| mark >= 2)];
    let loss = engine.run(&Params::of(module), batch, &rows, &ignore).unwrap();
    let tensors = module.tensors().into_iter();
    (loss, tensors.map(|(name, _, p)| (name, engine.gradient(p.id()).unwrap().to_vec())).collect())
}

#[test]
fn gradients_have_the_same_bits_with_any_number_of_threads_and_agree_with_dfdx() {
    let model = model();
    let (graph, params) = (record(&model, SEQ).unwrap(), Params::of(&model));
    for rows in [RowSet::All, RowSet::Set(0)] {
        let request = Request::loss(rows);
        let engine = |threads| CpuEngine::new(&graph, &request, &|id| params.trains(id), threads).unwrap();
        let mut alone = engine(1);
        let (loss, first) = gradients(&model, &mut alone, &batch(5));
        for threads in [2, 5, 8] {
            let (again, found) = gradients(&model, &mut engine(threads), &batch(5));
            assert!(again == loss && found == first, "{threads} threads, {rows:?}");
        }
        // a batch of another size between
        gradients(&model, &mut alone, &batch(3));
        assert!(gradients(&model, &mut alone, &batch(5)).1 == first, "a second time, {rows:?}");

        let mut eager = ihead_reference::single(&graph, &request, &|id| params.trains(id), 4);
        let (expected_loss, expected) = gradients(&model, &mut *eager, &batch(5));
        assert!((loss - expected_loss).abs() < 1e-5, "{loss} {expected_loss}");
        for (name, expected) in expected {
            let scale = expected.iter().fold(0.0_f32, |most, g| most.max(g.abs()));
            let error =
                expected.iter().zip(&first[&name]).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(error <= 1e-4 * scale, "{name}, {rows:?}: {error:e} of {scale:e}");
        }
    }
}

/// Threads that wait for the turn of a sequence end when the thread that has it does.
#[test]
fn an_observer_that_panics_leaves_no_thread_waiting() {
    let model = model();
    let (graph, params) = (record(&model, SEQ).unwrap(), Params::of(&model));
    let request = Request::loss(RowSet::All).and_read(graph.logits(), RowSet::All);
    let mut engine = CpuEngine::<f32>::new(&graph, &request, &|id| params.trains(id), 3).unwrap();
    let observer = |sequence: usize, _: &[Read<'_, f32>]| assert_ne!(sequence, 1, "a fault of the observer");
    let run = || engine.run(&params, &batch(5), &[], &observer);
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
}
