//! Typed values out of a nested JSON object, and into one.

use serde_json::{Map, Value};

use super::{Config, Problem};

/// Reads the fields of a configuration from a JSON object that has them all.
#[derive(Debug)]
pub struct Reader<'a> {
    values: &'a Map<String, Value>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// Reads from `values`.
    pub fn new(values: &'a Map<String, Value>) -> Self {
        Self { values, problems: Vec::new() }
    }

    /// The configuration, or everything that is wrong with its values.
    pub fn finish<C: Config>(mut self) -> Result<C, Vec<Problem>> {
        C::read(&mut self).ok_or(self.problems)
    }

    /// The value of `key` by its type's `from_json`; a value that does not fit is noted.
    pub(super) fn value<T>(&mut self, key: &str, from_json: fn(&Value) -> Result<T, String>) -> Option<T> {
        let read = from_json(self.values.get(key).unwrap_or(&Value::Null));
        read.map_err(|message| self.problems.push(Problem::new(key, message))).ok()
    }

    /// The section of `key` by its type's `read`.
    pub(super) fn section<C>(&mut self, key: &str, read: fn(&mut Reader<'_>) -> Option<C>) -> Option<C> {
        let empty = Map::new();
        let values = match self.values.get(key) {
            Some(Value::Object(values)) => values,
            // a section without settings has left nothing among the values
            None => &empty,
            Some(_) => {
                self.problems.push(Problem::new(key, "expected a section"));
                return None;
            }
        };
        let mut inside = Reader::new(values);
        let section = read(&mut inside);
        self.problems.extend(Problem::under(key, inside.problems));
        section
    }
}

/// Writes the fields of a configuration into a JSON object.
#[derive(Debug, Default)]
pub struct Writer {
    values: Map<String, Value>,
}

impl Writer {
    /// Adds a value.
    pub(super) fn put(&mut self, key: &str, value: Value) {
        self.values.insert(key.into(), value);
    }

    /// The object.
    pub fn finish(self) -> Value {
        Value::Object(self.values)
    }
}
