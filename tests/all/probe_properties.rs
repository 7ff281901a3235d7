//! The probes against the definitions written out, and what they say when something does not fit.

use ihead::Error;
use ihead::config::Config;
use ihead::data::{Batch, BigramData, NumpyRng, TriggerOptions, TriggerTask, sample};
use ihead::engine::CpuEngine;
use ihead::engine::{Engine, Read, Request, RowSet};
use ihead::graph::{Edit, Edits, Graph, record, record_with};
use ihead::model::{Simplified, SimplifiedArgs};
use ihead::nn::Params;
use ihead::probe::{
    Association, Circuit, Counter, Divergence, Evaluation, Head, Key, Map, Matrix, Measurements, Metric,
    Recall, Select, Sequence, StateDict, head_scores, measure_weights, paper,
};

use crate::common::maths::softmax;

type Outcome = Result<(), Box<dyn std::error::Error>>;
type Small = Simplified<usize, usize, usize>;

fn model(seq: usize) -> Small {
    let sizes = SimplifiedArgs { max_length: seq, dim: 12, ..SimplifiedArgs::defaults() };
    Simplified::new(65, &sizes).expect("a model").init(3)
}

fn batch(batch: usize, seq_length: usize, k: usize) -> Batch {
    let options = TriggerOptions { k, seq_length, ..Default::default() };
    let task = TriggerTask::new(BigramData::tiny_shakespeare().into(), options).expect("a task");
    sample(&task, &mut NumpyRng::new(&[9]), batch).expect("a batch")
}

/// Made-up activations of a batch: logits `[batch, seq, 65]`, two patterns `[batch, seq, seq]`, rows padded by 7.
struct Made {
    logits: Vec<f64>,
    patterns: [Vec<f64>; 2],
    seq: usize,
}

const PAD: usize = 7;
const VOCAB: usize = 65;

impl Made {
    fn new(batch: &Batch) -> Made {
        let mut rng = NumpyRng::new(&[5]);
        // few distinct values, so that there are ties
        let mut draw = |n: usize| (0..n).map(|_| f64::from(rng.below(20)) / 4.0).collect::<Vec<_>>();
        let (n, seq) = (batch.batch * batch.seq, batch.seq);
        let mut patterns = [draw(n * (seq + PAD)), draw(n * (seq + PAD))];
        for pattern in &mut patterns {
            for (row, weights) in pattern.chunks_mut(seq + PAD).enumerate() {
                weights[row % seq + 1..seq].fill(0.0);
                // what is beyond the row must not be looked at
                weights[seq..].fill(1e9);
            }
        }
        let mut logits = draw(n * (VOCAB + PAD));
        logits.chunks_mut(VOCAB + PAD).for_each(|row| row[VOCAB..].fill(1e9));
        Made { logits, patterns, seq }
    }

    fn logits(&self, i: usize, t: usize) -> &[f64] {
        &self.logits[(i * self.seq + t) * (VOCAB + PAD)..][..VOCAB]
    }

    fn predicted(&self, i: usize, t: usize) -> usize {
        first_largest(self.logits(i, t))
    }

    fn attended(&self, layer: usize, i: usize, t: usize) -> usize {
        first_largest(&self.patterns[layer][(i * self.seq + t) * (self.seq + PAD)..][..self.seq])
    }

    fn reads<'a>(
        &'a self,
        evaluation: &Evaluation,
        graph: &Graph,
        i: usize,
        all: &'a [u32],
    ) -> Vec<Read<'a, f64>> {
        let of = |values: &'a [f64], cols: usize| {
            let ld = cols + PAD;
            let data = &values[i * self.seq * ld..(i + 1) * self.seq * ld];
            Read { data, rows: self.seq, cols, ld, head_stride: 0, positions: all }
        };
        let read = |node| match node {
            node if node == graph.logits() => of(&self.logits, VOCAB),
            node if Some(node) == graph.site("layers.0.attention.pattern") => of(&self.patterns[0], self.seq),
            _ => of(&self.patterns[1], self.seq),
        };
        evaluation.reads().iter().map(|(node, _)| read(*node)).collect()
    }
}

