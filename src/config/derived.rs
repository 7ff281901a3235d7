//! What follows from the values of a configuration.

use serde_json::Value;

use super::kind::Kind;

/// A value that follows from the settings: `--explain` shows it with its reason.
///
/// ```
/// use ihead::Config;
/// use ihead::config::{Derived, Exit, parse};
///
/// /// A rectangle.
/// #[derive(Config)]
/// #[config(derive = Rectangle::area)]
/// struct Rectangle {
///     /// One side.
///     #[config(default = 2)]
///     width: u32,
///     /// The other side.
///     #[config(default = 3)]
///     height: u32,
/// }
///
/// impl Rectangle {
///     fn area(&self) -> Vec<Derived> {
///         vec![Derived::new("area", self.width * self.height, "width times height")]
///     }
/// }
///
/// let Err(Exit::Print { text, .. }) = parse::<Rectangle>(["--explain", "width=5"].map(String::from)) else { panic!() };
/// assert_eq!(text, "width=5   argument 2\nheight=3  default\narea=15   derived: width times height\n");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Derived {
    /// The dotted key. If it is the key of a setting that was left at null, `value` is what null means.
    pub key: String,
    /// The value.
    pub value: Value,
    /// What it follows from.
    pub reason: String,
}

impl Derived {
    /// The value of `key`, which follows from `reason`.
    pub fn new(key: impl Into<String>, value: impl Into<Value>, reason: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into(), reason: reason.into() }
    }

    /// The same values with `section.` before each key, for the struct that contains the group to report.
    pub fn under(section: &str, derived: Vec<Derived>) -> Vec<Derived> {
        let inside = |derived: Derived| Self { key: format!("{section}.{}", derived.key), ..derived };
        derived.into_iter().map(inside).collect()
    }

    /// `key=value`, as on the command line.
    pub(super) fn assignment(&self) -> String {
        format!("{}={}", self.key, Kind::Text.to_text(&self.value))
    }
}
