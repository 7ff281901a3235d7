//! The text of `--schema`: a JSON Schema of the file that `--config` reads.

use serde_json::{Map, Number, Value, json};

use super::bounds::Bounds;
use super::kind::Kind;
use super::resolve::insert;
use super::schema::{Item, Schema, Setting};

/// A schema of draft 2020-12. Its title is the name of the type; every property has its default and its help.
pub(super) fn json_schema(schema: &Schema) -> Value {
    let mut whole = Map::new();
    whole.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    whole.insert("title".into(), schema.name.into());
    whole.extend(section(schema, schema.help));
    let mut whole = Value::Object(whole);
    for key in &schema.derived {
        allow(&mut whole, key);
    }
    whole
}

/// The object of a section: a key that it does not name is refused, as `--config` does.
fn section(schema: &Schema, help: &str) -> Map<String, Value> {
    let properties = schema.items.iter().map(|item| match item {
        Item::Setting(one) => (one.key.to_owned(), Value::Object(setting(one))),
        Item::Section { key, help, schema } => ((*key).to_owned(), Value::Object(section(schema, help))),
    });
    let properties: Map<String, Value> = properties.collect();
    let mut object = described(help);
    object.insert("type".into(), "object".into());
    object.insert("properties".into(), properties.into());
    object.insert("additionalProperties".into(), false.into());
    object
}

fn described(help: &str) -> Map<String, Value> {
    let mut object = Map::new();
    if !help.is_empty() {
        object.insert("description".into(), help.split_whitespace().collect::<Vec<_>>().join(" ").into());
    }
    object
}

fn setting(setting: &Setting) -> Map<String, Value> {
    let mut object = described(setting.help);
    object.extend(kind(&setting.kind, &setting.bounds));
    object.insert("default".into(), setting.default.clone());
    object
}

/// The values of a kind within bounds.
fn kind(of: &Kind, bounds: &Bounds) -> Map<String, Value> {
    let value = match of {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Integer { low, high } => {
            let mut object = numbers("integer", bounds);
            // the range of the Rust type, where no bound is narrower
            for (key, open, limit) in
                [("minimum", "exclusiveMinimum", low), ("maximum", "exclusiveMaximum", high)]
            {
                if !object.contains_key(key) && !object.contains_key(open) {
                    let limit = Number::from_i128(*limit).map_or(Value::Null, Value::Number);
                    object.insert(key.into(), limit);
                }
            }
            return object;
        }
        Kind::Float { finite: true, .. } => return numbers("number", bounds),
        Kind::Float { finite: false, .. } => {
            let known = [("NaN", f64::NAN), ("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY)];
            let within = known.into_iter().filter(|(_, number)| bounds.contain(*number));
            let names: Vec<&str> = within.map(|(name, _)| name).collect();
            json!({ "anyOf": [numbers("number", bounds), { "enum": names }] })
        }
        Kind::Text | Kind::Path => json!({ "type": "string" }),
        Kind::Choice(choices) => {
            let names = choices.iter().map(|choice| choice.name);
            // a file may say true instead of "true"
            let bools = names.clone().filter_map(|name| name.parse::<bool>().ok()).map(Value::Bool);
            json!({ "enum": names.map(Value::from).chain(bools).collect::<Vec<_>>() })
        }
        Kind::Optional(inner) => json!({ "anyOf": [kind(inner, bounds), { "type": "null" }] }),
        Kind::List(inner) => json!({ "type": "array", "items": kind(inner, bounds) }),
    };
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn numbers(name: &str, bounds: &Bounds) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("type".into(), name.into());
    let all = [
        ("minimum", bounds.min),
        ("maximum", bounds.max),
        ("exclusiveMinimum", bounds.above),
        ("exclusiveMaximum", bounds.below),
    ];
    object.extend(all.into_iter().filter_map(|(key, bound)| Some((key.to_owned(), bound?.into()))));
    object
}

/// Allows a derived key, which holds anything.
fn allow(schema: &mut Value, key: &str) {
    let path = key.split('.').collect::<Vec<_>>().join(".properties.");
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        insert(properties, &path, json!({ "description": "Follows from other settings; it is not read." }));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Setting;

    #[test]
    fn bounds_and_types_become_those_of_json() {
        let small = Setting::new("n", "", &3u8).min(1.0);
        assert_eq!(
            Value::Object(setting(&small)),
            json!({ "type": "integer", "minimum": 1.0, "maximum": 255, "default": 3 })
        );
        let free = Setting::new("x", "Any\nnumber.", &1.0).above(0.0).nan();
        let number = json!({ "type": "number", "exclusiveMinimum": 0.0 });
        assert_eq!(
            Value::Object(setting(&free)),
            json!({
                "description": "Any number.",
                "anyOf": [number, { "enum": ["NaN", "Infinity"] }],
                "default": 1.0,
            })
        );
    }

    #[test]
    fn a_choice_of_true_and_false_is_a_boolean_too_as_in_a_file() {
        let kind = <crate::run::Resume as crate::config::FieldType>::kind();
        let names = super::kind(&kind, &Bounds::default());
        assert_eq!(Value::Object(names), json!({ "enum": ["false", "true", "auto", false, true] }));
    }

    #[test]
    fn a_derived_key_is_allowed_in_its_section_also_in_one_that_no_setting_has() {
        let inner = Schema::new("Inner", "").setting(Setting::new("dim", "", &1usize));
        let schema =
            Schema::new("Args", "").section("model", "", inner.derived("vocab")).derived("git.commit");
        let found = json_schema(&schema);
        assert!(found["properties"]["model"]["properties"]["vocab"].is_object());
        assert!(found["properties"]["git"]["properties"]["commit"].is_object());
    }
}
