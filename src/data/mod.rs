//! Counts, the bigram model, tasks and batches, on NumPy's random streams.
//!
//! ```text
//! Counts -> BigramData -> TriggerTask (a Task) -> Batches -> Loader
//!                              ^                     ^
//!                     your own Task         NumpyRng, one for each worker
//! ```
//!
//! A [`Task`] draws sequences; the paper's (section 3 of *Birth of a Transformer*) is [`TriggerTask`], and
//! [`CausalGraph`] draws in-context Markov chains. [`check_distribution`] compares what a task draws with what it declares. [`Batches`]
//! is the deterministic stream of training batches, [`Loader`] the same stream drawn ahead on a background thread,
//! [`sample`] draws a batch to measure on. The random stream is NumPy's, bit for bit. [`TriggerTask`] draws every number as
//! the paper's code does; [`CausalGraph`] draws gamma deviates in its own way on that stream.
//!
//! ```
//! use std::sync::Arc;
//! use ihead::data::{BatchOptions, Batches, BigramData, TriggerOptions, TriggerTask};
//!
//! # fn main() -> ihead::Result<()> {
//! let data = Arc::new(BigramData::tiny_shakespeare());
//! let task = TriggerTask::new(data, TriggerOptions { k: 5, fixed_special_toks: true, ..Default::default() })?;
//! let mut batches = Batches::new(Arc::new(task), BatchOptions { batch_size: 8, ..Default::default() })?;
//! let batch = batches.next_batch()?;
//! let (x, y, _marks) = batch.sequence(0);
//! assert_eq!((batch.batch, batch.seq), (8, 256));
//! assert_eq!(x[1..], y[..255]);
//! # Ok(())
//! # }
//! ```

mod batch;
mod batches;
mod bigram;
mod causal_graph;
mod counts;
mod distribution;
mod loader;
pub mod numpy;
mod task;
mod trigger;

pub use batch::Batch;
pub use batches::{BatchOptions, Batches, StreamPosition, sample};
pub use bigram::BigramData;
pub use causal_graph::CausalGraph;
pub(crate) use causal_graph::MOST_ALPHA;
pub use counts::Counts;
pub use distribution::{DistributionCheck, check_distribution};
pub use loader::{Loader, LoaderOptions};
pub use numpy::NumpyRng;
pub use task::Task;
pub use trigger::{TriggerOptions, TriggerTask};
