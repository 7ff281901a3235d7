//! Kernels on rows.

use ihead::internals::kernels::*;

use crate::common::maths::{scaled, softmax, softmax_beside};

use super::{assert_near, at_each_level, narrow, random};

#[test]
fn softmax_of_every_length_and_start() {
    at_each_level(|level| {
        for len in 0..=70 {
            for offset in 0..4 {
                let x: Vec<f64> = random(len as u64, len).iter().map(|x| 8.0 * x).collect();
                let x: Vec<f64> = x.iter().map(|&x| f64::from(x as f32)).collect();
                let mut row = narrow(&x, offset);
                row.extend([5.0; 20]);
                softmax_row(&mut row[offset..], len, 0.7);
                let what = format!("{level:?}, {len} from {offset}");
                let p = softmax(&scaled(f64::from(0.7_f32), &x));
                for (found, expected) in row[offset..].iter().zip(&p) {
                    assert!((f64::from(*found) / expected - 1.0).abs() < 2e-6, "{what}: {found} {expected}");
                }
                assert!(row[offset + len..].iter().all(|&x| x == 0.0), "{what}");
                assert!(row[..offset].iter().all(|&x| x == 99.0), "{what}");

                let g = random(100 + len as u64, len);
                let inner: f64 = p.iter().zip(&g).map(|(p, g)| p * g).sum();
                let expected: Vec<f64> = p.iter().zip(&g).map(|(p, g)| 0.7 * p * (g - inner)).collect();
                let mut grad = narrow(&g, offset);
                grad.extend([5.0; 20]);
                softmax_row_back(&mut grad[offset..], &row[offset..], len, 0.7);
                assert_near(&grad[offset..offset + len], &expected, 5e-6, &what);
                assert!(grad[offset + len..].iter().all(|&x| x == 0.0), "{what}");
            }
        }
    });
}

/// Of all rows of a block at once, to the bit what each alone gives, with room between the rows untouched.
#[test]
fn softmax_of_a_block_is_that_of_its_rows() {
    at_each_level(|level| {
        for (rows, cols, ld) in [(0, 5, 5), (1, 1, 16), (3, 16, 16), (5, 33, 48), (40, 70, 80)] {
            // the last row sees all keys
            let last = (0..rows).map(|r| if r + 1 == rows { cols - 1 } else { (r * 7 + 2) % cols });
            let last: Vec<u32> = last.map(|last| last as u32).collect();
            let x = narrow(&random(1, rows * ld), 0);
            let (mut block, mut each) = (x.clone(), x);
            softmax_rows(ViewMut::new(&mut block, rows, cols, ld), &last, 0.7);
            for (row, last) in each.chunks_mut(ld).zip(&last) {
                softmax_row(&mut row[..cols], *last as usize + 1, 0.7);
            }
            assert_eq!(block, each, "{level:?}: [{rows}, {cols}]");
            // a pattern may have wider rows than its gradient
            let wide: Vec<f32> = each.chunks(ld).flat_map(|row| [row, &[7.0; 3]].concat()).collect();
            let p = View::new(&wide, rows, ld, ld + 3);
            let mut grads = narrow(&random(2, rows * ld), 0);
            let mut expected = grads.clone();
            softmax_rows_back(ViewMut::new(&mut grads, rows, cols, ld), p, &last, 0.3);
            for (r, (row, last)) in expected.chunks_mut(ld).zip(&last).enumerate() {
                softmax_row_back(&mut row[..cols], p.row(r), *last as usize + 1, 0.3);
            }
            assert_eq!(grads, expected, "{level:?}: gradient of [{rows}, {cols}]");
        }
    });
}

#[test]
#[should_panic(expected = "the gradient of 22 weights, of which there are 18")]
fn a_gradient_of_more_weights_than_there_are_is_refused() {
    softmax_row_back(&mut [0.5_f32; 22], &[0.25; 18], 22, 1.0);
}

