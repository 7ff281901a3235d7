//! What happens to an earlier run in a run's folder.
use std::fmt;
use std::str::FromStr;

use crate::config::Config;
use crate::{Error, Result};

/// What a [`Run`](super::Run) does when its folder holds an earlier run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Earlier {
    /// The new run is an error, and the earlier one stays as it is.
    #[default]
    Refuse,
    /// The earlier run is replaced, all of it, once the new one is ready for its first step.
    Overwrite,
    /// The earlier run is continued. A folder without a run is an error.
    Resume,
    /// The earlier run is continued; if there is none, a new one begins.
    Auto,
}

impl Earlier {
    /// Returns whether this continues an earlier run.
    pub fn resumes(self) -> bool {
        matches!(self, Earlier::Resume | Earlier::Auto)
    }
}

/// The setting `resume`: `false`, `true` or `auto`. A program that has a setting of this type with this name gives it to
/// [`Run::earlier`](super::Run::earlier), and its sweeps take up the runs that were broken off.
#[derive(Config, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resume {
    /// Begins a new run; an earlier one in the folder is not continued.
    #[default]
    #[config(rename = "false")]
    No,
    /// Continues the run in the folder.
    #[config(rename = "true")]
    Yes,
    /// Continues the run in the folder, or begins one.
    Auto,
}

impl Resume {
    const NAMES: [&'static str; 3] = ["false", "true", "auto"];
}

impl From<Resume> for Earlier {
    /// `false` refuses an earlier run, `true` and `auto` continue it.
    fn from(resume: Resume) -> Self {
        match resume {
            Resume::No => Earlier::Refuse,
            Resume::Yes => Earlier::Resume,
            Resume::Auto => Earlier::Auto,
        }
    }
}

impl FromStr for Resume {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.to_lowercase().as_str() {
            "false" => Ok(Resume::No),
            "true" => Ok(Resume::Yes),
            "auto" => Ok(Resume::Auto),
            other => {
                let hint = crate::names::hint(other, Resume::NAMES);
                Err(Error::value("resume", format!("'{text}'"), format!("one of false, true, auto{hint}")))
            }
        }
    }
}

impl fmt::Display for Resume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Resume::NAMES[*self as usize])
    }
}
