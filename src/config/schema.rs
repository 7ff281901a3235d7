//! What a configuration consists of, as data.

use serde_json::Value;

use super::{Bounds, Condition, FieldType, Kind, Problem, ValueField};

/// The settings and sections of a configuration, in the order of its fields.
///
/// `#[derive(Config)]` writes it; by hand it reads like this:
///
/// ```
/// use ihead::config::{Schema, Setting};
/// let schema = Schema::new("Args", "An experiment.")
///     .setting(Setting::new("dim", "Width of the residual stream.", &64usize).min(1.0));
/// assert_eq!(schema.settings()[0].key, "dim");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// The name of the type.
    pub name: &'static str,
    /// What it is for, from its doc comment.
    pub help: &'static str,
    /// Settings and sections.
    pub items: Vec<Item>,
    /// Further dotted keys that a `params.json` may have. They are derived from the settings and not read.
    pub derived: Vec<String>,
}

/// An entry of a [`Schema`].
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A key with a value.
    Setting(Setting),
    /// A key with settings of its own.
    Section {
        /// The key.
        key: &'static str,
        /// What the section is for.
        help: &'static str,
        /// Its settings, with the defaults that hold here.
        schema: Schema,
    },
}

/// A key with a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The key inside its section.
    pub key: &'static str,
    /// What it means, from its doc comment.
    pub help: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// The range of the value.
    pub bounds: Bounds,
    /// The value that it has if the command line does not set it.
    pub default: Value,
    /// The conditions that must all hold for it to have an effect.
    pub applies: Vec<Condition>,
}

/// A setting with its dotted key.
#[derive(Clone, Debug)]
pub struct Keyed<'a> {
    /// The dotted key, as on the command line.
    pub key: String,
    /// The setting.
    pub setting: &'a Setting,
}

impl Schema {
    /// A schema without settings.
    pub fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, items: Vec::new(), derived: Vec::new() }
    }

    /// Adds a setting.
    pub fn setting(mut self, setting: Setting) -> Self {
        self.items.push(Item::Setting(setting));
        self
    }

    /// Adds a section; an empty `help` takes that of its type.
    pub fn section(mut self, key: &'static str, help: &'static str, schema: Schema) -> Self {
        let help = if help.is_empty() { schema.help } else { help };
        self.derived.extend(schema.derived.iter().map(|derived| format!("{key}.{derived}")));
        self.items.push(Item::Section { key, help, schema });
        self
    }

    /// Adds the settings of `schema` at this level.
    pub fn flatten(mut self, schema: Schema) -> Self {
        self.derived.extend(schema.derived);
        self.items.extend(schema.items);
        self
    }

    /// Adds a key that a `params.json` may have and that is not read back.
    pub fn derived(mut self, key: impl Into<String>) -> Self {
        self.derived.push(key.into());
        self
    }

    /// The same schema with other defaults: those that `values`, nested like the configuration, has.
    pub fn with_defaults(mut self, values: &Value) -> Self {
        for item in &mut self.items {
            match item {
                Item::Setting(setting) => {
                    if let Some(value) = values.get(setting.key) {
                        setting.default = value.clone();
                    }
                }
                Item::Section { key, schema, .. } => {
                    if let Some(values) = values.get(*key) {
                        *schema = schema.clone().with_defaults(values);
                    }
                }
            }
        }
        self
    }

    /// Every setting with its dotted key, section by section in the order of the fields.
    pub fn settings(&self) -> Vec<Keyed<'_>> {
        let mut all = Vec::new();
        self.collect("", &mut all);
        all
    }

    fn collect<'a>(&'a self, prefix: &str, all: &mut Vec<Keyed<'a>>) {
        for item in &self.items {
            match item {
                Item::Setting(setting) => {
                    all.push(Keyed { key: format!("{prefix}{}", setting.key), setting })
                }
                Item::Section { key, schema, .. } => schema.collect(&format!("{prefix}{key}."), all),
            }
        }
    }

    /// Whether a dotted key is that of a section, perhaps of one without settings.
    pub(super) fn has_section(&self, key: &str) -> bool {
        self.items.iter().any(|item| match item {
            Item::Section { key: section, schema, .. } => key.strip_prefix(section).is_some_and(|rest| {
                rest.is_empty() || rest.strip_prefix('.').is_some_and(|inside| schema.has_section(inside))
            }),
            Item::Setting(_) => false,
        })
    }

    /// The errors of the schema itself: a key that occurs twice, a condition that nothing can meet.
    ///
    /// The derive rules most of it out; keys that meet through `flatten` and the values of conditions it cannot see.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        for item in &self.items {
            let key = match item {
                Item::Setting(setting) => {
                    problems.extend(
                        setting.applies.iter().filter_map(|on| self.condition_problem(setting.key, on)),
                    );
                    setting.key
                }
                Item::Section { key, schema, .. } => {
                    problems.extend(Problem::under(key, schema.problems()));
                    key
                }
            };
            if seen.contains(&key) {
                problems.push(Problem::new(key, format!("two fields of {} have this key", self.name)));
            }
            seen.push(key);
        }
        problems
    }

    fn condition_problem(&self, key: &str, condition: &Condition) -> Option<Problem> {
        let setting = self.items.iter().find_map(|item| match item {
            Item::Setting(setting) if setting.key == condition.key => Some(setting),
            _ => None,
        });
        let why = match setting {
            None => format!("{} has no setting '{}'", self.name, condition.key),
            Some(setting) => setting.parse(&condition.text).err()?,
        };
        Some(Problem::new(key, format!("it applies when {condition}, but: {why}")))
    }
}

