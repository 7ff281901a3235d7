//! Figures of runs and sweeps: what was recorded, over iterations or over a setting.
//!
//! The input is a [`Frame`], the table that [`ihead::sweep::collect`] makes of runs: settings that differ, then `iter`,
//! then the measured numbers. Settings become panels beside each other or lines; seeds become a mean with a band.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ihead::internals::names;
use ihead::probe::Unit;
use ihead::run::RunInfo;
use ihead::sweep::{Collect, Frame, Rows, collect};
use ihead::train::{Stretch, Timeline};
use ihead::{Error, Result};
use serde_json::Value;

use crate::Figure;
use crate::panel::{Curves, Panel, Series, Span, Spread};

/// The panels below each other of a figure like those of the paper: accuracies, then recalls.
pub const PAPER: [&str; 2] = ["acc_end,acc_end_test", "wo1_acc,wk1_acc,wk0_64_acc"];

/// What a band over runs shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Band {
    /// From the lowest to the highest run.
    #[default]
    Range,
    /// One standard error of the mean to each side.
    Error,
    /// The interval that holds the mean with a probability of 0.95, by Student's t.
    Interval,
}

/// What is drawn of a table of runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// The column of the horizontal axis; the iteration without it.
    pub x: Option<String>,
    /// The numbers of each row of panels, by names with `*`, with commas between those of one panel; a row for each unit
    /// without any, but for the norms of parameters and of their gradients that a run logs.
    pub y: Vec<String>,
    /// The settings whose values have panels of their own, beside each other.
    pub panels: Vec<String>,
    /// The settings to average over; `seed` without any.
    pub over: Vec<String>,
    /// What a band shows.
    pub band: Band,
    /// A logarithmic horizontal axis.
    pub log_x: bool,
    /// A logarithmic vertical axis; a row of shares of which one is 0 stays linear.
    pub log_y: bool,
    /// The range of all vertical axes, the lower end first; without it that of the data, and from 0 to 1 for shares on a linear axis.
    pub y_range: Option<(f64, f64)>,
}

impl Chart {
    fn check(&self) -> Result<()> {
        let Some((low, high)) = self.y_range else { return Ok(()) };
        if !(low.is_finite() && high.is_finite() && low < high) {
            let expected = "two finite numbers, the lower one first";
            return Err(Error::value("y_range", format!("[{low}, {high}]"), expected));
        }
        if self.log_y && low <= 0.0 {
            let found = format!("[{low}, {high}] on a logarithmic axis");
            return Err(Error::value("y_range", found, "two numbers above 0"));
        }
        Ok(())
    }
}

/// A table of runs, with what belongs to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The table.
    pub frame: Frame,
    /// What numbers are counted in.
    pub units: BTreeMap<String, Unit>,
    /// What changed on the way, by the run's folder.
    pub spans: BTreeMap<String, Vec<Span>>,
    /// Runs that did not reach their end, each a line.
    pub incomplete: Vec<String>,
}

impl Table {
    /// The evaluations of the runs in some folders; the last one of each run if `last`.
    ///
    /// # Errors
    /// Those of [`collect`].
    pub fn of_runs(dirs: &[PathBuf], last: bool) -> Result<Table> {
        let rows = if last { Rows::Last } else { Rows::All };
        let collected = collect(dirs, &Collect { rows, ..Collect::default() })?;
        let mut table =
            Table { frame: collected.table, incomplete: collected.incomplete, ..Table::default() };
        if let Some(at) = column(&table.frame, "run") {
            for row in &table.frame.rows {
                let Value::String(dir) = &row[at] else { continue };
                if table.spans.contains_key(dir) {
                    continue;
                }
                let info = RunInfo::read(Path::new(dir)).ok();
                let timeline = info.as_ref().and_then(|info| info.made_of.get("timeline")?.as_str());
                table.spans.insert(dir.clone(), spans(timeline.unwrap_or("")));
                table.units.extend(info.into_iter().flat_map(|info| info.units));
            }
        }
        Ok(table)
    }

