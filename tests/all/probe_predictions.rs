//! Metrics of predictions and terms of the logits against their definitions written out.
use std::sync::{Arc, Mutex};

use ihead::Module;
use ihead::backend::Dim;
use ihead::config::Config;
use ihead::data::{Batch, NumpyRng, Task};
use ihead::engine::CpuEngine;
use ihead::engine::{Engine, Read, Request, RowSet};
use ihead::graph::{AnyModel, Graph, Model, Stream, Tokens, record};
use ihead::model::{Full, FullArgs, Simplified, SimplifiedArgs};
use ihead::nn::{Embedding, Linear, Module, ModuleExt, Params, norm};
use ihead::probe::attribution::{Against, metrics, terms};
use ihead::probe::{
    Bigram, BigramTable, Evaluation, Matrix, Measurements, Metric, Predictor, Select, TaskDistribution,
    Uniform, Unigram, Unit,
};
use ihead::run::Inspect;
use ihead::train::{Compute, Precision};

use crate::common::maths::softmax;

const VOCAB: usize = 11;
const SEQ: usize = 9;

fn batch(sequences: usize) -> Batch {
    let mut batch = Batch::new(sequences, SEQ);
    let mut rng = NumpyRng::new(&[4]);
    batch.draw_each(|tokens, marks| {
        tokens.fill_with(|| rng.below(VOCAB as u32));
        marks.iter_mut().enumerate().for_each(|(t, mark)| *mark = (t % 3) as i32);
    });
    batch
}

/// The metrics, the same of both engines, and the logits of each sequence, `[batch, seq * vocab]`.
fn measure<M: Model + Module>(
    model: &M,
    metrics: Vec<Metric>,
    batch: &Batch,
) -> (Measurements, Vec<Vec<f64>>) {
    measure_edited(model, &record(model, batch.seq).unwrap(), metrics, batch)
}

/// The same of a graph of the model.
fn measure_edited<M: Model + Module>(
    model: &M,
    graph: &Graph,
    metrics: Vec<Metric>,
    batch: &Batch,
) -> (Measurements, Vec<Vec<f64>>) {
    let evaluation = Evaluation::new(metrics, graph, 0).unwrap();
    let request = Request::reads(evaluation.reads().to_vec());
    let extended = evaluation.graph(graph);
    let mut plan = CpuEngine::<f64>::new(extended, &request, &|_| false, 2).unwrap();
    let mut eager = ihead_reference::double(extended, &request, &|_| false, 4);
    let rows = evaluation.rows(batch);
    let measured = |engine: &mut dyn Engine<f64>| {
        let pass = evaluation.pass(batch, &rows);
        engine.run(&Params::of(model), batch, &rows, &|i, reads| pass.observe(i, reads)).unwrap();
        pass.finish().unwrap()
    };
    let (found, other) = (measured(&mut plan), measured(&mut *eager));
    for (a, b) in found.entries().iter().zip(other.entries()) {
        let apart = a.value.number().zip(b.value.number()).map(|(a, b)| (a - b).abs());
        assert!(apart.is_none_or(|apart| apart < 1e-9), "{a:?} and {b:?}");
    }

    let logits = Mutex::new(vec![Vec::new(); batch.batch]);
    let request = Request::reads(vec![(graph.logits(), RowSet::All)]);
    let mut engine = CpuEngine::<f64>::new(graph, &request, &|_| false, 1).unwrap();
    let observe = |i: usize, reads: &[Read<'_, f64>]| {
        logits.lock().unwrap()[i] = (0..SEQ).flat_map(|t| reads[0].row(t).to_vec()).collect();
    };
    engine.run(&Params::of(model), batch, &[], &observe).unwrap();
    (found, logits.into_inner().unwrap())
}

/// A task that says that the current token comes again.
struct Again;

impl Task for Again {
    fn vocab(&self) -> usize {
        VOCAB
    }

    fn seq_length(&self) -> usize {
        SEQ
    }

    fn sequence(&self, _: &mut NumpyRng, _: &mut [u32], _: &mut [i32]) {}

    fn predict(&self, tokens: &[u32], distribution: &mut [f64]) -> bool {
        tokens.last().is_some_and(|last| {
            distribution[*last as usize] = 1.0;
            true
        })
    }
}

fn simplified() -> Simplified<usize, usize, usize> {
    let sizes = SimplifiedArgs {
        max_length: SEQ,
        dim: 8,
        final_ffn: true,
        linear_final_ffn: false,
        ..SimplifiedArgs::defaults()
    };
    Simplified::new(VOCAB, &sizes).unwrap().init(3)
}

