//! Many runs as one table.

mod first;
mod found;
mod frame;
mod stats;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Number, Value, json};

use crate::run::Status;
use crate::{Error, Result, names};

pub use first::First;
pub use frame::Frame;
pub use stats::{Estimate, estimate};

use found::Found;
use frame::plain;

/// Which rows a table of runs has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rows {
    /// The last evaluation of each run.
    #[default]
    Last,
    /// Every evaluation.
    All,
}

/// What a table of runs holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Collect {
    /// Which evaluations become rows.
    pub rows: Rows,
    /// The measured numbers, by patterns with `*`; all of them if there are none.
    pub metrics: Vec<String>,
    /// Conditions whose first iteration becomes a column.
    pub first: Vec<First>,
    /// Settings over which numbers are averaged, like `seed`.
    pub over: Vec<String>,
    /// The confidence level of an interval, between 0 and 1.
    pub confidence: f64,
}

impl Default for Collect {
    fn default() -> Self {
        Self { rows: Rows::Last, metrics: vec![], first: vec![], over: vec![], confidence: 0.95 }
    }
}

/// A table of runs, and the runs that are incomplete.
#[derive(Clone, Debug, PartialEq)]
pub struct Collected {
    /// The table.
    pub table: Frame,
    /// The runs that did not reach their end or were never begun, each a line with the reason.
    pub incomplete: Vec<String>,
}

/// Gathers the runs in some folders and their subfolders in one table: the settings in which they differ, the state of each,
/// the iteration, what was measured, and the first iterations at which conditions hold. With [`Collect::over`] a row is a mean
/// over runs: their number, how many are missing, and for each number its mean, the count of runs that have it (a first
/// iteration is not reached by all), standard error and interval.
///
/// # Errors
/// If a folder has no runs, cannot be read, or holds what is not of a run; if no run has a number or setting that is asked for; if
/// `confidence` is not between 0 and 1. The message names the field of [`Collect`].
///
/// ```
/// use ihead::sweep::{Collect, collect};
///
/// let dir = tempfile::tempdir().unwrap();
/// for (seed, acc) in [(1, 0.5), (2, 0.7)] {
///     let run = dir.path().join(format!("seed={seed}"));
///     std::fs::create_dir(&run).unwrap();
///     std::fs::write(run.join("params.json"), format!("{{\"seed\": {seed}, \"dim\": 8}}")).unwrap();
///     std::fs::write(run.join("res.jsonl"), format!("{{\"iter\": 0, \"acc\": {acc}}}\n")).unwrap();
/// }
/// let options = Collect { over: vec!["seed".into()], ..Collect::default() };
/// let table = collect(&[dir.path()], &options)?.table;
/// assert_eq!(table.columns[..4], ["runs", "missing", "iter", "acc"]);
/// assert_eq!(table.rows[0][..3], [2, 0, 0].map(serde_json::Value::from));
/// assert!((table.rows[0][3].as_f64().unwrap() - 0.6).abs() < 1e-12);
/// # Ok::<(), ihead::Error>(())
/// ```
pub fn collect<P: AsRef<std::path::Path>>(dirs: &[P], options: &Collect) -> Result<Collected> {
    if !stats::is_level(options.confidence) {
        return Err(Error::value("confidence", options.confidence, "a number between 0 and 1"));
    }
    let mut runs: Vec<Found> = Vec::new();
    for dir in dirs.iter().map(AsRef::as_ref) {
        let found = found::find(dir)?;
        if found.is_empty() {
            return Err(Error::format(
                dir,
                "holds no run: expected res.jsonl or run.json in it or in a folder below",
            ));
        }
        runs.extend(found);
    }
    let mut seen = BTreeSet::<PathBuf>::new();
    runs.retain(|run| seen.insert(run.dir.canonicalize().unwrap_or_else(|_| run.dir.clone())));
    let differing = differing(&runs);
    let metrics = metrics(&runs, options)?;
    for key in &options.over {
        if !runs.iter().any(|run| run.settings.contains_key(key)) {
            let known: BTreeSet<&str> =
                runs.iter().flat_map(|run| run.settings.keys()).map(String::as_str).collect();
            return Err(unknown("over", "setting", key, &known.into_iter().collect::<Vec<_>>()));
        }
    }
    let table = table(&runs, &differing, &metrics, options);
    let table = if options.over.is_empty() { table } else { means(&table, &differing, &metrics, options) };
    let incomplete = runs.iter().filter(|run| !is_complete(run)).map(|run| {
        let why = match (status(run), &run.error) {
            (status, None) => status,
            (status, Some(error)) if error.starts_with(&status) => error.clone(),
            (status, Some(error)) => format!("{status}: {error}"),
        };
        format!("{}: {why}", run.dir.display())
    });
    Ok(Collected { incomplete: incomplete.collect(), table })
}

