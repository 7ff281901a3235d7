//! Causal self-attention.
use crate::Module;
use crate::backend::Dim;
use crate::graph::{Mask, Pattern, Scores, Site, Stream};

use super::{ChangeQkv, Map, Module as IsModule, RelativeBias, Unchanged};

/// A part of a block in which positions read from each other, such as attention: `[seq, dim]` to `[seq, dim]`.
///
/// [`Block`](super::Block) takes any. [`Attention`] is the library's; implement the trait for one of your own.
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
    /// Computes what each position reads, `[seq, dim]`. Sites are to be named below `site`; the site `out` is what the mixer
    /// adds to the residual stream.
    fn mix<T: Dim>(&self, x: &Stream<T, D>, site: &Site) -> Stream<T, D>;

    /// Returns the longest sequence, or `None` if there is no limit.
    fn max_seq(&self) -> Option<usize> {
        None
    }
}

/// Causal attention with heads of equal width: `[seq, dim]` to `[seq, dim]`.
///
/// Head `h` attends from position `t` to the positions `j <= t` with the weights
/// `A_h[t, j] = normaliser(scale * (W_Q x[t])_h . (W_K y[j])_g + b_h[t - j] + m[t, j])`, where the normaliser, such as
/// softmax, acts on the scores of all `j <= t` (the paper's section 2). The result is
/// `out[t] = W_O concat_h sum_{j <= t} A_h[t, j] (W_V y[j])_g`.
///
/// Queries come from `x`, keys and values from `y`; in self-attention they are the same stream. The bias `b` is 0 without a
/// [`RelativeBias`], and `m` is 0 without a [`Mask`]. `g` is the head of keys and values that head `h` reads: its own, or
/// one that it shares if [`Scores::key_heads`] are fewer. The scale is `1 / sqrt(head width)` unless [`Scores::scale`] is
/// another. `K` is the type of the width of keys and values, `C` the type of what changes queries, keys and values before
/// the scores ([`ChangeQkv`]).
///
/// Sites: `q` `[seq, dim]`, `k` and `v` `[seq, key_dim]` (`q` and `k` after rotation, under rotary positions), `pattern`
/// `[heads, seq, seq]`, `mixed` `[seq, dim]` (before `W_O`) and `out` `[seq, dim]`. The scores before the normaliser are no
/// site: the pattern is computed in their place. State-dict names: `wq.weight`, `wk.weight`, `wv.weight`, `wo.weight`,
/// `relative.weight`, and those of the change under `change`.
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
    /// The query map `W_Q`, `[dim, dim]`.
    #[module]
    pub wq: Map<D>,
    /// The key map `W_K`, `[key_dim, dim]`.
    #[module]
    pub wk: Map<D, K>,
    /// The value map `W_V`, `[key_dim, dim]`.
    #[module]
    pub wv: Map<D, K>,
    /// The output map `W_O`, `[dim, dim]`.
    #[module]
    pub wo: Map<D>,
    /// The bias of the scores by distance, if there is one.
    #[module]
    pub relative: Option<RelativeBias<usize, usize>>,
    /// A change of queries, keys and values after their maps and before their rotation.
    #[module]
    pub change: C,
    /// The number of heads, and how queries and keys become scores and scores become weights.
    pub scores: Scores,
    /// The base of rotary positions, such as 10000, if queries and keys are rotated ([`Stream::rotate`]).
    pub rotary: Option<f64>,
    /// The mask of all heads, if there is one: it hides keys, or raises and lowers their scores.
    pub mask: Option<Mask>,
    /// The width of keys and values: `dim` if each head has its own, else `dim / heads * key_heads`.
    pub key_dim: K,
}

impl<D: Dim> Attention<D> {
    /// Makes attention with four trained maps, softmax over scores divided by `sqrt(dim / heads)`, no positions and no
    /// mask. If the heads do not divide `dim`, recording the model refuses it.
    pub fn new(dim: D, heads: usize) -> Self {
        Attention::grouped(dim, dim, Scores::new(heads))
    }
}

impl<D: Dim, K: Dim> Attention<D, K> {
    /// Makes attention with fewer heads of keys and values than of queries (grouped-query attention). Keys and values then
    /// have a width of their own, `key_dim`, which must be `dim / heads * key_heads`.
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
    /// Returns the same attention, in which `change` acts on queries, keys and values after their maps.
    pub fn changed<N: ChangeQkv>(self, change: N) -> Attention<D, K, N> {
        let Attention { wq, wk, wv, wo, relative, scores, rotary, mask, key_dim, .. } = self;
        Attention { wq, wk, wv, wo, relative, change, scores, rotary, mask, key_dim }
    }

    /// Computes the attention pattern of queries from `x` over keys from `y`, `[heads, seq, seq]`. The sites `q`, `k` and
    /// `pattern` are named below `site`.
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

    /// Computes what each position of `x` reads from `y`, `[seq, dim]`. All sites are named below `site`.
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
