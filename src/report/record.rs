//! What a page says of a run.
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::config::by_key;
use crate::io::text_if_there;
use crate::names::is_logged_norm;
use crate::run::{RunInfo, records};
use crate::train::{Schedule, Stretch, Timeline};
use crate::{Error, Result};

use super::View;

/// The bytes of a number on the page, with its comma, nearly.
const NUMBER: usize = 9;

/// Settings of a run's place and pace, which change none of its numbers.
const BESIDE: [&str; 7] = ["save_dir", "root_dir", "threads", "overwrite", "resume", "report", "figures"];

/// The most marks of one change on the line of a run.
const MARKS: usize = 60;

/// The most iterations that are looked through for them.
const LOOKED_THROUGH: usize = 1_000_000;

/// The longest name of a run.
const LONG: usize = 60;

/// The fewest evaluations that are kept.
const FEWEST: usize = 50;

/// A run, as its folder has it.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub dir: PathBuf,
    info: RunInfo,
    status: String,
    /// The settings by dotted key.
    settings: BTreeMap<String, Value>,
    /// The evaluations.
    rows: Vec<Map<String, Value>>,
    pub view: Option<View>,
    /// Why there is no view.
    pub unseen: String,
}

impl Record {
    pub fn read(dir: &Path) -> Result<Record> {
        let mut record = Record::without_view(dir)?;
        record.view = View::read(dir)?;
        Ok(record)
    }

    /// What its folder has beside the view, which can be made anew.
    pub fn without_view(dir: &Path) -> Result<Record> {
        let info = RunInfo::read(dir)?;
        let status = info.status_now(dir).to_string();
        let mut settings = BTreeMap::new();
        if let Some(text) = text_if_there(&dir.join("params.json"))? {
            let path = dir.join("params.json");
            let value: Value = serde_json::from_str(&text)
                .map_err(|e| Error::format(&path, format!("not the settings of a run: {e}")))?;
            settings.extend(by_key(&value));
        }
        let rows = records(dir)?.into_iter().map(|(_, row)| row).collect();
        let unseen = "The run has left nothing for it: run it with report=true, or call Run::report.".into();
        Ok(Record { dir: dir.to_owned(), info, status, settings, rows, view: None, unseen })
    }

    /// What the page shows of it, with so many bytes for its view and for its numbers.
    pub fn data(&self, views: usize, numbers: usize) -> Value {
        let mut notes = Vec::new();
        let mut names: Vec<&String> = Vec::new();
        for row in &self.rows {
            names.extend(row.keys().filter(|key| *key != "iter" && !names.contains(key)).collect::<Vec<_>>());
        }
        let most = (numbers / NUMBER / (names.len() + 1)).max(FEWEST);
        let rows: Vec<&Map<String, Value>> = match self.rows.len() {
            n if n <= most => self.rows.iter().collect(),
            n => {
                notes.push(format!("To keep this page small, it shows {most} of {n} evaluations."));
                (0..most).map(|i| &self.rows[i * (n - 1) / (most - 1)]).collect()
            }
        };
        let column = |name: &str| -> Vec<Value> {
            rows.iter().map(|row| row.get(name).map_or(Value::Null, rounded)).collect()
        };
        let columns: Map<String, Value> =
            names.iter().map(|name| (name.to_string(), column(name).into())).collect();
        let view = self.view.clone().and_then(|view| view.within(views));
        let unseen = match (&view, &self.view) {
            (None, Some(_)) => "It does not fit on a page with so many runs; make one of fewer.",
            _ => &self.unseen,
        };
        json!({
            "dir": self.dir.display().to_string(),
            "status": self.status,
            "error": self.info.error,
            "origin": self.origin(),
            "made_of": self.made_of(),
            "like": self.like(),
            "settings": self.settings,
            "units": self.info.units,
            "chances": self.info.chances,
            "recalls": self.info.recalls,
            "logged_norms": logged_norms(&names),
            "iterations": column("iter"),
            "done": self.info.iterations,
            "numbers": columns,
            "changes": self.changes(),
            "view": view,
            "unseen": unseen,
            "notes": notes,
        })
    }

