//! Optimisers by a rule of the user's own: the same steps as the library's where they say the same, in a run that is broken off, too.
use std::fs;
use std::sync::{Arc, Mutex};

use ihead::Result;
use ihead::run::Run;
use ihead::train::optim::{Groups, Optim, Optimizer, Sgd, Update, UpdateRule};
use ihead::train::{Action, Compute, Precision, Timeline};

use crate::run::{Model, largest_difference, run, weights};

/// SGD with momentum and weight decay, written again.
struct Again {
    momentum: f64,
    decay: f64,
}

impl UpdateRule for Again {
    fn words(&self) -> String {
        format!("again(momentum={}, decay={})", self.momentum, self.decay)
    }

    fn moments(&self) -> &'static [&'static str] {
        &["buffer"]
    }

    fn update(&self, of: Update<'_>) -> Result<()> {
        for ((p, g), b) in of.values.iter_mut().zip(of.gradient).zip(of.moments[0].iter_mut()) {
            *b = self.momentum * *b + (g + self.decay * *p);
            *p -= of.learning_rate * *b;
        }
        Ok(())
    }
}

/// A step that falls with the number of the step: it remembers nothing but that.
struct Falling;

impl UpdateRule for Falling {
    fn words(&self) -> String {
        "falling".into()
    }

    fn update(&self, of: Update<'_>) -> Result<()> {
        let rate = of.learning_rate / f64::from(of.step);
        of.values.iter_mut().zip(of.gradient).for_each(|(p, g)| *p -= rate * g.signum());
        Ok(())
    }
}

fn again() -> Optim {
    Optim::by(0.2, Again { momentum: 0.9, decay: 0.01 })
}

fn library() -> Optim {
    Sgd::new(0.2).momentum(0.9).weight_decay(0.01).into()
}

/// The weights after some steps.
fn trained(run: Run<Model>, steps: usize) -> Vec<f64> {
    let mut run = run;
    run.train(steps).unwrap();
    weights(run.model())
}

#[test]
fn a_rule_that_is_sgd_takes_the_steps_of_sgd() {
    for (precision, most) in [(Precision::Double, 1e-13), (Precision::Single, 1e-5)] {
        let compute = Compute { precision, ..Compute::default() };
        let of = |optim: Optim| trained(run().compute(compute).optim(optim), 6);
        let timed = |optim: Optim| {
            let timeline: Timeline =
                "0..3: linear(0, 0.3), 2: freeze(output), 4: release(output)".parse().unwrap();
            trained(run().compute(compute).timeline(timeline).optim(optim), 6)
        };
        let off = largest_difference(&of(again()), &of(library()));
        assert!(off < most, "off by {off:e}");
        let off = largest_difference(&timed(again()), &timed(library()));
        assert!(off < most, "with a timeline off by {off:e}");
        assert!(largest_difference(&of(again()), &timed(again())) > 1e-3);
    }
}

#[test]
fn a_group_may_have_a_rule_of_its_own() {
    let keys = "layers.*.attention.wk";
    let of = |optim: Optim| trained(run().optim(Groups::new(library()).group(keys, optim)), 4);
    let off = largest_difference(&of(again()), &of(library()));
    assert!(off < 1e-5, "off by {off:e}");
    assert!(largest_difference(&of(Optim::by(0.01, Falling)), &of(library())) > 1e-4);
}

/// Moments and the counts of steps are in the checkpoint, the rule is the program's.
#[test]
fn a_run_that_was_broken_off_continues_with_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let grouped = Groups::new(library()).group("output", Optim::by(0.01, Falling));
    let all = [("again", again()), ("falling", Optim::by(0.01, Falling)), ("groups", grouped.into())];
    for (name, optim) in all {
        let [whole, parts] = ["whole", "parts"].map(|part| dir.path().join(format!("{name}_{part}")));
        let new = || run().optim(optim.clone()).steps(7);
        new().save_to(&whole).train(7).unwrap();
        new().save_to(&parts).train(3).unwrap();
        new().save_to(&parts).resume().train(7).unwrap();
        let read = |folder: &std::path::Path, file: &str| fs::read(folder.join(file)).unwrap();
        assert!(read(&whole, "final.safetensors") == read(&parts, "final.safetensors"), "{name}");
    }
}

