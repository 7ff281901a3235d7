//! Settings of a transformer of interchangeable blocks.
use crate::backend::Dim;
use crate::config::{Config, Problem};
use crate::graph::Normaliser;
use crate::nn::{Activation, AnyFeedForward, Linear, LowRank, Map, Mlp, Wiring};

/// Settings of a transformer of interchangeable blocks.
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
    /// Heads of keys and values, which the `heads` share; a divisor of `heads`. As many as `heads` without it.
    #[config(min = 1)]
    pub key_heads: Option<usize>,
    /// The longest sequence; rotary positions, or none, set no limit.
    #[config(default = 256, min = 1)]
    pub max_length: usize,
    /// How positions are encoded.
    #[config(default = PositionKind::Learned)]
    pub positions: PositionKind,
    /// Base of the angles of rotary positions.
    #[config(default = 10000.0, min = 1.0, applies = "positions=rotary")]
    pub rotary_base: f64,
    /// The number of positions that attention reads, including the query's own; without it, all positions up to the
    /// query's.
    #[config(min = 1)]
    pub window: Option<usize>,
    /// RMS norm of the queries and keys of each head.
    #[config(default = false)]
    pub qk_norm: bool,
    /// The function from attention scores to weights.
    #[config(default = Normaliser::Softmax)]
    pub normaliser: Normaliser,
    /// Scores are divided by the square root of a head's width.
    #[config(default = true)]
    pub scale_scores: bool,
    /// How a layer's parts are wired to the residual stream.
    #[config(default = Wiring::Sequential)]
    pub wiring: Wiring,
    /// The norms, where the wiring has them.
    #[config(default = NormKind::Layer)]
    pub norm: NormKind,
    /// The feed-forward layers.
    #[config(default = FeedForwardKind::Mlp)]
    pub ff: FeedForwardKind,
    /// Activation of an MLP.
    #[config(default = Activation::Relu, applies = "ff=mlp")]
    pub activation: Activation,
    /// An MLP's hidden layer is multiplied by another linear map: with SiLU, SwiGLU.
    #[config(default = false, applies = "ff=mlp")]
    pub gated: bool,
    /// Width of an MLP's hidden layer; `4 dim` without it.
    #[config(min = 1, applies = "ff=mlp")]
    pub hidden: Option<usize>,
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
    /// Token embeddings and learned positions never train.
    #[config(default = false)]
    pub freeze_embeddings: bool,
    /// The unembedding, from the last stream to the logits.
    #[config(default = OutputKind::Trained)]
    pub output: OutputKind,
}

/// How positions are encoded.
#[derive(Config, Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
#[non_exhaustive]
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
    pub(super) fn of<I: Dim, O: Dim>(self, inputs: I, outputs: O, rank: usize) -> Map<I, O> {
        match self {
            MapKind::Learned => Map::linear_to(inputs, outputs),
            MapKind::Frozen => Map::linear_to(inputs, outputs).frozen(),
            MapKind::LowRank => Map::LowRank(LowRank::new(inputs, rank, outputs)),
            MapKind::Identity => Map::Identity,
        }
    }
}

/// A norm.
#[derive(Config, Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NormKind {
    /// Layer norm.
    Layer,
    /// RMS norm.
    Rms,
    /// No norm.
    None,
}

/// A feed-forward layer.
#[derive(Config, Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeedForwardKind {
    /// `W_2 a(W_1 x)` with the activation, perhaps gated.
    Mlp,
    /// `W x`.
    Linear,
    /// No feed-forward layer.
    None,
}

/// The unembedding, from the last stream to the logits.
#[derive(Config, Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
        let base = self.rotary_base;
        if self.positions == PositionKind::Rotary && !(base.is_finite() && base >= 1.0) {
            problems
                .push(Problem::new("rotary_base", format!("{base}, expected a finite number of at least 1")));
        }
        let key_heads = self.key_heads();
        if key_heads == 0 || !heads.is_multiple_of(key_heads) {
            let message = format!("{key_heads}, expected a number that divides the {heads} heads");
            problems.push(Problem::new("key_heads", message));
        } else if key_heads < heads && [self.wk, self.wv].contains(&MapKind::Identity) {
            let message = format!(
                "{key_heads} of {heads} heads: keys and values are narrower, so their maps cannot be the identity"
            );
            problems.push(Problem::new("key_heads", message));
        }
        for (key, size) in [("window", self.window), ("hidden", self.hidden)] {
            if size == Some(0) {
                problems.push(Problem::new(key, "0, expected at least 1"));
            }
        }
        let low_rank = [self.wq, self.wk, self.wv, self.wo].contains(&MapKind::LowRank);
        if low_rank && !(1..=dim).contains(&rank) {
            problems.push(Problem::new("rank", format!("{rank}, expected 1 to dim = {dim}")));
        }
        problems
    }

    /// Returns the number of heads of keys and values: the setting, or as many as `heads` without it.
    pub fn key_heads(&self) -> usize {
        self.key_heads.unwrap_or(self.heads)
    }

    /// The feed-forward layer of a block.
    pub(super) fn feed_forward<D: Dim>(&self, dim: D) -> Option<AnyFeedForward<D>> {
        match self.ff {
            FeedForwardKind::None => None,
            FeedForwardKind::Linear => Some(AnyFeedForward::Linear(Linear::new(dim, dim))),
            FeedForwardKind::Mlp => {
                let mlp = Mlp::new(dim).activation(self.activation);
                let mlp = if let Some(hidden) = self.hidden { mlp.hidden(hidden) } else { mlp };
                Some(AnyFeedForward::Mlp(if self.gated { mlp.gated() } else { mlp }))
            }
        }
    }

    /// The parameters of a layer, in units of `dim^2`, without norms.
    pub(super) fn squares(&self) -> f64 {
        let full = |map: &&MapKind| matches!(map, MapKind::Learned | MapKind::Frozen);
        let maps = [self.wq, self.wk, self.wv, self.wo].iter().filter(full).count() as f64;
        let hidden = self.hidden.map_or(4.0, |hidden| hidden as f64 / self.dim.max(1) as f64);
        let ff = match self.ff {
            FeedForwardKind::None => 0.0,
            FeedForwardKind::Linear => 1.0,
            FeedForwardKind::Mlp => hidden * if self.gated { 3.0 } else { 2.0 },
        };
        maps + ff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_has_its_maps_and_its_feed_forward() {
        let args = TransformerArgs { dim: 8, ..TransformerArgs::defaults() };
        let ff = |ff, gated, hidden| TransformerArgs { ff, gated, hidden, ..args.clone() }.squares();
        assert_eq!(ff(FeedForwardKind::None, false, None), 4.0);
        assert_eq!(ff(FeedForwardKind::Linear, false, None), 5.0);
        assert_eq!(ff(FeedForwardKind::Mlp, false, None), 4.0 + 2.0 * 4.0);
        assert_eq!(ff(FeedForwardKind::Mlp, true, Some(16)), 4.0 + 3.0 * 2.0);
        let fewer = TransformerArgs { wq: MapKind::Identity, wo: MapKind::Frozen, ..args.clone() };
        assert_eq!(fewer.squares(), 3.0 + 8.0);
    }
}
