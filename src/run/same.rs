//! What may change when a run is continued, and what may not.
use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::config::by_key;
use crate::{Error, Result};

use super::identity;

/// Settings of the programs that may change: where and how long a run goes, what is shown, when it is measured.
const FREE: [&str; 17] = [
    "threads",
    "eval_delta",
    "log",
    "log_norms",
    "log_probes",
    "tensorboard",
    "report",
    "figures",
    "checkpoint_every",
    "on_divergence",
    "save_dir",
    "root_dir",
    "resume",
    "overwrite",
    "reprobe",
    "run.threads",
    "run.schedule",
];

/// How a program may call the number of its steps, which may change as well.
pub(crate) const STEPS: [&str; 3] = ["max_iters", "steps", "iterations"];

/// What the model computes, a line a node, in what the run is made of.
pub(super) const GRAPH: &str = "graph";

/// A checksum of the first batch that the task draws, in what the run is made of.
pub(super) const FIRST_BATCH: &str = "first_batch";

/// What the loss is for the first sequences, in what the run is made of.
pub(super) const LOSS: &str = "first_loss";

/// The parameters that train at its beginning, in what the run is made of.
pub(super) const TRAINS: &str = "trains";

/// What is compared in a way of its own.
const PARTS: [&str; 4] = [GRAPH, FIRST_BATCH, LOSS, TRAINS];

/// Refuses to continue a run of other settings: each that differs is named, with what it was and what it is.
///
/// # Errors
/// If one differs that may not.
pub(super) fn check(dir: &Path, was: &Value, is: &Value) -> Result<()> {
    let part = |key: &str| [was, is].map(|run| run.get("run").and_then(|run| run.get(key)));
    let [graphs, batches, losses, trains] = PARTS.map(part);
    let [was, is] = [was, is].map(|run| flat(&without_parts(run)));
    let keys: std::collections::BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let changed = keys.into_iter().filter(|key| !may_change(key) && was.get(*key) != is.get(*key));
    let shown = |value: Option<&Value>| value.map_or("nothing".into(), Value::to_string);
    let mut changed: Vec<String> =
        changed.map(|key| format!("{key} was {}, is {}", shown(was.get(key)), shown(is.get(key)))).collect();
    if let [Some(was), Some(is)] = graphs
        && let Some((was, is)) = first_difference(was, is)
    {
        changed.push(format!("run.model was '{was}', is '{is}'"));
    }
    if let [Some(was), Some(is)] = trains
        && was != is
        && changed.is_empty()
    {
        changed.push(format!("run.trains was {was}, is {is}"));
    }
    // where another setting is known to differ, that is why
    if let [Some(was), Some(is)] = batches
        && was != is
        && changed.is_empty()
    {
        changed.push("run.task draws other sequences than it did".into());
    }
    if let [Some(was), Some(is)] = losses
        && changed.is_empty()
    {
        changed.extend(other_terms(was, is));
    }
    if changed.is_empty() {
        return Ok(());
    }
    // what the program was asked for says it; what the run was made of by that says it again
    if changed.iter().any(|line| !line.starts_with("run.")) {
        changed.retain(|line| !line.starts_with("run."));
    }
    let found = format!("holds a run with other settings ({})", changed.join("; "));
    let mend =
        "to continue it, give the same ones; threads, the number of steps and what is logged may change";
    Err(Error::folder(dir, found, mend))
}

/// The same but for what is compared in a way of its own.
fn without_parts(run: &Value) -> Value {
    let mut run = run.clone();
    if let Some(made_of) = run.get_mut("run").and_then(Value::as_object_mut) {
        PARTS.iter().for_each(|key| drop(made_of.remove(*key)));
    }
    run
}

/// Terms of the loss that differ though the weights and the sequences are the same.
fn other_terms(was: &Value, is: &Value) -> Vec<String> {
    let terms = |value: &Value| value.get("terms").and_then(Value::as_object).cloned().unwrap_or_default();
    if was.get("weights") != is.get("weights") {
        return Vec::new();
    }
    let (was, is) = (terms(was), terms(is));
    let other = was.iter().filter_map(|(name, was)| Some((name, was, is.get(name)?)));
    other
        .filter(|(_, was, is)| !identity::is_same(was, is))
        .map(|(name, was, is)| {
            format!(
                "run.loss: '{name}' of the first sequences with the initial weights was {was}, is {is}: an operation, a mask, a \
                 predictor or a selection of the program is another"
            )
        })
        .collect()
}

fn may_change(key: &str) -> bool {
    FREE.contains(&key) || STEPS.contains(&key)
}

/// The values that are not null, by dotted key.
fn flat(value: &Value) -> BTreeMap<String, Value> {
    by_key(value).into_iter().filter(|(_, value)| !value.is_null()).collect()
}

/// The first lines at which two lists of lines differ; a list that ends says so.
fn first_difference<'a>(was: &'a Value, is: &'a Value) -> Option<(&'a str, &'a str)> {
    let lines = |list: &'a Value| list.as_array().map_or(&[][..], Vec::as_slice);
    let (was, is) = (lines(was), lines(is));
    let line = |list: &'a [Value], i: usize| list.get(i).and_then(Value::as_str).unwrap_or("nothing");
    let i = (0..was.len().max(is.len())).find(|i| was.get(*i) != is.get(*i))?;
    Some((line(was, i), line(is, i)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::check;

    #[test]
    fn what_may_change_is_passed_over_and_the_rest_is_named() {
        let was =
            json!({ "threads": 1, "optim_args": { "learning_rate": 0.2 }, "run": { "optim": "sgd(0.2)" } });
        let mut is = was.clone();
        is["threads"] = 8.into();
        assert!(check(Path::new("r"), &was, &is).is_ok());
        is["optim_args"]["learning_rate"] = 0.1.into();
        is["run"]["optim"] = "sgd(0.1)".into();
        let error = check(Path::new("r"), &was, &is).unwrap_err().to_string();
        let named = "r holds a run with other settings (optim_args.learning_rate was 0.2, is 0.1";
        assert!(error.starts_with(named), "{error}");
    }

    #[test]
    fn a_task_that_draws_other_sequences_is_noticed_if_nothing_else_says_why() {
        let of = |batch: u32, optim: &str| json!({ "run": { "optim": optim, "first_batch": batch } });
        let refused = |is| check(Path::new("r"), &of(1, "sgd"), &is).unwrap_err().to_string();
        assert!(refused(of(2, "sgd")).contains("(run.task draws other sequences than it did)"));
        assert!(refused(of(2, "adamw")).contains("(run.optim was \"sgd\", is \"adamw\")"));
        assert!(check(Path::new("r"), &of(1, "sgd"), &of(1, "sgd")).is_ok());
    }

    #[test]
    fn another_model_is_named_by_the_first_line_that_differs() {
        let of = |lines: &[&str]| json!({ "run": { "optim": "sgd(0.2)", "graph": lines } });
        let (was, longer) = (of(&["n0 = a", "n1 = softmax"]), of(&["n0 = a", "n1 = softmax", "n2 = c"]));
        let refused = |is| check(Path::new("r"), &was, &is).unwrap_err().to_string();
        let error = refused(of(&["n0 = a", "n1 = linear"]));
        assert!(error.contains("(run.model was 'n1 = softmax', is 'n1 = linear')"), "{error}");
        assert!(refused(longer).contains("run.model was 'nothing', is 'n2 = c'"));
        assert!(check(Path::new("r"), &was, &was).is_ok());
        // a run of a version that did not keep it
        assert!(check(Path::new("r"), &json!({ "run": { "optim": "sgd(0.2)" } }), &was).is_ok());
    }
}
