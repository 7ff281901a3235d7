//! Every operation that a model can be made of: finite differences, agreement of the engines, single against double
//! precision, and values by their formulas.
use ihead::Module;
use ihead::backend::{Const, Dim};
use ihead::data::Batch;
use ihead::engine::CpuEngine;
use ihead::engine::{Engine, LossTerm, Penalty, Request, RowLists, RowSet, ignore};
use ihead::graph::{
    FixedPattern, Graph, Mask, Model, Normaliser, Pattern, Scores, Stream, Tokens, Weight, record,
};
use ihead::internals::backend::DeviceKind;
use ihead::internals::eager::open;
use ihead::nn::{Init, ModuleExt, Param, Params};
use ihead::ops::{Pointwise, RowWise};

use crate::common::fd::{Values, assert_gradients};

const VOCAB: usize = 5;
const DIM: usize = 8;
const SEQ: usize = 7;

/// What stands between embeddings and unembedding, by name.
const BODIES: [&str; 50] = [
    "sigmoid",
    "tanh",
    "silu",
    "gelu",
    "gelu_tanh",
    "exp",
    "relu",
    "softmax",
    "softmax by heads",
    "normalise by heads",
    "rms_normalise",
    "rms_normalise by heads",
    "product",
    "square",
    "difference",
    "swiglu",
    "columns",
    "concat",
    "concat of three",
    "shift by one",
    "shift beyond the end",
    "shift of a map",
    "silu twice",
    "a row operation of the tokens alone",
    "two row operations of one value",
    "weight sigmoid",
    "weight gelu",
    "weight product",
    "weight softmax",
    "gate by heads",
    "scores below zero",
    "scores below zero, off by one",
    "window",
    "blocks",
    "strict",
    "decay",
    "mask of one head",
    "masked relu",
    "masked linear",
    "masked sigmoid",
    "masked off by one",
    "fixed previous",
    "fixed window",
    "fixed decay",
    "fixed in four heads",
    "fewer key heads",
    "each head mixes all",
    "one table twice",
    "one's own",
    "one's own of a weight",
];

/// `ln(1 + e^x)`.
struct Softplus;

impl Pointwise for Softplus {
    fn name(&self) -> &str {
        "softplus"
    }
    fn value(&self, x: f64) -> f64 {
        x.max(0.0) + (-x.abs()).exp().ln_1p()
    }
    fn derivative(&self, x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }
}

/// The pairwise products of the first three columns of two rows.
struct Outer;

impl RowWise for Outer {
    fn name(&self) -> &str {
        "outer"
    }
    fn width(&self, inputs: &[usize]) -> Result<usize, String> {
        if inputs.len() == 2 { Ok(9) } else { Err("two rows".into()) }
    }
    fn forward(&self, inputs: &[&[f64]], out: &mut [f64]) {
        (0..9).for_each(|i| out[i] = inputs[0][i / 3] * inputs[1][i % 3]);
    }
    fn backward(&self, inputs: &[&[f64]], _: &[f64], d_out: &[f64], d_inputs: &mut [Vec<f64>]) {
        for i in 0..9 {
            d_inputs[0][i / 3] += d_out[i] * inputs[1][i % 3];
            d_inputs[1][i % 3] += d_out[i] * inputs[0][i / 3];
        }
    }
}

#[derive(Module)]
struct Sample {
    #[param]
    tok: Param<(usize, usize)>,
    #[param]
    pos: Param<(usize, usize)>,
    #[param]
    a: Param<(usize, usize)>,
    #[param]
    b: Param<(usize, usize)>,
    #[param]
    narrow: Param<(usize, usize)>,
    #[param]
    wide: Param<(usize, usize)>,
    #[param]
    gate: Param<(usize,)>,
    #[param]
    unembed: Param<(usize, usize)>,
    body: &'static str,
}

impl Sample {
    fn new(body: &'static str) -> Sample {
        let matrix = |rows, cols, std| Param::new((rows, cols), Init::Normal { std });
        Sample {
            tok: matrix(VOCAB, DIM, 1.0),
            pos: matrix(SEQ + 1, DIM, 1.0),
            a: matrix(DIM, DIM, 0.5),
            b: matrix(DIM, DIM, 0.5),
            narrow: matrix(DIM / 2, DIM, 0.5),
            wide: matrix(DIM, 4 * DIM, 0.4),
            gate: Param::new((4,), Init::Normal { std: 1.0 }),
            unembed: matrix(VOCAB, DIM, 0.7),
            body,
        }
        .init(3)
    }

