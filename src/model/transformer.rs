//! A transformer of interchangeable blocks.
use crate::backend::Dim;
use crate::graph::{Model, Stream, Tokens};
use crate::nn::{Attention, Block, Embedding, LayerNorm, ModuleExt, Positions, Readout, RelativeBias};
use crate::{Module, Result};

use super::check;
use super::transformer_args::{FeedForwardKind, OutputKind, PositionKind, TransformerArgs};

/// Blocks over embeddings and positions; logits `W_U norm(h)`: every choice of [`TransformerArgs`].
///
/// What the settings do not say is a field: build the model, then change a block of one layer. State-dict names are
/// those of [`super::Full`]. `V`: vocabulary, `M`: longest sequence, `D`: width.
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
/// let model = Transformer::new(Const::<65>, 256, Const::<64>, &args)?.init(42);
/// assert_eq!(model.tensor("layers.1.attention.wk.down.weight")?.dims(), [4, 64]);
///
/// // from code, with one layer changed by hand
/// let args = TransformerArgs { layers: 2, ..TransformerArgs::defaults() };
/// let mut model = Transformer::new(65, 256, 64, &args)?;
/// model.layers[0].attention.wv = Map::Identity;
/// model.layers[0].ff = None;
/// let model = model.init(42);
/// assert!(record(&model, 32).site("layers.0.ff.out").is_none());
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Module)]
#[module(aliases = Self::aliases)]
pub struct Transformer<V: Dim, M: Dim, D: Dim> {
    /// `w_E`.
    #[module]
    pub tok_embeddings: Embedding<V, D>,
    /// What is added to the embeddings.
    #[module]
    pub pos_embeddings: Positions<M, D>,
    /// The blocks.
    #[module]
    pub layers: Vec<Block<D>>,
    /// The last norm; none behind blocks that end in a norm.
    #[module]
    pub norm: Option<LayerNorm<D>>,
    /// `W_U`.
    #[module]
    pub output: Readout<V, D>,
}

impl<V: Dim, M: Dim, D: Dim> Transformer<V, M, D> {
    /// A model of these sizes; `args.dim` and `args.max_length` are not read.
    ///
    /// # Errors
    /// If a size is 0, the heads do not divide the width (or, with rotary positions, not into even widths), a rank is
    /// larger than the width, or the machine cannot hold so many parameters.
    pub fn new(vocab: V, max_length: M, dim: D, args: &TransformerArgs) -> Result<Self> {
        let sized = TransformerArgs { dim: dim.size(), ..args.clone() };
        check(vocab, max_length, dim, sized.problems())?;
        sized.check_memory(vocab.size(), max_length.size())?;
        let frozen = args.freeze_embeddings;
        let positions = match args.positions {
            PositionKind::Learned => Positions::learned(max_length, dim).frozen_if(frozen),
            PositionKind::Frozen => Positions::learned(max_length, dim).frozen_if(true),
            PositionKind::SinCos => Positions::sin_cos(max_length, dim, 1.0),
            PositionKind::Rotary | PositionKind::Relative | PositionKind::Alibi | PositionKind::None => {
                Positions::None
            }
        };
        let norm = || args.norm.then(|| LayerNorm::new(dim));
        let block = |_| Block {
            attention: attention(dim, max_length.size(), args),
            ff: args.ff.of(dim),
            attention_norm: norm(),
            ff_norm: (args.ff != FeedForwardKind::None).then(norm).flatten(),
            wiring: args.wiring,
        };
        Ok(Transformer {
            tok_embeddings: Embedding::new(vocab, dim).frozen_if(frozen),
            pos_embeddings: positions,
            layers: (0..args.layers).map(block).collect(),
            norm: (!args.wiring.ends_in_norm()).then(norm).flatten(),
            output: match args.output {
                OutputKind::Trained => Readout::own(vocab, dim),
                OutputKind::Frozen => Readout::own(vocab, dim).frozen_if(true),
                OutputKind::Tied => Readout::Tied,
            },
        })
    }

    /// Draws the initial values from `seed`.
    pub fn init(mut self, seed: u64) -> Self {
        self.init_all(seed);
        self
    }

    fn aliases(&self) -> Vec<(&'static str, &'static str)> {
        self.output.aliases("output.weight", "tok_embeddings.weight")
    }
}

/// The attention of one layer.
fn attention<D: Dim>(dim: D, max_length: usize, args: &TransformerArgs) -> Attention<D> {
    let mut attention = Attention::new(dim, args.heads);
    attention.wq = args.wq.of(dim, args.rank);
    attention.wk = args.wk.of(dim, args.rank);
    attention.wv = args.wv.of(dim, args.rank);
    attention.wo = args.wo.of(dim, args.rank);
    attention.scores.normaliser = args.normaliser;
    if !args.scale_scores {
        attention.scores.scale = 1.0;
    }
    match args.positions {
        PositionKind::Rotary => attention.scores.rotary = Some(10_000.0),
        PositionKind::Relative => attention.relative = Some(RelativeBias::learned(args.heads, max_length)),
        PositionKind::Alibi => attention.relative = Some(RelativeBias::alibi(args.heads, max_length)),
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
        let relative = self.layers.iter().filter_map(|layer| layer.attention.relative.as_ref());
        let distances = relative.map(|relative| relative.weight.shape().1);
        self.pos_embeddings.max_seq().into_iter().chain(distances).min()
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, V>) -> Stream<T, V> {
        let site = x.site();
        let tokens = site.at("embed").stream("tokens", self.tok_embeddings.forward(x));
        let mut h = self.pos_embeddings.add_to(tokens, x); // [seq, dim]
        for (i, layer) in self.layers.iter().enumerate() {
            let site = site.at("layers").at(i);
            h = site.stream("resid", h);
            h = layer.forward(&h, &site);
        }
        let site = site.at("final");
        h = site.stream("resid", h);
        if let Some(norm) = &self.norm {
            h = site.stream("norm", norm.forward(&h));
        }
        self.output.forward(&self.tok_embeddings, &h) // [seq, vocab]
    }
}
