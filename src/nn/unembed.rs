//! From the residual stream to logits.
use crate::Module;
use crate::backend::Dim;
use crate::graph::{Recorder, Stream, Weight};

use super::{Embedding, Linear};

/// The unembedding, from the last stream to the logits `W_U h[t]`: `[seq, dim]` to `[seq, vocab]`.
///
/// `W_U` is a matrix of its own, or the table of the token embeddings. State-dict name: `weight`, `[vocab, dim]`.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::graph::Stream;
/// use ihead::nn::{Embedding, ModuleExt, Unembed};
///
/// fn logits(
///     output: &Unembed<Const<65>, Const<64>>,
///     embedding: &Embedding<Const<65>, Const<64>>,
///     h: &Stream<usize, Const<64>>,
/// ) -> Stream<usize, Const<65>> {
///     output.forward(embedding, h)
/// }
///
/// assert_eq!(Unembed::own(Const::<65>, Const::<64>).count(), 65 * 64);
/// assert_eq!(Unembed::<usize, usize>::Tied.count(), 0);
/// ```
#[derive(Module)]
#[non_exhaustive]
pub enum Unembed<V: Dim, D: Dim> {
    /// `W_U` is a matrix of its own.
    Own(Linear<D, V>),
    /// `W_U` is the table of the token embeddings: both are one parameter.
    Tied,
}

impl<V: Dim, D: Dim> Unembed<V, D> {
    /// Makes a trained matrix of its own.
    pub fn own(vocab: V, dim: D) -> Self {
        Unembed::Own(Linear::new(dim, vocab))
    }

    /// Returns the same unembedding, with a matrix of its own frozen. A tied one trains with the embeddings.
    pub fn frozen(self) -> Self {
        match self {
            Unembed::Own(linear) => Unembed::Own(linear.frozen()),
            other => other,
        }
    }

    /// Returns `W_U`, `[vocab, dim]`, as a handle of the recorded graph.
    pub fn weight(&self, embedding: &Embedding<V, D>, recorder: &Recorder) -> Weight<V, D> {
        match self {
            Unembed::Own(linear) => linear.weight(recorder),
            Unembed::Tied => recorder.weight(&embedding.weight),
        }
    }

    /// Computes the logits at every position: `W_U h[t]`, `[seq, vocab]`.
    pub fn forward<T: Dim>(&self, embedding: &Embedding<V, D>, h: &Stream<T, D>) -> Stream<T, V> {
        h.linear(&self.weight(embedding, h.recorder()))
    }

    /// Returns the pairs of names that the method of `#[module(aliases = Self::method)]` returns ([`macro@crate::Module`]):
    /// if the unembedding is tied, the parameter called `embedding` is also called `output`.
    ///
    /// ```
    /// use ihead::Module;
    /// use ihead::nn::{Embedding, ModuleExt, Unembed};
    ///
    /// #[derive(Module)]
    /// #[module(aliases = Self::aliases)]
    /// struct Model {
    ///     #[module]
    ///     embed: Embedding<usize, usize>,
    ///     #[module]
    ///     output: Unembed<usize, usize>,
    /// }
    ///
    /// impl Model {
    ///     fn aliases(&self) -> Vec<(&'static str, &'static str)> {
    ///         self.output.aliases("output.weight", "embed.weight")
    ///     }
    /// }
    ///
    /// let model = Model { embed: Embedding::new(10, 8), output: Unembed::Tied };
    /// assert_eq!(model.tensor("output.weight")?.id(), model.tensor("embed.weight")?.id());
    /// # Ok::<(), ihead::Error>(())
    /// ```
    pub fn aliases(
        &self,
        output: &'static str,
        embedding: &'static str,
    ) -> Vec<(&'static str, &'static str)> {
        match self {
            Unembed::Tied => vec![(output, embedding)],
            Unembed::Own(_) => vec![],
        }
    }
}