    /// Where it comes from: names and texts, in order.
    fn origin(&self) -> Vec<[String; 2]> {
        let info = &self.info;
        let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "not known".into());
        let seconds = |s: f64| if s < 10.0 { format!("{s:.2} s") } else { format!("{s:.0} s") };
        let mut rows = vec![
            ("status", self.status.clone()),
            ("iterations", info.iterations.to_string()),
            ("started", info.started.clone()),
            ("ended", or(&info.ended)),
            ("took", seconds(info.seconds)),
            ("a step", info.seconds_a_step.map_or("not known".into(), |s| format!("{:.2} ms", s * 1e3))),
            ("resumed", format!("{} times", info.resumed)),
            (
                "memory at most",
                info.peak_memory.map_or("not known".into(), |b| format!("{} MB", b / 1_000_000)),
            ),
            ("version of ihead", info.version.clone()),
            ("commit", or(&info.commit)),
            ("command", info.command.join(" ")),
            ("machine", or(&info.host)),
            ("processor", or(&info.processor)),
            ("vector instructions", info.features.clone()),
            ("device", info.device.clone()),
            ("threads", info.threads.to_string()),
            ("precision", info.precision.clone()),
            ("seed of the data", info.seeds.data.to_string()),
            ("seed of the weights", info.seeds.weights.map_or("not known".into(), |seed| seed.to_string())),
        ];
        rows.extend(info.error.clone().map(|error| ("error", error)));
        rows.into_iter().map(|(name, text)| [name.to_string(), text]).collect()
    }

    /// Task, optimiser, loss and what else it was made of.
    fn made_of(&self) -> BTreeMap<String, Value> {
        by_key(&Value::Object(self.info.made_of.clone())).into_iter().collect()
    }

    /// All that makes it what it is but for its seeds: runs that have it in common are drawn as a mean with a band. Nothing if
    /// its settings are not known.
    fn like(&self) -> Option<String> {
        let (settings, made_of) = (self.settings.iter(), self.made_of());
        let kept = |(key, _): &(&String, &Value)| {
            !BESIDE.contains(&key.as_str()) && key.rsplit('.').next() != Some("seed")
        };
        let kept: Vec<_> = settings.chain(made_of.iter()).filter(kept).collect();
        (!self.settings.is_empty()).then(|| json!(kept).to_string())
    }

    /// What its timeline changes.
    fn changes(&self) -> Vec<Value> {
        let text = self.info.made_of.get("timeline").and_then(Value::as_str).unwrap_or("");
        let stretches = match text.parse::<Timeline>() {
            Ok(timeline) => timeline.stretches(),
            Err(_) => return vec![json!({ "when": "", "from": null, "to": null, "what": text })],
        };
        let change = |s: Stretch| {
            let mut change = json!({ "when": s.when, "from": s.from, "to": s.to, "what": s.what });
            if let Some(at) = self.repeated(&s) {
                change["at"] = at.into();
            }
            change
        };
        stretches.into_iter().map(change).collect()
    }

    /// The iterations of the run at which something happens that happens more than once; nothing if they are too many to tell
    /// apart, or to look through.
    fn repeated(&self, stretch: &Stretch) -> Option<Vec<usize>> {
        let when: Schedule = stretch.from.is_none().then(|| stretch.when.parse().ok())??;
        let end = Some(self.info.iterations).filter(|end| *end <= LOOKED_THROUGH)?;
        let at: Vec<usize> = (0..end).filter(|i| when.contains(*i, Some(end))).take(MARKS + 1).collect();
        (at.len() <= MARKS).then_some(at)
    }
}

/// Of the names of numbers those that the run has measured because it logs norms, not because somebody has named them.
fn logged_norms<'a>(names: &[&'a String]) -> Vec<&'a String> {
    let has = |wanted: &str| names.iter().any(|name| *name == wanted);
    names.iter().copied().filter(|name| is_logged_norm(name, has)).collect()
}

