//! Products on x86-64, in tiles of the output that stay in registers.
//!
//! With AVX-512, a tile is at most 6 rows of 4 vectors, or 8 of 3 or fewer; with AVX2, which has half as many registers, 6 rows of 2
//! vectors; without either, 4 rows of 2. It is the sum, over the rows of `b`, of numbers of `a` times vectors of `b`. A tile's columns of
//! as many rows of `b` as [`terms_at_once`] fit into the nearest cache, where the tiles below it find them. Nothing is copied. Whole vectors of
//! `b` are read even where its columns end, as a masked load takes a place in the units that multiply; the columns beyond the output
//! are computed and not written.

use std::arch::x86_64::{
    __m128, __m128d, __m256, __m256d, __m512, __m512d, _MM_HINT_T0, _mm_add_pd, _mm_add_ps, _mm_loadu_pd,
    _mm_loadu_ps, _mm_mul_pd, _mm_mul_ps, _mm_prefetch, _mm_set1_pd, _mm_set1_ps, _mm_storeu_pd,
    _mm_storeu_ps, _mm256_fmadd_pd, _mm256_fmadd_ps, _mm256_loadu_pd, _mm256_loadu_ps, _mm256_mul_pd,
    _mm256_mul_ps, _mm256_set1_pd, _mm256_set1_ps, _mm256_storeu_pd, _mm256_storeu_ps, _mm512_fmadd_pd,
    _mm512_fmadd_ps, _mm512_loadu_pd, _mm512_loadu_ps, _mm512_mask_storeu_pd, _mm512_mask_storeu_ps,
    _mm512_maskz_loadu_pd, _mm512_maskz_loadu_ps, _mm512_mul_pd, _mm512_mul_ps, _mm512_set1_pd,
    _mm512_set1_ps, _mm512_storeu_pd, _mm512_storeu_ps,
};

use super::sets::{Avx2, Avx512};
use super::{Operands, Strided, WIDTH, terms_at_once};
use crate::kernels::{Element, Level};

/// How many rows of the output are finished before the next ones, so that what is read and written again is near.
const HEIGHT: usize = 256;

impl<E> Strided<*const E> {
    /// The part that begins at (`row`, `column`).
    ///
    /// # Safety
    /// That element is in the matrix, or in the same allocation.
    #[inline(always)]
    unsafe fn at(self, row: usize, column: usize) -> Self {
        // SAFETY: what the caller asserts.
        unsafe { Self { first: self.first.add(row * self.rows + column * self.cols), ..self } }
    }

    /// The part that begins one row below; perhaps behind the last.
    #[inline(always)]
    fn next_row(self) -> Self {
        Self { first: self.first.wrapping_add(self.rows), ..self }
    }

    /// The part that begins at the next column; perhaps behind the last.
    #[inline(always)]
    fn next_column(self) -> Self {
        Self { first: self.first.wrapping_add(self.cols), ..self }
    }
}

impl<E> Strided<*mut E> {
    /// The part that begins at (`row`, `column`).
    ///
    /// # Safety
    /// That element is in the matrix, or in the same allocation.
    #[inline(always)]
    unsafe fn at(self, row: usize, column: usize) -> Self {
        // SAFETY: what the caller asserts.
        unsafe { Self { first: self.first.add(row * self.rows + column * self.cols), ..self } }
    }
}

/// Computes a product with the instructions of [`Level::current`], in their registers for its type of numbers.
///
/// # Safety
/// What [`Product::product`](super::Product::product) asks for.
pub(super) unsafe fn product<E, Narrow, Half, Full>(operands: Operands<E>)
where
    E: Element,
    Narrow: Register<Number = E>,
    Half: Register<Number = E>,
    Full: Register<Number = E>,
{
    let level = Level::current();
    if level == Level::Avx512
        && let Some(set) = Avx512::new()
    {
        // SAFETY: what the caller asserts; the instruction set is there.
        return set.run(
            #[inline(always)]
            || unsafe { whole::<Full>(operands) },
        );
    }
    if level >= Level::Avx2
        && let Some(set) = Avx2::new()
    {
        // SAFETY: as above.
        return set.run(
            #[inline(always)]
            || unsafe { whole::<Half>(operands) },
        );
    }
    // SAFETY: as above; every processor of x86-64 has these instructions.
    unsafe { whole::<Narrow>(operands) }
}

