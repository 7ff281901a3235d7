//! Reads and writes `params.json`, the values of a configuration.

use std::fmt;
use std::path::Path;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::Error;

use super::Config;
use super::resolve::insert;

/// The most bytes of a file of settings.
const LONGEST: u64 = 10_000_000;

/// The JSON value in a file.
pub(super) fn read(path: &Path) -> Result<Value, Error> {
    let text = crate::io::read_at_most(path, LONGEST)?;
    let not_json = |error| Error::format(path, format!("not JSON: {error}"));
    // a mark of the byte order, which some editors write, is no part of JSON
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    serde_json::from_slice::<Once>(text).map(|Once(value)| value).map_err(not_json)
}

/// A JSON value in which no object has a key twice: which of the two was meant nobody knows.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnceVisitor).map(Once)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Once(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, Once(value))) = entries.next_entry::<String, Once>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!("the key '{key}' is there twice")));
            }
            object.insert(key, value);
        }
        Ok(object.into())
    }
}

/// The text of a `params.json`: every value of `config` and the `derived` ones at their dotted keys, keys sorted.
///
/// Numbers read back to the same bits; NaN and the infinities, where a setting takes them, are the strings `NaN`,
/// `Infinity` and `-Infinity`.
///
/// ```
/// #[derive(ihead::Config)]
/// struct Args {
///     /// Width.
///     #[config(default = 64)]
///     dim: usize,
/// }
/// let text = ihead::config::settings_json(&Args { dim: 8 }, [("model.vocab_size", 65.into())]);
/// assert_eq!(text, "{\n  \"dim\": 8,\n  \"model\": {\n    \"vocab_size\": 65\n  }\n}\n");
/// ```
pub fn settings_json<'a>(
    config: &impl Config,
    derived: impl IntoIterator<Item = (&'a str, Value)>,
) -> String {
    let mut tree = match config.to_value() {
        Value::Object(tree) => tree,
        _ => Map::new(),
    };
    for (key, value) in derived {
        insert(&mut tree, key, value);
    }
    text(Value::Object(tree))
}

/// JSON with sorted keys, indented, with a newline at its end.
pub(super) fn text(mut value: Value) -> String {
    value.sort_all_objects();
    format!("{value:#}\n")
}

/// Nested values at their dotted keys, in the order in which they stand.
pub(crate) fn by_key(value: &Value) -> Vec<(String, Value)> {
    fn collect(prefix: &str, value: &Value, into: &mut Vec<(String, Value)>) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                    collect(&key, field, into);
                }
            }
            other => into.push((prefix.into(), other.clone())),
        }
    }
    let mut found = Vec::new();
    collect("", value, &mut found);
    found
}
