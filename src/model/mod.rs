//! The paper's two models, and one whose parts are all chosen ([`Transformer`]), as compositions of [`crate::nn`].
//!
//! Sites of all, read by an engine ([`crate::engine::Request`]) or edited ([`crate::graph::record_with`]):
//!
//! | site | shape | what it is | in the paper's code |
//! |---|---|---|---|
//! | `layers.N.resid` | `[seq, dim]` | the residual stream that enters layer N | `forward(return_layer=N)` |
//! | `layers.N.attention.pattern` | `[heads, seq, seq]` | attention weights | `get_layer_scores(n=N)` |
//! | `layers.N.attention.mixed` | `[seq, dim]` | the weighted values, before `W_O` | |
//! | `layers.N.attention.out` | `[seq, dim]` | what attention adds | |
//! | `layers.N.resid_mid` | `[seq, dim]` | the stream before the layer's feed-forward | `forward(return_layer=N+1, before_ffn=True)` |
//! | `layers.N.ff.out` | `[seq, dim]` | what the feed-forward adds, if there is one | |
//! | `final.resid` | `[seq, dim]` | the stream that leaves the last layer | `forward(return_layer=n_layers)` |
//! | `logits` | `[seq, vocab]` | the prediction | `forward()` |
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
