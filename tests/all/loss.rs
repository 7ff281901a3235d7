//! Losses as values: sums of terms, penalties of sites and weights, distributions instead of next tokens.
use std::sync::Arc;

use ihead::config::Config;
use ihead::data::{BatchOptions, Batches, BigramData, NumpyRng, Task, TriggerOptions, TriggerTask, sample};
use ihead::engine::Penalty;
use ihead::model::{Transformer, TransformerArgs};
use ihead::nn::ModuleExt;
use ihead::probe::{BigramTable, Matrix, Select, TaskDistribution, Uniform, Unigram, Unit};
use ihead::run::{Inspect, Run, gradients};
use ihead::train::Loss;

type Model = Transformer<usize, usize, usize>;

fn task() -> Arc<TriggerTask> {
    let options = TriggerOptions { k: 2, seq_length: 12, ..Default::default() };
    Arc::new(TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options).unwrap())
}

fn model() -> Model {
    let args = TransformerArgs { layers: 1, dim: 8, max_length: 12, ..TransformerArgs::defaults() };
    Transformer::new(65, &args).unwrap().init(2)
}

fn batch() -> ihead::data::Batch {
    sample(&*task(), &mut NumpyRng::new(&[3]), 6).unwrap()
}

fn loss_of(model: &Model, loss: &Loss) -> f64 {
    gradients(model, &batch(), loss).unwrap().loss
}

#[test]
fn a_sum_is_the_weighted_sum_of_its_terms_and_of_their_gradients() {
    let (model, batch) = (model(), batch());
    let next = Loss::next_token().over(Select::marks(1..));
    let all = Loss::next_token().named("all");
    let weights = Loss::penalty(Penalty::L2, "layers.*.attention.w?.weight");
    let error = gradients(&model, &batch, &weights).unwrap_err().to_string();
    assert!(error.starts_with("no site or weight 'layers.*.attention.w?.weight'"), "{error}");

    let weights = Loss::penalty(Penalty::L2, "layers.*.attention.*.weight");
    let hidden = Loss::penalty(Penalty::L1, "layers.0.ff.hidden");
    let parts = [(next, 1.0), (all, 0.5), (weights, 0.01), (hidden, 0.2)];
    let sum = parts.iter().fold(None, |sum: Option<Loss>, (loss, by)| {
        let term = loss.clone().weighted(*by);
        Some(match sum {
            None => term,
            Some(sum) => sum + term,
        })
    });
    let found = gradients(&model, &batch, &sum.unwrap()).unwrap();
    let each = parts.map(|(loss, by)| (gradients(&model, &batch, &loss).unwrap(), by));
    let expected: f64 = each.iter().map(|(of, by)| of.loss * by).sum();
    assert!((found.loss - expected).abs() < 1e-6, "{} {expected}", found.loss);
    for (name, gradient) in &found.by_name {
        for (i, value) in gradient.values.iter().enumerate() {
            let expected: f64 = each.iter().map(|(of, by)| by * f64::from(of.by_name[name].values[i])).sum();
            assert!((f64::from(*value) - expected).abs() < 1e-6, "{name}[{i}]: {value}, {expected}");
        }
    }
}

#[test]
fn a_penalty_of_weights_is_the_sum_of_their_squares() {
    let model = model();
    let wk = model.tensor("layers.0.attention.wk.weight").unwrap().values();
    let squares: f64 = wk.iter().map(|w| f64::from(*w).powi(2)).sum();
    let loss = Loss::penalty(Penalty::L2, "layers.0.attention.wk.weight");
    assert!((loss_of(&model, &loss) - squares).abs() < 1e-9);
    let found = gradients(&model, &batch(), &loss).unwrap();
    for (gradient, w) in found.of("layers.0.attention.wk.weight").unwrap().values.iter().zip(&wk) {
        assert!((gradient - 2.0 * w).abs() < 1e-6);
    }
    // what the penalty does not name has a gradient of zero
    assert!(found.of("output.weight").unwrap().values.iter().all(|g| *g == 0.0));
}

#[test]
fn against_the_uniform_distribution_is_the_mean_of_all_losses() {
    let model = model();
    let batch = batch();
    let logits = ihead::run::activations(&model, &batch, "logits").unwrap();
    let rows = logits.values.chunks(65).map(|row| {
        let total: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
        row.iter().map(|x| total.ln() - f64::from(*x)).sum::<f64>() / 65.0
    });
    let (n, expected) = (logits.values.len() / 65, rows.sum::<f64>());
    assert!((loss_of(&model, &Loss::against(Uniform)) - expected / n as f64).abs() < 1e-5);
}

