//! What the models share: the blocks of the paper's two, and checks of sizes.
use crate::backend::Dim;
use crate::config::Problem;
use crate::nn::{AnyFeedForward, AnyNorm, Attention, Block, Linear, Mlp};
use crate::{Error, Result};

/// A block of the paper's models: attention, and where the settings ask for them a feed-forward layer (one matrix, or a
/// perceptron with ReLU) and layer norms.
pub type PaperBlock<D> = Block<Attention<D>, AnyFeedForward<D>, AnyNorm<D>>;

/// The paper's feed-forward layer: an MLP with ReLU, or one matrix.
pub(super) fn feed_forward<D: Dim>(dim: D, mlp: bool) -> AnyFeedForward<D> {
    if mlp { AnyFeedForward::Mlp(Mlp::new(dim)) } else { AnyFeedForward::Linear(Linear::new(dim, dim)) }
}

/// The parameters of that layer, in units of `dim^2`.
pub(super) fn squares(mlp: bool) -> f64 {
    if mlp { 8.0 } else { 1.0 }
}

/// Bytes of a layer besides its values: names, instructions, buffers of a few numbers.
const LAYER: f64 = 1e5;

/// A layer whose matrices hold more than so many times `dim^2` numbers has a hidden layer that was chosen large.
const OF_A_HIDDEN_LAYER: f64 = 64.0;

/// The sizes of a model.
pub(super) struct Sizes {
    pub vocab: usize,
    pub max_length: usize,
    pub dim: usize,
    pub layers: usize,
    /// The setting that says how many layers there are.
    pub layers_key: &'static str,
    /// The width of a hidden layer, where a setting says it.
    pub hidden: Option<usize>,
}

impl Sizes {
    /// Refuses sizes of 0, what the settings say of themselves, and a model whose parameters the machine cannot hold:
    /// `squares` times `dim^2` in a layer.
    pub fn check(&self, problems: Vec<Problem>, squares: f64) -> Result<()> {
        let named = [
            ("vocab_size", self.vocab),
            ("max_length", self.max_length),
            ("dim", self.dim),
            (self.layers_key, self.layers),
        ];
        let empty = named.into_iter().find(|(_, size)| *size == 0);
        if let Some((key, size)) = empty {
            return Err(Error::value(key, size, "at least 1"));
        }
        if let Some(problem) = problems.into_iter().next() {
            return Err(problem.into());
        }
        let [dim, vocab, rows, layers] =
            [self.dim, self.vocab, self.max_length, self.layers].map(|n| n as f64);
        let (tokens, positions) = (2.0 * dim * vocab, dim * rows);
        let matrices = layers * squares * dim * dim;
        let parameters = tokens + positions + matrices;
        let (values, names) = (8.0 * parameters, LAYER * layers);
        // the setting that is to blame
        let key = if names > values || matrices > tokens && layers > dim && squares <= OF_A_HIDDEN_LAYER {
            self.layers_key
        } else if positions > tokens.max(matrices) && rows > dim {
            "max_length"
        } else if matrices > tokens && squares > OF_A_HIDDEN_LAYER {
            "hidden"
        } else if tokens > matrices && vocab > dim {
            "vocab_size"
        } else {
            "dim"
        };
        crate::memory::check(key, &self.words(), values + names)
    }

    /// The model in words, for messages.
    fn words(&self) -> String {
        let Sizes { vocab, max_length, dim, layers, hidden, .. } = self;
        let hidden = hidden.map_or(String::new(), |hidden| format!(", hidden {hidden}"));
        format!("a model of {layers} layers, dim {dim}{hidden}, max_length {max_length} and {vocab} tokens")
    }
}
