//! Random graphs: recording refuses or records and never panics, and all ways to run what was recorded agree.
mod model;

use std::sync::Mutex;

use ihead::data::Batch;
use ihead::engine::{CpuEngine, Engine, LossTerm, Penalty, Read, Request, RowLists, RowSet, ignore};
use ihead::graph::{Edit, Edits, Graph, record, record_with};
use ihead::nn::{ModuleExt, Params};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::common::{fd::Values, recurring, ways::NotNumbers};
use model::{Picks, Random, Step};

/// Beyond this, values overflow and are not compared.
const LARGEST: f64 = 1e6;

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((any::<u8>(), [0..1000_usize, 0..1000, 0..1000]), 0..most)
}

fn batch(vocab: usize, seq: usize, sequences: usize) -> Batch {
    recurring(vocab, seq, sequences, |at| at % 3 == 1)
}

/// An edit of a site, by a number.
fn edit(graph: &Graph, by: usize) -> Option<(String, Edits)> {
    let sites: Vec<_> = graph.sites().iter().collect();
    let (name, node) = sites[by % sites.len()];
    let edit = match (graph.is_pattern(*node), by / sites.len() % 6) {
        (_, 0) => return None,
        (_, 1) => Edit::Ablate,
        (_, 2) => Edit::Patch,
        (true, 3) => Edit::PreviousToken,
        (true, _) => Edit::Induction,
        (false, 3) => Edit::Scale(-0.5),
        (false, 4) => Edit::Add(vec![-0.5; graph.width(*node)]),
        (false, _) => Edit::Row(vec![0.25; graph.width(*node)]),
    };
    Some((name.clone(), Edits::default().with(name, edit)))
}

/// The loss and what it asks for: marked positions or all, a penalty on a site, and sites to be read.
fn request(graph: &Graph, by: usize) -> Request {
    let rows = if by.is_multiple_of(2) { RowSet::All } else { RowSet::Set(0) };
    let nodes: Vec<_> = graph.sites().values().copied().collect();
    let node = nodes[by / 2 % nodes.len()];
    let mut losses = vec![LossTerm::NextToken { rows, weight: 1.0 }];
    if by % 3 == 1 && !graph.is_pattern(node) {
        losses.push(LossTerm::Penalty { node, penalty: Penalty::L2, rows: RowSet::All, weight: 0.1 });
    }
    let read = if by % 5 < 2 { RowSet::All } else { RowSet::Set(0) };
    let others = [(graph.logits(), RowSet::All), (nodes[by / 3 % nodes.len()], RowSet::Set(1))];
    let reads = std::iter::once((node, read)).chain(others.into_iter().take(by % 4)).collect();
    Request { losses, reads }
}

/// Everything that a run leaves: loss, what was read, gradients by parameter.
struct Left {
    loss: f64,
    read: Vec<f64>,
    gradients: Vec<(String, Vec<f64>)>,
}

/// Hands over values of each site that is patched.
fn patch(engine: &mut dyn Engine<f64>, graph: &Graph, batch: &Batch) {
    for site in graph.patched() {
        let rows = site.heads.unwrap_or(1) * batch.seq;
        let cols = if site.heads.is_some() { batch.seq } else { site.dim };
        let of = |i: usize| match site.heads {
            Some(_) if i % cols > i / cols % batch.seq => 0.0,
            _ => 0.1 * ((i * 7) % 11) as f64 - 0.4,
        };
        let values: Vec<f64> = (0..batch.batch * rows * cols).map(of).collect();
        let shape = match site.heads {
            Some(heads) => vec![batch.batch, heads, batch.seq, batch.seq],
            None => vec![batch.batch, batch.seq, site.dim],
        };
        engine.patch(&site.name, &shape, &values).unwrap();
    }
}

/// Runs a batch; `after` a run whose every number is NaN, of which nothing may be left.
fn run(
    engine: &mut dyn Engine<f64>,
    random: &Random,
    graph: &Graph,
    batch: &Batch,
    after: Option<NotNumbers>,
) -> Left {
    patch(engine, graph, batch);
    let lists = lists(batch);
    let read = Mutex::new(vec![vec![]; batch.batch]);
    let node = graph.sites().values().copied().collect::<Vec<_>>();
    let observe = |i: usize, reads: &[Read<'_, f64>]| {
        let values = |read: &Read<'_, f64>| {
            let heads = read.data.len().checked_div(read.head_stride).unwrap_or(1);
            let rows = (0..heads.max(1)).flat_map(|h| (0..read.rows).map(move |r| (h, r)));
            rows.flat_map(|(h, r)| read.head_row(h, r).to_vec()).collect::<Vec<f64>>()
        };
        read.lock().unwrap()[i] = reads.iter().flat_map(values).collect();
    };
    assert!(!node.is_empty(), "the logits are a site");
    if let Some(not_numbers) = after {
        engine.run(&not_numbers, batch, &lists, &ignore).unwrap();
    }
    let loss = engine.run(&Values::of(random), batch, &lists, &observe).unwrap();
    Left { loss, read: read.into_inner().unwrap().concat(), gradients: gradients(engine, random) }
}

