//! Layer norm.
use crate::Module;
use crate::backend::Dim;
use crate::graph::Stream;

use super::{Init, Param};

/// `gain * (x - mean) / sqrt(var + eps) + bias` over the last axis, with the biased variance: `[seq, dim]` to the same.
///
/// Two norms that read the same stream share the normalised rows; gains fold into the maps behind them.
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
/// let mut norm = LayerNorm::new(Const::<64>);
/// norm.init_all(0);
/// assert_eq!((norm.weight.values()[0], norm.bias.values()[0]), (1.0, 0.0));
/// ```
#[derive(Module)]
pub struct LayerNorm<D: Dim> {
    /// The gain, at first 1.
    #[param]
    pub weight: Param<(D,)>,
    /// At first 0.
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

    /// The normalised rows.
    pub fn forward<T: Dim>(&self, x: &Stream<T, D>) -> Stream<T, D> {
        let recorder = x.recorder();
        x.normalise(self.eps).gain(&recorder.vector(&self.weight)).bias(&recorder.vector(&self.bias))
    }
}
