//! Settings of a transformer of interchangeable blocks.
use crate::Result;
use crate::backend::Dim;
use crate::config::{Config, Problem};
use crate::graph::Normaliser;
use crate::nn::{FeedForward, Map, Wiring};

/// Settings of [`super::Transformer`].
#[derive(Config, Clone, Debug, PartialEq)]
#[config(validate = TransformerArgs::problems)]
pub struct TransformerArgs {
    /// Number of layers.
    #[config(default = 2, min = 1)]
    pub layers: usize,
    /// Width of the residual stream.
    #[config(default = 64, min = 1)]
    pub dim: usize,
    /// Attention heads of a layer; they divide `dim`.
    #[config(default = 1, min = 1)]
    pub heads: usize,
    /// The longest sequence.
    #[config(default = 256, min = 1)]
    pub max_length: usize,
    /// What tells positions apart.
    #[config(default = PositionKind::Learned)]
    pub positions: PositionKind,
    /// From attention scores to weights.
    #[config(default = Normaliser::Softmax)]
    pub normaliser: Normaliser,
    /// Scores are divided by the square root of a head's width.
    #[config(default = true)]
    pub scale_scores: bool,
    /// How a layer's parts are wired to the residual stream.
    #[config(default = Wiring::Sequential)]
    pub wiring: Wiring,
    /// Layer norms, where the wiring has them.
    #[config(default = true)]
    pub norm: bool,
    /// The feed-forward layers.
    #[config(default = FeedForwardKind::Mlp)]
    pub ff: FeedForwardKind,
    /// Query maps.
    #[config(default = MapKind::Learned)]
    pub wq: MapKind,
    /// Key maps.
    #[config(default = MapKind::Learned)]
    pub wk: MapKind,
    /// Value maps.
    #[config(default = MapKind::Learned)]
    pub wv: MapKind,
    /// Output maps of attention.
    #[config(default = MapKind::Learned)]
    pub wo: MapKind,
    /// Rank of the maps that are `low_rank`.
    #[config(default = 8, min = 1)]
    pub rank: usize,
    /// Token embeddings, and positions that are learned, never train.
    #[config(default = false)]
    pub freeze_embeddings: bool,
    /// The output map.
    #[config(default = OutputKind::Trained)]
    pub output: OutputKind,
}

/// What tells positions apart.
#[derive(Config, Clone, Copy, Debug, PartialEq, Eq)]
pub enum PositionKind {
    /// A trained row for each position, added to the embeddings.
    Learned,
    /// A random row for each position, added to the embeddings.
    Frozen,
    /// Sines and cosines, added to the embeddings.
    SinCos,
    /// Queries and keys are turned by an angle that grows with the position.
    Rotary,
    /// A trained bias of scores for each head and distance.
    Relative,
    /// A fixed bias of scores that falls with the distance, by a slope of each head.
    Alibi,
    /// Nothing but the causal mask.
    None,
}

/// A map of attention.
#[derive(Config, Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapKind {
    /// A trained matrix.
    Learned,
    /// A random matrix that never trains.
    Frozen,
    /// A trained product of two matrices, of rank `rank`.
    LowRank,
    /// The identity.
    Identity,
}

impl MapKind {
    pub(super) fn of<D: Dim>(self, dim: D, rank: usize) -> Map<D> {
        match self {
            MapKind::Learned => Map::linear(dim),
            MapKind::Frozen => Map::linear(dim).frozen_if(true),
            MapKind::LowRank => Map::low_rank(dim, rank),
            MapKind::Identity => Map::Identity,
        }
    }
}

/// A feed-forward layer.
#[derive(Config, Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedForwardKind {
    /// `W_2 relu(W_1 x)`.
    Mlp,
    /// `W x`.
    Linear,
    /// No feed-forward layer.
    None,
}

impl FeedForwardKind {
    pub(super) fn of<D: Dim>(self, dim: D) -> Option<FeedForward<D>> {
        (self != FeedForwardKind::None).then(|| FeedForward::new(dim, self == FeedForwardKind::Linear))
    }
}

/// The output map.
#[derive(Config, Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// A trained matrix.
    Trained,
    /// A random matrix that never trains.
    Frozen,
    /// The token embeddings, one parameter.
    Tied,
}

impl TransformerArgs {
    pub(super) fn problems(&self) -> Vec<Problem> {
        let TransformerArgs { dim, heads, rank, .. } = *self;
        let mut problems = Vec::new();
        if heads == 0 || !dim.is_multiple_of(heads) {
            let message = format!("{heads} heads of equal width do not fit in dim {dim}");
            problems.push(Problem::new("heads", message));
        } else if self.positions == PositionKind::Rotary && !dim.is_multiple_of(2 * heads) {
            let width = dim / heads;
            let message = format!(
                "{heads} heads in dim {dim} are {width} wide; rotary positions turn pairs, so expected an even width"
            );
            problems.push(Problem::new("heads", message));
        }
        let low_rank = [self.wq, self.wk, self.wv, self.wo].contains(&MapKind::LowRank);
        if low_rank && !(1..=dim).contains(&rank) {
            problems.push(Problem::new("rank", format!("{rank}, expected 1 to dim = {dim}")));
        }
        problems
    }

    /// Refuses a model whose parameters, and the engine's copy of them, the machine cannot hold.
    pub(super) fn check_memory(&self, vocab: usize, max_length: usize) -> Result<()> {
        let [dim, vocab, rows, layers] = [self.dim, vocab, max_length, self.layers].map(|n| n as f64);
        let ff = match self.ff {
            FeedForwardKind::None => 0.0,
            FeedForwardKind::Linear => 1.0,
            FeedForwardKind::Mlp => 8.0,
        };
        let full = |map: &&MapKind| matches!(map, MapKind::Learned | MapKind::Frozen);
        let maps = [self.wq, self.wk, self.wv, self.wo].iter().filter(full).count() as f64;
        let parameters = dim * (2.0 * vocab + rows) + layers * (maps + ff) * dim * dim;
        let what = format!("a model of {} layers, dim {} and max_length {max_length}", self.layers, self.dim);
        crate::memory::check("model_args", &what, 8.0 * parameters)
    }
}
