//! The paper's two models, as compositions of [`crate::nn`].
//!
//! Sites of both, for `layers.N`: `attention.pattern`, `attention.mixed`, `attention.out`, `ff.out`, and `resid`, the
//! residual stream that enters the layer; then `final.resid`, the stream that leaves the last layer, and `logits`.
mod feed_forwards;
mod full;
mod simplified;
mod top;

pub use feed_forwards::{FeedForwards, FeedForwardsOnly};
pub use full::{Full, FullArgs};
pub use simplified::{Simplified, SimplifiedArgs};
pub use top::top_tokens;