    /// A table that the program `collect` has written: CSV with a row of names, or a JSON object a line. `name` says in
    /// errors what it is.
    ///
    /// # Errors
    /// If it is neither.
    pub fn read(name: &str, text: &str) -> Result<Table> {
        let frame = if text.trim_start().starts_with('{') { jsonl(name, text)? } else { csv(name, text)? };
        if frame.rows.is_empty() {
            return Err(Error::format(
                name,
                "a table without rows; expected what collect writes with format=csv or format=jsonl",
            ));
        }
        let iteration = column(&frame, "iter").unwrap_or(frame.columns.len());
        for (row, cells) in (1..).zip(&frame.rows) {
            // what is measured is a number; an empty cell is none
            let text = cells.iter().enumerate().skip(iteration).find(|(_, cell)| cell.is_string());
            if let Some((at, text)) = text {
                let place = format!("row {row}, column '{}'", frame.columns[at]);
                return Err(Error::format(name, format!("{place}: {text}; expected a number")));
            }
        }
        let incomplete = incomplete(&frame);
        Ok(Table { frame, incomplete, ..Table::default() })
    }
}

/// The runs of a collected table that did not reach their end, and the means of which runs are missing, each a line.
fn incomplete(frame: &Frame) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut say = |line: String| {
        if !lines.contains(&line) {
            lines.push(line);
        }
    };
    for row in &frame.rows {
        let cell = |name: &str| column(frame, name).map(|at| text_of(&row[at]));
        if let (Some(run), Some(status)) = (cell("run"), cell("status"))
            && !["done", "unknown", "-"].contains(&status.as_str())
        {
            say(format!("{run}: {status}"));
        }
        let count = |name: &str| column(frame, name).and_then(|at| row[at].as_f64());
        if let (Some(at), Some(runs), Some(missing)) =
            (column(frame, "runs"), count("runs"), count("missing"))
            && missing > 0.0
        {
            let of = label(&frame.columns[..at], &row[..at]);
            let of = if of.is_empty() { of } else { format!("{of}: ") };
            say(format!("{of}{missing} of {} runs missing", runs + missing));
        }
    }
    lines
}

fn csv(name: &str, text: &str) -> Result<Frame> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let wrong = |error: csv::Error| Error::format(name, format!("not CSV: {error}"));
    let columns = reader.headers().map_err(wrong)?.iter().map(String::from).collect();
    let cell = |text: &str| match text.parse::<f64>() {
        _ if text.is_empty() => Value::Null,
        Ok(number) => serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number),
        Err(_) => Value::String(text.into()),
    };
    let rows = reader.records().map(|record| Ok(record.map_err(wrong)?.iter().map(cell).collect()));
    Ok(Frame { columns, rows: rows.collect::<Result<_>>()? })
}

fn jsonl(name: &str, text: &str) -> Result<Frame> {
    let mut frame = Frame::default();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let object = match serde_json::from_str(line) {
            Ok(Value::Object(object)) => object,
            _ => return Err(Error::format(name, format!("line {number}: expected a JSON object"))),
        };
        for key in object.keys() {
            if !frame.columns.contains(key) {
                frame.columns.push(key.clone());
            }
        }
        frame
            .rows
            .push(frame.columns.iter().map(|key| object.get(key).cloned().unwrap_or(Value::Null)).collect());
    }
    let columns = frame.columns.len();
    frame.rows.iter_mut().for_each(|row| row.resize(columns, Value::Null));
    Ok(frame)
}

fn column(frame: &Frame, name: &str) -> Option<usize> {
    frame.columns.iter().position(|column| column == name)
}

