//! A command line, split into options and settings.

use std::ffi::OsString;
use std::path::Path;

use crate::names;

use super::Problem;
use super::completions::SHELLS;
use super::order::{Emit, Order};

/// An option, as it is written and explained.
pub(super) struct OptionHelp {
    pub name: &'static str,
    /// The name of its value, if it takes one.
    pub value: &'static str,
    pub help: &'static str,
}

const fn option(name: &'static str, value: &'static str, help: &'static str) -> OptionHelp {
    OptionHelp { name, value, help }
}

/// The options about the settings.
pub(super) const OPTIONS: [OptionHelp; 6] = [
    option("--help", "", "Print this help (also -h)."),
    option("--config", "FILE", "Start from the values in FILE, the params.json of a run."),
    option("--print-config", "", "Print the resulting values as JSON, do nothing else."),
    option("--explain", "", "Print each value and where it comes from, do nothing else."),
    option("--schema", "", "Print a JSON Schema of what --config reads, do nothing else."),
    option("--completions", "SHELL", "Print completions for bash, zsh or fish, do nothing else."),
];

/// The options of sweeps.
pub(super) const SWEEPS: [OptionHelp; 6] = [
    option(
        "--sweep",
        "AXIS...",
        "A run for each combination of KEY=1,2,4, KEY=1..=8, KEY=logspace(1e-3,1e-1,5), \
         KEY=linspace(0,1,5), 'zip(KEY=1,2; KEY=3,4)'. Several --sweep add up.",
    ),
    option("--jobs", "N", "Runs at a time, which share the threads; 1 without it."),
    option("--dry-run", "", "Print the numbered commands and how long they may take, do nothing else."),
    option(
        "--emit",
        "FORM",
        "Print the runs: commands, parallel (a script for GNU parallel) or slurm (a script for Slurm).",
    ),
    option("--per-task", "N", "Runs in one task of --emit slurm; 1 without it."),
    option(
        "--once",
        "",
        "What a sweep's commands are called with: do nothing if save_dir holds this run, finished.",
    ),
];

/// The options that a program offers, one that makes sweeps or not. All are read; those of a sweep are refused with the reason.
pub(super) fn options(sweeps: bool) -> impl Iterator<Item = &'static OptionHelp> {
    OPTIONS.iter().chain(SWEEPS.iter().filter(move |_| sweeps))
}

/// Separates the words of a command line that are no settings, such as the folders of runs, from its settings and options,
/// which [`parse`](super::parse) reads. A folder with `=` in its name is a word, and so is `-`.
///
/// ```
/// let line = ["runs/a", "format=csv", "--config", "params.json", "-"].map(Into::into);
/// let (words, settings) = ihead::config::words(line);
/// assert_eq!(words, ["runs/a", "-"]);
/// assert_eq!(settings, ["format=csv", "--config", "params.json"]);
/// ```
pub fn words(args: impl IntoIterator<Item = OsString>) -> (Vec<OsString>, Vec<String>) {
    let mut takes = false;
    let (words, settings): (Vec<_>, Vec<_>) = args.into_iter().partition(|arg| {
        let text = arg.to_string_lossy();
        let of_option = takes;
        takes = OPTIONS.iter().any(|option| option.name == text && !option.value.is_empty());
        let is_word = text == "-" || !text.starts_with('-') && !text.contains('=');
        !of_option && (is_word || Path::new(arg).is_dir())
    });
    (words, settings.into_iter().map(|arg| arg.to_string_lossy().into_owned()).collect())
}

/// What is printed instead of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Print {
    Config,
    Explanation,
    Schema,
    Completions(&'static str),
}

/// What a command line asks for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Arguments {
    pub help: bool,
    pub print: Option<Print>,
    pub once: bool,
    pub config: Option<String>,
    pub settings: Vec<Argument>,
    /// The sweep, if one is asked for.
    pub order: Option<Order>,
    pub problems: Vec<Problem>,
}

/// One `key=value`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Argument {
    /// Its place on the command line, from 1.
    pub number: usize,
    pub key: String,
    /// What stands after `=`; none if there is no `=`.
    pub text: Option<String>,
}

/// The options of sweeps as they are met.
#[derive(Default)]
struct Sweeping {
    order: Order,
    /// The options of a sweep that were given, in order.
    given: Vec<&'static str>,
    /// The runs of a task of Slurm, if they were given.
    per_task: Option<usize>,
    /// Whether what comes is an axis of the last `--sweep`.
    open: bool,
}