/// Gives each run a name of its own: the settings in which it differs from others, or its folder. Of a name that is long the
/// middle is left out, where the names are still different without it.
pub(super) fn named(mut runs: Vec<Value>) -> Vec<Value> {
    let text = |value: &Value| match value.as_str() {
        Some("") => "''".into(),
        Some(text) => text.into(),
        None => value.to_string(),
    };
    let of = |run: &Value, key: &str| run["settings"].get(key).map_or("-".into(), text);
    let mut keys: Vec<String> = Vec::new();
    for run in &runs {
        let settings = run["settings"].as_object().into_iter().flat_map(Map::keys);
        keys.extend(settings.filter(|key| !keys.contains(key)).cloned().collect::<Vec<_>>());
    }
    keys.retain(|key| {
        !BESIDE.contains(&key.as_str()) && runs.iter().any(|run| of(run, key) != of(&runs[0], key))
    });
    let whole = |run: &Value| run["dir"].as_str().unwrap_or("").to_string();
    let folder = |run: &Value| {
        Path::new(&whole(run)).file_name().map_or(whole(run), |name| name.to_string_lossy().into_owned())
    };
    let by_settings = |run: &Value| {
        let short = |key: &str| key.rsplit('.').next().unwrap_or(key).to_string();
        let parts = keys.iter().map(|key| format!("{} = {}", short(key), of(run, key)));
        parts.collect::<Vec<_>>().join(", ")
    };
    let all = |name: &dyn Fn(&Value) -> String| runs.iter().map(name).collect::<Vec<String>>();
    let mut ways = vec![all(&folder), all(&whole)];
    if runs.len() > 1 && (1..=3).contains(&keys.len()) {
        ways.insert(0, all(&by_settings));
    }
    let is_short = |names: &&Vec<String>| names.iter().all(|name| name.chars().count() <= LONG);
    let shortened = || ways.iter().map(|names| names.iter().map(|name| without_middle(name)).collect());
    let names = ways.iter().filter(|names| are_distinct(names)).find(is_short).cloned();
    let names = names.or_else(|| shortened().find(|names: &Vec<String>| are_distinct(names)));
    let names = names.unwrap_or_else(|| all(&whole));
    for (run, name) in runs.iter_mut().zip(names) {
        run["name"] = name.into();
    }
    number_alike(&mut runs);
    runs
}

/// Whether no two names are the same, and none is empty.
fn are_distinct(names: &[String]) -> bool {
    let different: BTreeSet<&String> = names.iter().collect();
    different.len() == names.len() && names.iter().all(|name| !name.is_empty())
}

/// A name in at most [`LONG`] characters.
fn without_middle(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= LONG {
        return name.into();
    }
    let (first, last) = (LONG / 2, LONG - LONG / 2 - 1);
    letters[..first].iter().chain(&['…']).chain(&letters[letters.len() - last..]).collect()
}

/// Replaces what makes each run what it is by the number of the first run that has it in common.
fn number_alike(runs: &mut [Value]) {
    let texts: Vec<Value> = runs.iter().map(|run| run["like"].clone()).collect();
    for (number, run) in runs.iter_mut().enumerate() {
        let first = texts.iter().position(|text| text.is_string() && *text == texts[number]);
        run["like"] = first.unwrap_or(number).into();
    }
}