    fn body<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
        let r = x.recorder();
        let [a, b, narrow, wide] = [&self.a, &self.b, &self.narrow, &self.wide].map(|p| r.weight(p));
        let gate: Weight<Const<1>, usize> = r.vector(&self.gate);
        let tokens = x.lookup(&r.weight(&self.tok));
        let h = tokens.clone() + x.positions(&r.weight(&self.pos));
        let (p, q) = (h.linear(&a), h.linear(&b));
        let attend = |scores: Scores| Pattern::causal(&p, &q, scores.scale(0.4));
        let of = |normaliser| attend(Scores::new(2).normaliser(normaliser)).masked(&Mask::window(3)).mix(&h);
        match self.body {
            "sigmoid" => p.sigmoid(),
            "tanh" => p.tanh(),
            "silu" => p.silu(),
            "gelu" => p.gelu(),
            "gelu_tanh" => p.gelu_tanh(),
            "exp" => p.scale(0.5).exp(),
            "relu" => p.relu() + h,
            "softmax" => p.softmax(),
            "softmax by heads" => p.softmax_heads(4),
            "normalise by heads" => p.normalise_heads(2, 1e-5),
            "rms_normalise" => h.clone() + p.rms_normalise(1e-5),
            "rms_normalise by heads" => p.rms_normalise_heads(4, 1e-5),
            "product" => p * q,
            "square" => p.clone() * p,
            "difference" => p - q.relu(),
            "swiglu" => (p.silu() * q).linear(&a),
            "columns" => p.columns(3, 4).linear(&narrow.transpose()),
            "concat" => h.linear(&narrow).concat(&q.columns(0, DIM / 2), DIM),
            "concat of three" => p.concat(&q, 2 * DIM).concat(&h.concat(&p, 2 * DIM), 4 * DIM).linear(&wide),
            "shift by one" => h.clone() + h.shift(1),
            "shift beyond the end" => h.clone() + p.shift(SEQ + 3),
            "shift of a map" => p.shift(2).silu() * p,
            "silu twice" => p.silu().silu() + p,
            "a row operation of the tokens alone" => tokens.silu().rms_normalise(1e-5).linear(&a),
            "two row operations of one value" => p.tanh() * p.sigmoid() + p.scale(0.1),
            "weight sigmoid" => h.linear(&a.sigmoid()),
            "weight gelu" => h.linear(&(a.gelu() + b.silu().tanh())),
            "weight product" => h.linear(&(a.clone() * b * a)),
            "weight softmax" => h.linear(&a.softmax()),
            "gate by heads" => {
                let gate = gate.sigmoid().repeat_columns(DIM / 4, DIM);
                p.shift(1).gain(&gate) + p.gain(&gate.rest())
            }
            "scores below zero" => Pattern::causal(&p, &q, Scores::new(2).scale(-0.4)).mix(&h),
            "scores below zero, off by one" => {
                let scores = Scores::new(2).scale(-0.4).normaliser(Normaliser::SoftmaxOffByOne);
                Pattern::causal(&p, &q, scores).mix(&h)
            }
            "window" => attend(Scores::new(2)).masked(&Mask::window(3)).mix(&h),
            "blocks" => attend(Scores::new(1)).masked(&Mask::blocks(4)).mix(&h),
            "strict" => attend(Scores::new(2)).masked(&Mask::strict()).mix(&h),
            "decay" => attend(Scores::new(2)).masked(&Mask::decay(0.3).and(&Mask::window(5))).mix(&h),
            "mask of one head" => attend(Scores::new(4)).masked_heads(&[1, 3], &Mask::strict()).mix(&h),
            "masked relu" => of(Normaliser::Relu),
            "masked linear" => of(Normaliser::MeanLinear),
            "masked sigmoid" => of(Normaliser::Sigmoid),
            "masked off by one" => of(Normaliser::SoftmaxOffByOne),
            "fixed previous" => Pattern::fixed(&h, 2, FixedPattern::Previous).mix(&p),
            "fixed window" => Pattern::fixed(&h, 1, FixedPattern::window(3, SEQ)).mix(&p),
            "fixed decay" => Pattern::fixed(&h, 2, FixedPattern::decay(0.7, SEQ)).mix(&p),
            "fixed in four heads" => {
                let each = Pattern::fixed(&h, 4, FixedPattern::Induction);
                each.mix_grouped(&h.linear(&narrow), 2, DIM)
            }
            "fewer key heads" => {
                let keys = h.linear(&narrow);
                let pattern = Pattern::causal(&p, &keys, Scores::new(4).key_heads(2));
                pattern.mix_grouped(&keys.relu(), 2, DIM)
            }
            "each head mixes all" => {
                let pattern = attend(Scores::new(4));
                pattern.mix_grouped(&q.clone(), 1, 4 * DIM).linear(&wide)
            }
            "one table twice" => {
                let twice = tokens.clone() + tokens;
                Pattern::causal(&twice, &twice, Scores::new(1).scale(0.1)).mix(&h)
            }
            "one's own" => p.pointwise(Softplus).rows(Outer, &[&q], 9usize).columns(1, DIM),
            "one's own of a weight" => h.linear(&a.pointwise(Softplus)),
            other => panic!("no body '{other}'"),
        }
    }
}

