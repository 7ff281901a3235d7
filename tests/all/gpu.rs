//! Runs on a GPU take the steps of runs on the CPU. Built with the feature `cuda` alone, for a machine with a GPU (`tests/gpu.sh`).
use ihead::Result;
use ihead::engine::Penalty;
use ihead::graph::Edits;
use ihead::nn::ModuleExt;
use ihead::prelude::{ClipNorm, Groups, Head, Inspect, Key, Loss, Metric, Run, Select};
use ihead::run::History;
use ihead::train::optim::{AdamW, Optim, Sgd, Update, UpdateRule};
use ihead::train::{Compute, Device, Gradient, GradientRule, Precision, Step};

use crate::run::{Model, largest_difference, model, run, test_batch, weights};

/// Lion (Chen and others 2023): the sign of an averaged gradient.
struct Lion;

impl UpdateRule for Lion {
    fn words(&self) -> String {
        "lion".into()
    }

    fn moments(&self) -> &'static [&'static str] {
        &["mean"]
    }

    fn update(&self, of: Update<'_>) -> Result<()> {
        for ((p, g), m) in of.values.iter_mut().zip(of.gradient).zip(of.moments[0].iter_mut()) {
            // smooth near 0, where the sign would be that of rounding
            *p -= of.learning_rate * (1e3 * (0.9 * *m + 0.1 * g)).tanh();
            *m = 0.99 * *m + 0.01 * g;
        }
        Ok(())
    }
}

/// Every gradient by the same factor.
struct Scale(f64);

impl GradientRule for Scale {
    fn words(&self) -> String {
        format!("scale({})", self.0)
    }