/// The token behind the last one, or else any.
struct Counting;

impl Task for Counting {
    fn vocab(&self) -> usize {
        65
    }

    fn seq_length(&self) -> usize {
        12
    }

    fn sequence(&self, rng: &mut NumpyRng, tokens: &mut [u32], _: &mut [i32]) {
        tokens[0] = rng.below(65);
        for t in 1..tokens.len() {
            tokens[t] = if rng.random() < 0.7 { (tokens[t - 1] + 1) % 65 } else { rng.below(65) };
        }
    }

    fn predict(&self, prefix: &[u32], distribution: &mut [f64]) -> bool {
        let Some(last) = prefix.last() else { return false };
        distribution.fill(0.3 / 65.0);
        distribution[(*last as usize + 1) % 65] += 0.7;
        true
    }
}

/// The expected next-token loss is the loss against the task's own distribution: over many draws they meet.
#[test]
fn against_the_tasks_distribution_is_the_population_loss() {
    let model = model();
    let many = sample(&Counting, &mut NumpyRng::new(&[5]), 4000).unwrap();
    let of = |loss: &Loss| Inspect::new(&model).gradients(&many, loss).unwrap().loss;
    let (drawn, expected) =
        (of(&Loss::next_token()), of(&Loss::against(TaskDistribution(Arc::new(Counting)))));
    assert!((drawn - expected).abs() < 0.02, "{drawn} {expected}");
}

#[test]
fn a_run_records_each_term_under_its_name() {
    let batches = Batches::new(task(), BatchOptions { batch_size: 4, seed: 0, workers: 1 }).unwrap();
    let loss = Loss::next_token() + Loss::penalty(Penalty::L2, "output.weight").weighted(0.1).named("decay");
    let mut run = Run::new(model(), batches).loss(loss).every(1);
    let history = run.train(3).unwrap();
    for i in 0..3 {
        let at = |name: &str| history.at(name, i).unwrap();
        let sum = at("loss_next_token") + 0.1 * at("loss_decay");
        assert!((at("loss") - sum).abs() < 1e-5, "{} {sum}", at("loss"));
    }
    assert!(history.last("loss_decay").unwrap() < history.at("loss_decay", 0).unwrap());
}

#[test]
fn what_a_loss_cannot_be_of_is_said_before_the_first_step() {
    let error = |loss: Loss| gradients(&model(), &batch(), &loss).unwrap_err().to_string();
    assert_eq!(
        error(Loss::penalty(Penalty::L1, "layers.0.ff.hiden")),
        "no site or weight 'layers.0.ff.hiden'; did you mean 'layers.0.ff.hidden'?"
    );
    assert_eq!(
        error(Loss::penalty(Penalty::L1, "layers.0.attention.pattern")),
        "penalty: the pattern 'layers.0.attention.pattern'; expected a stream or weights"
    );
    assert_eq!(
        error(Loss::next_token() + Loss::next_token()),
        "two terms of the loss are named 'next_token'; name one with `.named(..)`"
    );
    assert_eq!(
        error(Loss::next_token().weighted(f64::NAN)),
        "the loss's weight of 'next_token': NaN; expected a finite number"
    );
    assert_eq!(
        error(Loss::against(BigramTable(Matrix::new(1, 65, vec![1.0 / 65.0; 65]).unwrap()))),
        "the loss's term 'against': a table of bigrams: expected shape [65, 65], found [1, 65]"
    );
    assert_eq!(
        error(Loss::against(Unigram { alpha: -1.0 })),
        "the loss's term 'against': the unigrams so far: alpha: -1; expected a number from 0 to 1e15"
    );
    assert_eq!(
        error(Loss::penalty(Penalty::L2, "output.weight").over(Select::first(2))),
        "penalty: positions of the weights 'output.weight', which have none; expected no `over`, or a stream"
    );
}

/// A penalty is not counted in nats: a figure would draw it beside the losses.
#[test]
fn the_unit_of_a_penalty_is_its_own() {
    let loss = Loss::next_token() + Loss::penalty(Penalty::L2, "output.weight").weighted(0.1).named("decay");
    let history = crate::run::run().loss(loss).every(1).train(1).unwrap();
    let unit = |name: &str| history.unit(name);
    assert_eq!(unit("loss"), Some(Unit::Nats));
    assert_eq!(unit("loss_next_token"), Some(Unit::Nats));
    assert_eq!(unit("loss_decay"), Some(Unit::Penalty));
}
