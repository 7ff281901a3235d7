//! Command lines from structs: `#[derive(Config)]` makes each field a setting, with its default, bounds and help text.
//!
//! A configuration is a struct, and all about a setting is written at its field:
//!
//! ```
//! use ihead::{Config, config};
//!
//! /// Settings of the optimiser.
//! #[derive(Config, Clone, Debug, PartialEq)]
//! struct OptimArgs {
//!     /// Learning rate.
//!     #[config(default = 0.2, min = 0.0)]
//!     learning_rate: f64,
//!     /// SGD instead of AdamW.
//!     #[config(default = true)]
//!     use_sgd: bool,
//!     /// Momentum of SGD.
//!     #[config(default = 0.9, min = 0.0, max = 1.0, applies = "use_sgd=true")]
//!     momentum: f64,
//! }
//!
//! #[derive(Config)]
//! struct Args {
//!     #[config(group, default(learning_rate = 3e-4))]
//!     optim_args: OptimArgs,
//!     /// Number of steps; without it, until stopped.
//!     #[config(min = 1)]
//!     max_iters: Option<usize>,
//! }
//!
//! let line = ["optim_args.momentum=0.5", "max_iters=1e3"].map(String::from);
//! let args = config::parse::<Args>(line).unwrap().args;
//! assert_eq!(args.max_iters, Some(1000));
//! assert_eq!(args.optim_args, OptimArgs { learning_rate: 3e-4, use_sgd: true, momentum: 0.5 });
//! ```
//!
//! # Attributes of a field
//! | `#[config(...)]` | |
//! |---|---|
//! | `default = VALUE` | required, but for `Option` (null) and `Vec` (empty); a literal is converted to the field's type |
//! | `min`, `max` | inclusive bounds of a number, of each item of a list, of an optional value |
//! | `above`, `below` | exclusive bounds |
//! | `applies = "key=value"` | has an effect only then; also `key!=value`, several joined by ` and `; keys of the same struct |
//! | `nan` | NaN and infinities are values too |
//! | `rename = "key"` | the key, instead of the field's name |
//! | `group` | a section: the field's type derives `Config`; `group, default(a = 1, b.c = Some(2))` overrides its defaults, by values of their types |
//! | `flatten` | the settings of the field's type, at this level; also with `default(...)` |
//!
//! # Attributes of the struct
//! | `#[config(...)]` | |
//! |---|---|
//! | `validate = path` | a `fn(&Self) -> Vec<Problem>` that checks values together |
//! | `warn = path` | a `fn(&Self) -> Vec<Problem>` that names values which have no effect, and why |
//! | `derive = path` | a `fn(&Self) -> Vec<Derived>`: what follows from the values, for `--explain` |
//! | `derived("key")` | a key that a `params.json` may have and that is not read |
//!
//! On a variant of an enum: `rename = "name"`. The derive also implements [`Default`], by [`Config::defaults`], so that code
//! can write `Args { dim: 128, ..Default::default() }`.
//!
//! # Options that every program has
//! `--help`, `--config FILE`, `--print-config`, `--explain` (each value with its origin), `--schema` (a JSON Schema of the
//! file that `--config` reads), `--completions bash|zsh|fish`.

mod arguments;
mod bounds;
mod completions;
mod condition;
mod derived;
mod entry;
mod field_type;
mod file;
mod handle;
mod help;
mod json_schema;
mod kind;
mod order;
mod origin;
mod parse;
mod problem;
mod resolve;
mod schema;
mod text;
mod tree;

pub use arguments::words;
pub use bounds::Bounds;
pub use condition::Condition;
pub use derived::Derived;
pub use entry::{main, main_with};
pub use field_type::FieldType;
pub(crate) use file::by_key;
pub use file::settings_json;
#[doc(hidden)]
pub use handle::{SectionField, ValueField};
pub use ihead_macros::Config;
pub use kind::{Choice, Kind};
pub use order::{Emit, Order};
pub use origin::Origin;
pub use parse::{Exit, Parsed, Parser, parse};
pub use problem::Problem;
pub use schema::{Item, Keyed, Schema, Setting};
pub use serde_json::Value;
#[doc(hidden)]
pub use tree::{Reader, Writer};

/// A struct of settings: derive it.
///
/// The derive is described in [the module](self).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a section of settings",
    label = "not a struct with `#[derive(Config)]`",
    note = "`#[config(group)]` and `#[config(flatten)]` mark fields whose type is a struct with `#[derive(Config)]`; leave them out for a single value"
)]
pub trait Config: Sized {
    /// Its settings and sections.
    fn schema() -> Schema;

    /// The configuration in which nothing is set.
    fn defaults() -> Self;

    /// Reads every field. The result is `None` if a value did not fit; the reader keeps what was wrong with it.
    fn read(from: &mut Reader<'_>) -> Option<Self>;

    /// Writes every field to a JSON object.
    fn write(&self, to: &mut Writer);

    /// Says what is wrong with values that fit their fields one by one and do not fit together.
    fn validate(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Lists the values that have no effect beside the others, each with the reason.
    ///
    /// A value that nobody set is not warned of; nor is one needed for what `applies` says already.
    fn warnings(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// What follows from the values, for `--explain`: the number that stands for "all cores", a size that the data decide.
    fn derivations(&self) -> Vec<Derived> {
        Vec::new()
    }

    /// The configuration of nested JSON: a key that it lacks has its default, an unknown one is a problem.
    fn from_value(values: &Value) -> Result<Self, Vec<Problem>> {
        parse::from_value(values)
    }

    /// All values as nested JSON, in the order of the fields.
    fn to_value(&self) -> Value {
        let mut writer = Writer::default();
        self.write(&mut writer);
        writer.finish()
    }
}
