//! Each vector operation at each level, at the edges of its domain.

use super::*;
use crate::kernels::{Level, with_level};

fn at_each_level(check: impl Fn(Level)) {
    for level in Level::ALL {
        with_level(level, || check(level));
    }
}

kernel! {
    fn exps<'a, E>(simd; x: &'a [E], out: &'a mut [E]) -> () {
        zip1(simd, out, x, #[inline(always)] |_, x| simd.exp(x));
    }
}

/// The distance in units in the last place of the nearer denormal or normal number.
fn ulps(a: f32, b: f64) -> f64 {
    if f64::from(a) == b || f64::from(a) == f64::from(b as f32) {
        return 0.0;
    }
    let nearest = (b as f32).abs();
    let unit = f32::from_bits(nearest.to_bits() + 1) - nearest;
    (f64::from(a) - b).abs() / f64::from(unit)
}

#[test]
fn exp_is_exact_to_two_units_over_the_whole_range() {
    at_each_level(|level| {
        let x: Vec<f32> = (0..4_000_000).map(|i| -104.5 + 193.0 * i as f32 / 4e6).collect();
        let mut y = vec![0.0; x.len()];
        exps(&x, &mut y);
        let worst = x.iter().zip(&y).map(|(&x, &y)| ulps(y, f64::from(x).exp())).fold(0.0, f64::max);
        assert!(worst < 2.0, "{level:?}: {worst} units");
    });
}

#[test]
fn exp_at_the_edges() {
    at_each_level(|level| {
        let x =
            [f32::NEG_INFINITY, -1e30, -105.0, -0.0, 0.0, 1e-40, 100.0, f32::MAX, f32::INFINITY, f32::NAN];
        let mut y = [7.0; 10];
        exps(&x, &mut y);
        assert_eq!(
            y[..9],
            [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, f32::INFINITY, f32::INFINITY, f32::INFINITY],
            "{level:?}"
        );
        assert!(y[9].is_nan(), "{level:?}");
    });
}

#[test]
fn exp_underflows_gradually() {
    at_each_level(|level| {
        let x: Vec<f32> = (0..1700).map(|i| -87.0 - i as f32 / 100.0).collect();
        let mut y = vec![0.0; x.len()];
        exps(&x, &mut y);
        assert!(y.iter().filter(|y| y.is_subnormal()).count() > 1000, "{level:?}");
        assert!(y.is_sorted_by(|a, b| a >= b), "{level:?}");
    });
}

kernel! {
    /// Loads and stores all but the first `skip` elements of a part.
    fn part<'a, E>(simd; x: &'a [E], out: &'a mut [E], fill: E) -> Vec<E> {
        let loaded = simd.load_part(x);
        simd.store_part(out, loaded);
        let mut kept = [fill; WIDTH];
        simd.store(&mut kept, simd.keep(loaded, x.len(), simd.splat(fill)));
        kept.to_vec()
    }
}

#[test]
fn parts_of_vectors_touch_nothing_else() {
    at_each_level(|level| {
        for n in 0..=WIDTH {
            let x: Vec<f32> = (1..=n).map(|i| i as f32).collect(); // exactly n elements: a read beyond is a fault
            let mut out = vec![-1.0; n + 3];
            let kept = part(&x, &mut out[..n], 9.0);
            assert_eq!((&out[..n], &out[n..]), (&x[..], &[-1.0; 3][..]), "{level:?}");
            assert_eq!((&kept[..n], &kept[n..]), (&x[..], &vec![9.0; WIDTH - n][..]), "{level:?}");
            let mut longer = vec![-1.0; WIDTH];
            part(&x, &mut longer, 9.0);
            assert!(longer[n..].iter().all(|&x| x == 0.0), "{level:?}: lanes beyond a part are zero");
        }
    });
}

kernel! {
    fn reductions<'a, E>(simd; x: &'a [E; WIDTH]) -> (E, E) {
        let v = simd.load(x);
        (simd.reduce_sum(v), simd.reduce_max(v))
    }
}

#[test]
fn reductions_see_every_lane() {
    at_each_level(|level| {
        for lane in 0..WIDTH {
            let mut x = [-1.0_f32; WIDTH];
            x[lane] = 5.0;
            assert_eq!(reductions(&x), (-10.0, 5.0), "{level:?}");
        }
    });
}

kernel! {
    fn transposed<'a, E>(simd; rows: &'a mut [[E; WIDTH]; WIDTH]) -> () {
        let mut block = [simd.splat(E::zero()); WIDTH];
        for (v, row) in block.iter_mut().zip(&*rows) {
            *v = simd.load(row);
        }
        let block = simd.transpose(block);
        for (v, row) in block.iter().zip(rows) {
            simd.store(row, *v);
        }
    }
}

#[test]
fn a_block_is_transposed() {
    at_each_level(|level| {
        let original: [[f32; WIDTH]; WIDTH] =
            std::array::from_fn(|i| std::array::from_fn(|j| (i * WIDTH + j) as f32));
        let mut block = original;
        transposed(&mut block);
        for i in 0..WIDTH {
            for j in 0..WIDTH {
                assert_eq!(block[j][i], original[i][j], "{level:?}");
            }
        }
    });
}

kernel! {
    fn looked_up<'a, E>(simd; out: &'a mut [E], add: bool, table: &'a [E], index: &'a [u32]) -> () {
        simd.lookup(out, add, table, index);
    }
}

#[test]
fn lookups_in_tables_of_every_size() {
    at_each_level(|level| {
        for rows in (1..300).chain([1000]) {
            let table: Vec<f32> = (0..rows).map(|i| (i + 1) as f32).collect();
            let index: Vec<u32> = (0..rows + 37).map(|i| (i * 7 % rows) as u32).collect();
            let mut out = vec![0.5; index.len()];
            looked_up(&mut out, true, &table, &index);
            let right = |(&x, &i): (&f32, &u32)| x == (i + 1) as f32 + 0.5;
            assert!(out.iter().zip(&index).all(right), "{level:?}: {rows} rows");
            looked_up(&mut out, false, &table, &index);
            assert!(out.iter().zip(&index).all(|(&x, &i)| x == (i + 1) as f32), "{level:?}: {rows} rows");
        }
    });
}