fn first_largest(row: &[f64]) -> usize {
    (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
}

/// The mean over all sequences and positions at which there is a value.
fn mean(batch: &Batch, value: impl Fn(usize, Sequence<'_>, usize) -> Option<f64>) -> Option<f64> {
    let mut counter = Counter::default();
    for i in 0..batch.batch {
        for t in 0..batch.seq {
            value(i, Sequence::of(batch, i), t).into_iter().for_each(|v| counter.add(v));
        }
    }
    counter.mean()
}

fn share(hit: bool) -> f64 {
    f64::from(u8::from(hit))
}

#[test]
fn metrics_are_their_definitions() -> Outcome {
    let (batch, model) = (batch(60, 40, 8), model(40));
    let (graph, made) = (record(&model, 40).unwrap(), Made::new(&batch));
    let heads = (Head::of_layer(0, 0), Head::of_layer(1, 0));
    let mut metrics = paper::simplified(Select::All);
    metrics.extend(paper::induction_unwritten(&heads.0, &heads.1));
    metrics.extend(head_scores("h", &heads.1));
    metrics.push(paper::full().pop().ok_or("avg_outs")?);
    let evaluation = Evaluation::new(metrics, &graph, 0)?;
    let rows = evaluation.rows(&batch);
    let pass = evaluation.pass(&batch, &rows);
    let all: Vec<u32> = (0..40).collect();
    (0..60).for_each(|i| pass.observe(i, &made.reads(&evaluation, &graph, i, &all)));
    let found = pass.finish()?;

    let loss = |i: usize, s: Sequence<'_>, t: usize| {
        let logits = made.logits(i, t);
        -softmax(logits)[s.y[t] as usize].ln()
    };
    let right = |i, s: Sequence<'_>, t| share(made.predicted(i, t) == s.y[t] as usize);
    let a1 = |i, t| made.attended(0, i, t);
    let a2 = |i, t| made.attended(1, i, t);
    let weights = |i: usize, t: usize| &made.patterns[1][(i * 40 + t) * (40 + PAD)..][..t + 1];
    let seen = |s: Sequence<'_>, t: usize| s.x[..t].contains(&s.x[t]);
    let check = |name: &str, value: &dyn Fn(usize, Sequence<'_>, usize) -> Option<f64>| {
        let (found, expected) = (found.get(name), mean(&batch, value));
        let close = found.zip(expected).is_some_and(|(f, e)| (f - e).abs() < 1e-12);
        assert!(close, "{name}: {found:?}, expected {expected:?}");
    };
    check("loss", &|i, s, t| Some(loss(i, s, t)));
    check("loss_bigram", &|i, s, t| (s.marks[t] == 0).then(|| loss(i, s, t)));
    check("loss_head", &|i, s, t| (s.marks[t] >= 2).then(|| loss(i, s, t)));
    check("acc_tot", &|i, s, t| (s.marks[t] >= 1).then(|| right(i, s, t)));
    check("acc_start", &|i, s, t| (s.marks[t] >= 1 && t < 10).then(|| right(i, s, t)));
    check("acc_end", &|i, s, t| (s.marks[t] >= 2).then(|| right(i, s, t)));
    check("score_acc", &|i, s, t| (t < 39 && s.marks[t] >= 1).then(|| share(a1(i, t + 1) == t)));
    check("score_start_acc", &|i, s, t| (t < 39 && s.marks[t] == 1).then(|| share(a1(i, t + 1) == t)));
    let behind = |i, s: Sequence<'_>, t| a2(i, t) >= 1 && s.x[a2(i, t) - 1] == s.x[t];
    check("score2_acc", &|i, s, t| (s.marks[t] >= 2).then(|| share(behind(i, s, t))));
    check("score_cond_acc", &|i, s, t| {
        let a = a2(i, t);
        (s.marks[t] >= 2 && a >= 1).then(|| share(a1(i, a) == a - 1))
    });
    let predicted = |i, s: Sequence<'_>, t| s.x[a2(i, t)] as usize == made.predicted(i, t);
    check("pred_attended_acc", &|i, s, t| (s.marks[t] >= 2).then(|| share(predicted(i, s, t))));
    check("repeat_frac", &|_, s, t| (s.marks[t] >= 1).then(|| share(s.x[t] == s.y[t])));
    check("avg_outs", &|_, s, t| Some(share(s.marks[t] == 1)));
    check("score2_next_acc", &|i, s, t| (s.marks[t] >= 2).then(|| share(s.x[a2(i, t)] == s.y[t])));
    let again = |s: Sequence<'_>, t: usize| s.marks[t] >= 2 && s.x[t] == s.y[t];
    check("score_repeat_acc", &|i, s, t| again(s, t).then(|| share(s.x[a1(i, t)] == s.y[t])));
    check("score2_repeat_acc", &|i, s, t| again(s, t).then(|| share(s.x[a2(i, t)] == s.y[t])));
    check("h_previous", &|i, _, t| (t > 0).then(|| share(a2(i, t) == t - 1)));
    check("h_previous_weight", &|i, _, t| (t > 0).then(|| weights(i, t)[t - 1]));
    check("h_induction", &|i, s, t| seen(s, t).then(|| share(behind(i, s, t))));
    let same = |i, s: Sequence<'_>, t| a2(i, t) < t && s.x[a2(i, t)] == s.x[t];
    check("h_duplicate", &|i, s, t| seen(s, t).then(|| share(same(i, s, t))));
    check("h_duplicate_weight", &|i, s, t| {
        let keys = (0..t).filter(|j| s.x[*j] == s.x[t]);
        seen(s, t).then(|| keys.map(|j| weights(i, t)[j]).sum())
    });
    Ok(())
}

/// Runs the metrics with heads put in the model's place.
fn measure(model: &Small, edits: Edits, metrics: Vec<Metric>, batch: &Batch) -> Result<Measurements, Error> {
    let graph = record_with(model, batch.seq, &edits)?;
    let evaluation = Evaluation::new(metrics, &graph, 1)?;
    let request = Request { reads: evaluation.reads().to_vec(), ..Request::loss(RowSet::Set(0)) };
    let params = Params::of(model);
    let mut engine = CpuEngine::<f32>::new(&graph, &request, &|id| params.trains(id), 2)?;
    let mut rows = vec![Select::marks(2..).rows(batch)]; // the loss's own
    rows.extend(evaluation.rows(batch));
    let pass = evaluation.pass(batch, &rows);
    let loss = engine.run(&params, batch, &rows, &|i, reads| pass.observe(i, reads))?;
    let record = pass.finish()?;
    let measured = record.get("loss").expect("measured");
    assert!((loss - measured).abs() < 1e-5 * loss, "the step's loss {loss} is the metric {measured}");
    Ok(record)
}

#[test]
fn heads_of_a_known_kind_are_told_by_their_scores() -> Outcome {
    let (batch, model) = (batch(5, 48, 3), model(48));
    let site = |layer: usize| Head::of_layer(layer, 0).site;
    let edits = Edits::default().with(site(0), Edit::PreviousToken).with(site(1), Edit::Induction);
    let mut metrics = paper::simplified(Select::marks(2..));
    metrics.extend(head_scores("l0", &Head::of_layer(0, 0)));
    metrics.extend(head_scores("l1", &Head::of_layer(1, 0)));
    let found = measure(&model, edits, metrics, &batch)?;
    let ones = ["score_acc", "score_start_acc", "score2_acc", "score_cond_acc"];
    let scores = ["l0_previous", "l0_previous_weight", "l1_induction", "l1_induction_weight"];
    for name in ones.into_iter().chain(scores) {
        assert_eq!(found.get(name), Some(1.0), "{name}");
    }
    assert!(found.get("l0_induction") < Some(0.5) && found.get("l1_previous") < Some(0.5));
    Ok(())
}

#[test]
fn merged_counters_of_two_batches_are_those_of_one() -> Outcome {
    let (whole, model) = (batch(6, 40, 8), model(40));
    let (graph, made) = (record(&model, 40).unwrap(), Made::new(&whole));
    let evaluation = Evaluation::new(paper::simplified(Select::marks(2..)), &graph, 0)?;
    let all: Vec<u32> = (0..40).collect();
    let part = |range: std::ops::Range<usize>| -> Result<Vec<Counter>, Error> {
        let n = range.len();
        let cut = |v: &[u32]| v[range.start * 40..range.end * 40].to_vec();
        let marks = whole.marks[range.start * 40..range.end * 40].to_vec();
        let batch = Batch { x: cut(&whole.x), y: cut(&whole.y), marks, batch: n, seq: 40 };
        let rows = evaluation.rows(&batch);
        let pass = evaluation.pass(&batch, &rows);
        (0..n).for_each(|i| pass.observe(i, &made.reads(&evaluation, &graph, range.start + i, &all)));
        pass.counters()
    };
    let (mut sum, second, one) = (part(0..2)?, part(2..6)?, part(0..6)?);
    sum.iter_mut().zip(second).for_each(|(a, b)| a.merge(b));
    for ((merged, one), metric) in sum.iter().zip(&one).zip(evaluation.metrics()) {
        assert_eq!(merged.n, one.n, "{metric}");
        assert!((merged.sum - one.sum).abs() < 1e-9, "{metric}");
    }
    assert_eq!(evaluation.record(&one).entries().len(), 12);
    Ok(())
}

#[test]
fn what_the_engine_did_not_show_is_an_error() -> Outcome {
    let (mut batch, model) = (batch(2, 40, 8), model(40));
    let (graph, made) = (record(&model, 40).unwrap(), Made::new(&batch));
    let evaluation = Evaluation::new([Metric::accuracy("a").over(Select::marks(1..))], &graph, 0)?;
    let rows = evaluation.rows(&batch);
    let (all, wanted): (Vec<u32>, _) = ((0..40).collect(), rows[0].sequence(0));
    let told = |batch: &Batch, shown: &[u32]| {
        let pass = evaluation.pass(batch, &rows);
        (0..2).for_each(|i| pass.observe(i, &made.reads(&evaluation, &graph, i, shown)));
        pass.finish().map_err(|e| e.to_string())
    };
    assert!(told(&batch, &all).is_ok(), "more than asked for is fine");
    let but_one: Vec<u32> = all.iter().copied().filter(|t| *t != wanted[1]).collect();
    let message =
        format!("metrics: position {} of sequence 0 was not shown; expected all that they read", wanted[1]);
    assert_eq!(told(&batch, &but_one), Err(message));
    let message = "metrics: sequence 0 was not shown; expected all that they read";
    assert_eq!(evaluation.pass(&batch, &rows).finish().unwrap_err().to_string(), message);
    let pass = evaluation.pass(&batch, &[]);
    (0..2).for_each(|i| pass.observe(i, &made.reads(&evaluation, &graph, i, &all)));
    assert_eq!(
        pass.finish().unwrap_err().to_string(),
        "metrics: no positions of set 0; expected all that they read"
    );
    batch.y[45] = 65;
    assert_eq!(
        told(&batch, &all),
        Err("sequence 1: token 65 of the model's vocabulary, which has tokens 0 to 64".into())
    );
    Ok(())
}

#[test]
fn metrics_of_the_data_alone_need_no_activations() -> Outcome {
    let (batch, model) = (batch(3, 40, 8), model(40));
    let evaluation =
        Evaluation::new([Metric::share("second", Select::marks(2..=2))], &record(&model, 40).unwrap(), 0)?;
    assert!(evaluation.reads().is_empty());
    let share = batch.marks.iter().filter(|mark| **mark == 2).count() as f64 / 120.0;
    assert_eq!(evaluation.pass(&batch, &[]).finish()?.get("second"), Some(share));
    Ok(())
}

/// Weights by name.
struct Weights(Vec<(&'static str, Matrix)>);

impl StateDict for Weights {
    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.to_string()).collect()
    }

    fn find(&self, name: &str) -> Option<Matrix> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, matrix)| matrix.clone())
    }
}

