//! The one error type of the library.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crate::names;

/// A `Result` whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong. Each message is one line that names the key or file, the value and what was expected.
///
/// ```
/// let error = ihead::Error::unknown("parameter", "layers.0.wk", ["layers.0.wq", "output.weight"]);
/// assert_eq!(error.to_string(), "no parameter 'layers.0.wk'; did you mean 'layers.0.wq'?");
/// assert_eq!(format!("{error:?}"), error.to_string()); // so `fn main() -> ihead::Result<()>` prints the message
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A request that cannot be met because several things do not go together. The message is a whole sentence. An error in
    /// one thing has a variant of its own.
    #[error("{0}")]
    Usage(String),
    /// A setting that does not fit the others, or that was refused when its text was read; `key` is dotted, as on the command line.
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
    /// Two shapes that must agree do not agree.
    #[error("{what}: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// The parameter or operation.
        what: String,
        /// The shape that was expected.
        expected: Vec<usize>,
        /// The shape that was found.
        found: Vec<usize>,
    },
    /// A value is outside the range that the library accepts.
    #[error("{key}: {found}; expected {expected}")]
    Value {
        /// Whose value it is: a field such as `batch_size`, or what was given, such as a weight edit.
        key: String,
        /// The value, or what is wrong with it.
        found: String,
        /// What would have been taken.
        expected: String,
    },
    /// An index is out of range: there is no such head, token or row.
    #[error("{kind} {index} of {of}, which has {}", counted(kind, *len))]
    Index {
        /// What is counted, in the singular: `head`.
        kind: &'static str,
        /// The number, counted from 0.
        index: usize,
        /// What has them: the name of a site, a matrix.
        of: String,
        /// How many it has.
        len: usize,
    },
    /// Two things of one kind have the same name.
    #[error("two {kind} are named '{}'; {mend}", shown(name))]
    Duplicate {
        /// Their kind, in the plural: `metrics`.
        kind: &'static str,
        /// The name.
        name: String,
        /// What can be done: `name one otherwise`.
        mend: &'static str,
    },
    /// A parameter that a model reads has no values.
    #[error("'{name}' was never initialised: draw all of a model's values with `init(seed)`, or load them")]
    Uninitialised {
        /// Its name.
        name: String,
    },
    /// The folder of a run cannot be used in the way that was asked.
    #[error("{} {found}: {mend}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is there, as the rest of a sentence that begins with the folder: `holds a run (done, 400 iterations)`.
        found: String,
        /// What can be done.
        mend: String,
    },
    /// A part of something larger has an error; the part is named before it.
    #[error("{part}: {error}")]
    In {
        /// The part: `recall 'wk1', wk1.weight`.
        part: String,
        /// What is wrong there.
        error: Box<Error>,
    },
    /// The user's code panicked: a task, a point of a sweep, what a run calls. A panic of ihead itself is a defect of it.
    #[error("{what} panicked: {said}")]
    Panicked {
        /// Whose code it is.
        what: String,
        /// What the panic said.
        said: String,
    },
    /// An operation of a model got streams or matrices that do not fit. This is found while the model is recorded.
    #[error("{operation}: {found}; expected {expected}")]
    Misfit {
        /// The operation: `linear`, `sum`.
        operation: String,
        /// What it was asked of: names and shapes, as the model wrote them.
        found: String,
        /// What would have fitted.
        expected: String,
    },
    /// Nothing has the name that was given.
    #[error("no {kind} '{}'{}", shown(name), names::meant(nearest.as_deref()))]
    Unknown {
        /// What is named: `parameter`, `probe`, `layer`.
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// The known name that is nearest to it, if one is near.
        nearest: Option<String>,
    },
    /// A text, such as a timeline or a recall, does not follow its grammar.
    #[error("{kind} '{}': expected {expected}, found {found} at character {at}", shown_at(text, *at))]
    Text {
        /// What it should have been: `timeline`, `edits`, `recall`.
        kind: &'static str,
        /// The text.
        text: String,
        /// The character at which it is wrong, counted from 1.
        at: usize,
        /// What could stand there, with an example.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// A run was stopped from outside after a whole step.
    #[error("{message}")]
    Stopped {
        /// By what.
        by: Stop,
        /// Where the run stopped and how to continue it.
        message: String,
    },
    /// A loss, a gradient or a weight of a run is no longer finite.
    #[error("diverged at iteration {iteration}: {message}")]
    Diverged {
        /// The iteration whose step found it.
        iteration: usize,
        /// The number, and what was kept.
        message: String,
    },
    /// A run ended early, and something of it was kept.
    #[error("{error}; {kept}")]
    Ended {
        /// Why.
        error: Box<Error>,
        /// What is left of it, and where.
        kept: String,
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

/// The message, as [`Display`](fmt::Display) writes it: it is what `fn main() -> ihead::Result<()>` and `unwrap` print.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What stops a run from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// SIGINT, as by Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal is gone.
    HangUp,
    /// The program that read standard output has ended.
    ClosedOutput,
}

impl Stop {
    /// Returns the exit status that a shell shows for a program that a signal ends: 128 plus the number of the signal.
    pub fn status(self) -> u8 {
        match self {
            Stop::HangUp => 129,
            Stop::Interrupt => 130,
            Stop::ClosedOutput => 141,
            Stop::Terminate => 143,
        }
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Stop::HangUp => "SIGHUP",
            Stop::Interrupt => "SIGINT",
            Stop::ClosedOutput => "the end of standard output's reader",
            Stop::Terminate => "SIGTERM",
        })
    }
}

