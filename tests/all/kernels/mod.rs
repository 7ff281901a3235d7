//! The kernels against plain loops in double precision: every level, every length, every start.

mod edges;
mod matrices;
mod rows;
mod tables;

use ihead::internals::kernels::{Level, with_level};

/// Calls `check` with each level that this machine has in force.
fn at_each_level(mut check: impl FnMut(Level)) {
    for level in Level::ALL {
        with_level(level, || check(level));
    }
}

/// Numbers in -1..1 from a seed.
fn random(seed: u64, n: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from((state >> 32) as u32) / f64::from(u32::MAX) * 2.0 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// The same numbers in single precision, behind `offset` others, so that vectors start anywhere.
fn narrow(x: &[f64], offset: usize) -> Vec<f32> {
    std::iter::repeat_n(99.0, offset).chain(x.iter().map(|&x| x as f32)).collect()
}

/// Asserts that each element is within `tolerance` of its counterpart, relative to the largest of these.
#[track_caller]
fn assert_near(found: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let unit = expected.iter().fold(1e-30, |m: f64, x| m.max(x.abs()));
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs() / unit;
        assert!(error <= tolerance, "{what}: element {i} is {found}, expected {expected}");
    }
}
