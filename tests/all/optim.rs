//! Optimisers: three steps by hand, a count of each parameter's own, and state that goes on with the same bits.
use ihead::model::{Simplified, SimplifiedArgs};
use ihead::train::optim::{AdamW, Groups, Optim, Optimizer, Sgd};

fn close(found: f32, expected: f64) {
    assert!((f64::from(found) - expected).abs() < 1e-6, "{found}, expected {expected}");
}

#[test]
fn three_steps_of_sgd_with_momentum_and_decay() {
    let mut sgd = Sgd::new(0.1).momentum(0.5).weight_decay(0.1);
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
    let mut adamw = AdamW::new(0.1).betas(0.5, 0.75).eps(0.0).weight_decay(1.0);
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
    let mut adamw = AdamW::new(0.1).betas(0.5, 0.75).eps(1.0);
    let mut p = [0.0];
    adamw.step("w", &mut p, &[2.0]).unwrap(); // m / 0.5 = 2, sqrt(v / 0.25) = 2
    close(p[0], -0.1 * 2.0 / (2.0 + 1.0));
}

#[test]
fn a_parameter_that_is_released_late_starts_its_own_count() {
    for mut optim in [
        Optim::AdamW(AdamW::new(0.1).betas(0.9, 0.99).weight_decay(0.1)),
        Optim::Sgd(Sgd::new(0.1).momentum(0.9).weight_decay(0.1)),
    ] {
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
    let mut optim = Optim::Sgd(Sgd::new(0.1));
    let mut p = [1.0];
    optim.set_learning_rate(0.5);
    optim.step("w", &mut p, &[1.0]).unwrap();
    assert_eq!(p, [0.5]);
}

#[test]
fn saved_state_goes_on_with_the_same_bits() {
    for mut optim in [
        Optim::AdamW(AdamW::new(0.03).weight_decay(1e-4)),
        Optim::Sgd(Sgd::new(0.03).momentum(0.9).weight_decay(1e-4)),
    ] {
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

fn simplified() -> ihead::model::Simplified<usize, usize, usize> {
    use ihead::config::Config;
    let sizes = SimplifiedArgs { max_length: 8, dim: 4, ..SimplifiedArgs::defaults() };
    Simplified::new(5, &sizes).unwrap().init(1)
}

#[test]
fn a_count_of_steps_beyond_all_goes_on() {
    // as a damaged checkpoint may have it
    let mut adamw = AdamW::new(0.1);
    adamw.step("w", &mut [1.0], &[1.0]).unwrap();
    let mut state = adamw.state();
    state.get_mut("w").unwrap().steps = u32::MAX;
    adamw.restore(state).unwrap();
    let mut p = [1.0_f32];
    adamw.step("w", &mut p, &[0.0]).unwrap();
    assert!(p[0].is_finite() && p[0] < 1.0, "{}", p[0]);
    assert_eq!(adamw.state()["w"].steps, u32::MAX);
}

#[test]
fn each_group_has_its_own_optimiser() {
    let mut optim = Groups::new(Optim::Sgd(Sgd::new(1.0))).group("a.*", Optim::Sgd(Sgd::new(0.5)));
    let step = |name: &str, optim: &mut Groups| {
        let mut values = [1.0];
        optim.step(name, &mut values, &[1.0]).unwrap();
        values[0]
    };
    assert_eq!([step("a.b", &mut optim), step("b.a", &mut optim)], [0.5, 0.0]);
    optim.set_learning_rate(0.25); // of the others
    assert_eq!([step("a.b", &mut optim), step("b.a", &mut optim)], [0.5, 0.75]);
    let text = Optim::from(optim).to_string();
    assert!(
        text.starts_with("a.*: sgd(learning_rate=0.5") && text.contains("others: sgd(learning_rate=0.25")
    );
}

#[test]
fn a_group_that_follows_keeps_its_proportion_to_the_others() {
    let sgd = |rate| Optim::Sgd(Sgd::new(rate));
    let new = || Groups::new(sgd(1.0)).group("a", sgd(0.5)).following("b", sgd(0.5)).following("c", sgd(1.0));
    let step = |name: &str, optim: &mut Groups| {
        let mut values = [0.0_f64];
        optim.step(name, &mut values, &[-1.0]).unwrap();
        values[0]
    };
    let mut optim = new();
    assert_eq!(["a", "b", "c", "d"].map(|name| step(name, &mut optim)), [0.5, 0.5, 1.0, 1.0]);
    optim.set_learning_rate(0.25);
    assert_eq!(["a", "b", "c", "d"].map(|name| step(name, &mut optim)), [0.5, 0.125, 0.25, 0.25]);
    optim.set_learning_rate(0.0); // as a warm-up begins; the proportions are kept
    assert_eq!(["a", "b", "c", "d"].map(|name| step(name, &mut optim)), [0.5, 0.0, 0.0, 0.0]);
    optim.set_learning_rate(0.5);
    let stored = serde_json::to_string(&Optim::from(optim)).unwrap();
    let Optim::Groups(mut read) = serde_json::from_str(&stored).unwrap() else { panic!("{stored}") };
    read.set_learning_rate(2.0);
    assert_eq!(["a", "b", "c", "d"].map(|name| step(name, &mut read)), [0.5, 1.0, 2.0, 2.0]);
    let (follows, own) = (Optim::from(new()), Groups::new(sgd(1.0)).group("a", sgd(0.5)));
    let own = Optim::from(own.group("b", sgd(0.5)).group("c", sgd(1.0)));
    assert!(follows != own && follows.to_string() != own.to_string());
}

#[test]
fn a_group_that_follows_a_learning_rate_of_zero_is_refused() {
    let groups = Groups::new(Optim::Sgd(Sgd::new(0.0))).following("output", Optim::Sgd(Sgd::new(0.5)));
    let error = Optim::from(groups).check(&simplified()).unwrap_err().to_string();
    let expected = "the optimiser's group 'output': a learning rate that follows one of 0; \
                    expected others with a learning rate above 0";
    assert_eq!(error, expected);
    let within = Groups::new(Optim::Sgd(Sgd::new(0.0))).following("output", Optim::Sgd(Sgd::new(0.5)));
    let around = Groups::new(Optim::Sgd(Sgd::new(0.1))).group("output", within.into());
    assert_eq!(Optim::from(around).check(&simplified()).unwrap_err().to_string(), expected);
}

#[test]
fn groups_that_do_not_fit_the_model_are_refused() {
    let (model, sgd) = (simplified(), || Optim::Sgd(Sgd::new(0.5)));
    let error = |patterns: &[&str]| {
        let groups =
            patterns.iter().fold(Groups::new(sgd()), |groups, pattern| groups.group(*pattern, sgd()));
        Optim::from(groups).check(&model).err().map(|error| error.to_string())
    };
    let (first, second) = ("layers.0.attention.wk.weight", "layers.*.attention.wk.weight");
    assert_eq!(error(&[second, "output.weight"]), None);
    assert_eq!(error(&["layers.*"]), None, "frozen ones beside others");
    assert!(error(&["ouput.weight"]).unwrap().contains("did you mean 'output.weight'?"));
    let said = "the optimiser's group 'layer.*': no parameter 'layer.*'; did you mean 'layers.*'?";
    assert_eq!(error(&["layer.*"]).unwrap(), said);
    assert!(
        error(&["layers.*.attention.wkk.weight"])
            .unwrap()
            .ends_with("did you mean 'layers.*.attention.wk.weight'?")
    );
    assert!(error(&[first, second]).unwrap().contains(&format!("{first}: in two groups")));
    assert!(error(&["layers.0.attention.wv.weight"]).unwrap().contains("frozen"));
    assert!(error(&["layers.*.attention.wv.weight"]).unwrap().contains("frozen"), "all that it names");
    assert_eq!(error(&["layers.0..2.attention.wo"]), None, "as with a star: layer 0's is frozen");
}

#[test]
fn a_group_may_be_named_without_weight() {
    let sgd = |rate| Optim::Sgd(Sgd::new(rate).momentum(0.9));
    let mut optim = Groups::new(sgd(1.0)).group("layers.*.attention.wk", sgd(0.5));
    optim.check(&simplified()).unwrap();
    optim.prepare(&simplified()).unwrap();
    let step = |optim: &mut Groups, name: &str| {
        let mut values = [1.0];
        optim.step(name, &mut values, &[1.0]).unwrap();
        values[0]
    };
    let names = ["layers.1.attention.wk.weight", "layers.1.attention.wo.weight"];
    assert_eq!(names.map(|name| step(&mut optim, name)), [0.5, 0.0]);
    // what each remembers goes back to its own group
    let (state, mut restored) = (optim.state(), optim.clone());
    assert_eq!(state.keys().collect::<Vec<_>>(), names);
    restored.restore(state).unwrap();
    assert_eq!(restored, optim);
    let mut wrong = Groups::new(sgd(1.0)).group("layers.1.attention", sgd(0.5));
    let error = wrong.prepare(&simplified()).unwrap_err().to_string();
    let said = "the optimiser's group 'layers.1.attention': no parameter 'layers.1.attention'; \
                did you mean 'layers.1.attention.*'?";
    assert_eq!(error, said);
}
