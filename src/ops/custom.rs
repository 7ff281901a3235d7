//! Operations that are defined in your own program.
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::backend::{Dim, EngineDevice, HasShape, ReshapeTo, Scalar, TryAdd, TrySub};
use crate::eager::{Right, scalar};
use crate::graph::{Graph, Stream, Weight};
use crate::kernels::Element;
use crate::{Error, Result};

use super::{DfdxStream, Operation, Row, RowOp};

/// A function that is applied to each element, defined in your program by its value and its derivative.
///
/// It is applied by [`Stream::pointwise`] and [`Weight::pointwise`], and runs on the CPU engine in single and double precision
/// and on the dfdx engine, on the CPU; a GPU refuses it by name. [`pointwise!`](crate::pointwise) writes the whole
/// implementation, with a test of the derivative; [`check_gradient`](super::check_gradient) is that test as a function.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::graph::Stream;
/// use ihead::ops::Pointwise;
///
/// /// `ln(1 + e^x)`.
/// #[derive(Debug)]
/// struct Softplus;
///
/// impl Pointwise for Softplus {
///     fn name(&self) -> &str {
///         "softplus"
///     }
///     fn value(&self, x: f64) -> f64 {
///         x.max(0.0) + (-x.abs()).exp().ln_1p()
///     }
///     fn derivative(&self, x: f64) -> f64 {
///         1.0 / (1.0 + (-x).exp())
///     }
/// }
///
/// fn smooth(h: &Stream<usize, Const<8>>) -> Stream<usize, Const<8>> {
///     h.pointwise(Softplus)
/// }
/// ```
pub trait Pointwise: Send + Sync + 'static {
    /// Its name in messages and in the text of a lowered program.
    fn name(&self) -> &str;

    /// `f(x)`.
    fn value(&self, x: f64) -> f64;

    /// `f'(x)`.
    fn derivative(&self, x: f64) -> f64;
}

/// An operation on rows, defined in your program: `out[t] = f(x_0[t], x_1[t], ...)`, with its backward pass.
///
/// It is applied by [`Stream::rows`], and runs where a [`Pointwise`] runs. Rows are handed over in double precision, whatever
/// the engine computes in.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::graph::Stream;
/// use ihead::ops::RowWise;
///
/// /// Each row divided by its Euclidean norm.
/// struct UnitNorm;
///
/// impl RowWise for UnitNorm {
///     fn name(&self) -> &str {
///         "unit_norm"
///     }
///     fn width(&self, inputs: &[usize]) -> Result<usize, String> {
///         Ok(inputs[0])
///     }
///     fn forward(&self, inputs: &[&[f64]], out: &mut [f64]) {
///         let norm = inputs[0].iter().map(|x| x * x).sum::<f64>().sqrt();
///         out.iter_mut().zip(inputs[0]).for_each(|(y, x)| *y = x / norm);
///     }
///     fn backward(&self, inputs: &[&[f64]], out: &[f64], d_out: &[f64], d_inputs: &mut [Vec<f64>]) {
///         let norm = inputs[0].iter().map(|x| x * x).sum::<f64>().sqrt();
///         let along: f64 = out.iter().zip(d_out).map(|(y, d)| y * d).sum();
///         for ((dx, y), d) in d_inputs[0].iter_mut().zip(out).zip(d_out) {
///             *dx = (d - y * along) / norm;
///         }
///     }
/// }
///
/// fn unit(h: &Stream<usize, Const<8>>) -> Stream<usize, Const<8>> {
///     h.rows(UnitNorm, &[], h.dim())
/// }
/// # ihead::ops::check_gradient(&UnitNorm, &[4], 1e-6).unwrap();
/// ```
pub trait RowWise: Send + Sync + 'static {
    /// Its name in messages and in the text of a lowered program.
    fn name(&self) -> &str;

    /// The width of the rows that it puts out, for inputs of these widths.
    ///
    /// # Errors
    /// What it takes instead of inputs of these widths, such as `"two rows of the same width"`: it stands behind `expected` in
    /// the error of recording the model.
    fn width(&self, inputs: &[usize]) -> Result<usize, String>;

    /// Computes one row.
    fn forward(&self, inputs: &[&[f64]], out: &mut [f64]);

    /// Writes the gradient of each input, from that of the row that was put out. `d_inputs[i]` is as long as `inputs[i]`
    /// and zero at first; one that is left of another length is an error, which names the operation, the input and both lengths.
    fn backward(&self, inputs: &[&[f64]], out: &[f64], d_out: &[f64], d_inputs: &mut [Vec<f64>]);
}

/// A pointwise function as an operation on rows.
struct EachElement<F>(F);

