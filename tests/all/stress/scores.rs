//! Attention scores of 1e4 and beyond.
use ihead::engine::RowSet;
use ihead::graph::Normaliser;
use ihead::nn::ModuleExt;

use super::{NORMALISERS, all_engines, assert_same, change};
use crate::eager::models::{Body, DIM, SEQ, Tiny, batch};

/// The largest score of `tiny` in a sequence of the batch, by plain loops.
fn largest_score(tiny: &Tiny, heads: usize) -> f64 {
    let of =
        |name: &str| -> Vec<f64> { tiny.tensor(name).unwrap().values().into_iter().map(f64::from).collect() };
    let [tok, pos, a, b] = ["tok", "pos", "a", "b"].map(of);
    let batch = batch();
    let width = DIM / heads;
    let mut largest = 0.0_f64;
    for i in 0..batch.batch {
        let (x, ..) = batch.sequence(i);
        let map = |w: &[f64]| -> Vec<Vec<f64>> {
            let row = |t: usize| -> Vec<f64> {
                let h = |d: usize| tok[x[t] as usize * DIM + d] + pos[t * DIM + d];
                (0..DIM).map(|o| (0..DIM).map(|d| w[o * DIM + d] * h(d)).sum()).collect()
            };
            (0..SEQ).map(row).collect()
        };
        let (q, k) = (map(&a), map(&b));
        for (t, q) in q.iter().enumerate() {
            for k in &k[..=t] {
                for (q, k) in q.chunks(width).zip(k.chunks(width)) {
                    let score: f64 = q.iter().zip(k).map(|(q, k)| q * k).sum();
                    largest = largest.max(0.6 * score.abs());
                }
            }
        }
    }
    largest
}

/// Queries and keys are multiplied by `factor`, for scores that are larger by its square.
fn scaled(body: Body, factor: f32) -> Tiny {
    let mut tiny = Tiny::new(body);
    change(&mut tiny, |name, values| {
        if ["a", "b"].contains(&name) {
            values.iter_mut().for_each(|v| *v *= factor);
        }
    });
    tiny
}

#[test]
fn scores_of_ten_thousand_are_finite_and_the_same_in_both_engines() {
    for normaliser in NORMALISERS {
        for heads in [1, 2, 4] {
            for body in [Body::Attention(heads, normaliser), Body::Relative(heads, normaliser)] {
                for factor in [80.0, 2000.0] {
                    let tiny = scaled(body, factor);
                    let largest = largest_score(&tiny, heads);
                    assert!(largest > 1e4, "{body:?}: scores of {largest:e}");
                    for rows in [RowSet::All, RowSet::Set(0)] {
                        let [eager, double, single] = all_engines(&tiny, &batch(), rows);
                        let what = format!("{body:?} times {factor}, {rows:?}");
                        assert_same(&eager, &double, 1e-9, 1.0, &what);
                        assert!(single.is_finite(), "{what}: {}", single.loss);
                        if factor < 100.0 {
                            // rounding of a score of 1e4 is a factor of 1.001 of a weight
                            assert_same(&eager, &single, 2e-2, 1.0, &what);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn equal_scores_of_ten_thousand_share_their_weight() {
    // queries and keys see the same positions and tokens everywhere: all scores of a row are equal
    let mut tiny = scaled(Body::Attention(1, Normaliser::Softmax), 80.0);
    change(&mut tiny, |name, values| {
        if ["tok", "pos"].contains(&name) {
            *values = values[..DIM].repeat(values.len() / DIM);
        }
    });
    let [eager, double, single] = all_engines(&tiny, &batch(), RowSet::All);
    assert_same(&eager, &double, 1e-9, 1.0, "equal scores");
    // a gradient of a score of 0 up to rounding is multiplied by queries and keys of 1e2
    assert_same(&eager, &single, 2e-3, 1.0, "equal scores");
}
