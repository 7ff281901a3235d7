//! From a command line to a configuration.

use std::marker::PhantomData;
use std::path::Path;

use serde_json::Value;

use super::arguments::{Arguments, Print};
use super::resolve::Resolution;
use super::tree::Reader;
use super::{Config, Order, Origin, Problem, completions, file, help, json_schema};

/// A configuration, with the origin of each value and the warnings about it.
#[derive(Clone, Debug)]
pub struct Parsed<A> {
    /// The configuration.
    pub args: A,
    /// Settings that were set and have no effect.
    pub warnings: Vec<Problem>,
    /// Each dotted key and where its value comes from, in the order of the schema.
    pub origins: Vec<(String, Origin)>,
    /// Whether `--once` was given: then the program does nothing if the folder of the run already holds this run, finished.
    pub once: bool,
}

impl<A: Config> Parsed<A> {
    /// The values as nested JSON with sorted keys; numbers read back to the same bits.
    pub fn to_json(&self) -> Value {
        let mut value = self.args.to_value();
        value.sort_all_objects();
        value
    }

    /// Where the value of a dotted key comes from.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.origins.iter().find(|(known, _)| known == key).map(|(_, origin)| origin)
    }
}

/// The reason why a command line gives no configuration: help was asked for, it has errors, or it asks for a sweep.
#[derive(Clone, Debug, PartialEq)]
pub enum Exit {
    /// It asked for a text, such as the help, which belongs on standard output; the exit status is 0.
    Print {
        /// The text.
        text: String,
        /// Warnings, for standard error.
        warnings: Vec<Problem>,
    },
    /// It has errors: each problem is a line for standard error, and the exit status is 2.
    Fail(Vec<Problem>),
    /// It asks for a sweep, which [`main`](super::main) carries out.
    Sweep(Order),
}

/// Reads a command line as the configuration `A`; `args` begin after the name of the program.
///
/// Everything that is wrong is reported at once, in the order: file, arguments, values together.
///
/// ```
/// # use ihead::config::Exit;
/// #[derive(ihead::Config)]
/// struct Args {
///     /// Step size.
///     #[config(default = 0.2, min = 0.0)]
///     learning_rate: f64,
/// }
/// let line = |arg: &str| ihead::config::parse::<Args>([arg.to_owned()]);
/// assert_eq!(line("learning_rate=1e-4").unwrap().args.learning_rate, 1e-4);
/// let Err(Exit::Fail(problems)) = line("learning_rat=1") else { unreachable!() };
/// assert_eq!(problems[0].to_string(), "no setting 'learning_rat'; did you mean 'learning_rate'?");
/// ```
pub fn parse<A: Config>(args: impl IntoIterator<Item = String>) -> Result<Parsed<A>, Exit> {
    Parser::new().parse(args)
}

/// Options of [`parse`].
#[derive(Clone, Debug)]
pub struct Parser<A> {
    program: String,
    derived: Vec<String>,
    sweeps: bool,
    config: PhantomData<fn() -> A>,
}

impl<A: Config> Default for Parser<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Config> Parser<A> {
    /// The options of [`parse`] at their defaults.
    pub fn new() -> Self {
        Self { program: "PROGRAM".into(), derived: Vec::new(), sweeps: false, config: PhantomData }
    }

    /// Sets the name of the program that the help shows. Words that the program takes beside its settings may follow, as in
    /// `collect DIR...`; completions are for the first word.
    pub fn program(mut self, name: impl Into<String>) -> Self {
        self.program = name.into();
        self
    }

    /// Names dotted keys that a `--config` file may hold besides those of the schema. They are not read.
    pub fn derived<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.derived.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Offers sweeps in the help and in completions, if there is a setting for the folder of a run.
    pub(super) fn sweeps(mut self) -> Self {
        self.sweeps = A::schema().settings().iter().any(|keyed| keyed.key == "save_dir");
        self
    }

    /// Reads a command line, as [`parse`].
    pub fn parse(&self, args: impl IntoIterator<Item = String>) -> Result<Parsed<A>, Exit> {
        let schema = A::schema();
        let mut resolution = Resolution::new(&schema, &self.derived);
        let arguments = Arguments::split(args, &resolution.keys());
        let print = |text| Err(Exit::Print { text, warnings: Vec::new() });
        match arguments.print {
            _ if arguments.help => return print(help::help(&self.program, &schema, self.sweeps)),
            Some(Print::Completions(shell)) if arguments.problems.is_empty() => {
                let name = self.program.split_whitespace().next().unwrap_or_default();
                return print(completions::completions(shell, name, &schema, self.sweeps));
            }
            Some(Print::Schema) if arguments.problems.is_empty() => {
                return print(format!("{:#}\n", json_schema::json_schema(&schema)));
            }
            _ => {}
        }
        if let Some(config) = arguments.config.as_deref().map(Path::new) {
            match file::read(config) {
                Ok(values) => resolution.lay(&values, Some(config)),
                Err(error) => resolution.problems.push(Problem::general(error.to_string())),
            }
        }
        arguments.settings.iter().for_each(|argument| resolution.argue(argument));
        resolution.problems.extend(arguments.problems);
        if let Some(order) = arguments.order {
            // values that do not fit together may be those of an axis, so that only the runs can be checked
            return Err(match resolution.problems.is_empty() {
                true => Exit::Sweep(order),
                false => Exit::Fail(resolution.problems),
            });
        }
        let args: A = configuration(&mut resolution).map_err(Exit::Fail)?;
        let mut warnings = resolution.idle();
        warnings.extend(resolution.set_by_someone(args.warnings()));
        match arguments.print {
            Some(Print::Explanation) => {
                let text = help::explain(&resolution.entries, &warnings, &args.derivations());
                Err(Exit::Print { text, warnings: Vec::new() })
            }
            Some(_) => {
                let parsed = Parsed { args, warnings, origins: Vec::new(), once: false };
                Err(Exit::Print { text: file::text(parsed.to_json()), warnings: parsed.warnings })
            }
            None => {
                let origins = resolution.entries.into_iter().map(|entry| (entry.key, entry.origin)).collect();
                Ok(Parsed { args, warnings, origins, once: arguments.once })
            }
        }
    }
}

/// The configuration of nested values: a key that they lack has its default, one too many is a problem.
pub(super) fn from_value<A: Config>(values: &Value) -> Result<A, Vec<Problem>> {
    let schema = A::schema();
    let mut resolution = Resolution::new(&schema, &[]);
    resolution.lay(values, None);
    configuration(&mut resolution)
}

/// The typed configuration; its fields are checked together unless a value was refused, which leaves a stand-in.
fn configuration<A: Config>(resolution: &mut Resolution<'_>) -> Result<A, Vec<Problem>> {
    let mut problems = std::mem::take(&mut resolution.problems);
    if resolution.refused {
        return Err(problems);
    }
    match Reader::new(&resolution.tree()).finish::<A>() {
        Ok(args) => {
            problems.extend(args.validate());
            if problems.is_empty() { Ok(args) } else { Err(problems) }
        }
        Err(more) => {
            problems.extend(more);
            Err(problems)
        }
    }
}
