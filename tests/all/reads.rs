//! What an observer sees, and what is computed for it.
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ihead::Module;
use ihead::backend::Dim;
use ihead::config::Config;
use ihead::data::Batch;
use ihead::engine::CpuEngine;
use ihead::engine::{Engine, Read, Request, RowLists, RowSet};
use ihead::graph::{Graph, Model, Stream, Tokens, record};
use ihead::model::{Simplified, SimplifiedArgs};
use ihead::nn::{AnyParam, Init, ModuleExt, Param, Params, Values};
use ihead::ops::Pointwise;

/// The buffer of the second sequence has held the first one's longer row.
#[test]
fn a_pattern_at_some_positions_has_nothing_of_the_sequence_before() {
    let seq = 64;
    let sizes = SimplifiedArgs { max_length: seq, dim: 8, ..SimplifiedArgs::defaults() };
    let model = Simplified::new(5, &sizes).unwrap().init(1);
    let (graph, params) = (record(&model, seq).unwrap(), Params::of(&model));
    for layer in [0, 1] {
        let node = graph.site(&format!("layers.{layer}.attention.pattern")).unwrap();
        let request = Request::reads(vec![(node, RowSet::Set(0))]);
        let mut engine = CpuEngine::<f32>::new(&graph, &request, &|_| false, 1).unwrap();
        let x: Vec<u32> = (0..2 * seq as u32).map(|t| t * t % 5).collect();
        let batch = Batch { y: x.clone(), x, marks: vec![0; 2 * seq], batch: 2, seq };
        let rows = [RowLists::choose(&batch, |i, t| [60, 3][i] == t)];
        let seen = Mutex::new(Vec::new());
        let observe = |i: usize, reads: &[Read<'_, f32>]| {
            seen.lock().unwrap().push((i, reads[0].head_row(0, 0).to_vec()));
        };
        engine.run(&params, &batch, &rows, &observe).unwrap();
        for (i, row) in seen.into_inner().unwrap() {
            let known = [61, 4][i];
            assert_eq!(row.len(), seq);
            assert!((row[..known].iter().sum::<f32>() - 1.0).abs() < 1e-5, "layer {layer}, sequence {i}");
            assert!(row[known..].iter().all(|w| *w == 0.0), "layer {layer}, sequence {i}: {row:?}");
        }
    }
}

/// The hyperbolic tangent, which counts its calls and can be told to panic.
#[derive(Clone, Default)]
struct Counted {
    calls: Arc<AtomicUsize>,
    panics: Arc<AtomicBool>,
}

impl Pointwise for Counted {
    fn name(&self) -> &str {
        "counted"
    }

    fn value(&self, x: f64) -> f64 {
        assert!(!self.panics.load(Ordering::Relaxed), "on purpose");
        self.calls.fetch_add(1, Ordering::Relaxed);
        x.tanh()
    }

    fn derivative(&self, x: f64) -> f64 {
        1.0 - x.tanh().powi(2)
    }
}

/// Reads rows of a table that an operation of its own has changed; `aside` is not before the loss.
#[derive(Module)]
struct Tables {
    #[param]
    tok: Param<(usize, usize)>,
    #[param]
    pos: Param<(usize, usize)>,
    own: Counted,
    aside: Counted,
}

impl Model for Tables {
    type Vocab = usize;

    fn vocab(&self) -> usize {
        3
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
        let r = x.recorder();
        x.site().stream("aside", x.positions(&r.weight(&self.pos).pointwise(self.aside.clone())));
        x.lookup(&r.weight(&self.tok).pointwise(self.own.clone()))
    }
}

fn tables() -> (Tables, Graph, Batch) {
    let matrix = |rows| Param::new((rows, 3), Init::Normal { std: 1.0 });
    let tables =
        Tables { tok: matrix(3), pos: matrix(4), own: Counted::default(), aside: Counted::default() };
    let tables = tables.init(0);
    let graph = record(&tables, 4).unwrap();
    let batch = Batch { x: vec![0, 1, 2, 1], y: vec![1, 2, 1, 0], marks: vec![0; 4], batch: 1, seq: 4 };
    (tables, graph, batch)
}

/// The loss, the gradient of `tok`, and what is read, of one run.
fn left(engine: &mut CpuEngine<f32>, tables: &Tables, batch: &Batch) -> (f64, Vec<f32>, Vec<f32>) {
    let read = Mutex::new(vec![]);
    let observe = |_: usize, reads: &[Read<'_, f32>]| {
        read.lock().unwrap().extend((0..reads[0].rows).flat_map(|r| reads[0].row(r).to_vec()));
    };
    let loss = engine.run(&Params::of(tables), batch, &[], &observe).unwrap();
    let gradient = engine.gradient(tables.tok.id()).unwrap().to_vec();
    (loss, gradient, read.into_inner().unwrap())
}

#[test]
fn weights_that_are_only_read_are_computed_when_somebody_reads() {
    let (mut tables, graph, batch) = tables();
    let request = Request::loss(RowSet::All).and_read(graph.site("aside").unwrap(), RowSet::All);
    let mut engine = CpuEngine::<f32>::new(&graph, &request, &|_| true, 1).unwrap();
    let is_computed = |tables: &Tables| tables.aside.calls.swap(0, Ordering::Relaxed) > 0;
    engine.differentiate(&Params::of(&tables), &batch, &[]).unwrap();
    assert!(!is_computed(&tables));
    let first = left(&mut engine, &tables, &batch);
    assert!(is_computed(&tables));
    // nothing has changed
    assert_eq!(left(&mut engine, &tables, &batch), first);
    assert!(!is_computed(&tables));
    // what changes while nobody reads is seen by who does
    tables.pos.put(Values::Single(vec![0.5; 12])).unwrap();
    engine.differentiate(&Params::of(&tables), &batch, &[]).unwrap();
    assert!(!is_computed(&tables));
    assert_eq!(left(&mut engine, &tables, &batch).2, [0.5_f64.tanh() as f32; 12]);
}

#[test]
fn an_operation_that_has_panicked_leaves_nothing_stale() {
    let (mut tables, graph, batch) = tables();
    let request = Request::loss(RowSet::All).and_read(graph.site("aside").unwrap(), RowSet::All);
    let engine = || CpuEngine::<f32>::new(&graph, &request, &|_| true, 1).unwrap();
    let mut kept = engine();
    left(&mut kept, &tables, &batch);
    tables.tok.put(Values::Single(vec![0.25; 9])).unwrap();
    tables.pos.put(Values::Single(vec![0.5; 12])).unwrap();
    tables.own.panics.store(true, Ordering::Relaxed);
    let run = std::panic::AssertUnwindSafe(|| left(&mut kept, &tables, &batch));
    assert!(std::panic::catch_unwind(run).is_err());
    tables.own.panics.store(false, Ordering::Relaxed);
    assert_eq!(left(&mut kept, &tables, &batch), left(&mut engine(), &tables, &batch));
}