/// The stretches of a timeline's text in which something is frozen, and the moments of other changes; learning rates and
/// snapshots are left out, and what happens more than once.
pub fn spans(timeline: &str) -> Vec<Span> {
    let stretches = timeline.parse::<Timeline>().map(|timeline| timeline.stretches()).unwrap_or_default();
    let span = |stretch: Stretch| {
        let argument = |verb: &str| stretch.what.strip_prefix(verb)?.strip_prefix('(')?.strip_suffix(')');
        let label = match (argument("freeze"), argument("release")) {
            (Some(pattern), _) => format!("{} frozen", short(pattern)),
            (_, Some(pattern)) => format!("{} released", short(pattern)),
            _ if stretch.what == "snapshot" || stretch.to != stretch.from => return None,
            _ => stretch.what,
        };
        Some(Span { from: stretch.from? as f64, to: stretch.to.map(|to| to as f64), label })
    };
    stretches.into_iter().filter_map(span).collect()
}

/// A parameter's name without what every name has.
fn short(pattern: &str) -> String {
    pattern.trim_end_matches(".weight").replace(".attention.", ".").replace("layers.", "layer ")
}

/// What a number is counted in: as recorded, or for a table of old runs as its name says.
fn unit(units: &BTreeMap<String, Unit>, name: &str) -> Option<Unit> {
    units.get(name).copied().or_else(|| match name {
        _ if name.starts_with("first ") => Some(Unit::Count),
        _ if name.contains("norm_") => Some(Unit::Norm),
        _ if name.contains("loss") || name.contains("kl") => Some(Unit::Nats),
        _ if name.contains("acc") => Some(Unit::Share),
        _ => None,
    })
}

fn unit_text(unit: Option<Unit>) -> &'static str {
    match unit {
        Some(Unit::Nats) => "nats",
        Some(Unit::Share) => "share",
        Some(Unit::Logits) => "logits",
        Some(Unit::Norm) => "Euclidean norm",
        Some(Unit::Seconds) => "seconds",
        Some(Unit::Count) => "count",
        Some(Unit::Penalty) => "penalty",
        Some(Unit::Number) => "number",
        _ => "",
    }
}

/// A setting's values, one after the other.
type Key = Vec<Value>;

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "''".into(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.as_f64().map_or(number.to_string(), number_text),
        Value::Null => "-".into(),
        other => other.to_string(),
    }
}

/// A number in few characters: `0.01`, `1e-8`, `1e30`. (The texts of settings keep all digits, as they are read again.)
fn number_text(x: f64) -> String {
    let is_long = x != 0.0 && !(1e-4..1e7).contains(&x.abs());
    if is_long { format!("{x:e}") } else { format!("{x}") }
}

fn label(settings: &[String], key: &[Value]) -> String {
    let name = |setting: &str| setting.rsplit('.').next().unwrap_or(setting).to_string();
    let parts =
        settings.iter().zip(key).map(|(setting, value)| format!("{} = {}", name(setting), text_of(value)));
    parts.collect::<Vec<_>>().join(", ")
}

/// Whether the runs of a table differ in these columns.
fn are_told_apart(frame: &Frame, settings: &[usize]) -> bool {
    let Some(run) = column(frame, "run") else { return true };
    let mut found: Vec<(Key, &Value)> = Vec::new();
    frame.rows.iter().all(|row| {
        let key: Key = settings.iter().map(|at| row[*at].clone()).collect();
        match found.iter().find(|(known, _)| *known == key) {
            Some((_, known)) => **known == row[run],
            None => {
                found.push((key, &row[run]));
                true
            }
        }
    })
}

/// Numbers by size, everything else as it comes.
fn in_order(mut keys: Vec<Key>) -> Vec<Key> {
    if keys.iter().flatten().all(Value::is_number) {
        let numbers = |key: &Key| key.iter().filter_map(Value::as_f64).collect::<Vec<_>>();
        keys.sort_by(|a, b| numbers(a).partial_cmp(&numbers(b)).unwrap_or(std::cmp::Ordering::Equal));
    }
    keys
}