impl Model for Sample {
    type Vocab = usize;

    fn vocab(&self) -> usize {
        VOCAB
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
        let h = x.site().stream("body", self.body(x));
        h.linear(&x.recorder().weight(&self.unembed))
    }
}

fn batch() -> Batch {
    let mut batch = Batch::new(3, SEQ);
    let mut sequence = 0;
    batch.draw_each(|tokens, marks| {
        let token = |t: usize| ((t * t + 2 * sequence) % VOCAB) as u32;
        tokens.iter_mut().enumerate().for_each(|(t, to)| *to = token(t));
        marks.iter_mut().enumerate().for_each(|(t, mark)| *mark = i32::from((t + sequence) % 3 == 1));
        sequence += 1;
    });
    batch
}

fn marked(batch: &Batch) -> [RowLists; 1] {
    [RowLists::select(batch, |_, mark| mark >= 1)]
}

fn cpu(graph: &Graph, request: &Request, threads: usize) -> CpuEngine<f64> {
    CpuEngine::new(graph, request, &|_| true, threads).unwrap()
}

fn eager(graph: &Graph, request: &Request) -> Box<dyn Engine<f64>> {
    ihead_reference::double(graph, request, &|_| true, 2)
}

/// The two engines on the same graph: losses, their terms, and gradients of every parameter.
fn assert_agreement(sample: &Sample, graph: &Graph, request: &Request, rows: &[RowLists], what: &str) {
    let (batch, values) = (batch(), Values::of(sample));
    let (mut eager, mut cpu) = (eager(graph, request), cpu(graph, request, 1));
    let expected = eager.run(&values, &batch, rows, &ignore).unwrap();
    let found = cpu.run(&values, &batch, rows, &ignore).unwrap();
    assert!((expected - found).abs() < 1e-12, "{what}: loss {expected}, {found}");
    for (expected, found) in eager.terms().iter().zip(cpu.terms()) {
        assert!((expected - found).abs() < 1e-12, "{what}: term {expected}, {found}");
    }
    for (name, _, param) in sample.tensors() {
        let zeros = vec![0.0; param.dims().iter().product()];
        let [expected, found] =
            [eager.gradient(param.id()), cpu.gradient(param.id())].map(|g| g.unwrap_or(&zeros));
        let worst = expected.iter().zip(found).map(|(e, f)| (e - f).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-11, "{what}: gradient of {name} is off by {worst:e}\n{}", cpu.program());
    }
}

#[test]
fn every_operation_by_finite_differences() {
    let batch = batch();
    for body in BODIES {
        let sample = Sample::new(body);
        let graph = record(&sample, SEQ).unwrap();
        for rows in [RowSet::All, RowSet::Set(0)] {
            let (request, values) = (Request::loss(rows), &mut Values::of(&sample));
            let without = assert_gradients(&mut *eager(&graph, &request), values, &batch, &marked(&batch));
            assert!(!without.iter().any(|name| name == "tok" || name == "unembed"), "{body}: {without:?}");
            assert_gradients(&mut cpu(&graph, &request, 1), values, &batch, &marked(&batch));
        }
    }
}

#[test]
fn both_engines_agree_on_every_operation() {
    let rows = marked(&batch());
    for body in BODIES {
        let sample = Sample::new(body);
        let graph = record(&sample, SEQ).unwrap();
        for set in [RowSet::All, RowSet::Set(0)] {
            assert_agreement(&sample, &graph, &Request::loss(set), &rows, &format!("{body} {set:?}"));
        }
    }
}

