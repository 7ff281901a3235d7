//! Defaults, a file and arguments, laid over each other.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::names;

use super::arguments::Argument;
use super::schema::{Keyed, Schema, Setting};
use super::{Origin, Problem};

/// The values of all settings while layers are laid over each other, with all that was wrong.
#[derive(Debug)]
pub(super) struct Resolution<'a> {
    pub entries: Vec<Entry<'a>>,
    pub problems: Vec<Problem>,
    /// Whether a value was refused, so that its default stands in its place.
    pub refused: bool,
    derived: Vec<&'a str>,
    schema: &'a Schema,
}

/// A setting with its value.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub key: String,
    pub setting: &'a Setting,
    pub value: Value,
    pub origin: Origin,
}

impl<'a> Resolution<'a> {
    /// The defaults; each is checked like any other value.
    pub fn new(schema: &'a Schema, derived: &'a [String]) -> Self {
        let entry = |Keyed { key, setting }| Entry {
            key,
            setting,
            value: setting.default.clone(),
            origin: Origin::Default,
        };
        let entries: Vec<Entry<'a>> = schema.settings().into_iter().map(entry).collect();
        let derived = schema.derived.iter().chain(derived).map(String::as_str).collect();
        let mut new = Self { entries, problems: schema.problems(), refused: false, derived, schema };
        new.check_defaults();
        new
    }

    fn check_defaults(&mut self) {
        for Entry { key, setting, value, .. } in &mut self.entries {
            match setting.check(value) {
                Ok(checked) => *value = checked,
                Err(why) => {
                    self.refused = true;
                    self.problems
                        .push(Problem::new(key.as_str(), format!("its default does not fit: {why}")));
                }
            }
        }
    }

    /// Every key.
    pub fn keys(&self) -> Vec<&str> {
        self.entries.iter().map(|entry| entry.key.as_str()).collect()
    }

    /// Lays nested values over what is there; `file` is where they are from, if from a file.
    pub fn lay(&mut self, values: &Value, file: Option<&Path>) {
        match values {
            Value::Object(values) => {
                let strangers = self.strangers(values);
                let (n, all) = (strangers.len(), values.len());
                if file.is_some() && n > 3 && 2 * n > all {
                    // another file of a run, perhaps: one line for all
                    let expected =
                        "are no settings of this program; expected the params.json of one of its runs";
                    let message = format!("{n} of its {all} keys, such as '{}', {expected}", strangers[0]);
                    self.complain(file, "", message);
                } else {
                    self.lay_section("", values, file);
                }
            }
            other => {
                self.complain(file, "", format!("expected an object of settings, found {}", brief(other)))
            }
        }
    }

