//! The probes give the numbers that the paper's program recorded, in all 21 cases.
use ihead::data::{Batch, BigramData, TriggerOptions, TriggerTask};
use ihead::engine::CpuEngine;
use ihead::engine::{Engine, Read, Request};
use ihead::graph::{Graph, Model, record};
use ihead::nn::{Module, Params};
use ihead::probe::{
    Evaluation, Head, Matrix, Measurements, Metric, Select, StateDict, Unit, measure_weights, paper,
};
use serde_json::Value;

use crate::common::cases::{Case, Tensor, Tensors, fill};

const RECALLS: [&str; 5] = ["wk0_acc", "wk0_64_acc", "wk1_acc", "wo1_acc", "ff1_loss"];

/// One of the case's files.
fn tensors(case: &Case, file: &str) -> Tensors {
    case.tensors(file).unwrap()
}

/// A batch of the case: `0` or `test`.
fn batch(case: &Case, suffix: &str) -> Batch {
    Case::batch(&tensors(case, "batches.safetensors"), suffix).unwrap()
}

/// Whether the program measured anything but the loss.
fn measured(case: &Case) -> bool {
    case.param("/data_args/k").as_u64() != Some(0)
}

fn metrics(case: &Case) -> Vec<Metric> {
    if case.simplified() {
        let head_only = case.param("/loss_head_only").as_bool().unwrap();
        paper::simplified(if head_only { Select::marks(2..) } else { Select::All })
    } else {
        paper::full()
    }
}

/// Both programs' batch metrics, with what is recorded of them in `row`.
fn check_metrics(case: &Case, found: &Measurements, row: &Value, how: &str) {
    assert!(measured(case) || found.get("loss_head").is_none(), "{}: nothing to be copied", case.name());
    let mut compared = 0;
    for entry in found.entries() {
        let Some(expected) = row.get(&entry.name) else { continue };
        compared += 1;
        let context =
            format!("{}: {} {how}: {:?}, expected {expected}", case.name(), entry.name, entry.value);
        let (found, expected) = match (entry.value.number(), expected.as_f64()) {
            (Some(found), Some(expected)) => (found, expected),
            (found, expected) => {
                assert_eq!(found, expected, "{context}");
                continue;
            }
        };
        // the log lines of a case without triggers have 4 decimals
        let tolerance = match entry.unit {
            Unit::Share => 1e-12,
            _ if measured(case) => 1e-6,
            _ => 6e-5,
        };
        assert!((found - expected).abs() <= tolerance, "{context}");
    }
    let expected = match (case.simplified(), measured(case)) {
        (_, false) => 1,
        (true, true) => 12,
        (false, true) => 6,
    };
    assert_eq!(compared, expected, "{}: {row}", case.name());
}

#[test]
fn metrics_of_recorded_logits_and_patterns_are_the_recorded_ones() {
    for case in Case::all() {
        let graph = graph(&case);
        let step = tensors(&case, "step0.safetensors");
        let batch = batch(&case, "0");
        let evaluation = Evaluation::new(metrics(&case), &graph, 0).unwrap();
        let rows = evaluation.rows(&batch);
        let pass = evaluation.pass(&batch, &rows);
        let all: Vec<u32> = (0..batch.seq as u32).collect();
        for i in (0..batch.batch).rev() {
            let reads: Vec<Read<'_, f64>> = evaluation
                .reads()
                .iter()
                .map(|(node, _)| read(&step[recorded_name(&graph, *node)], i, &all))
                .collect();
            pass.observe(i, &reads);
        }
        let found = pass.finish().unwrap();
        check_metrics(&case, &found, &case.trace().unwrap()[0], "of the record");
    }
}

fn recorded_name(graph: &Graph, node: ihead::graph::NodeId) -> &'static str {
    let is = |site: &str| graph.site(site) == Some(node);
    match () {
        () if is("logits") => "logits",
        () if is("layers.0.attention.pattern") => "attn_scores_0",
        () if is("layers.1.attention.pattern") => "attn_scores_1",
        () => panic!("no such record"),
    }
}

