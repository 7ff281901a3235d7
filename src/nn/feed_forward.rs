//! Feed-forward layers.
use crate::Module;
use crate::backend::Dim;
use crate::graph::{Site, Stream};

use super::Linear;

/// What each position computes by itself: `[seq, dim]` to the same.
///
/// Sites: `hidden` `[seq, 4 dim]`, the hidden layer of an MLP after its ReLU; `out` `[seq, dim]`.
///
/// ```
/// use ihead::nn::{FeedForward, ModuleExt};
/// let names = |ff: FeedForward<usize>| ff.tensors().into_iter().map(|(name, ..)| name).collect::<Vec<_>>();
/// assert_eq!(names(FeedForward::new(64, true)), ["weight"]);
/// assert_eq!(names(FeedForward::new(64, false)), ["w1.weight", "w2.weight"]);
/// ```
#[derive(Module)]
pub enum FeedForward<D: Dim> {
    /// `W x`: one `[dim, dim]` matrix, as in the paper's simplified model. State-dict name: `weight`.
    Linear(Linear<D, D>),
    /// `W_2 relu(W_1 x)`.
    Mlp(Mlp<D>),
}

/// `W_2 relu(W_1 x)` with a hidden layer of width `4 dim`. State-dict names: `w1.weight`, `w2.weight`.
#[derive(Module)]
pub struct Mlp<D: Dim> {
    /// `[4 dim, dim]`.
    #[module]
    pub w1: Linear<D, usize>,
    /// `[dim, 4 dim]`.
    #[module]
    pub w2: Linear<usize, D>,
}

impl<D: Dim> FeedForward<D> {
    /// One matrix if `linear`, or else an MLP.
    pub fn new(dim: D, linear: bool) -> Self {
        if linear {
            return FeedForward::Linear(Linear::new(dim, dim));
        }
        let hidden = 4 * dim.size();
        FeedForward::Mlp(Mlp { w1: Linear::new(dim, hidden), w2: Linear::new(hidden, dim) })
    }

    /// The layer at every position.
    pub fn forward<T: Dim>(&self, x: &Stream<T, D>, site: &Site) -> Stream<T, D> {
        let out = match self {
            FeedForward::Linear(linear) => linear.forward(x),
            FeedForward::Mlp(mlp) => mlp.w2.forward(&site.stream("hidden", mlp.w1.forward(x).relu())),
        };
        site.stream("out", out)
    }
}
