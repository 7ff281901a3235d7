//! The runs of a sweep: what each sets, how its folder is called, whether it can run.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::config::{Config, Exit, Keyed, Order, Parser, Problem, Schema, Value};

use crate::run::STEPS;

use super::axis::{self, Axis, MOST};

/// Settings that do not change what a run computes: where its files are, how it is resumed, on how many threads it runs.
pub(super) const BESIDE: [&str; 6] =
    ["save_dir", "root_dir", "resume", "overwrite", "threads", "checkpoint_every"];

/// Problems that are printed; a sweep of a thousand runs may have the same one a thousand times.
const SHOWN: usize = 8;

/// A sweep that can run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub runs: Vec<Planned>,
    /// What every run has, without the folder: settings `key=value`, and `--config=FILE`.
    pub base: Vec<String>,
    /// `save_dir` of the sweep, as it was written.
    pub save_dir: String,
    /// The folder of the sweep.
    pub dir: PathBuf,
    pub warnings: Vec<Problem>,
    pub traits: Traits,
}

/// What the program has, as far as a sweep cares.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traits {
    /// It takes `threads`, and the sweep does not set them.
    pub threads: bool,
    /// It takes `resume=auto`, and the sweep does not say how to resume.
    pub resume: bool,
    /// It does not, but takes `overwrite=true`: what was broken off begins again.
    pub overwrite: bool,
    /// The setting that is the number of its steps.
    pub steps: Option<String>,
}

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Planned {
    /// The name of its folder: what differs.
    pub name: String,
    /// What it sets, in the grammar of the command line.
    pub set: Vec<(String, String)>,
    /// All its settings but those [`BESIDE`].
    pub settings: Value,
}

/// The runs that `order` asks for, each with its settings checked.
pub(crate) fn plan<A: Config>(order: &Order) -> Result<Plan, Vec<Problem>> {
    let read = |line| {
        let parsed = Parser::<A>::new().parse(line)?;
        Ok((parsed.to_json(), parsed.warnings))
    };
    plan_of(order, &A::schema(), &read)
}

/// A command line as settings, with the warnings about them.
type Reading<'a> = dyn Fn(Vec<String>) -> Result<(Value, Vec<Problem>), Exit> + 'a;

/// The same for a program of this schema, whose command line `read` reads.
fn plan_of(order: &Order, schema: &Schema, read: &Reading<'_>) -> Result<Plan, Vec<Problem>> {
    let settings = schema.settings();
    let has = |key: &str| settings.iter().find(|keyed| keyed.key == key);
    if has("save_dir").is_none() {
        let name = schema.name;
        return Err(vec![Problem::general(format!(
            "a sweep needs a setting `save_dir`, the folder of a run, and {name} has none: add `save_dir: Option<PathBuf>`"
        ))]);
    }
    let combinations = combinations(order, schema)?;
    let taken = |key: &str| {
        order.base.iter().any(|arg| arg.split('=').next() == Some(key))
            || combinations.iter().flatten().any(|(set, _)| set == key)
    };
    if has("reprobe").is_some() && taken("reprobe") {
        let message = "it measures one run's snapshots, and all runs of the sweep would write over each other: leave the sweep out";
        return Err(vec![Problem::new("reprobe", message)]);
    }
    let takes = |key: &str, text: &str| has(key).is_some_and(|keyed| keyed.setting.parse(text).is_ok());
    let traits = Traits {
        threads: takes("threads", "1") && !taken("threads"),
        resume: takes("resume", "auto") && !taken("resume") && !taken("overwrite"),
        overwrite: takes("overwrite", "true") && !takes("resume", "auto") && !taken("overwrite"),
        steps: STEPS.into_iter().find(|key| takes(key, "6")).map(String::from),
    };
    let (mut runs, mut problems, mut warnings) = (Vec::<Planned>::new(), Vec::new(), Vec::new());
    let (mut seen, mut names) = (HashSet::new(), HashSet::new());
    let mut folders = None;
    for set in combinations {
        let line = order.base.iter().cloned().chain(set.iter().map(|(key, text)| format!("{key}={text}")));
        match read(line.collect()) {
            Ok((mut values, warned)) => {
                if text(&values, "resume").as_deref() == Some("true") {
                    let message = "a run that has not begun cannot be resumed: leave it out, and the sweep resumes those that have";
                    return Err(vec![Problem::new("resume", message)]);
                }
                warnings.extend(warned);
                folders.get_or_insert_with(|| (text(&values, "save_dir"), text(&values, "root_dir")));
                values = compared(values);
                if !seen.insert(values.to_string()) {
                    continue; // another --sweep has this run
                }
                let name = name(&set, &settings);
                if !names.insert(name.clone()) {
                    let message = format!(
                        "two runs would have the folder '{name}': other names of choices or texts are needed"
                    );
                    problems.push(Problem::general(message));
                }
                runs.push(Planned { name, set, settings: values });
            }
            Err(Exit::Fail(wrong)) => {
                let run = set.iter().map(|(key, text)| format!("{key}={text}")).collect::<Vec<_>>().join(" ");
                problems.extend(wrong.into_iter().map(|problem| Problem {
                    message: format!("{} (in {run})", problem.message),
                    ..problem
                }));
            }
            Err(_) => problems.push(Problem::general("a sweep's runs take settings alone")),
        }
        if problems.len() > 10 * SHOWN {
            break;
        }
    }
    if !problems.is_empty() {
        let more = problems.len().saturating_sub(SHOWN);
        problems.truncate(SHOWN);
        if more > 0 {
            problems.push(Problem::general(format!("and {more} more in other runs")));
        }
        return Err(problems);
    }
    let (save_dir, root_dir) = folders.unwrap_or_default();
    let Some(save_dir) = save_dir.filter(|dir| !dir.is_empty()) else {
        return Err(vec![Problem::new(
            "save_dir",
            "a sweep needs a folder, which holds one for each run: give save_dir=FOLDER",
        )]);
    };
    warnings.sort_by_key(ToString::to_string);
    warnings.dedup();
    let dir = PathBuf::from(root_dir.unwrap_or_default()).join(&save_dir);
    let base = order.base.iter().filter(|arg| !arg.starts_with("save_dir=")).cloned().collect();
    Ok(Plan { runs, base, save_dir, dir, warnings, traits })
}