/// The error of an option that names what no run has: with the nearest of the `known` names, or all of them if none is near.
fn unknown(option: &str, kind: &'static str, name: &str, known: &[&str]) -> Error {
    if known.is_empty() || names::nearest(name, known.iter().copied()).is_some() {
        return Error::unknown(kind, name, known.iter().copied()).of_part(option);
    }
    let found = format!("no {kind} '{}'", crate::error::shown(name));
    Error::value(option, found, format!("one of {}", crate::error::shown(&known.join(", "))))
}

/// Whether all that a run is to measure is there; a folder of results alone is taken for whole.
fn is_complete(run: &Found) -> bool {
    match run.status {
        None => !run.records.is_empty(),
        status => status == Some(Status::Done),
    }
}

fn status(run: &Found) -> String {
    match run.status {
        Some(status) => status.to_string(),
        None if run.records.is_empty() => "missing".into(),
        None => "unknown".into(),
    }
}

/// The settings that are not the same in all runs. A run that has measured nothing may not have worked out all of them yet.
fn differing(runs: &[Found]) -> Vec<String> {
    let keys: BTreeSet<&String> = runs.iter().flat_map(|run| run.settings.keys()).collect();
    let differs = |key: &&&String| {
        let known = runs.iter().filter(|run| run.settings.contains_key(**key) || !run.records.is_empty());
        let mut values = known.map(|run| run.settings.get(**key));
        let first = values.next();
        values.any(|value| Some(value) != first)
    };
    keys.iter().filter(differs).map(|key| (*key).clone()).collect()
}

/// The measured numbers that are asked for, in the order of the records.
fn metrics(runs: &[Found], options: &Collect) -> Result<Vec<String>> {
    let mut known: Vec<&String> = Vec::new();
    for (_, object) in runs.iter().flat_map(|run| &run.records) {
        for name in object.keys().filter(|name| *name != "iter") {
            if known.last() != Some(&name) && !known.contains(&name) {
                known.push(name);
            }
        }
    }
    let unknown = |key, name: &str| {
        unknown(key, "measured number", name, &known.iter().map(|name| name.as_str()).collect::<Vec<_>>())
    };
    if let Some(first) = options.first.iter().find(|first| !known.contains(&&first.name)) {
        return Err(unknown("first", &first.name));
    }
    if options.metrics.is_empty() {
        return Ok(known.into_iter().cloned().collect());
    }
    let mut chosen = Vec::new();
    for pattern in &options.metrics {
        let found: Vec<String> =
            known.iter().filter(|name| names::matches(pattern, name)).map(|name| (*name).clone()).collect();
        if found.is_empty() {
            return Err(unknown("metrics", pattern));
        }
        chosen.extend(found.into_iter().filter(|name| !chosen.contains(name)).collect::<Vec<_>>());
    }
    Ok(chosen)
}