#[test]
fn softmax_at_the_edges() {
    at_each_level(|level| {
        let check = |x: &[f32], scale: f32, expected: &[f32]| {
            let mut row = x.to_vec();
            softmax_row(&mut row, x.len(), scale);
            assert_eq!(row, expected, "{level:?}: {x:?}");
        };
        const MASKED: f32 = f32::NEG_INFINITY;
        check(&[], 1.0, &[]);
        check(&[-3e38], 1.0, &[1.0]);
        check(&[1e4, 1e4], 0.3, &[0.5, 0.5]);
        check(&[1e4, -1e4, MASKED], 1.0, &[1.0, 0.0, 0.0]);
        check(&[MASKED, 2.0, MASKED, 2.0], 1.0, &[0.0, 0.5, 0.0, 0.5]);
        check(&[1e-40, 0.0, -1e-40, 0.0], 1.0, &[0.25; 4]);
        check(&[3.0, 4.0], 0.0, &[0.5, 0.5]);
        let mut masked = [MASKED; 3];
        softmax_row(&mut masked, 3, 1.0);
        assert!(masked.iter().all(|x| x.is_nan()), "{level:?}");
        let mut with_nan = [0.0, f32::NAN, 1.0];
        softmax_row(&mut with_nan, 3, 1.0);
        assert!(with_nan.iter().all(|x| x.is_nan()), "{level:?}: NaN must not hide");
        // A weight below the least normal number is kept.
        let mut far = [0.0_f32, -95.0];
        softmax_row(&mut far, 2, 1.0);
        assert!(
            far[1].is_subnormal() && (f64::from(far[1]) / (-95f64).exp() - 1.0).abs() < 1e-3,
            "{level:?}"
        );
    });
}

#[test]
fn softmax_of_large_scores_is_exact() {
    at_each_level(|level| {
        let x: Vec<f64> = random(3, 50).iter().map(|x| f64::from((1e4 + 4.0 * x) as f32)).collect();
        let mut row = narrow(&x, 0);
        softmax_row(&mut row, 50, 1.3);
        assert_near(&row, &softmax(&scaled(f64::from(1.3_f32), &x)), 1e-6, &format!("{level:?}"));
    });
}

#[test]
fn relu_attention() {
    at_each_level(|level| {
        for len in 0..=40 {
            let x = random(len as u64, len);
            let g = random(7 + len as u64, len);
            for divide in [false, true] {
                let factor = if divide { 0.5 / len as f64 } else { 0.5 };
                let mut row = narrow(&x, 1);
                row.push(4.0);
                relu_row(&mut row[1..], len, 0.5, divide);
                let expected: Vec<f64> = x.iter().map(|x| (factor * x).max(0.0)).chain([0.0]).collect();
                assert_near(&row[1..], &expected, 1e-6, &format!("{level:?} {len}"));
                let mut grad = narrow(&g, 1);
                grad.push(4.0);
                relu_row_back(&mut grad[1..], &row[1..], len, 0.5, divide);
                let expected: Vec<f64> = x
                    .iter()
                    .zip(&g)
                    .map(|(&x, g)| if x > 0.0 { factor * g } else { 0.0 })
                    .chain([0.0])
                    .collect();
                assert_near(&grad[1..], &expected, 1e-6, &format!("{level:?} {len}"));
            }
        }
    });
}

#[test]
fn softmax_with_a_sink_and_sigmoid_attention() {
    at_each_level(|level| {
        for len in 0..=40 {
            let what = format!("{level:?} {len}");
            let (x, g) = (random(len as u64, len), random(9 + len as u64, len));
            let sink = softmax_beside(1.0, &scaled(3.0, &x));
            let sigmoid: Vec<f64> = x.iter().map(|x| 1.0 / (1.0 + len as f64 * (-3.0 * x).exp())).collect();
            let check = |normalise: fn(&mut [f32], usize, f32), expected: &[f64]| {
                let mut row = narrow(&x, 1);
                row.push(4.0);
                normalise(&mut row[1..], len, 3.0);
                assert_near(&row[1..], &[expected, &[0.0]].concat(), 2e-6, &what);
            };
            check(softmax_off_by_one_row, &sink);
            check(sigmoid_row, &sigmoid);
            let mut grad = narrow(&g, 1);
            grad.push(4.0);
            sigmoid_row_back(&mut grad[1..], &narrow(&sigmoid, 0), len, 3.0);
            let back = |(p, g): (&f64, &f64)| 3.0 * p * (1.0 - p) * g;
            let expected: Vec<f64> = sigmoid.iter().zip(&g).map(back).chain([0.0]).collect();
            assert_near(&grad[1..], &expected, 5e-6, &what);
        }
        // far from 0, on both sides
        let mut row = [-200.0_f32, 200.0];
        softmax_off_by_one_row(&mut row[..1], 1, 1.0);
        softmax_off_by_one_row(&mut row[1..], 1, 1.0);
        assert_eq!(row, [0.0, 1.0], "{level:?}");
        let mut row = [-200.0_f32, 200.0];
        sigmoid_row(&mut row, 2, 1.0);
        assert_eq!(row, [0.0, 1.0], "{level:?}");
    });
}

