//! From a command line to a configuration.

use std::marker::PhantomData;
use std::path::Path;

use serde_json::{Map, Value};

use super::arguments::{Arguments, Print};
use super::resolve::Resolution;
use super::tree::Reader;
use super::{Config, Derived, Order, Origin, Problem, Schema, completions, file, help, json_schema};

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
        sorted(&self.args)
    }

    /// Where the value of a dotted key comes from.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.origins.iter().find(|(known, _)| known == key).map(|(_, origin)| origin)
    }
}

/// The values of a configuration, with sorted keys.
fn sorted<A: Config>(args: &A) -> Value {
    let mut value = args.to_value();
    value.sort_all_objects();
    value
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
///     /// Learning rate.
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
    options: Options,
    config: PhantomData<fn() -> A>,
}

/// The options, whatever is read.
#[derive(Clone, Debug)]
struct Options {
    program: String,
    derived: Vec<String>,
    sweeps: bool,
}

impl<A: Config> Default for Parser<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Config> Parser<A> {
    /// The options of [`parse`] at their defaults.
    pub fn new() -> Self {
        let options = Options { program: "PROGRAM".into(), derived: Vec::new(), sweeps: false };
        Self { options, config: PhantomData }
    }

    /// Sets the name of the program that the help shows. Words that the program takes beside its settings may follow, as in
    /// `collect DIR...`; completions are for the first word.
    pub fn program(mut self, name: impl Into<String>) -> Self {
        self.options.program = name.into();
        self
    }

    /// Names dotted keys that a `--config` file may hold besides those of the schema. They are not read.
    pub fn derived<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.options.derived.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Offers sweeps in the help and in completions, if there is a setting for the folder of a run.
    pub(super) fn sweeps(mut self) -> Self {
        self.options.sweeps = A::schema().settings().iter().any(|keyed| keyed.key == "save_dir");
        self
    }

    /// Reads a command line, as [`parse`].
    pub fn parse(&self, args: impl IntoIterator<Item = String>) -> Result<Parsed<A>, Exit> {
        let mut made = Made::<A>(None);
        let read = self.options.read(args.into_iter().collect(), &A::schema(), &mut made)?;
        let Read { warnings, origins, once } = read;
        Ok(Parsed { args: made.taken(), warnings, origins, once })
    }
}

/// What a command line says besides the configuration.
struct Read {
    warnings: Vec<Problem>,
    origins: Vec<(String, Origin)>,
    once: bool,
}

/// A configuration that is made of values, and then asked about them; its type is not known.
trait Making {
    /// Makes it of all its values, nested.
    fn make(&mut self, values: &Map<String, Value>) -> Result<(), Vec<Problem>>;
    fn validate(&self) -> Vec<Problem>;
    fn warnings(&self) -> Vec<Problem>;
    fn derivations(&self) -> Vec<Derived>;
    fn to_json(&self) -> Value;
}

/// The configuration, once it is made.
struct Made<A>(Option<A>);

impl<A> Made<A> {
    /// It, where nothing was refused.
    fn taken(self) -> A {
        self.0.expect("a configuration is made of values of which none is refused")
    }
}

impl<A: Config> Making for Made<A> {
    fn make(&mut self, values: &Map<String, Value>) -> Result<(), Vec<Problem>> {
        self.0 = Some(Reader::new(values).finish()?);
        Ok(())
    }

    fn validate(&self) -> Vec<Problem> {
        self.0.as_ref().map_or_else(Vec::new, Config::validate)
    }

    fn warnings(&self) -> Vec<Problem> {
        self.0.as_ref().map_or_else(Vec::new, Config::warnings)
    }

    fn derivations(&self) -> Vec<Derived> {
        self.0.as_ref().map_or_else(Vec::new, Config::derivations)
    }

    fn to_json(&self) -> Value {
        self.0.as_ref().map_or(Value::Null, sorted)
    }
}

impl Options {
    /// Reads a command line, whatever configuration is made of it.
    fn read(&self, args: Vec<String>, schema: &Schema, made: &mut dyn Making) -> Result<Read, Exit> {
        let mut resolution = Resolution::new(schema, &self.derived);
        let arguments = Arguments::split(args, &resolution.keys());
        let print = |text| Err(Exit::Print { text, warnings: Vec::new() });
        match arguments.print {
            _ if arguments.help => return print(help::help(&self.program, schema, self.sweeps)),
            Some(Print::Completions(shell)) if arguments.problems.is_empty() => {
                let name = self.program.split_whitespace().next().unwrap_or_default();
                return print(completions::completions(shell, name, schema, self.sweeps));
            }
            Some(Print::Schema) if arguments.problems.is_empty() => {
                return print(format!("{:#}\n", json_schema::json_schema(schema)));
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
        configuration(&mut resolution, made).map_err(Exit::Fail)?;
        let mut warnings = resolution.idle();
        warnings.extend(resolution.set_by_someone(made.warnings()));
        match arguments.print {
            Some(Print::Explanation) => {
                print(help::explain(&resolution.entries, &warnings, &made.derivations()))
            }
            Some(_) => Err(Exit::Print { text: file::text(made.to_json()), warnings }),
            None => {
                let origins = resolution.entries.into_iter().map(|entry| (entry.key, entry.origin)).collect();
                Ok(Read { warnings, origins, once: arguments.once })
            }
        }
    }
}

/// The configuration of nested values: a key that they lack has its default, one too many is a problem.
pub(super) fn from_value<A: Config>(values: &Value) -> Result<A, Vec<Problem>> {
    let (schema, mut made) = (A::schema(), Made(None));
    let mut resolution = Resolution::new(&schema, &[]);
    resolution.lay(values, None);
    configuration(&mut resolution, &mut made)?;
    Ok(made.taken())
}

/// Makes the configuration; its fields are checked together unless a value was refused, which leaves a stand-in.
fn configuration(resolution: &mut Resolution<'_>, made: &mut dyn Making) -> Result<(), Vec<Problem>> {
    let mut problems = std::mem::take(&mut resolution.problems);
    if resolution.refused {
        return Err(problems);
    }
    match made.make(&resolution.tree()) {
        Ok(()) => problems.extend(made.validate()),
        Err(more) => {
            problems.extend(more);
            return Err(problems);
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}
