//! A transformer block.
use crate::Module;
use crate::backend::Dim;
use crate::config::Config;
use crate::graph::{Site, Stream};

use super::{Attention, FeedForward, LayerNorm};

/// How attention, feed-forward and norms are wired to the residual stream `x`.
#[derive(Config, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// `h = x + attn(norm1(x))`, then `h + ff(norm2(x))`: the feed-forward reads the block's input. The paper's full model.
    Parallel,
    /// `h = x + attn(norm1(x))`, then `h + ff(norm2(h))`: the textbook's pre-norm block.
    Sequential,
    /// `h = norm1(x + attn(x))`, then `norm2(h + ff(h))`; without a feed-forward, `h`.
    PostNorm,
    /// `ff(norm2(attn(norm1(x))))`: what a layer does not write again is lost.
    NoResidual,
}

impl Wiring {
    /// Whether a norm is the last step of a block, so that none is needed behind the last block.
    pub fn ends_in_norm(self) -> bool {
        self == Wiring::PostNorm
    }
}

/// Attention and feed-forward around a residual stream: `[seq, dim]` to the same.
///
/// A norm that is absent is the identity; a feed-forward that is absent adds nothing.
/// Sites: `attention.in`, `ff.in` (what the two read) and those of [`Attention`] and [`FeedForward`] under `attention` and
/// `ff`; `resid_mid`, the stream `h` before the feed-forward.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::graph::{Site, Stream};
/// use ihead::nn::{Attention, Block, FeedForward, LayerNorm, ModuleExt, Wiring};
///
/// fn run(block: &Block<Const<64>>, x: &Stream<usize, Const<64>>, site: &Site) -> Stream<usize, Const<64>> {
///     block.forward(x, site)
/// }
///
/// let dim = Const::<64>;
/// let block = Block {
///     attention: Attention::new(dim, 4),
///     ff: Some(FeedForward::new(dim, false)),
///     attention_norm: Some(LayerNorm::new(dim)),
///     ff_norm: Some(LayerNorm::new(dim)),
///     wiring: Wiring::Sequential,
/// };
/// assert_eq!(block.count(), 4 * 64 * 64 + 2 * 4 * 64 * 64 + 4 * 64);
/// ```
#[derive(Module)]
pub struct Block<D: Dim> {
    /// Attention.
    #[module]
    pub attention: Attention<D>,
    /// Feed-forward.
    #[module]
    pub ff: Option<FeedForward<D>>,
    /// `norm1`.
    #[module]
    pub attention_norm: Option<LayerNorm<D>>,
    /// `norm2`; it may be there without a feed-forward, and then has no effect.
    #[module]
    pub ff_norm: Option<LayerNorm<D>>,
    /// The wiring.
    pub wiring: Wiring,
}

impl<D: Dim> Block<D> {
    /// The residual stream after the block.
    pub fn forward<T: Dim>(&self, x: &Stream<T, D>, site: &Site) -> Stream<T, D> {
        let attend = |y: &Stream<T, D>| {
            let site = site.at("attention");
            let y = site.stream("in", y.clone());
            self.attention.forward(&y, &y, &site)
        };
        let norm1 = |y: &Stream<T, D>| normed(&self.attention_norm, y);
        let norm2 = |y: &Stream<T, D>| normed(&self.ff_norm, y);
        let mid = |h: Stream<T, D>| site.stream("resid_mid", h);
        match self.wiring {
            Wiring::Parallel => self.fed(mid(x.clone() + attend(&norm1(x))), || norm2(x), site),
            Wiring::Sequential => {
                let h = mid(x.clone() + attend(&norm1(x)));
                self.fed(h.clone(), || norm2(&h), site)
            }
            Wiring::PostNorm => {
                let h = mid(norm1(&(x.clone() + attend(x))));
                if self.ff.is_some() { norm2(&self.fed(h.clone(), || h.clone(), site)) } else { h }
            }
            Wiring::NoResidual => {
                let h = mid(attend(&norm1(x)));
                self.ff.as_ref().map_or_else(|| h.clone(), |ff| self.ff_out(ff, norm2(&h), site))
            }
        }
    }

    /// `h + ff(input)`.
    fn fed<T: Dim>(
        &self,
        h: Stream<T, D>,
        input: impl FnOnce() -> Stream<T, D>,
        site: &Site,
    ) -> Stream<T, D> {
        match &self.ff {
            Some(ff) => h + self.ff_out(ff, input(), site),
            None => h,
        }
    }

    fn ff_out<T: Dim>(&self, ff: &FeedForward<D>, x: Stream<T, D>, site: &Site) -> Stream<T, D> {
        let site = site.at("ff");
        ff.forward(&site.stream("in", x), &site)
    }
}

fn normed<T: Dim, D: Dim>(norm: &Option<LayerNorm<D>>, x: &Stream<T, D>) -> Stream<T, D> {
    norm.as_ref().map_or_else(|| x.clone(), |norm| norm.forward(x))
}