#[test]
fn layer_norm_and_its_gradient() {
    at_each_level(|level| {
        for n in 1..=70 {
            let what = format!("{level:?}, {n}");
            let (x, g) = (random(n as u64, n), random(50 + n as u64, n));
            let mean = x.iter().sum::<f64>() / n as f64;
            let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n as f64;
            let inv_std = 1.0 / (variance + 1e-5).sqrt();
            let xhat: Vec<f64> = x.iter().map(|x| (x - mean) * inv_std).collect();
            let mut out = vec![9.0; n + 1];
            let found = norm_row(&mut out[..n], &narrow(&x, 0), 1e-5);
            assert!((f64::from(found) / inv_std - 1.0).abs() < if n == 1 { 1e-3 } else { 1e-5 }, "{what}");
            assert_near(&out[..n], &xhat, 1e-5, &what);
            assert_eq!(out[n], 9.0, "{what}");

            let mean_g = g.iter().sum::<f64>() / n as f64;
            let along = g.iter().zip(&xhat).map(|(g, x)| g * x).sum::<f64>() / n as f64;
            let dx: Vec<f64> = g.iter().zip(&xhat).map(|(g, x)| inv_std * (g - mean_g - x * along)).collect();
            let mut found = vec![1.0; n];
            norm_row_back(&mut found, false, &narrow(&g, 0), &narrow(&xhat, 0), inv_std as f32);
            let tolerance = if n < 4 { 1e-3 } else { 2e-5 };
            let (larger, plus_one): (Vec<f64>, Vec<f64>) = dx.iter().map(|dx| (*dx, dx + 1.0)).unzip();
            if n > 2 {
                assert_near(&found, &larger, tolerance, &what);
                let mut found = vec![1.0; n];
                norm_row_back(&mut found, true, &narrow(&g, 0), &narrow(&xhat, 0), inv_std as f32);
                assert_near(&found, &plus_one, tolerance, &what);
            }
        }
    });
}

#[test]
fn a_constant_row_normalises_to_zero() {
    at_each_level(|level| {
        let mut out = [9.0_f32; 20];
        let inv_std = norm_row(&mut out, &[3.0; 20], 1e-5);
        assert_eq!(out, [0.0; 20], "{level:?}");
        assert!((inv_std - 316.2278).abs() < 1e-3, "{level:?}");
    });
}

#[test]
fn cross_entropy_and_its_gradient() {
    at_each_level(|level| {
        for vocab in 1..=70 {
            let what = format!("{level:?}, {vocab}");
            let x: Vec<f64> = random(vocab as u64, vocab).iter().map(|x| 20.0 * x).collect();
            let x: Vec<f64> = x.iter().map(|&x| f64::from(x as f32)).collect();
            let target = vocab * 5 % 11 % vocab;
            let p = softmax(&x);
            let expected = -p[target].ln();
            let mut logits = narrow(&x, 0);
            logits.push(33.0); // padding
            let loss = cross_entropy_row(&logits[..vocab], target);
            assert!((loss - expected).abs() < 1e-6 * (1.0 + expected), "{what}: {loss} {expected}");
            assert_eq!(cross_entropy_row_grad(&mut logits[..vocab], target, 0.25), loss, "{what}");
            let onehot = |i: usize| f64::from(i == target);
            let grad: Vec<f64> = (0..vocab).map(|i| 0.25 * (p[i] - onehot(i))).collect();
            for (found, expected) in logits.iter().zip(&grad) {
                assert!((f64::from(*found) - expected).abs() < 1e-7, "{what}: {found} {expected}");
            }
            assert_eq!(logits[vocab], 33.0, "{what}");
        }
    });
}

#[test]
fn cross_entropy_of_large_logits() {
    at_each_level(|level| {
        assert_eq!(cross_entropy_row(&[1e4_f32, 0.0], 1), 1e4, "{level:?}");
        assert_eq!(cross_entropy_row(&[1e4_f32, 0.0], 0), 0.0, "{level:?}");
        let mut logits = [1e4_f32, -1e4, f32::NEG_INFINITY];
        assert_eq!(cross_entropy_row_grad(&mut logits, 1, 1.0), 2e4, "{level:?}");
        assert_eq!(logits, [1.0, -1.0, 0.0], "{level:?}");
    });
}