impl Error {
    /// Makes an [`Error::Stopped`]: a run was stopped from outside.
    pub fn stopped(by: Stop, message: impl Into<String>) -> Self {
        Self::Stopped { by, message: message.into() }
    }

    /// Returns what stopped the run, if it was stopped from outside.
    pub fn stop(&self) -> Option<Stop> {
        match self {
            Self::Stopped { by, .. } => Some(*by),
            Self::Ended { error, .. } => error.stop(),
            _ => None,
        }
    }

    /// Returns the exit status of a program that ends with this error: 2, or the status of what stopped it.
    pub fn status(&self) -> u8 {
        match self {
            Self::Stopped { by, .. } => by.status(),
            Self::Ended { error, .. } => error.status(),
            _ => 2,
        }
    }

    /// Makes an [`Error::Usage`] of a whole sentence.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// Makes an [`Error::Value`]: `key` has the value `found`, not one that is `expected`.
    ///
    /// ```
    /// let error = ihead::Error::value("batch_size", 0, "at least 1");
    /// assert_eq!(error.to_string(), "batch_size: 0; expected at least 1");
    /// assert!(matches!(error, ihead::Error::Value { key, .. } if key == "batch_size"));
    /// ```
    pub fn value(key: impl Into<String>, found: impl ToString, expected: impl Into<String>) -> Self {
        Self::Value { key: key.into(), found: found.to_string(), expected: expected.into() }
    }

    /// Makes an [`Error::Index`]: `of` has only `len` things of this kind.
    ///
    /// ```
    /// let error = ihead::Error::index("head", 4, "'layers.0.attention.pattern'", 4);
    /// assert_eq!(error.to_string(), "head 4 of 'layers.0.attention.pattern', which has heads 0 to 3");
    /// ```
    pub fn index(kind: &'static str, index: usize, of: impl Into<String>, len: usize) -> Self {
        Self::Index { kind, index, of: of.into(), len }
    }

    /// Makes an [`Error::Duplicate`]: two things of this kind are called `name`, and one of them can get another name.
    pub fn duplicate(kind: &'static str, name: impl Into<String>) -> Self {
        Self::Duplicate { kind, name: name.into(), mend: "name one otherwise" }
    }

    /// Makes an [`Error::Misfit`]: an operation got streams or matrices that do not fit.
    pub fn misfit(
        operation: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Misfit { operation: operation.into(), found: found.into(), expected: expected.into() }
    }

