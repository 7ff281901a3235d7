//! Linear maps: of full rank, of low rank, or the identity.
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

    /// `W x[t]` at every position, `[seq, out]`.
    pub fn forward<T: Dim>(&self, x: &Stream<T, I>) -> Stream<T, O> {
        x.linear(&self.weight(x.recorder()))
    }
}

/// `y = W_up W_down x`: a map of rank at most `R`. State-dict names: `down.weight`, `[rank, in]`, and `up.weight`,
/// `[out, rank]`.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::nn::{LowRank, ModuleExt};
/// let map = LowRank::new(Const::<64>, Const::<2>, Const::<64>);
/// assert_eq!(map.count(), 2 * 64 + 64 * 2);
/// ```
#[derive(Module)]
pub struct LowRank<I: Dim, R: Dim, O: Dim> {
    /// `W_down`, `[rank, in]`.
    #[module]
    pub down: Linear<I, R>,
    /// `W_up`, `[out, rank]`.
    #[module]
    pub up: Linear<R, O>,
}

impl<I: Dim, R: Dim, O: Dim> LowRank<I, R, O> {
    /// A map of this rank from width `inputs` to width `outputs`.
    pub fn new(inputs: I, rank: R, outputs: O) -> Self {
        LowRank { down: Linear::new(inputs, rank), up: Linear::new(rank, outputs) }
    }

    /// The same map, frozen.
    pub fn frozen(self) -> Self {
        LowRank { down: self.down.frozen(), up: self.up.frozen() }
    }

    /// `W_up W_down x[t]` at every position, `[seq, out]`.
    pub fn forward<T: Dim>(&self, x: &Stream<T, I>) -> Stream<T, O> {
        self.up.forward(&self.down.forward(x))
    }
}

/// A map of attention: `W x`, `W x` with `W` of low rank, or the identity, which has no parameter and costs nothing.
///
/// From width `I` to width `O`, which is the same unless another is named.
///
/// ```
/// use ihead::nn::{Map, ModuleExt};
/// assert_eq!(Map::linear(8).count(), 64);
/// assert_eq!(Map::low_rank(8, 1).count(), 16);
/// assert_eq!(Map::<usize>::Identity.count(), 0);
/// assert_eq!(Map::linear_to(8, 2).count(), 16);
/// ```
#[derive(Module)]
#[non_exhaustive]
pub enum Map<I: Dim, O: Dim = I> {
    /// `W x`.
    Linear(Linear<I, O>),
    /// `W_up W_down x`.
    LowRank(LowRank<I, usize, O>),
    /// `x`.
    Identity,
}

impl<D: Dim> Map<D> {
    /// A trained linear map.
    pub fn linear(dim: D) -> Self {
        Map::linear_to(dim, dim)
    }

    /// A trained map of this rank.
    pub fn low_rank(dim: D, rank: usize) -> Self {
        Map::LowRank(LowRank::new(dim, rank, dim))
    }

    /// Applies the map to every position, `[seq, dim]`.
    pub fn forward<T: Dim>(&self, x: &Stream<T, D>) -> Stream<T, D> {
        self.forward_to(x, x.dim())
    }
}

impl<I: Dim, O: Dim> Map<I, O> {
    /// A trained linear map to another width.
    pub fn linear_to(inputs: I, outputs: O) -> Self {
        Map::Linear(Linear::new(inputs, outputs))
    }

    /// The same map, frozen.
    pub fn frozen(self) -> Self {
        match self {
            Map::Linear(linear) => Map::Linear(linear.frozen()),
            Map::LowRank(map) => Map::LowRank(map.frozen()),
            Map::Identity => Map::Identity,
        }
    }

    /// Applies the map to every position, `[seq, outputs]`. The identity requires `outputs` to be the width of `x`.
    pub fn forward_to<T: Dim>(&self, x: &Stream<T, I>, outputs: O) -> Stream<T, O> {
        match self {
            Map::Linear(linear) => linear.forward(x),
            Map::LowRank(map) => map.forward(x),
            Map::Identity => x.sized(outputs),
        }
    }
}
