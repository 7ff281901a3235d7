//! Numbers of the user's own: from logits, from values at a site, from weights, and against a token of the user's choice.
use std::fs;

use ihead::config::Config;
use ihead::data::Batch;
use ihead::graph::record;
use ihead::model::{Full, FullArgs};
use ihead::probe::attribution::{Against, metrics, terms};
use ihead::probe::{Evaluation, Measurements, Metric, Select, StateDict, Unit, WeightProbe, measure_weights};
use ihead::run::{Inspect, activations, measure};
use serde_json::Value;

use crate::common::maths::softmax;
use crate::run::{model, run, test_batch};

fn measured(metrics: Vec<Metric>) -> Measurements {
    measure(&model(), metrics, &test_batch()).unwrap()
}

fn same(found: &Measurements, a: &str, b: &str) {
    let [x, y] = [a, b].map(|name| found.get(name).unwrap());
    assert!((x - y).abs() < 1e-6 * (1.0 + y.abs()), "{a} {x}, {b} {y}");
}

#[test]
fn numbers_of_one_s_own_are_those_of_the_library_where_they_say_the_same() {
    let late = || Select::marks(1..) | Select::last(4);
    let found = measured(vec![
        Metric::probability("probability").over(late()),
        Metric::by("own", Unit::Share, |sequence, t, logits| Some(softmax(logits)[sequence.y[t] as usize]))
            .over(late()),
        Metric::norm("norm", "layers.1.resid").over(late()),
        Metric::by_site("own_norm", "layers.1.resid", Unit::Norm, |_, _, values| {
            assert_eq!(values.len(), 8);
            Some(values.iter().map(|v| v * v).sum::<f64>().sqrt())
        })
        .over(late()),
    ]);
    same(&found, "own", "probability");
    same(&found, "own_norm", "norm");
    assert_eq!(
        found.entries().iter().map(|e| e.unit).collect::<Vec<_>>(),
        [Unit::Share, Unit::Share, Unit::Norm, Unit::Norm]
    );
}

/// Positions without a number are left out, NaN is not.
#[test]
fn a_rule_may_have_no_number() {
    let at = |name: &str, number: fn(usize) -> Option<f64>| {
        Metric::by(name, Unit::Number, move |_, t, _| number(t))
    };
    let found = measured(vec![
        at("early", |t| (t < 3).then_some(t as f64)),
        at("never", |_| None),
        at("nan", |t| Some(if t == 5 { f64::NAN } else { 1.0 })),
    ]);
    assert_eq!(found.get("early"), Some(1.0));
    assert_eq!(found.get("never"), None);
    assert!(found.get("nan").unwrap().is_nan());
    assert_eq!(serde_json::to_value(&found).unwrap()["nan"], Value::Null);
}

#[test]
fn a_stream_is_read_with_all_its_heads_and_under_edits() {
    let (model, batch) = (model(), test_batch());
    let sum = |site: &str| {
        Metric::by_site("sum", site, Unit::Number, |_, _, values| Some(values.iter().sum::<f64>()))
    };
    let values = activations(&model, &batch, "layers.0.attention.v").unwrap();
    let expected = values.values.iter().map(|v| f64::from(*v)).sum::<f64>() / (8 * 16) as f64;
    let found = measured(vec![sum("layers.0.attention.v")]).get("sum").unwrap();
    assert!((found - expected).abs() < 1e-5 && found != 0.0, "{found}, expected {expected}");

    let ablated = Inspect::new(&model).edits("layers.0.attention.v=ablate".parse().unwrap());
    assert_eq!(ablated.measure([sum("layers.0.attention.v")], &batch).unwrap().get("sum"), Some(0.0));

    let told = |site: &str| measure(&model, [sum(site)], &batch).unwrap_err().to_string();
    assert_eq!(told("layers.1.resdi"), "no site 'layers.1.resdi'; did you mean 'layers.1.resid'?");
}

