//! Linear maps, and the choice of a map or the identity.
use crate::Module;
use crate::backend::Dim;
use crate::graph::{Recorder, Stream, Weight};

use super::{Init, Param};

/// `y = W x`, without bias: `[seq, in]` to `[seq, out]`.
///
/// The paper's `W_K`, `W_V`, `W_O`, `W_U` (section 4.2). State-dict name: `weight`, `[out, in]`.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::graph::Stream;
/// use ihead::nn::Linear;
///
/// fn logits(output: &Linear<Const<64>, Const<65>>, h: &Stream<usize, Const<64>>) -> Stream<usize, Const<65>> {
///     output.forward(h)
/// }
///
/// assert_eq!(Linear::new(Const::<64>, Const::<65>).weight.dims(), [65, 64]);
/// ```
#[derive(Module)]
pub struct Linear<I: Dim, O: Dim> {
    /// `[out, in]`, at first `U(-1/sqrt(in), 1/sqrt(in))`.
    #[param]
    pub weight: Param<(O, I)>,
}

impl<I: Dim, O: Dim> Linear<I, O> {
    /// A map from width `inputs` to width `outputs`.
    pub fn new(inputs: I, outputs: O) -> Self {
        Linear { weight: Param::new((outputs, inputs), Init::linear(inputs.size())) }
    }

    /// The same map, frozen.
    pub fn frozen(self) -> Self {
        Linear { weight: self.weight.frozen() }
    }

    /// The matrix, `[out, in]`.
    pub fn weight(&self, recorder: &Recorder) -> Weight<O, I> {
        recorder.weight(&self.weight)
    }

    /// `W x[t]` at every position.
    pub fn forward<T: Dim>(&self, x: &Stream<T, I>) -> Stream<T, O> {
        x.linear(&self.weight(x.recorder()))
    }
}

/// A square map that may be the identity, which has no parameter and costs nothing.
///
/// ```
/// use ihead::nn::{Map, ModuleExt};
/// assert_eq!(Map::linear(8).count(), 64);
/// assert_eq!(Map::<usize>::Identity.count(), 0);
/// ```
#[derive(Module)]
pub enum Map<D: Dim> {
    /// `W x`.
    Linear(Linear<D, D>),
    /// `x`.
    Identity,
}

impl<D: Dim> Map<D> {
    /// A trained linear map.
    pub fn linear(dim: D) -> Self {
        Map::Linear(Linear::new(dim, dim))
    }

    /// The same map, frozen if `frozen`.
    pub fn frozen_if(self, frozen: bool) -> Self {
        match self {
            Map::Linear(linear) if frozen => Map::Linear(linear.frozen()),
            other => other,
        }
    }

    /// The map at every position.
    pub fn forward<T: Dim>(&self, x: &Stream<T, D>) -> Stream<T, D> {
        match self {
            Map::Linear(linear) => linear.forward(x),
            Map::Identity => x.clone(),
        }
    }
}