/// A figure of a table of runs.
///
/// # Errors
/// If a column that is asked for is not there: the nearest name is in the message; or if the range of the vertical axis is none.
pub fn chart(table: &Table, options: &Chart) -> Result<Figure> {
    options.check()?;
    let frame = &table.frame;
    let known = || frame.columns.iter().map(String::as_str);
    let place = |key: &str, kind: &'static str, name: &str| {
        let unknown = || match Error::unknown(kind, name, known()) {
            Error::Unknown { nearest: None, .. } => {
                let columns = known().collect::<Vec<_>>().join(", ");
                Error::config(key, format!("no {kind} '{name}'; expected one of {columns}"))
            }
            near => near.of_part(key),
        };
        column(frame, name).ok_or_else(unknown)
    };
    let iteration = place("the table", "column", "iter")?;
    let x_name = options.x.clone().unwrap_or_else(|| "iter".into());
    let x_at = place("x", "column", &x_name)?;

    if !frame.rows.iter().any(|row| row[x_at].is_number()) {
        if options.x.is_none() {
            return Err(Error::usage("no run has recorded an evaluation, so there is nothing to draw"));
        }
        return Err(Error::value("x", format!("{x_name}, where no run has a number"), "a column of numbers"));
    }

    let own = ["run", "status", "runs", "missing"];
    let settings: Vec<String> =
        frame.columns[..iteration].iter().filter(|name| !own.contains(&name.as_str())).cloned().collect();
    let over: Vec<String> = if options.over.is_empty() { vec!["seed".into()] } else { options.over.clone() };
    for (key, names) in [("over", &options.over), ("panels", &options.panels)] {
        if let Some(name) = names.iter().find(|name| !settings.contains(name)) {
            let expected = match &settings[..] {
                [] => "a table in which runs differ; in this one they differ in none".into(),
                known => format!("one in which they differ: {}", known.join(", ")),
            };
            return Err(Error::value(key, format!("no setting '{name}' in which the runs differ"), expected));
        }
    }
    let parts = [" n", " se", " low", " high"];
    let part_of = |name: &str| {
        parts.iter().any(|part| name.strip_suffix(part).is_some_and(|whole| column(frame, whole).is_some()))
    };
    let measured: Vec<String> =
        frame.columns[iteration + 1..].iter().filter(|name| !part_of(name)).cloned().collect();
    let rows = metrics(&measured, table, options)?;

    let rest = |but: &[String]| -> Vec<String> {
        settings
            .iter()
            .filter(|name| **name != x_name && !over.contains(name) && !but.contains(name))
            .cloned()
            .collect()
    };
    let several = rows.iter().any(|row| row.len() > 1);
    let beside = if options.panels.is_empty() && several { rest(&[]) } else { options.panels.clone() };
    let places = |names: &[String]| names.iter().filter_map(|name| column(frame, name)).collect::<Vec<_>>();
    let key = |row: &[Value], at: &[usize]| at.iter().map(|i| row[*i].clone()).collect::<Key>();
    let beside_at = places(&beside);
    // what a panel has one value of does not tell its lines apart
    let panels_of: Vec<String> = frame.rows.iter().map(|row| label(&beside, &key(row, &beside_at))).collect();
    let differs = |name: &String| {
        let Some(at) = column(frame, name) else { return false };
        let mut found: BTreeMap<&str, &Value> = BTreeMap::new();
        let mut rows = frame.rows.iter().zip(&panels_of);
        rows.any(|(row, panel)| **found.entry(panel).or_insert(&row[at]) != row[at])
    };
    let mut lines: Vec<String> = rest(&beside).into_iter().filter(differs).collect();
    // runs that no setting tells apart are not means of each other
    if !are_told_apart(frame, &places(&settings)) {
        lines.push("run".into());
    }
    let lines_at = places(&lines);
    let distinct = |at: &[usize]| {
        let mut keys: Vec<Key> = Vec::new();
        for row in &frame.rows {
            let key = key(row, at);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        in_order(keys)
    };
    let (columns, line_keys) = (distinct(&beside_at), distinct(&lines_at));

    let x_label = if x_name == "iter" { "iteration".to_string() } else { x_name.clone() };
    let mut panels: Vec<Panel> = Vec::new();
    for (r, metrics) in rows.iter().enumerate() {
        let units: Vec<Option<Unit>> = metrics.iter().map(|name| unit(&table.units, name)).collect();
        let shared = units
            .windows(2)
            .all(|pair| pair[0] == pair[1])
            .then(|| units.first().copied().flatten())
            .flatten();
        let y_label = y_label(metrics, shared);
        let is_share = shared == Some(Unit::Share);
        // shares below 0 say that there was nothing to count
        let log_y = options.log_y && (!is_share || all(frame, metrics, |share| share != 0.0));
        let whole = is_share && !log_y && all(frame, metrics, |share| share <= 1.0);
        let y_range = options.y_range.or(whole.then_some((0.0, 1.0)));
        for panel_key in &columns {
            let chosen: Vec<&Vec<Value>> =
                frame.rows.iter().filter(|row| key(row, &beside_at) == *panel_key).collect();
            let mut panel = Curves {
                title: if r == 0 { label(&beside, panel_key) } else { String::new() },
                log_x: options.log_x,
                log_y,
                y_range,
                spans: if x_name == "iter" { spans_of(table, &chosen) } else { vec![] },
                ..Curves::new(x_label.clone(), y_label.clone())
            };
            for (metric, unit) in metrics.iter().zip(&units) {
                let y_at = place("y", "measured number", metric)?;
                for line_key in &line_keys {
                    let of_line: Vec<&Vec<Value>> =
                        chosen.iter().filter(|row| key(row, &lines_at) == *line_key).copied().collect();
                    let of_settings = label(&lines, line_key);
                    let name = match (metrics.len() > 1, of_settings.is_empty()) {
                        (true, true) => metric.clone(),
                        (true, false) => format!("{metric}, {of_settings}"),
                        (false, _) => of_settings,
                    };
                    let valid =
                        |value: f64| value.is_finite() && !(*unit == Some(Unit::Share) && value < 0.0);
                    let line = series(name, &of_line, x_at, y_at, frame, options.band, valid);
                    // the paper's programs write -1 for a divergence of a part that the model lacks
                    let lacks = *unit == Some(Unit::Nats) && line.points.iter().all(|(_, y)| *y == -1.0);
                    if !lacks && !line.points.is_empty() {
                        panel.series.push(line);
                    }
                }
            }
            panels.push(panel.into());
        }
    }
    let many = columns.len() > 1;
    let columns = columns.len().max(1);
    let figure = Figure::new(panels).columns(columns).width(if many { 170.0 } else { 85.0 });
    Ok(figure)
}

