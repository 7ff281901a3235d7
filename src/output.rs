//! Standard output and standard error: the one place where the library and its programs print.
//!
//! `println!` panics when its reader has gone, and a program that ignores the failure ends as if all had been seen. Here a
//! line that could not be written is an error like any other: a full disk is said, a reader that went away (`| head`) ends the
//! program quietly, with the status that a shell gives to other programs in that place.
//!
//! ```
//! use ihead::run::Table;
//! let mut table = Table::new(["k", "acc"]);
//! table.row([&1, &0.5]);
//! ihead::output::print(&table)?;
//! ihead::output::line("done")?;
//! # Ok::<(), ihead::Error>(())
//! ```
use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use crate::error::Stop;
use crate::{Error, Result};

/// The most characters of a line on standard error; of a longer one, the beginning and the end are shown.
const LONGEST: usize = 2000;

/// Prints a line on standard output.
///
/// # Errors
/// If it cannot be written; [`Stop::ClosedOutput`] if nobody reads any more.
pub fn line(text: impl Display) -> Result<()> {
    print(format_args!("{text}\n"))
}

/// Prints a text on standard output, without a line end of its own.
///
/// # Errors
/// Those of [`line()`].
pub fn print(text: impl Display) -> Result<()> {
    let mut out = std::io::stdout().lock();
    write!(out, "{text}").and_then(|()| out.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Error::stopped(Stop::ClosedOutput, "nobody reads standard output any more"),
        _ => Error::io("write", "standard output", error),
    })
}

/// So many of something whose plural ends in `s`: `1 run`, `2 runs`.
pub(crate) fn counted(n: usize, one: &str) -> String {
    format!("{n} {one}{}", if n == 1 { "" } else { "s" })
}

/// Prints a warning on standard error.
pub(crate) fn warn(text: impl Display) {
    report("warning", [text]);
}

/// Prints lines on standard error, each after a word and a colon.
pub fn report<T: Display>(word: &str, lines: impl IntoIterator<Item = T>) {
    let mut err = std::io::stderr().lock();
    for line in lines {
        let _ = writeln!(err, "{word}: {}", plain(&line.to_string()));
    }
}

/// Prints the error on standard error, unless nobody reads it, and returns the exit status: [`Error::status`].
pub fn failed(error: &Error) -> ExitCode {
    match error.stop() {
        Some(Stop::ClosedOutput) => {}
        Some(_) => report("stopped", [error]),
        None => report("error", [error]),
    }
    ExitCode::from(error.status())
}

/// A text as one line that a terminal can show: line ends and other control characters are written out, and of what is too
/// long the beginning and the end are left.
///
/// ```
/// assert_eq!(ihead::internals::output::plain("a\nb \u{1b}[31mred"), r"a\nb \u{1b}[31mred");
/// let long = ihead::internals::output::plain(&"x".repeat(1_000_000));
/// assert!(long.len() < 3000 && long.contains("... 998000 characters ..."));
/// ```
#[doc(hidden)]
pub fn plain(text: &str) -> String {
    let count = text.chars().count();
    let shown: String = if count <= LONGEST {
        text.into()
    } else {
        let half = LONGEST / 2;
        let (head, tail) = (text.chars().take(half), text.chars().skip(count - half));
        head.chain(format!(" ... {} characters ... ", count - LONGEST).chars()).chain(tail).collect()
    };
    let written = |c: char| if is_plain(c) { c.to_string() } else { c.escape_default().to_string() };
    shown.chars().map(written).collect()
}

/// Whether a terminal shows it as one character in its place: no control, and no mark that turns the direction of writing.
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