    /// Makes an [`Error::Folder`]: the folder of a run cannot be used in the way that was asked.
    pub fn folder(path: impl AsRef<Path>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Folder { path: path.as_ref().to_owned(), found: found.into(), mend: mend.into() }
    }

    /// Names the part of something larger that has this error: makes an [`Error::In`].
    pub fn of_part(self, part: impl Into<String>) -> Self {
        Self::In { part: part.into(), error: Box::new(self) }
    }

    /// What `work`, which calls code of the user's, gives; an [`Error::Panicked`] if it panics. `what` says whose code it is.
    pub(crate) fn or_panicked<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            // what follows the first line of a message, as of `assert_eq!`, is in what the panic itself has printed
            let said = text.and_then(|text| text.lines().next()).unwrap_or("no message");
            Err(Self::Panicked { what: what.into(), said: said.into() })
        })
    }

    /// Makes an [`Error::Config`]: the setting `key` does not fit.
    pub fn config(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Config { key: key.into(), message: message.into() }
    }

    /// Names the section of settings in which the field of this error is: an [`Error::Config`] or [`Error::Value`] of `dim`
    /// becomes one of `SECTION.dim`. Other errors stay as they are.
    ///
    /// ```
    /// let error = ihead::Error::value("dim", 0, "at least 1").within("model_args");
    /// assert_eq!(error.to_string(), "model_args.dim: 0; expected at least 1");
    /// ```
    pub fn within(self, section: &str) -> Self {
        self.renamed(|field| format!("{section}.{field}"))
    }

    /// The same error of a program whose settings have other names than the library's fields.
    pub(crate) fn renamed(self, key_of: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Config { key, message } => Self::Config { key: key_of(&key), message },
            Self::Value { key, found, expected } => Self::Value { key: key_of(&key), found, expected },
            other => other,
        }
    }

    /// Makes an [`Error::Io`]: the system refused to `what` (a verb) the file at `path`.
    pub fn io(what: &'static str, path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_owned(), what, source }
    }

    /// Makes an [`Error::Format`]: the content of the file at `path` is not what was expected.
    pub fn format(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::Format { path: path.as_ref().to_owned(), message: message.into() }
    }

    /// The same error of a file that a reader knows in another folder.
    pub(crate) fn seen_at(self, stage: &Path, dir: &Path) -> Self {
        let moved = |path: PathBuf| path.strip_prefix(stage).map(|rest| dir.join(rest)).unwrap_or(path);
        match self {
            Self::Io { path, what, source } => Self::Io { path: moved(path), what, source },
            Self::Format { path, message } => Self::Format { path: moved(path), message },
            Self::Folder { path, found, mend } => Self::Folder { path: moved(path), found, mend },
            other => other,
        }
    }

    /// Makes an [`Error::Shape`]: `what` has the shape `found`, not `expected`.
    pub fn shape(what: impl Into<String>, expected: &[usize], found: &[usize]) -> Self {
        Self::Shape { what: what.into(), expected: expected.to_vec(), found: found.to_vec() }
    }

    /// Makes an [`Error::Unknown`]: nothing of this kind is called `name`. The message names the nearest of the `known` names.
    pub fn unknown<'a>(kind: &'static str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let nearest = names::nearest(name, known).map(String::from);
        Self::Unknown { kind, name: name.to_owned(), nearest }
    }

    /// An [`Error::Text`] from what its reader found.
    pub(crate) fn text(kind: &'static str, text: &str, problem: ihead_formula::Problem) -> Self {
        let ihead_formula::Problem { at, expected, found } = problem;
        Self::Text { kind, text: text.trim().to_owned(), at, expected, found }
    }

    /// Its line behind the key of a setting, which says what the text is.
    pub(crate) fn in_setting(&self) -> String {
        let line = self.to_string();
        match self {
            Self::Text { kind, .. } => {
                line.strip_prefix(kind).map_or_else(|| line.clone(), |l| l.trim_start().into())
            }
            Self::Value { key, .. } => {
                line.strip_prefix(key).and_then(|l| l.strip_prefix(": ")).unwrap_or(&line).into()
            }
            _ => line,
        }
    }

    /// Makes an [`Error::Device`]: a device or its engine failed.
    pub fn device(device: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Device { device: device.into(), message: message.into() }
    }
}

