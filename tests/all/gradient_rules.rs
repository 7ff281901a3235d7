//! What changes the gradients of all parameters before the update: clipping by their norm, and rules of the user's own.
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ihead::Result;
use ihead::config::Config;
use ihead::engine::Penalty;
use ihead::model::{OutputKind, Transformer, TransformerArgs};
use ihead::nn::ModuleExt;
use ihead::run::Run;
use ihead::train::optim::{AdamW, Groups, Sgd};
use ihead::train::{
    ClipNorm, Compute, Gradient, GradientRule, Loss, OnDivergence, Precision, Step, Timeline, Trainer,
};

use crate::run::{Model, batches, model, run, weights};

fn trained(mut run: Run<Model>, steps: usize) -> Vec<f64> {
    run.train(steps).unwrap();
    weights(run.model())
}

fn norm(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// The weights after one step of SGD, and the norm of the gradients that a monitor saw.
fn step(precision: Precision, rule: Option<ClipNorm>, timeline: &str) -> (Vec<f64>, f64) {
    let compute = Compute { precision, ..Compute::default() };
    let mut run = run().compute(compute).optim(Sgd::new(0.5)).timeline(timeline.parse().unwrap());
    if let Some(rule) = rule {
        run = run.gradient_rule(rule);
    }
    let mut seen = f64::NAN;
    let mut watch = |step: &Step<'_, Model>| {
        seen = norm(step.gradients.iter().flat_map(|(_, gradient)| gradient.iter()));
        Ok(())
    };
    run.train_watched(Some(1), &mut watch).unwrap();
    (weights(run.model()), seen)
}

#[test]
fn gradients_are_clipped_to_the_norm_that_is_asked_for() {
    let before = weights(&model());
    for (precision, most_off) in [(Precision::Double, 1e-12), (Precision::Single, 1e-5)] {
        for timeline in ["", "0: freeze(output)"] {
            let (free, whole) = step(precision, None, timeline);
            let asked = whole / 3.0;
            let (clipped, seen) = step(precision, Some(ClipNorm::new(asked)), timeline);
            assert_eq!(seen, whole, "a monitor sees the gradients of the loss");
            let factor = asked / (whole + 1e-6);
            let expected = before.iter().zip(&free).map(|(from, to)| from + factor * (to - from));
            let off = expected.zip(&clipped).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off < most_off, "{precision:?} {timeline}: off by {off:e}");
            let moved = norm(before.iter().zip(&clipped).map(|(a, b)| a - b));
            assert!((moved - 0.5 * asked).abs() < 1e-4 * asked, "{moved} against {}", 0.5 * asked);

            let (same, _) = step(precision, Some(ClipNorm::new(1.01 * whole)), timeline);
            assert_eq!(same, free, "gradients of a smaller norm keep their bits");
        }
    }
    let [all, without] = ["", "0: freeze(output)"].map(|timeline| step(Precision::Double, None, timeline).1);
    assert!(without < 0.99 * all, "{without} of {all}: frozen parameters do not count");
}

/// Each entry plus a number, and then times one: which comes first matters.
struct Affine(f64, f64);

impl GradientRule for Affine {
    fn words(&self) -> String {
        format!("affine({}, {})", self.0, self.1)
    }

