//! One line about what is wrong with a configuration.

use std::fmt;

/// An error in the value of a key, or in the whole configuration if the key is empty.
///
/// ```
/// let problem = ihead::config::Problem::new("model_args.dim", "must be divisible by n_heads");
/// assert_eq!(problem.to_string(), "model_args.dim: must be divisible by n_heads");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The dotted key, or empty.
    pub key: String,
    /// What is wrong and what was expected, on one line.
    pub message: String,
}

impl Problem {
    /// A problem with the value of `key`.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }

    /// A problem with no single key.
    pub fn general(message: impl Into<String>) -> Self {
        Self::new("", message)
    }

    /// The same problems with `section.` before each key, for the struct that contains the group to report.
    pub fn under(section: &str, problems: Vec<Problem>) -> Vec<Problem> {
        let inside = |problem: Problem| match problem.key.as_str() {
            "" => Problem::new(section, problem.message),
            key => Problem::new(format!("{section}.{key}"), problem.message),
        };
        problems.into_iter().map(inside).collect()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => out.write_str(&self.message),
            key => write!(out, "{key}: {}", self.message),
        }
    }
}

impl From<Problem> for crate::Error {
    fn from(problem: Problem) -> Self {
        match problem.key.as_str() {
            "" => Self::Usage(problem.message),
            _ => Self::Config { key: problem.key, message: problem.message },
        }
    }
}
