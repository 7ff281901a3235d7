//! The kinds of value that a setting can have.

use serde_json::{Number, Value};

use super::bounds::Bounds;

/// The kind of values that a setting takes, from which its help, its checks and its grammar follow.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// An integer from `low` to `high`, the range of its Rust type.
    Integer {
        /// The least value of the type.
        low: i128,
        /// The greatest value of the type.
        high: i128,
    },
    /// A floating-point number.
    Float {
        /// Whether it is stored as `f32`.
        single: bool,
        /// Whether NaN and the infinities are refused.
        finite: bool,
    },
    /// Text, taken verbatim.
    Text,
    /// The path of a file or folder, taken verbatim.
    Path,
    /// One of several names.
    Choice(Vec<Choice>),
    /// A value or `null`.
    Optional(Box<Kind>),
    /// A list in brackets.
    List(Box<Kind>),
}

/// One name of a [`Kind::Choice`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The name, as it is written.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
}

/// A remark to add to "expected this, found that"; often empty.
pub(super) type Remark = String;

impl Kind {
    /// What is expected, with its bounds, as the object of "expected": `an integer of at least 1 or null`.
    pub fn describe(&self, bounds: &Bounds) -> String {
        match self {
            Self::Bool => "true or false".into(),
            Self::Integer { low: 0, .. } if bounds.min.is_none() && bounds.above.is_none() => {
                format!("an integer{}", Bounds { min: Some(0.0), ..*bounds }.phrase())
            }
            Self::Integer { .. } => format!("an integer{}", bounds.phrase()),
            Self::Float { .. } => format!("a number{}", bounds.phrase()),
            Self::Text => "text".into(),
            Self::Path => "a path".into(),
            Self::Choice(choices) => {
                let names: Vec<&str> = choices.iter().map(|choice| choice.name).collect();
                format!("one of {}", names.join(", "))
            }
            Self::Optional(inner) => format!("{} or null", inner.describe(bounds)),
            Self::List(inner) => format!("a list in brackets, each item {}", inner.describe(bounds)),
        }
    }

    /// The JSON value in the form that this kind stores it in, or an error when it is of another kind.
    pub(super) fn check(&self, value: &Value) -> Result<Value, Remark> {
        match (self, value) {
            (Self::Bool, Value::Bool(_)) | (Self::Text | Self::Path, Value::String(_)) => Ok(value.clone()),
            (Self::Integer { .. }, Value::Number(number)) => {
                self.integer(exact_integer(number).ok_or_else(Remark::new)?)
            }
            (Self::Float { .. }, Value::Number(number)) => {
                self.float(number.as_f64().ok_or_else(Remark::new)?)
            }
            (Self::Float { finite: false, .. }, Value::String(name)) => {
                non_finite(name).map(|_| value.clone()).ok_or_else(Remark::new)
            }
            (Self::Choice(_), Value::String(name)) => self.choice(name),
            (Self::Choice(_), Value::Bool(value)) => self.choice(&value.to_string()),
            (Self::Optional(_), Value::Null) => Ok(Value::Null),
            (Self::Optional(inner), _) => inner.check(value),
            (Self::List(inner), Value::Array(items)) => {
                Ok(Value::Array(items.iter().map(|item| inner.check(item)).collect::<Result<_, _>>()?))
            }
            _ => Err(Remark::new()),
        }
    }

    /// An integer as a value, if its type has it.
    pub(super) fn integer(&self, integer: i128) -> Result<Value, Remark> {
        let Self::Integer { low, high } = self else { return Err(Remark::new()) };
        if integer > *high {
            return Err(format!("; the greatest possible is {high}"));
        }
        if integer < *low {
            return Err(if *low == 0 { Remark::new() } else { format!("; the least possible is {low}") });
        }
        Number::from_i128(integer).map(Value::Number).ok_or_else(Remark::new)
    }

    /// A number as a value: rounded to its type, and finite unless the kind says otherwise.
    pub(super) fn float(&self, number: f64) -> Result<Value, Remark> {
        let Self::Float { single, finite } = self else { return Err(Remark::new()) };
        let stored = if *single { shortest(number as f32) } else { number };
        if stored.is_infinite() && number.is_finite() {
            return Err(format!("; the greatest possible is {:e}", f32::MAX));
        }
        if *finite && !stored.is_finite() {
            return Err("; it must be finite".into());
        }
        Ok(float_json(stored))
    }

    /// The name of a choice as a value; the names `true` and `false` may be written as for [`Kind::Bool`].
    pub(super) fn choice(&self, name: &str) -> Result<Value, Remark> {
        let Self::Choice(choices) = self else { return Err(Remark::new()) };
        let called = |name: &str| choices.iter().find(|choice| choice.name == name);
        let as_bool = || match name {
            "True" => called("true"),
            "False" => called("false"),
            _ => None,
        };
        match called(name).or_else(as_bool) {
            Some(choice) => Ok(Value::String(choice.name.into())),
            None => Err(crate::names::hint(name, choices.iter().map(|choice| choice.name))),
        }
    }
}

/// A number as JSON, which has no NaN and no infinities: those are the strings `NaN`, `Infinity`, `-Infinity`.
pub(super) fn float_json(number: f64) -> Value {
    let name = || match number {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    };
    Number::from_f64(number).map_or_else(|| Value::String(name().into()), Value::Number)
}

/// The number that [`float_json`] wrote.
pub(super) fn json_float(value: &Value) -> Option<f64> {
    match value {
        Value::String(name) => non_finite(name),
        _ => value.as_f64(),
    }
}

/// The `f64` that prints like this `f32`: 0.1, not 0.10000000149011612.
pub(super) fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

fn non_finite(name: &str) -> Option<f64> {
    match name {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The integer that a JSON number is, also when it is written `1e3` or `1000.0`.
fn exact_integer(number: &Number) -> Option<i128> {
    const EXACT: f64 = (1u64 << f64::MANTISSA_DIGITS) as f64;
    let whole = |float: &f64| float.fract() == 0.0 && float.abs() <= EXACT;
    number.as_i128().or_else(|| number.as_f64().filter(whole).map(|float| float as i128))
}
