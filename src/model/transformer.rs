//! A transformer of interchangeable blocks.
use crate::backend::Dim;
use crate::graph::{Mask, Scores};
use crate::graph::{Model, Stream, Tokens};
use crate::nn::{
    AnyChange, AnyFeedForward, AnyNorm, Attention, Block, Embedding, LayerNorm, Mixer, ModuleExt, Norm,
    Positions, QkNorm, RelativeBias, RmsNorm, Unembed, through,
};
use crate::{Module, Result};

use super::parts::Sizes;
use super::transformer_args::{NormKind, OutputKind, PositionKind, TransformerArgs};

/// A block of [`Transformer`], each part of which is chosen by a setting.
pub type TransformerBlock<D> = Block<Attention<D, usize, AnyChange>, AnyFeedForward<D>, AnyNorm<D>>;

/// A transformer whose parts are chosen by [`TransformerArgs`]: blocks over embeddings and positions, with logits
/// `W_U norm(h)`.
///
/// By default it has 2 layers of one head and width 64, pre-norm blocks ([`Wiring::Sequential`](crate::nn::Wiring)) with
/// layer norms and perceptrons, and trained positions. What the settings do not say can be changed in a field after the
/// model is made, such as one part of one layer. State-dict names are those of [`super::Full`], where it has the part. `V`
/// is the size of the vocabulary, `M` the longest sequence, `D` the width of the residual stream. The [module](super) lists
/// the sites.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::config::{Config, parse};
/// use ihead::graph::record;
/// use ihead::model::{Transformer, TransformerArgs};
/// use ihead::nn::{Map, ModuleExt};
///
/// // from a command line
/// let line = ["layers=2", "normaliser=relu", "positions=rotary", "wiring=parallel", "wk=low_rank", "rank=4"];
/// let args = parse::<TransformerArgs>(line.map(String::from)).unwrap().args;
/// let model = Transformer::sized(Const::<65>, 256, Const::<64>, &args)?.init(42);
/// assert_eq!(model.tensor("layers.1.attention.wk.down.weight")?.dims(), [4, 64]);
///
/// // from code, with one layer changed by hand
/// let args = TransformerArgs { max_length: 256, dim: 64, layers: 2, ..TransformerArgs::defaults() };
/// let mut model = Transformer::new(65, &args)?;
/// model.layers[0].attention.wv = Map::Identity;
/// model.layers[0].ff = None;
/// let model = model.init(42);
/// assert!(record(&model, 32)?.site("layers.0.ff.out").is_none());
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Module)]
#[module(aliases = Self::aliases)]
pub struct Transformer<V: Dim, M: Dim, D: Dim> {
    /// The token embeddings `w_E`, `[vocab, dim]`.
    #[module]
    pub tok_embeddings: Embedding<V, D>,
    /// The positions that are added to the embeddings, if any are.
    #[module]
    pub pos_embeddings: Positions<M, D>,
    /// The blocks, one for each layer.
    #[module]
    pub layers: Vec<TransformerBlock<D>>,
    /// The norm before the unembedding. There is none if the blocks themselves end in a norm, or the model has no norms.
    #[module]
    pub norm: Option<AnyNorm<D>>,
    /// The unembedding `W_U`.
    #[module]
    pub output: Unembed<V, D>,
}

impl<V: Dim> Transformer<V, usize, usize> {
    /// Makes a model from settings, for a vocabulary of `vocab` tokens. Its values are not drawn yet: call `init`.
    /// [`Self::sized`] takes sizes that are types, which the compiler checks.
    ///
    /// # Errors
    /// Those of [`Self::sized`].
    pub fn new(vocab: V, args: &TransformerArgs) -> Result<Self> {
        Transformer::sized(vocab, args.max_length, args.dim, args)
    }
}

