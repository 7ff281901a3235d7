//! When a setting has an effect.

use std::fmt;

/// A condition on a setting of the same section: `use_sgd=true`, `save_dir!=null`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The key, in the same section.
    pub key: String,
    /// Whether the value must be equal (`=`) or different (`!=`).
    pub equal: bool,
    /// The value, in the grammar of the command line.
    pub text: String,
}

impl Condition {
    /// The conditions joined by ` and ` in `text`; a part with no `=` has an empty value.
    pub(super) fn all(text: &str) -> Vec<Self> {
        text.split(" and ").map(|part| Self::one(part.trim())).collect()
    }

    fn one(part: &str) -> Self {
        let (key, text) = part.split_once('=').unwrap_or((part, ""));
        let (key, equal) = key.strip_suffix('!').map_or((key, true), |key| (key, false));
        Self { key: key.into(), equal, text: text.into() }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}{}", self.key, if self.equal { "=" } else { "!=" }, self.text)
    }
}