/// The numbers of each row of panels.
fn metrics(measured: &[String], table: &Table, options: &Chart) -> Result<Vec<Vec<String>>> {
    if options.y.is_empty() {
        let mut rows: Vec<(Unit, Vec<String>)> = Vec::new();
        for name in measured {
            if names::is_logged_norm(name, |other| measured.iter().any(|name| name == other)) {
                continue;
            }
            let Some(unit) = unit(&table.units, name) else { continue };
            match rows.iter_mut().find(|(of, _)| *of == unit) {
                Some((_, names)) => names.push(name.clone()),
                None => rows.push((unit, vec![name.clone()])),
            }
        }
        if rows.is_empty() {
            let found = "not given, and the runs have no numbers whose unit is known";
            return Err(Error::value("y", found, "their names, as in y=[loss]"));
        }
        return Ok(rows.into_iter().map(|(_, names)| names).collect());
    }
    let mut rows = Vec::new();
    for row in &options.y {
        let mut names_of: Vec<String> = Vec::new();
        for pattern in row.split(',').map(str::trim) {
            let found: Vec<&String> = measured.iter().filter(|name| names::matches(pattern, name)).collect();
            if found.is_empty() {
                let known = measured.iter().map(String::as_str);
                return Err(Error::unknown("measured number", pattern, known).of_part("y"));
            }
            let new: Vec<String> =
                found.into_iter().filter(|name| !names_of.contains(name)).cloned().collect();
            names_of.extend(new);
        }
        rows.push(names_of);
    }
    Ok(rows)
}

