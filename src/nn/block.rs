//! A transformer block.
use crate::Module;
use crate::backend::Dim;
use crate::config::Config;
use crate::graph::{Site, Stream};

use super::{FeedForward, Mixer, Module as IsModule, Norm};

/// How the mixer (`attn`), the feed-forward layer (`ff`) and the norms of a [`Block`] are wired to the residual stream `x`.
#[derive(Config, Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wiring {
    /// `h = x + attn(norm1(x))`, then `h + ff(norm2(x))`: the feed-forward layer reads the block's input, as in the paper's
    /// full model.
    Parallel,
    /// `h = x + attn(norm1(x))`, then `h + ff(norm2(h))`: the textbook's pre-norm block.
    Sequential,
    /// `h = norm1(x + attn(x))`, then `norm2(h + ff(h))`; without a feed-forward, `h`.
    PostNorm,
    /// `ff(norm2(attn(norm1(x))))`, and without a feed-forward layer `attn(norm1(x))`: without a residual stream, a layer must
    /// write again whatever is to be kept.
    NoResidual,
}

impl Wiring {
    /// Returns whether a norm is the last step of a block, so that no further norm is needed after the last block.
    pub fn ends_in_norm(self) -> bool {
        self == Wiring::PostNorm
    }
}

/// A transformer block: a mixer (such as attention) and a feed-forward layer on a residual stream, `[seq, dim]` to
/// `[seq, dim]`.
///
/// [`Wiring`] has the formulas. The mixer `A`, the feed-forward layer `F` and the norms `N` may each be of your own: a type
/// that implements [`Mixer`], [`FeedForward`] or [`Norm`]. A norm that is absent is the identity; a feed-forward layer that
/// is absent adds nothing.
///
/// Sites, all `[seq, dim]`: `attention.in` and `ff.in`, what the two parts read; `resid_mid`, the stream `h` before the
/// feed-forward layer. Those of the mixer and of the feed-forward layer are under `attention` and `ff`.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::graph::{Site, Stream};
/// use ihead::nn::{Attention, Block, LayerNorm, Mlp, ModuleExt, Wiring};
///
/// type D = Const<64>;
/// type MyBlock = Block<Attention<D>, Mlp<D>, LayerNorm<D>>;
///
/// fn run(block: &MyBlock, x: &Stream<usize, D>, site: &Site) -> Stream<usize, D> {
///     block.forward(x, site)
/// }
///
/// let dim = Const::<64>;
/// let block = MyBlock {
///     attention: Attention::new(dim, 4),
///     ff: Some(Mlp::new(dim)),
///     attention_norm: Some(LayerNorm::new(dim)),
///     ff_norm: Some(LayerNorm::new(dim)),
///     wiring: Wiring::Sequential,
/// };
/// assert_eq!(block.count(), 4 * 64 * 64 + 2 * 4 * 64 * 64 + 4 * 64);
/// ```
#[derive(Module)]
pub struct Block<A: IsModule, F: IsModule, N: IsModule> {
    /// The mixer, in which positions read from each other, such as [`Attention`](super::Attention).
    #[module]
    pub attention: A,
    /// The feed-forward layer, if there is one.
    #[module]
    pub ff: Option<F>,
    /// The norm of attention, `norm1` in the formulas of [`Wiring`].
    #[module]
    pub attention_norm: Option<N>,
    /// The norm of the feed-forward layer, `norm2` in these formulas. Without such a layer it has no effect.
    #[module]
    pub ff_norm: Option<N>,
    /// How the parts are wired.
    pub wiring: Wiring,
}

impl<A: IsModule, F: IsModule, N: IsModule> Block<A, F, N> {
    /// Computes the residual stream after the block, `[seq, dim]`. Sites are named below `site`.
    pub fn forward<T: Dim, D: Dim>(&self, x: &Stream<T, D>, site: &Site) -> Stream<T, D>
    where
        A: Mixer<D>,
        F: FeedForward<D>,
        N: Norm<D>,
    {
        let attend = |y: &Stream<T, D>| {
            let site = site.at("attention");
            self.attention.mix(&site.stream("in", y.clone()), &site)
        };
        let norm1 = |y: &Stream<T, D>| normed(&self.attention_norm, y);
        let norm2 = |y: &Stream<T, D>| normed(&self.ff_norm, y);
        let mid = |h: Stream<T, D>| site.stream("resid_mid", h);
        match self.wiring {
            Wiring::Parallel => fed(&self.ff, mid(x.clone() + attend(&norm1(x))), || norm2(x), site),
            Wiring::Sequential => {
                let h = mid(x.clone() + attend(&norm1(x)));
                fed(&self.ff, h.clone(), || norm2(&h), site)
            }
            Wiring::PostNorm => {
                let h = mid(norm1(&(x.clone() + attend(x))));
                if self.ff.is_some() { norm2(&fed(&self.ff, h.clone(), || h.clone(), site)) } else { h }
            }
            Wiring::NoResidual => {
                let h = mid(attend(&norm1(x)));
                self.ff.as_ref().map_or_else(|| h.clone(), |ff| ff_out(ff, norm2(&h), site))
            }
        }
    }
}