fn full(args: &FullArgs) -> Full<usize, usize, usize> {
    let mut model = Full::new(VOCAB, &FullArgs { max_length: SEQ, dim: 8, ..args.clone() }).unwrap().init(3);
    // gains and biases that are neither 1 nor 0
    let names: Vec<String> = model.tensors().into_iter().map(|(name, ..)| name).collect();
    for name in names.iter().filter(|name| name.contains("norm")) {
        let change = |(i, value): (usize, &mut f32)| *value += 0.3 * (i as f32 - 2.0);
        model.update(name, &mut |values| values.iter_mut().enumerate().for_each(change)).unwrap();
    }
    model
}

/// The mean over the positions with mark 2 of `value(sequence, t, logits)`.
fn mean(batch: &Batch, logits: &[Vec<f64>], value: impl Fn(usize, usize, &[f64]) -> f64) -> f64 {
    let places = (0..batch.batch).flat_map(|i| (0..SEQ).map(move |t| (i, t)));
    let values: Vec<f64> = places
        .filter(|(i, t)| batch.marks[i * SEQ + t] == 2)
        .map(|(i, t)| value(i, t, &logits[i][t * VOCAB..(t + 1) * VOCAB]))
        .collect();
    values.iter().sum::<f64>() / values.len() as f64
}

fn close(found: Option<f64>, expected: f64) {
    assert!(found.is_some_and(|found| (found - expected).abs() < 1e-9), "{found:?}, expected {expected}");
}

/// Of equal logits, the first is before.
#[test]
fn ranks_among_equals_are_in_the_order_of_tokens() {
    let (mut model, batch) = (simplified(), batch(3));
    model.update("output", &mut |values| values.fill(0.0)).unwrap();
    let (found, _) = measure(&model, vec![Metric::rank("rank")], &batch);
    close(found.get("rank"), batch.y.iter().map(|y| f64::from(*y) + 1.0).sum::<f64>() / batch.y.len() as f64);
}

#[test]
fn metrics_of_predictions_are_their_definitions() {
    let (model, batch) = (simplified(), batch(3));
    let known = Select::marks(2..);
    let table: Vec<f64> =
        (0..VOCAB * VOCAB).map(|i| if i % VOCAB == i / VOCAB { 0.5 } else { 0.05 }).collect();
    let table = Matrix::new(VOCAB, VOCAB, table).unwrap();
    let never = |_: &[u32], _: &mut [f64]| false;
    let metrics = [
        Metric::top_k("top3", 3),
        Metric::top_k("top1", 1),
        Metric::accuracy("accuracy"),
        Metric::rank("rank"),
        Metric::probability("probability"),
        Metric::margin("margin"),
        Metric::entropy("entropy"),
        Metric::kl("uniform", Uniform),
        Metric::kl("unigram", Unigram { alpha: 0.5 }),
        Metric::kl("bigram", Bigram { alpha: 0.5 }),
        Metric::kl("bigram0", Bigram { alpha: 0.0 }),
        Metric::kl("table", BigramTable(table.clone())),
        Metric::kl("distribution", TaskDistribution(Arc::new(Again))),
        Metric::kl("never", never),
    ];
    let metrics = metrics.into_iter().map(|metric| metric.over(known.clone())).collect();
    let (found, logits) = measure(&model, metrics, &batch);
    let y = |i: usize, t: usize| batch.y[i * SEQ + t] as usize;
    let rank = |i, t, logits: &[f64]| logits.iter().filter(|v| **v > logits[y(i, t)]).count();
    let mean = |value: &dyn Fn(usize, usize, &[f64]) -> f64| mean(&batch, &logits, value);
    close(found.get("top3"), mean(&|i, t, logits| f64::from(u8::from(rank(i, t, logits) < 3))));
    assert_eq!(found.get("top1"), found.get("accuracy"));
    close(found.get("rank"), mean(&|i, t, logits| 1.0 + rank(i, t, logits) as f64));
    close(found.get("probability"), mean(&|i, t, logits| softmax(logits)[y(i, t)]));
    let best_other = |y: usize, logits: &[f64]| {
        (0..VOCAB).filter(|j| *j != y).map(|j| logits[j]).fold(f64::NEG_INFINITY, f64::max)
    };
    close(found.get("margin"), mean(&|i, t, logits| logits[y(i, t)] - best_other(y(i, t), logits)));
    close(found.get("entropy"), mean(&|_, _, logits| softmax(logits).iter().map(|p| -p * p.ln()).sum()));
    let kl = |predictor: &dyn Predictor, i: usize, t: usize, logits: &[f64]| {
        let mut distribution = [0.0; VOCAB];
        predictor.predict(&batch.x[i * SEQ..i * SEQ + t + 1], &mut distribution).then(|| {
            let terms = distribution.iter().zip(softmax(logits)).filter(|(p, _)| **p > 0.0);
            terms.map(|(p, q)| p * (p / q).ln()).sum::<f64>()
        })
    };
    let predictors: [(&str, &dyn Predictor); 4] = [
        ("uniform", &Uniform),
        ("unigram", &Unigram { alpha: 0.5 }),
        ("bigram", &Bigram { alpha: 0.5 }),
        ("table", &BigramTable(table)),
    ];
    for (name, predictor) in predictors {
        close(found.get(name), mean(&|i, t, logits| kl(predictor, i, t, logits).unwrap()));
    }
    close(
        found.get("distribution"),
        mean(&|i, t, logits| -softmax(logits)[batch.x[i * SEQ + t] as usize].ln()),
    );
    // a position whose token is new has no bigram to go by
    let new = |i: usize, t: usize| !batch.x[i * SEQ..i * SEQ + t].contains(&batch.x[i * SEQ + t]);
    let share_new = mean(&|i, t, _| f64::from(u8::from(new(i, t))));
    assert!(share_new > 0.0 && share_new < 1.0);
    let sum = mean(&|i, t, logits| kl(&Bigram { alpha: 0.0 }, i, t, logits).unwrap_or(0.0));
    close(found.get("bigram0"), sum / (1.0 - share_new));
    assert_eq!(found.get("never"), None);
}

