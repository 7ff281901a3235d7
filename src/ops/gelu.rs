//! GELU (Hendrycks and Gimpel 2016), exact and in the form with a hyperbolic tangent.
use crate::backend::{EngineDevice, Scalar};
use crate::kernels::Element;
use crate::kernels::lanes::{self, Lanes, kernel};

use super::{DfdxStream, Reads, Unary, methods};

/// GELU of each element, `x Phi(x)`, where `Phi` is the distribution function of the standard normal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Gelu;

/// GELU in the form of GPT-2, `x / (1 + exp(-2 u))` with `u = sqrt(2 / pi) (x + 0.044715 x^3)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct GeluTanh;

methods! {
    /// Applies GELU to each element: `x Phi(x)`, where `Phi` is the distribution function of the standard normal. In single
    /// precision `Phi` has an error of at most 8e-8.
    Gelu,
    /// Applies GELU in the form of GPT-2 to each element: `x (1 + tanh(u)) / 2` with
    /// `u = sqrt(2 / pi) (x + 0.044715 x^3)`.
    GeluTanh,
}

/// `1 / sqrt(2)`.
const ROOT_HALF: f64 = std::f64::consts::FRAC_1_SQRT_2;
/// `1 / sqrt(2 pi)`: the density of the standard normal at 0.
const DENSITY: f64 = 0.398_942_280_401_432_7;
/// `2 sqrt(2 / pi)`.
const TWICE_ROOT: f64 = 1.595_769_121_605_731;
const CUBIC: f64 = 0.044_715;

/// `Phi(x)` in single precision: Abramowitz and Stegun, formula 7.1.26.
#[inline(always)]
fn phi_single<E: Element, L: Lanes<E>>(simd: L, x: L::Vector) -> L::Vector {
    const P: f64 = 0.327_591_1;
    const A: [f64; 5] = [0.254_829_592, -0.284_496_736, 1.421_413_741, -1.453_152_027, 1.061_405_429];
    let (zero, one, half) = (simd.constant(0.0), simd.constant(1.0), simd.constant(0.5));
    let z = simd.mul(simd.max(x, simd.sub(zero, x)), simd.constant(ROOT_HALF));
    let t = simd.div(one, simd.mul_add(z, simd.constant(P), one));
    let mut sum = zero;
    for i in (0..A.len()).rev() {
        sum = simd.mul(t, simd.add(sum, simd.constant(A[i])));
    }
    let tail = simd.mul(half, simd.mul(sum, simd.exp(simd.sub(zero, simd.mul(z, z)))));
    // the tail beyond |x|: that is Phi(x) on the left, and 1 - Phi(x) on the right
    simd.add(tail, simd.where_positive(x, simd.sub(one, simd.add(tail, tail))))
}

fn phi_double(x: f64) -> f64 {
    0.5 * libm::erfc(-x * ROOT_HALF)
}

kernel! {
    /// `out = x Phi(x)`.
    fn forward<'a, E>(simd; out: &'a mut [E], x: &'a [E]) -> () {
        if size_of::<E>() == size_of::<f32>() {
            return lanes::zip1(simd, out, x, #[inline(always)] |_, x| simd.mul(x, phi_single(simd, x)));
        }
        out.iter_mut().zip(x).for_each(|(out, x)| *out = *x * E::from_f64(phi_double(x.to_f64())));
    }
}

kernel! {
    /// `dx = dy (Phi(x) + x phi(x))`.
    fn backward<'a, E>(simd; dx: &'a mut [E], dy: &'a [E], x: &'a [E]) -> () {
        if size_of::<E>() == size_of::<f32>() {
            let (zero, half, density) = (simd.constant(0.0), simd.constant(0.5), simd.constant(DENSITY));
            return lanes::zip2(simd, dx, dy, x, #[inline(always)] |_, dy, x| {
                let bell = simd.mul(density, simd.exp(simd.sub(zero, simd.mul(half, simd.mul(x, x)))));
                simd.mul(dy, simd.mul_add(x, bell, phi_single(simd, x)))
            });
        }
        for ((dx, dy), x) in dx.iter_mut().zip(dy).zip(x) {
            let x = x.to_f64();
            *dx = *dy * E::from_f64(phi_double(x) + x * DENSITY * (-0.5 * x * x).exp());
        }
    }
}

/// `1 / (1 + exp(-2 u))` with `u = sqrt(2 / pi) (x + 0.044715 x^3)`, and `x^2`.
#[inline(always)]
fn gate<E: Element, L: Lanes<E>>(simd: L, x: L::Vector) -> (L::Vector, L::Vector) {
    let (zero, one) = (simd.constant(0.0), simd.constant(1.0));
    let square = simd.mul(x, x);
    let (linear, cubic) = (simd.constant(TWICE_ROOT), simd.constant(TWICE_ROOT * CUBIC));
    let twice_u = simd.mul(x, simd.mul_add(square, cubic, linear));
    (simd.div(one, simd.add(one, simd.exp(simd.sub(zero, twice_u)))), square)
}

kernel! {
    /// `out = x s` with `s` of [`gate`].
    fn forward_tanh<'a, E>(simd; out: &'a mut [E], x: &'a [E]) -> () {
        lanes::zip1(simd, out, x, #[inline(always)] |_, x| simd.mul(x, gate(simd, x).0));
    }
}

kernel! {
    /// `dx = dy s (1 + x (1 - s) du)`, where `du` is the derivative of `2 u`.
    fn backward_tanh<'a, E>(simd; dx: &'a mut [E], dy: &'a [E], x: &'a [E]) -> () {
        let one = simd.splat(E::one());
        let linear = simd.constant(TWICE_ROOT);
        let cubic = simd.constant(3.0 * TWICE_ROOT * CUBIC);
        lanes::zip2(simd, dx, dy, x, #[inline(always)] |_, dy, x| {
            let (s, square) = gate(simd, x);
            let du = simd.mul_add(square, cubic, linear);
            simd.mul(simd.mul(dy, s), simd.mul_add(simd.mul(x, du), simd.sub(one, s), one))
        });
    }
}

impl Unary for Gelu {
    const TEXT: &str = "gelu";
    const READS: Reads = Reads::Input;

    fn row<E: Element>(out: &mut [E], x: &[E]) {
        forward(out, x);
    }

    fn row_back<E: Element>(dx: &mut [E], dy: &[E], x: &[E]) {
        backward(dx, dy, x);
    }

    fn by_dfdx<E: Scalar, Dev: EngineDevice<E>>(
        x: DfdxStream<E, Dev>,
    ) -> Result<DfdxStream<E, Dev>, Dev::Err> {
        // dfdx has a GELU, whose derivative is wrong
        crate::eager::linearised(x, |x| {
            (x * phi_double(x), phi_double(x) + x * DENSITY * (-0.5 * x * x).exp())
        })
    }
}

impl Unary for GeluTanh {
    const TEXT: &str = "gelu_tanh";
    const READS: Reads = Reads::Input;

    fn row<E: Element>(out: &mut [E], x: &[E]) {
        forward_tanh(out, x);
    }

    fn row_back<E: Element>(dx: &mut [E], dy: &[E], x: &[E]) {
        backward_tanh(dx, dy, x);
    }

    fn by_dfdx<E: Scalar, Dev: EngineDevice<E>>(
        x: DfdxStream<E, Dev>,
    ) -> Result<DfdxStream<E, Dev>, Dev::Err> {
        x.try_fast_gelu()
    }
}