    /// The keys that are no setting or section, nor near one.
    fn strangers<'v>(&self, values: &'v Map<String, Value>) -> Vec<&'v str> {
        let keys = self.keys();
        let derived = |key: &str| self.derived.iter().any(|known| known.split('.').next() == Some(key));
        let known = |key: &str| keys.contains(&key) || self.schema.has_section(key) || derived(key);
        let stranger = |key: &&str| !known(key) && names::nearest(key, keys.iter().copied()).is_none();
        values.keys().map(String::as_str).filter(stranger).collect()
    }

    fn lay_section(&mut self, prefix: &str, values: &Map<String, Value>, file: Option<&Path>) {
        for (name, value) in values {
            let key = format!("{prefix}{name}");
            if let Some(entry) = self.entries.iter_mut().find(|entry| entry.key == key) {
                match entry.setting.check(value) {
                    Ok(checked) => {
                        entry.value = checked;
                        entry.origin = Origin::given(file);
                    }
                    Err(why) => {
                        self.refused = true;
                        self.complain(file, &key, why);
                    }
                }
            } else if self.schema.has_section(&key) {
                match value {
                    Value::Object(values) => self.lay_section(&format!("{key}."), values, file),
                    other => self.complain(file, &key, format!("is a section, found {}", brief(other))),
                }
            } else if !self.derived.contains(&key.as_str()) {
                let hint = names::hint(&key, self.keys());
                self.complain(file, "", format!("no setting '{key}'{hint}"));
            }
        }
    }

    fn complain(&mut self, file: Option<&Path>, key: &str, message: String) {
        let key = match (file, key) {
            (None, key) => key.into(),
            (Some(file), "") => file.display().to_string(),
            (Some(file), key) => format!("{}: {key}", file.display()),
        };
        self.problems.push(Problem { key, message });
    }

    /// Lays one argument over what is there.
    pub fn argue(&mut self, argument: &Argument) {
        let Argument { number, key, text } = argument;
        let Some(at) = self.entries.iter().position(|entry| entry.key == *key) else {
            self.problems.push(self.unknown(key, text.is_some()));
            return;
        };
        let entry = &mut self.entries[at];
        let Some(text) = text else {
            let message = format!("no value: write {key}=VALUE; expected {}", entry.setting.expected());
            self.problems.push(Problem::new(key.as_str(), message));
            return;
        };
        let value = match entry.setting.parse(text) {
            Ok(value) => value,
            Err(why) => {
                self.refused = true;
                self.problems.push(Problem::new(key.as_str(), why));
                return;
            }
        };
        match &entry.origin {
            Origin::Argument { number: first, .. } if entry.value != value => {
                let was = entry.setting.kind.to_text(&entry.value);
                let message =
                    format!("given twice: {was} in argument {first} and {text} in argument {number}");
                self.problems.push(Problem::new(key.as_str(), message));
            }
            Origin::Argument { .. } => {}
            _ => {
                entry.value = value;
                entry.origin = Origin::Argument { number: *number };
            }
        }
    }

    fn unknown(&self, key: &str, assigned: bool) -> Problem {
        if self.schema.has_section(key) {
            let start = format!("{key}.");
            let first = self.keys().into_iter().find(|known| known.starts_with(&start));
            return Problem::new(
                key,
                match first {
                    Some(first) => format!("is a section: set one of its settings, like {first}=VALUE"),
                    None => "is a section without settings".into(),
                },
            );
        }
        let what = if assigned { "setting" } else { "setting or option" };
        let hint = names::hint(key, self.keys());
        let hint = if hint.is_empty() { "; --help lists them all".into() } else { hint };
        Problem::general(format!("no {what} '{key}'{hint}"))
    }

    /// The settings that arguments set and that have no effect, each with the condition it lacks.
    pub fn idle(&self) -> Vec<Problem> {
        let set = |entry: &&Entry<'_>| matches!(entry.origin, Origin::Argument { .. });
        self.entries.iter().filter(set).filter_map(|entry| self.idle_entry(entry)).collect()
    }

    fn idle_entry(&self, entry: &Entry<'_>) -> Option<Problem> {
        let section = entry.key.strip_suffix(entry.setting.key).unwrap_or_default();
        let lacking = entry.setting.applies.iter().find(|condition| {
            let key = format!("{section}{}", condition.key);
            let other = self.entries.iter().find(|other| other.key == key);
            other.is_some_and(|other| {
                let wanted = other.setting.parse(&condition.text).ok();
                (wanted.as_ref() == Some(&other.value)) != condition.equal
            })
        })?;
        let message = format!("has no effect: it applies when {section}{lacking}");
        Some(Problem::new(entry.key.as_str(), message))
    }

    /// Those warnings whose key somebody set; one of no key stays.
    pub fn set_by_someone(&self, warnings: Vec<Problem>) -> impl Iterator<Item = Problem> {
        warnings.into_iter().filter(|warning| {
            let entry = self.entries.iter().find(|entry| entry.key == warning.key);
            entry.is_none_or(|entry| entry.origin != Origin::Default)
        })
    }

    /// All values, nested.
    pub fn tree(&self) -> Map<String, Value> {
        let mut tree = Map::new();
        for entry in &self.entries {
            insert(&mut tree, &entry.key, entry.value.clone());
        }
        tree
    }
}

/// Puts `value` at a dotted key; what stands in the way of a section is replaced.
pub(super) fn insert(tree: &mut Map<String, Value>, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            tree.insert(key.into(), value);
        }
        Some((section, rest)) => {
            let inside = tree.entry(section).or_insert_with(|| Value::Object(Map::new()));
            if !inside.is_object() {
                *inside = Value::Object(Map::new());
            }
            if let Value::Object(inside) = inside {
                insert(inside, rest, value);
            }
        }
    }
}

impl Origin {
    fn given(file: Option<&Path>) -> Self {
        file.map_or(Self::Given, |file| Self::File(PathBuf::from(file)))
    }
}

/// A JSON value in a message: itself when it is short, else its kind.
fn brief(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        scalar => scalar.to_string(),
    }
}
