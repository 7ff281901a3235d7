//! The full model of the paper: several heads, norms, feed-forward layers.
use crate::backend::Dim;
use crate::config::{Config, Problem};
use crate::graph::{Model, Stream, Tokens};
use crate::nn::{
    AnyNorm, Attention, Embedding, LayerNorm, Map, Norm, Param, Unembed, Wiring, sin_cos, through,
    through_feed_forwards,
};
use crate::{Module, Result};

use super::FeedForwards;
use super::parts::{self, PaperBlock, Sizes};

/// Settings of the full model.
#[derive(Config, Clone, Debug, PartialEq)]
#[config(validate = FullArgs::problems)]
pub struct FullArgs {
    /// Number of layers.
    #[config(default = 2, min = 1)]
    pub n_layers: usize,
    /// Width of the residual stream.
    #[config(default = 128, min = 1)]
    pub dim: usize,
    /// Attention heads of a layer; they divide `dim`.
    #[config(default = 4, min = 1)]
    pub n_heads: usize,
    /// Rows of the position table: the longest sequence.
    #[config(default = 256, min = 1)]
    pub max_length: usize,
    /// Norms before attention and feed-forward instead of after.
    #[config(default = true)]
    pub pre_norm: bool,
    /// With pre_norm: the feed-forward reads the attention's result instead of the block's input (the textbook's block).
    #[config(default = false, applies = "pre_norm=true")]
    pub sequential_ffn: bool,
    /// No feed-forward layers.
    #[config(default = false)]
    pub no_ffn: bool,
    /// No norms.
    #[config(default = false)]
    pub no_norm: bool,
    /// Feed-forward layers are one matrix instead of an MLP.
    #[config(default = false, applies = "no_ffn=false")]
    pub linear_ffn: bool,
    /// No feed-forward in layer 0.
    #[config(default = false, applies = "no_ffn=false")]
    pub no_first_layer_ffn: bool,
    /// Token and position embeddings never train.
    #[config(default = false)]
    pub freeze_embeddings: bool,
    /// The unembedding never trains.
    #[config(default = false)]
    pub freeze_output: bool,
    /// The unembedding is the token embeddings, one parameter.
    #[config(default = false, applies = "freeze_output=false")]
    pub tie_output: bool,
    /// Value maps never train.
    #[config(default = false, applies = "no_wv=false")]
    pub freeze_wv: bool,
    /// Output maps of attention never train.
    #[config(default = false, applies = "no_wo=false")]
    pub freeze_wo: bool,
    /// Output maps of attention are the identity.
    #[config(default = false)]
    pub no_wo: bool,
    /// Value maps are the identity.
    #[config(default = false)]
    pub no_wv: bool,
    /// Sinusoidal positions instead of trained ones.
    #[config(default = false)]
    pub sin_cos: bool,
}

impl FullArgs {
    fn problems(&self) -> Vec<Problem> {
        if self.n_heads == 0 || !self.dim.is_multiple_of(self.n_heads) {
            let message = format!("{} heads of equal width do not fit in dim {}", self.n_heads, self.dim);
            return vec![Problem::new("n_heads", message)];
        }
        vec![]
    }

    fn wiring(&self) -> Wiring {
        match (self.pre_norm, self.sequential_ffn) {
            (true, false) => Wiring::Parallel,
            (true, true) => Wiring::Sequential,
            (false, _) => Wiring::PostNorm,
        }
    }
}

/// The paper's full model: blocks of attention and feed-forward layers over trained embeddings, with logits `W_U norm(h)`.
///
/// By default it has 2 layers of 4 heads and width 128, pre-norm blocks ([`Wiring::Parallel`]) with layer norms and
/// perceptrons of hidden width `4 dim`, and trained positions; [`FullArgs`] has all choices. State-dict names are those of
/// the paper's program. `V` is the size of the vocabulary, `M` the longest sequence, `D` the width of the residual stream.
/// The [module](super) lists the sites.
///
/// ```
/// use ihead::config::Config;
/// use ihead::model::{Full, FullArgs};
/// use ihead::nn::ModuleExt;
/// let model = Full::new(65, &FullArgs { max_length: 256, dim: 128, ..FullArgs::defaults() }).unwrap();
/// assert!(model.tensor("layers.1.ff.w2.weight").is_ok());
/// ```
#[derive(Module)]
#[module(aliases = Self::aliases)]
pub struct Full<V: Dim, M: Dim, D: Dim> {
    /// The token embeddings `w_E`, `[vocab, dim]`.
    #[module]
    pub tok_embeddings: Embedding<V, D>,
    /// The table of positions `[max_length, dim]`, which is not used if there is `pe`.
    #[module]
    pub pos_embeddings: Embedding<M, D>,
    /// The sinusoidal positions `[max_length, dim]`, if the settings ask for them.
    #[buffer]
    pub pe: Option<Param<(M, D)>>,
    /// The blocks, one for each layer.
    #[module]
    pub layers: Vec<PaperBlock<D>>,
    /// The norm before the unembedding, which only pre-norm models have.
    #[module]
    pub norm: Option<AnyNorm<D>>,
    /// The unembedding `W_U`.
    #[module]
    pub output: Unembed<V, D>,
}