/// The entropy of a head's attention could not be measured during a run.
#[test]
fn a_head_of_a_pattern_is_read_up_to_the_query() {
    let model = Full::new(65, &FullArgs { max_length: 16, dim: 8, n_heads: 2, ..FullArgs::defaults() });
    let (model, batch) = (model.unwrap().init(3), test_batch());
    let entropy = |weights: &[f64]| weights.iter().filter(|w| **w > 0.0).map(|w| -w * w.ln()).sum::<f64>();
    let of = |site: &str| {
        Metric::by_site("entropy", site, Unit::Nats, move |_, t, weights| {
            assert_eq!(weights.len(), t + 1);
            Some(entropy(weights))
        })
        .over(Select::last(5))
    };
    let pattern = activations(&model, &batch, "layers.0.attention.pattern").unwrap();
    let rows: Vec<Vec<f64>> =
        pattern.values.chunks(16).map(|row| row.iter().map(|w| f64::from(*w)).collect()).collect();
    for head in 0..2 {
        let of_head = rows.chunks(16).skip(head).step_by(2);
        let late: Vec<f64> = of_head.flat_map(|rows| rows[11..].iter().map(|row| entropy(row))).collect();
        let expected = late.iter().sum::<f64>() / late.len() as f64;
        let found = measure(&model, [of(&format!("layers.0.attention.pattern[{head}]"))], &batch).unwrap();
        let found = found.get("entropy").unwrap();
        assert!((found - expected).abs() < 1e-5 && found > 0.1, "{found}, expected {expected}");
    }

    let clamped = Inspect::new(&model).edits("layers.0.attention.pattern[1]=previous_token".parse().unwrap());
    let found = clamped.measure([of("layers.0.attention.pattern[1]")], &batch).unwrap();
    assert_eq!(found.get("entropy"), Some(0.0));

    let told = |metric: Metric| measure(&model, [metric], &batch).unwrap_err().to_string();
    assert_eq!(
        told(of("layers.1.attention.pattern")),
        "site 'layers.1.attention.pattern': an attention pattern; expected one head of it, as 'layers.1.attention.pattern[0]'"
    );
    let beyond = told(of("layers.1.attention.pattern[2]"));
    assert_eq!(beyond, "head 2 of 'layers.1.attention.pattern', which has heads 0 to 1");
    let norm = told(Metric::norm("norm", "layers.1.attention.pattern[0]"));
    assert!(norm.contains("an attention pattern; expected a stream"), "{norm}");
}

#[test]
fn terms_against_a_token_of_each_position_add_up_to_the_difference_of_logits() {
    let (model, batch) = (model(), test_batch());
    // the token before is the wrong one
    let other = || Against::by("the token itself", |sequence, t| sequence.x[t]);
    let graph = record(&model, 16).unwrap();
    let mut all: Vec<Metric> = metrics("adds.", &graph, other()).collect();
    all.push(Metric::logit("difference", other()));
    all.push(Metric::by("own", Unit::Logits, |sequence, t, logits| {
        Some(logits[sequence.y[t] as usize] - logits[sequence.x[t] as usize])
    }));
    assert_eq!(
        all[0].to_string(),
        "adds.embedding: what embedding adds to the target's logit, minus that of the token itself over all positions"
    );
    let found = measure(&model, all, &batch).unwrap();
    same(&found, "difference", "own");
    let sum: f64 = terms(&graph).iter().map(|term| found.get(&format!("adds.{term}")).unwrap()).sum();
    assert!((sum - found.get("own").unwrap()).abs() < 1e-5);
}

/// A token that is none was a panic in the engine's threads, if anything.
#[test]
fn a_rule_s_token_must_be_of_the_vocabulary() {
    let metric = Metric::logit("margin", Against::by("my foil", |_, t| 60 + t as u32)).over(Select::first(6));
    let error = measure(&model(), [metric], &test_batch()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "metric 'margin': my foil: token 65 of the model's vocabulary, which has tokens 0 to 64"
    );
    // where it is not asked, it need not have one
    let early = Metric::logit("margin", Against::by("my foil", |_, t| 60 + t as u32)).over(Select::first(5));
    assert!(measure(&model(), [early], &test_batch()).is_ok());
}

#[test]
fn a_number_of_weights_is_recorded_beside_recalls_and_its_errors_name_it() {
    let wk = |weights: &dyn StateDict| Ok(Some(weights.matrix("layers.1.attention.wk")?.norm()));
    let probes = [
        WeightProbe::by("own", Unit::Norm, wk),
        WeightProbe::Norm { name: "norm".into(), weight: "layers.1.attention.wk.weight".into() },
        WeightProbe::by("none", Unit::Number, |_| Ok(None)),
    ];
    let found = measure_weights(&probes, &model()).unwrap();
    same(&found, "own", "norm");
    assert_eq!(found.get("none"), None);

    let wrong = WeightProbe::by("mine", Unit::Norm, |weights| {
        Ok(Some(weights.matrix("layers.1.attention.wz")?.norm()))
    });
    let error = measure_weights(&[wrong], &model()).unwrap_err().to_string();
    assert!(error.starts_with("probe 'mine': no weight 'layers.1.attention.wz'; did you mean"), "{error}");
}