/// The positions that a request may ask for.
fn lists(batch: &Batch) -> [RowLists; 2] {
    [RowLists::select(batch, |_, mark| mark >= 1), RowLists::select(batch, |t, mark| mark == 0 || t == 1)]
}

fn gradients(engine: &dyn Engine<f64>, random: &Random) -> Vec<(String, Vec<f64>)> {
    let gradient = |(name, _, param): (String, _, &dyn ihead::nn::AnyParam)| {
        let elements = param.dims().iter().product();
        let gradient = engine.gradient(param.id()).map_or(vec![0.0; elements], <[f64]>::to_vec);
        (name, gradient)
    };
    random.tensors().into_iter().map(gradient).collect()
}

/// The bits of the loss and the gradients of the last run.
fn bits(loss: f64, engine: &dyn Engine<f64>, random: &Random) -> Vec<u64> {
    let gradients = gradients(engine, random).into_iter().flat_map(|(_, gradient)| gradient);
    std::iter::once(loss).chain(gradients).map(f64::to_bits).collect()
}

/// How far two lists are from each other, beside the largest of them; 0 where they overflow, infinite where one alone is no number.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let largest = a.iter().chain(b).fold(1.0, |most: f64, x| most.max(x.abs()));
    if largest > LARGEST {
        return 0.0;
    }
    let apart = |(a, b): (&f64, &f64)| match (a.is_nan(), b.is_nan()) {
        (true, true) => 0.0,
        (false, false) => (a - b).abs(),
        _ => f64::INFINITY,
    };
    a.iter().zip(b).map(apart).fold(0.0, f64::max) / largest
}

/// Runs a recorded graph in three ways, and compares what they leave.
fn assert_agreement(random: &Random, graph: &Graph, request: &Request, batch: &Batch) {
    let trains = |id| Params::of(random).trains(id);
    let mut cheap = CpuEngine::<f64>::new(graph, request, &trains, 2).unwrap();
    let mut plain = CpuEngine::<f64>::plain(graph, request, &trains).unwrap();
    let mut eager = ihead_reference::double(graph, request, &trains, 2);
    let expected = run(&mut *eager, random, graph, batch, None);
    let programs = [cheap.program(), plain.program()];
    let engines: [(&str, &mut dyn Engine<f64>, &str); 2] =
        [("rewritten", &mut cheap, &programs[0]), ("plain", &mut plain, &programs[1])];
    for (name, engine, program) in engines {
        let found = run(engine, random, graph, batch, Some(NotNumbers));
        let context = || format!("{name}\n{graph}\n{program}");
        let off = distance(&[expected.loss], &[found.loss]);
        assert!(
            off < 1e-8 || expected.loss.is_nan(),
            "loss {} {} of {}",
            expected.loss,
            found.loss,
            context()
        );
        assert!(distance(&expected.read, &found.read) < 1e-8, "what is read of {}", context());
        for ((param, expected), (_, found)) in expected.gradients.iter().zip(&found.gradients) {
            let off = distance(expected, found);
            assert!(off < 1e-7, "gradient of {param} is off by {off:e} of {}", context());
        }
    }
    let read = run(&mut cheap, random, graph, batch, None).read;
    assert_same_whatever_is_read(random, graph, request, batch, (cheap, &read));
}

