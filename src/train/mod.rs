//! Training: optimisers, losses, the timeline, and the training loop.
//!
//! The loop ([`Trainer`]) runs an engine, an optimiser and a timeline. It knows no particular task and measures no probe: a
//! [`Monitor`] sees each step and may measure it.
mod device;
mod divergence;
mod gradients;
mod host;
mod loss;
mod monitor;
pub mod optim;
mod progress;
mod resident;
mod schedule;
mod timeline;
mod trainer;
mod weight_edit;

pub use device::{Compute, Device, Precision};
pub use divergence::OnDivergence;
pub use gradients::{ClipNorm, Gradient, GradientRule};
pub use loss::{EmptyLoss, Loss};
pub use monitor::{Monitor, Step, Times};
pub use progress::Progress;
pub use schedule::Schedule;
pub use timeline::{Action, Curve, Stretch, Timeline};
pub use trainer::{Cursor, Trainer};
pub use weight_edit::WeightEdit;

pub(crate) use monitor::{Subject, Taken, Unwatched, Watched};
pub(crate) use trainer::Training;
pub(crate) use weight_edit::{Edited, Initial, initial_of};
