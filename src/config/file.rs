//! Records of a configuration: reading and writing `params.json`.

use std::path::Path;

use serde_json::{Map, Value};

use crate::Error;

use super::Config;
use super::resolve::insert;

/// The JSON value in a file.
pub(super) fn read(path: &Path) -> Result<Value, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::io("read", path, source))?;
    serde_json::from_str(&text).map_err(|error| Error::format(path, format!("not JSON: {error}")))
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