impl<F: Pointwise> RowWise for EachElement<F> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn width(&self, inputs: &[usize]) -> Result<usize, String> {
        super::same_width(inputs)
    }

    fn forward(&self, inputs: &[&[f64]], out: &mut [f64]) {
        out.iter_mut().zip(inputs[0]).for_each(|(y, x)| *y = self.0.value(*x));
    }

    fn backward(&self, inputs: &[&[f64]], _: &[f64], d_out: &[f64], d_inputs: &mut [Vec<f64>]) {
        for ((dx, x), d) in d_inputs[0].iter_mut().zip(inputs[0]).zip(d_out) {
            *dx = d * self.0.derivative(*x);
        }
    }
}

impl<T: Dim, D: Dim> Stream<T, D> {
    /// Applies your own function to each element.
    pub fn pointwise(&self, f: impl Pointwise) -> Self {
        self.rowwise(RowOp::Custom(Custom::new(EachElement(f))), &[], self.dim())
    }

    /// Applies your own operation to the rows of this stream and of the `others`: `[seq, width]`. `width` must be what
    /// [`RowWise::width`] gives.
    pub fn rows<O: Dim>(&self, f: impl RowWise, others: &[&Self], width: O) -> Stream<T, O> {
        self.rowwise(RowOp::Custom(Custom::new(f)), others, width)
    }
}

impl<R: Dim, C: Dim> Weight<R, C> {
    /// Applies your own function to each element.
    pub fn pointwise(&self, f: impl Pointwise) -> Self {
        self.rowwise(RowOp::Custom(Custom::new(EachElement(f))), &[])
    }
}

/// An operation from outside, shared by the graph and its engines.
#[derive(Clone)]
pub(crate) struct Custom(Arc<Shared<dyn RowWise>>);

struct Shared<F: ?Sized> {
    /// The first gradient whose length the operation has changed: the number of the input, its width and the length.
    misfit: OnceLock<(usize, usize, usize)>,
    f: F,
}

impl Custom {
    fn new(f: impl RowWise) -> Custom {
        Custom(Arc::new(Shared { misfit: OnceLock::new(), f }))
    }

    fn f(&self) -> &dyn RowWise {
        &self.0.f
    }

    /// The gradients of all inputs for one row. One whose length the operation has changed is no gradient: [`check_gradient_lengths`]
    /// refuses it after the pass.
    fn gradients(&self, inputs: &[&[f64]], out: &[f64], d_out: &[f64]) -> Vec<Vec<f64>> {
        let mut gradients: Vec<Vec<f64>> = inputs.iter().map(|x| vec![0.0; x.len()]).collect();
        self.f().backward(inputs, out, d_out, &mut gradients);
        for (i, (gradient, x)) in gradients.iter_mut().zip(inputs).enumerate() {
            if gradient.len() != x.len() {
                self.0.misfit.get_or_init(|| (i, x.len(), gradient.len()));
                *gradient = vec![f64::NAN; x.len()];
            }
        }
        gradients
    }
}

/// Refuses what a backward pass has computed with an operation that changed the length of a gradient.
pub(crate) fn check_gradient_lengths(graph: &Graph) -> Result<()> {
    let misfit = graph.row_ops().find_map(|op| match op {
        RowOp::Custom(custom) => custom.0.misfit.get().map(|found| (custom.f().name(), *found)),
        _ => None,
    });
    match misfit {
        Some((name, (input, width, len))) => {
            Err(Error::shape(format!("the gradient of '{name}' for input {input}"), &[width], &[len]))
        }
        None => Ok(()),
    }
}

/// Two are the same only if they are one: nothing else is known of them.
impl PartialEq for Custom {
    fn eq(&self, other: &Custom) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.f().name())
    }
}

fn doubles<E: Element>(row: &[E]) -> Vec<f64> {
    row.iter().map(|x| x.to_f64()).collect()
}

fn slices(rows: &[Vec<f64>]) -> Vec<&[f64]> {
    rows.iter().map(Vec::as_slice).collect()
}

impl Operation for Custom {
    fn text(&self) -> String {
        self.f().name().to_string()
    }

    fn width(&self, inputs: &[usize]) -> Result<usize, String> {
        self.f().width(inputs)
    }

    fn reads_inputs_backward(&self) -> bool {
        true
    }

    fn reads_out_backward(&self) -> bool {
        true
    }

    fn forward<E: Element>(&self, inputs: &[&[E]], out: &mut [E]) -> E {
        let inputs: Vec<Vec<f64>> = inputs.iter().map(|row| doubles(row)).collect();
        let mut values = vec![0.0; out.len()];
        self.f().forward(&slices(&inputs), &mut values);
        out.iter_mut().zip(values).for_each(|(to, value)| *to = E::from_f64(value));
        E::zero()
    }

    fn backward<E: Element>(&self, which: usize, row: &Row<'_, E>, d_input: &mut [E]) {
        let inputs: Vec<Vec<f64>> = row.inputs.iter().map(|row| doubles(row)).collect();
        let gradients = self.gradients(&slices(&inputs), &doubles(row.out), &doubles(row.d_out));
        d_input.iter_mut().zip(&gradients[which]).for_each(|(to, value)| *to = E::from_f64(*value));
    }

