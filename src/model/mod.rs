//! The paper's two models, and one whose parts are all chosen ([`Transformer`]), as compositions of [`crate::nn`].
//!
//! Sites of all, read by an engine ([`crate::engine::Request`]) or edited ([`crate::graph::record_with`]):
//!
//! | site | shape | what it is | in the paper's code |
//! |---|---|---|---|
//! | `embed.tokens`, `embed.positions` | `[seq, dim]` | the two terms of the embedding | |
//! | `layers.N.resid` | `[seq, dim]` | the residual stream that enters layer N | `forward(return_layer=N)` |
//! | `layers.N.attention.in` | `[seq, dim]` | what attention reads: the stream, after its norm under pre-norm | |
//! | `layers.N.attention.{q,k,v}` | `[seq, dim]` by head | queries and keys (after rotation), values | |
//! | `layers.N.attention.pattern` | `[heads, seq, seq]` | attention weights | `get_layer_scores(n=N)` |
//! | `layers.N.attention.mixed` | `[seq, dim]` by head | the weighted values, before `W_O` | |
//! | `layers.N.attention.out` | `[seq, dim]` | what attention adds | |
//! | `layers.N.resid_mid` | `[seq, dim]` | the stream before the layer's feed-forward | `forward(return_layer=N+1, before_ffn=True)` |
//! | `layers.N.ff.in` | `[seq, dim]` | what the feed-forward reads, if there is one | |
//! | `layers.N.ff.hidden` | `[seq, 4 dim]` | the hidden layer of an MLP, after its ReLU | |
//! | `layers.N.ff.out` | `[seq, dim]` | what the feed-forward adds | |
//! | `final.resid` | `[seq, dim]` | the stream that leaves the last layer | `forward(return_layer=n_layers)` |
//! | `final.norm` | `[seq, dim]` | the same after the last norm, if there is one | |
//! | `logits` | `[seq, vocab]` | the prediction | `forward()` |
//!
//! Single heads of a pattern and of the streams "by head" can be edited: `layers.0.attention.pattern[1]=ablate`.
//!
//! A pass of the feed-forward layers alone (`forward_ff_only`) is a model of its own, [`FeedForwardsOnly`]; the most
//! probable next tokens (`get_top_preds`) are [`top_tokens`] of a row of logits.
mod feed_forwards;
mod full;
mod simplified;
mod top;
mod transformer;
mod transformer_args;

pub use feed_forwards::{FeedForwards, FeedForwardsOnly};
pub use full::{Full, FullArgs};
pub use simplified::{Layer, Simplified, SimplifiedArgs};
pub use top::top_tokens;
pub use transformer::Transformer;
pub use transformer_args::{FeedForwardKind, MapKind, OutputKind, PositionKind, TransformerArgs};

use crate::backend::Dim;
use crate::config::Problem;
use crate::{Error, Result};

/// Refuses sizes of 0 and what the settings say of themselves.
fn check(vocab: impl Dim, max_length: impl Dim, dim: impl Dim, problems: Vec<Problem>) -> Result<()> {
    let sizes = [("vocab_size", vocab.size()), ("max_length", max_length.size()), ("dim", dim.size())];
    let empty = sizes.into_iter().find(|(_, size)| *size == 0);
    let empty = empty.map(|(key, _)| Problem::new(key, "0, expected at least 1"));
    match empty.into_iter().chain(problems).next() {
        Some(Problem { key, message }) => Err(Error::config(format!("model_args.{key}"), message)),
        None => Ok(()),
    }
}