/// The loss is the sum of the other probabilities, nearly, and so is the target's gradient: rounded as a difference from one, it would
/// be nothing but rounding.
#[test]
fn cross_entropy_of_a_sure_prediction_has_all_its_digits() {
    at_each_level(|level| {
        for vocab in [2, 8, 17, 65] {
            for target in [0, vocab / 2, vocab - 1] {
                let what = format!("{level:?}, {target} of {vocab}");
                let others = (vocab - 1) as f64 * (-40.0_f64).exp();
                let mut logits = vec![0.0_f64; vocab];
                logits[target] = 40.0;
                let loss = cross_entropy_row(&logits, target);
                assert!((loss / others - 1.0).abs() < 1e-14, "{what}: {loss:e}");
                assert_eq!(cross_entropy_row_grad(&mut logits, target, 0.5), loss, "{what}");
                assert!(
                    (logits[target] / (-0.5 * others) - 1.0).abs() < 1e-14,
                    "{what}: {:e}",
                    logits[target]
                );
                let mut logits = vec![0.0_f32; vocab];
                logits[target] = 20.0;
                let loss = cross_entropy_row_grad(&mut logits, target, 1.0);
                let others = (vocab - 1) as f64 * (-20.0_f64).exp();
                assert!((loss / others - 1.0).abs() < 1e-6, "{what}: {loss:e}");
                assert!(
                    (f64::from(logits[target]) / -others - 1.0).abs() < 1e-6,
                    "{what}: {:e}",
                    logits[target]
                );
            }
        }
    });
}

#[test]
fn cross_entropy_of_many_logits_is_summed_in_double_precision() {
    let n = 1 << 18;
    at_each_level(|level| {
        // each of these exponentials is rounded, their sum is not: sixteen sums in f32 would be off by 1e-5
        let mut logits = vec![-1.1_f32; n];
        logits[0] = 0.0;
        let e = cross_entropy_row(&[0.0_f32, -1.1], 0).exp() - 1.0; // that of one row of two is log(1 + e)
        let expected = (1.0 + (n - 1) as f64 * e).ln();
        let loss = cross_entropy_row(&logits, 0);
        assert!((loss - expected).abs() < 1e-12 * expected, "{level:?}: {loss} {expected}");
        assert_eq!(cross_entropy_row_grad(&mut logits, 0, 1.0), loss, "{level:?}");
    });
}

#[test]
fn argmax_is_the_first_of_equals() {
    at_each_level(|level| {
        for n in 1..=70 {
            for at in 0..n {
                let mut row = vec![-1.0_f32; n];
                row[at..].fill(2.0);
                assert_eq!((argmax(&row), argmax_of_numbers(&row)), (at, Some(at)), "{level:?}");
                row[at] = f32::NAN;
                assert_eq!(argmax_of_numbers(&row), None, "{level:?}");
            }
        }
        assert_eq!(argmax(&[f32::NEG_INFINITY; 20]), 0);
        assert_eq!(argmax(&[f32::NEG_INFINITY, -1.0, f32::NAN]), 1);
        assert_eq!((argmax::<f32>(&[]), argmax_of_numbers::<f32>(&[])), (0, None));
        assert_eq!(argmax_of_numbers(&[f32::NEG_INFINITY; 20]), Some(0));
        assert_eq!(argmax_of_numbers(&[f64::NEG_INFINITY, f64::INFINITY]), Some(1));
    });
}

#[test]
fn element_by_element() {
    at_each_level(|level| {
        for n in 0..=70 {
            for offset in 0..2 {
                let what = format!("{level:?}, {n} from {offset}");
                let [a, b, c] = [1, 2, 3].map(|seed| random(seed + n as u64, n));
                let [a32, b32] = [&a, &b].map(|x| narrow(x, offset));
                let (a32, b32) = (&a32[offset..], &b32[offset..]);
                let expect = |found: &[f32], f: &dyn Fn(usize) -> f64| {
                    assert_near(&found[offset..], &(0..n).map(f).collect::<Vec<_>>(), 1e-6, &what);
                };
                let with_c = |f: &dyn Fn(&mut [f32])| {
                    let mut out = narrow(&c, offset);
                    f(&mut out[offset..]);
                    out
                };
                expect(&with_c(&|c| add_into(c, a32)), &|i| c[i] + a[i]);
                let mut drained = a32.to_vec();
                expect(&with_c(&|c| drain_into(c, &mut drained.clone())), &|i| c[i] + a[i]);
                drain_into(&mut a32.to_vec(), &mut drained);
                assert!(drained.iter().all(|x| *x == 0.0), "{level:?}: {drained:?}");
                expect(&with_c(&|c| add3(c, a32, b32)), &|i| a[i] + b[i]);
                expect(&with_c(&|c| mul(c, a32, b32)), &|i| a[i] * b[i]);
                expect(&with_c(&|c| mul_add(c, a32, b32)), &|i| c[i] + a[i] * b[i]);
                expect(&with_c(&|c| axpy(c, 3.0, a32)), &|i| c[i] + 3.0 * a[i]);
                expect(&with_c(&|c| scale(c, 3.0)), &|i| 3.0 * c[i]);
                expect(&with_c(&|c| relu(c, a32)), &|i| a[i].max(0.0));
                let gated = |i: usize| if b[i] > 0.0 { a[i] } else { 0.0 };
                expect(&with_c(&|c| relu_in_place(c)), &|i| c[i].max(0.0));
                expect(&with_c(&|c| relu_back(c, false, a32, b32)), &gated);
                expect(&with_c(&|c| relu_back_in_place(c, b32)), &|i| if b[i] > 0.0 { c[i] } else { 0.0 });
                expect(&with_c(&|c| relu_back(c, true, a32, b32)), &|i| c[i] + gated(i));
                let expected: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
                assert!((f64::from(dot(a32, b32)) - expected).abs() < 1e-5, "{what}");
            }
        }
    });
}

