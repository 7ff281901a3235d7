//! Norms.
use crate::Module;
use crate::backend::Dim;
use crate::graph::Stream;

use super::{Init, Module as IsModule, Param};

/// What brings each row to a common size: `[seq, dim]` to the same. [`Block`](super::Block) takes any.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a norm",
    note = "implement `Norm::norm`, from `Stream<T, D>` to the same"
)]
pub trait Norm<D: Dim>: IsModule {
    /// The normalised rows, `[seq, dim]`.
    fn norm<T: Dim>(&self, x: &Stream<T, D>) -> Stream<T, D>;
}

/// `gain * (x - mean) / sqrt(var + eps) + bias` over the last axis, with the biased variance: `[seq, dim]` to `[seq, dim]`.
///
/// Two norms that read the same stream share the normalised rows; gains fold into the maps after them.
/// State-dict names: `weight` (the gain) and `bias`, `[dim]`.
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
    /// The gain, initially 1.
    #[param]
    pub weight: Param<(D,)>,
    /// The bias, initially 0.
    #[param]
    pub bias: Param<(D,)>,
    /// Added to the variance.
    pub eps: f64,
}

impl<D: Dim> LayerNorm<D> {
    /// A norm over width `dim`, with `eps = 1e-5`.
    pub fn new(dim: D) -> Self {
        let eps = 1e-5;
        LayerNorm { weight: Param::new((dim,), Init::Ones), bias: Param::new((dim,), Init::Zeros), eps }
    }

    /// The normalised rows, `[seq, dim]`.
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

/// `gain * x / sqrt(mean(x^2) + eps)` over the last axis (Zhang and Sennrich 2019): `[seq, dim]` to `[seq, dim]`.
///
/// State-dict name: `weight` (the gain), `[dim]`.
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
    /// The gain, initially 1.
    #[param]
    pub weight: Param<(D,)>,
    /// Added to the mean square.
    pub eps: f64,
}

impl<D: Dim> RmsNorm<D> {
    /// A norm over width `dim`, with `eps = 1e-5`.
    pub fn new(dim: D) -> Self {
        RmsNorm { weight: Param::new((dim,), Init::Ones), eps: 1e-5 }
    }

    /// The normalised rows, `[seq, dim]`.
    pub fn forward<T: Dim>(&self, x: &Stream<T, D>) -> Stream<T, D> {
        x.rms_normalise(self.eps).gain(&x.recorder().vector(&self.weight))
    }
}

impl<D: Dim> Norm<D> for RmsNorm<D> {
    fn norm<T: Dim>(&self, x: &Stream<T, D>) -> Stream<T, D> {
        self.forward(x)
    }
}

/// The norms that settings choose among.
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