/// Sequence `i` of a recorded activation, `[batch, seq, dim]` or `[batch, heads, seq, seq]`.
fn read<'a>(array: &'a Tensor, i: usize, positions: &'a [u32]) -> Read<'a, f64> {
    let size: usize = array.shape[1..].iter().product();
    let (rows, cols) = (positions.len(), array.shape[array.shape.len() - 1]);
    let head_stride = if array.shape.len() == 4 { rows * cols } else { 0 };
    let data = &array.values[i * size..(i + 1) * size];
    Read { data, rows, cols, ld: cols, head_stride, positions }
}

fn graph(case: &Case) -> Graph {
    let seq = case.param("/data_args/seq_length").as_u64().unwrap() as usize;
    with_model(case, |model| model.graph(seq))
}

/// What the tests ask of either model.
trait AnyModel: StateDict {
    fn graph(&self, seq: usize) -> Graph;
    fn load(&mut self, state: &Tensors);
    fn record(&self, graph: &Graph, metrics: &[Metric], batch: &Batch, threads: usize) -> Measurements;
}

impl<M: Model + Module> AnyModel for M {
    fn graph(&self, seq: usize) -> Graph {
        record(self, seq).unwrap()
    }

    fn load(&mut self, state: &Tensors) {
        fill(self, state);
    }

    fn record(&self, graph: &Graph, metrics: &[Metric], batch: &Batch, threads: usize) -> Measurements {
        let evaluation = Evaluation::new(metrics.to_vec(), graph, 0).unwrap();
        let request = Request::reads(evaluation.reads().to_vec());
        let params = Params::of(self);
        let mut engine = CpuEngine::<f64>::new(graph, &request, &|id| params.trains(id), threads).unwrap();
        let rows = evaluation.rows(batch);
        let pass = evaluation.pass(batch, &rows);
        engine.run(&params, batch, &rows, &|i, reads| pass.observe(i, reads)).unwrap();
        pass.finish().unwrap()
    }
}

fn with_model<T>(case: &Case, use_it: impl FnOnce(&mut dyn AnyModel) -> T) -> T {
    if case.simplified() { use_it(&mut case.simplified_model()) } else { use_it(&mut case.full_model()) }
}

#[test]
fn metrics_of_the_engine_are_the_recorded_ones_for_any_number_of_threads() {
    for case in Case::all() {
        let batch = batch(&case, "0");
        with_model(&case, |model| {
            model.load(&tensors(&case, "init.safetensors"));
            let graph = model.graph(batch.seq);
            let one = model.record(&graph, &metrics(&case), &batch, 1);
            check_metrics(&case, &one, &case.trace().unwrap()[0], "of the engine");
            for threads in [2, 5] {
                assert_eq!(model.record(&graph, &metrics(&case), &batch, threads), one, "{}", case.name());
            }
            // where only some positions are asked for, the numbers are those of asking for all
            let by_itself = |metric: &Metric| model.record(&graph, std::slice::from_ref(metric), &batch, 1);
            for metric in metrics(&case) {
                assert_close(&case, by_itself(&metric).get(metric.name()), one.get(metric.name()));
            }
        });
    }
}

fn assert_close(case: &Case, found: Option<f64>, expected: Option<f64>) {
    let close = found.zip(expected).map_or(found == expected, |(f, e)| (f - e).abs() < 1e-12);
    assert!(close, "{}: {found:?} and {expected:?}", case.name());
}

#[test]
fn accuracy_on_the_test_batch_is_the_recorded_one() {
    for case in Case::all().into_iter().filter(|case| case.simplified() && measured(case)) {
        // the weights after the last update are recorded, so the last row can be checked
        let Some(last) = last_row(&case) else { continue };
        let batch = batch(&case, "test");
        with_model(&case, |model| {
            model.load(&tensors(&case, "final.safetensors"));
            let found = model.record(&model.graph(batch.seq), &[paper::simplified_test()], &batch, 2);
            assert_close(&case, found.get("acc_end_test"), last["acc_end_test"].as_f64());
        });
    }
}