    fn change(&self, _: usize, gradients: &mut [Gradient<'_>]) -> Result<()> {
        let entries = gradients.iter_mut().flat_map(|gradient| gradient.values.iter_mut());
        entries.for_each(|g| *g = *g * self.0 + self.1);
        Ok(())
    }
}

#[test]
fn rules_are_followed_in_their_order() {
    let double = || run().compute(Compute { precision: Precision::Double, ..Compute::default() });
    let of = |first: Affine, second: Affine| {
        trained(double().optim(Sgd::new(0.1)).gradient_rule(first).gradient_rule(second), 1)
    };
    let one = trained(double().optim(Sgd::new(0.1)).gradient_rule(Affine(2.0, 0.25)), 1);
    let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
    assert!(close(&of(Affine(2.0, 0.0), Affine(1.0, 0.25)), &one));
    assert!(!close(&of(Affine(1.0, 0.25), Affine(2.0, 0.0)), &one));
    // the training loop alone has the same
    let mut trainer = Trainer::new(model())
        .optim(Sgd::new(0.1))
        .gradient_rule(Affine(2.0, 0.25))
        .compute(Compute { precision: Precision::Double, ..Compute::default() });
    trainer.run(batches(), Some(1), &mut |_: &Step<'_, Model>| Ok(())).unwrap();
    assert!(close(&weights(&trainer.model), &one));
}

/// What a rule is told: names and shapes of what trains, and the iteration.
#[test]
fn a_rule_sees_what_trains() {
    struct Spy(Arc<AtomicUsize>);
    impl GradientRule for Spy {
        fn words(&self) -> String {
            "spy".into()
        }
        fn change(&self, iteration: usize, gradients: &mut [Gradient<'_>]) -> Result<()> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let output = gradients.iter().find(|gradient| gradient.name == "output.weight");
            assert_eq!(output.is_none(), iteration == 1, "frozen at iteration 1");
            if let Some(output) = output {
                assert_eq!((output.shape, output.values.len()), (&[65, 8][..], 65 * 8));
            }
            Ok(())
        }
    }
    let timeline: Timeline = "1: freeze(output), 2: release(output)".parse().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    run().timeline(timeline).gradient_rule(Spy(calls.clone())).train(4).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 4);
}

#[test]
fn a_run_that_was_broken_off_continues_with_the_same_bits_and_the_same_rules() {
    let dir = tempfile::tempdir().unwrap();
    let [whole, parts] = ["whole", "parts"].map(|name| dir.path().join(name));
    let new = |most: f64| run().optim(AdamW::new(0.01)).gradient_rule(ClipNorm::new(most)).steps(6);
    new(0.1).save_to(&whole).train(6).unwrap();
    new(0.1).save_to(&parts).train(2).unwrap();
    let error = new(0.2).save_to(&parts).resume().train(6).unwrap_err().to_string();
    assert!(error.contains("clip_norm(0.1)") && error.contains("clip_norm(0.2)"), "{error}");
    let plain = || run().optim(AdamW::new(0.01)).steps(6);
    let error = plain().save_to(&parts).resume().train(6).unwrap_err().to_string();
    assert!(error.contains("gradient_rules"), "{error}");
    let none = dir.path().join("none");
    plain().save_to(&none).train(2).unwrap();
    let error = new(0.1).save_to(&none).resume().train(6).unwrap_err().to_string();
    assert!(error.contains("gradient_rules"), "{error}");
    assert!(!fs::read_to_string(none.join("run.json")).unwrap().contains("\"gradient_rules\":"));
    new(0.1).save_to(&parts).resume().train(6).unwrap();
    let read = |folder: &std::path::Path| fs::read(folder.join("final.safetensors")).unwrap();
    assert!(read(&whole) == read(&parts));
}

#[test]
fn wrong_settings_are_refused_before_the_first_step() {
    let dir = tempfile::tempdir().unwrap();
    for (most, said) in [(0.0, "0"), (-1.0, "-1"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        let mut run = run().gradient_rule(ClipNorm::new(most)).save_to(dir.path().join("r"));
        let error = run.train(2).unwrap_err().to_string();
        assert_eq!(error, format!("clip_norm: {said}; expected a positive number"));
    }
    assert!(!dir.path().join("r").exists());
}

#[test]
fn what_a_rule_cannot_do_is_told_in_one_line() {
    struct Failing(&'static str);
    impl GradientRule for Failing {
        fn words(&self) -> String {
            format!("failing({})", self.0)
        }
        fn change(&self, iteration: usize, gradients: &mut [Gradient<'_>]) -> Result<()> {
            match self.0 {
                "error" => return Err(ihead::Error::value("g", iteration, "no step")),
                "panic" => panic!("no step today"),
                _ => gradients[0].values[0] = f64::NAN,
            }
            Ok(())
        }
    }
    let told = |of| run().gradient_rule(Failing(of)).train(1).unwrap_err().to_string();
    assert_eq!(told("error"), "the gradient rule failing(error): g: 0; expected no step");
    assert!(told("panic").contains("no step today"));
    let error = told("nan");
    assert!(error.contains(" is not finite after failing(nan)"), "{error}");
    let first = model().training()[0].0.clone();
    assert!(error.contains(&format!("the gradient of {first} ")), "{error}");
    // the weights before are kept, unless the run goes on
    let mut run = run().gradient_rule(Failing("nan"));
    assert!(run.train(2).is_err());
    assert_eq!(weights(run.model()), weights(&model()));
    let mut run = crate::run::run().gradient_rule(Failing("nan")).on_divergence(OnDivergence::Continue);
    run.train(2).unwrap();
    assert!(weights(run.model()).iter().any(|v| v.is_nan()));
}

/// The gradient of `weight * sum x^2` is there, `2 weight x` beside that of the cross-entropy.
#[test]
fn a_rule_gets_the_gradients_of_the_whole_loss() {
    struct Norm;
    impl GradientRule for Norm {
        fn words(&self) -> String {
            "norm".into()
        }
        fn change(&self, _: usize, gradients: &mut [Gradient<'_>]) -> Result<()> {
            let norm = norm(gradients.iter().flat_map(|gradient| gradient.values.iter().copied()));
            Err(ihead::Error::value("norm", norm, "to be read"))
        }
    }
    let of = |loss: Loss| run().loss(loss).gradient_rule(Norm).train(1).unwrap_err().to_string();
    let penalty = Loss::penalty(Penalty::L2, "output").weighted(10.0);
    assert_ne!(of(Loss::next_token()), of(Loss::next_token() + penalty));
}

/// Groups of the optimiser share one norm, and a tied parameter counts once, by its first name.
#[test]
fn one_norm_is_over_all_groups_and_over_tied_parameters_once() {
    let compute = Compute { precision: Precision::Double, ..Compute::default() };
    let plain = || run().compute(compute);
    let grouped = || Groups::new(Sgd::new(0.5).into()).group("output", Sgd::new(0.5).into());
    let clip = ClipNorm::new(0.2);
    let one = trained(plain().optim(Sgd::new(0.5)).gradient_rule(clip), 3);
    assert_eq!(trained(plain().optim(grouped()).gradient_rule(clip), 3), one);

    struct Names(Arc<Mutex<Vec<(String, f64)>>>);
    impl GradientRule for Names {
        fn words(&self) -> String {
            "names".into()
        }
        fn change(&self, _: usize, gradients: &mut [Gradient<'_>]) -> Result<()> {
            let norm_of = |of: &Gradient<'_>| (of.name.to_owned(), norm(of.values.iter().copied()));
            *self.0.lock().unwrap() = gradients.iter().map(norm_of).collect();
            Ok(())
        }
    }
    let args = TransformerArgs {
        layers: 1,
        heads: 1,
        dim: 8,
        max_length: 16,
        output: OutputKind::Tied,
        ..TransformerArgs::defaults()
    };
    let model = || Transformer::new(65, &args).unwrap().init(3);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let tied = || Run::new(model(), batches()).compute(compute).optim(Sgd::new(0.5)).quiet();
    tied().gradient_rule(Names(seen.clone())).train(1).unwrap();
    let names = seen.lock().unwrap().clone();
    let embeddings: Vec<_> =
        names.iter().filter(|(name, _)| name.contains("tok_embed") || name.contains("output")).collect();
    assert_eq!(embeddings.len(), 1, "{names:?}");
    // the whole step is as long as the clipped norm
    let whole = norm(names.iter().map(|(_, norm)| *norm));
    let mut clipped = tied().gradient_rule(ClipNorm::new(whole / 2.0));
    clipped.train(1).unwrap();
    let flat = |model: &Transformer<usize, usize, usize>| -> Vec<f64> {
        let mut ids = std::collections::HashSet::new();
        let once = model.tensors().into_iter().filter(|(_, _, tensor)| ids.insert(tensor.id()));
        once.flat_map(|(_, _, tensor)| tensor.data().double().into_owned()).collect()
    };
    let moved = norm(flat(&model()).iter().zip(flat(clipped.model())).map(|(a, b)| a - b));
    assert!((moved - 0.5 * whole / 2.0).abs() < 1e-5 * whole, "{moved} against {}", 0.25 * whole);
}
