//! Products of matrices.
//!
//! On a GPU they are dfdx's, which calls cuBLAS. On the CPU dfdx would bring `gemm` 0.15 for them, with its kernels for complex
//! and for short numbers, a dozen crates that nothing else calls. There they are an operation of our own on dfdx's tape, over
//! the [`gemm`] that the CPU engine has too.
use std::ops::DerefMut;

use crate::backend::{
    Cpu, Device, HasShape, Merge, PutTape, ReshapeTo, Scalar, SplitTape, Storage, Tape, TensorFromVec,
};
use crate::kernels::{Beta, View, ViewMut, gemm};

use super::{TracedMatrix, TracedStream, contiguous};

/// How the right factor of a product is stored.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// As it stands in the product, `[inner, cols]`.
    Plain,
    /// As its transpose, `[cols, inner]`.
    Transposed,
}

/// A device that multiplies matrices, and knows the gradients: with `out = a b`, that of `a` is `d_out b^T` and that of `b` is
/// `a^T d_out`.
#[doc(hidden)]
pub trait Products<E: Scalar>: Device<E> {
    /// `a b`, `[rows, cols]` from `[rows, inner]` and the right factor.
    ///
    /// # Errors
    /// When the device has no room.
    fn product(
        a: TracedMatrix<E, Self>,
        b: TracedMatrix<E, Self>,
        right: Right,
    ) -> Result<TracedMatrix<E, Self>, Self::Err>;

    /// `a[i] b[i]`, `[count, rows, cols]` from `[count, rows, inner]` and as many right factors.
    ///
    /// # Errors
    /// When the device has no room.
    fn products(
        a: TracedStream<E, Self>,
        b: TracedStream<E, Self>,
        right: Right,
    ) -> Result<TracedStream<E, Self>, Self::Err>;
}

#[cfg(feature = "cuda")]
impl<E: Scalar> Products<E> for crate::backend::Cuda
where
    Self: Device<E>,
{
    fn product(
        a: TracedMatrix<E, Self>,
        b: TracedMatrix<E, Self>,
        right: Right,
    ) -> Result<TracedMatrix<E, Self>, Self::Err> {
        use crate::backend::{Axes2, PermuteTo, TryMatMul};
        a.try_matmul(match right {
            Right::Plain => b,
            Right::Transposed => b.try_permute::<_, Axes2<1, 0>>()?,
        })
    }

    fn products(
        a: TracedStream<E, Self>,
        b: TracedStream<E, Self>,
        right: Right,
    ) -> Result<TracedStream<E, Self>, Self::Err> {
        use crate::backend::{Axes3, PermuteTo, TryMatMul};
        a.try_matmul(match right {
            Right::Plain => b,
            Right::Transposed => b.try_permute::<_, Axes3<0, 2, 1>>()?,
        })
    }
}

impl<E: Scalar> Products<E> for Cpu
where
    Self: Device<E> + Storage<E, Vec: DerefMut<Target = Vec<E>>>,
{
    fn product(
        a: TracedMatrix<E, Self>,
        b: TracedMatrix<E, Self>,
        right: Right,
    ) -> Result<TracedMatrix<E, Self>, Self::Err> {
        let (of_a, of_b) = (*a.shape(), *b.shape());
        let (a, b) = (a.try_reshape_like(&(1, of_a.0, of_a.1))?, b.try_reshape_like(&(1, of_b.0, of_b.1))?);
        let out = Self::products(a, b, right)?;
        let (_, rows, cols) = *out.shape();
        out.try_reshape_like(&(rows, cols))
    }

    fn products(
        a: TracedStream<E, Self>,
        b: TracedStream<E, Self>,
        right: Right,
    ) -> Result<TracedStream<E, Self>, Self::Err> {
        // the layout of a gradient is that of its tensor, and only that of a contiguous one is known here
        let (a, tape) = a.try_contiguous()?.split_tape();
        let (b, tape_of_b) = b.try_contiguous()?.split_tape();
        let mut tape = tape.merge(tape_of_b);
        let factors =
            Factors { a: contiguous(&a), b: contiguous(&b), shapes: (*a.shape(), *b.shape()), right };
        let (rows, cols) = factors.out();
        let count = a.shape().0;
        let mut out = vec![E::default(); count * rows * cols];
        add_products(&mut out, factors.a(), factors.b());
        let out = a.device().try_tensor_from_vec(out, (count, rows, cols))?;

        let (of_a, of_b, of_out) = (a.ghost(), b.ghost(), out.ghost());
        tape.add_backward_op(move |gradients| {
            // taken out for as long as others are written
            let values = std::mem::take(&mut **gradients.get_or_alloc_mut(&of_out)?);
            let d_out = Stack::new(&values, rows, cols);
            add_products(gradients.get_or_alloc_mut(&of_a)?, d_out, factors.b().t());
            let d_b = gradients.get_or_alloc_mut(&of_b)?;
            match right {
                Right::Plain => add_products(d_b, factors.a().t(), d_out),
                Right::Transposed => add_products(d_b, d_out.t(), factors.a()),
            }
            **gradients.get_or_alloc_mut(&of_out)? = values;
            Ok(())
        });
        Ok(out.put_tape(tape))
    }
}

