//! `precision=double`: nothing is rounded to 32 bits between the weights and the files.
use std::sync::Arc;

use ihead::config::Config;
use ihead::data::{BatchOptions, Batches, BigramData, NumpyRng, TriggerOptions, TriggerTask, sample};
use ihead::engine::CpuEngine;
use ihead::engine::{Engine, Request, RowSet, ignore};
use ihead::graph::record;
use ihead::io::{load, read};
use ihead::model::{Simplified, SimplifiedArgs};
use ihead::nn::{Module, ModuleExt, Params, Storage, Values, ValuesMut};
use ihead::probe::Metric;
use ihead::run::Run;
use ihead::train::optim::{AdamW, Optim, Optimizer, Sgd};
use ihead::train::{Compute, Precision, Step};

type Model = Simplified<usize, usize, usize>;

/// The paper's first experiment with small batches: five fixed triggers, embeddings and output train too.
struct Setting {
    seq: usize,
    dim: usize,
    batch: usize,
}

/// The size at which the memories form within 301 steps: the accuracy at the end of a sequence goes from 0.01 to 0.92.
///
/// The loss is over all positions. Over those that the context decides alone, with these learning rates, the run itself amplifies
/// a difference in the last bit of its initial weights to 1e-8 at step 210 and to 0.2 at step 300, in one engine as between two.
const WHOLE: Setting = Setting { seq: 128, dim: 128, batch: 32 };
const SMALL: Setting = Setting { seq: 24, dim: 16, batch: 8 };

impl Setting {
    fn task(&self) -> TriggerTask {
        let options =
            TriggerOptions { k: 5, fixed_special_toks: true, seq_length: self.seq, ..Default::default() };
        TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options).unwrap()
    }

    fn batches(&self) -> Batches {
        let options = BatchOptions { batch_size: self.batch, seed: 42, workers: 1 };
        Batches::new(Arc::new(self.task()), options).unwrap()
    }

    fn model(&self) -> Model {
        let sizes = SimplifiedArgs { dim: self.dim, max_length: self.seq, ..SimplifiedArgs::defaults() };
        Simplified::new(65, &sizes).unwrap().init(42)
    }

    fn run(&self, precision: Precision) -> Run<Model> {
        let test = sample(&self.task(), &mut NumpyRng::new(&[0]), 8).unwrap();
        let compute = Compute { precision, threads: 2, ..Compute::default() };
        let metrics = [Metric::loss("test")];
        Run::new(self.model(), self.batches())
            .optim(sgd())
            .compute(compute)
            .every(1)
            .on(&test, metrics)
            .quiet()
    }
}

fn sgd() -> Optim {
    Optim::Sgd(Sgd::new(0.2).momentum(0.9).weight_decay(1e-4))
}

/// Steps of an engine in f64 by hand: the loss of each, the weights at the end.
fn by_hand(
    setting: &Setting,
    steps: usize,
    engine: impl FnOnce(&Model) -> Box<dyn Engine<f64>>,
) -> (Vec<f64>, Model) {
    let (mut model, mut batches, mut optim) = (setting.model(), setting.batches(), sgd());
    model.set_storage(Storage::Double).unwrap();
    let mut engine = engine(&model);
    let mut losses = Vec::new();
    for _ in 0..steps {
        let batch = batches.next_batch().unwrap();
        losses.push(engine.run(&Params::of(&model), &batch, &[], &ignore).unwrap());
        model.visit_mut("", &mut |name, _, tensor| {
            let Some(gradient) = engine.gradient(tensor.id()) else { return };
            let ValuesMut::Double(values) = tensor.data_mut() else { panic!("{name} is single") };
            optim.step(name, values, gradient).unwrap();
        });
    }
    (losses, model)
}

fn cpu(setting: &Setting) -> impl FnOnce(&Model) -> Box<dyn Engine<f64>> {
    let seq = setting.seq;
    move |model| {
        let (graph, params) = (record(model, seq).unwrap(), Params::of(model));
        Box::new(
            CpuEngine::<f64>::new(&graph, &Request::loss(RowSet::All), &|id| params.trains(id), 2).unwrap(),
        )
    }
}

