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
/// use ihead::nn::{Embedding, ModuleExt, Readout};
///
/// fn logits(
///     output: &Readout<Const<65>, Const<64>>,
///     embedding: &Embedding<Const<65>, Const<64>>,
///     h: &Stream<usize, Const<64>>,
/// ) -> Stream<usize, Const<65>> {
///     output.forward(embedding, h)
/// }
///
/// assert_eq!(Readout::own(Const::<65>, Const::<64>).count(), 65 * 64);
/// assert_eq!(Readout::<usize, usize>::Tied.count(), 0);
/// ```
#[derive(Module)]
pub enum Readout<V: Dim, D: Dim> {
    /// A map of its own.
    Own(Linear<D, V>),
    /// The token embeddings, one parameter.
    Tied,
}

impl<V: Dim, D: Dim> Readout<V, D> {
    /// A trained map of its own.
    pub fn own(vocab: V, dim: D) -> Self {
        Readout::Own(Linear::new(dim, vocab))
    }

    /// The same, a map of its own frozen if `frozen`.
    pub fn frozen_if(self, frozen: bool) -> Self {
        match self {
            Readout::Own(linear) if frozen => Readout::Own(linear.frozen()),
            other => other,
        }
    }

    /// `W_U`, `[vocab, dim]`.
    pub fn weight(&self, embedding: &Embedding<V, D>, recorder: &Recorder) -> Weight<V, D> {
        match self {
            Readout::Own(linear) => linear.weight(recorder),
            Readout::Tied => recorder.weight(&embedding.weight),
        }
    }

    /// `W_U h[t]` at every position.
    pub fn forward<T: Dim>(&self, embedding: &Embedding<V, D>, h: &Stream<T, D>) -> Stream<T, V> {
        h.linear(&self.weight(embedding, h.recorder()))
    }

    /// For `#[module(aliases = ...)]`: a tied readout is the parameter `embedding` under the name `output` too.
    pub fn aliases(
        &self,
        output: &'static str,
        embedding: &'static str,
    ) -> Vec<(&'static str, &'static str)> {
        match self {
            Readout::Tied => vec![(output, embedding)],
            Readout::Own(_) => vec![],
        }
    }
}
