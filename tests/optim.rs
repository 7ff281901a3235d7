//! Optimisers: three steps by hand, a count of each parameter's own, and state that goes on with the same bits.
use ihead::train::optim::{AdamW, Optim, Optimizer, Sgd};

fn close(found: f32, expected: f64) {
    assert!((f64::from(found) - expected).abs() < 1e-6, "{found}, expected {expected}");
}

#[test]
fn three_steps_of_sgd_with_momentum_and_decay() {
    let mut sgd = Sgd::new(0.1, 0.5, 0.1);
    let mut p = [1.0];
    sgd.step("w", &mut p, &[1.0]).unwrap(); // g = 1.1, buf = 1.1
    close(p[0], 0.89);
    sgd.step("w", &mut p, &[-1.0]).unwrap(); // g = -0.911, buf = 0.55 - 0.911 = -0.361
    close(p[0], 0.9261);
    sgd.step("w", &mut p, &[0.0]).unwrap(); // g = 0.09261, buf = -0.1805 + 0.09261 = -0.08789
    close(p[0], 0.934889);
}

#[test]
fn three_steps_of_adamw_with_decay() {
    let mut adamw = AdamW::new(0.1, (0.5, 0.75), 0.0, 1.0);
    let mut p = [1.0];
    adamw.step("w", &mut p, &[2.0]).unwrap(); // m = 1, v = 1; m / 0.5 = 2, v / 0.25 = 4
    close(p[0], 0.8);
    adamw.step("w", &mut p, &[0.0]).unwrap(); // m = 1/2, v = 3/4; m / 0.75 = 2/3, v / 0.4375 = 12/7
    let second = 0.72 - 0.1 * (2.0 / 3.0) / (12.0_f64 / 7.0).sqrt();
    close(p[0], second);
    adamw.step("w", &mut p, &[-4.0]).unwrap(); // m = 1/4 - 2, v = 9/16 + 4; m / 0.875 = -2, v / 0.578125 = 292/37
    close(p[0], second * 0.9 + 0.1 * 2.0 / (292.0_f64 / 37.0).sqrt());
}

#[test]
fn eps_is_added_after_the_correction() {
    let mut adamw = AdamW::new(0.1, (0.5, 0.75), 1.0, 0.0);
    let mut p = [0.0];
    adamw.step("w", &mut p, &[2.0]).unwrap(); // m / 0.5 = 2, sqrt(v / 0.25) = 2
    close(p[0], -0.1 * 2.0 / (2.0 + 1.0));
}

#[test]
fn a_parameter_that_is_released_late_starts_its_own_count() {
    for mut optim in
        [Optim::AdamW(AdamW::new(0.1, (0.9, 0.99), 1e-8, 0.1)), Optim::Sgd(Sgd::new(0.1, 0.9, 0.1))]
    {
        let (mut early, mut late) = ([1.0], [1.0]);
        optim.step("early", &mut early, &[0.5]).unwrap();
        let first = early;
        optim.step("early", &mut early, &[0.5]).unwrap();
        optim.step("late", &mut late, &[0.5]).unwrap();
        assert_eq!(late, first);
    }
}

#[test]
fn the_learning_rate_can_change() {
    let mut optim = Optim::Sgd(Sgd::new(0.1, 0.0, 0.0));
    let mut p = [1.0];
    optim.set_learning_rate(0.5);
    optim.step("w", &mut p, &[1.0]).unwrap();
    assert_eq!(p, [0.5]);
}

#[test]
fn saved_state_goes_on_with_the_same_bits() {
    for mut optim in
        [Optim::AdamW(AdamW::new(0.03, (0.9, 0.95), 1e-8, 1e-4)), Optim::Sgd(Sgd::new(0.03, 0.9, 1e-4))]
    {
        let gradient = |t: usize, n: usize| -> Vec<f32> {
            (0..n).map(|i| ((t * 31 + i * 17) as f32 * 0.7).sin() * 10_f32.powi(i as i32 % 9 - 4)).collect()
        };
        let (mut a, mut b) = (gradient(100, 40), gradient(101, 7));
        for t in 0..5 {
            optim.step("a", &mut a, &gradient(t, 40)).unwrap();
            optim.step("b", &mut b, &gradient(t, 7)).unwrap();
        }
        let saved = serde_json::to_string(&optim).unwrap();
        let mut again: Optim = serde_json::from_str(&saved).unwrap();
        assert_eq!(again, optim);
        let mut a_again = a.clone();
        for t in 5..9 {
            optim.step("a", &mut a, &gradient(t, 40)).unwrap();
            again.step("a", &mut a_again, &gradient(t, 40)).unwrap();
        }
        let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&a_again), bits(&a));
    }
}
