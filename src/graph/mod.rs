//! Typed handles, such as [`Stream`], with which models are written; they record what a model computes.
//!
//! [`record`] calls a model's forward pass once, with handles ([`Stream`], [`Weight`], [`Pattern`]) in place of values.
//! Each operation on a handle is added to a [`Graph`], which then describes the computation for *one* sequence of `seq`
//! tokens. An engine runs that graph for every sequence of every batch. All shapes are checked by the time the recording
//! ends, before the first step of a run: an operation whose operands do not fit gives a handle as usual, and [`record`]
//! returns the error.
//!
//! An expression that is written twice, such as `h.linear(&wk)`, is recorded as one node and computed once. (Not so your own
//! operations, [`Stream::pointwise`] and [`Stream::rows`]: keep their result in a variable.)
mod any_model;
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

pub use any_model::AnyModel;
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
pub(crate) use edits::site_and_head;
pub(crate) use graph::{Node, WeightId, WeightNode};
pub(crate) use op::{Index, MaskTable, Op, Scoring, WeightOp};