/// The sum of the terms against the logits, for each comparison.
fn check_terms<M: Model + Module>(model: &M, expected: &[&str]) {
    check_terms_of(model, &record(model, SEQ).unwrap(), expected);
}

/// The same for a graph of the model.
fn check_terms_of<M: Model + Module>(model: &M, graph: &Graph, expected: &[&str]) {
    let batch = batch(3);
    assert_eq!(terms(graph), expected);
    let foils = [Against::Zero, Against::Mean, Against::BestOther, Against::Token(4)];
    for against in foils {
        let over = |metric: Metric| metric.over(Select::marks(2..));
        let mut all: Vec<Metric> = metrics("adds.", graph, against.clone()).map(over).collect();
        all.push(over(Metric::logit("sum", against.clone())));
        let (found, logits) = measure_edited(model, graph, all, &batch);
        let parts: f64 = terms(graph).iter().map(|term| found.get(&format!("adds.{term}")).unwrap()).sum();
        close(found.get("sum"), parts);
        close(
            Some(parts),
            mean(&batch, &logits, |i, t, logits| {
                let y = batch.y[i * SEQ + t] as usize;
                let others = || (0..VOCAB).filter(|j| *j != y).map(|j| logits[j]);
                logits[y]
                    - match against {
                        Against::Zero => 0.0,
                        Against::Mean => logits.iter().sum::<f64>() / VOCAB as f64,
                        Against::BestOther => others().fold(f64::NEG_INFINITY, f64::max),
                        Against::Token(token) => logits[token as usize],
                        _ => unreachable!(),
                    }
            }),
        );
    }
}

/// Maps of one stream: the first two are summed as one site, the third is added beside it, the fourth behind all sites.
#[derive(Module)]
struct Unnamed {
    #[module]
    embed: Embedding<usize, usize>,
    #[module]
    maps: Vec<Linear<usize, usize>>,
    #[module]
    output: Linear<usize, usize>,
}

impl Model for Unnamed {
    type Vocab = usize;

    fn vocab(&self) -> usize {
        VOCAB
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
        let (site, h) = (x.site(), self.embed.forward(x));
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| self.maps[i].forward(&h).tanh());
        let own = site.at("layers.0.attention").stream("out", a + b.scale(2.0));
        let resid = site.stream("resid", h + own + c);
        self.output.forward(&(resid + d))
    }
}

