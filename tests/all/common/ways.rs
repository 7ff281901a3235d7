//! What the CPU engine leaves, compared between numbers of threads and with the program without rewrites.
use std::sync::Mutex;

use ihead::data::Batch;
use ihead::engine::{CpuEngine, Engine, ParamSource, Read, Request, RowLists, ignore};
use ihead::graph::Graph;
use ihead::nn::{Module, ModuleExt, ParamId, Params};

/// Parameters that are no numbers.
pub struct NotNumbers;

impl ParamSource<f64> for NotNumbers {
    fn read(&self, _: ParamId, into: &mut [f64]) {
        into.fill(f64::NAN);
    }
}

/// Everything that a run leaves.
#[derive(Debug, PartialEq)]
pub struct Left {
    loss: f64,
    read: Vec<Vec<f64>>,
    gradients: Vec<(String, Option<Vec<f64>>)>,
}

fn run(engine: &mut CpuEngine<f64>, model: &impl Module, batch: &Batch, rows: &[RowLists]) -> Left {
    let read = Mutex::new(vec![vec![]; batch.batch]);
    let observe = |i: usize, reads: &[Read<'_, f64>]| {
        let rows = reads.iter().flat_map(|read| (0..read.rows).flat_map(|r| read.row(r).to_vec()));
        read.lock().unwrap()[i] = rows.collect();
    };
    let loss = engine.run(&Params::of(model), batch, rows, &observe).unwrap();
    let loss = if loss.is_nan() { 0.0 } else { loss }; // a request for reads alone has none
    let gradient = |param| engine.gradient(param).map(<[f64]>::to_vec);
    let gradients = model.tensors().into_iter().map(|(name, _, p)| (name, gradient(p.id()))).collect();
    Left { loss, read: read.into_inner().unwrap(), gradients }
}

/// Runs batches on one, two and five threads, which must leave the same bits, and compares with the program without rewrites. Before
/// each of them, an engine has a run at other positions whose every number is NaN, of which nothing may be left. `rows` selects
/// positions by the batch. Returns the program.
#[track_caller]
pub fn assert_agree(
    model: &impl Module,
    graph: &Graph,
    request: &Request,
    batches: &[Batch],
    rows: impl Fn(&Batch) -> Vec<RowLists>,
) -> String {
    let params = Params::of(model);
    let trains = |id| params.trains(id);
    let mut engines = [1, 2, 5].map(|threads| CpuEngine::new(graph, request, &trains, threads).unwrap());
    let mut plain = CpuEngine::plain(graph, request, &trains).unwrap();
    for batch in batches {
        let (rows, sequences) = (rows(batch), batch.batch);
        let others = vec![RowLists::select(batch, |at, _| at % 4 == 0); rows.len()];
        for engine in &mut engines {
            engine.run(&NotNumbers, batch, &others, &ignore).unwrap();
        }
        let [one, two, five] = engines.each_mut().map(|engine| run(engine, model, batch, &rows));
        assert!(one == two && one == five, "other bits on other threads, {sequences} sequences");
        let expected = run(&mut plain, model, batch, &rows);
        assert!((expected.loss - one.loss).abs() < 1e-10, "{} {}", expected.loss, one.loss);
        for (expected, found) in expected.read.iter().zip(&one.read) {
            assert_near("what was read", expected, found, sequences);
        }
        for ((name, expected), (_, found)) in expected.gradients.iter().zip(&one.gradients) {
            let [expected, found] = [expected, found].map(|gradient| gradient.clone().unwrap_or_default());
            assert_near(name, &expected, &found, sequences);
        }
    }
    engines[0].program()
}

#[track_caller]
fn assert_near(what: &str, expected: &[f64], found: &[f64], sequences: usize) {
    assert_eq!(expected.len(), found.len(), "{what}");
    for (a, b) in expected.iter().zip(found) {
        // not a number on one side alone is a difference
        assert!(
            (a - b).abs() < 1e-9 || a.is_nan() && b.is_nan(),
            "{what}: {b} instead of {a}, {sequences} sequences"
        );
    }
}
