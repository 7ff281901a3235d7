//! Feed-forward layers.
use crate::Module;
use crate::backend::Dim;
use crate::graph::{Site, Stream};

use super::{Activation, Linear, Module as IsModule};

/// What each position computes by itself: `[seq, dim]` to the same. [`Block`](super::Block) takes any.
///
/// ```
/// use ihead::Module;
/// use ihead::backend::Dim;
/// use ihead::graph::{Site, Stream};
/// use ihead::nn::{FeedForward, Linear};
///
/// /// `W x` gated by itself: your own layer.
/// #[derive(Module)]
/// struct SelfGated<D: Dim> {
///     #[module]
///     map: Linear<D, D>,
/// }
///
/// impl<D: Dim> FeedForward<D> for SelfGated<D> {
///     fn feed_forward<T: Dim>(&self, x: &Stream<T, D>, site: &Site) -> Stream<T, D> {
///         let y = self.map.forward(x);
///         site.stream("out", y.sigmoid() * y)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a feed-forward layer",
    note = "implement `FeedForward::feed_forward`, from `Stream<T, D>` to the same"
)]
pub trait FeedForward<D: Dim>: IsModule {
    /// Applies the layer to every position: `[seq, dim]` to `[seq, dim]`. The layer names its sites below `site`; the site
    /// `out` is what it adds to the residual stream.
    fn feed_forward<T: Dim>(&self, x: &Stream<T, D>, site: &Site) -> Stream<T, D>;
}

/// `W_2 a(W_1 x)`, or with a gate `W_2 (a(W_1 x) * W_3 x)`, where `a` is the activation.
///
/// With ReLU and a hidden width of `4 dim` it is the paper's; with SiLU and a gate it is the SwiGLU of LLaMA. State-dict
/// names: `w1.weight`, `w3.weight` `[hidden, dim]`, `w2.weight` `[dim, hidden]`. Sites: `hidden` `[seq, hidden]`, what `W_2` reads;
/// `out` `[seq, dim]`.
///
/// ```
/// use ihead::nn::{Activation, Mlp, ModuleExt};
/// assert_eq!(Mlp::new(64).count(), 2 * 4 * 64 * 64);
/// let swiglu = Mlp::new(64).hidden(172).activation(Activation::Silu).gated();
/// assert_eq!(swiglu.count(), 3 * 172 * 64);
/// ```
#[derive(Module)]
pub struct Mlp<D: Dim> {
    /// `[hidden, dim]`.
    #[module]
    pub w1: Linear<D, usize>,
    /// The gate, `[hidden, dim]`.
    #[module]
    pub w3: Option<Linear<D, usize>>,
    /// `[dim, hidden]`.
    #[module]
    pub w2: Linear<usize, D>,
    /// The activation.
    pub activation: Activation,
}

impl<D: Dim> Mlp<D> {
    /// A perceptron with ReLU, a hidden width of `4 dim` and no gate.
    pub fn new(dim: D) -> Self {
        let hidden = 4 * dim.size();
        let (w1, w2) = (Linear::new(dim, hidden), Linear::new(hidden, dim));
        Mlp { w1, w3: None, w2, activation: Activation::Relu }
    }

    /// The same perceptron with another hidden width.
    pub fn hidden(self, hidden: usize) -> Self {
        let (_, dim) = *self.w1.weight.shape();
        let w3 = self.w3.map(|_| Linear::new(dim, hidden));
        Mlp { w1: Linear::new(dim, hidden), w3, w2: Linear::new(hidden, dim), activation: self.activation }
    }

    /// The same perceptron with another activation.
    pub fn activation(self, activation: Activation) -> Self {
        Mlp { activation, ..self }
    }

    /// The same perceptron with a gate.
    pub fn gated(self) -> Self {
        let (hidden, dim) = *self.w1.weight.shape();
        Mlp { w3: Some(Linear::new(dim, hidden)), ..self }
    }
}

impl<D: Dim> FeedForward<D> for Mlp<D> {
    fn feed_forward<T: Dim>(&self, x: &Stream<T, D>, site: &Site) -> Stream<T, D> {
        let active = self.activation.of(&self.w1.forward(x));
        let hidden = match &self.w3 {
            Some(gate) => active * gate.forward(x),
            None => active,
        };
        site.stream("out", self.w2.forward(&site.stream("hidden", hidden)))
    }
}

/// `W x`: one `[dim, dim]` matrix, as in the paper's simplified model. Site: `out`.
impl<D: Dim> FeedForward<D> for Linear<D, D> {
    fn feed_forward<T: Dim>(&self, x: &Stream<T, D>, site: &Site) -> Stream<T, D> {
        site.stream("out", self.forward(x))
    }
}

/// The feed-forward layers that settings choose among.
///
/// ```
/// use ihead::nn::{AnyFeedForward, Linear, Mlp, ModuleExt};
/// let names = |ff: AnyFeedForward<usize>| ff.tensors().into_iter().map(|(name, ..)| name).collect::<Vec<_>>();
/// assert_eq!(names(AnyFeedForward::Linear(Linear::new(64, 64))), ["weight"]);
/// assert_eq!(names(AnyFeedForward::Mlp(Mlp::new(64))), ["w1.weight", "w2.weight"]);
/// ```
#[derive(Module)]
#[non_exhaustive]
pub enum AnyFeedForward<D: Dim> {
    /// `W x`. State-dict name: `weight`.
    Linear(Linear<D, D>),
    /// `W_2 a(W_1 x)`, perhaps gated.
    Mlp(Mlp<D>),
}

impl<D: Dim> FeedForward<D> for AnyFeedForward<D> {
    fn feed_forward<T: Dim>(&self, x: &Stream<T, D>, site: &Site) -> Stream<T, D> {
        match self {
            AnyFeedForward::Linear(linear) => linear.feed_forward(x, site),
            AnyFeedForward::Mlp(mlp) => mlp.feed_forward(x, site),
        }
    }
}