fn random(rows: usize, cols: usize, rng: &mut NumpyRng) -> Matrix {
    Matrix::new(rows, cols, (0..rows * cols).map(|_| rng.random() - 0.5).collect()).expect("a matrix")
}

fn weights() -> Weights {
    let mut rng = NumpyRng::new(&[1]);
    Weights(vec![
        ("table", random(300, 6, &mut rng)),
        ("w", random(4, 6, &mut rng)),
        ("keys", random(310, 4, &mut rng)),
    ])
}

#[test]
fn a_recall_of_many_inputs_is_its_definition() -> Outcome {
    let weights = weights();
    let [table, w, keys] = ["table", "w", "keys"].map(|name| weights.matrix(name).expect("there"));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut hits = 0.0;
    for i in 0..300 {
        let mapped: Vec<f64> = (0..4).map(|o| dot(table.row(i), w.row(o)).max(0.0)).collect();
        let kept = [0.0, 0.0, mapped[2], mapped[3]];
        let scores: Vec<f64> = (0..300).map(|j| dot(&kept, keys.row(j))).collect();
        hits += share(first_largest(&scores) == (i * i) % 300);
    }
    assert!(hits > 0.0, "some hits by chance");
    let inputs = Circuit::rows("table").through("w").through_if_present("absent").relu().head(1, 2);
    assert_eq!(inputs.to_string(), "table -> w -> absent? -> relu -> head(1/2)");
    let association = Association::of((0..300).map(|i| (i, (i * i) % 300)), 0..300)?;
    let found =
        Recall::new("squares", inputs, association).against(Circuit::rows("keys")).evaluate(&weights)?;
    assert_eq!((found.counter, found.chance), (Counter { sum: hits, n: 300 }, Some(1.0 / 300.0)));
    Ok(())
}

