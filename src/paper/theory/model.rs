//! The model of the theorem on single gradient steps.
use crate::backend::Dim;
use crate::graph::{Model, Stream, Tokens};
use crate::nn::{Attention, Embedding, Init, Linear, Map, ModuleExt, Param};
use crate::{Error, Module, Result};

/// What the embeddings of [`TwoSteps`] are: the rows of its three tables (tokens, positions, unembedding), which never train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Embeddings {
    /// Orthonormal rows: row `i` is the `i`-th unit vector, in all three tables.
    OneHot,
    /// Random rows, each entry `N(0, 1/dim)`; nearly orthonormal in high dimension, and independent in the three tables.
    Random,
}

/// A layer of [`TwoSteps`]: attention with one head.
#[derive(Module)]
pub struct TwoStepsLayer<D: Dim> {
    /// Keys and, in layer 1, the output train; queries and values are the inputs themselves.
    #[module]
    pub attention: Attention<D>,
}

/// The model of the theorem, the smallest one with an induction head: layer 0 reads by position for the keys of layer 1,
/// which alone makes the logits.
///
/// With `e` the token and `p` the position embeddings: `y[t] = sum_s softmax_s(p_t . W_K^1 p_s) e(x_s)`, and the logits are
/// `W_U W_O^2 sum_s softmax_s(e(x_t) . W_K^2 y[s]) e(x_s)`, over `s <= t`, scores unscaled. What trains is zero at first:
/// `layers.0.attention.wk`, `layers.1.attention.wk`, `layers.1.attention.wo`.
///
/// ```
/// use ihead::nn::ModuleExt;
/// use ihead::paper::theory::{Embeddings, TwoSteps};
/// let model = TwoSteps::new(32, 32, 64, Embeddings::Random, 0)?;
/// assert_eq!(model.training().len(), 3);
/// assert!(TwoSteps::new(32, 32, 16, Embeddings::OneHot, 0).is_err());
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Module)]
pub struct TwoSteps<V: Dim, M: Dim, D: Dim> {
    /// The token embeddings `e`, `[vocab, dim]`.
    #[module]
    pub tok_embeddings: Embedding<V, D>,
    /// The position embeddings `p`, `[max_length, dim]`.
    #[buffer]
    pub pe: Param<(M, D)>,
    /// The two layers.
    #[module]
    pub layers: [TwoStepsLayer<D>; 2],
    /// The unembedding `W_U`, `[vocab, dim]`.
    #[module]
    pub output: Linear<D, V>,
}

impl<V: Dim, M: Dim, D: Dim> TwoSteps<V, M, D> {
    /// Makes the model of these sizes at zero weights. Random embeddings are drawn from `seed`.
    ///
    /// # Errors
    /// If one-hot embeddings have more rows (tokens or positions) than `dim`.
    pub fn new(vocab: V, max_length: M, dim: D, embeddings: Embeddings, seed: u64) -> Result<Self> {
        let width = dim.size();
        let rows = vocab.size().max(max_length.size());
        if embeddings == Embeddings::OneHot && rows > width {
            let expected = format!("{rows} or more for one-hot embeddings of so many rows");
            return Err(Error::value("dim", width, expected));
        }
        let table = |rows: usize| match embeddings {
            Embeddings::Random => Init::Normal { std: 1.0 / (width as f64).sqrt() },
            Embeddings::OneHot => {
                let mut values = vec![0.0; rows * width];
                values.iter_mut().step_by(width + 1).for_each(|value| *value = 1.0);
                Init::Values(values)
            }
        };
        let layer = || {
            let mut attention = Attention::new(dim, 1);
            (attention.wq, attention.wv) = (Map::Identity, Map::Identity);
            attention.scores.scale = Some(1.0);
            TwoStepsLayer { attention }
        };
        let mut layers = [layer(), layer()];
        layers[0].attention.wo = Map::Identity;
        let tokens = Param::new((vocab, dim), table(vocab.size())).frozen();
        let output = Param::new((vocab, dim), table(vocab.size())).frozen();
        let mut model = TwoSteps {
            tok_embeddings: Embedding { weight: tokens },
            pe: Param::new((max_length, dim), table(max_length.size())),
            layers,
            output: Linear { weight: output },
        }
        .init(seed);
        let trained: Vec<String> = model.training().into_iter().map(|(name, _)| name).collect();
        for name in trained {
            model.update(&name, &mut |values| values.fill(0.0))?;
        }
        Ok(model)
    }
}

impl<V: Dim, M: Dim, D: Dim> Model for TwoSteps<V, M, D> {
    type Vocab = V;

    fn vocab(&self) -> V {
        self.tok_embeddings.weight.shape().0
    }

    fn max_seq(&self) -> Option<usize> {
        Some(self.pe.shape().0.size())
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, V>) -> Stream<T, V> {
        let [first, second] = &self.layers;
        let site = |layer: usize| x.site().at("layers").at(layer).at("attention");
        let tokens = self.tok_embeddings.forward(x); // [seq, dim]
        let positions = x.positions(&x.recorder().weight(&self.pe)); // [seq, dim]
        let read = first.attention.pattern(&positions, &positions, &site(0)).mix(&tokens); // [seq, dim]
        let found = second.attention.pattern(&tokens, &read, &site(1)).mix(&tokens); // [seq, dim]
        self.output.forward(&second.attention.wo.forward(&found))
    }
}