impl<V: Dim, M: Dim, D: Dim> Transformer<V, M, D> {
    /// Makes a model from settings, with sizes that may be types, such as `Const<64>`. They replace the settings `dim` and
    /// `max_length`.
    ///
    /// # Errors
    /// If a size, a window or the number of layers is 0, the heads do not divide the width (under rotary positions: into even
    /// widths), the heads of keys do not divide the heads or meet a map that is the identity, a rank is larger than the width,
    /// or the machine's memory cannot hold the parameters. The message names the setting.
    pub fn sized(vocab: V, max_length: M, dim: D, args: &TransformerArgs) -> Result<Self> {
        let sized = TransformerArgs { dim: dim.size(), ..args.clone() };
        let sizes = Sizes {
            vocab: vocab.size(),
            max_length: max_length.size(),
            dim: dim.size(),
            layers: args.layers,
            layers_key: "layers",
            hidden: args.hidden,
        };
        sizes.check(sized.problems(), sized.squares())?;
        let frozen = args.freeze_embeddings;
        let learned = || Positions::learned(max_length, dim);
        let positions = match args.positions {
            PositionKind::Learned if frozen => learned().frozen(),
            PositionKind::Learned => learned(),
            PositionKind::Frozen => learned().frozen(),
            PositionKind::SinCos => Positions::sin_cos(max_length, dim, 1.0),
            PositionKind::Rotary | PositionKind::Relative | PositionKind::Alibi | PositionKind::None => {
                Positions::None
            }
        };
        let norm = || match args.norm {
            NormKind::Layer => Some(AnyNorm::Layer(LayerNorm::new(dim))),
            NormKind::Rms => Some(AnyNorm::Rms(RmsNorm::new(dim))),
            NormKind::None => None,
        };
        let block = |_| {
            let ff = sized.feed_forward(dim);
            let ff_norm = ff.as_ref().and_then(|_| norm());
            let attention = attention(dim, max_length.size(), &sized);
            Block { attention, ff, attention_norm: norm(), ff_norm, wiring: args.wiring }
        };
        let embedding = Embedding::new(vocab, dim);
        Ok(Transformer {
            tok_embeddings: if frozen { embedding.frozen() } else { embedding },
            pos_embeddings: positions,
            layers: (0..args.layers).map(block).collect(),
            norm: (!args.wiring.ends_in_norm()).then(norm).flatten(),
            output: match args.output {
                OutputKind::Trained => Unembed::own(vocab, dim),
                OutputKind::Frozen => Unembed::own(vocab, dim).frozen(),
                OutputKind::Tied => Unembed::Tied,
            },
        })
    }

    /// Draws the initial values of all parameters from `seed`, each from a random stream of its own.
    pub fn init(self, seed: u64) -> Self {
        ModuleExt::init(self, seed)
    }

    fn aliases(&self) -> Vec<(&'static str, &'static str)> {
        self.output.aliases("output.weight", "tok_embeddings.weight")
    }
}

/// The attention of one layer; the settings' heads fit.
fn attention<D: Dim>(dim: D, max_length: usize, args: &TransformerArgs) -> Attention<D, usize, AnyChange> {
    let (heads, key_heads) = (args.heads, args.key_heads());
    let (width, rank) = (dim.size() / heads, args.rank);
    let scores = Scores::new(heads).key_heads(key_heads).normaliser(args.normaliser);
    let scores = if args.scale_scores { scores } else { scores.scale(1.0) };
    let change = if args.qk_norm { AnyChange::QkNorm(QkNorm::new(width)) } else { AnyChange::None };
    let key_dim = width * key_heads;
    let mut attention = Attention::grouped(dim, key_dim, scores).changed(change);
    attention.wq = args.wq.of(dim, dim, rank);
    attention.wk = args.wk.of(dim, key_dim, rank);
    attention.wv = args.wv.of(dim, key_dim, rank);
    attention.wo = args.wo.of(dim, dim, rank);
    attention.mask = args.window.map(Mask::window);
    match args.positions {
        PositionKind::Rotary => attention.rotary = Some(args.rotary_base),
        PositionKind::Relative => attention.relative = Some(RelativeBias::learned(heads, max_length)),
        PositionKind::Alibi => attention.relative = Some(RelativeBias::alibi(heads, max_length)),
        PositionKind::Learned | PositionKind::Frozen | PositionKind::SinCos | PositionKind::None => {}
    }
    attention
}

impl<V: Dim, M: Dim, D: Dim> Model for Transformer<V, M, D> {
    type Vocab = V;

    fn vocab(&self) -> V {
        self.tok_embeddings.weight.shape().0
    }

    fn max_seq(&self) -> Option<usize> {
        let attention = self.layers.iter().filter_map(|layer| layer.attention.max_seq());
        self.pos_embeddings.max_seq().into_iter().chain(attention).min()
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, V>) -> Stream<T, V> {
        let site = x.site();
        let tokens = site.at("embed").stream("tokens", self.tok_embeddings.forward(x));
        let mut h = self.pos_embeddings.add_to(tokens, x); // [seq, dim]
        h = through(&self.layers, h);
        if let Some(norm) = &self.norm {
            h = site.at("final").stream("norm", norm.norm(&h));
        }
        self.output.forward(&self.tok_embeddings, &h) // [seq, vocab]
    }
}