/// `-x`.
#[derive(Debug)]
struct Negation;

impl Map for Negation {
    fn apply(&self, rows: &Matrix) -> Result<Matrix, Error> {
        Matrix::new(rows.rows(), rows.cols(), rows.values().iter().map(|x| -x).collect())
    }
}

#[test]
fn recalls_tell_what_does_not_fit() -> Outcome {
    let weights = weights();
    let told = |recall: Recall| recall.evaluate(&weights).unwrap_err().to_string();
    let recall = |path: Circuit, n: usize| Recall::new("r", path, Association::identity(n));
    let path = || Circuit::rows("table");
    assert_eq!(
        told(recall(path().through("W1"), 3)),
        "recall 'r', table -> W1: no weight 'W1'; did you mean 'w'?"
    );
    assert_eq!(
        told(recall(path().through("keys"), 3)),
        "recall 'r', table -> keys: keys: expected shape [310, 6], found [310, 4]"
    );
    assert_eq!(
        told(recall(path().head(2, 2), 3)),
        "recall 'r', table -> head(2/2): head: head 2 of 2 in rows of width 6; expected one of the heads, which divide the width"
    );
    let unfit = told(recall(path(), 3).against(Circuit::rows("keys")));
    assert_eq!(unfit, "recall 'r', keys keys: expected shape [310, 6], found [310, 4]");
    assert_eq!(
        told(recall(path().through("w"), 301).against(Circuit::rows("keys"))),
        "recall 'r', table -> w: row 300 of a matrix, which has rows 0 to 299"
    );
    assert_eq!(
        told(recall(path().through("w"), 5)),
        "recall 'r', table -> w: candidate 4 of an unembedding, which has candidates 0 to 3"
    );
    let twice = recall(path().through_map(Negation).through_map(Negation), 3).against(path());
    assert_eq!(twice.evaluate(&weights)?, recall(path(), 3).against(path()).evaluate(&weights)?);
    Ok(())
}

