//! The language: typed streams that record what a model computes.
//!
//! A model's forward pass runs once, on handles ([`Stream`], [`Weight`], [`Pattern`]) that leave a [`Graph`]: the
//! computation for *one* sequence of `seq` tokens. An engine then runs that graph for every sequence of every batch.
//! All shapes are known when the recording ends, so nothing can go wrong in the middle of a run.
//!
//! The same expression recorded twice is one node, so sharing needs no care: `h.linear(&wk)` written in two places is
//! computed once.
mod display;
mod edits;
mod fixed;
#[expect(clippy::module_inception, reason = "the graph is what this module is about")]
mod graph;
mod mask;
mod op;
mod pattern;
mod record;
mod site;
mod stream;
mod weight;

pub use edits::{Edit, Edits};
pub use fixed::FixedPattern;
pub use graph::{Graph, NodeId, PatchedSite};
pub use mask::Mask;
pub use op::Normaliser;
pub use pattern::{Pattern, Scores};
pub use record::{Model, Recorder, Tokens, record, record_with};
pub use site::Site;
pub use stream::Stream;
pub use weight::Weight;

pub(crate) use display::index_text;
pub(crate) use graph::{Node, WeightId, WeightNode};
pub(crate) use op::{Index, MaskTable, Op, Scoring, WeightOp};