/// Whether all numbers of these names are so.
fn all(frame: &Frame, metrics: &[String], are: impl Fn(f64) -> bool) -> bool {
    let columns: Vec<usize> = metrics.iter().filter_map(|name| column(frame, name)).collect();
    let mut numbers = frame.rows.iter().flat_map(|row| columns.iter().filter_map(|at| row[*at].as_f64()));
    numbers.all(are)
}

fn y_label(metrics: &[String], unit: Option<Unit>) -> String {
    let text = unit_text(unit);
    match metrics {
        [one] if text.is_empty() => one.clone(),
        [one] => format!("{one} ({text})"),
        _ if unit == Some(Unit::Nats) && metrics.iter().all(|name| name.contains("loss")) => {
            "loss (nats)".into()
        }
        _ if unit == Some(Unit::Share) && metrics.iter().all(|name| name.starts_with('w')) => {
            "recall (share)".into()
        }
        _ if unit == Some(Unit::Share) && metrics.iter().all(|name| name.contains("acc")) => {
            "accuracy (share)".into()
        }
        _ => text.into(),
    }
}

/// What changed on the way in these runs, if it was the same in all.
fn spans_of(table: &Table, rows: &[&Vec<Value>]) -> Vec<Span> {
    let Some(at) = column(&table.frame, "run") else { return vec![] };
    let mut found: Option<&Vec<Span>> = None;
    for row in rows {
        let Some(spans) = row[at].as_str().and_then(|dir| table.spans.get(dir)) else { return vec![] };
        match found {
            Some(before) if before != spans => return vec![],
            _ => found = Some(spans),
        }
    }
    found.cloned().unwrap_or_default()
}

/// A line through the means of the rows at each place.
fn series(
    name: String,
    rows: &[&Vec<Value>],
    x_at: usize,
    y_at: usize,
    frame: &Frame,
    band: Band,
    valid: impl Fn(f64) -> bool,
) -> Series {
    let mut at: Vec<(f64, Vec<f64>, Option<[f64; 2]>)> = Vec::new();
    let interval = |row: &Vec<Value>| {
        let end = |part: &str| row[column(frame, &format!("{}{part}", frame.columns[y_at]))?].as_f64();
        Some([end(" low")?, end(" high")?])
    };
    for row in rows {
        let (Some(x), Some(y)) = (row[x_at].as_f64(), row[y_at].as_f64().filter(|y| valid(*y))) else {
            continue;
        };
        match at.iter_mut().find(|(of, ..)| *of == x) {
            Some((_, values, _)) => values.push(y),
            None => at.push((x, vec![y], interval(row))),
        }
    }
    at.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut line = Series::new(name, []);
    for (x, values, given) in &at {
        let Some(found) = ihead::sweep::estimate(values, 0.95) else { continue };
        line.points.push((*x, found.mean));
        let ends = match band {
            _ if values.len() < 2 => *given,
            Band::Range => Some([
                values.iter().copied().fold(f64::INFINITY, f64::min),
                values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            ]),
            Band::Error => Some([found.mean - found.error, found.mean + found.error]),
            Band::Interval => Some(found.interval),
        };
        if let Some([low, high]) = ends.filter(|ends| ends.iter().all(|end| end.is_finite())) {
            line.band.push(Spread { x: *x, low, high });
        }
    }
    line.dots = line.points.len() <= 12;
    line
}