#[test]
fn selections_and_keys_of_one_s_own() {
    let sequence = Sequence { x: &[4, 5, 4, 6], y: &[5, 4, 6, 6], marks: &[-1, 0, 1, 2] };
    let chosen = |s: Select| (0..4).filter(|t| s.holds(&sequence, *t)).collect::<Vec<_>>();
    assert_eq!(chosen(Select::by("even", |_, t| t % 2 == 0) | Select::last(1)), [0, 2, 3]);
    assert_eq!(chosen(!Select::marks(..0) & Select::first(3)), [1, 2]);
    assert_eq!(chosen(Select::seen_before()), [2]);
    assert_eq!(chosen(!!Select::repeats()), [3]);
    assert_eq!(chosen(Select::last(9) & Select::All), [0, 1, 2, 3]);
    assert_eq!(chosen(Select::marks(1..).after()), [3]);
    assert_eq!((!Select::marks(1..3).after()).to_string(), "not (after (marks 1 to 2))");
    let key = Key::by("two back", |_, q, j| j + 2 == q);
    let metric = Metric::attention("m", &Head::of_layer(0, 1), key).through(&Head::of_layer(1, 0));
    assert_eq!(
        metric.to_string(),
        "m: weight of layers.0.attention.pattern[1] on two back where layers.1.attention.pattern[0] looks \
         over all positions"
    );
}

