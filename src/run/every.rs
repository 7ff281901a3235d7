//! How often a run writes a checkpoint.
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::text::{Reader, setting_as_text};
use crate::{Error, Result};

/// How often a run with a folder writes a checkpoint. In any case it writes one at its beginning and at its end, also
/// when it fails. Only a run that diverges writes none at its end: it goes on from its last checkpoint, and what was
/// recorded after that is removed when the run is continued.
///
/// ```
/// use ihead::run::CheckpointEvery;
/// assert_eq!("500".parse::<CheckpointEvery>()?, CheckpointEvery::Iterations(500));
/// assert_eq!("0.5 minutes".parse::<CheckpointEvery>()?, CheckpointEvery::Minutes(0.5));
/// assert_eq!("never".parse::<CheckpointEvery>()?.to_string(), "never");
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum CheckpointEvery {
    /// A checkpoint is written after every this many iterations.
    Iterations(usize),
    /// A checkpoint is written after every this many minutes.
    Minutes(f64),
    /// No checkpoint is written between the beginning and the end.
    Never,
}

impl Default for CheckpointEvery {
    /// Ten minutes.
    fn default() -> Self {
        CheckpointEvery::Minutes(10.0)
    }
}

impl CheckpointEvery {
    /// Refuses what never comes or always does: what no text says either.
    pub(super) fn check(self) -> Result<()> {
        let refuse = |expected| Err(Error::value("checkpoint_every", self, expected));
        match self {
            CheckpointEvery::Iterations(0) => refuse("at least 1 iteration"),
            CheckpointEvery::Minutes(n) if !(n.is_finite() && n > 0.0) => {
                refuse("a positive number of minutes")
            }
            _ => Ok(()),
        }
    }

    /// Whether one is due after `done` iterations, the last one having been written so long ago.
    pub(super) fn is_due(self, done: usize, since: Duration) -> bool {
        match self {
            CheckpointEvery::Iterations(n) => done.is_multiple_of(n.max(1)),
            CheckpointEvery::Minutes(minutes) => since.as_secs_f64() >= 60.0 * minutes,
            CheckpointEvery::Never => false,
        }
    }
}

impl FromStr for CheckpointEvery {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        const FORM: &str = "iterations (500), minutes (10 minutes) or never";
        let every = |reader: &mut Reader<'_>| {
            let place = reader.place();
            if reader.take_name("never") {
                return Ok(CheckpointEvery::Never);
            }
            let word = reader.word(FORM)?;
            let glued = word.strip_suffix("minutes").or_else(|| word.strip_suffix("minute"));
            let in_minutes = glued.is_some() || reader.take_name("minutes") || reader.take_name("minute");
            let number = glued.unwrap_or(word);
            let every = if in_minutes {
                let minutes = number.parse().ok().filter(|n: &f64| n.is_finite() && *n > 0.0);
                minutes.map(CheckpointEvery::Minutes)
            } else {
                number.parse().ok().filter(|n| *n > 0).map(CheckpointEvery::Iterations)
            };
            every.ok_or_else(|| reader.misfit_at(place, FORM))
        };
        Reader::whole("checkpoints", text, every, FORM)
    }
}

impl fmt::Display for CheckpointEvery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckpointEvery::Iterations(n) => write!(f, "{n}"),
            CheckpointEvery::Minutes(minutes) => write!(f, "{minutes} minutes"),
            CheckpointEvery::Never => f.write_str("never"),
        }
    }
}

setting_as_text!(CheckpointEvery);
