//! Runs: train a model on data, measure it on a schedule, and write the results to files.
//!
//! | | |
//! |---|---|
//! | [`Run`] | trains, measures at a [`Schedule`], prints, writes the files of a run |
//! | [`History`] | what was measured, by iteration |
//! | [`measure`], [`activations`], [`gradients`] | the same measurements of a model, without training it; [`Inspect`] has their options |
//! | [`Inspect::patch`], [`at_positions`], [`mean_ablation`] | activation patching: activations of other inputs or other weights, put in at a site |
//! | [`Table`] | aligned columns, for sweeps |
//! | [`RunInfo`], [`find_runs`], [`table_of_runs`] | the state, settings and seeds of a run, and a table of many runs |
//!
//! ```
//! use std::sync::Arc;
//!
//! use ihead::config::Config;
//! use ihead::data::{BatchOptions, Batches, BigramData, NumpyRng, TriggerOptions, TriggerTask, sample};
//! use ihead::model::{Simplified, SimplifiedArgs};
//! use ihead::probe::{Metric, Select};
//! use ihead::run::Run;
//!
//! let options = TriggerOptions { k: 3, seq_length: 16, ..Default::default() };
//! let task = Arc::new(TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options)?);
//! let test_batch = sample(&*task, &mut NumpyRng::new(&[0]), 8)?;
//! let batches = Batches::new(task, BatchOptions { batch_size: 4, seed: 0, workers: 1 })?;
//! let sizes = SimplifiedArgs { max_length: 16, dim: 8, ..SimplifiedArgs::defaults() };
//! let model = Simplified::new(65, &sizes)?.init(0);
//!
//! let mut run = Run::new(model, batches)
//!     .on(&test_batch, [Metric::loss("loss_known").over(Select::marks(2..))])
//!     .every(2)
//!     .quiet();
//! let history = run.train(5)?;
//! assert_eq!(history.iterations().collect::<Vec<_>>(), [0, 2, 4]);
//! assert!(history.last("loss_known")? > 1.0);
//! # Ok::<(), ihead::Error>(())
//! ```
mod appended;
mod checkpoint;
mod earlier;
mod estimate;
mod evaluator;
mod every;
mod folder;
mod history;
mod identity;
mod info;
mod inspect;
mod logging;
mod looks;
mod machine;
mod outputs;
mod patches;
mod probes;
mod recorder;
mod reprobe;
mod rescue;
mod same;
mod screen;
pub(crate) mod signals;
mod table;
mod tensorboard;
mod training;
mod work;

pub use earlier::{Earlier, Resume};
pub use every::CheckpointEvery;
pub use history::History;
pub use info::{RunInfo, Seeds, Status, find_runs, table_of_runs};
pub use inspect::{Gradients, Inspect, activations, gradients, measure};
pub use logging::Logging;
pub use patches::{at_positions, mean_ablation};
pub use table::{Cell, Table};
pub use training::Run;

pub use crate::train::Schedule;

pub(crate) use estimate::{Cause, Estimate, Needs, Part};
pub(crate) use history::records;
pub(crate) use inspect::read_whole;
pub(crate) use patches::Patches;
pub(crate) use same::STEPS;