/// A number with six digits, which a curve does not show more of.
fn rounded(value: &Value) -> Value {
    match value.as_f64() {
        Some(number) if !value.is_u64() => format!("{number:.5e}").parse::<f64>().unwrap_or(number).into(),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_alike_if_they_differ_in_the_seed_only() {
        let dir = tempfile::tempdir().unwrap();
        let settings = [
            r#"{"seed": 1, "k": 3}"#,
            r#"{"seed": 2, "k": 3, "threads": 4}"#,
            r#"{"seed": 1, "k": 5}"#,
            "",
            "",
        ];
        let runs = settings.iter().enumerate().map(|(i, settings)| {
            let run = dir.path().join(i.to_string());
            std::fs::create_dir(&run).unwrap();
            std::fs::write(run.join("run.json"), serde_json::to_string(&RunInfo::begin()).unwrap()).unwrap();
            if !settings.is_empty() {
                std::fs::write(run.join("params.json"), settings).unwrap();
            }
            Record::read(&run).unwrap().data(1000, 1000)
        });
        let like: Vec<Value> = named(runs.collect()).iter().map(|run| run["like"].clone()).collect();
        // the last two leave no settings, so nothing says that they are alike
        assert_eq!(like, [0, 0, 2, 3, 4]);
    }

    /// A record of a run with so many evaluations of two numbers.
    fn record(evaluations: usize) -> Record {
        let row =
            |i: usize| json!({ "iter": i, "acc": i as f64 / 3.0, "loss": 1 }).as_object().unwrap().clone();
        Record {
            dir: "runs/a".into(),
            info: RunInfo::begin(),
            status: "done".into(),
            settings: BTreeMap::new(),
            rows: (0..evaluations).map(row).collect(),
            view: None,
            unseen: "not seen".into(),
        }
    }

    #[test]
    fn of_many_evaluations_as_many_as_have_room_are_shown_with_the_first_and_the_last() {
        let shown = |evaluations, bytes| {
            let data = record(evaluations).data(0, bytes);
            let iterations: Vec<u64> =
                data["iterations"].as_array().unwrap().iter().map(|i| i.as_u64().unwrap()).collect();
            (iterations, data["notes"].as_array().unwrap().clone())
        };
        // three columns of 9 bytes a number
        assert_eq!(shown(100, 100 * 27), ((0..100).collect(), vec![]));
        let (iterations, notes) = shown(101, 100 * 27);
        assert_eq!((iterations.len(), iterations[0], iterations[50], iterations[99]), (100, 0, 50, 100));
        assert_eq!(notes, ["To keep this page small, it shows 100 of 101 evaluations."]);
        // and never fewer than fifty
        assert_eq!(shown(50, 0).0.len(), 50);
        assert_eq!(shown(1000, 0).0.len(), 50);
        let numbers = &record(2).data(0, 0)["numbers"];
        assert_eq!(*numbers, json!({ "acc": [0.0, 0.333333], "loss": [1, 1] }));
    }

    #[test]
    fn norms_that_somebody_has_named_are_no_logged_ones() {
        let mut of = record(1);
        for name in ["norm_wk", "gradnorm_wk", "resid_norm", "norm_resid", "gradnorm_", "norm"] {
            of.rows[0].insert(name.into(), 1.into());
        }
        assert_eq!(of.data(0, 0)["logged_norms"], json!(["norm_wk", "gradnorm_wk"]));
    }

    #[test]
    fn where_a_run_comes_from_is_said_in_units() {
        let said = |info: RunInfo| {
            let rows = Record { info, ..record(0) }.origin();
            move |name: &str| rows.iter().find(|[known, _]| known == name).map(|[_, text]| text.clone())
        };
        let of = said(RunInfo {
            seconds: 9.994,
            seconds_a_step: Some(0.00125),
            peak_memory: Some(123_456_789),
            ended: Some("then".into()),
            resumed: 2,
            ..RunInfo::begin()
        });
        let names = ["took", "a step", "memory at most", "ended", "resumed", "error"].map(of);
        let texts = ["9.99 s", "1.25 ms", "123 MB", "then", "2 times"].map(|text| Some(text.to_string()));
        assert_eq!((&names[..5], &names[5]), (&texts[..], &None));
        let of = said(RunInfo { seconds: 10.0, error: Some("no space".into()), ..RunInfo::begin() });
        let names = ["took", "a step", "memory at most", "ended", "error"].map(|name| of(name).unwrap());
        assert_eq!(names, ["10 s", "not known", "not known", "not known", "no space"]);
    }

    #[test]
    fn a_timeline_that_another_version_wrote_is_shown_as_it_is() {
        let changes = |text: &str| {
            let mut of = record(0);
            of.info.made_of.insert("timeline".into(), text.into());
            of.changes()
        };
        assert_eq!(
            changes("no such change"),
            [json!({ "when": "", "from": null, "to": null, "what": "no such change" })]
        );
        assert_eq!(changes("3: freeze(pe)").len(), 1);
        assert!(changes("3: freeze(pe)")[0].get("at").is_none());
        assert!(record(0).changes().is_empty());
    }

    #[test]
    fn what_happens_more_than_once_has_a_mark_for_each_time_unless_they_are_many() {
        let within = |iterations: usize, text: &str| {
            let mut of = record(0);
            of.info.made_of.insert("timeline".into(), text.into());
            of.info.iterations = iterations;
            of.changes()[0].get("at").cloned()
        };
        let at = |text: &str| within(300, text);
        assert_eq!(at("every 100: snapshot"), Some(json!([0, 100, 200])));
        assert_eq!(within(usize::MAX, "every 100: snapshot"), None);
        assert_eq!(at("every 4: snapshot"), None);
        assert_eq!(at("every 5: snapshot").unwrap().as_array().unwrap().len(), 60);
    }

    #[test]
    fn a_view_that_does_not_fit_is_said_to_be_too_large() {
        assert_eq!(record(0).data(0, 0)["unseen"], "not seen");
        let view = View {
            format: 1,
            vocab: None,
            tokens: BTreeMap::new(),
            sequences: vec![],
            patterns: vec![],
            terms: vec![],
            top: 5,
            moments: vec![],
            notes: vec![],
        };
        let seen = Record { view: Some(view), ..record(0) };
        assert!(seen.data(0, 0)["unseen"].as_str().unwrap().starts_with("It does not fit"));
        assert!(seen.data(0, 0)["view"].is_null() && seen.data(10_000, 0)["view"].is_object());
    }

    #[test]
    fn names_that_are_long_many_or_empty_are_those_of_folders() {
        let names = |runs: Vec<Value>| {
            named(runs).iter().map(|run| run["name"].as_str().unwrap().to_string()).collect::<Vec<_>>()
        };
        let run = |dir: &str, settings: Value| json!({ "dir": dir, "settings": settings });
        let text = |n: usize| run("x/b", json!({ "a.text": "y".repeat(n) }));
        // "text = " and 53 letters are 60
        let short = names(vec![run("x/a", json!({ "a.text": "z" })), text(53)]);
        assert_eq!(short, ["text = z".to_string(), format!("text = {}", "y".repeat(53))]);
        assert_eq!(names(vec![run("x/a", json!({ "a.text": "z" })), text(54)]), ["a", "b"]);
        let three = |n: i64| run("x/c", json!({ "a": n, "b": n, "c": n }));
        assert_eq!(names(vec![three(1), three(2)]), ["a = 1, b = 1, c = 1", "a = 2, b = 2, c = 2"]);
        let four = |dir, n: i64| run(dir, json!({ "a": n, "b": n, "c": n, "d": n }));
        assert_eq!(names(vec![four("x/a", 1), four("x/b", 2)]), ["a", "b"]);
        let lacks = run("x/b", json!({}));
        assert_eq!(names(vec![run("x/a", json!({ "k": 3 })), lacks]), ["k = 3", "k = -"]);
        let empty = run("x/b", json!({ "k": "" }));
        assert_eq!(names(vec![run("x/a", json!({ "k": "z" })), empty]), ["k = z", "k = ''"]);
    }

    #[test]
    fn of_names_that_are_all_too_long_the_middle_is_left_out() {
        let named = |dirs: [String; 2], texts: [String; 2]| {
            let runs = dirs.into_iter().zip(texts);
            let runs = runs.map(|(dir, text)| json!({ "dir": dir, "settings": { "a.text": text } }));
            let named = super::named(runs.collect());
            named.iter().map(|run| run["name"].as_str().unwrap().to_string()).collect::<Vec<_>>()
        };
        let long = |end: &str| "x".repeat(60) + end;
        let (start, end) = ("x".repeat(30), "x".repeat(28));
        // by settings, of 60 letters: 30, the sign, 29
        let by_settings = named([long("a"), long("b")], [long("1"), long("2")]);
        let start_of_text = format!("text = {}", "x".repeat(23));
        assert_eq!(by_settings, [format!("{start_of_text}…{end}1"), format!("{start_of_text}…{end}2")]);
        assert_eq!(by_settings[0].chars().count(), 60);
        // by folders, where only the middle of the settings differs
        let in_the_middle = |middle: &str| long(middle) + &long("");
        let by_folder = named([long("a"), long("b")], [in_the_middle("1"), in_the_middle("2")]);
        assert_eq!(by_folder, [format!("{start}…{end}a"), format!("{start}…{end}b")]);
        // whole, where the middle is all that differs
        let dirs = [in_the_middle("a"), in_the_middle("b")];
        assert_eq!(named(dirs.clone(), [in_the_middle("1"), in_the_middle("2")]), dirs);
    }

    #[test]
    fn runs_are_named_by_what_differs() {
        let run = |dir: &str, seed: u64| json!({ "dir": dir, "settings": { "seed": seed, "save_dir": dir } });
        let names = |runs: Vec<Value>| {
            named(runs).iter().map(|run| run["name"].as_str().unwrap().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(vec![run("runs/a", 1)]), ["a"]);
        assert_eq!(names(vec![run("runs/a", 1), run("runs/b", 2)]), ["seed = 1", "seed = 2"]);
        assert_eq!(names(vec![run("runs/a", 1), run("runs/b", 1)]), ["a", "b"]);
        assert_eq!(names(vec![run("x/a", 1), run("y/a", 1)]), ["x/a", "y/a"]);
        assert_eq!(rounded(&json!(0.123456789)), json!(0.123457));
        assert_eq!(rounded(&json!(1234567)), json!(1234567));
    }
}
