//! Products of `f32` on AVX-512, in tiles of the output that stay in registers.
//!
//! A tile is at most 6 rows of 64 columns, or 8 of 48 or fewer. It is the sum, over the rows of `b`, of numbers of `a` times
//! vectors of `b`. A tile's columns of [`DEPTH`] rows of `b` fit into the nearest cache, where the tiles below it find them. Nothing
//! is copied. Whole vectors of `b` are read even where its columns end, as a masked load takes a place in the units that multiply;
//! the columns beyond the output are computed and not written.

use std::arch::x86_64::{__m512, _MM_HINT_T0, _mm_prefetch};

use pulp::NullaryFnOnce;
use pulp::x86::V4;

use super::{Operands, Strided, WIDTH};

/// How many rows of `b` are multiplied before the next columns: 32 KB of 64 columns.
const DEPTH: usize = 128;
/// How many rows of the output are finished before the next ones, so that what is read and written again is near.
const HEIGHT: usize = 256;
const _: () = assert!(WIDTH == 16, "a vector of AVX-512 has sixteen numbers");

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

/// A product that may be computed here.
pub(super) struct Tiles {
    simd: V4,
    operands: Operands<f32>,
}

impl Tiles {
    /// The product, if it is one for tiles: on a machine with AVX-512, with the columns of `b` side by side and whole vectors in
    /// `b` for all columns of the output.
    pub(super) fn new(operands: Operands<f32>) -> Option<Self> {
        Some(Self { simd: V4::try_new().filter(|_| operands.whole_vectors)?, operands })
    }

    /// Computes it.
    ///
    /// # Safety
    /// What [`Product::product`](super::Product::product) asks for.
    pub(super) unsafe fn compute(self) {
        let Self { simd, operands } = self;
        simd.vectorize(Compute { simd, operands });
    }
}

/// A product whose operands are as [`Tiles::new`] and [`Tiles::compute`] want them.
struct Compute {
    simd: V4,
    operands: Operands<f32>,
}

impl NullaryFnOnce for Compute {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { simd, operands: all } = self;
        let [m, n, k] = all.sizes;
        let mut row = 0;
        while row < m {
            let height = (m - row).div_ceil((m - row).div_ceil(HEIGHT));
            // SAFETY: `Tiles::compute`, which alone makes this, has the caller's word for the operands; `row + height <= m`, so all
            // rows of the block are rows of theirs.
            unsafe {
                let block =
                    Operands { sizes: [height, n, k], out: all.out.at(row, 0), a: all.a.at(row, 0), ..all };
                rows_of(simd, block);
            }
            row += height;
        }
    }
}

/// At most [`HEIGHT`] rows of the output.
///
/// # Safety
/// As for [`Tiles::compute`].
#[inline(always)]
unsafe fn rows_of(simd: V4, all: Operands<f32>) {
    let [m, n, k] = all.sizes;
    let depth = k.div_ceil(k.div_ceil(DEPTH));
    for term in (0..k).step_by(depth) {
        let terms = depth.min(k - term);
        let mut column = 0;
        while column < n {
            let left = (n - column).div_ceil(WIDTH);
            let vectors = left.div_ceil(left.div_ceil(4));
            let columns = (vectors * WIDTH).min(n - column);
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
                match vectors {
                    4 => columns_of::<6, 4>(simd, part),
                    3 => columns_of::<8, 3>(simd, part),
                    2 => columns_of::<8, 2>(simd, part),
                    _ => columns_of::<8, 1>(simd, part),
                }
            }
            column += columns;
        }
    }
}

