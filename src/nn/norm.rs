//! Norms.
use crate::Module;
use crate::backend::Dim;
use crate::graph::Stream;

use super::{Init, Module as IsModule, Param};

/// A norm, which brings the row of each position to a common size: `[seq, dim]` to `[seq, dim]`.
///
/// [`Block`](super::Block) takes any. [`LayerNorm`] and [`RmsNorm`] are the library's; implement the trait for one of your
/// own.
///
/// ```
/// use ihead::Module;
/// use ihead::backend::Dim;
/// use ihead::graph::Stream;
/// use ihead::nn::Norm;
///
/// /// Layer norm without gain and bias.
/// #[derive(Module)]
/// struct Plain;
///
/// impl<D: Dim> Norm<D> for Plain {
///     fn norm<T: Dim>(&self, x: &Stream<T, D>) -> Stream<T, D> {
///         x.normalise(1e-5)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a norm",
    note = "implement `Norm::norm`, from `Stream<T, D>` to the same"
)]
pub trait Norm<D: Dim>: IsModule {
    /// Computes the normalised rows, `[seq, dim]`.
    fn norm<T: Dim>(&self, x: &Stream<T, D>) -> Stream<T, D>;
}

/// Layer norm (Ba and others 2016), `gain * (x - mean) / sqrt(var + eps) + bias`: `[seq, dim]` to `[seq, dim]`.
///
/// Mean and variance are over the row of each position; the variance is the biased one. State-dict names: `weight` (the
/// gain) and `bias`, `[dim]`. Two norms with the same `eps` that read the same stream compute the
/// normalised rows once.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::graph::Stream;
/// use ihead::nn::{LayerNorm, ModuleExt};
///
/// fn normed(norm: &LayerNorm<Const<64>>, x: &Stream<usize, Const<64>>) -> Stream<usize, Const<64>> {
///     norm.forward(x)
/// }
///
/// let mut norm = LayerNorm::new(Const::<64>).init(0);
/// assert_eq!((norm.weight.values()[0], norm.bias.values()[0]), (1.0, 0.0));
/// ```
#[derive(Module)]
pub struct LayerNorm<D: Dim> {
    /// The gain, `[dim]`, initially 1.
    #[param]
    pub weight: Param<(D,)>,
    /// The bias, `[dim]`, initially 0.
    #[param]
    pub bias: Param<(D,)>,
    /// The number `eps` that is added to the variance.
    pub eps: f64,
}

impl<D: Dim> LayerNorm<D> {
    /// Makes the norm of rows of width `dim`, with `eps = 1e-5`.
    pub fn new(dim: D) -> Self {
        let eps = 1e-5;
        LayerNorm { weight: Param::new((dim,), Init::Ones), bias: Param::new((dim,), Init::Zeros), eps }
    }

    /// Computes the normalised rows, `[seq, dim]`.
    pub fn forward<T: Dim>(&self, x: &Stream<T, D>) -> Stream<T, D> {
        let recorder = x.recorder();
        x.normalise(self.eps).gain(&recorder.vector(&self.weight)).bias(&recorder.vector(&self.bias))
    }
}

impl<D: Dim> Norm<D> for LayerNorm<D> {
    fn norm<T: Dim>(&self, x: &Stream<T, D>) -> Stream<T, D> {
        self.forward(x)
    }
}

/// RMS norm (Zhang and Sennrich 2019), `gain * x / sqrt(mean(x^2) + eps)`: `[seq, dim]` to `[seq, dim]`.
///
/// The mean is over the row of each position. State-dict name: `weight` (the gain), `[dim]`.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::graph::Stream;
/// use ihead::nn::{ModuleExt, RmsNorm};
///
/// fn normed(norm: &RmsNorm<Const<64>>, x: &Stream<usize, Const<64>>) -> Stream<usize, Const<64>> {
///     norm.forward(x)
/// }
///
/// assert_eq!(RmsNorm::new(Const::<64>).count(), 64);
/// ```
#[derive(Module)]
pub struct RmsNorm<D: Dim> {
    /// The gain, `[dim]`, initially 1.
    #[param]
    pub weight: Param<(D,)>,
    /// The number `eps` that is added to the mean square.
    pub eps: f64,
}

impl<D: Dim> RmsNorm<D> {
    /// Makes the norm of rows of width `dim`, with `eps = 1e-5`.
    pub fn new(dim: D) -> Self {
        RmsNorm { weight: Param::new((dim,), Init::Ones), eps: 1e-5 }
    }

    /// Computes the normalised rows, `[seq, dim]`.
    pub fn forward<T: Dim>(&self, x: &Stream<T, D>) -> Stream<T, D> {
        x.rms_normalise(self.eps).gain(&x.recorder().vector(&self.weight))
    }
}

impl<D: Dim> Norm<D> for RmsNorm<D> {
    fn norm<T: Dim>(&self, x: &Stream<T, D>) -> Stream<T, D> {
        self.forward(x)
    }
}

/// A norm that a setting chooses ([`TransformerArgs::norm`](crate::model::TransformerArgs)).
#[derive(Module)]
#[non_exhaustive]
pub enum AnyNorm<D: Dim> {
    /// Layer norm.
    Layer(LayerNorm<D>),
    /// RMS norm.
    Rms(RmsNorm<D>),
}

impl<D: Dim> Norm<D> for AnyNorm<D> {
    fn norm<T: Dim>(&self, x: &Stream<T, D>) -> Stream<T, D> {
        match self {
            AnyNorm::Layer(norm) => norm.forward(x),
            AnyNorm::Rms(norm) => norm.forward(x),
        }
    }
}