    fn change(&self, _: usize, gradients: &mut [Gradient<'_>]) -> Result<()> {
        gradients.iter_mut().flat_map(|gradient| gradient.values.iter_mut()).for_each(|g| *g *= self.0);
        Ok(())
    }
}

fn compute(device: Device, precision: Precision) -> Compute {
    Compute { device, precision, ..Compute::default() }
}

/// What is done with the run of every test: a name, and what it adds to the run.
type Change = (&'static str, fn(Run<Model>) -> Run<Model>);

const CHANGES: [Change; 13] = [
    ("adamw", |run| run.optim(AdamW::new(0.01).weight_decay(0.1))),
    ("sgd", |run| run.optim(Sgd::new(0.3).momentum(0.9))),
    ("own optimiser", |run| run.optim(Optim::by(0.01, Lion))),
    ("own optimiser of a group", |run| {
        run.optim(Groups::new(Sgd::new(0.3).into()).group("layers.*.attention.wk", Optim::by(0.01, Lion)))
    }),
    ("clipped", |run| run.optim(Sgd::new(0.3)).gradient_rule(ClipNorm::new(0.1))),
    ("clipped and scaled", |run| {
        run.optim(AdamW::new(0.01)).gradient_rule(ClipNorm::new(0.1)).gradient_rule(Scale(0.5))
    }),
    ("frozen for a while", |run| {
        run.optim(AdamW::new(0.01))
            .timeline("0..3: linear(0, 0.02), 2: freeze(output), 4: release(output)".parse().unwrap())
    }),
    ("edited by the timeline", |run| {
        run.optim(Sgd::new(0.3))
            .timeline("2: edit(layers.0.attention.pattern=uniform), 4: unedit(layers.0.*)".parse().unwrap())
    }),
    ("weights edited", |run| run.optim(Sgd::new(0.3)).timeline("3: rank(output, 2)".parse().unwrap())),
    ("clamped", |run| {
        run.optim(Sgd::new(0.3)).edits("layers.1.attention.pattern=induction".parse().unwrap())
    }),
    ("penalised", |run| {
        run.optim(Sgd::new(0.3)).loss(Loss::next_token() + Loss::penalty(Penalty::L2, "output").weighted(0.1))
    }),
    ("over some positions", |run| run.optim(Sgd::new(0.3)).loss(Loss::next_token().over(Select::marks(1..)))),
    ("measured", |run| {
        run.optim(Sgd::new(0.3))
            .on_training([Metric::accuracy("acc"), Metric::loss("before")])
            .on(
                &test_batch(),
                [Metric::loss("test"), Metric::attention("previous", &Head::of_layer(0, 0), Key::Previous)],
            )
            .every(2)
    }),
];

fn numbers(history: &History) -> Vec<f64> {
    let of = |(_, record): &(usize, ihead::probe::Measurements)| -> Vec<f64> {
        record.entries().iter().filter_map(|entry| entry.value.number()).collect()
    };
    history.records().iter().flat_map(of).collect()
}

#[test]
fn runs_take_the_steps_of_the_cpu() {
    for (name, change) in CHANGES {
        for (precision, most) in [(Precision::Double, 1e-10), (Precision::Single, 2e-5)] {
            let adam = name == "adamw" || name == "frozen for a while" || name == "clipped and scaled";
            if adam && precision == Precision::Single {
                continue; // it moves a weight by its rate however small the gradient is
            }
            let [cpu, gpu] = [Device::Cpu, Device::Cuda].map(|device| {
                let mut run = change(run().compute(compute(device, precision)));
                let history = run.train(6).unwrap();
                (weights(run.model()), numbers(&history))
            });
            let off = largest_difference(&cpu.0, &gpu.0);
            assert!(off < most, "{name} {precision:?}: weights off by {off:e}");
            assert!(largest_difference(&cpu.0, &weights(&model())) > 1e-3, "{name}: it trains");
            let off = largest_difference(&cpu.1, &gpu.1);
            assert!(off < 10.0 * most, "{name} {precision:?}: records off by {off:e}");
        }
    }
}

/// What is computed in double precision and rounded once a step has the same bits on both devices, but for a few.
#[test]
fn small_models_are_computed_in_double_precision() {
    let same = |precision| {
        let [cpu, gpu] = [Device::Cpu, Device::Cuda].map(|device| {
            let mut run = run().compute(compute(device, precision)).optim(Sgd::new(0.3));
            run.train(6).unwrap();
            let (begin, end) = (weights(&model()), weights(run.model()));
            begin.into_iter().zip(end).filter(|(from, to)| from != to).map(|(_, to)| to).collect::<Vec<f64>>()
        });
        assert_eq!(cpu.len(), gpu.len());
        cpu.iter().zip(&gpu).filter(|(a, b)| a == b).count() as f64 / cpu.len() as f64
    };
    let (auto, single) = (same(Precision::Auto), same(Precision::Single));
    assert!(auto > 0.99 && single < 0.9, "{auto} and {single} of the weights have the same bits");
}

#[test]
fn a_run_that_was_broken_off_continues() {
    let dir = tempfile::tempdir().unwrap();
    for (name, change) in CHANGES {
        let [whole, parts] = ["whole", "parts"].map(|part| dir.path().join(format!("{name} {part}")));
        let new = || change(run().compute(compute(Device::Cuda, Precision::Double)).steps(7));
        let mut run = new().save_to(whole);
        run.train(7).unwrap();
        let expected = weights(run.model());
        new().save_to(&parts).train(3).unwrap();
        let mut run = new().save_to(&parts).resume();
        run.train(7).unwrap();
        let off = largest_difference(&expected, &weights(run.model()));
        assert!(off < 1e-10, "{name}: off by {off:e}");
    }
}

#[test]
fn a_monitor_sees_the_models_gradients_and_weights() {
    let of = |device| {
        let mut seen = vec![];
        let mut watch = |step: &Step<'_, Model>| {
            seen.extend(step.gradients.iter().flat_map(|(_, gradient)| gradient.iter()));
            seen.extend(weights(step.model));
            Ok(())
        };
        let mut run = run().compute(compute(device, Precision::Double)).optim(Sgd::new(0.3));
        run.train_watched(Some(3), &mut watch).unwrap();
        seen
    };
    let (cpu, gpu) = (of(Device::Cpu), of(Device::Cuda));
    let off = largest_difference(&cpu, &gpu);
    assert!(off < 1e-10, "off by {off:e}");
}

#[test]
fn what_is_inspected_is_what_the_cpu_computes() {
    let (model, batch) = (model(), test_batch());
    let on = |device| Inspect::new(&model).compute(compute(device, Precision::Double));
    let edits: Edits = "layers.0.attention.pattern=previous_token".parse().unwrap();
    for edits in [Edits::default(), edits] {
        let [cpu, gpu] = [Device::Cpu, Device::Cuda].map(|device| {
            let inspect = || on(device).edits(edits.clone());
            let pattern = inspect().activations(&batch, "layers.1.attention.pattern").unwrap();
            let patched = inspect().patch("layers.1.attention.pattern", pattern.clone());
            let gradients = inspect().gradients(&batch, &Loss::next_token()).unwrap();
            let mut all: Vec<f64> = pattern.values.iter().map(|v| f64::from(*v)).collect();
            for inspect in [inspect(), patched] {
                let measured =
                    inspect.measure([Metric::loss("loss"), Metric::accuracy("acc")], &batch).unwrap();
                all.extend(measured.entries().iter().filter_map(|entry| entry.value.number()));
            }
            for (name, _) in model.training() {
                all.extend(gradients.of(&name).unwrap().values.iter().map(|v| f64::from(*v)));
            }
            all
        });
        let off = largest_difference(&cpu, &gpu);
        assert!(off < 1e-5, "{edits}: off by {off:e}");
    }
}
