//! Feed-forward layers.
use crate::Module;
use crate::backend::Dim;
use crate::graph::{Site, Stream};

use super::{Activation, Linear, Module as IsModule};

/// A layer that maps each position by itself: `[seq, dim]` to `[seq, dim]`.
///
/// [`Block`](super::Block) takes any. [`Mlp`] and [`Linear`] are the library's; implement the trait for one of your own.
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
    /// Applies the layer at every position: `[seq, dim]` to `[seq, dim]`. Sites are to be named below `site`; the site
    /// `out` is what the layer adds to the residual stream.
    fn feed_forward<T: Dim>(&self, x: &Stream<T, D>, site: &Site) -> Stream<T, D>;
}

/// A perceptron with one hidden layer, `W_2 a(W_1 x)`, or with a gate `W_2 (a(W_1 x) * W_3 x)`, where `a` is the activation
/// and `*` the product element by element: `[seq, dim]` to `[seq, dim]`.
///
/// With ReLU and a hidden width of `4 dim` it is the paper's; with SiLU and a gate it is the SwiGLU of LLaMA. There are no
/// biases. State-dict names: `w1.weight` and `w3.weight`, `[hidden, dim]`, and `w2.weight`, `[dim, hidden]`. Sites:
/// `hidden` `[seq, hidden]`, what `W_2` reads, and `out` `[seq, dim]`.
///
/// ```
/// use ihead::nn::{Activation, Mlp, ModuleExt};
/// assert_eq!(Mlp::new(64).count(), 2 * 4 * 64 * 64);
/// let swiglu = Mlp::new(64).hidden(172).activation(Activation::Silu).gated();
/// assert_eq!(swiglu.count(), 3 * 172 * 64);
/// ```
#[derive(Module)]
pub struct Mlp<D: Dim> {
    /// The map `W_1`, `[hidden, dim]`.
    #[module]
    pub w1: Linear<D, usize>,
    /// The map `W_3` of the gate, `[hidden, dim]`, if there is one.
    #[module]
    pub w3: Option<Linear<D, usize>>,
    /// The map `W_2`, `[dim, hidden]`.
    #[module]
    pub w2: Linear<usize, D>,
    /// The activation `a`.
    pub activation: Activation,
}

impl<D: Dim> Mlp<D> {
    /// Makes a perceptron with ReLU, a hidden width of `4 dim` and no gate.
    pub fn new(dim: D) -> Self {
        let hidden = 4 * dim.size();
        let (w1, w2) = (Linear::new(dim, hidden), Linear::new(hidden, dim));
        Mlp { w1, w3: None, w2, activation: Activation::Relu }
    }

    /// Returns the perceptron with another hidden width. Its maps are made anew, trained and not yet initialised.
    pub fn hidden(self, hidden: usize) -> Self {
        let (_, dim) = *self.w1.weight.shape();
        let w3 = self.w3.map(|_| Linear::new(dim, hidden));
        Mlp { w1: Linear::new(dim, hidden), w3, w2: Linear::new(hidden, dim), activation: self.activation }
    }

    /// Returns the same perceptron with another activation.
    pub fn activation(self, activation: Activation) -> Self {
        Mlp { activation, ..self }
    }

    /// Returns the same perceptron with a gate.
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

/// A feed-forward layer that a setting chooses ([`TransformerArgs::ff`](crate::model::TransformerArgs)).
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
    /// One matrix, `W x`. State-dict name: `weight`.
    Linear(Linear<D, D>),
    /// A perceptron with one hidden layer, perhaps gated.
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