/// So many things of a kind, by their numbers.
fn counted(kind: &str, len: usize) -> String {
    match len {
        0 => format!("no {kind}s"),
        1 => format!("one {kind}, 0"),
        _ => format!("{kind}s 0 to {}", len - 1),
    }
}

/// A text that someone gave, as a message repeats it: on one line, and no longer than one.
pub(crate) fn shown(text: &str) -> String {
    shown_at(text, 1)
}

/// The same of a text in which a character counts, which is counted from 1: what is shown of a long one has it.
fn shown_at(text: &str, at: usize) -> String {
    const LONGEST: usize = 100;
    /// How many characters are shown from that one on, at least.
    const BEHIND: usize = 20;
    let visible = |text: &str| -> String {
        let escape = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
        text.chars().map(escape).collect()
    };
    let place = |character: usize| text.char_indices().nth(character).map(|(byte, _)| byte);
    let first = if at <= LONGEST {
        0
    } else {
        at.saturating_add(BEHIND).min(text.chars().count()).saturating_sub(LONGEST)
    };
    let begin = place(first).unwrap_or_default();
    let before = if begin > 0 { "..." } else { "" };
    match place(first + LONGEST) {
        Some(end) => format!("{before}{}...", visible(&text[begin..end])),
        None => format!("{before}{}", visible(&text[begin..])),
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, shown, shown_at};

    #[test]
    fn what_someone_gave_is_repeated_on_one_line() {
        assert_eq!(shown("a\u{1b}[31m\nb"), "a\\u{1b}[31m\\nb");
        assert_eq!(shown(&"ä".repeat(500)), format!("{}...", "ä".repeat(100)));
        // of a text with a mistake far from its beginning, the mistake is shown
        let text = format!("{}X{}", "a".repeat(200), "b".repeat(200));
        assert_eq!(shown_at(&text, 201), format!("...{}X{}...", "a".repeat(79), "b".repeat(20)));
        assert_eq!(shown_at(&text, 401), format!("...{}", "b".repeat(100)));
        assert_eq!(shown_at(&text, 100), format!("{}...", "a".repeat(100)));
        assert_eq!(shown_at(&text, usize::MAX), shown_at(&text, 401));
        assert_eq!([shown_at("", 1), shown_at("", 500), shown_at("ab", 500)], ["", "", "ab"]);
        let error = Error::unknown("site", "lgits", ["logits"]);
        assert!(matches!(&error, Error::Unknown { nearest: Some(near), .. } if near == "logits"), "{error}");
    }

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

    #[test]
    fn a_caller_tells_errors_apart_by_their_fields() {
        let head = Error::index("head", 2, "'layers.0.attention.pattern'", 2).of_part("recall 'r'");
        let Error::In { error, .. } = &head else { panic!("{head:?}") };
        assert!(matches!(**error, Error::Index { kind: "head", index: 2, len: 2, .. }));
        assert_eq!(
            head.to_string(),
            "recall 'r': head 2 of 'layers.0.attention.pattern', which has heads 0 to 1"
        );
        assert!(Error::index("row", 0, "a matrix", 0).to_string().ends_with("has no rows"));
        assert!(Error::index("row", 1, "a matrix", 1).to_string().ends_with("has one row, 0"));

        let busy = Error::folder("runs/a", "is being written", "wait").seen_at("runs".as_ref(), "b".as_ref());
        assert_eq!(busy.to_string(), "b/a is being written: wait");
        let value = Error::value("k", 70, "at most 65").within("data_args");
        assert_eq!(
            (value.to_string(), value.in_setting()),
            ("data_args.k: 70; expected at most 65".into(), "70; expected at most 65".into())
        );
        let panicked = Error::or_panicked::<()>("task", || panic!("{}\nbecause", "no"));
        assert_eq!(panicked.unwrap_err().to_string(), "task panicked: no");
    }
}