/// The factors of some products, kept for their gradients.
struct Factors<E> {
    a: Vec<E>,
    b: Vec<E>,
    /// `[count, rows, columns]` of each, as they are stored.
    shapes: ((usize, usize, usize), (usize, usize, usize)),
    right: Right,
}

impl<E: Scalar> Factors<E> {
    fn a(&self) -> Stack<'_, E> {
        Stack::new(&self.a, self.shapes.0.1, self.shapes.0.2)
    }

    fn b(&self) -> Stack<'_, E> {
        let stored = Stack::new(&self.b, self.shapes.1.1, self.shapes.1.2);
        if self.right == Right::Plain { stored } else { stored.t() }
    }

    /// `[rows, cols]` of each product.
    fn out(&self) -> (usize, usize) {
        let (_, stored_rows, stored_cols) = self.shapes.1;
        (self.shapes.0.1, if self.right == Right::Plain { stored_cols } else { stored_rows })
    }
}

/// Matrices `[rows, cols]` that lie one after the other; all of them may be read as transposed.
#[derive(Clone, Copy)]
struct Stack<'a, E> {
    values: &'a [E],
    rows: usize,
    cols: usize,
    transposed: bool,
}

impl<'a, E: Scalar> Stack<'a, E> {
    fn new(values: &'a [E], rows: usize, cols: usize) -> Self {
        Self { values, rows, cols, transposed: false }
    }

    /// The same matrices, transposed.
    fn t(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    /// Matrix `i`.
    fn get(&self, i: usize) -> View<'a, E> {
        let stored = View::new(&self.values[i * self.rows * self.cols..], self.rows, self.cols, self.cols);
        if self.transposed { stored.t() } else { stored }
    }
}

