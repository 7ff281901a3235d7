//! From the residual stream to logits.
use crate::Module;
use crate::backend::Dim;
use crate::graph::{Recorder, Stream, Weight};

use super::{Embedding, Linear};

/// Logits `W_U h`: `[seq, dim]` to `[seq, vocab]`. The paper's `W_U`. State-dict name: `weight`, `[vocab, dim]`.
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
    /// A matrix of its own.
    Own(Linear<D, V>),
    /// The token embeddings: both are one parameter.
    Tied,
}

impl<V: Dim, D: Dim> Unembed<V, D> {
    /// A trained matrix of its own.
    pub fn own(vocab: V, dim: D) -> Self {
        Unembed::Own(Linear::new(dim, vocab))
    }

    /// The same unembedding; a matrix of its own is frozen.
    pub fn frozen(self) -> Self {
        match self {
            Unembed::Own(linear) => Unembed::Own(linear.frozen()),
            other => other,
        }
    }

    /// `W_U`, `[vocab, dim]`.
    pub fn weight(&self, embedding: &Embedding<V, D>, recorder: &Recorder) -> Weight<V, D> {
        match self {
            Unembed::Own(linear) => linear.weight(recorder),
            Unembed::Tied => recorder.weight(&embedding.weight),
        }
    }

    /// The logits `W_U h[t]` at every position, `[seq, vocab]`.
    pub fn forward<T: Dim>(&self, embedding: &Embedding<V, D>, h: &Stream<T, D>) -> Stream<T, V> {
        h.linear(&self.weight(embedding, h.recorder()))
    }

    /// For `#[module(aliases = ...)]`: a tied unembedding is the parameter `embedding` under the name `output` too.
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
