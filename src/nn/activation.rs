//! The activation functions that a feed-forward layer can have.
use crate::backend::Dim;
use crate::config::Config;
use crate::graph::Stream;

/// An activation function of a feed-forward layer, applied to each element; it is also a setting.
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
    /// `x Phi(x)`, with the distribution function `Phi` of the standard normal.
    Gelu,
    /// GELU in GPT-2's form, `x (1 + tanh(u)) / 2` with `u = sqrt(2 / pi) (x + 0.044715 x^3)`.
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
    /// Applies the function to each element, `[seq, dim]`.
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