impl Arguments {
    /// Splits `args`, which begin after the name of the program; `keys` are those that exist, for messages.
    pub fn split(args: Vec<String>, keys: &[&str]) -> Self {
        let (mut split, mut sweeping) = (Self::default(), Sweeping::default());
        let mut args = (1..).zip(args).peekable();
        while let Some((number, arg)) = args.next() {
            if !arg.starts_with('-') {
                if sweeping.open {
                    sweeping.axis(arg);
                } else {
                    split.settings.push(Argument::new(number, &arg));
                    sweeping.order.base.push(arg);
                }
                continue;
            }
            sweeping.open = false;
            let (name, inside) = match arg.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (arg.as_str(), None),
            };
            let known = if name == "-h" { Some(&OPTIONS[0]) } else { options(true).find(|o| o.name == name) };
            let Some(option) = known else {
                split.problems.push(unknown_option(&arg, keys));
                continue;
            };
            let takes = !option.value.is_empty() && option.name != "--sweep";
            if inside.is_some() && option.value.is_empty() {
                split.problems.push(Problem::general(format!("{name} takes no value")));
                continue;
            }
            let value = if takes && inside.is_none() {
                args.next_if(|(_, next)| !next.starts_with("--")).map(|(_, value)| value)
            } else {
                inside
            };
            match option.name {
                "--help" => split.help = true,
                "--print-config" => split.print(Print::Config),
                "--explain" => split.print(Print::Explanation),
                "--schema" => split.print(Print::Schema),
                "--completions" => split.completions(value.as_deref()),
                "--once" => split.once = true,
                "--config" => {
                    sweeping.order.base.extend(value.iter().map(|file| format!("--config={file}")));
                    split.config_file(value);
                }
                name => split.problems.extend(sweeping.option(name, value)),
            }
        }
        match sweeping.finish() {
            Ok(order) => split.order = order,
            Err(problem) => split.problems.push(problem),
        }
        split
    }

    fn print(&mut self, what: Print) {
        match self.print {
            Some(before) if before != what => {
                self.problems.push(Problem::general("two things to print are asked for: give one of them"));
            }
            _ => self.print = Some(what),
        }
    }

    fn completions(&mut self, shell: Option<&str>) {
        match SHELLS.into_iter().find(|known| Some(*known) == shell) {
            Some(shell) => self.print(Print::Completions(shell)),
            None => self.problems.push(one_of("--completions", &SHELLS, shell)),
        }
    }

    fn config_file(&mut self, file: Option<String>) {
        match (file, &self.config) {
            (None, _) => self.problems.push(Problem::general("--config needs a FILE after it")),
            (Some(file), None) if file.is_empty() => {
                self.problems.push(Problem::general("--config needs a FILE, found an empty name"));
            }
            (Some(file), None) => self.config = Some(file),
            (Some(file), Some(first)) => {
                let message = format!("--config is given twice, with '{first}' and '{file}'");
                self.problems.push(Problem::general(message));
            }
        }
    }
}

impl Sweeping {
    fn axis(&mut self, text: String) {
        match self.order.groups.last_mut() {
            Some(group) => group.push(text),
            None => self.order.groups.push(vec![text]),
        }
    }

    /// One of [`SWEEPS`].
    fn option(&mut self, name: &'static str, value: Option<String>) -> Option<Problem> {
        let again = self.given.contains(&name);
        self.given.push(name);
        match name {
            "--sweep" => {
                self.order.groups.push(value.into_iter().collect());
                self.open = true;
                None
            }
            "--dry-run" => {
                self.order.dry_run = true;
                None
            }
            _ if again => Some(Problem::general(format!("{name} is given twice"))),
            "--emit" => match value.as_deref().and_then(Emit::named) {
                Some(emit) => {
                    self.order.emit = Some(emit);
                    None
                }
                None => Some(one_of("--emit", &Emit::NAMES, value.as_deref())),
            },
            _ => match value.as_deref().and_then(|text| text.parse().ok()).filter(|n| *n > 0) {
                Some(n) if name == "--jobs" => {
                    self.order.jobs = n;
                    None
                }
                Some(n) => {
                    self.order.per_task = n;
                    self.per_task = Some(n);
                    None
                }
                None => {
                    let found = value.map_or("nothing".into(), |text| format!("'{text}'"));
                    Some(Problem::general(format!("{name} needs an integer of at least 1, found {found}")))
                }
            },
        }
    }

    fn finish(self) -> Result<Option<Order>, Problem> {
        match self.given.first() {
            None => Ok(None),
            Some(name) if self.order.groups.is_empty() => Err(Problem::general(format!(
                "{name} belongs to a sweep: give --sweep KEY=VALUE,VALUE... too"
            ))),
            Some(_) if self.order.groups.iter().any(Vec::is_empty) => {
                Err(Problem::general("--sweep needs an axis after it, as in --sweep KEY=1,2,4"))
            }
            Some(_) => match self.per_task {
                Some(n) if self.order.emit != Some(Emit::Slurm) => Err(Problem::general(format!(
                    "--per-task {n}: it is of --emit slurm alone, which is not asked for"
                ))),
                _ => Ok(Some(self.order)),
            },
        }
    }
}

impl Argument {
    fn new(number: usize, arg: &str) -> Self {
        let (key, text) = arg.split_once('=').map_or((arg, None), |(key, text)| (key, Some(text.into())));
        Self { number, key: key.into(), text }
    }
}

fn one_of(option: &str, known: &[&str], found: Option<&str>) -> Problem {
    let hint = names::hint(found.unwrap_or_default(), known.iter().copied());
    let found = found.map_or("nothing".into(), |found| format!("'{found}'"));
    Problem::general(format!("{option} needs one of {}, found {found}{hint}", known.join(", ")))
}

fn unknown_option(arg: &str, keys: &[&str]) -> Problem {
    let name = arg.split('=').next().unwrap_or(arg);
    let known = || options(true).map(|option| option.name);
    let bare = name.trim_start_matches('-');
    let hint = match names::nearest(bare, keys.iter().copied()) {
        Some(key) if names::nearest(name, known()).is_none() => {
            format!("; settings are written without dashes: {key}=VALUE")
        }
        _ => names::hint(name, known()),
    };
    Problem::general(format!("no option '{name}'{hint}"))
}
