//! Causal self-attention.
use crate::Module;
use crate::backend::Dim;
use crate::graph::{Normaliser, Pattern, Site, Stream};

use super::{Map, RelativeBias};

/// Causal attention with heads of equal width: `[seq, dim]` to the same.
///
/// `out[t] = W_O concat_h sum_{j <= t} A_h[t, j] (W_V y[j])_h`, with
/// `A_h[t, .] = normaliser(scale * (W_Q x[t])_h . (W_K y[j])_h + b_h[t - j])` over `j <= t` (the paper's section 2), where
/// `b` is there with [`RelativeBias`] alone.
/// Queries come from `x`, keys and values from `y`; in self-attention they are the same stream.
///
/// Sites: `q`, `k` (rotated, under rotary positions), `v` `[seq, dim]`, `pattern` `[heads, seq, seq]`, `mixed` (before `W_O`)
/// and `out` `[seq, dim]`. Scores are not named: they are made in the buffer of the pattern.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::graph::{Normaliser, Site, Stream};
/// use ihead::nn::{Attention, Map, ModuleExt};
///
/// /// The second stream reads from the first.
/// fn read(
///     attention: &Attention<Const<64>>,
///     x: &Stream<usize, Const<64>>,
///     y: &Stream<usize, Const<64>>,
///     site: &Site,
/// ) -> Stream<usize, Const<64>> {
///     attention.forward(y, x, &site.at("attention"))
/// }
///
/// // four heads; values as they are, ReLU instead of softmax
/// let mut attention = Attention::new(Const::<64>, 4);
/// attention.wv = Map::Identity;
/// attention.scores.normaliser = Normaliser::MeanRelu;
/// let names: Vec<String> = attention.tensors().into_iter().map(|(name, ..)| name).collect();
/// assert_eq!(names, ["wq.weight", "wk.weight", "wo.weight"]);
/// ```
#[derive(Module)]
pub struct Attention<D: Dim> {
    /// Query map.
    #[module]
    pub wq: Map<D>,
    /// Key map.
    #[module]
    pub wk: Map<D>,
    /// Value map.
    #[module]
    pub wv: Map<D>,
    /// Output map.
    #[module]
    pub wo: Map<D>,
    /// Relative positions.
    #[module]
    pub relative: Option<RelativeBias<usize, usize>>,
    /// How scores are made.
    pub scores: Scores,
}

/// How attention scores are made.
///
/// ```
/// use ihead::nn::Scores;
/// assert_eq!(Scores::softmax(128, 4).scale, 1.0 / 32_f64.sqrt());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// Number of heads.
    pub heads: usize,
    /// Factor of the scores; 1 / sqrt(head width) as a rule.
    pub scale: f64,
    /// From scores to weights.
    pub normaliser: Normaliser,
    /// Base of rotary positions, if queries and keys are rotated.
    pub rotary: Option<f64>,
}

impl Scores {
    /// Softmax over scores divided by the square root of the heads' width.
    pub fn softmax(dim: usize, heads: usize) -> Scores {
        let scale = 1.0 / ((dim / heads.max(1)) as f64).sqrt();
        Scores { heads, scale, normaliser: Normaliser::Softmax, rotary: None }
    }
}

impl<D: Dim> Attention<D> {
    /// Attention with four trained maps.
    pub fn new(dim: D, heads: usize) -> Self {
        let [wq, wk, wv, wo] = std::array::from_fn(|_| Map::linear(dim));
        Attention { wq, wk, wv, wo, relative: None, scores: Scores::softmax(dim.size(), heads) }
    }

    /// The pattern of queries from `x` over keys from `y`, `[heads, seq, seq]`.
    pub fn pattern<T: Dim>(&self, x: &Stream<T, D>, y: &Stream<T, D>, site: &Site) -> Pattern<T> {
        let Scores { heads, scale, normaliser, rotary } = self.scores;
        let (mut q, mut k) = (self.wq.forward(x), self.wk.forward(y));
        if let Some(theta) = rotary {
            (q, k) = (q.rotate(heads, theta), k.rotate(heads, theta));
        }
        let (q, k) = (site.heads("q", q, heads), site.heads("k", k, heads));
        let pattern = Pattern::new_causal(&q, &k, heads, scale, normaliser);
        let pattern = match &self.relative {
            Some(relative) => pattern.with_bias(&x.recorder().weight(&relative.weight)),
            None => pattern,
        };
        site.pattern("pattern", pattern)
    }

    /// What each position of `x` reads from `y`.
    pub fn forward<T: Dim>(&self, x: &Stream<T, D>, y: &Stream<T, D>, site: &Site) -> Stream<T, D> {
        let heads = self.scores.heads;
        let pattern = self.pattern(x, y, site);
        let v = site.heads("v", self.wv.forward(y), heads);
        let mixed = site.heads("mixed", pattern.mix(&v), heads);
        site.stream("out", self.wo.forward(&mixed))
    }
}
