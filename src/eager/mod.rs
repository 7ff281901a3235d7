//! The dfdx engine: every node of a recorded graph as dfdx operations, on any dfdx device.
//!
//! It computes each node at all positions, in batches of whole sequences `[batch, seq, dim]`, and leaves gradients to
//! dfdx's autodiff. It is the reference that the CPU engine ([`crate::plan`]) is compared with, in f64 as in f32, and
//! what runs on a GPU.
//!
//! | file | job |
//! |---|---|
//! | `needs` | which nodes are computed, which of them on the tape |
//! | `constants` | masks, indices and other matrices that no value changes, sent to the device once |
//! | `weights` | weights-only matrices |
//! | `ops` | operations on streams, and the loss |
//! | `attention` | patterns and mixing |
//! | `products` | products of matrices |
//! | `forward` | one micro-batch through the graph |
//! | `reads` | activations for the observer |
//! | `engine` | a batch as micro-batches, losses and gradients summed |
//! | `resident` | training with parameters, gradients and the optimiser on a device |
//! | `on_device` | the same by dfdx |
//! | `room` | how many sequences the memory of a device holds |
//! | `open` | an engine on the device of a run |
mod attention;
mod constants;
mod engine;
mod forward;
mod needs;
#[cfg(any(test, feature = "cuda"))]
mod on_device;
mod open;
mod ops;
mod products;
mod reads;
mod resident;
mod room;
mod weights;

pub use engine::EagerEngine;
pub(crate) use open::{on_gpu, resident_on_gpu};
pub use open::{open, refuse_custom};
pub use products::{Products, Right};
pub(crate) use resident::Resident;

use crate::backend::{
    EngineDevice, HasShape, NoneTape, OwnedTape, PutTape, ReshapeTo, Scalar, Shape, SplitTape, Tensor,
    TryAdd, TryMul, TrySub,
};

/// A weights-only matrix `[rows, cols]`.
type Matrix<E, Dev, T = NoneTape> = Tensor<(usize, usize), E, Dev, T>;

/// An activation `[batch, seq, dim]`.
type Stream<E, Dev, T = NoneTape> = Tensor<(usize, usize, usize), E, Dev, T>;

/// An attention pattern `[batch, heads, seq, seq]`.
type Pattern<E, Dev, T = NoneTape> = Tensor<(usize, usize, usize, usize), E, Dev, T>;

/// A matrix and the tape of its making. All operations are computed on tapes, also those that nothing differentiates: then the
/// tape is dropped with what it holds. So each operation of dfdx is compiled once, and not once with a tape and once without.
type TracedMatrix<E, Dev> = Matrix<E, Dev, OwnedTape<E, Dev>>;

/// An activation and the tape of its making.
pub(crate) type TracedStream<E, Dev> = Stream<E, Dev, OwnedTape<E, Dev>>;

/// A pattern and the tape of its making.
type TracedPattern<E, Dev> = Pattern<E, Dev, OwnedTape<E, Dev>>;

/// A factor in the scalar type of the engine.
pub(crate) fn scalar<E: Scalar>(x: f64) -> E {
    <E as crate::kernels::Element>::from_f64(x)
}

/// The values of a contiguous tensor, row-major: copied at once, where dfdx's `as_vec` walks over the indices one element at a time.
fn contiguous<S: Shape, E: Scalar, Dev: EngineDevice<E>>(x: &Tensor<S, E, Dev>) -> Vec<E> {
    let mut values = vec![E::default(); x.shape().num_elements()];
    x.copy_into(&mut values);
    values
}

/// The values of any tensor, row-major.
fn host<S: Shape, E: Scalar, Dev: EngineDevice<E>>(x: &Tensor<S, E, Dev>) -> Result<Vec<E>, Dev::Err> {
    x.clone().try_contiguous().map(|x| contiguous(&x))
}

/// A function of each element that dfdx does not have: `f` gives its value and its derivative. It is computed as
/// `f(x_0) + f'(x_0) (x - x_0)` with the values `x_0` as constants, which has the value and the gradient of `f`.
pub(crate) fn linearised<E: Scalar, Dev: EngineDevice<E>>(
    x: TracedStream<E, Dev>,
    f: impl Fn(f64) -> (f64, f64),
) -> Result<TracedStream<E, Dev>, Dev::Err> {
    let (x, tape) = x.split_tape();
    let (device, shape, values) = (x.device().clone(), *x.shape(), host(&x)?);
    let at: Vec<(f64, f64, f64)> = values
        .into_iter()
        .map(|x| {
            let x = crate::kernels::Element::to_f64(x);
            let (value, derivative) = f(x);
            (x, value, derivative)
        })
        .collect();
    let tensor = |of: &dyn Fn(&(f64, f64, f64)) -> f64| {
        device.try_tensor_from_vec(at.iter().map(|at| scalar(of(at))).collect(), shape)
    };
    let away = x.put_tape(tape).try_sub(tensor(&|at| at.0)?)?;
    away.try_mul(tensor(&|at| at.2)?)?.try_add(tensor(&|at| at.1)?)
}
