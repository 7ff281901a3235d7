//! Building blocks and the parameters they are made of.
//!
//! | block | what it computes |
//! |---|---|
//! | [`Linear`], [`Map`] | `W x`; or the identity |
//! | [`Embedding`] | rows by token |
//! | [`sin_cos`] | the sinusoidal position table |
//! | [`Attention`] | causal attention |
//! | [`FeedForward`] | `W x` or `W_2 relu(W_1 x)` |
//! | [`LayerNorm`] | layer norm |
//! | [`Block`] | attention and feed-forward around a residual stream |
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

pub use attention::{Attention, Scores};
pub use block::{Block, Wiring};
pub use embedding::Embedding;
pub use feed_forward::{FeedForward, Mlp};
pub use init::Init;
pub use linear::{Linear, Map};
pub use module::{Module, ModuleExt, ParamField, Params, Role, Visitor, VisitorMut, join};
pub use norm::LayerNorm;
pub use param::{AnyParam, Param, ParamId, norm};
pub use positions::sin_cos;
