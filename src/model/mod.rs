//! Whole models, composed of the blocks of [`crate::nn`]: the paper's two, and [`Transformer`], each of whose parts is a
//! setting.
//!
//! [`Simplified`] and [`Full`] are the models of the paper's sections 4 and 5. Each is made from settings
//! ([`SimplifiedArgs`], [`FullArgs`], [`TransformerArgs`]); the table at the settings' implementation of
//! [`Config`](crate::Config) has their defaults and bounds.
//!
//! These are the sites of all models. Their values can be read ([`crate::run::activations`]) and edited
//! ([`crate::graph::record_with`]) by name:
//!
//! | site | shape | what it is | in the paper's code |
//! |---|---|---|---|
//! | `embed.tokens`, `embed.positions` | `[seq, dim]` | the two terms of the embedding | |
//! | `layers.N.resid` | `[seq, dim]` | the residual stream that enters layer N | `forward(return_layer=N)` |
//! | `layers.N.attention.in` | `[seq, dim]` | what attention reads: the stream, after its norm under pre-norm | |
//! | `layers.N.attention.{q,k,v}` | `[seq, dim]` by head | queries and keys (after rotation), values; with fewer heads of keys, `k` and `v` are narrower | |
//! | `layers.N.attention.pattern` | `[heads, seq, seq]` | attention weights | `get_layer_scores(n=N)` |
//! | `layers.N.attention.mixed` | `[seq, dim]` by head | the weighted values, before `W_O` | |
//! | `layers.N.attention.out` | `[seq, dim]` | what attention adds | |
//! | `layers.N.resid_mid` | `[seq, dim]` | the stream between attention and the feed-forward layer | `forward(return_layer=N+1, before_ffn=True)` |
//! | `layers.N.ff.in` | `[seq, dim]` | what the feed-forward layer reads, if there is one | |
//! | `layers.N.ff.hidden` | `[seq, hidden]` | the hidden layer of an MLP, after activation and gate | |
//! | `layers.N.ff.out` | `[seq, dim]` | what the feed-forward layer adds | |
//! | `final.resid` | `[seq, dim]` | the stream that leaves the last layer | `forward(return_layer=n_layers)` |
//! | `final.norm` | `[seq, dim]` | the same after the last norm, if there is one | |
//! | `logits` | `[seq, vocab]` | the scores of the next token | `forward()` |
//!
//! Single heads of a pattern and of the streams "by head" can be edited: `layers.0.attention.pattern[1]=ablate`.
//!
//! A pass of the feed-forward layers alone (the paper's `forward_ff_only`) is a model of its own, [`FeedForwardsOnly`]. The
//! most probable next tokens (its `get_top_preds`) are [`top_tokens`] of a row of logits.
mod feed_forwards;
mod full;
mod parts;
mod simplified;
mod top;
mod transformer;
mod transformer_args;

pub use feed_forwards::{FeedForwards, FeedForwardsOnly};
pub use full::{Full, FullArgs};
pub use parts::PaperBlock;
pub use simplified::{Simplified, SimplifiedArgs};
pub use top::top_tokens;
pub use transformer::{Transformer, TransformerBlock};
pub use transformer_args::{FeedForwardKind, MapKind, NormKind, OutputKind, PositionKind, TransformerArgs};