impl Setting {
    /// A setting of type `T`.
    pub fn new<T: FieldType>(key: &'static str, help: &'static str, default: &T) -> Self {
        ValueField::new(key).setting(help, default)
    }

    /// The same setting with a least value.
    pub fn min(mut self, min: f64) -> Self {
        self.bounds.min = Some(min);
        self
    }

    /// The same setting with a greatest value.
    pub fn max(mut self, max: f64) -> Self {
        self.bounds.max = Some(max);
        self
    }

    /// The same setting, whose value must be greater than this.
    pub fn above(mut self, above: f64) -> Self {
        self.bounds.above = Some(above);
        self
    }

    /// The same setting, whose value must be less than this.
    pub fn below(mut self, below: f64) -> Self {
        self.bounds.below = Some(below);
        self
    }

    /// The same setting, which also takes NaN and the infinities.
    pub fn nan(mut self) -> Self {
        self.kind = self.kind.with_non_finite();
        self
    }

    /// The same setting, which has an effect only when `conditions` hold: `use_sgd=true`, several joined by ` and `.
    pub fn applies(mut self, conditions: &str) -> Self {
        self.applies = Condition::all(conditions);
        self
    }

    /// What values it takes, as the object of "expected".
    pub fn expected(&self) -> String {
        self.kind.describe(&self.bounds)
    }

    /// The value of a `text` of the command line. An error says what was expected.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let found = if text.is_empty() { "nothing after '='".into() } else { format!("'{text}'") };
        let value = self.kind.parse(text).map_err(|remark| self.misfit(&found, &remark))?;
        self.within(&value).then_some(value).ok_or_else(|| self.misfit(&found, ""))
    }

    /// The value of `json` from a `params.json`, in the form in which it is saved. An error says what was expected.
    pub fn check(&self, json: &Value) -> Result<Value, String> {
        let found = json.to_string();
        let value = self.kind.check(json).map_err(|remark| self.misfit(&found, &remark))?;
        self.within(&value).then_some(value).ok_or_else(|| self.misfit(&found, ""))
    }

    fn misfit(&self, found: &str, remark: &str) -> String {
        format!("expected {}, found {found}{remark}", self.expected())
    }

    fn within(&self, value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().all(|item| self.within(item)),
            Value::Number(number) => number.as_f64().is_none_or(|number| self.bounds.contain(number)),
            Value::String(_) if matches!(self.kind.innermost(), Kind::Float { .. }) => {
                super::kind::json_float(value).is_none_or(|number| self.bounds.contain(number))
            }
            _ => true,
        }
    }
}

impl Kind {
    /// The kind inside lists and optional values.
    pub(super) fn innermost(&self) -> &Kind {
        match self {
            Self::Optional(inner) | Self::List(inner) => inner.innermost(),
            kind => kind,
        }
    }

    fn with_non_finite(self) -> Self {
        match self {
            Self::Float { single, .. } => Self::Float { single, finite: false },
            Self::Optional(inner) => Self::Optional(Box::new(inner.with_non_finite())),
            Self::List(inner) => Self::List(Box::new(inner.with_non_finite())),
            kind => kind,
        }
    }
}