/// In records, with their units, and again from stored weights.
#[test]
fn a_run_records_numbers_of_one_s_own() {
    let dir = tempfile::tempdir().unwrap();
    let with_own = |batch: &Batch| {
        let along = Metric::by_site("along", "layers.1.resid", Unit::Number, |_, _, values| Some(values[3]));
        let rank = WeightProbe::by("norm_wk", Unit::Norm, |weights| {
            Ok(Some(weights.matrix("layers.1.attention.wk")?.norm()))
        });
        run().on(batch, [along]).weights([rank])
    };
    let folder = dir.path().join("run");
    let mut first = with_own(&test_batch()).every(2).save_to(&folder);
    let history = first.train(4).unwrap();
    assert_eq!(history.unit("along"), Some(Unit::Number));
    let records = fs::read_to_string(folder.join("res.jsonl")).unwrap();
    let last: Value = serde_json::from_str(records.lines().last().unwrap()).unwrap();
    let values = activations(first.model(), &test_batch(), "layers.1.resid").unwrap().values;
    let mean = values.chunks(8).map(|row| f64::from(row[3])).sum::<f64>() / (values.len() / 8) as f64;
    assert!((last["along"].as_f64().unwrap() - mean).abs() < 1e-6);
    assert!(last["norm_wk"].as_f64().unwrap() > 0.0);
    let info: Value = serde_json::from_str(&fs::read_to_string(folder.join("run.json")).unwrap()).unwrap();
    assert_eq!(info["units"]["along"], "number");

    let again = with_own(&test_batch()).reprobe(&folder).unwrap();
    let along = again.last().unwrap().1.get("along").unwrap();
    assert!((along - mean).abs() < 1e-6, "{along}, expected {mean}");
}

#[test]
fn numbers_of_one_s_own_have_unique_names_and_fit_the_model_before_the_first_step() {
    let own = |name: &str| Metric::by(name, Unit::Number, |_, _, _| Some(0.0));
    let told = |run: ihead::run::Run<crate::run::Model>| {
        let mut run = run;
        run.train(1).unwrap_err().to_string()
    };
    let twice = told(run().on(&test_batch(), [own("a"), own("a")]));
    assert!(twice.contains("'a'"), "{twice}");
    let loss = told(run().on(&test_batch(), [own("loss")]));
    assert!(loss.contains("'loss'"), "{loss}");
    let site = Metric::by_site("a", "layers.7.resid", Unit::Number, |_, _, _| None);
    assert!(told(run().on(&test_batch(), [site])).contains("layers.7.resid"));
    let graph = record(&model(), 16).unwrap();
    assert!(Evaluation::new([own("a")], &graph, 0).is_ok());
    let error = Evaluation::new([Metric::top_k("top", 0)], &graph, 0).unwrap_err().to_string();
    assert_eq!(error, "k of metric 'top': 0; expected at least 1");
}

#[test]
fn one_head_of_a_site_is_named_as_in_an_edit() {
    let args = FullArgs { max_length: 16, dim: 8, n_heads: 2, ..FullArgs::defaults() };
    let (model, batch) = (Full::new(65, &args).unwrap().init(1), test_batch());
    let sum = |name: &str, site: &str| {
        Metric::by_site(name, site, Unit::Number, |_, _, values| Some(values.iter().sum::<f64>()))
    };
    let site = "layers.1.attention.mixed";
    let metrics = vec![
        sum("all", site),
        sum("first", "layers.1.attention.mixed[0]"),
        sum("second", "layers.1.attention.mixed[1]"),
        Metric::norm("norm", "layers.1.attention.mixed[1]"),
    ];
    let found = measure(&model, metrics.clone(), &batch).unwrap();
    let [all, first, second] = ["all", "first", "second"].map(|name| found.get(name).unwrap());
    assert!((first + second - all).abs() < 1e-6 && (first - second).abs() > 1e-4, "{first} {second} {all}");
    let ablated = Inspect::new(&model).edits("layers.1.attention.mixed[1]=ablate".parse().unwrap());
    let found = ablated.measure(metrics, &batch).unwrap();
    assert_eq!((found.get("second"), found.get("norm")), (Some(0.0), Some(0.0)));
    assert!((found.get("first").unwrap() - first).abs() < 1e-6);

    let told = |site: &str| measure(&model, [sum("a", site)], &batch).unwrap_err().to_string();
    assert_eq!(
        told("layers.1.attention.mixed[2]"),
        "head 2 of 'layers.1.attention.mixed', which has heads 0 to 1"
    );
    assert_eq!(
        told("layers.1.resid[0]"),
        "site 'layers.1.resid[0]': a stream without heads; expected a stream that `forward` names with its heads"
    );
    assert!(told("layers.1.attention.mixde[1]").ends_with("did you mean 'layers.1.attention.mixed'?"));
}