impl Plan {
    /// What the same command does with the runs that did not reach their end.
    pub fn again(&self) -> &'static str {
        match self.traits {
            Traits { resume: true, .. } => "the same command takes them up again",
            Traits { overwrite: true, .. } => "the same command begins them again",
            _ => {
                "to begin one again, remove its folder; with a setting `resume: Resume`, the same command would take them up again"
            }
        }
    }

    /// The runs with their settings, as JSON: from it one sees later which were not begun.
    pub fn listed(&self) -> String {
        let runs = self.runs.iter().map(|run| (run.name.clone(), run.settings.clone()));
        format!("{}\n", Value::Object(runs.collect()))
    }

    /// The name of the file for it: another for each sweep in the folder.
    pub fn file(&self) -> String {
        let names: Vec<&str> = self.runs.iter().map(|run| run.name.as_str()).collect();
        format!("plan-{:08x}.json", digits(&names.join("\n")))
    }
}

fn text(values: &Value, key: &str) -> Option<String> {
    values.get(key)?.as_str().map(String::from)
}

/// The settings that decide what a run computes.
pub(super) fn compared(mut settings: Value) -> Value {
    if let Some(settings) = settings.as_object_mut() {
        BESIDE.iter().for_each(|key| {
            settings.remove(*key);
        });
    }
    settings
}

/// What each run sets: the product of the axes of each group, the last axis fastest; the groups one after the other.
fn combinations(order: &Order, schema: &Schema) -> Result<Vec<Vec<(String, String)>>, Vec<Problem>> {
    let (mut all, mut problems) = (Vec::new(), Vec::new());
    for texts in &order.groups {
        let axes = match axis::group(texts, schema) {
            Ok(axes) => axes,
            Err(more) => {
                problems.extend(more);
                continue;
            }
        };
        problems.extend(axes.iter().flat_map(|axis| &axis.keys).filter_map(|key| clash(key, &order.base)));
        let number = axes.iter().try_fold(1usize, |n, axis| n.checked_mul(axis.points.len()));
        match number.filter(|n| n + all.len() <= MOST) {
            Some(number) => all.extend((0..number).map(|at| point(&axes, at))),
            None => problems.push(Problem::general(format!("a sweep has at most {MOST} runs"))),
        }
    }
    if problems.is_empty() { Ok(all) } else { Err(problems) }
}

