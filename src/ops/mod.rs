//! Operations on rows: `out[t] = f(x[t], ...)`, each position separately.
//!
//! Each file holds one kind of operation: what it computes, its gradient, its text, the methods by which a model writes it,
//! and the form in dfdx's operations that the reference engine runs. To add one is to write such a file and to name it in the list
//! at the end of this one; `docs/adding-an-operation.md` shows the way. An operation from outside of the library is a
//! [`Pointwise`] or a [`RowWise`].
mod check;
mod custom;
mod exp;
mod gelu;
mod multiply;
mod normalise;
mod relu;
mod rms_normalise;
mod sigmoid;
mod silu;
mod softmax;
mod tanh;

pub use check::check_gradient;
pub use custom::{Pointwise, RowWise, each_element};

pub(crate) use custom::{Custom, check_gradient_lengths};
pub(crate) use exp::Exp;
pub(crate) use gelu::{Gelu, GeluTanh};
pub(crate) use multiply::Multiply;
pub(crate) use normalise::Normalise;
pub(crate) use relu::Relu;
pub(crate) use rms_normalise::RmsNormalise;
pub(crate) use sigmoid::Sigmoid;
pub(crate) use silu::Silu;
pub(crate) use softmax::Softmax;
pub(crate) use tanh::Tanh;

use crate::backend::{EngineDevice, Scalar};
use crate::eager::TracedStream as DfdxStream;
use crate::kernels::Element;

/// One row of an operation, as its backward pass sees it.
pub(crate) struct Row<'a, E> {
    /// The rows that it was computed from; empty where [`Operation::reads_inputs_backward`] is false.
    pub inputs: &'a [&'a [E]],
    /// What it has put out.
    pub out: &'a [E],
    /// The gradient of `out`.
    pub d_out: &'a [E],
    /// What its forward pass returned for this row.
    pub kept: E,
}

/// An operation on rows.
pub(crate) trait Operation {
    /// Its text in a lowered program.
    fn text(&self) -> String;

    /// The width of the rows that it puts out; or what it takes, where that is not rows of these widths.
    fn width(&self, inputs: &[usize]) -> Result<usize, String>;

    /// Whether the backward pass reads the rows that went in. One that does not may work where its input stands.
    fn reads_inputs_backward(&self) -> bool;

    /// Whether the backward pass reads the row that was put out, so that nothing may be written over it.
    fn reads_out_backward(&self) -> bool;

    /// Computes one row; returns a number that the backward pass wants to know.
    fn forward<E: Element>(&self, inputs: &[&[E]], out: &mut [E]) -> E;

    /// Writes the gradient of the input number `which`.
    fn backward<E: Element>(&self, which: usize, row: &Row<'_, E>, d_input: &mut [E]);

    /// The same by dfdx's operations, for streams `[batch, seq, dim]`.
    fn dfdx<E: Scalar, Dev: EngineDevice<E>>(
        &self,
        inputs: Vec<DfdxStream<E, Dev>>,
    ) -> Result<DfdxStream<E, Dev>, Dev::Err>;
}

/// Which row the backward pass of a [`Unary`] operation reads.
pub(crate) enum Reads {
    /// The one that went in.
    Input,
    /// The one that was put out: the operation may work where its input stands.
    Out,
}

/// An [`Operation`] that takes one row, puts out one of the same width, and keeps nothing else for its backward pass than one
/// of the two.
pub(crate) trait Unary {
    /// Its text in a lowered program.
    const TEXT: &str;

    /// What `row_back` is handed.
    const READS: Reads;

    /// Computes one row.
    fn row<E: Element>(out: &mut [E], x: &[E]);

    /// Writes the gradient of the input from that of the output; `known` is the row that [`READS`](Self::READS) names.
    fn row_back<E: Element>(dx: &mut [E], dy: &[E], known: &[E]);

    /// The same by dfdx's operations, for a stream `[batch, seq, dim]`.
    fn by_dfdx<E: Scalar, Dev: EngineDevice<E>>(
        x: DfdxStream<E, Dev>,
    ) -> Result<DfdxStream<E, Dev>, Dev::Err>;
}

impl<F: Unary> Operation for F {
    fn text(&self) -> String {
        F::TEXT.into()
    }

    fn width(&self, inputs: &[usize]) -> Result<usize, String> {
        same_width(inputs)
    }