#[test]
fn single_precision_follows_double_for_every_operation_and_any_number_of_threads() {
    let (batch, request) = (batch(), Request::loss(RowSet::All));
    for body in BODIES {
        let sample = Sample::new(body);
        let (graph, params) = (record(&sample, SEQ).unwrap(), Params::of(&sample));
        let mut double = cpu(&graph, &request, 1);
        let expected = double.run(&params, &batch, &[], &ignore).unwrap();
        let mut bits = Vec::new();
        for threads in [1, 2, 3] {
            let mut single = CpuEngine::<f32>::new(&graph, &request, &|_| true, threads).unwrap();
            let found = single.run(&params, &batch, &[], &ignore).unwrap();
            assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{body}: {expected}, {found}");
            bits.push(found.to_bits());
            for (name, _, param) in sample.tensors() {
                let zeros = vec![0.0; param.dims().iter().product()];
                let expected = double.gradient(param.id()).unwrap_or(&zeros);
                let largest = expected.iter().fold(1e-3, |m: f64, g| m.max(g.abs()));
                let found =
                    single.gradient(param.id()).map(<[f32]>::to_vec).unwrap_or(vec![0.0; zeros.len()]);
                let worst =
                    expected.iter().zip(found).map(|(e, f)| (e - f64::from(f)).abs()).fold(0.0, f64::max);
                assert!(
                    worst < 2e-5 * largest,
                    "{body}: gradient of {name} is off by {worst:e} of {largest:e}"
                );
            }
        }
        assert!(bits.iter().all(|b| *b == bits[0]), "{body}: {bits:?}");
    }
}

/// The value of the body at one position of the first sequence, by the CPU engine.
fn row(sample: &Sample, position: usize) -> Vec<f64> {
    let graph = record(sample, SEQ).unwrap();
    let request = Request::reads(vec![(graph.site("body").unwrap(), RowSet::All)]);
    let found = std::sync::Mutex::new(Vec::new());
    let observe = |i: usize, reads: &[ihead::engine::Read<'_, f64>]| {
        if i == 0 {
            *found.lock().unwrap() = reads[0].row(position).to_vec();
        }
    };
    cpu(&graph, &request, 1).run(&Values::of(sample), &batch(), &[], &observe).unwrap();
    found.into_inner().unwrap()
}