/// `out[i] += a[i] b[i]`, on all cores. The order of each sum is the same for any number of threads.
fn add_products<E: Scalar>(out: &mut [E], a: Stack<'_, E>, b: Stack<'_, E>) {
    /// Rows that one thread computes at a time.
    const BLOCK: usize = 64;
    if out.is_empty() {
        return;
    }
    let (rows, cols) = (a.get(0).n_rows(), b.get(0).n_cols());
    rayon_core::scope(|scope| {
        for (i, out) in out.chunks_mut(rows * cols).enumerate() {
            for (block, out) in out.chunks_mut(BLOCK * cols).enumerate() {
                scope.spawn(move |_| {
                    let (first, n) = (block * BLOCK, out.len() / cols);
                    let a = a.get(i).rows(first..first + n);
                    gemm(ViewMut::new(out, n, cols, cols), Beta::Add, E::one(), a, b.get(i));
                });
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Axes3, Backward, NoneTape, OwnedTape, PermuteTo, Rank0, SumTo, Tensor, TryMul};

    type Values<E, T = NoneTape> = Tensor<(usize, usize, usize), E, Cpu, T>;

    /// Small whole numbers: sums of their products are exact in either precision.
    fn stack(shape: (usize, usize, usize), seed: usize) -> Vec<f64> {
        (0..shape.0 * shape.1 * shape.2).map(|i| ((i * 7 + seed * 5) % 11) as f64 - 5.0).collect()
    }

    /// The products and both gradients of `sum(weights * products)` by loops, and by dfdx's tape over the operation.
    fn agree<E: Scalar>(count: usize, rows: usize, inner: usize, cols: usize)
    where
        Cpu: Products<E>,
    {
        let device = Cpu::default();
        let shapes = [(count, rows, inner), (count, inner, cols), (count, rows, cols)];
        let [a, b, weights] = [0, 1, 2].map(|i| stack(shapes[i], i));
        let mut expected = [0, 1, 2].map(|i| vec![0.0; shapes[i].0 * shapes[i].1 * shapes[i].2]);
        for (i, r, c) in positions(count, rows, cols) {
            let at = (i * rows + r) * cols + c;
            for k in 0..inner {
                let (at_a, at_b) = ((i * rows + r) * inner + k, (i * inner + k) * cols + c);
                expected[2][at] += a[at_a] * b[at_b];
                expected[0][at_a] += weights[at] * b[at_b];
                expected[1][at_b] += weights[at] * a[at_a];
            }
        }
        let tensor = |values: &[f64], shape| -> Values<E> {
            let values = values.iter().map(|x| super::super::scalar(*x)).collect();
            device.tensor_from_vec(values, shape)
        };
        let (a, weights) = (tensor(&a, shapes[0]), tensor(&weights, shapes[2]));
        let transposed: Vec<f64> =
            positions(count, cols, inner).map(|(i, c, k)| b[(i * inner + k) * cols + c]).collect();
        let b = tensor(&transposed, (count, cols, inner));
        let doubles =
            |values: Vec<E>| values.into_iter().map(crate::kernels::Element::to_f64).collect::<Vec<f64>>();
        for right in [Right::Plain, Right::Transposed] {
            let traced: Values<E, OwnedTape<E, Cpu>> = b.retaped();
            // a factor that is turned by dfdx is not contiguous
            let factor = match right {
                Right::Plain => traced.try_permute::<_, Axes3<0, 2, 1>>().unwrap(),
                Right::Transposed => traced,
            };
            let out = Cpu::products(a.retaped(), factor, right).unwrap();
            assert_eq!(doubles(out.as_vec()), expected[2]);
            let gradients = out.try_mul(weights.clone()).unwrap().sum::<Rank0, _>().backward();
            assert_eq!(doubles(gradients.get(&a).as_vec()), expected[0]);
            let of_b = doubles(gradients.get(&b).as_vec());
            for (i, k, c) in positions(count, inner, cols) {
                assert_eq!(of_b[(i * cols + c) * inner + k], expected[1][(i * inner + k) * cols + c]);
            }
        }
    }

    fn positions(count: usize, rows: usize, cols: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        (0..count * rows * cols).map(move |i| (i / (rows * cols), i / cols % rows, i % cols))
    }

    #[test]
    fn products_and_their_gradients_are_those_of_loops() {
        for [count, rows, inner, cols] in [[1, 1, 1, 1], [3, 5, 7, 2], [1, 130, 9, 17], [2, 64, 65, 3]] {
            agree::<f32>(count, rows, inner, cols);
            agree::<f64>(count, rows, inner, cols);
        }
    }

    #[test]
    fn a_stack_can_be_multiplied_by_itself() {
        let device = Cpu::default();
        let a: Values<f64> = device.tensor_from_vec(vec![1.0, 2.0, 3.0, 4.0], (1, 2, 2));
        let square = Cpu::products(a.retaped(), a.retaped(), Right::Plain).unwrap();
        assert_eq!(square.as_vec(), [7.0, 10.0, 15.0, 22.0]);
        let gradients = square.sum::<Rank0, _>().backward();
        // d/da_ij of the sum of all entries of a a: row sum j of a, plus column sum i
        assert_eq!(gradients.get(&a).as_vec(), [3.0 + 4.0, 7.0 + 4.0, 3.0 + 6.0, 7.0 + 6.0]);
    }
}