/// Columns in `V` vectors, in tiles of at most `ROWS` rows and nearly equal heights.
///
/// # Safety
/// As for [`tile`], but for the number of rows.
#[inline(always)]
unsafe fn columns_of<const ROWS: usize, const V: usize>(simd: V4, all: Operands<f32>) {
    let [m, columns, terms] = all.sizes;
    let mut row = 0;
    while row < m {
        let height = (m - row).div_ceil((m - row).div_ceil(ROWS));
        // SAFETY: `row + height <= m`, so all rows of the tile are rows of the operands.
        unsafe {
            let part = Operands {
                sizes: [height, columns, terms],
                out: all.out.at(row, 0),
                a: all.a.at(row, 0),
                ..all
            };
            match height {
                8 if ROWS >= 8 => tile::<8, V>(simd, part),
                7 if ROWS >= 8 => tile::<7, V>(simd, part),
                6 => tile::<6, V>(simd, part),
                5 => tile::<5, V>(simd, part),
                4 => tile::<4, V>(simd, part),
                3 => tile::<3, V>(simd, part),
                2 => tile::<2, V>(simd, part),
                _ => tile::<1, V>(simd, part),
            }
        }
        row += height;
    }
}

/// A loop over a few numbers that are known when the code is compiled, written out: at any level of optimisation, what it indexes stays
/// in registers.
macro_rules! written_out {
    ($v:ident in 0..V $body:block) => {
        written_out!([0 1 2 3] $v, V, $body)
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
/// The column has `R` numbers that may be read, the row `V * 16`.
#[inline(always)]
unsafe fn add_term<const R: usize, const V: usize>(
    simd: V4,
    a: Strided<*const f32>,
    b: Strided<*const f32>,
    sums: &mut [[__m512; V]; R],
) {
    let f = simd.avx512f;
    let mut right = [f._mm512_setzero_ps(); V];
    // SAFETY: what the caller asserts.
    unsafe {
        written_out!(v in 0..V {
            right[v] = f._mm512_loadu_ps(b.at(0, v * WIDTH).first);
        });
        written_out!(i in 0..R {
            let left = f._mm512_set1_ps(*a.at(i, 0).first);
            written_out!(v in 0..V {
                sums[i][v] = f._mm512_fmadd_ps(left, right[v], sums[i][v]);
            });
        });
    }
}

/// One tile.
///
/// # Safety
/// What [`Product::product`](super::Product::product) asks for. The output has `R` rows of more than `(V - 1) * 16` and at most
/// `V * 16` columns, side by side; each row of `b` has `V * 16` numbers that may be read.
#[inline(always)]
unsafe fn tile<const R: usize, const V: usize>(simd: V4, of: Operands<f32>) {
    let f = simd.avx512f;
    let [_, columns, terms] = of.sizes;
    let last = ((1u32 << (columns - (V - 1) * WIDTH)) - 1) as u16;
    let mut sums = [[f._mm512_setzero_ps(); V]; R];
    let (mut a, mut b) = (of.a, of.b);
    // SAFETY: rows `0..R` of `a` and of the output, vectors `0..V` of `b` and of the output, and rows `0..terms` of `b` are there, by
    // what the caller asserts. `last` keeps the last vector of the output within its columns. Pointers behind the last rows
    // are made without an assertion and not read.
    unsafe {
        if of.read_out {
            written_out!(i in 0..R {
                written_out!(v in 0..V {
                    _mm_prefetch::<_MM_HINT_T0>(of.out.at(i, v * WIDTH).first.cast());
                });
            });
        }
        // two at a time, which is up to a twentieth faster where operands are far
        for _ in 0..terms / 2 {
            add_term::<R, V>(simd, a, b, &mut sums);
            (a, b) = (a.next_column(), b.next_row());
            add_term::<R, V>(simd, a, b, &mut sums);
            (a, b) = (a.next_column(), b.next_row());
        }
        if terms % 2 == 1 {
            add_term::<R, V>(simd, a, b, &mut sums);
        }
        let alpha = f._mm512_set1_ps(of.alpha);
        written_out!(i in 0..R {
            written_out!(v in 0..V {
                let mask = if v + 1 < V { u16::MAX } else { last };
                let to = of.out.at(i, v * WIDTH).first;
                let sum: __m512 = if of.read_out {
                    f._mm512_fmadd_ps(alpha, sums[i][v], f._mm512_maskz_loadu_ps(mask, to))
                } else {
                    f._mm512_mul_ps(alpha, sums[i][v])
                };
                f._mm512_mask_storeu_ps(to, mask, sum);
            });
        });
    }
}