/// They were called `term`, `term#2` and so on, whatever layer they were of.
#[test]
fn terms_without_a_site_are_called_after_the_nearest_one_that_they_are_part_of() {
    let maps = (0..4).map(|_| Linear::new(8, 8)).collect();
    let model = Unnamed { embed: Embedding::new(VOCAB, 8), maps, output: Linear::new(8, VOCAB) }.init(2);
    check_terms(
        &model,
        &["embedding", "layers.0.attention.out", "layers.0.attention.out#2", "resid", "term"],
    );
}

/// They were said to borrow the graph, so that one made in the same line did not compile.
#[test]
fn metrics_of_terms_outlive_the_graph_that_names_them() {
    let metrics = metrics("adds.", &record(&simplified(), 4).unwrap(), Against::Mean);
    assert_eq!(metrics.count(), terms(&record(&simplified(), 4).unwrap()).len());
}

#[test]
fn terms_add_up_to_the_logits() {
    check_terms(
        &simplified(),
        &["embedding", "positions", "layers.0.attention.out", "layers.1.attention.out", "layers.1.ff.out"],
    );
}

#[test]
fn terms_of_a_normed_model_of_many_heads_add_up_to_the_logits() {
    let heads = |layer: usize| [0, 1].map(|head| format!("layers.{layer}.attention.out[{head}]"));
    let ([a, b], [c, d]) = (heads(0), heads(1));
    let args = FullArgs { n_heads: 2, ..FullArgs::defaults() };
    check_terms(
        &full(&args),
        &["embedding", "positions", &a, &b, "layers.0.ff.out", &c, &d, "layers.1.ff.out", "bias"],
    );
    let args = FullArgs { n_heads: 2, no_wo: true, no_ffn: true, ..FullArgs::defaults() };
    let model = full(&args);
    assert_eq!(terms(&record(&model, SEQ).unwrap()).len(), 7);
}

/// An edit of a head leaves the terms of its layer apart, so that one sees what the others write when it is gone.
#[test]
fn terms_of_heads_stay_apart_where_some_of_them_are_edited() {
    for no_wo in [false, true] {
        let model = full(&FullArgs { n_heads: 4, no_wo, ..FullArgs::defaults() });
        let plain = record(&model, SEQ).unwrap();
        let names = terms(&plain);
        let expected: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(expected.len(), 2 + 2 * 5 + 1, "{expected:?}");
        for edits in [
            "layers.1.attention.pattern[1]=ablate",
            "layers.1.attention.pattern[0]=uniform, layers.1.attention.pattern[3]=ablate",
            "layers.1.attention.mixed[1]=ablate",
            "layers.0.attention.mixed[2]=scale(0.5), layers.1.attention.pattern[1]=previous_token",
            "layers.1.attention.v[1]=ablate",
            "layers.1.attention.mixed=scale(2)",
            "layers.1.attention.out=scale(0.5)",
        ] {
            let edited = model.record_edited(SEQ, &edits.parse().unwrap()).unwrap();
            check_terms_of(&model, &edited, &expected);
        }
        // the ablated head adds nothing, the others what they did
        let edits = "layers.1.attention.pattern[1]=ablate".parse().unwrap();
        let edited = model.record_edited(SEQ, &edits).unwrap();
        let of = |graph: &Graph, head: usize| {
            let name = expected[2 + 5 + head];
            assert!(
                name.starts_with("layers.1.attention.") && name.ends_with(&format!("[{head}]")),
                "{name}"
            );
            let metric = Metric::logit_from("term", name, Against::Zero);
            measure_edited(&model, graph, vec![metric], &batch(2)).0.get("term").unwrap()
        };
        assert_eq!(of(&edited, 1), 0.0);
        assert!(of(&plain, 1) != 0.0 && of(&edited, 0) != 0.0);
    }
}

#[test]
fn a_head_s_term_is_what_the_model_lacks_without_it() {
    // with no layer above, the term of a head is the difference that ablating its output makes
    let (model, batch) = (simplified(), batch(2));
    let name = "layers.1.attention.out";
    let (found, _) = measure(&model, vec![Metric::logit_from("term", name, Against::Zero)], &batch);
    let direct = found.get("term").unwrap();
    let mut without = simplified();
    without.update("layers.1.attention.wo.weight", &mut |values| values.fill(0.0)).unwrap();
    // layer 1's feed-forward reads what the head writes, so only the direct part is compared
    let ff = |model: &Simplified<usize, usize, usize>| {
        let metrics = vec![
            Metric::logit("all", Against::Zero),
            Metric::logit_from("ff", "layers.1.ff.out", Against::Zero),
        ];
        let (found, _) = measure(model, metrics, &batch);
        found.get("all").unwrap() - found.get("ff").unwrap()
    };
    close(Some(direct), ff(&model) - ff(&without));
}

