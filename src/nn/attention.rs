//! Causal self-attention.
use crate::Module;
use crate::backend::Dim;
use crate::graph::{Mask, Pattern, Scores, Site, Stream};

use super::{ChangeQkv, Map, Module as IsModule, RelativeBias, Unchanged};

/// What lets positions read from each other: `[seq, dim]` to the same. [`Block`](super::Block) takes any.
///
/// ```
/// use ihead::Module;
/// use ihead::backend::Dim;
/// use ihead::graph::{Site, Stream};
/// use ihead::nn::{Linear, Mixer};
///
/// /// `W x[t - 1]`: your own mixer, without attention.
/// #[derive(Module)]
/// struct Before<D: Dim> {
///     #[module]
///     map: Linear<D, D>,
/// }
///
/// impl<D: Dim> Mixer<D> for Before<D> {
///     fn mix<T: Dim>(&self, x: &Stream<T, D>, site: &Site) -> Stream<T, D> {
///         site.stream("out", self.map.forward(&x.shift(1)))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a mixer",
    note = "implement `Mixer::mix`, from `Stream<T, D>` to the same"
)]
pub trait Mixer<D: Dim>: IsModule {
    /// What each position reads, `[seq, dim]`. The part names its sites below `site`; the site `out` is what it adds to the
    /// residual stream.
    fn mix<T: Dim>(&self, x: &Stream<T, D>, site: &Site) -> Stream<T, D>;

    /// The longest sequence, if there is a limit.
    fn max_seq(&self) -> Option<usize> {
        None
    }
}

/// Causal attention with heads of equal width: `[seq, dim]` to `[seq, dim]`.
///
/// `out[t] = W_O concat_h sum_{j <= t} A_h[t, j] (W_V y[j])_g`, with
/// `A_h[t, .] = normaliser(scale * (W_Q x[t])_h . (W_K y[j])_g + b_h[t - j] + m[t, j])` over `j <= t` (the paper's section 2),
/// where
/// `b` is there with [`RelativeBias`] alone, `m` with a [`Mask`], and head `h` has keys and values `g` of its own unless
/// [`Scores::key_heads`] are fewer. Queries come from `x`, keys and values from `y`; in self-attention they are the same stream.
/// `K` is the width of keys and values, `C` what changes them on their way ([`ChangeQkv`]).
///
/// Sites: `q`, `k` (rotated, under rotary positions) and `v`, `pattern` `[heads, seq, seq]`, `mixed` (before `W_O`)
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
pub struct Attention<D: Dim, K: Dim = D, C: ChangeQkv = Unchanged> {
    /// The query map.
    #[module]
    pub wq: Map<D>,
    /// The key map.
    #[module]
    pub wk: Map<D, K>,
    /// The value map.
    #[module]
    pub wv: Map<D, K>,
    /// The output map.
    #[module]
    pub wo: Map<D>,
    /// The bias of the scores by distance, if there is one.
    #[module]
    pub relative: Option<RelativeBias<usize, usize>>,
    /// A change of queries, keys and values after their maps and before their rotation.
    #[module]
    pub change: C,
    /// How queries and keys become scores, and scores become weights.
    pub scores: Scores,
    /// Base of rotary positions, if queries and keys are rotated.
    pub rotary: Option<f64>,
    /// The mask, which restricts the keys that a query may attend to further than causality does.
    pub mask: Option<Mask>,
    /// Width of keys and values.
    pub key_dim: K,
}

impl<D: Dim> Attention<D> {
    /// Attention with four trained maps, softmax, and no positions.
    pub fn new(dim: D, heads: usize) -> Self {
        Attention::grouped(dim, dim, Scores::new(heads))
    }
}

impl<D: Dim, K: Dim> Attention<D, K> {
    /// Attention with fewer heads of keys and values than of queries. Keys and values then have a width of their own: `key_dim` is
    /// `dim / heads * key_heads`.
    ///
    /// ```
    /// use ihead::backend::Const;
    /// use ihead::graph::Scores;
    /// use ihead::nn::{Attention, ModuleExt};
    /// let attention = Attention::grouped(Const::<64>, Const::<16>, Scores::new(8).key_heads(2));
    /// assert_eq!(attention.tensor("wk.weight")?.dims(), [16, 64]);
    /// # Ok::<(), ihead::Error>(())
    /// ```
    pub fn grouped(dim: D, key_dim: K, scores: Scores) -> Self {
        Attention {
            wq: Map::linear(dim),
            wk: Map::linear_to(dim, key_dim),
            wv: Map::linear_to(dim, key_dim),
            wo: Map::linear(dim),
            relative: None,
            change: Unchanged,
            scores,
            rotary: None,
            mask: None,
            key_dim,
        }
    }
}

impl<D: Dim, K: Dim, C: ChangeQkv> Attention<D, K, C> {
    /// The same attention with queries, keys and values changed after their maps.
    pub fn changed<N: ChangeQkv>(self, change: N) -> Attention<D, K, N> {
        let Attention { wq, wk, wv, wo, relative, scores, rotary, mask, key_dim, .. } = self;
        Attention { wq, wk, wv, wo, relative, change, scores, rotary, mask, key_dim }
    }

    /// The pattern of queries from `x` over keys from `y`, `[heads, seq, seq]`.
    pub fn pattern<T: Dim>(&self, x: &Stream<T, D>, y: &Stream<T, D>, site: &Site) -> Pattern<T> {
        let Scores { heads, key_heads, .. } = self.scores;
        let mut q = self.change.queries(self.wq.forward(x), heads, site);
        let mut k = self.change.keys(self.wk.forward_to(y, self.key_dim), key_heads, site);
        if let Some(theta) = self.rotary {
            (q, k) = (q.rotate(heads, theta), k.rotate(key_heads, theta));
        }
        let (q, k) = (site.heads("q", q, heads), site.heads("k", k, key_heads));
        let mut pattern = Pattern::causal(&q, &k, self.scores);
        if let Some(relative) = &self.relative {
            pattern = pattern.with_bias(&x.recorder().weight(&relative.weight));
        }
        if let Some(mask) = &self.mask {
            pattern = pattern.masked(mask);
        }
        site.pattern("pattern", pattern)
    }

    /// What each position of `x` reads from `y`, `[seq, dim]`.
    pub fn forward<T: Dim>(&self, x: &Stream<T, D>, y: &Stream<T, D>, site: &Site) -> Stream<T, D> {
        let Scores { heads, key_heads, .. } = self.scores;
        let pattern = self.pattern(x, y, site);
        let v = self.change.values(self.wv.forward_to(y, self.key_dim), key_heads, site);
        let v = site.heads("v", v, key_heads);
        let mixed = site.heads("mixed", pattern.mix_grouped(&v, key_heads, x.dim()), heads);
        site.stream("out", self.wo.forward(&mixed))
    }
}

impl<D: Dim, K: Dim, C: ChangeQkv> Mixer<D> for Attention<D, K, C> {
    fn mix<T: Dim>(&self, x: &Stream<T, D>, site: &Site) -> Stream<T, D> {
        self.forward(x, x, site)
    }

    fn max_seq(&self) -> Option<usize> {
        self.relative.as_ref().map(|relative| relative.weight.shape().1)
    }
}
