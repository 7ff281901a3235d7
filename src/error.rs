//! The one error type of the library.

use std::path::{Path, PathBuf};

use crate::names;

/// A `Result` whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong: each `Display` is one line that names the key or file, the value and what was expected.
///
/// ```
/// let error = ihead::Error::unknown("parameter", "layers.0.wk", ["layers.0.wq", "output.weight"]);
/// assert_eq!(error.to_string(), "no parameter 'layers.0.wk'; did you mean 'layers.0.wq'?");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A request that cannot be met, said in a whole sentence.
    #[error("{0}")]
    Usage(String),
    /// A configuration key whose value does not fit; `key` is dotted, as on the command line.
    #[error("{key}: {message}")]
    Config {
        /// The dotted key.
        key: String,
        /// What is wrong with its value and what was expected.
        message: String,
    },
    /// The operating system refused to read or write a file.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The verb: `read`, `write`, `create`.
        what: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file was read, but its content is not what was expected.
    #[error("{}: {message}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        message: String,
    },
    /// Two sizes that must agree do not.
    #[error("{what}: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// The parameter or operation.
        what: String,
        /// The shape that was expected.
        expected: Vec<usize>,
        /// The shape that was found.
        found: Vec<usize>,
    },
    /// A name that nothing has.
    #[error("no {kind} '{name}'{hint}")]
    Unknown {
        /// What is named: `parameter`, `probe`, `layer`.
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// The nearest known name as the end of the sentence, or empty.
        hint: String,
    },
    /// A device or its engine failed.
    #[error("{device}: {message}")]
    Device {
        /// The device: `cpu`, `cuda:0`.
        device: String,
        /// What it said.
        message: String,
    },
}

impl Error {
    /// An [`Error::Usage`].
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// An [`Error::Config`].
    pub fn config(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Config { key: key.into(), message: message.into() }
    }

    /// An [`Error::Io`]: the system refused to `what` (a verb) the file at `path`.
    pub fn io(what: &'static str, path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_owned(), what, source }
    }

    /// An [`Error::Format`].
    pub fn format(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::Format { path: path.as_ref().to_owned(), message: message.into() }
    }

    /// An [`Error::Shape`].
    pub fn shape(what: impl Into<String>, expected: &[usize], found: &[usize]) -> Self {
        Self::Shape { what: what.into(), expected: expected.to_vec(), found: found.to_vec() }
    }

    /// An [`Error::Unknown`] that names the nearest of the `known` names.
    pub fn unknown<'a>(kind: &'static str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Unknown { kind, name: name.to_owned(), hint: names::hint(name, known) }
    }

    /// An [`Error::Device`].
    pub fn device(device: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Device { device: device.into(), message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn each_message_is_one_line_that_names_what_failed() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        assert_eq!(
            Error::io("read", "a/b.json", missing).to_string(),
            "cannot read a/b.json: entity not found"
        );
        assert_eq!(
            Error::shape("output.weight", &[65, 64], &[64, 65]).to_string(),
            "output.weight: expected shape [65, 64], found [64, 65]"
        );
        assert_eq!(Error::format("x.npz", "truncated").to_string(), "x.npz: truncated");
    }
}
