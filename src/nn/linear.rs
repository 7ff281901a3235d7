//! Linear maps: of full rank, of low rank, or the identity.
use crate::Module;
use crate::backend::Dim;
use crate::graph::{Recorder, Stream, Weight};

use super::{Init, Param};

/// A linear map without bias, `y[t] = W x[t]` at each position: `[seq, in]` to `[seq, out]`.
///
/// The paper's `W_K`, `W_V`, `W_O` and `W_U` are such maps (section 4.2). State-dict name: `weight`, `[out, in]`.
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
    /// The matrix `W`, `[out, in]`, initially uniform on `[-1/sqrt(in), 1/sqrt(in)]`.
    #[param]
    pub weight: Param<(O, I)>,
}

impl<I: Dim, O: Dim> Linear<I, O> {
    /// Makes a trained map from width `inputs` to width `outputs`.
    pub fn new(inputs: I, outputs: O) -> Self {
        Linear { weight: Param::new((outputs, inputs), Init::linear(inputs.size())) }
    }

    /// Returns the same map, frozen.
    pub fn frozen(self) -> Self {
        Linear { weight: self.weight.frozen() }
    }

    /// Returns the matrix `[out, in]` as a handle of the recorded graph.
    pub fn weight(&self, recorder: &Recorder) -> Weight<O, I> {
        recorder.weight(&self.weight)
    }

    /// Applies the map at every position: `W x[t]`, `[seq, out]`.
    pub fn forward<T: Dim>(&self, x: &Stream<T, I>) -> Stream<T, O> {
        x.linear(&self.weight(x.recorder()))
    }
}

/// A linear map of rank at most `R`, `y[t] = W_up W_down x[t]` at each position: `[seq, in]` to `[seq, out]`.
///
/// State-dict names: `down.weight`, `[rank, in]`, and `up.weight`, `[out, rank]`.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::nn::{LowRank, ModuleExt};
/// let map = LowRank::new(Const::<64>, Const::<2>, Const::<64>);
/// assert_eq!(map.count(), 2 * 64 + 64 * 2);
/// ```
#[derive(Module)]
pub struct LowRank<I: Dim, R: Dim, O: Dim> {
    /// The map `W_down`, `[rank, in]`.
    #[module]
    pub down: Linear<I, R>,
    /// The map `W_up`, `[out, rank]`.
    #[module]
    pub up: Linear<R, O>,
}

impl<I: Dim, R: Dim, O: Dim> LowRank<I, R, O> {
    /// Makes a trained map of this rank from width `inputs` to width `outputs`.
    pub fn new(inputs: I, rank: R, outputs: O) -> Self {
        LowRank { down: Linear::new(inputs, rank), up: Linear::new(rank, outputs) }
    }

    /// Returns the same map, frozen.
    pub fn frozen(self) -> Self {
        LowRank { down: self.down.frozen(), up: self.up.frozen() }
    }

    /// Applies the map at every position: `W_up W_down x[t]`, `[seq, out]`.
    pub fn forward<T: Dim>(&self, x: &Stream<T, I>) -> Stream<T, O> {
        self.up.forward(&self.down.forward(x))
    }
}

/// A map of queries, keys, values or the output of attention: linear, linear of low rank, or the identity, which has no
/// parameter and costs nothing.
///
/// It maps `[seq, I]` to `[seq, O]`, where `O` is `I` unless another width is named. State-dict names are those of the map
/// that it holds: `weight`, or `down.weight` and `up.weight`.
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
    /// A linear map, `W x`.
    Linear(Linear<I, O>),
    /// A map of low rank, `W_up W_down x`.
    LowRank(LowRank<I, usize, O>),
    /// The identity, `x`.
    Identity,
}

impl<D: Dim> Map<D> {
    /// Makes a trained linear map that keeps the width `dim`.
    pub fn linear(dim: D) -> Self {
        Map::linear_to(dim, dim)
    }

    /// Makes a trained map of this rank that keeps the width `dim`.
    pub fn low_rank(dim: D, rank: usize) -> Self {
        Map::LowRank(LowRank::new(dim, rank, dim))
    }

    /// Applies the map at every position, `[seq, dim]`.
    pub fn forward<T: Dim>(&self, x: &Stream<T, D>) -> Stream<T, D> {
        self.forward_to(x, x.dim())
    }
}

impl<I: Dim, O: Dim> Map<I, O> {
    /// Makes a trained linear map from width `inputs` to width `outputs`.
    pub fn linear_to(inputs: I, outputs: O) -> Self {
        Map::Linear(Linear::new(inputs, outputs))
    }

    /// Returns the same map, frozen.
    pub fn frozen(self) -> Self {
        match self {
            Map::Linear(linear) => Map::Linear(linear.frozen()),
            Map::LowRank(map) => Map::LowRank(map.frozen()),
            Map::Identity => Map::Identity,
        }
    }

    /// Applies the map at every position, `[seq, outputs]`, where `outputs` is the width of the map's results; for the
    /// identity, that of `x`. Another width is an error when the model is recorded.
    pub fn forward_to<T: Dim>(&self, x: &Stream<T, I>, outputs: O) -> Stream<T, O> {
        match self {
            Map::Linear(linear) => linear.forward(x),
            Map::LowRank(map) => map.forward(x),
            Map::Identity => x.sized(outputs),
        }
    }
}
