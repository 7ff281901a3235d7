//! Sixteen elements at a time: one source, compiled for each instruction set.
//!
//! A kernel is written once against [`Lanes`] (`kernel!` turns it into a function) and compiled for [`Portable`] code,
//! AVX2 and AVX-512. The values of these types prove that the machine has the instructions, so the intrinsics are safe
//! calls (`raw::sets`).
//!
//! Every function between [`Kernel::run`] and the intrinsics is `#[inline(always)]`, closures too: only code that ends
//! up inside the function with the instruction set enabled is compiled for it. So kernels do without `std::array::from_fn` and
//! without `map` of an array: these stay calls, of portable code.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod loops;
mod portable;

pub(crate) use loops::{dot, dot_with_end, map, multiply, sum, zip1, zip2};
pub use portable::Portable;
pub(super) use portable::exp_f32;

use super::Element;

/// The number of elements that are worked on at once, whatever the instruction set.
pub const WIDTH: usize = 16;

/// The operations of one instruction set on vectors of [`WIDTH`] elements.
pub trait Lanes<E: Element>: Copy {
    /// [`WIDTH`] elements.
    type Vector: Copy;

    /// `x` in every lane.
    fn splat(self, x: E) -> Self::Vector;
    /// A constant in every lane.
    #[inline(always)]
    fn constant(self, c: f64) -> Self::Vector {
        self.splat(E::from_f64(c))
    }
    /// The elements of an array.
    fn load(self, from: &[E; WIDTH]) -> Self::Vector;
    /// Writes all lanes.
    fn store(self, to: &mut [E; WIDTH], v: Self::Vector);
    /// The first elements of a slice, at most [`WIDTH`]; zeros in the lanes beyond.
    fn load_part(self, from: &[E]) -> Self::Vector;
    /// Writes the first lanes, as many as the slice holds.
    fn store_part(self, to: &mut [E], v: Self::Vector);
    /// [`load`](Self::load) or [`load_part`](Self::load_part), as the slice is long.
    #[inline(always)]
    fn load_up_to_16(self, from: &[E]) -> Self::Vector {
        match from.first_chunk() {
            Some(full) => self.load(full),
            None => self.load_part(from),
        }
    }
    /// [`store`](Self::store) or [`store_part`](Self::store_part), as the slice is long.
    #[inline(always)]
    fn store_up_to_16(self, to: &mut [E], v: Self::Vector) {
        match to.first_chunk_mut() {
            Some(full) => self.store(full, v),
            None => self.store_part(to, v),
        }
    }
    /// `v` in the first `n` lanes, `fill` beyond.
    fn keep(self, v: Self::Vector, n: usize, fill: Self::Vector) -> Self::Vector;

    /// `a + b`.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a - b`.
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b`.
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a / b`.
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b + c`, rounded once where the instruction set can.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The larger one; `b` where either is NaN.
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `v` where `gate > 0`, else 0.
    fn where_positive(self, gate: Self::Vector, v: Self::Vector) -> Self::Vector;
    /// `e^x` to about one unit in the last place: 0 for minus infinity, denormals near -88..-104 (`f32`), infinity
    /// beyond the range, NaN for NaN.
    fn exp(self, x: Self::Vector) -> Self::Vector;

    /// The sum of the lanes.
    fn reduce_sum(self, v: Self::Vector) -> E;
    /// The largest lane.
    fn reduce_max(self, v: Self::Vector) -> E;

    /// Lane j of vector i becomes lane i of vector j.
    fn transpose(self, rows: [Self::Vector; WIDTH]) -> [Self::Vector; WIDTH];
    /// `out[j] = table[index[j]]`, or `+=` when `add`. Every index is less than the table's length.
    #[inline(always)]
    fn lookup(self, out: &mut [E], add: bool, table: &[E], index: &[u32]) {
        let index = &index[..out.len()];
        if add {
            for i in 0..out.len() {
                out[i] += table[index[i] as usize];
            }
        } else {
            for i in 0..out.len() {
                out[i] = table[index[i] as usize];
            }
        }
    }
}

/// A computation that can be compiled for any instruction set.
pub trait Kernel<E: Element> {
    /// What it returns.
    type Output;
    /// Computes with the given instruction set; `#[inline(always)]` in every implementation.
    fn run<L: Lanes<E>>(self, lanes: L) -> Self::Output;
}

/// Runs a kernel for `f32` at [`Level::current`].
#[inline]
pub(super) fn dispatch_f32<K: Kernel<f32>>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        use super::{Level, raw};

        let level = Level::current();
        if level == Level::Avx512
            && let Some(set) = raw::Avx512::new()
        {
            return set.run(
                #[inline(always)]
                || kernel.run(avx512::Avx512(set)),
            );
        }
        if level >= Level::Avx2
            && let Some(set) = raw::Avx2::new()
        {
            return set.run(
                #[inline(always)]
                || kernel.run(avx2::Avx2(set)),
            );
        }
    }
    kernel.run(Portable)
}

/// Defines a function, generic over [`Element`], whose body is compiled for each instruction set:
/// `fn name<'a, E>(lanes; argument: Type, ...) -> Output { body }`, with `lanes: impl Lanes<E>` in the body.
macro_rules! kernel {
    (
        $(#[$attribute:meta])*
        $vis:vis fn $name:ident<$($a:lifetime,)+ $E:ident>($lanes:ident; $($argument:ident: $ty:ty),* $(,)?)
        -> $output:ty $body:block
    ) => {
        $(#[$attribute])*
        $vis fn $name<$($a,)+ $E: $crate::kernels::Element>($($argument: $ty),*) -> $output {
            struct Call<$($a,)+ $E> {
                $($argument: $ty,)*
            }
            impl<$($a,)+ $E: $crate::kernels::Element> $crate::kernels::lanes::Kernel<$E> for Call<$($a,)+ $E> {
                type Output = $output;

                #[inline(always)]
                fn run<L: $crate::kernels::lanes::Lanes<$E>>(self, $lanes: L) -> $output {
                    let Self { $($argument),* } = self;
                    $body
                }
            }
            $E::dispatch(Call { $($argument),* })
        }
    };
}
pub(crate) use kernel;

#[cfg(test)]
mod tests;