/// A row for each run, or for each of its evaluations; for a run without any, one without numbers.
fn table(runs: &[Found], differing: &[String], metrics: &[String], options: &Collect) -> Frame {
    let firsts: Vec<String> = options.first.iter().map(|first| format!("first {first}")).collect();
    let mut columns: Vec<String> = vec!["run".into(), "status".into()];
    columns.extend(differing.iter().cloned());
    columns.push("iter".into());
    columns.extend(metrics.iter().cloned());
    columns.extend(firsts);
    let mut rows = Vec::new();
    for run in runs {
        let evaluations: Vec<_> = match options.rows {
            Rows::Last => run.records.last().map(Some).into_iter().collect(),
            Rows::All => run.records.iter().map(Some).collect(),
        };
        let evaluations = if evaluations.is_empty() { vec![None] } else { evaluations };
        for evaluation in evaluations {
            let mut row: Vec<Value> = vec![run.dir.display().to_string().into(), status(run).into()];
            row.extend(differing.iter().map(|key| run.settings.get(key).cloned().unwrap_or(Value::Null)));
            row.push(evaluation.map_or(Value::Null, |(iteration, _)| json!(iteration)));
            row.extend(metrics.iter().map(|name| {
                evaluation.and_then(|(_, object)| object.get(name).cloned()).unwrap_or(Value::Null)
            }));
            row.extend(options.first.iter().map(|first| json!(first.at(&run.records))));
            rows.push(row);
        }
    }
    Frame { columns, rows }
}

/// Means of the rows that differ in nothing but the settings that are averaged over.
fn means(all: &Frame, differing: &[String], metrics: &[String], options: &Collect) -> Frame {
    let kept: Vec<&String> = differing.iter().filter(|key| !options.over.contains(key)).collect();
    let place = |name: &str| all.column(name).unwrap_or(0);
    let mut numbers: Vec<String> = metrics.to_vec();
    numbers.extend(options.first.iter().map(|first| format!("first {first}")));
    // groups in the order in which they are met; the iteration belongs to the group where every evaluation has a row
    let mut groups: Vec<Vec<&Vec<Value>>> = Vec::new();
    let mut places = BTreeMap::<String, usize>::new();
    for row in &all.rows {
        let mut key: Vec<String> = kept.iter().map(|key| row[place(key)].to_string()).collect();
        if options.rows == Rows::All {
            key.push(row[place("iter")].to_string());
        }
        let at = *places.entry(key.join("\u{1f}")).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[at].push(row);
    }
    let mut columns: Vec<String> = kept.iter().map(|key| (*key).clone()).collect();
    columns.extend(["runs", "missing", "iter"].map(String::from));
    for name in &numbers {
        let parts = ["", " n", " se", " low", " high"];
        columns.extend(parts.map(|part| format!("{name}{part}")));
    }
    let rows = groups.into_iter().map(|group| {
        let complete =
            |row: &&&Vec<Value>| matches!(plain(&row[place("status")]).as_str(), "done" | "unknown");
        let whole: Vec<&Vec<Value>> = group.iter().filter(complete).copied().collect();
        let mut row: Vec<Value> = kept.iter().map(|key| group[0][place(key)].clone()).collect();
        row.extend([json!(whole.len()), json!(group.len() - whole.len())]);
        row.push(whole.first().map_or(Value::Null, |first| first[place("iter")].clone()));
        // the last columns; a setting may have the name of a number
        for at in all.columns.len() - numbers.len()..all.columns.len() {
            let values: Vec<f64> = whole.iter().filter_map(|row| row[at].as_f64()).collect();
            match estimate(&values, options.confidence) {
                None => row.extend([Value::Null, json!(0), Value::Null, Value::Null, Value::Null]),
                Some(Estimate { count, mean, error, interval: [low, high] }) => {
                    row.extend([number(mean), json!(count)]);
                    row.extend([error, low, high].map(number));
                }
            }
        }
        row
    });
    Frame { rows: rows.collect(), columns }
}

/// A number, or null where it is none.
fn number(x: f64) -> Value {
    Number::from_f64(x).map_or(Value::Null, Value::Number)
}
