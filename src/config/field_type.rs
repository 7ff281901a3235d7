//! The Rust types that a setting can have.

use std::path::PathBuf;

use serde_json::{Number, Value};

use super::kind::{Kind, float_json, json_float, shortest};

/// A type that a field of a configuration can have.
///
/// Implemented for `bool`, the integers up to 64 bits, `f32`, `f64`, `String`, `PathBuf`, `Option<T>` and `Vec<T>`;
/// `#[derive(Config)]` implements it for an enum whose variants carry nothing. Of another type, implement it with the
/// [`Kind`] of value that it is written as.
///
/// ```
/// use ihead::config::{FieldType, Value};
/// assert_eq!(<Vec<usize>>::from_json(&Value::from(vec![1, 2])), Ok(vec![1, 2]));
/// assert_eq!(0.1f32.to_json(), Value::from(0.1));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the type of a setting",
    label = "not a type that can be written as `key=value`",
    note = "settings are `bool`, integers, `f32`, `f64`, `String`, `PathBuf`, `Option<T>`, `Vec<T>` and enums with `#[derive(Config)]`",
    note = "a struct with `#[derive(Config)]` is a section: mark the field `#[config(group)]` or `#[config(flatten)]`"
)]
pub trait FieldType: Sized {
    /// What values it takes.
    fn kind() -> Kind;

    /// The value that `json` stands for; errors are one line that says what was expected.
    fn from_json(json: &Value) -> Result<Self, String>;

    /// The value as JSON, which `from_json` reads back.
    fn to_json(&self) -> Value;
}

fn misfit<T: FieldType>(found: &Value) -> String {
    format!("expected {}, found {found}", T::kind().describe(&Default::default()))
}

impl FieldType for bool {
    fn kind() -> Kind {
        Kind::Bool
    }
    fn from_json(json: &Value) -> Result<Self, String> {
        json.as_bool().ok_or_else(|| misfit::<Self>(json))
    }
    fn to_json(&self) -> Value {
        Value::Bool(*self)
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl FieldType for $integer {
            fn kind() -> Kind {
                Kind::Integer { low: <$integer>::MIN as i128, high: <$integer>::MAX as i128 }
            }
            fn from_json(json: &Value) -> Result<Self, String> {
                let integer = json.as_number().and_then(Number::as_i128);
                integer.and_then(|integer| integer.try_into().ok()).ok_or_else(|| misfit::<Self>(json))
            }
            fn to_json(&self) -> Value {
                Value::from(*self)
            }
        }
    )*};
}
integers!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);

impl FieldType for f64 {
    fn kind() -> Kind {
        Kind::Float { single: false, finite: true }
    }
    fn from_json(json: &Value) -> Result<Self, String> {
        json_float(json).ok_or_else(|| misfit::<Self>(json))
    }
    fn to_json(&self) -> Value {
        float_json(*self)
    }
}

impl FieldType for f32 {
    fn kind() -> Kind {
        Kind::Float { single: true, finite: true }
    }
    fn from_json(json: &Value) -> Result<Self, String> {
        json_float(json).map(|number| number as f32).ok_or_else(|| misfit::<Self>(json))
    }
    fn to_json(&self) -> Value {
        float_json(shortest(*self))
    }
}

impl FieldType for String {
    fn kind() -> Kind {
        Kind::Text
    }
    fn from_json(json: &Value) -> Result<Self, String> {
        json.as_str().map(Self::from).ok_or_else(|| misfit::<Self>(json))
    }
    fn to_json(&self) -> Value {
        Value::String(self.clone())
    }
}

impl FieldType for PathBuf {
    fn kind() -> Kind {
        Kind::Path
    }
    fn from_json(json: &Value) -> Result<Self, String> {
        json.as_str().map(Self::from).ok_or_else(|| misfit::<Self>(json))
    }
    fn to_json(&self) -> Value {
        Value::String(self.to_string_lossy().into_owned())
    }
}

impl<T: FieldType> FieldType for Option<T> {
    fn kind() -> Kind {
        Kind::Optional(Box::new(T::kind()))
    }
    fn from_json(json: &Value) -> Result<Self, String> {
        if json.is_null() { Ok(None) } else { T::from_json(json).map(Some) }
    }
    fn to_json(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_json)
    }
}

impl<T: FieldType> FieldType for Vec<T> {
    fn kind() -> Kind {
        Kind::List(Box::new(T::kind()))
    }
    fn from_json(json: &Value) -> Result<Self, String> {
        json.as_array().ok_or_else(|| misfit::<Self>(json))?.iter().map(T::from_json).collect()
    }
    fn to_json(&self) -> Value {
        self.iter().map(T::to_json).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_value_is_refused_with_what_was_expected() {
        let said = [
            bool::from_json(&json!(1)).unwrap_err(),
            u8::from_json(&json!(256)).unwrap_err(),
            usize::from_json(&json!("x")).unwrap_err(),
            f64::from_json(&json!("x")).unwrap_err(),
        ];
        for (said, found) in said.iter().zip(["1", "256", "\"x\"", "\"x\""]) {
            assert!(said.starts_with("expected ") && said.ends_with(&format!(", found {found}")), "{said}");
        }
        assert_eq!((u8::from_json(&json!(255)), i8::from_json(&json!(-128))), (Ok(255), Ok(-128)));
    }
}