#[test]
fn the_weight_on_keys_of_a_kind_is_the_sum_over_such_keys() -> Outcome {
    let (batch, model) = (batch(4, 40, 8), model(40));
    let (graph, made) = (record(&model, 40).unwrap(), Made::new(&batch));
    let head = Head::of_layer(0, 0);
    let predicted = |s: &Sequence<'_>, q: usize| {
        let i = (0..4).find(|i| std::ptr::eq(Sequence::of(&batch, *i).x, s.x)).expect("a sequence");
        made.predicted(i, q) as u32
    };
    type Rule<'a> = &'a dyn Fn(&Sequence<'_>, usize, usize) -> bool;
    let kinds: [(Key, Rule<'_>); 8] = [
        (Key::Previous, &|_, q, j| j + 1 == q),
        (Key::Itself, &|_, q, j| j == q),
        (Key::First, &|_, _, j| j == 0),
        (Key::SameToken, &|s, q, j| j < q && s.x[j] == s.x[q]),
        (Key::AfterSameToken, &|s, q, j| j > 0 && s.x[j - 1] == s.x[q]),
        (Key::NextToken, &|s, q, j| s.x[j] == s.y[q]),
        (Key::PredictedToken, &|s, q, j| s.x[j] == predicted(s, q)),
        (Key::by("two back", |_, q, j| j + 2 == q), &|_, q, j| j + 2 == q),
    ];
    let metrics = kinds.iter().map(|(key, _)| Metric::attention(key.to_string(), &head, key.clone()));
    let evaluation = Evaluation::new(metrics, &graph, 0)?;
    let rows = evaluation.rows(&batch);
    let pass = evaluation.pass(&batch, &rows);
    let all: Vec<u32> = (0..40).collect();
    (0..4).for_each(|i| pass.observe(i, &made.reads(&evaluation, &graph, i, &all)));
    let found = pass.finish()?;
    for (key, is) in kinds {
        let expected = mean(&batch, |i, s, q| {
            let row = &made.patterns[0][(i * 40 + q) * (40 + PAD)..];
            let counts = q > 0 || !matches!(key, Key::Previous);
            counts.then(|| (0..=q).filter(|j| is(&s, q, *j)).map(|j| row[j]).sum())
        });
        let close = found.get(&key.to_string()).zip(expected).is_some_and(|(f, e)| (f - e).abs() < 1e-9);
        assert!(close, "{key}: {:?}, expected {expected:?}", found.get(&key.to_string()));
    }
    Ok(())
}

#[test]
fn ff1_loss_of_a_true_tie_is_that_of_the_frozen_tie_with_the_same_embeddings() -> Outcome {
    let dim = 12;
    let tied = |freeze_output| {
        let args =
            SimplifiedArgs { tie_output: true, freeze_output, final_ffn: true, ..SimplifiedArgs::defaults() };
        Simplified::new(65, &SimplifiedArgs { max_length: 40, dim, ..args.clone() })
            .map(|model| model.init(3))
    };
    let (own, shared) = (tied(true)?, tied(false)?);
    assert_eq!(shared.matrix("output.weight")?, shared.matrix("tok_embeddings.weight")?);
    let data = BigramData::tiny_shakespeare();
    let bigrams = Matrix::from_rows(data.vocab(), data.cond_rows())?;
    let found = |model: &Small, scale: f64| {
        let probes = paper::recalls_unembedded(model, bigrams.clone(), Some(&[1, 2]), scale)?;
        measure_weights(&probes, model)
    };
    let (expected, scaled) = (found(&own, 1.0)?, found(&shared, 1.0 / (dim as f64).sqrt())?);
    let unscaled = found(&shared, 1.0)?;
    for name in ["wk0_acc", "wk0_64_acc", "wk1_acc", "wo1_acc"] {
        assert!(expected.get(name).is_some(), "{name}");
        assert_eq!(
            (scaled.get(name), unscaled.get(name)),
            (expected.get(name), expected.get(name)),
            "{name}"
        );
    }
    let loss = |record: &Measurements| record.get("ff1_loss").ok_or("ff1_loss");
    // the frozen output is rounded to single precision
    assert!((loss(&scaled)? - loss(&expected)?).abs() < 1e-5, "{scaled:?}, expected {expected:?}");
    assert!((loss(&unscaled)? - loss(&expected)?).abs() > 0.1, "{unscaled:?}");
    Ok(())
}

/// One row, whatever it is given.
#[derive(Debug)]
struct Flattened;

impl Map for Flattened {
    fn apply(&self, rows: &Matrix) -> ihead::Result<Matrix> {
        Matrix::new(1, rows.cols(), vec![0.0; rows.cols()])
    }
}

#[test]
fn a_map_of_ones_own_that_loses_rows_is_refused() {
    let circuit = Circuit::rows("tok_embeddings").through_map(Flattened).through("output");
    let error = circuit.apply(&model(8)).unwrap_err().to_string();
    assert_eq!(error, "map Flattened: 1 rows made of 65; expected a row for each");
}

#[test]
fn a_divergence_is_from_distributions_alone() -> Outcome {
    let to = |p: [f64; 2]| {
        let rows = (0..65).flat_map(|_| [p[0]].into_iter().chain([p[1]; 64])).collect();
        let path = Circuit::rows("tok_embeddings").through("output");
        Ok::<_, Error>(Divergence::new("kl", path, Matrix::new(65, 65, rows)?))
    };
    assert!(to([1.0, 0.0])?.evaluate(&model(8))?.mean().is_some_and(|kl| kl > 0.0));
    for (p, found) in [
        ([f64::NAN, 0.0], "NaN for token 0"),
        ([2.0, -1.0 / 64.0], "-0.015625 for token 1"),
        ([3.0, 0.0], "numbers whose sum is 3"),
    ] {
        let error = to(p)?.evaluate(&model(8)).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("row 0 of the distributions of 'kl': {found}; expected")),
            "{error}"
        );
    }
    Ok(())
}