/// The last row, if it was written after the last update.
fn last_row(case: &Case) -> Option<Value> {
    let last = case.trace().unwrap().pop()?;
    let iterations = case.param("/max_iters").as_u64()?;
    (last["iter"].as_u64()? + 1 == iterations).then_some(last)
}

/// A recorded state dict by itself.
struct Recorded(Tensors);

impl StateDict for Recorded {
    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn find(&self, name: &str) -> Option<Matrix> {
        let array = self.0.get(name)?;
        let [rows, cols] = array.shape[..] else { return None };
        Matrix::new(rows, cols, array.values.clone()).ok()
    }
}

#[test]
fn recalls_of_the_final_weights_are_those_of_the_last_row() {
    let data = BigramData::tiny_shakespeare();
    let bigrams = Matrix::from_rows(data.vocab(), data.cond_rows()).unwrap();
    let mut compared = 0;
    for case in Case::all().into_iter().filter(measured) {
        let Some(last) = last_row(&case) else { continue };
        let triggers = fixed_triggers(&case);
        let weights = Recorded(tensors(&case, "final.safetensors"));
        let probes = paper::recalls(&weights, bigrams.clone(), triggers.as_deref()).unwrap();
        let found = measure_weights(&probes, &weights).unwrap();
        // a model that holds these weights says the same
        with_model(&case, |model| {
            model.load(&weights.0);
            assert_eq!(measure_weights(&probes, &*model).unwrap(), found, "{}", case.name());
        });
        let found = found.not_applicable_as(-1.0);
        assert_eq!(found.entries().iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), RECALLS);
        for entry in found.entries() {
            let (value, expected) = (entry.value.number().unwrap(), last[&entry.name].as_f64().unwrap());
            let tolerance = if entry.unit == Unit::Nats { 1e-6 } else { 1e-12 };
            let context = format!("{}: {}: {value}, expected {expected}", case.name(), entry.name);
            assert!((value - expected).abs() < tolerance, "{context}");
            compared += 1;
        }
    }
    assert_eq!(compared, 18 * RECALLS.len());
}

fn fixed_triggers(case: &Case) -> Option<Vec<u32>> {
    use ihead::data::Task;
    let number = |key: &str| case.param(&format!("/data_args/{key}")).as_u64().unwrap() as usize;
    let options = TriggerOptions {
        k: number("k"),
        fixed_special_toks: case.param("/data_args/fixed_special_toks").as_bool().unwrap(),
        special_toks_offset: number("special_toks_offset"),
        seq_length: number("seq_length"),
        ..Default::default()
    };
    let task = TriggerTask::new(BigramData::tiny_shakespeare().into(), options).unwrap();
    task.fixed_triggers().map(<[u32]>::to_vec)
}

#[test]
fn heads_that_the_graph_lacks_are_named() {
    let case = Case::all().into_iter().find(|case| case.name() == "full_defaults").unwrap();
    let graph = graph(&case);
    let message = |head: Head| {
        let metric = Metric::attends("a", &head, ihead::probe::Key::Previous).over(Select::marks(1..));
        Evaluation::new([metric], &graph, 0).unwrap_err().to_string()
    };
    assert_eq!(
        message(Head::of_layer(0, 4)),
        "head 4 of 'layers.0.attention.pattern', which has heads 0 to 3"
    );
    assert_eq!(message(Head::new("logits", 0)), "site 'logits': a stream; expected an attention pattern");
    assert_eq!(
        message(Head::new("layers.1.attention.patern", 0)),
        "no site 'layers.1.attention.patern'; did you mean 'layers.1.attention.pattern'?"
    );
    let twice = Evaluation::new([Metric::loss("a"), Metric::accuracy("a")], &graph, 0);
    assert_eq!(twice.unwrap_err().to_string(), "two metrics are named 'a'; name one otherwise");
}
