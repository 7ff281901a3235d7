//! The simplified model of the paper's section 4.2.
use crate::backend::Dim;
use crate::config::{Config, Problem};
use crate::graph::{Model, Stream, Tokens};
use crate::nn::{
    Attention, Embedding, Init, Map, ModuleExt, Param, Unembed, Wiring, sin_cos, through,
    through_feed_forwards,
};
use crate::{Module, Result};

use super::FeedForwards;
use super::parts::{self, PaperBlock, Sizes};

/// Settings of the simplified model.
#[derive(Config, Clone, Debug, PartialEq)]
#[config(validate = SimplifiedArgs::problems)]
pub struct SimplifiedArgs {
    /// Width of the residual stream.
    #[config(default = 64, min = 1)]
    pub dim: usize,
    /// Rows of the position table: the longest sequence.
    #[config(default = 256, min = 1)]
    pub max_length: usize,
    /// A feed-forward layer in layer 1.
    #[config(default = false)]
    pub final_ffn: bool,
    /// A feed-forward layer in layer 0.
    #[config(default = false)]
    pub first_ffn: bool,
    /// Layer 1's feed-forward is one matrix instead of an MLP.
    #[config(default = true, applies = "final_ffn=true")]
    pub linear_final_ffn: bool,
    /// Layer 0's feed-forward is one matrix instead of an MLP.
    #[config(default = true, applies = "first_ffn=true")]
    pub linear_first_ffn: bool,
    /// The token embeddings never train.
    #[config(default = false)]
    pub freeze_embeddings: bool,
    /// The unembedding never trains.
    #[config(default = false)]
    pub freeze_output: bool,
    /// The unembedding is the token embeddings, scaled.
    #[config(default = false)]
    pub tie_output: bool,
    /// Rotary positions in layer 0 instead of added ones.
    #[config(default = false)]
    pub use_rope: bool,
    /// Embeddings and positions are divided by sqrt(dim).
    #[config(default = false)]
    pub sqrtd_embeddings: bool,
    /// Scores are not divided by sqrt(dim).
    #[config(default = false)]
    pub no_sqrtd: bool,
    /// Sinusoidal positions instead of random ones.
    #[config(default = false)]
    pub sin_cos: bool,
}

impl SimplifiedArgs {
    fn problems(&self) -> Vec<Problem> {
        if self.use_rope && self.dim % 2 == 1 {
            let message =
                format!("{} is odd; rotary positions turn pairs, so expected an even width", self.dim);
            return vec![Problem::new("dim", message)];
        }
        vec![]
    }
}

/// The paper's simplified model (section 4.2): two layers of one head each, without norms, over embeddings that may be
/// frozen, with logits `W_U h`.
///
/// `W_Q` is the identity, `W_V` is frozen at its random initial values in both layers, and so is `W_O` in layer 0. By
/// default no layer has a feed-forward layer. State-dict names are those of the paper's program. `V` is the size of the
/// vocabulary, `M` the longest sequence, `D` the width of the residual stream. The [module](super) lists the sites.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::config::Config;
/// use ihead::model::{Simplified, SimplifiedArgs};
/// use ihead::nn::ModuleExt;
/// let args = SimplifiedArgs::defaults();
/// let model = Simplified::sized(Const::<65>, 256, Const::<64>, &args).unwrap();
/// assert_eq!(model.training()[1].0, "layers.0.attention.wk.weight");
/// ```
#[derive(Module)]
#[module(aliases = Self::aliases)]
pub struct Simplified<V: Dim, M: Dim, D: Dim> {
    /// The token embeddings `w_E`, `[vocab, dim]`.
    #[module]
    pub tok_embeddings: Embedding<V, D>,
    /// The positions `p_t`, `[max_length, dim]`, which never train.
    #[buffer]
    pub pe: Param<(M, D)>,
    /// The two blocks.
    #[module]
    pub layers: Vec<PaperBlock<D>>,
    /// The unembedding `W_U`.
    #[module]
    pub output: Unembed<V, D>,
    /// The factor of the logits: 1, unless the output is tied (`1 / dim`, or `1 / sqrt(dim)` if it is frozen too).
    pub logit_scale: f64,
    /// Whether positions are added to the embeddings; not so under rotary positions.
    pub adds_positions: bool,
}

impl<V: Dim> Simplified<V, usize, usize> {
    /// Makes a model from settings, for a vocabulary of `vocab` tokens. Its values are not drawn yet: call `init`.
    /// [`Self::sized`] takes sizes that are types, which the compiler checks.
    ///
    /// # Errors
    /// Those of [`Self::sized`].
    pub fn new(vocab: V, args: &SimplifiedArgs) -> Result<Self> {
        Simplified::sized(vocab, args.max_length, args.dim, args)
    }
}