fn eager(setting: &Setting) -> impl FnOnce(&Model) -> Box<dyn Engine<f64>> {
    let seq = setting.seq;
    move |model| {
        let (graph, params) = (record(model, seq).unwrap(), Params::of(model));
        ihead_reference::double(&graph, &Request::loss(RowSet::All), &|id| params.trains(id), 8)
    }
}

/// The largest difference of two models' weights, each over the largest entry of its tensor.
fn worst(a: &Model, b: &Model) -> f64 {
    let of = |model: &Model, name: &str| model.tensor(name).unwrap().data().double().into_owned();
    let worst = |(name, ..): (String, _, _)| {
        let (x, y) = (of(a, &name), of(b, &name));
        let largest = x.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
        x.iter().zip(&y).fold(0.0_f64, |m, (x, y)| m.max((x - y).abs())) / largest
    };
    a.tensors().into_iter().map(worst).fold(0.0, f64::max)
}

/// Trains with both engines and as a run; the largest difference of a loss, relative, and of a weight.
fn compare(setting: &Setting, steps: usize) -> (f64, f64) {
    let (losses, model) = by_hand(setting, steps, cpu(setting));
    let (other_losses, other) = by_hand(setting, steps, eager(setting));
    let mut run = setting.run(Precision::Double);
    let mut run_losses = Vec::new();
    let watch = &mut |step: &Step<'_, Model>| {
        run_losses.push(step.loss);
        Ok(())
    };
    run.train_watched(Some(steps), watch).unwrap();
    assert_eq!(run_losses, losses, "the trainer does what is done by hand, to the last bit");
    assert_eq!(worst(run.model(), &model), 0.0);
    let apart = losses.iter().zip(&other_losses).map(|(a, b)| (a - b).abs() / a.abs()).fold(0.0, f64::max);
    for i in (0..steps).step_by(50) {
        println!(
            "step {i}: loss {:.6}, engines apart by {:.1e}",
            losses[i],
            (losses[i] - other_losses[i]).abs()
        );
    }
    (apart, worst(&model, &other))
}

#[test]
fn both_engines_in_double_precision_go_the_same_way() {
    let (loss, weight) = compare(&SMALL, 12);
    assert!(loss < 1e-12 && weight < 1e-12, "{loss:e} {weight:e}");
}

/// All of it: `cargo test --release --test all double -- --ignored --nocapture`.
#[test]
#[ignore = "minutes"]
fn both_engines_in_double_precision_go_the_same_way_through_the_transition() {
    let (loss, weight) = compare(&WHOLE, 301);
    println!("301 steps: losses within {loss:.1e}, weights within {weight:.1e}");
    assert!(loss < 1e-8 && weight < 1e-8, "{loss:e} {weight:e}");
}

#[test]
fn double_keeps_64_bits_in_weights_optimiser_and_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = SMALL.run(Precision::Double).save_to(dir.path());
    run.train(3).unwrap();
    let file = read(&dir.path().join("final.safetensors")).unwrap();
    assert!(file.values().all(|tensor| tensor.values.storage() == Storage::Double));
    let name = "layers.1.attention.wk.weight";
    let rounded = |v: f64| f64::from(v as f32) == v;
    assert!(!file[name].values.iter().all(rounded), "not merely widened");

    let mut again = SMALL.model();
    load(&dir.path().join("final.safetensors"), &mut again).unwrap();
    assert_eq!(again.tensor(name).unwrap().data(), &file[name].values);
    let mut on = Run::new(again, SMALL.batches())
        .compute(Compute { precision: Precision::Double, ..Compute::default() });
    let mut first = None;
    on.train_watched(Some(1), &mut |step: &Step<'_, Model>| {
        first = Some(step.gradients.iter().all(|(_, g)| g.storage() == Storage::Double));
        Ok(())
    })
    .unwrap();
    assert_eq!(first, Some(true));
}