/// A loss and its gradients are the same to the last bit whether or not activations are read; the engine has just read some.
fn assert_same_whatever_is_read(
    random: &Random,
    graph: &Graph,
    request: &Request,
    batch: &Batch,
    (mut engine, read): (CpuEngine<f64>, &[f64]),
) {
    let (params, lists) = (Values::of(random), lists(batch));
    let loss = engine.run(&params, batch, &lists, &ignore).unwrap();
    let with_reads = bits(loss, &engine, random);
    engine.run(&NotNumbers, batch, &lists, &ignore).unwrap();
    let loss = engine.differentiate(&params, batch, &lists[..1]).unwrap();
    assert_eq!(bits(loss, &engine, random), with_reads, "{graph}\n{}", engine.program());
    // what was left out then is made up for
    let again = run(&mut engine, random, graph, batch, None);
    let same =
        again.read.iter().zip(read).all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan());
    assert!(same && again.read.len() == read.len(), "{graph}\n{}", engine.program());
    let alone = Request { reads: vec![], ..request.clone() };
    let mut engine = CpuEngine::<f64>::new(graph, &alone, &|id| Params::of(random).trains(id), 1).unwrap();
    patch(&mut engine, graph, batch);
    let loss = engine.run(&params, batch, &lists[..1], &ignore).unwrap();
    assert_eq!(bits(loss, &engine, random), with_reads, "{graph}\n{}", engine.program());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rewritten_plain_and_dfdx_agree_on_random_graphs(
        (vocab, seq, sequences) in (2..9_usize, 1..9_usize, 1..4_usize),
        widths in prop::collection::vec(1..9_usize, 1..3),
        steps in steps(14),
        frozen in any::<u32>(),
        by in 0..1000_usize,
    ) {
        let mut random = Random::new(vocab, seq, &widths, steps, Picks::Fitting);
        let names: Vec<String> = random.tensors().into_iter().map(|(name, ..)| name).collect();
        for (i, name) in names.iter().enumerate() {
            // a third of the cases train everything
            if frozen % 3 == 0 || frozen >> (i % 32) & 1 == 0 {
                random.release(name).unwrap();
            } else {
                random.freeze(name).unwrap();
            }
        }
        let mut graph = record(&random, seq).unwrap();
        if let Some((_, edits)) = edit(&graph, by) {
            graph = record_with(&random, seq, &edits).unwrap();
        }
        assert_agreement(&random, &graph, &request(&graph, by), &batch(vocab, seq, sequences));
    }

    #[test]
    fn recording_never_panics_and_what_is_recorded_runs(
        (vocab, seq) in (0..6_usize, 0..6_usize),
        widths in prop::collection::vec(1..7_usize, 1..3),
        steps in steps(6),
        by in 0..1000_usize,
    ) {
        let random = Random::new(vocab, seq, &widths, steps, Picks::Any);
        match record(&random, seq) {
            Err(error) => prop_assert!(!error.to_string().contains('\n') && !error.to_string().is_empty()),
            Ok(graph) => assert_agreement(&random, &graph, &request(&graph, by), &batch(vocab, seq, 2)),
        }
    }
}

/// A few hundred; `IHEAD_RANDOM_GRAPHS=20000` for more.
fn cases() -> u32 {
    std::env::var("IHEAD_RANDOM_GRAPHS").ok().and_then(|n| n.parse().ok()).unwrap_or(300)
}

#[test]
fn the_graphs_are_neither_all_refused_nor_all_small() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut draw = |most, picks| {
        let steps = steps(most).new_tree(&mut runner).unwrap().current();
        record(&Random::new(5, 4, &[4, 6], steps, picks), 4).ok()
    };
    let any: Vec<Option<Graph>> = (0..200).map(|_| draw(6, Picks::Any)).collect();
    let recorded = any.iter().flatten().count();
    assert!((20..180).contains(&recorded), "{recorded} of 200 recorded");
    let text: String =
        (0..200).map(|_| draw(14, Picks::Fitting).expect("what fits is recorded").to_string()).collect();
    for operation in [
        "linear",
        " + ",
        "multiply",
        "silu",
        "gain",
        "softmax",
        "by 2 heads",
        "rotate",
        "shift",
        "columns",
        "concat",
        "bias",
        "mask of heads",
        "heads of keys",
        "fixed pattern uniform",
        "mix",
        "times_sum",
        "softplus",
        "Relu",
    ] {
        assert!(text.contains(operation), "no '{operation}' in 200 graphs");
    }
    let front = |graph: &Graph| {
        let request = Request::loss(RowSet::All);
        let engine = CpuEngine::<f64>::new(graph, &request, &|_| true, 1).unwrap();
        engine.program().contains("once for each token and position")
    };
    let fronts = (0..200).filter(|_| front(&draw(14, Picks::Fitting).unwrap())).count();
    assert!(
        (20..180).contains(&fronts),
        "{fronts} of 200 have work that depends on token and position alone"
    );
}