impl<V: Dim, M: Dim, D: Dim> Simplified<V, M, D> {
    /// Makes a model from settings, with sizes that may be types, such as `Const<64>`. They replace the settings `dim` and
    /// `max_length`.
    ///
    /// # Errors
    /// If a size is 0, the width is odd under rotary positions, or the machine's memory cannot hold the parameters. The
    /// message names the setting.
    pub fn sized(vocab: V, max_length: M, dim: D, args: &SimplifiedArgs) -> Result<Self> {
        let width = dim.size();
        let ffns = [(args.first_ffn, !args.linear_first_ffn), (args.final_ffn, !args.linear_final_ffn)];
        let sized = SimplifiedArgs { dim: width, ..args.clone() };
        let (vocab_size, rows) = (vocab.size(), max_length.size());
        let layers_key = "n_layers"; // two: no setting says so
        let sizes = Sizes {
            vocab: vocab_size,
            max_length: rows,
            dim: width,
            layers: ffns.len(),
            layers_key,
            hidden: None,
        };
        let most = ffns.map(|(there, mlp)| if there { parts::squares(mlp) } else { 0.0 });
        sizes.check(sized.problems(), 3.0 + most[0].max(most[1]))?;
        let root = 1.0 / (width as f64).sqrt();
        let scale = if args.sqrtd_embeddings { root } else { 1.0 };
        let positions =
            if args.sin_cos { sin_cos(max_length, dim, scale) } else { Init::Normal { std: scale } };
        let layer = |(i, (ffn, mlp)): (usize, (bool, bool))| {
            let mut attention = Attention::new(dim, 1);
            attention.wq = Map::Identity;
            attention.wv = attention.wv.frozen();
            if i == 0 {
                attention.wo = attention.wo.frozen();
                attention.rotary = args.use_rope.then_some(10000.0);
            }
            attention.scores.scale = Some(if args.no_sqrtd { 1.0 } else { root });
            let ff = ffn.then(|| parts::feed_forward(dim, mlp));
            PaperBlock { attention, ff, attention_norm: None, ff_norm: None, wiring: Wiring::Sequential }
        };
        let mut own = Unembed::own(vocab, dim);
        if let (true, Unembed::Own(map)) = (args.tie_output, &mut own) {
            let init = Box::new(Init::Normal { std: scale });
            let divisor = (width as f32).sqrt();
            map.weight =
                Param::new((vocab, dim), Init::Copy { name: "tok_embeddings.weight".into(), init, divisor });
        }
        let (output, logit_scale) = match (args.tie_output, args.freeze_output) {
            (true, false) => (Unembed::Tied, 1.0 / width as f64),
            (true, true) => (own.frozen(), root),
            (false, true) => (own.frozen(), 1.0),
            (false, false) => (own, 1.0),
        };
        let embedding = Embedding::with_std(vocab, dim, scale);
        Ok(Simplified {
            tok_embeddings: if args.freeze_embeddings { embedding.frozen() } else { embedding },
            pe: Param::new((max_length, dim), positions),
            layers: ffns.into_iter().enumerate().map(layer).collect(),
            output,
            logit_scale,
            adds_positions: !args.use_rope,
        })
    }

    /// Draws the initial values of all parameters from `seed`, each from a random stream of its own. A tied output that is
    /// frozen starts as the embeddings divided by `sqrt(dim)`.
    pub fn init(self, seed: u64) -> Self {
        ModuleExt::init(self, seed)
    }

    fn aliases(&self) -> Vec<(&'static str, &'static str)> {
        self.output.aliases("output.weight", "tok_embeddings.weight")
    }

    /// `E[x] + pe`, `[seq, dim]`; without `pe` under rotary positions.
    fn embed<T: Dim>(&self, x: &Tokens<T, V>) -> Stream<T, D> {
        let site = x.site().at("embed");
        let h = site.stream("tokens", self.tok_embeddings.forward(x));
        if !self.adds_positions {
            return h;
        }
        h + site.stream("positions", x.positions(&x.recorder().weight(&self.pe)))
    }

    /// `W_U h`, scaled, `[seq, vocab]`.
    fn logits<T: Dim>(&self, h: &Stream<T, D>) -> Stream<T, V> {
        h.linear(&self.output.weight(&self.tok_embeddings, h.recorder()).scale(self.logit_scale))
    }
}

impl<V: Dim, M: Dim, D: Dim> Model for Simplified<V, M, D> {
    type Vocab = V;

    fn vocab(&self) -> V {
        self.tok_embeddings.weight.shape().0
    }

    fn max_seq(&self) -> Option<usize> {
        Some(self.pe.shape().0.size())
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, V>) -> Stream<T, V> {
        self.logits(&through(&self.layers, self.embed(x))) // [seq, vocab]
    }
}

impl<V: Dim, M: Dim, D: Dim> FeedForwards for Simplified<V, M, D> {
    fn feed_forwards<T: Dim>(&self, x: &Tokens<T, V>) -> Stream<T, V> {
        self.logits(&through_feed_forwards(&self.layers, self.embed(x)))
    }
}
