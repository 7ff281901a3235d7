//! What is compared: each quantity with its worst error and the tolerance.
use std::collections::BTreeMap;
use std::path::Path;

use ihead::Result;
use ihead::data::Batch;
use ihead::graph::{Model, record};
use ihead::nn::Values;
use ihead::paper::Experiment;
use ihead::run::activations;
use ihead::train::Step;
use serde_json::Value;

use super::case::{Case, Tensors, json_lines, tensors};

/// One comparison.
pub struct Check {
    pub quantity: &'static str,
    /// The worst error of all values, and where it is.
    pub worst: f64,
    pub place: String,
    pub tolerance: f64,
}

impl Check {
    pub fn passes(&self) -> bool {
        self.worst <= self.tolerance
    }
}

/// The worst error so far.
struct Worst {
    error: f64,
    place: String,
}

impl Worst {
    fn new() -> Worst {
        Worst { error: 0.0, place: String::new() }
    }

    /// Notes an error; NaN is worse than anything.
    fn note(&mut self, error: f64, place: impl Into<String>) {
        let error = if error.is_nan() { f64::INFINITY } else { error };
        if error > self.error {
            (self.error, self.place) = (error, place.into());
        }
    }

    fn check(self, quantity: &'static str, tolerance: f64) -> Check {
        Check { quantity, worst: self.error, place: self.place, tolerance }
    }
}

/// The largest difference over the largest expected entry; infinite if the sizes differ.
fn relative_to_largest(expected: &[f64], found: &[f32]) -> f64 {
    if expected.len() != found.len() {
        return f64::INFINITY;
    }
    let difference = |(e, f): (&f64, &f32)| (e - f64::from(*f)).abs();
    let differences = expected.iter().zip(found).map(difference);
    let worst = differences.fold(0.0, |m: f64, d| if d.is_nan() { f64::INFINITY } else { m.max(d) });
    let largest = expected.iter().fold(0.0_f64, |m, e| m.max(e.abs()));
    if largest == 0.0 { worst } else { worst / largest }
}

/// Repeats a case with the experiment of its program (whose files go to `dir`) and compares everything recorded.
pub fn check<M: Model>(case: &Case, experiment: Experiment<M>, dir: &Path) -> Result<Vec<Check>> {
    let batches = case.tensors("batches.safetensors")?;
    let step = case.tensors("step0.safetensors")?;
    let mut checks = vec![settings(case.params(), &experiment.params), data(&experiment, &batches)?];
    if let Some(batch) = Case::batch(&batches, "0") {
        checks.extend(forward(&experiment.model, &batch, &step)?);
    }

    let mut gradients: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    let mut losses = Vec::new();
    experiment.watch(&mut |step: &Step<'_, M>| {
        losses.push(step.loss);
        if step.iteration == 0 {
            let of = |(name, g): &(String, Values)| (name.clone(), g.single().into_owned());
            gradients = step.gradients.iter().map(of).collect();
        }
        Ok(())
    })?;
    checks.push(first_gradients(&step, &gradients));
    checks.extend(rows(&case.trace()?, &json_lines(&dir.join("res.jsonl"))?, &losses));
    let (expected, initial) = (case.tensors("final.safetensors")?, case.tensors("init.safetensors")?);
    checks.extend(weights(&expected, &initial, &tensors(&dir.join("final.safetensors"))?));
    Ok(checks)
}

/// The number of recorded settings that `params.json` lacks or has otherwise; the folder is our own.
fn settings(recorded: &Value, params: &str) -> Check {
    let ours = serde_json::from_str(params).unwrap_or(Value::Null);
    let (mut wrong, mut place) = (0.0, String::new());
    let mut compare = |key: String, expected: &Value, found: Option<&Value>| {
        let same = match (expected.as_f64(), found.and_then(Value::as_f64)) {
            (Some(a), Some(b)) => a == b,
            _ => Some(expected) == found,
        };
        if !same && key != "save_dir" {
            (wrong, place) = (wrong + 1.0, key);
        }
    };
    for (key, value) in recorded.as_object().into_iter().flatten() {
        match value {
            Value::Object(section) => section.iter().for_each(|(name, v)| {
                compare(format!("{key}.{name}"), v, ours.get(key).and_then(|s| s.get(name)))
            }),
            _ => compare(key.clone(), value, ours.get(key)),
        }
    }
    Check { quantity: "settings", worst: wrong, place, tolerance: 0.0 }
}

/// The number of recorded batches that differ.
fn data<M>(experiment: &Experiment<M>, recorded: &Tensors) -> Result<Check> {
    let (mut wrong, mut place) = (0.0, String::new());
    let mut compare = |suffix: String, expected: &Batch, found: &Batch| {
        if expected != found {
            (wrong, place) = (wrong + 1.0, format!("batch {suffix}"));
        }
    };
    let mut batches = experiment.batches.clone();
    for i in 0.. {
        let Some(expected) = Case::batch(recorded, &i.to_string()) else { break };
        compare(i.to_string(), &expected, &batches.next_batch()?);
    }
    if let Some(expected) = Case::batch(recorded, "test") {
        compare("test".into(), &expected, &experiment.test_batch);
    }
    Ok(Check { quantity: "data streams", worst: wrong, place, tolerance: 0.0 })
}