#[test]
fn what_is_measured_in_double_precision_sees_all_64_bits() {
    let mut run = SMALL.run(Precision::Double);
    run.train(3).unwrap();
    let test = sample(&SMALL.task(), &mut NumpyRng::new(&[0]), 8).unwrap();
    let loss = |model: &Model| {
        let (graph, request) = (record(model, SMALL.seq).unwrap(), Request::loss(RowSet::All));
        let mut engine = CpuEngine::<f64>::new(&graph, &request, &|_| false, 1).unwrap();
        engine.run(&Params::of(model), &test, &[], &ignore).unwrap()
    };
    let measured = run.train(0).unwrap().last("test").unwrap();
    assert!((measured - loss(run.model())).abs() < 1e-14);
    let mut rounded = run.into_model();
    rounded.set_storage(Storage::Single).unwrap();
    assert!((measured - loss(&rounded)).abs() > 1e-12, "the difference can be seen");
}

#[test]
fn single_and_auto_keep_32_bits() {
    for precision in [Precision::Single, Precision::Auto] {
        let dir = tempfile::tempdir().unwrap();
        let mut run = SMALL.run(precision).save_to(dir.path());
        run.train(1).unwrap();
        let file = read(&dir.path().join("final.safetensors")).unwrap();
        assert!(file.values().all(|tensor| tensor.values.storage() == Storage::Single));
    }
}

#[test]
fn a_run_in_single_precision_refuses_weights_beyond_it_before_a_file_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let name = "layers.0.attention.wk.weight";
    let mut model = SMALL.model();
    model.set_storage(Storage::Double).unwrap();
    model.update_f64(name, &mut |w| w[0] = 1e40).unwrap();
    let mut run = Run::new(model, SMALL.batches()).quiet().save_to(dir.path().join("run"));
    let message = run.train(1).unwrap_err().to_string();
    assert!(
        message.starts_with("layers.0.attention.wk.weight: has the value 1e40; expected at most 3.4"),
        "{message}"
    );
    assert!(!dir.path().join("run").exists());
}

#[test]
fn the_state_of_an_optimiser_comes_back_to_the_last_bit() {
    for new in [sgd(), Optim::AdamW(AdamW::new(0.01).betas(0.9, 0.99).weight_decay(0.1))] {
        let mut optim = new.clone();
        let (mut single, mut double) = (vec![0.1_f32, -0.7], vec![0.1_f64, -0.7]);
        for gradient in [[0.3, -0.0], [1e-9, f64::NAN]] {
            optim.step("single", &mut single, &gradient.map(|g| g as f32)).unwrap();
            optim.step("double", &mut double, &gradient).unwrap();
        }
        let state = optim.state();
        let moments = |name: &str| state[name].moments.values().map(Values::storage).collect::<Vec<_>>();
        assert!(moments("single").iter().all(|s| *s == Storage::Single));
        assert!(moments("double").iter().all(|s| *s == Storage::Double));
        let text = serde_json::to_string(&state).unwrap();
        let mut restored = new.clone();
        restored.restore(serde_json::from_str(&text).unwrap()).unwrap();
        let (mut a, mut b) = (double.clone(), double.clone());
        optim.step("double", &mut a, &[0.25, 0.5]).unwrap();
        restored.step("double", &mut b, &[0.25, 0.5]).unwrap();
        let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&a), bits(&b));
    }
}

#[test]
fn the_state_of_another_optimiser_is_refused() {
    let mut adamw = Optim::AdamW(AdamW::new(0.01).betas(0.9, 0.99).weight_decay(0.1));
    adamw.step("w", &mut [1.0], &[1.0]).unwrap();
    let message = sgd().restore(adamw.state()).unwrap_err().to_string();
    assert_eq!(message, "the state of w: moments [first, second]; expected those of sgd, [momentum]");
}
