//! The blocks that models are made of, and their parameters.
//!
//! | block | what it computes |
//! |---|---|
//! | [`Linear`], [`LowRank`], [`Map`] | `W x`; `W_up W_down x`; a choice of these or the identity |
//! | [`Embedding`] | a row of a table for each token |
//! | [`Positions`] | a row for each position, added to the embeddings: learned, frozen, sinusoidal, or none |
//! | [`Attention`] | causal attention, with any [`Normaliser`](crate::graph::Normaliser), plain or rotary |
//! | [`RelativeBias`] | a bias of attention scores for each distance: learned, or ALiBi's slopes |
//! | [`ChangeQkv`]: [`QkNorm`] | a change of queries, keys and values before the scores are computed |
//! | [`FeedForward`]: [`Mlp`], [`Linear`] | `W_2 a(W_1 x)`, gated or not, with any [`Activation`]; `W x` |
//! | [`Norm`]: [`LayerNorm`], [`RmsNorm`] | the normalised row of each position, with a trained gain |
//! | [`Block`] | a [`Mixer`] and a [`FeedForward`] around a residual stream, wired as [`Wiring`] says |
//! | [`Unembed`] | logits, by a map of its own or tied to the embeddings |
//!
//! Each block is a [`Module`], so that its parameters have names. Most are generic over their sizes, which are `Const` or
//! `usize` ([`Dim`](crate::backend::Dim)). Shapes are those of one sequence: a stream is `[seq, dim]`. A size of type
//! `usize` that does not fit becomes the error of [`record`](crate::graph::record).
mod activation;
mod attention;
mod block;
mod change_qkv;
mod embedding;
mod feed_forward;
mod init;
mod linear;
mod module;
mod norm;
mod param;
mod positions;
mod relative;
mod transfer;
mod unembed;
mod values;

pub use activation::Activation;
pub use attention::{Attention, Mixer};
pub use block::{Block, Layer, Wiring, through, through_feed_forwards};
pub use change_qkv::{AnyChange, ChangeQkv, QkNorm, Unchanged};
pub use embedding::Embedding;
pub use feed_forward::{AnyFeedForward, FeedForward, Mlp};
pub use init::Init;
pub use linear::{Linear, LowRank, Map};
pub use module::{Module, ModuleExt, ParamField, Params, Role, Visitor, VisitorMut, join};
pub(crate) use module::{check_writable, unknown};
pub use norm::{AnyNorm, LayerNorm, Norm, RmsNorm};
pub use param::{AnyParam, Param, ParamId, Version, norm};
pub use positions::{PositionTable, Positions, sin_cos};
pub use relative::RelativeBias;
pub use transfer::Transfer;
pub use unembed::Unembed;
pub(crate) use values::elements;
pub use values::{Storage, Stored, Values, ValuesMut};
