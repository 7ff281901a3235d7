//! A forward pass of the feed-forward layers alone: what a model predicts without attention.
use crate::backend::Dim;
use crate::graph::{Model, Stream, Tokens};
use crate::nn::{Module, Visitor, VisitorMut};

/// A model that can also compute its logits from the feed-forward layers alone. [`FeedForwardsOnly`] makes that a model of
/// its own.
pub trait FeedForwards: Model {
    /// Records the logits `[seq, vocab]` of embeddings and positions that go through the feed-forward layers alone:
    /// `h = h + ff(h)` for each layer that has one, without the layer's norms, then the model's last norm, if it has one,
    /// and its unembedding.
    fn feed_forwards<T: Dim>(&self, x: &Tokens<T, Self::Vocab>) -> Stream<T, Self::Vocab>;
}

/// A model with its attention left out, so that only the feed-forward layers act; it is recorded like any other model.
///
/// It is the `forward_ff_only` of the paper's code: what a model predicts without attention. The model inside is borrowed, so its
/// parameters can be read here but not changed: to train, freeze or write them is an error, and `init` leaves
/// them as they are.
///
/// ```
/// use ihead::config::Config;
/// use ihead::graph::record;
/// use ihead::model::{FeedForwardsOnly, Full, FullArgs};
///
/// let model = Full::new(65, &FullArgs { max_length: 32, dim: 16, ..FullArgs::defaults() })?;
/// let graph = record(&FeedForwardsOnly(&model), 32)?;
/// assert!(graph.site("layers.0.attention.pattern").is_none());
/// # Ok::<(), ihead::Error>(())
/// ```
pub struct FeedForwardsOnly<'a, M>(pub &'a M);

impl<M: Module> Module for FeedForwardsOnly<'_, M> {
    fn visit<'a>(&'a self, prefix: &str, visitor: &mut Visitor<'a, '_>) {
        self.0.visit(prefix, visitor);
    }

    /// Nothing: the model is only lent.
    fn visit_mut(&mut self, _: &str, _: &mut VisitorMut<'_>) {}
}

impl<M: FeedForwards> Model for FeedForwardsOnly<'_, M> {
    type Vocab = M::Vocab;

    fn vocab(&self) -> M::Vocab {
        self.0.vocab()
    }

    fn max_seq(&self) -> Option<usize> {
        self.0.max_seq()
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, M::Vocab>) -> Stream<T, M::Vocab> {
        self.0.feed_forwards(x)
    }
}
