//! Where a value comes from.

use std::fmt;
use std::path::PathBuf;

/// Where the value of a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The configuration's own default.
    Default,
    /// The program, which gave it as a value.
    Given,
    /// The file that `--config` names.
    File(PathBuf),
    /// An argument of the command line.
    Argument {
        /// Its place, from 1.
        number: usize,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("default"),
            Self::Given => out.write_str("given by the program"),
            Self::File(file) => write!(out, "file {}", file.display()),
            Self::Argument { number } => write!(out, "argument {number}"),
        }
    }
}
