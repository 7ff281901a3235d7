//! Typed values out of a nested JSON object, and into one.

use serde_json::{Map, Value};

use super::{Config, FieldType, Problem};

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

    /// The value of a setting; a value that does not fit is noted.
    pub fn value<T: FieldType>(&mut self, key: &str) -> Option<T> {
        let read = T::from_json(self.values.get(key).unwrap_or(&Value::Null));
        read.map_err(|message| self.problems.push(Problem::new(key, message))).ok()
    }

    /// The settings of a section.
    pub fn section<C: Config>(&mut self, key: &str) -> Option<C> {
        let Some(Value::Object(values)) = self.values.get(key) else {
            self.problems.push(Problem::new(key, "expected a section"));
            return None;
        };
        let read = Reader::new(values).finish();
        read.map_err(|problems| self.problems.extend(Problem::under(key, problems))).ok()
    }
}

/// Writes the fields of a configuration into a JSON object.
#[derive(Debug, Default)]
pub struct Writer {
    values: Map<String, Value>,
}

impl Writer {
    /// Adds the value of a setting.
    pub fn value<T: FieldType>(&mut self, key: &str, value: &T) {
        self.values.insert(key.into(), value.to_json());
    }

    /// Adds a section.
    pub fn section<C: Config>(&mut self, key: &str, section: &C) {
        self.values.insert(key.into(), section.to_value());
    }

    /// The object.
    pub fn finish(self) -> Value {
        Value::Object(self.values)
    }
}