/// A register of numbers, with the instructions that a tile takes.
///
/// # Safety
/// Whoever calls one of its functions asserts that the processor has the instruction set, and that the numbers behind the pointers may be
/// read or written: [`LANES`](Self::LANES) of them, or `n` where that is an argument, which is then at most as large.
pub(super) trait Register: Copy {
    /// The type of its numbers.
    type Number: Element;
    /// How many it holds.
    const LANES: usize = size_of::<Self>() / size_of::<Self::Number>();
    /// How many vectors wide a tile is at most.
    const WIDEST: usize;
    /// Whether tiles of each height are compiled, or those of full height, two rows and one: `f32` with AVX2 or AVX-512 alone has the
    /// first, as a first build waits for each.
    const EACH_HEIGHT: bool =
        size_of::<Self::Number>() == size_of::<f32>() && size_of::<Self>() > size_of::<__m128>();

    /// `x` in every lane.
    unsafe fn splat(x: Self::Number) -> Self;
    /// Numbers side by side.
    unsafe fn load(from: *const Self::Number) -> Self;
    /// Writes all lanes.
    unsafe fn store(self, to: *mut Self::Number);
    /// `self * b`.
    unsafe fn times(self, b: Self) -> Self;
    /// `self * b + c`, rounded once where the instruction set can.
    unsafe fn times_plus(self, b: Self, c: Self) -> Self;
    /// Columns in so many vectors, at most [`WIDEST`](Self::WIDEST), in tiles of the height that the number of registers allows.
    ///
    /// # Safety
    /// As for [`columns_of`].
    unsafe fn columns(vectors: usize, of: Operands<Self::Number>);

    /// The first `n` numbers, then any.
    #[inline(always)]
    unsafe fn load_first(n: usize, from: *const Self::Number) -> Self {
        if n == Self::LANES {
            // SAFETY: what the caller asserts.
            return unsafe { Self::load(from) };
        }
        let mut part = [Self::Number::zero(); WIDTH];
        // SAFETY: what the caller asserts; `n` numbers and a vector are at most as long as the array.
        unsafe {
            part.as_mut_ptr().copy_from_nonoverlapping(from, n);
            Self::load(part.as_ptr())
        }
    }

    /// Writes the first `n` lanes.
    #[inline(always)]
    unsafe fn store_first(self, n: usize, to: *mut Self::Number) {
        if n == Self::LANES {
            // SAFETY: what the caller asserts.
            return unsafe { self.store(to) };
        }
        let mut part = [Self::Number::zero(); WIDTH];
        // SAFETY: what the caller asserts; `n` numbers and a vector are at most as long as the array.
        unsafe {
            self.store(part.as_mut_ptr());
            to.copy_from_nonoverlapping(part.as_ptr(), n);
        }
    }
}