#[test]
fn relu_keeps_nothing_of_zero_and_nan() {
    at_each_level(|level| {
        let mut out = [7.0_f32; 3];
        relu(&mut out, &[-0.0, f32::NAN, 2.0]);
        assert_eq!(out, [0.0, 0.0, 2.0], "{level:?}");
    });
}

#[test]
fn silu_gates_and_their_gradients() {
    at_each_level(|level| {
        for len in 0..=50 {
            let draw =
                |seed: u64| random(seed + len as u64, len).iter().map(|x| 4.0 * x).collect::<Vec<f64>>();
            let [x, up, g] = [draw(1), draw(200), draw(400)].map(|v| narrow(&v, 0));
            let wide = |v: &[f32]| v.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
            let (x64, up64, g64) = (wide(&x), wide(&up), wide(&g));
            let s: Vec<f64> = x64.iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect();
            let what = format!("{level:?}, {len}");
            let of = |f: &dyn Fn(usize) -> f64| (0..len).map(f).collect::<Vec<f64>>();
            let (mut out, mut d_gate, mut d_up) = (vec![9.0; len], vec![9.0; len], vec![9.0; len]);
            silu_gate_row(&mut out, &x, &up);
            silu_gate_row_back(&mut d_gate, &mut d_up, &g, &x, &up);
            let slope = |i: usize| s[i] * (1.0 + x64[i] * (1.0 - s[i]));
            assert_near(&out, &of(&|i| x64[i] * s[i] * up64[i]), 1e-5, &what);
            assert_near(&d_gate, &of(&|i| g64[i] * up64[i] * slope(i)), 1e-5, &what);
            assert_near(&d_up, &of(&|i| g64[i] * x64[i] * s[i]), 1e-5, &what);
        }
    });
}

#[test]
fn rotations_turn_and_turn_back() {
    at_each_level(|level| {
        for half in 0..=40 {
            let angles: Vec<f64> = random(half as u64, half).iter().map(|x| 3.0 * x).collect();
            let x = random(9, 2 * half);
            let (cos, sin): (Vec<f32>, Vec<f32>) =
                angles.iter().map(|a| (a.cos() as f32, a.sin() as f32)).unzip();
            let expected: Vec<f64> = (0..2 * half)
                .map(|i| {
                    let (c, s) = (angles[i / 2].cos(), angles[i / 2].sin());
                    if i % 2 == 0 { x[i] * c - x[i + 1] * s } else { x[i - 1] * s + x[i] * c }
                })
                .collect();
            let mut row = narrow(&x, 0);
            rotate_pairs(&mut row, &cos, &sin);
            assert_near(&row, &expected, 1e-6, &format!("{level:?}"));
            rotate_pairs_back(&mut row, &cos, &sin);
            assert_near(&row, &x, 1e-6, &format!("{level:?}"));
        }
    });
}

#[test]
fn double_precision_is_exact_to_double_precision() {
    let x: Vec<f64> = random(1, 37).iter().map(|x| 30.0 * x).collect();
    let mut row = x.clone();
    softmax_row(&mut row, 37, 0.5);
    for (found, expected) in row.iter().zip(softmax(&scaled(0.5, &x))) {
        assert!((found / expected - 1.0).abs() < 1e-13);
    }
    let loss = cross_entropy_row(&x, 3);
    assert!((loss + softmax(&x)[3].ln()).abs() < 1e-12);
}

#[test]
#[should_panic(expected = "target 65 of 65 logits")]
fn a_target_beyond_the_vocabulary_is_refused() {
    cross_entropy_row(&[0.0_f32; 65], 65);
}
