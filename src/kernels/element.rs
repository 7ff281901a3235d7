//! The scalar types that kernels work on.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub};

use super::lanes::{self, Kernel, Portable, WIDTH};
use super::raw;

/// A scalar type that the kernels work on: `f32` or `f64`.
pub trait Element:
    Copy
    + Default
    + PartialOrd
    + Debug
    + Display
    + Send
    + Sync
    + Sum
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + MulAssign
    + raw::Product
    + private::Sealed
    + 'static
{
    /// Minus infinity: a masked score.
    const NEG_INFINITY: Self;

    /// 0.
    fn zero() -> Self;
    /// 1.
    fn one() -> Self;
    /// The nearest value of this type.
    fn from_f64(x: f64) -> Self;
    /// The same value in double precision.
    fn to_f64(self) -> f64;
    /// `e^self`.
    fn exp(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// The absolute value.
    fn abs(self) -> Self;
    /// False for NaN and the infinities.
    fn is_finite(self) -> bool;

    /// Runs a kernel on the instruction set of [`Level::current`](super::Level::current).
    #[doc(hidden)]
    fn dispatch<K: Kernel<Self>>(kernel: K) -> K::Output;
    /// `e^x` of each lane, in portable code.
    #[doc(hidden)]
    fn exp_lanes(x: [Self; WIDTH]) -> [Self; WIDTH];
}

mod private {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

macro_rules! scalar_methods {
    ($E:ident) => {
        const NEG_INFINITY: Self = $E::NEG_INFINITY;

        #[inline(always)]
        fn zero() -> Self {
            0.0
        }
        #[inline(always)]
        fn one() -> Self {
            1.0
        }
        #[inline(always)]
        fn from_f64(x: f64) -> Self {
            x as $E
        }
        #[inline(always)]
        fn to_f64(self) -> f64 {
            self as f64
        }
        #[inline(always)]
        fn exp(self) -> Self {
            self.exp()
        }
        #[inline(always)]
        fn ln(self) -> Self {
            self.ln()
        }
        #[inline(always)]
        fn sqrt(self) -> Self {
            self.sqrt()
        }
        #[inline(always)]
        fn abs(self) -> Self {
            self.abs()
        }
        #[inline(always)]
        fn is_finite(self) -> bool {
            self.is_finite()
        }
    };
}

impl Element for f32 {
    scalar_methods!(f32);

    #[inline]
    fn dispatch<K: Kernel<Self>>(kernel: K) -> K::Output {
        lanes::dispatch_f32(kernel)
    }
    #[inline(always)]
    fn exp_lanes(x: [Self; WIDTH]) -> [Self; WIDTH] {
        lanes::exp_f32(x)
    }
}

impl Element for f64 {
    scalar_methods!(f64);

    #[inline]
    fn dispatch<K: Kernel<Self>>(kernel: K) -> K::Output {
        kernel.run(Portable)
    }
    #[inline(always)]
    fn exp_lanes(x: [Self; WIDTH]) -> [Self; WIDTH] {
        x.map(f64::exp)
    }
}
