//! Code of the user's that panics, or gives no gradient: the run fails in one line, keeps what it has, and goes on where it was.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ihead::backend::Dim;
use ihead::data::{BatchOptions, Batches, NumpyRng, Task};
use ihead::engine::{EagerEngine, Engine, Request, RowSet, ignore};
use ihead::graph::{Model, Stream, Tokens, record};
use ihead::internals::backend::Cpu;
use ihead::nn::{Init, ModuleExt, Param, Params};
use ihead::ops::{Pointwise, RowWise};
use ihead::probe::{Metric, Select};
use ihead::run::{Run, RunInfo, Status, activations, gradients, measure};
use ihead::train::{Loss, Step};
use ihead::{Module, Result};

use super::{batches, test_batch};

/// Whether the code of the user's panics.
#[derive(Clone, Default)]
struct Trip(Arc<AtomicBool>);

impl Trip {
    fn step(&self) {
        assert!(!self.0.load(Ordering::Relaxed), "on purpose");
    }
}

impl Pointwise for Trip {
    fn name(&self) -> &str {
        "trip"
    }

    fn value(&self, x: f64) -> f64 {
        self.step();
        x.tanh()
    }

    fn derivative(&self, x: f64) -> f64 {
        1.0 - x.tanh().powi(2)
    }
}

#[derive(Module)]
struct Own {
    #[param]
    tok: Param<(usize, usize)>,
    #[param]
    unembed: Param<(usize, usize)>,
    trip: Trip,
}

impl Model for Own {
    type Vocab = usize;

    fn vocab(&self) -> usize {
        65
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
        let r = x.recorder();
        x.lookup(&r.weight(&self.tok)).pointwise(self.trip.clone()).linear(&r.weight(&self.unembed))
    }
}

/// What panics once it is told to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Operation,
    Loss,
    Before,
    After,
    Monitor,
}

/// A run each of whose places calls the user's code; only `place` panics, when `trip` says so.
fn run(place: Place, trip: &Trip) -> Run<Own> {
    let at = |this: Place| if place == this { trip.clone() } else { Trip::default() };
    let matrix = || Param::new((65, 6), Init::Normal { std: 0.5 });
    let model = Own { tok: matrix(), unembed: matrix(), trip: at(Place::Operation) }.init(0);
    let everywhere = |trip: Trip| {
        Select::by("everywhere", move |_, _| {
            trip.step();
            true
        })
    };
    let uniform = |trip: Trip| {
        move |_: &[u32], distribution: &mut [f64]| {
            trip.step();
            distribution.fill(1.0 / 65.0);
            true
        }
    };
    Run::new(model, batches())
        .threads(2)
        .quiet()
        .every(1)
        .loss(Loss::next_token().over(everywhere(at(Place::Loss))))
        .on_training([Metric::kl("kl", uniform(at(Place::Before)))])
        .on(&test_batch(), [Metric::kl("test_kl", uniform(at(Place::After)))])
}

#[test]
fn a_panic_of_ones_own_code_is_an_error_of_the_run_which_goes_on_where_it_was() {
    for place in [Place::Operation, Place::Loss, Place::Before, Place::After, Place::Monitor] {
        let whole = run(place, &Trip::default()).train(6).unwrap();
        let (dir, trip) = (tempfile::tempdir().unwrap(), Trip::default());
        let path = dir.path().join("run");
        let mut watch = |step: &Step<'_, Own>| -> Result<()> {
            if place == Place::Monitor && step.iteration == 3 {
                trip.step();
            }
            trip.0.store(step.iteration >= 2, Ordering::Relaxed);
            Ok(())
        };
        let error = run(place, &trip).save_to(&path).train_watched(Some(6), &mut watch).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("the run panicked: on purpose"), "{place:?}: {said}");
        // an evaluation that panicked is made again: the run goes on from its checkpoint, that of its beginning
        let kept = [3, 3, 3, 0, 4][place as usize];
        assert!(said.contains(&format!("{kept} iterations kept")), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        let info = RunInfo::read(&path).unwrap();
        assert_eq!((info.status, info.error), (Status::Failed, Some(said)), "{place:?}");
        let resumed = run(place, &Trip::default()).save_to(&path).resume().train(6).unwrap();
        assert_eq!(resumed, whole, "{place:?}");
    }
}

/// A step that fails has taken its batch from the task; taken again, it has that batch.
#[test]
fn a_run_that_failed_in_a_step_takes_it_again_in_the_same_process() {
    for place in [Place::Operation, Place::Loss, Place::Before] {
        let whole = run(place, &Trip::default()).train(6).unwrap();
        let trip = Trip::default();
        let mut watch = |step: &Step<'_, Own>| -> Result<()> {
            trip.0.store(step.iteration >= 2, Ordering::Relaxed);
            Ok(())
        };
        let mut failed = run(place, &trip);
        assert!(failed.train_watched(Some(6), &mut watch).is_err());
        trip.0.store(false, Ordering::Relaxed);
        assert_eq!(failed.train(3).unwrap(), whole, "{place:?}");
    }
}