/// The parameters that were updated before it failed were updated twice when the run was continued.
#[test]
fn a_rule_that_fails_in_the_middle_of_a_step_leaves_that_of_before() {
    struct Fails(Option<&'static str>);
    impl UpdateRule for Fails {
        fn words(&self) -> String {
            "fails".into()
        }
        fn moments(&self) -> &'static [&'static str] {
            &["buffer"]
        }
        fn update(&self, of: Update<'_>) -> Result<()> {
            if of.name == "output.weight" && of.step == 4 {
                assert!(self.0 != Some("panics"), "no step today");
                self.0.map_or(Ok(()), |said| Err(ihead::Error::value("fails", said, "no error")))?;
            }
            Again { momentum: 0.9, decay: 0.01 }.update(of)
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let new = |fails, at: &std::path::Path| run().optim(Optim::by(0.2, Fails(fails))).steps(7).save_to(at);
    let whole = dir.path().join("whole");
    new(None, &whole).train(7).unwrap();
    for fails in ["panics", "errs"] {
        let parts = dir.path().join(fails);
        let error = new(Some(fails), &parts).train(7).unwrap_err().to_string();
        assert!(error.contains("3 iterations kept"), "{error}");
        new(None, &parts).resume().train(7).unwrap();
        for file in ["final.safetensors", "res.jsonl"] {
            assert!(
                fs::read(whole.join(file)).unwrap() == fs::read(parts.join(file)).unwrap(),
                "{fails} {file}"
            );
        }
    }
}

/// With two moments of one name the second was lost at each step, and no checkpoint of either could be continued.
#[test]
fn moments_have_names_of_their_own() {
    struct Named(&'static [&'static str]);
    impl UpdateRule for Named {
        fn words(&self) -> String {
            "named".into()
        }
        fn moments(&self) -> &'static [&'static str] {
            self.0
        }
        fn update(&self, _: Update<'_>) -> Result<()> {
            Ok(())
        }
    }
    let told = |names| run().optim(Optim::by(0.1, Named(names))).train(1).unwrap_err().to_string();
    assert_eq!(told(&["m", "v", "m"]), "two moments of an optimiser are named 'm'; name one otherwise");
    assert_eq!(told(&["a/b"]), "moment of named: 'a/b'; expected a name without '/'");
    assert_eq!(told(&[""]), "moment of named: ''; expected a name without '/'");
    let grouped = Groups::new(library()).group("output", Optim::by(0.1, Named(&["m", "m"])));
    assert!(run().optim(grouped).train(1).unwrap_err().to_string().contains("are named 'm'"));
}

#[test]
fn another_rule_is_another_run() {
    let dir = tempfile::tempdir().unwrap();
    run().optim(again()).save_to(dir.path().join("r")).train(2).unwrap();
    let other = Optim::by(0.2, Again { momentum: 0.8, decay: 0.01 });
    let mut changed = run().optim(other).save_to(dir.path().join("r")).resume();
    let error = changed.train(4).unwrap_err().to_string();
    assert!(error.contains("again(momentum=0.9, decay=0.01)"), "{error}");
    assert!(error.contains("again(momentum=0.8, decay=0.01)"), "{error}");
}

/// What a rule is told: the shape of each parameter, and the number of the step.
#[test]
fn a_rule_gets_shapes_and_numbers_of_steps() {
    type Seen = Vec<(String, Vec<usize>, u32)>;
    struct Spy(Arc<Mutex<Seen>>);
    impl UpdateRule for Spy {
        fn words(&self) -> String {
            "spy".into()
        }
        fn update(&self, of: Update<'_>) -> Result<()> {
            self.0.lock().unwrap().push((of.name.into(), of.shape.to_vec(), of.step));
            Ok(())
        }
    }
    let seen = Arc::new(Mutex::new(Seen::new()));
    run().optim(Optim::by(0.1, Spy(seen.clone()))).train(2).unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen.contains(&("output.weight".into(), vec![65, 8], 1)), "{seen:?}");
    assert!(seen.contains(&("output.weight".into(), vec![65, 8], 2)), "{seen:?}");
}

#[test]
fn what_a_rule_cannot_do_is_told_in_one_line() {
    struct Failing(bool);
    impl UpdateRule for Failing {
        fn words(&self) -> String {
            "failing".into()
        }
        fn update(&self, of: Update<'_>) -> Result<()> {
            assert!(!self.0, "no step today");
            Err(ihead::Error::value("failing", of.step, "no step"))
        }
    }
    let told = |optim: Optim| run().optim(optim).train(1).unwrap_err().to_string();
    let error = told(Optim::by(0.1, Failing(false)));
    assert!(
        error.starts_with("the update of ") && error.ends_with(": failing: 1; expected no step"),
        "{error}"
    );
    assert!(told(Optim::by(0.1, Failing(true))).contains("no step today"));
    for (rate, said) in [(-0.1, "-0.1"), (f64::NAN, "NaN")] {
        let error = told(Optim::by(rate, Falling));
        let expected = format!("learning_rate of falling: {said}; expected a finite number of at least 0");
        assert_eq!(error, expected);
    }
    let timeline = Timeline::default().at(1, Action::optim(Optim::by(0.1, Falling)));
    let error = run().timeline(timeline).train(3).unwrap_err().to_string();
    assert!(error.contains("a rule of your own; expected sgd or adamw"), "{error}");
}

/// serde writes the words and the state; the rule is the program's.
#[test]
fn an_optimiser_of_a_file_has_no_rule() {
    let mut optim = again();
    let mut p = [1.0_f32];
    optim.step("w", &mut p, &[0.5]).unwrap();
    let text = serde_json::to_string(&optim).unwrap();
    let mut read: Optim = serde_json::from_str(&text).unwrap();
    assert_eq!(read, optim);
    let error = read.step("w", &mut p, &[0.5]).unwrap_err().to_string();
    assert!(error.contains("'again(momentum=0.9, decay=0.01)', read from a file"), "{error}");
    let mut state = optim.state();
    state.get_mut("w").unwrap().moments.clear();
    let error = again().restore(state).unwrap_err().to_string();
    assert!(error.contains("moments []; expected those of again("), "{error}");
}
