//! The activation functions that a feed-forward layer can have.
use crate::backend::Dim;
use crate::config::Config;
use crate::graph::Stream;

/// An activation function, as a setting.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::graph::Stream;
/// use ihead::nn::Activation;
///
/// fn active(h: &Stream<usize, Const<8>>) -> Stream<usize, Const<8>> {
///     Activation::Silu.of(h)
/// }
/// ```
#[derive(Config, Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x Phi(x)`.
    Gelu,
    /// GELU in the form with a hyperbolic tangent.
    GeluTanh,
    /// `x / (1 + exp(-x))`.
    Silu,
    /// `tanh(x)`.
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `x`.
    Identity,
}

impl Activation {
    /// Applies the function to every element, `[seq, dim]`.
    pub fn of<T: Dim, D: Dim>(self, x: &Stream<T, D>) -> Stream<T, D> {
        match self {
            Activation::Relu => x.relu(),
            Activation::Gelu => x.gelu(),
            Activation::GeluTanh => x.gelu_tanh(),
            Activation::Silu => x.silu(),
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => x.sigmoid(),
            Activation::Identity => x.clone(),
        }
    }
}