/// Logits, patterns and residual streams of the first batch.
fn forward<M: Model>(model: &M, batch: &Batch, step: &Tensors) -> Result<Vec<Check>> {
    let graph = record(model, batch.seq)?;
    let (mut logits, mut patterns, mut residuals) = (Worst::new(), Worst::new(), Worst::new());
    for (name, expected) in step {
        let (site, worst) = match name.rsplit_once('_').map(|(kind, layer)| (kind, layer.parse::<usize>())) {
            Some(("attn_scores", Ok(layer))) => (format!("layers.{layer}.attention.pattern"), &mut patterns),
            Some(("resid", Ok(layer))) => (format!("layers.{layer}.resid"), &mut residuals),
            _ if name == "logits" => ("logits".into(), &mut logits),
            _ => continue,
        };
        let site = graph.site(&site).map_or("final.resid", |_| &site);
        let found = activations(model, batch, site)?;
        worst.note(relative_to_largest(&expected.values, &found.values), name);
    }
    let checks = [("logits", logits), ("patterns", patterns), ("residual streams", residuals)];
    Ok(checks.into_iter().map(|(quantity, worst)| worst.check(quantity, 1e-4)).collect())
}

/// Gradients of the first step: the recorded ones, no fewer and no more.
fn first_gradients(step: &Tensors, found: &BTreeMap<String, Vec<f32>>) -> Check {
    let mut worst = Worst::new();
    for (name, expected) in step.iter().filter_map(|(n, t)| Some((n.strip_prefix("grad.")?, t))) {
        let found = found.get(name);
        worst.note(found.map_or(f64::INFINITY, |f| relative_to_largest(&expected.values, f)), name);
    }
    for name in found.keys().filter(|name| !step.contains_key(&format!("grad.{name}"))) {
        worst.note(f64::INFINITY, format!("{name}, which has none"));
    }
    worst.check("gradients of step 0", 1e-4)
}

/// Losses and norms of every row, and the share of accuracies that differ.
fn rows(expected: &[Value], found: &[Value], losses: &[f64]) -> Vec<Check> {
    let (mut loss, mut norm) = (Worst::new(), Worst::new());
    let (mut accuracies, mut different, mut place) = (0, 0, String::new());
    // without triggers there are no records, only the losses
    let only_losses: Vec<Value> =
        losses.iter().enumerate().map(|(i, loss)| serde_json::json!({"iter": i, "loss": loss})).collect();
    let found = if found.is_empty() { &only_losses } else { found };
    for row in expected {
        let at = &row["iter"];
        let Some(ours) = found.iter().find(|r| r["iter"] == *at) else {
            loss.note(f64::INFINITY, format!("row {at}"));
            continue;
        };
        for (key, value) in row.as_object().into_iter().flatten().filter(|(key, _)| *key != "iter") {
            let here = || format!("{key}, row {at}");
            let error = match (value.as_f64(), ours.get(key).map(Value::as_f64)) {
                (Some(a), Some(Some(b))) if a == b => 0.0,
                (Some(a), Some(Some(b))) => (a - b).abs() / a.abs().max(f64::from(f32::MIN_POSITIVE)),
                (None, Some(None)) => 0.0,
                _ => f64::INFINITY,
            };
            if key.starts_with("norm_") || key.starts_with("gradnorm_") {
                norm.note(error, here());
            } else if key.contains("loss") {
                loss.note(error, here());
            } else {
                accuracies += 1;
                if error > 1e-9 {
                    (different, place) = (different + 1, here());
                }
            }
        }
    }
    let worst = f64::from(different) / f64::from(accuracies.max(1));
    let mut checks = vec![loss.check("losses", 1e-3), norm.check("norms", 1e-3)];
    checks.push(Check { quantity: "accuracies that differ", worst, place, tolerance: 0.01 });
    checks
}

/// Final weights, and the number of tensors that should have been left alone and were not.
fn weights(expected: &Tensors, initial: &Tensors, found: &Tensors) -> Vec<Check> {
    let (mut worst, mut touched) = (Worst::new(), Worst::new());
    for (name, expected) in expected {
        let Some(found) = found.get(name).filter(|f| f.shape == expected.shape) else {
            worst.note(f64::INFINITY, name);
            continue;
        };
        let single: Vec<f32> = found.values.iter().map(|v| *v as f32).collect();
        worst.note(relative_to_largest(&expected.values, &single), name);
        if let Some(initial) = initial.get(name).filter(|initial| initial.values == expected.values) {
            let bits = |t: &[f64]| t.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            touched.note(f64::from(bits(&initial.values) != bits(&found.values)), name);
        }
    }
    vec![worst.check("final weights", 2e-3), touched.check("untouched tensors", 0.0)]
}
