//! The language: typed streams that record what a model computes.
//!
//! A model's forward pass runs once, on handles ([`Stream`], [`Weight`], [`Pattern`]) that leave a [`Graph`]: the
//! computation for *one* sequence of `seq` tokens. An engine then runs that graph for every sequence of every batch.
//! All shapes are known when the recording ends, so nothing can go wrong in the middle of a run.
//!
//! The same expression recorded twice is one node, so sharing needs no care: `h.linear(&wk)` written in two places is
//! computed once.
mod clamp;
mod edits;
mod ir;
mod pattern;
mod record;
mod site;
mod stream;
mod weight;

pub use clamp::Clamp;
pub use edits::{Edit, Edits};
pub use ir::{
    GivenSite, Graph, Index, Node, NodeId, Normaliser, Op, ParamInfo, WeightId, WeightNode, WeightOp,
};
pub use pattern::Pattern;
pub use record::{Model, Recorder, Tokens, record, record_with};
pub use site::Site;
pub use stream::Stream;
pub use weight::Weight;