/// Why a key cannot be an axis beside what all runs have.
fn clash(key: &str, base: &[String]) -> Option<Problem> {
    if BESIDE.contains(&key) {
        return Some(Problem::new(key, "cannot be an axis: it does not change what a run computes"));
    }
    let given = base.iter().find(|arg| arg.split('=').next() == Some(key))?;
    Some(Problem::new(key, format!("is an axis and given for all runs, as {given}: leave one out")))
}

/// What the run at this place of the product sets.
fn point(axes: &[Axis], mut at: usize) -> Vec<(String, String)> {
    let mut chosen = Vec::new();
    for axis in axes.iter().rev() {
        chosen.push((axis, at % axis.points.len()));
        at /= axis.points.len();
    }
    let one = |(axis, at): (&Axis, usize)| {
        axis.keys.iter().cloned().zip(axis.points[at].iter().cloned()).collect::<Vec<_>>()
    };
    chosen.into_iter().rev().flat_map(one).collect()
}

/// The last part of a key where no other key of the program has it, else the whole: the same in every sweep.
pub(super) fn short<'a>(key: &'a str, settings: &[Keyed<'_>]) -> &'a str {
    let last = |key: &str| key.rsplit('.').next().map(String::from);
    let mine = last(key);
    let alone = settings.iter().filter(|keyed| last(&keyed.key) == mine).count() <= 1;
    if alone { key.rsplit('.').next().unwrap_or(key) } else { key }
}

/// `learning_rate=0.001,seed=3`: letters that a shell or a file system takes otherwise become `-`, and then, or where it
/// is long, digits of the whole follow.
fn name(set: &[(String, String)], settings: &[Keyed<'_>]) -> String {
    const LONGEST: usize = 120;
    let whole = set
        .iter()
        .map(|(key, text)| format!("{}={text}", short(key, settings)))
        .collect::<Vec<_>>()
        .join(",");
    let plain = |c: char| if c.is_ascii_alphanumeric() || "=,.+-_".contains(c) { c } else { '-' };
    let mut name: String = whole.chars().map(plain).take(LONGEST).collect();
    if name != whole {
        name.push_str(&format!("~{:08x}", digits(&whole)));
    }
    name
}

/// FNV-1a of 32 bits: the same on every machine.
fn digits(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Config)]
    struct Optim {
        #[config(default = 0.1, min = 0)]
        rate: f64,
    }

    #[derive(Config)]
    #[config(validate = Args::together)]
    struct Args {
        #[config(group)]
        optim: Optim,
        #[config(default = 4)]
        dim: usize,
        #[config(default = 2)]
        heads: usize,
        #[config(default = 0)]
        seed: u64,
        #[config(default = "")]
        text: String,
        save_dir: Option<PathBuf>,
        threads: Option<usize>,
    }

    impl Args {
        fn together(&self) -> Vec<Problem> {
            let fits = self.dim.is_multiple_of(self.heads);
            if fits {
                vec![]
            } else {
                vec![Problem::new("dim", format!("no multiple of heads={}", self.heads))]
            }
        }
    }

    fn order(base: &[&str], groups: &[&[&str]]) -> Order {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        Order { base: own(base), groups: groups.iter().map(|group| own(group)).collect(), ..Order::default() }
    }

    fn names(groups: &[&[&str]]) -> Vec<String> {
        plan::<Args>(&order(&["save_dir=x"], groups)).unwrap().runs.into_iter().map(|run| run.name).collect()
    }

    fn problems(base: &[&str], groups: &[&[&str]]) -> Vec<String> {
        plan::<Args>(&order(base, groups)).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_last_axis_is_the_fastest_and_groups_follow_each_other() {
        assert_eq!(
            names(&[&["optim.rate=0.1,1e-3", "seed=1..3"], &["zip(dim=2,8; heads=1,4)"]]),
            [
                "rate=0.1,seed=1",
                "rate=0.1,seed=2",
                "rate=0.001,seed=1",
                "rate=0.001,seed=2",
                "dim=2,heads=1",
                "dim=8,heads=4"
            ]
        );
    }

    #[test]
    fn a_run_that_two_groups_have_is_one_run() {
        assert_eq!(names(&[&["seed=1..4"], &["seed=3,4"]]), ["seed=1", "seed=2", "seed=3", "seed=4"]);
        // the defaults, said otherwise
        assert_eq!(names(&[&["seed=0"], &["dim=4"]]), ["seed=0"]);
    }

    #[test]
    fn names_are_safe_and_as_different_as_the_texts() {
        let found = names(&[&["text='a b','a/b','a-b'"]]);
        assert_eq!(found[2], "text=a-b");
        assert!(
            found[0].starts_with("text=a-b~") && found[1].starts_with("text=a-b~") && found[0] != found[1]
        );
        let long = format!("text={}", "x".repeat(500));
        assert_eq!(names(&[&[&long]])[0].len(), 129);
    }

    #[test]
    fn a_key_is_named_by_its_last_part_where_no_other_has_it() {
        let section =
            |name: &'static str| Schema::new(name, "").setting(crate::config::Setting::new("rate", "", &0.1));
        let one = Schema::new("Args", "").section("optim", "", section("Optim"));
        let two = one.clone().section("data", "", section("Data"));
        assert_eq!(short("optim.rate", &one.settings()), "rate");
        assert_eq!(short("optim.rate", &two.settings()), "optim.rate");
    }

    #[test]
    fn what_a_program_takes_and_the_sweep_does_not_say_is_given_to_each_run() {
        let of = |base: &[&str]| plan::<Args>(&order(base, &[&["seed=1..3"]])).unwrap();
        let found = of(&["save_dir=x"]);
        let Traits { threads, resume, overwrite, steps } = &found.traits;
        assert_eq!((*threads, *resume, *overwrite, steps.as_deref()), (true, false, false, None));
        assert_eq!(
            found.arguments(&found.runs[1], 3),
            ["--once", "seed=2", "save_dir=x/seed=2", "threads=3"]
        );
        let found = of(&["save_dir=x", "threads=2", "dim=8"]);
        assert!(!found.traits.threads);
        assert_eq!(
            found.arguments(&found.runs[0], 3),
            ["--once", "threads=2", "dim=8", "seed=1", "save_dir=x/seed=1"]
        );
        // another file for another sweep, the same for the same
        assert_eq!(found.file(), of(&["save_dir=y"]).file());
        let other = plan::<Args>(&order(&["save_dir=x"], &[&["seed=1..4"]])).unwrap();
        assert_ne!(found.file(), other.file());
        let listed: serde_json::Value = serde_json::from_str(&other.listed()).unwrap();
        assert_eq!(
            (listed.as_object().unwrap().len(), &listed["seed=3"]["seed"]),
            (3, &serde_json::json!(3))
        );
    }

    #[test]
    fn what_cannot_be_a_sweep() {
        assert_eq!(
            problems(&["save_dir=x"], &[&["dim=3,5,8", "heads=2"]]),
            [
                "dim: no multiple of heads=2 (in dim=3 heads=2)",
                "dim: no multiple of heads=2 (in dim=5 heads=2)"
            ]
        );
        // every odd one is wrong; after 81 no more are looked for
        let many = problems(&["save_dir=x"], &[&["dim=3..1000", "heads=2"]]);
        assert_eq!((many.len(), many[8].as_str()), (9, "and 73 more in other runs"));
        assert_eq!(
            problems(&["save_dir=x", "seed=3"], &[&["seed=1,2"]]),
            ["seed: is an axis and given for all runs, as seed=3: leave one out"]
        );
        assert_eq!(
            problems(&["save_dir=x"], &[&["threads=1,2"]]),
            ["threads: cannot be an axis: it does not change what a run computes"]
        );
        assert_eq!(
            problems(&[], &[&["seed=1,2"]]),
            ["save_dir: a sweep needs a folder, which holds one for each run: give save_dir=FOLDER"]
        );
        #[derive(Config)]
        struct Nowhere {
            #[config(default = 0)]
            seed: u64,
        }
        let found = plan::<Nowhere>(&order(&[], &[&["seed=1,2"]])).unwrap_err();
        assert_eq!(found.len(), 1);
        assert!(
            found[0].to_string().contains("Nowhere has none: add `save_dir: Option<PathBuf>`"),
            "{}",
            found[0]
        );
        let many: &[&str] = &["seed=0..1000", "dim=2..1000"];
        assert_eq!(problems(&["save_dir=x"], &[many]), ["a sweep has at most 100000 runs"]);
    }
}
