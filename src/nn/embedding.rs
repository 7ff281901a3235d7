//! Token embeddings.
use crate::Module;
use crate::backend::Dim;
use crate::graph::{Stream, Tokens};

use super::{Init, Param};

/// Token embeddings: the row of a table for each token, `[seq]` to `[seq, dim]`.
///
/// The paper's `w_E` (section 2). State-dict name: `weight`, `[vocab, dim]`.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::graph::{Stream, Tokens};
/// use ihead::nn::Embedding;
///
/// fn embed(
///     embedding: &Embedding<Const<65>, Const<64>>,
///     x: &Tokens<usize, Const<65>>,
/// ) -> Stream<usize, Const<64>> {
///     embedding.forward(x)
/// }
///
/// let frozen = Embedding::new(Const::<65>, Const::<64>).frozen();
/// assert!(!frozen.weight.trains());
/// ```
#[derive(Module)]
pub struct Embedding<V: Dim, D: Dim> {
    /// The table, `[vocab, dim]`, initially normal with mean 0.
    #[param]
    pub weight: Param<(V, D)>,
}

impl<V: Dim, D: Dim> Embedding<V, D> {
    /// Makes trained rows of width `dim`, initially `N(0, 1)`.
    pub fn new(vocab: V, dim: D) -> Self {
        Self::with_std(vocab, dim, 1.0)
    }

    /// Makes trained rows of width `dim`, initially `N(0, std^2)`.
    pub fn with_std(vocab: V, dim: D, std: f64) -> Self {
        Embedding { weight: Param::new((vocab, dim), Init::Normal { std }) }
    }

    /// Returns the same embedding, frozen.
    pub fn frozen(self) -> Self {
        Embedding { weight: self.weight.frozen() }
    }

    /// Looks up the row of each token: `out[t] = weight[x[t]]`, `[seq, dim]`.
    pub fn forward<T: Dim>(&self, x: &Tokens<T, V>) -> Stream<T, D> {
        x.lookup(&x.recorder().weight(&self.weight))
    }
}