#[test]
fn a_panic_of_ones_own_code_is_an_error_of_a_measurement() {
    let trip = Trip::default();
    trip.0.store(true, Ordering::Relaxed);
    let model = run(Place::Operation, &trip).into_model();
    let batch = test_batch();
    let errors = [
        measure(&model, [Metric::loss("loss")], &batch).err(),
        activations(&model, &batch, "logits").err(),
        gradients(&model, &batch, &Loss::next_token()).err(),
    ];
    for error in errors {
        assert_eq!(error.unwrap().to_string(), "the measurement panicked: on purpose");
    }
}

/// The mean of two rows, whose backward pass leaves the gradient of the second one as long as it is told to.
struct Mean(usize);

impl RowWise for Mean {
    fn name(&self) -> &str {
        "mean"
    }

    fn width(&self, inputs: &[usize]) -> Result<usize, String> {
        Ok(inputs[0])
    }

    fn forward(&self, inputs: &[&[f64]], out: &mut [f64]) {
        (0..out.len()).for_each(|i| out[i] = (inputs[0][i] + inputs[1][i]) / 2.0);
    }

    fn backward(&self, _: &[&[f64]], _: &[f64], d_out: &[f64], d_inputs: &mut [Vec<f64>]) {
        d_inputs.iter_mut().for_each(|d| *d = d_out.iter().map(|d| d / 2.0).collect());
        d_inputs[1].resize(self.0, 0.0);
    }
}

#[derive(Module)]
struct Means {
    #[param]
    tok: Param<(usize, usize)>,
    #[param]
    unembed: Param<(usize, usize)>,
    len: usize,
}

impl Model for Means {
    type Vocab = usize;

    fn vocab(&self) -> usize {
        65
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
        let (r, mean) = (x.recorder(), Mean(self.len));
        let h = x.lookup(&r.weight(&self.tok));
        h.rows(mean, &[&h.tanh()], 6).linear(&r.weight(&self.unembed))
    }
}

#[test]
fn a_gradient_of_another_length_is_an_error_that_names_the_operation_and_the_input() {
    let model = |len| {
        let matrix = || Param::new((65, 6), Init::Normal { std: 0.5 });
        Means { tok: matrix(), unembed: matrix(), len }.init(0)
    };
    let run = |len| Run::new(model(len), batches()).threads(2).quiet();
    let said = "the gradient of 'mean' for input 1: expected shape [6], found [5]";
    assert!(run(6).train(2).is_ok());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let error = run(5).save_to(&path).train(2).unwrap_err().to_string();
    assert!(error.starts_with(said) && error.lines().count() == 1, "{error}");
    assert_eq!(RunInfo::read(&path).unwrap().status, Status::Failed);
    let error = gradients(&model(5), &test_batch(), &Loss::next_token()).unwrap_err().to_string();
    assert_eq!(error, said);
    // without gradients there is nothing wrong
    assert!(measure(&model(5), [Metric::loss("loss")], &test_batch()).is_ok());

    // the other engine
    let (model, batch) = (model(5), test_batch());
    let (graph, params) = (record(&model, batch.seq).unwrap(), Params::of(&model));
    let request = Request::loss(RowSet::All);
    let mut engine = EagerEngine::<f32, Cpu>::new(Cpu::default(), &graph, &request, &|_| true).unwrap();
    let error = engine.run(&params, &batch, &[], &ignore).unwrap_err().to_string();
    assert_eq!(error, said);
}

#[test]
fn a_panic_before_the_first_step_touches_no_file() {
    let (dir, trip) = (tempfile::tempdir().unwrap(), Trip::default());
    trip.0.store(true, Ordering::Relaxed);
    let path = dir.path().join("run");
    let error = run(Place::Loss, &trip).save_to(&path).train(3).unwrap_err();
    assert_eq!(error.to_string(), "the run, before its first step, panicked: on purpose");
    assert!(!path.exists());
}

/// A task whose tokens have no names.
struct Nameless;

impl Task for Nameless {
    fn vocab(&self) -> usize {
        65
    }

    fn seq_length(&self) -> usize {
        4
    }

    fn sequence(&self, rng: &mut NumpyRng, tokens: &mut [u32], _: &mut [i32]) {
        tokens.fill_with(|| rng.below(65));
    }

    fn token_name(&self, _: u32) -> String {
        panic!("no name")
    }
}

#[test]
fn a_task_that_panics_in_the_report_is_an_error_of_a_run_that_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let batches =
        Batches::new(Arc::new(Nameless), BatchOptions { batch_size: 2, seed: 0, workers: 1 }).unwrap();
    let matrix = || Param::new((65, 6), Init::Normal { std: 0.5 });
    let own = Own { tok: matrix(), unembed: matrix(), trip: Trip::default() }.init(0);
    let mut run = Run::new(own, batches).quiet().save_to(dir.path()).report();
    assert_eq!(
        run.train(2).unwrap_err().to_string(),
        "the report or the figures of the run panicked: no name"
    );
    assert_eq!(RunInfo::read(dir.path()).unwrap().status, Status::Done);
}
