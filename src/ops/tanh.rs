//! The hyperbolic tangent.
use crate::backend::{EngineDevice, Scalar};
use crate::kernels::Element;
use crate::kernels::lanes::{self, Lanes, kernel};

use super::{DfdxStream, Reads, Unary, methods};

/// The hyperbolic tangent of each element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tanh;

methods! {
    /// Applies the hyperbolic tangent to each element: `tanh(x)`.
    Tanh
}

/// `tanh(x) / x` is this fraction of polynomials in `x^2`, whose coefficients begin with that of 1, for `|x| < 1/2`: the
/// convergent of Lambert's continued fraction, with a relative error of less than 3e-16.
const OVER: [f64; 4] = [135_135.0, 17_325.0, 378.0, 1.0];
const UNDER: [f64; 4] = [135_135.0, 62_370.0, 3_150.0, 28.0];

/// `c[0] + c[1] x + c[2] x^2 + c[3] x^3`.
#[inline(always)]
fn polynomial<E: Element, L: Lanes<E>>(simd: L, c: [f64; 4], x: L::Vector) -> L::Vector {
    let high = simd.mul_add(x, simd.constant(c[3]), simd.constant(c[2]));
    simd.mul_add(x, simd.mul_add(x, high, simd.constant(c[1])), simd.constant(c[0]))
}

kernel! {
    /// `out = tanh(x) = 1 - 2 / (exp(2 x) + 1)`; near 0, where that cancels, `x` times a fraction of polynomials. The error
    /// is a few units in the last place of the result.
    fn forward<'a, E>(simd; out: &'a mut [E], x: &'a [E]) -> () {
        let (zero, half) = (simd.constant(0.0), simd.constant(0.5));
        let (one, two) = (simd.constant(1.0), simd.constant(2.0));
        lanes::zip1(simd, out, x, #[inline(always)] |_, x| {
            let far = simd.sub(one, simd.div(two, simd.add(one, simd.exp(simd.add(x, x)))));
            let square = simd.mul(x, x);
            let (over, under) = (polynomial(simd, OVER, square), polynomial(simd, UNDER, square));
            let near = simd.div(simd.mul(x, over), under);
            // two neighbours: their difference is exact, and so is the sum
            let size = simd.max(x, simd.sub(zero, x));
            simd.add(far, simd.where_positive(simd.sub(half, size), simd.sub(near, far)))
        });
    }
}

kernel! {
    /// `dx = dy (1 - y^2)`.
    fn backward<'a, E>(simd; dx: &'a mut [E], dy: &'a [E], y: &'a [E]) -> () {
        let one = simd.splat(E::one());
        lanes::zip2(simd, dx, dy, y, #[inline(always)] |_, dy, y| {
            simd.mul(dy, simd.sub(one, simd.mul(y, y)))
        });
    }
}

impl Unary for Tanh {
    const TEXT: &str = "tanh";
    const READS: Reads = Reads::Out;

    fn row<E: Element>(out: &mut [E], x: &[E]) {
        forward(out, x);
    }

    fn row_back<E: Element>(dx: &mut [E], dy: &[E], y: &[E]) {
        backward(dx, dy, y);
    }

    fn by_dfdx<E: Scalar, Dev: EngineDevice<E>>(
        x: DfdxStream<E, Dev>,
    ) -> Result<DfdxStream<E, Dev>, Dev::Err> {
        x.try_tanh()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_keep_their_digits() {
        let mut x: Vec<f64> =
            (-300..=20).flat_map(|e| [1.0, 2.3, 4.99, 5.0, 7.0].map(|m| m * 10f64.powi(e / 10))).collect();
        x.extend([0.0, 0.25, 0.499, 0.5, 0.501, 20.0, 800.0]);
        x.extend(x.clone().into_iter().map(|x| -x));
        let mut found = vec![0.0; x.len()];
        Tanh::row(&mut found, &x);
        for (x, found) in x.iter().zip(&found) {
            assert!((found - x.tanh()).abs() <= 4.0 * f64::EPSILON * x.tanh().abs(), "{x} {found}");
        }
        let single: Vec<f32> = x.iter().map(|x| *x as f32).collect();
        let mut found = vec![0.0; x.len()];
        Tanh::row(&mut found, &single);
        for (x, found) in single.iter().zip(&found) {
            let exact = f64::from(*x).tanh();
            assert!(
                (f64::from(*found) - exact).abs() <= 4.0 * f64::from(f32::EPSILON) * exact.abs() + 1e-38,
                "{x} {found}"
            );
        }
        let mut odd = [0.0; 3];
        Tanh::row(&mut odd, &[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
        assert!(odd[0].is_nan() && odd[1..] == [1.0, -1.0], "{odd:?}");
    }
}