    fn reads_inputs_backward(&self) -> bool {
        matches!(F::READS, Reads::Input)
    }

    fn reads_out_backward(&self) -> bool {
        matches!(F::READS, Reads::Out)
    }

    fn forward<E: Element>(&self, inputs: &[&[E]], out: &mut [E]) -> E {
        F::row(out, inputs[0]);
        E::zero()
    }

    fn backward<E: Element>(&self, _: usize, row: &Row<'_, E>, d_input: &mut [E]) {
        let known = match F::READS {
            Reads::Input => row.inputs[0],
            Reads::Out => row.out,
        };
        F::row_back(d_input, row.d_out, known);
    }

    fn dfdx<E: Scalar, Dev: EngineDevice<E>>(
        &self,
        inputs: Vec<DfdxStream<E, Dev>>,
    ) -> Result<DfdxStream<E, Dev>, Dev::Err> {
        F::by_dfdx(only(inputs))
    }
}

/// The width of the rows of an operation that takes one row and keeps its width.
fn same_width(inputs: &[usize]) -> Result<usize, String> {
    match *inputs {
        [width] => Ok(width),
        _ => Err("one row".into()),
    }
}

/// Refuses a number beside a variance that would take the root of something negative.
fn check_eps(eps: f64) -> Result<(), String> {
    let fits = eps.is_finite() && eps >= 0.0;
    if fits { Ok(()) } else { Err("a finite number of at least 0 beside the mean of squares".into()) }
}

/// The only input of an operation that takes one.
fn only<X>(inputs: Vec<X>) -> X {
    inputs.into_iter().next().expect("the width of one input was checked when the operation was recorded")
}

/// The methods of streams and weights for operations that take one row and nothing else: their names are those of the
/// operations in small letters.
macro_rules! methods {
    ($($(#[$doc:meta])+ $Op:ident),+ $(,)?) => {
        paste::paste! {
            impl<T: $crate::backend::Dim, D: $crate::backend::Dim> $crate::graph::Stream<T, D> {
                $($(#[$doc])+ pub fn [<$Op:snake>](&self) -> Self {
                    self.rowwise($crate::ops::RowOp::$Op($Op), &[], self.dim())
                })+
            }
            impl<R: $crate::backend::Dim, C: $crate::backend::Dim> $crate::graph::Weight<R, C> {
                $($(#[$doc])+ pub fn [<$Op:snake>](&self) -> Self {
                    self.rowwise($crate::ops::RowOp::$Op($Op), &[])
                })+
            }
        }
    };
}
use methods;

/// Defines [`RowOp`], one variant an operation, and hands each call on to the operation.
macro_rules! operations {
    ($($Op:ident),+ $(,)?) => {
        /// An operation on rows.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) enum RowOp {
            $($Op($Op)),+
        }

        impl Operation for RowOp {
            fn text(&self) -> String {
                match self { $(RowOp::$Op(op) => op.text()),+ }
            }
            fn width(&self, inputs: &[usize]) -> Result<usize, String> {
                match self { $(RowOp::$Op(op) => op.width(inputs)),+ }
            }
            fn reads_inputs_backward(&self) -> bool {
                match self { $(RowOp::$Op(op) => op.reads_inputs_backward()),+ }
            }
            fn reads_out_backward(&self) -> bool {
                match self { $(RowOp::$Op(op) => op.reads_out_backward()),+ }
            }
            fn forward<E: Element>(&self, inputs: &[&[E]], out: &mut [E]) -> E {
                match self { $(RowOp::$Op(op) => op.forward(inputs, out)),+ }
            }
            fn backward<E: Element>(&self, which: usize, row: &Row<'_, E>, d_input: &mut [E]) {
                match self { $(RowOp::$Op(op) => op.backward(which, row, d_input)),+ }
            }
            fn dfdx<E: Scalar, Dev: EngineDevice<E>>(
                &self,
                inputs: Vec<DfdxStream<E, Dev>>,
            ) -> Result<DfdxStream<E, Dev>, Dev::Err> {
                match self { $(RowOp::$Op(op) => op.dfdx(inputs)),+ }
            }
        }
    };
}

operations!(
    Relu,
    Sigmoid,
    Tanh,
    Silu,
    Gelu,
    GeluTanh,
    Exp,
    Softmax,
    Normalise,
    RmsNormalise,
    Multiply,
    Custom
);