/// `h + ff(input)`.
fn fed<T: Dim, D: Dim>(
    ff: &Option<impl FeedForward<D>>,
    h: Stream<T, D>,
    input: impl FnOnce() -> Stream<T, D>,
    site: &Site,
) -> Stream<T, D> {
    match ff {
        Some(ff) => h + ff_out(ff, input(), site),
        None => h,
    }
}

fn ff_out<T: Dim, D: Dim>(ff: &impl FeedForward<D>, x: Stream<T, D>, site: &Site) -> Stream<T, D> {
    let site = site.at("ff");
    ff.feed_forward(&site.stream("in", x), &site)
}

fn normed<T: Dim, D: Dim>(norm: &Option<impl Norm<D>>, x: &Stream<T, D>) -> Stream<T, D> {
    norm.as_ref().map_or_else(|| x.clone(), |norm| norm.norm(x))
}

/// One layer of a model, from the residual stream before it to that after it: `[seq, dim]` to `[seq, dim]`.
///
/// [`through`] applies a list of them. [`Block`] is one; for a block that is wired in another way, implement the trait for
/// a type of your own.
///
/// ```
/// use ihead::Module;
/// use ihead::backend::Dim;
/// use ihead::graph::{Site, Stream};
/// use ihead::nn::{Attention, FeedForward, Layer, Mlp, RmsNorm};
///
/// /// `x + mlp(x + attention(norm(x)))`.
/// #[derive(Module)]
/// struct Nested<D: Dim> {
///     #[module]
///     norm: RmsNorm<D>,
///     #[module]
///     attention: Attention<D>,
///     #[module]
///     mlp: Mlp<D>,
/// }
///
/// impl<D: Dim> Layer<D> for Nested<D> {
///     fn layer<T: Dim>(&self, x: &Stream<T, D>, site: &Site) -> Stream<T, D> {
///         let n = self.norm.forward(x);
///         let h = x.clone() + self.attention.forward(&n, &n, &site.at("attention"));
///         x.clone() + self.mlp.feed_forward(&h, &site.at("ff"))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer",
    note = "implement `Layer::layer`, from `Stream<T, D>` to the same"
)]
pub trait Layer<D: Dim>: IsModule {
    /// Computes the residual stream after the layer, `[seq, dim]`. Sites are to be named below `site`.
    fn layer<T: Dim>(&self, x: &Stream<T, D>, site: &Site) -> Stream<T, D>;
}

impl<D: Dim, A: Mixer<D>, F: FeedForward<D>, N: Norm<D>> Layer<D> for Block<A, F, N> {
    fn layer<T: Dim>(&self, x: &Stream<T, D>, site: &Site) -> Stream<T, D> {
        self.forward(x, site)
    }
}

/// Applies layers one after the other, from the embeddings to the stream after the last layer: `[seq, dim]` to `[seq, dim]`.
///
/// Sites: `layers.N.resid`, the stream that enters layer N, those of layer N under `layers.N`, and `final.resid`.
pub fn through<T: Dim, D: Dim>(layers: &[impl Layer<D>], mut h: Stream<T, D>) -> Stream<T, D> {
    let site = h.recorder().site();
    for (i, layer) in layers.iter().enumerate() {
        let site = site.at("layers").at(i);
        h = site.stream("resid", h);
        h = layer.layer(&h, &site);
    }
    site.at("final").stream("resid", h)
}

/// Applies the feed-forward layers of blocks alone, without their mixers and norms: `h = h + ff(h)` for each block that has
/// one, `[seq, dim]` to `[seq, dim]`.
///
/// Sites: those of layer N's feed-forward layer under `layers.N.ff`. [`FeedForwardsOnly`](crate::model::FeedForwardsOnly)
/// is a model of this kind.
pub fn through_feed_forwards<T: Dim, D: Dim, A: Mixer<D>, F: FeedForward<D>, N: Norm<D>>(
    layers: &[Block<A, F, N>],
    mut h: Stream<T, D>,
) -> Stream<T, D> {
    for (i, layer) in layers.iter().enumerate() {
        if let Some(ff) = &layer.ff {
            h = h.clone() + ff.feed_forward(&h, &h.recorder().site().at("layers").at(i).at("ff"));
        }
    }
    h
}