#[test]
fn values_are_those_of_the_formulas() {
    let mut linear = Sample::new("shift beyond the end");
    // `p` is read off a body that is `p` alone
    linear.body = "columns";
    let table = |sample: &Sample, name: &str| -> Vec<f64> {
        sample.tensor(name).unwrap().values().into_iter().map(f64::from).collect()
    };
    let (tok, pos, a) = (table(&linear, "tok"), table(&linear, "pos"), table(&linear, "a"));
    let t = 5;
    let token = batch().x[t] as usize;
    let h: Vec<f64> = (0..DIM).map(|c| tok[token * DIM + c] + pos[t * DIM + c]).collect();
    let p: Vec<f64> = (0..DIM).map(|r| (0..DIM).map(|c| a[r * DIM + c] * h[c]).sum()).collect();
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    // Phi by Simpson's rule, from -12 on
    let phi = |x: f64| {
        let (n, from) = (20_000, -12.0);
        let (step, density) =
            ((x - from) / n as f64, |z: f64| (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt());
        let weight = |i: usize| {
            if i == 0 || i == n {
                1.0
            } else if i % 2 == 1 {
                4.0
            } else {
                2.0
            }
        };
        (0..=n).map(|i| weight(i) * density(from + step * i as f64)).sum::<f64>() * step / 3.0
    };
    let mean_square = p.iter().map(|x| x * x).sum::<f64>() / DIM as f64;
    let total: f64 = p.iter().map(|x| x.exp()).sum();
    let cases: [(&str, &dyn Fn(f64) -> f64); 8] = [
        ("sigmoid", &sigmoid),
        ("tanh", &f64::tanh),
        ("silu", &|x| x * sigmoid(x)),
        ("gelu", &|x| x * phi(x)),
        ("gelu_tanh", &|x| {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
        }),
        ("exp", &|x| (0.5 * x).exp()),
        ("square", &|x| x * x),
        ("softmax", &|x| x.exp() / total),
    ];
    for (body, formula) in cases {
        for (found, x) in row(&Sample::new(body), t).into_iter().zip(&p) {
            assert!((found - formula(*x)).abs() < 1e-10, "{body} of {x}: {found}, {}", formula(*x));
        }
    }
    for (found, (x, h)) in row(&Sample::new("rms_normalise"), t).into_iter().zip(p.iter().zip(&h)) {
        let expected = h + x / (mean_square + 1e-5).sqrt();
        assert!((found - expected).abs() < 1e-12, "rms_normalise of {x}: {found}, {expected}");
    }
    assert_eq!(row(&Sample::new("shift by one"), 0).len(), DIM);
    let first = batch().x[0] as usize;
    for (c, found) in row(&Sample::new("shift by one"), 0).into_iter().enumerate() {
        assert!((found - tok[first * DIM + c] - pos[c]).abs() < 1e-12, "nothing stands before position 0");
    }
    // a query that sees no key reads nothing
    assert_eq!(row(&Sample::new("strict"), 0), [0.0; DIM]);
}

#[test]
fn ones_own_operations_are_refused_on_a_gpu_by_name() {
    for body in ["one's own", "one's own of a weight"] {
        let graph = record(&Sample::new(body), SEQ).unwrap();
        let opened = open::<f32>(DeviceKind::Cuda, &graph, &Request::loss(RowSet::All), &|_| true);
        let error = opened.err().unwrap().to_string();
        assert_eq!(
            error,
            "device=cuda: operation 'softplus' is this program's own and runs on the CPU alone"
        );
    }
}

#[test]
fn losses_of_several_terms_agree_and_have_the_gradients_of_their_sum() {
    let batch = batch();
    let sample = Sample::new("swiglu");
    let graph = record(&sample, SEQ).unwrap();
    let all = RowLists::select(&batch, |_, _| true);
    let share = |i: usize| [0.5, 0.2, 0.1, 0.15, 0.05][(i + i / VOCAB) % VOCAB];
    let distributions = (0..all.total() * VOCAB).map(share).collect();
    let marked = marked(&batch)[0].clone();
    let rows = [marked, all.with_distributions(VOCAB, distributions).unwrap()];
    let body = graph.site("body").unwrap();
    let request = Request {
        losses: vec![
            LossTerm::NextToken { rows: RowSet::Set(0), weight: 0.7 },
            LossTerm::NextToken { rows: RowSet::All, weight: 0.2 },
            LossTerm::Distribution { set: 1, weight: 1.5 },
            LossTerm::Penalty { node: body, penalty: Penalty::L2, rows: RowSet::All, weight: 0.01 },
            LossTerm::Penalty { node: body, penalty: Penalty::L1, rows: RowSet::Set(0), weight: 0.3 },
        ],
        reads: vec![],
    };
    assert_agreement(&sample, &graph, &request, &rows, "five terms");
    let values = &mut Values::of(&sample);
    assert_gradients(&mut cpu(&graph, &request, 1), values, &batch, &rows);
    assert_gradients(&mut *eager(&graph, &request), values, &batch, &rows);

    let mut engine = cpu(&graph, &request, 2);
    let loss = engine.run(values, &batch, &rows, &ignore).unwrap();
    let weights = [0.7, 0.2, 1.5, 0.01, 0.3];
    let sum: f64 = engine.terms().iter().zip(weights).map(|(term, weight)| term * weight).sum();
    assert!((loss - sum).abs() < 1e-12 && engine.terms().len() == 5, "{:?}", engine.terms());

    // a loss against distributions without any is refused
    let without = [rows[0].clone(), rows[0].clone()];
    let error = engine.run(values, &batch, &without, &ignore).unwrap_err().to_string();
    assert_eq!(
        error,
        "a loss against distributions: others or none; expected those of 5 tokens with its positions"
    );
}

/// A function beside a type that is called as one of the language, with a name that is a keyword.
mod odd_names {
    #[allow(non_camel_case_types, dead_code)]
    pub struct f64;
    #[allow(non_camel_case_types, dead_code)]
    pub struct str;

    ihead::pointwise! { pub r#type(x) = x * x, derivative = 2.0 * x }
}

#[test]
fn names_of_the_user_stay_out_of_a_function_by_the_macro() {
    assert_eq!(odd_names::Type.name(), "type");
    assert_eq!(odd_names::Type.value(3.0), 9.0);
}
