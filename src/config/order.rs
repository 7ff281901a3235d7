//! A sweep, as a command line asks for it.

/// The request for a sweep on a command line, which [`crate::sweep`] carries out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The arguments that every run of the sweep gets: settings `key=value`, and `--config=FILE`.
    pub base: Vec<String>,
    /// The axes of each `--sweep`.
    pub groups: Vec<Vec<String>>,
    /// How many runs are run at the same time.
    pub jobs: usize,
    /// Whether the runs are only shown.
    pub dry_run: bool,
    /// The form in which the runs are printed, instead of being run.
    pub emit: Option<Emit>,
    /// How many runs one task of a cluster carries out.
    pub per_task: usize,
}

/// The forms in which the runs of a sweep are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Emit {
    /// A line for each run.
    Commands,
    /// A script for GNU parallel.
    Parallel,
    /// A script for an array of Slurm.
    Slurm,
}

impl Default for Order {
    fn default() -> Self {
        Self { base: vec![], groups: vec![], jobs: 1, dry_run: false, emit: None, per_task: 1 }
    }
}

impl Emit {
    /// As they are written.
    pub(super) const NAMES: [&str; 3] = ["commands", "parallel", "slurm"];

    pub(super) fn named(name: &str) -> Option<Self> {
        let at = Self::NAMES.iter().position(|known| *known == name)?;
        [Self::Commands, Self::Parallel, Self::Slurm].get(at).copied()
    }
}