impl<V: Dim> Full<V, usize, usize> {
    /// Makes a model from settings, for a vocabulary of `vocab` tokens. Its values are not drawn yet: call `init`.
    /// [`Self::sized`] takes sizes that are types, which the compiler checks.
    ///
    /// # Errors
    /// Those of [`Self::sized`].
    pub fn new(vocab: V, args: &FullArgs) -> Result<Self> {
        Full::sized(vocab, args.max_length, args.dim, args)
    }
}

impl<V: Dim, M: Dim, D: Dim> Full<V, M, D> {
    /// Makes a model from settings, with sizes that may be types, such as `Const<64>`. They replace the settings `dim` and
    /// `max_length`.
    ///
    /// # Errors
    /// If a size is 0, the heads do not divide the width, or the machine's memory cannot hold the parameters. The message
    /// names the setting.
    pub fn sized(vocab: V, max_length: M, dim: D, args: &FullArgs) -> Result<Self> {
        let sized = FullArgs { dim: dim.size(), ..args.clone() };
        let mlp = !args.linear_ffn;
        let ff = |i: usize| {
            (!(args.no_ffn || args.no_first_layer_ffn && i == 0)).then(|| parts::feed_forward(dim, mlp))
        };
        let sizes = Sizes {
            vocab: vocab.size(),
            max_length: max_length.size(),
            dim: dim.size(),
            layers: args.n_layers,
            layers_key: "n_layers",
            hidden: None,
        };
        sizes.check(sized.problems(), 4.0 + if args.no_ffn { 0.0 } else { parts::squares(mlp) })?;
        let map = |identity: bool, frozen: bool| match (identity, frozen) {
            (true, _) => Map::Identity,
            (false, true) => Map::linear(dim).frozen(),
            (false, false) => Map::linear(dim),
        };
        let norm = || (!args.no_norm).then(|| AnyNorm::Layer(LayerNorm::new(dim)));
        let block = |i: usize| PaperBlock {
            attention: Attention {
                wv: map(args.no_wv, args.freeze_wv),
                wo: map(args.no_wo, args.freeze_wo),
                ..Attention::new(dim, args.n_heads)
            },
            ff: ff(i),
            attention_norm: norm(),
            ff_norm: norm(),
            wiring: args.wiring(),
        };
        let embedding = || Embedding::new(vocab, dim);
        let positions = Embedding::new(max_length, dim);
        let frozen = args.freeze_embeddings;
        let output = Unembed::own(vocab, dim);
        Ok(Full {
            tok_embeddings: if frozen { embedding().frozen() } else { embedding() },
            pos_embeddings: if frozen { positions.frozen() } else { positions },
            pe: args.sin_cos.then(|| Param::new((max_length, dim), sin_cos(max_length, dim, 1.0))),
            layers: (0..args.n_layers).map(block).collect(),
            norm: if args.pre_norm { norm() } else { None },
            output: match (args.tie_output, args.freeze_output) {
                (true, false) => Unembed::Tied,
                (_, true) => output.frozen(),
                (false, false) => output,
            },
        })
    }

    /// Draws the initial values of all parameters from `seed`, each from a random stream of its own.
    pub fn init(self, seed: u64) -> Self {
        crate::nn::ModuleExt::init(self, seed)
    }

    fn aliases(&self) -> Vec<(&'static str, &'static str)> {
        self.output.aliases("output.weight", "tok_embeddings.weight")
    }

    /// `E[x] + P`, `[seq, dim]`.
    fn embed<T: Dim>(&self, x: &Tokens<T, V>) -> Stream<T, D> {
        let positions = self.pe.as_ref().unwrap_or(&self.pos_embeddings.weight);
        let (site, positions) = (x.site().at("embed"), x.positions(&x.recorder().weight(positions)));
        site.stream("tokens", self.tok_embeddings.forward(x)) + site.stream("positions", positions)
    }

    /// `W_U norm(h)`, `[seq, vocab]`.
    fn logits<T: Dim>(&self, h: &Stream<T, D>) -> Stream<T, V> {
        let h = match &self.norm {
            Some(norm) => h.recorder().site().at("final").stream("norm", norm.norm(h)),
            None => h.clone(),
        };
        self.output.forward(&self.tok_embeddings, &h)
    }
}

impl<V: Dim, M: Dim, D: Dim> Model for Full<V, M, D> {
    type Vocab = V;

    fn vocab(&self) -> V {
        self.tok_embeddings.weight.shape().0
    }

    fn max_seq(&self) -> Option<usize> {
        Some(self.pos_embeddings.weight.shape().0.size())
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, V>) -> Stream<T, V> {
        self.logits(&through(&self.layers, self.embed(x))) // [seq, vocab]
    }
}

impl<V: Dim, M: Dim, D: Dim> FeedForwards for Full<V, M, D> {
    /// With a tied output, these logits are divided by sqrt(dim), as the paper's code does in this pass alone.
    fn feed_forwards<T: Dim>(&self, x: &Tokens<T, V>) -> Stream<T, V> {
        let h = through_feed_forwards(&self.layers, self.embed(x));
        let tied = matches!(self.output, Unembed::Tied);
        let by = if tied { 1.0 / (h.dim().size() as f64).sqrt() } else { 1.0 };
        self.logits(&h).scale(by)
    }
}