#[test]
fn terms_and_tokens_that_are_not_there_are_named() {
    let graph = record(&simplified(), SEQ).unwrap();
    let told = |metric: Metric| Evaluation::new([metric], &graph, 0).unwrap_err().to_string();
    assert_eq!(
        told(Metric::logit_from("a", "layers.1.atention.out", Against::Mean)),
        "no term of the logits 'layers.1.atention.out'; did you mean 'layers.1.attention.out'?"
    );
    assert_eq!(
        told(Metric::logit("a", Against::Token(11))),
        "token 11 of the model's vocabulary, which has tokens 0 to 10"
    );
}

#[test]
fn the_norm_at_a_site_is_that_of_its_rows_in_streams_of_one_head_and_of_many() {
    let (model, batch) = (full(&FullArgs { n_heads: 2, ..FullArgs::defaults() }), batch(3));
    for site in ["layers.1.resid", "layers.0.attention.v", "final.resid"] {
        let metrics = vec![
            Metric::norm("first", site).over(Select::first(1)),
            Metric::norm("others", site).over(!Select::first(1)),
        ];
        let (found, _) = measure(&model, metrics, &batch);
        let values = Inspect::new(&model)
            .compute(Compute { precision: Precision::Double, ..Compute::default() })
            .activations(&batch, site)
            .unwrap()
            .values;
        let norms: Vec<f64> = values.chunks(values.len() / (3 * SEQ)).map(norm).collect();
        let mean = |first: bool| {
            let of = norms.iter().enumerate().filter(|(i, _)| (i % SEQ == 0) == first);
            of.clone().map(|(_, norm)| norm).sum::<f64>() / of.count() as f64
        };
        for (name, expected) in [("first", mean(true)), ("others", mean(false))] {
            let found = found.get(name).unwrap();
            assert!((found - expected).abs() < 1e-6 * expected, "{site}: {found}, expected {expected}"); // of f32 values
        }
        assert!((mean(true) - mean(false)).abs() > 1e-6, "{site}: {norms:?}");
    }
    assert_eq!(Metric::norm("first", "layers.1.resid").unit(), Unit::Norm);
}

#[test]
fn the_norm_of_a_site_that_is_not_there_or_is_a_pattern_is_refused() {
    let graph = record(&simplified(), SEQ).unwrap();
    let told = |site: &str| Evaluation::new([Metric::norm("a", site)], &graph, 0).unwrap_err().to_string();
    assert_eq!(told("layers.1.resdi"), "no site 'layers.1.resdi'; did you mean 'layers.1.resid'?");
    let error = told("layers.1.attention.pattern");
    assert!(error.contains("'layers.1.attention.pattern'") && error.contains("a stream"), "{error}");
}

#[test]
fn a_predictor_of_another_vocabulary_is_refused_by_the_name_of_its_metric() {
    let graph = record(&simplified(), SEQ).unwrap();
    let told = |metric: Metric| Evaluation::new([metric], &graph, 0).unwrap_err().to_string();
    let table = |rows, cols| BigramTable(Matrix::new(rows, cols, vec![0.5; rows * cols]).unwrap());
    let task = Arc::new(ihead::data::CausalGraph::chain(VOCAB - 1, SEQ, 1.0).unwrap());
    assert_eq!(
        told(Metric::kl("k", TaskDistribution(task))),
        "metric 'k': the distribution of the task of a causal graph: 10 tokens; expected the 11 of the model's vocabulary"
    );
    for (rows, cols) in [(VOCAB, 4), (1, VOCAB)] {
        assert_eq!(
            told(Metric::kl("k", table(rows, cols))),
            format!("metric 'k': a table of bigrams: expected shape [11, 11], found [{rows}, {cols}]")
        );
    }
    for (alpha, said) in [(-1.0, "-1"), (f64::NAN, "NaN"), (f64::INFINITY, "inf"), (1e308, "1e308")] {
        let found = told(Metric::kl("k", Unigram { alpha }));
        assert!(found.starts_with("metric 'k': the unigrams so far: alpha: "), "{said}: {found}");
        assert!(found.ends_with("; expected a number from 0 to 1e15"), "{found}");
        assert!(told(Metric::kl("k", Bigram { alpha })).contains("the bigrams so far: alpha: "));
    }
}