/// A register: the rows of a tile that is so many vectors wide, the widest first and one vector last; its instructions; and, where it
/// has masks, the functions that replace copies of parts.
macro_rules! register {
    (
        $register:ty, $E:ty, [$widest:literal: $rows:literal $(, $wide:literal: $high:literal)*; 1: $high_1:literal],
        $splat:ident, $load:ident, $store:ident, $times:ident, $times_plus:expr $(, masks $mask:ty, $load_first:ident, $store_first:ident)?
    ) => {
        impl Register for $register {
            type Number = $E;
            const WIDEST: usize = $widest;

            #[inline(always)]
            unsafe fn splat(x: $E) -> Self {
                // SAFETY: what the caller asserts.
                unsafe { $splat(x) }
            }
            #[inline(always)]
            unsafe fn load(from: *const $E) -> Self {
                // SAFETY: what the caller asserts.
                unsafe { $load(from) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $E) {
                // SAFETY: what the caller asserts.
                unsafe { $store(to, self) }
            }
            #[inline(always)]
            unsafe fn times(self, b: Self) -> Self {
                // SAFETY: what the caller asserts.
                unsafe { $times(self, b) }
            }
            #[inline(always)]
            unsafe fn times_plus(self, b: Self, c: Self) -> Self {
                // SAFETY: what the caller asserts.
                unsafe { $times_plus(self, b, c) }
            }
            #[inline(always)]
            unsafe fn columns(vectors: usize, of: Operands<$E>) {
                // SAFETY: what the caller asserts.
                unsafe {
                    match vectors {
                        $widest => columns_of::<Self, $rows, $widest>(of),
                        $($wide => columns_of::<Self, $high, $wide>(of),)*
                        _ => columns_of::<Self, $high_1, 1>(of),
                    }
                }
            }
            $(
                #[inline(always)]
                unsafe fn load_first(n: usize, from: *const $E) -> Self {
                    // SAFETY: what the caller asserts; lanes outside of the mask are not read.
                    unsafe { $load_first(((1u32 << n) - 1) as $mask, from) }
                }
                #[inline(always)]
                unsafe fn store_first(self, n: usize, to: *mut $E) {
                    // SAFETY: what the caller asserts; lanes outside of the mask are not written.
                    unsafe { $store_first(to, ((1u32 << n) - 1) as $mask, self) }
                }
            )?
        }
        const _: () = assert!(WIDTH.is_multiple_of(<$register>::LANES), "whole vectors end where sixteen columns do");
    };
}

#[rustfmt::skip]
register!(__m512, f32, [4: 6, 3: 8, 2: 8; 1: 8], _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_mul_ps, _mm512_fmadd_ps,
    masks u16, _mm512_maskz_loadu_ps, _mm512_mask_storeu_ps);
#[rustfmt::skip]
register!(__m512d, f64, [4: 6, 3: 8, 2: 8; 1: 8], _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_mul_pd, _mm512_fmadd_pd,
    masks u8, _mm512_maskz_loadu_pd, _mm512_mask_storeu_pd);
#[rustfmt::skip]
register!(__m256, f32, [2: 6; 1: 6], _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_mul_ps, _mm256_fmadd_ps);
#[rustfmt::skip]
register!(__m256d, f64, [2: 6; 1: 6], _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_mul_pd, _mm256_fmadd_pd);
#[rustfmt::skip]
register!(__m128, f32, [2: 4; 1: 4], _mm_set1_ps, _mm_loadu_ps, _mm_storeu_ps, _mm_mul_ps, |a, b, c| _mm_add_ps(_mm_mul_ps(a, b), c));
#[rustfmt::skip]
register!(__m128d, f64, [2: 4; 1: 4], _mm_set1_pd, _mm_loadu_pd, _mm_storeu_pd, _mm_mul_pd, |a, b, c| _mm_add_pd(_mm_mul_pd(a, b), c));

/// The whole product.
///
/// # Safety
/// As for [`product`], and the processor has the instructions of `V`.
#[inline(always)]
unsafe fn whole<V: Register>(all: Operands<V::Number>) {
    let [m, n, k] = all.sizes;
    let mut row = 0;
    while row < m {
        let height = (m - row).div_ceil((m - row).div_ceil(HEIGHT));
        // SAFETY: `row + height <= m`, so all rows of the block are rows of the operands.
        unsafe {
            let block =
                Operands { sizes: [height, n, k], out: all.out.at(row, 0), a: all.a.at(row, 0), ..all };
            rows_of::<V>(block);
        }
        row += height;
    }
}

/// At most [`HEIGHT`] rows of the output.
///
/// # Safety
/// As for [`whole`].
#[inline(always)]
unsafe fn rows_of<V: Register>(all: Operands<V::Number>) {
    let [m, n, k] = all.sizes;
    let depth = terms_at_once::<V::Number>(k);
    for term in (0..k).step_by(depth) {
        let terms = depth.min(k - term);
        let mut column = 0;
        while column < n {
            let left = (n - column).div_ceil(V::LANES);
            let vectors = left.div_ceil(left.div_ceil(V::WIDEST));
            let columns = (vectors * V::LANES).min(n - column);
            // SAFETY: `term < k` and `column < n`, so the part's first elements are elements of the operands, and with `terms` and
            // `columns` its last ones, too. Of `b`, whole vectors for all columns of the output may be read.
            unsafe {
                let part = Operands {
                    sizes: [m, columns, terms],
                    out: all.out.at(0, column),
                    read_out: all.read_out || term > 0,
                    a: all.a.at(0, term),
                    b: all.b.at(term, column),
                    ..all
                };
                V::columns(vectors, part);
            }
            column += columns;
        }
    }
}

/// Whether tiles of this height are compiled: see [`Register::EACH_HEIGHT`].
const fn is_compiled<V: Register>(height: usize, rows: usize) -> bool {
    height <= 2 || height == rows || V::EACH_HEIGHT && height < rows
}

/// Columns in `N` vectors, in tiles of at most `ROWS` rows, of nearly equal heights where each is compiled.
///
/// # Safety
/// As for [`tile`], but for the number of rows.
#[inline(always)]
unsafe fn columns_of<V: Register, const ROWS: usize, const N: usize>(all: Operands<V::Number>) {
    let [m, columns, terms] = all.sizes;
    let mut row = 0;
    while row < m {
        let left = m - row;
        let height = match left {
            _ if V::EACH_HEIGHT => left.div_ceil(left.div_ceil(ROWS)),
            1 => 1,
            _ if left >= ROWS => ROWS,
            _ => 2,
        };
        // SAFETY: `row + height <= m`, so all rows of the tile are rows of the operands.
        unsafe {
            let part = Operands {
                sizes: [height, columns, terms],
                out: all.out.at(row, 0),
                a: all.a.at(row, 0),
                ..all
            };
            match height {
                8 if const { is_compiled::<V>(8, ROWS) } => tile::<V, 8, N>(part),
                7 if const { is_compiled::<V>(7, ROWS) } => tile::<V, 7, N>(part),
                6 if const { is_compiled::<V>(6, ROWS) } => tile::<V, 6, N>(part),
                5 if const { is_compiled::<V>(5, ROWS) } => tile::<V, 5, N>(part),
                4 if const { is_compiled::<V>(4, ROWS) } => tile::<V, 4, N>(part),
                3 if const { is_compiled::<V>(3, ROWS) } => tile::<V, 3, N>(part),
                2 => tile::<V, 2, N>(part),
                _ => tile::<V, 1, N>(part),
            }
        }
        row += height;
    }
}

/// A loop over a few numbers that are known when the code is compiled, written out: at any level of optimisation, what it indexes stays
/// in registers.
macro_rules! written_out {
    ($v:ident in 0..N $body:block) => {
        written_out!([0 1 2 3] $v, N, $body)
    };
    ($i:ident in 0..R $body:block) => {
        written_out!([0 1 2 3 4 5 6 7] $i, R, $body)
    };
    ([$($k:literal)*] $i:ident, $n:ident, $body:block) => {$(
        if const { $k < $n } {
            let $i = $k;
            $body
        }
    )*};
}

/// Adds one term to the sums of a tile: a column of `a` times a row of `b`.
///
/// # Safety
/// The column has `R` numbers that may be read, the row `N` vectors; the processor has the instructions of `V`.
#[inline(always)]
unsafe fn add_term<V: Register, const R: usize, const N: usize>(
    a: Strided<*const V::Number>,
    b: Strided<*const V::Number>,
    sums: &mut [[V; N]; R],
) {
    // SAFETY: what the caller asserts.
    unsafe {
        let mut right = [V::load(b.first); N];
        written_out!(v in 0..N {
            right[v] = V::load(b.first.add(v * V::LANES));
        });
        written_out!(i in 0..R {
            let left = V::splat(*a.at(i, 0).first);
            written_out!(v in 0..N {
                sums[i][v] = left.times_plus(right[v], sums[i][v]);
            });
        });
    }
}

/// One tile.
///
/// # Safety
/// As for [`whole`], but for the columns of `b`: of each of its rows, `N` vectors may be read. The output has `R` rows of more than `N - 1`
/// vectors and at most `N`.
#[inline(always)]
unsafe fn tile<V: Register, const R: usize, const N: usize>(of: Operands<V::Number>) {
    let [_, columns, terms] = of.sizes;
    let last = columns - (N - 1) * V::LANES;
    let (mut a, mut b) = (of.a, of.b);
    // SAFETY: rows `0..R` of `a` and of the output, vectors `0..N` of `b` and of the output, and rows `0..terms` of `b` are there, by
    // what the caller asserts. The last vector of the output has `last` columns, which are at least one and at most all. Pointers
    // behind the last rows are made without an assertion and not read.
    unsafe {
        let mut sums = [[V::splat(V::Number::zero()); N]; R];
        if of.read_out {
            written_out!(i in 0..R {
                written_out!(v in 0..N {
                    _mm_prefetch::<_MM_HINT_T0>(of.out.at(i, 0).first.add(v * V::LANES).cast());
                });
            });
        }
        // two at a time, which is up to a twentieth faster where operands are far
        for _ in 0..terms / 2 {
            add_term::<V, R, N>(a, b, &mut sums);
            (a, b) = (a.next_column(), b.next_row());
            add_term::<V, R, N>(a, b, &mut sums);
            (a, b) = (a.next_column(), b.next_row());
        }
        if terms % 2 == 1 {
            add_term::<V, R, N>(a, b, &mut sums);
        }
        let alpha = V::splat(of.alpha);
        written_out!(i in 0..R {
            written_out!(v in 0..N {
                let n = if v + 1 < N { V::LANES } else { last };
                let to = of.out.at(i, 0).first.add(v * V::LANES);
                let sum = if of.read_out {
                    alpha.times_plus(sums[i][v], V::load_first(n, to))
                } else {
                    alpha.times(sums[i][v])
                };
                sum.store_first(n, to);
            });
        });
    }
}
