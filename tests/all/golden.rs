//! The first step of all recorded cases of the paper's program: activations and gradients.
use std::collections::BTreeMap;
use std::sync::Mutex;

use ihead::data::Batch;
use ihead::engine::CpuEngine;
use ihead::engine::{Engine, Read, Request, RowLists, RowSet};
use ihead::graph::{Graph, Model, record};
use ihead::internals::kernels::Element;
use ihead::nn::{Module, ModuleExt, Params, Role};

use crate::common::cases::{Case, Tensors, fill, worst};

const TOLERANCE: f64 = 1e-4;

/// The rows of the loss.
fn loss_rows(case: &Case) -> RowSet {
    if case.simplified() && case.param("/loss_head_only").as_bool().unwrap() {
        RowSet::Set(0)
    } else {
        RowSet::All
    }
}

fn engine<E: Element>(
    graph: &Graph,
    request: &Request,
    module: &impl Module,
    threads: usize,
) -> CpuEngine<E> {
    let params = Params::of(module);
    CpuEngine::new(graph, request, &|id| params.trains(id), threads).unwrap()
}

/// Gradients of one step, by name; `None` where the engine has none.
fn gradients<E: Element>(
    module: &impl Module,
    engine: &mut impl Engine<E>,
    batch: &Batch,
) -> (f64, BTreeMap<String, Option<Vec<E>>>) {
    let rows = [RowLists::select(batch, |_, mark| mark >= 2)];
    let loss = engine.run(&Params::of(module), batch, &rows, &ihead::engine::ignore).unwrap();
    let named =
        module.tensors().into_iter().map(|(name, _, p)| (name, engine.gradient(p.id()).map(<[E]>::to_vec)));
    (loss, named.collect())
}

fn check_step(case: &Case, model: &mut impl Model, layers: usize) {
    let step = case.tensors("step0.safetensors").unwrap();
    fill(model, &case.tensors("init.safetensors").unwrap());
    case.frozen().into_iter().for_each(|name| model.freeze(name).unwrap());
    let batch = Case::batch(&case.tensors("batches.safetensors").unwrap(), "0").unwrap();
    let graph = record(model, batch.seq).unwrap();
    check_names(case, model);

    // gradients, with only the rows of the loss
    let request = Request::loss(loss_rows(case));
    let (_, grads) = gradients::<f32>(model, &mut engine(&graph, &request, model, 1), &batch);
    for (name, info) in case.names() {
        let got_one = info["grad"].as_bool().unwrap();
        match (&grads[name], step.get(&format!("grad.{name}"))) {
            (Some(found), Some(expected)) => {
                let error = worst(&expected.values, found.iter().map(|g| f64::from(*g)));
                assert!(error < TOLERANCE, "{}: gradient of {name}: {error:e}", case.name());
            }
            (None, None) => assert!(!got_one, "{name}"),
            (found, expected) => {
                panic!("{}: gradient of {name}: {} / {}", case.name(), found.is_some(), expected.is_some());
            }
        }
    }

    // the same bits with other numbers of threads
    for threads in [2, 5] {
        let (_, again) = gradients::<f32>(model, &mut engine(&graph, &request, model, threads), &batch);
        assert_eq!(again, grads, "{}: {threads} threads", case.name());
    }
    check_activations(case, model, &graph, &batch, &step, layers);
}

fn check_names(case: &Case, model: &impl Module) {
    let expected = case.names();
    for (name, role, param) in model.tensors() {
        if role == Role::Param {
            // the second name of a tied parameter is in the files only
            let Some(info) = expected.get(&name) else { continue };
            let trains = info["requires_grad"].as_bool().unwrap();
            assert_eq!(param.trains(), trains, "{}: {name} trains", case.name());
        }
    }
    let ours: Vec<String> = model.tensors().into_iter().filter(|t| t.1 == Role::Param).map(|t| t.0).collect();
    assert!(expected.keys().all(|name| ours.contains(name)), "{}: {ours:?}", case.name());
}

fn check_activations(
    case: &Case,
    model: &impl Module,
    graph: &Graph,
    batch: &Batch,
    step: &Tensors,
    layers: usize,
) {
    let mut wanted = vec![("logits".to_string(), "logits".to_string())];
    for l in 0..layers {
        wanted.push((format!("attn_scores_{l}"), format!("layers.{l}.attention.pattern")));
        wanted.push((format!("resid_{l}"), format!("layers.{l}.resid")));
    }
    wanted.push((format!("resid_{layers}"), "final.resid".into()));
    let reads = wanted.iter().map(|(_, site)| (graph.site(site).unwrap(), RowSet::All)).collect();
    let request = Request::reads(reads);
    let seen: Mutex<BTreeMap<(usize, usize), Vec<f32>>> = Mutex::default();
    let observe = |i: usize, reads: &[Read<'_, f32>]| {
        for (k, read) in reads.iter().enumerate() {
            let heads = read.data.len().checked_div(read.head_stride).unwrap_or(1);
            let rows = (0..heads).flat_map(|h| (0..read.rows).map(move |r| (h, r)));
            let values = rows.flat_map(|(h, r)| read.head_row(h, r).to_vec()).collect();
            seen.lock().unwrap().insert((k, i), values);
        }
    };
    let mut engine = engine::<f32>(graph, &request, model, 2);
    engine.run(&Params::of(model), batch, &[], &observe).unwrap();
    let seen = seen.into_inner().unwrap();
    for (k, (record, _)) in wanted.iter().enumerate() {
        let found = (0..batch.batch).flat_map(|i| &seen[&(k, i)]).map(|v| f64::from(*v));
        let error = worst(&step[record].values, found);
        assert!(error < TOLERANCE, "{}: {record}: {error:e}", case.name());
    }
}

#[test]
fn first_steps_are_those_of_the_papers_program() {
    for case in Case::all() {
        if case.simplified() {
            check_step(&case, &mut case.simplified_model(), 2);
        } else {
            let mut model = case.full_model();
            let layers = model.layers.len();
            check_step(&case, &mut model, layers);
        }
    }
}