    /// `f(x_0) + J (x - x_0)` with the values `x_0` of the inputs as constants: it has the value and the gradients of `f`.
    fn dfdx<E: Scalar, Dev: EngineDevice<E>>(
        &self,
        inputs: Vec<DfdxStream<E, Dev>>,
    ) -> Result<DfdxStream<E, Dev>, Dev::Err> {
        let device = inputs[0].device().clone();
        let (batch, seq, _) = *inputs[0].shape();
        let rows = batch * seq;
        let widths: Vec<usize> = inputs.iter().map(|x| x.shape().2).collect();
        let width = self.f().width(&widths).expect("the widths were checked when the operation was recorded");
        let values: Vec<Vec<f64>> = inputs.iter().map(|x| doubles(&x.as_vec())).collect();
        let mut out = vec![0.0; rows * width];
        let mut jacobians: Vec<Vec<E>> =
            widths.iter().map(|w| Vec::with_capacity(rows * width * w)).collect();
        for r in 0..rows {
            let at: Vec<&[f64]> = values.iter().zip(&widths).map(|(x, w)| &x[r * w..(r + 1) * w]).collect();
            let out = &mut out[r * width..(r + 1) * width];
            self.f().forward(&at, out);
            for o in 0..width {
                let mut d_out = vec![0.0; width];
                d_out[o] = 1.0;
                let gradients = self.gradients(&at, out, &d_out);
                for (jacobian, gradient) in jacobians.iter_mut().zip(gradients) {
                    jacobian.extend(gradient.into_iter().map(scalar::<E>));
                }
            }
        }
        let out = out.into_iter().map(scalar::<E>).collect();
        let mut sum: DfdxStream<E, Dev> = device.try_tensor_from_vec(out, (batch, seq, width))?.retaped();
        for ((x, jacobian), w) in inputs.into_iter().zip(jacobians).zip(widths) {
            let held = device.try_tensor_from_vec(x.as_vec(), (batch, seq, w))?;
            let away = x.try_sub(held)?.try_reshape_like(&(rows, 1, w))?;
            let jacobian = device.try_tensor_from_vec(jacobian, (rows, width, w))?;
            sum = sum.try_add(
                Dev::products(away, jacobian.retaped(), Right::Transposed)?
                    .try_reshape_like(&(batch, seq, width))?,
            )?;
        }
        Ok(sum)
    }
}

/// Defines your own [`Pointwise`] function: a type, its value and derivative, a function by which a model applies it,
/// and a test that compares the derivative with finite differences. (Write it in a module: `cargo test` does not find tests in
/// functions, of which the compiler warns.)
///
/// ```
/// use ihead::backend::Const;
/// use ihead::graph::Stream;
///
/// ihead::pointwise! {
///     /// `x^2` of the positive part (Primer, So and others 2021).
///     pub squared_relu(x) = x.max(0.0).powi(2), derivative = 2.0 * x.max(0.0)
/// }
///
/// fn hidden(h: &Stream<usize, Const<8>>) -> Stream<usize, Const<8>> {
///     squared_relu(h)
/// }
/// assert_eq!(ihead::ops::Pointwise::value(&SquaredRelu, 3.0), 9.0);
/// ```
#[macro_export]
macro_rules! pointwise {
    ($(#[$doc:meta])* $vis:vis $name:ident($x:ident) = $value:expr, derivative = $derivative:expr $(,)?) => {
        $crate::internals::paste! {
            $(#[$doc])*
            #[::core::prelude::v1::derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
            $vis struct [<$name:camel>];

            impl $crate::ops::Pointwise for [<$name:camel>] {
                fn name(&self) -> &::core::primitive::str {
                    ::core::stringify!($name).trim_start_matches("r#")
                }
                fn value(&self, $x: ::core::primitive::f64) -> ::core::primitive::f64 {
                    $value
                }
                fn derivative(&self, $x: ::core::primitive::f64) -> ::core::primitive::f64 {
                    $derivative
                }
            }

            $(#[$doc])*
            $vis fn $name<T: $crate::backend::Dim, D: $crate::backend::Dim>(
                x: &$crate::graph::Stream<T, D>,
            ) -> $crate::graph::Stream<T, D> {
                x.pointwise([<$name:camel>])
            }

            #[cfg(test)]
            #[::core::prelude::v1::test]
            fn [<$name _has_the_derivative_that_it_declares>]() {
                $crate::ops::check_gradient(&$crate::ops::each_element([<$name:camel>]), &[8], 1e-6).unwrap();
            }
        }
    };
}

/// A pointwise function as an operation on rows, for [`check_gradient`](super::check_gradient).
pub fn each_element(f: impl Pointwise) -> impl RowWise {
    EachElement(f)
}
