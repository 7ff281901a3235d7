//! Building blocks and the parameters they are made of.
//!
//! | block | what it computes |
//! |---|---|
//! | [`Linear`], [`LowRank`], [`Map`] | `W x`; `W_up W_down x`; a choice of these or the identity |
//! | [`Embedding`] | rows by token |
//! | [`Positions`] | rows by position, learned, frozen, sinusoidal, or none |
//! | [`Attention`] | causal attention, with any [`Normaliser`](crate::graph::Normaliser), plain or rotary |
//! | [`RelativeBias`] | positions as a bias of scores by distance: learned, or ALiBi's slopes |
//! | [`FeedForward`] | `W x` or `W_2 relu(W_1 x)` |
//! | [`LayerNorm`] | layer norm |
//! | [`Block`] | attention and feed-forward around a residual stream, wired as [`Wiring`] says |
//! | [`Readout`] | logits, by a map of its own or tied to the embeddings |
//!
//! Each derives [`Module`](crate::Module), so that its parameters have names; each is generic over its sizes, `Const`
//! or `usize`.
mod attention;
mod block;
mod embedding;
mod feed_forward;
mod init;
mod linear;
mod module;
mod norm;
mod param;
mod positions;
mod readout;
mod relative;
mod values;

pub use attention::{Attention, Scores};
pub use block::{Block, Wiring};
pub use embedding::Embedding;
pub use feed_forward::{FeedForward, Mlp};
pub use init::Init;
pub use linear::{Linear, LowRank, Map};
pub use module::{Module, ModuleExt, ParamField, Params, Role, Visitor, VisitorMut, join};
pub use norm::LayerNorm;
pub use param::{AnyParam, Param, ParamId, norm};
pub use positions::{PositionTable, Positions, sin_cos};
pub use readout::Readout;
pub use relative::RelativeBias;
pub use values::{Storage, Stored, Values, ValuesMut};
