//! Operations element by element.

use super::Element;
use super::lanes::{self, WIDTH, kernel};

#[inline(always)]
fn same_length(what: &str, a: usize, b: usize) {
    assert!(a == b, "{what}: slices of {a} and {b} elements");
}

/// Sets all elements to 0, which is one `memset`. (`fill` is not where the compiler leaves it a call, to which the value is handed.)
pub fn clear<E: Element>(to: &mut [E]) {
    for x in to {
        *x = E::zero();
    }
}

kernel! {
    /// `dst += src`.
    pub fn add_into<'a, 'b, E>(simd; dst: &'a mut [E], src: &'b [E]) -> () {
        same_length("add_into", dst.len(), src.len());
        lanes::zip1(simd, dst, src, #[inline(always)] |d, s| simd.add(d, s));
    }
}

kernel! {
    /// `dst += src`, after which `src` is zero: in one pass.
    pub fn drain_into<'a, 'b, E>(simd; dst: &'a mut [E], src: &'b mut [E]) -> () {
        same_length("drain_into", dst.len(), src.len());
        let ((dst, dst_end), (src, src_end)) = (dst.as_chunks_mut::<WIDTH>(), src.as_chunks_mut::<WIDTH>());
        let (src, zero) = (&mut src[..dst.len()], simd.splat(E::zero()));
        for i in 0..dst.len() {
            let sum = simd.add(simd.load(&dst[i]), simd.load(&src[i]));
            simd.store(&mut dst[i], sum);
            simd.store(&mut src[i], zero);
        }
        let sum = simd.add(simd.load_part(dst_end), simd.load_part(src_end));
        simd.store_part(dst_end, sum);
        simd.store_part(src_end, zero);
    }
}

kernel! {
    /// `dst = a + b`.
    pub fn add3<'a, E>(simd; dst: &'a mut [E], a: &'a [E], b: &'a [E]) -> () {
        same_length("add3", dst.len(), a.len());
        same_length("add3", dst.len(), b.len());
        lanes::zip2(simd, dst, a, b, #[inline(always)] |_, a, b| simd.add(a, b));
    }
}

kernel! {
    /// `dst = a * b`, element by element.
    pub fn mul<'a, E>(simd; dst: &'a mut [E], a: &'a [E], b: &'a [E]) -> () {
        same_length("mul", dst.len(), a.len());
        same_length("mul", dst.len(), b.len());
        lanes::zip2(simd, dst, a, b, #[inline(always)] |_, a, b| simd.mul(a, b));
    }
}

kernel! {
    /// `dst += a * b`, element by element.
    pub fn mul_add<'a, E>(simd; dst: &'a mut [E], a: &'a [E], b: &'a [E]) -> () {
        same_length("mul_add", dst.len(), a.len());
        same_length("mul_add", dst.len(), b.len());
        lanes::zip2(simd, dst, a, b, #[inline(always)] |d, a, b| simd.mul_add(a, b, d));
    }
}

kernel! {
    /// `dst += alpha * src`.
    pub fn axpy<'a, E>(simd; dst: &'a mut [E], alpha: E, src: &'a [E]) -> () {
        same_length("axpy", dst.len(), src.len());
        let alpha = simd.splat(alpha);
        lanes::zip1(simd, dst, src, #[inline(always)] |d, s| simd.mul_add(alpha, s, d));
    }
}

kernel! {
    /// `x *= alpha`.
    pub fn scale<'a, E>(simd; x: &'a mut [E], alpha: E) -> () {
        lanes::multiply(simd, x, alpha);
    }
}

kernel! {
    /// `sum_i a_i b_i`.
    pub fn dot<'a, E>(simd; a: &'a [E], b: &'a [E]) -> E {
        same_length("dot", a.len(), b.len());
        lanes::dot(simd, a, b)
    }
}
