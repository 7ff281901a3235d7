//! Nothing is made before everything is found right.
use std::sync::Arc;

use ihead::Module;
use ihead::backend::Dim;
use ihead::config::Config;
use ihead::data::{Batch, BatchOptions, Batches, NumpyRng, Task};
use ihead::engine::{CpuEngine, EagerEngine, Engine, LossTerm, Penalty, Request, RowSet, ignore};
use ihead::graph::{Edit, Edits, Stream, Tokens, record};
use ihead::internals::backend::Cpu;
use ihead::model::{Full, FullArgs, Simplified, SimplifiedArgs, Transformer, TransformerArgs};
use ihead::nn::{Embedding, Init, Map, ModuleExt, Param, Params, Role, Visitor, VisitorMut};
use ihead::probe::attribution::Against;
use ihead::probe::{Association, Circuit, Head, Key, Metric, Recall, Select};
use ihead::run::{CheckpointEvery, Inspect, Resume, Run, Schedule, activations, gradients, measure};
use ihead::train::optim::{AdamW, Groups, Optim, Sgd};
use ihead::train::{Action, EmptyLoss, Loss, Step, Timeline, Trainer};

use super::{Model, batches, model, run, test_batch};

#[track_caller]
fn refused(run: Run<Model>, said: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let error = run.save_to(&path).train(3).unwrap_err().to_string();
    assert!(error.contains(said), "{error}");
    assert!(!path.exists(), "a folder was made before `{error}`");
}

#[test]
fn names_that_the_model_has_not() {
    let looks = |site: &str| Metric::attends("looks", &Head::new(site, 0), Key::Previous);
    let did_you_mean = "did you mean 'layers.0.attention.pattern'?";
    refused(run().on(&test_batch(), [looks("layers.0.attention.patern")]), did_you_mean);
    refused(run().on_training([looks("layers.0.attention.patern")]), did_you_mean);
    let edits = Edits::default().with("layers.0.attention.patern", Edit::PreviousToken);
    refused(run().edits(edits.clone()), did_you_mean);
    let recall = Recall::new("r", Circuit::rows("tok_embedding.weight"), Association::identity(65));
    refused(run().weights([recall]), "did you mean 'tok_embeddings.weight'?");
    let timeline = Timeline::default().at(9, Action::release("layers.1.attention.wkk.weight"));
    refused(run().timeline(timeline), "did you mean 'layers.1.attention.wk.weight'?");

    let error = Inspect::new(&model()).edits(edits).measure([Metric::loss("l")], &test_batch()).unwrap_err();
    assert!(error.to_string().contains(did_you_mean), "{error}");
    let error = activations(&model(), &test_batch(), "layers.0.attention.patern").unwrap_err();
    assert!(error.to_string().contains(did_you_mean), "{error}");
}

#[test]
fn two_numbers_of_one_name() {
    let said = "two numbers of a run are named 'acc'";
    let acc = || [Metric::accuracy("acc")];
    refused(run().on(&test_batch(), acc()).on(&test_batch(), acc()), said);
    refused(run().on(&test_batch(), acc()).on_training(acc()), said);
    let recall = Recall::new("acc", Circuit::rows("tok_embeddings.weight"), Association::identity(65));
    refused(run().on(&test_batch(), acc()).weights([recall]), said);
    refused(run().on(&test_batch(), [Metric::accuracy("loss")]), "named 'loss'");
    // a loss may stand for that of the step, and nothing else
    refused(run().on_training([Metric::accuracy("loss")]), "named 'loss'");
    let twice = run().on_training([Metric::loss("loss")]).on(&test_batch(), [Metric::loss("loss")]);
    refused(twice, "named 'loss'");
    assert!(run().on_training([Metric::loss("loss").over(Select::first(3))]).train(1).is_ok());
    assert!(run().on(&test_batch(), [Metric::loss("loss")]).train(1).is_ok());
}

#[test]
fn a_number_without_a_name() {
    let said = "the name of a metric or a probe: empty; expected the name of its number in the measurements";
    refused(run().on(&test_batch(), [Metric::loss("")]), said);
    refused(run().on_training([Metric::accuracy("")]), said);
    let recall = Recall::new("", Circuit::rows("tok_embeddings.weight"), Association::identity(65));
    refused(run().weights([recall.clone()]), said);
    let error = measure(&model(), [Metric::loss("")], &test_batch()).unwrap_err();
    assert_eq!(error.to_string(), said);
    let error = ihead::probe::measure_weights(&[recall.into()], &model()).unwrap_err();
    assert_eq!(error.to_string(), said);
}

#[test]
fn batches_that_do_not_fit_the_model() {
    let mut long = test_batch();
    (long.batch, long.seq) = (4, 32);
    refused(
        run().on(&long, [Metric::loss("l")]),
        "sequences of 32 tokens; expected at most 16, as the model takes",
    );
    let mut foreign = test_batch();
    foreign.x[3] = 65;
    refused(
        run().on(&foreign, [Metric::loss("l")]),
        "token 65 of the model's vocabulary, which has tokens 0 to 64",
    );

    // fields that do not agree
    let cut = |change: fn(&mut Batch)| {
        let mut batch = test_batch();
        change(&mut batch);
        batch
    };
    let batches = [
        (cut(|batch| batch.x.truncate(127)), "`x` of a batch: expected shape [8, 16], found [127]"),
        (cut(|batch| batch.y.clear()), "`y` of a batch: expected shape [8, 16], found [0]"),
        (cut(|batch| batch.marks.push(0)), "`marks` of a batch: expected shape [8, 16], found [129]"),
        (cut(|batch| batch.batch = 9), "`x` of a batch: expected shape [9, 16], found [128]"),
    ];
    for (batch, said) in &batches {
        refused(run().on(batch, [Metric::loss("l").over(Select::marks(2..))]), said);
        let loss = Loss::next_token().over(Select::marks(2..));
        let errors = [
            measure(&model(), [Metric::loss("l").over(Select::marks(2..))], batch).unwrap_err(),
            activations(&model(), batch, "logits").unwrap_err(),
            gradients(&model(), batch, &loss).map(drop).unwrap_err(),
        ];
        errors.iter().for_each(|error| assert!(error.to_string().contains(said), "{error}"));
    }

    struct Wide;
    impl Task for Wide {
        fn vocab(&self) -> usize {
            66
        }
        fn seq_length(&self) -> usize {
            8
        }
        fn sequence(&self, rng: &mut NumpyRng, tokens: &mut [u32], _: &mut [i32]) {
            tokens.fill_with(|| rng.below(66));
        }
    }
    let wide = Batches::new(Arc::new(Wide), BatchOptions { batch_size: 4, seed: 0, workers: 1 }).unwrap();
    refused(Run::new(model(), wide), "66 tokens; expected at most the 65 of the model's vocabulary");
}

#[test]
fn an_answer_that_is_no_distribution() {
    for (answer, said) in [
        (f64::NAN, "after 1 tokens: NaN for token 0"),
        (-1.0, "after 1 tokens: -1 for token 0"),
        (0.0, "after 1 tokens: numbers whose sum is 0"),
        (5.0, "after 1 tokens: numbers whose sum is 325"),
    ] {
        let rule = move |_: &[u32], distribution: &mut [f64]| {
            distribution.fill(answer);
            true
        };
        let error = measure(&model(), [Metric::kl("kl", rule)], &test_batch()).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("expected a distribution"), "{error}");
        let error = gradients(&model(), &test_batch(), &Loss::against(rule)).map(drop).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
    let uniform = |_: &[u32], distribution: &mut [f64]| {
        distribution.fill(1.0 / 65.0);
        true
    };
    assert!(measure(&model(), [Metric::kl("kl", uniform)], &test_batch()).is_ok());
}

#[test]
fn numbers_of_an_optimiser() {
    let numbers = [
        (Optim::from(Sgd::new(-1.0)), "learning_rate of sgd: -1; expected a finite number of at least 0"),
        (Sgd::new(0.1).momentum(f64::NAN).into(), "momentum of sgd: NaN"),
        (
            AdamW::new(0.1).betas(0.9, 1.5).into(),
            "beta2 of adamw: 1.5; expected a number from 0 to less than 1",
        ),
        (AdamW::new(0.1).eps(-1.0).into(), "eps of adamw: -1"),
        (
            Groups::new(Sgd::new(0.1).into()).group("output.weight", Sgd::new(-2.0).into()).into(),
            "learning_rate of sgd: -2",
        ),
    ];
    numbers.into_iter().for_each(|(optim, said)| refused(run().optim(optim), said));
    let later = Timeline::default().at(1, Action::optim(AdamW::new(f64::NAN)));
    refused(run().timeline(later), "learning_rate of adamw: NaN");
}

#[test]
fn what_an_edit_of_the_timeline_leaves_nothing_of() {
    let adds = || Metric::logit_from("adds", "layers.1.attention.out[1]", Against::Mean);
    let sizes = FullArgs { max_length: 16, dim: 8, n_heads: 2, ..FullArgs::defaults() };
    let run = || {
        let timeline = "2: edit(layers.1.attention.out=ablate)".parse().unwrap();
        Run::new(Full::new(65, &sizes).unwrap().init(0), batches()).quiet().timeline(timeline)
    };
    let said = "timeline '2: edit(layers.1.attention.out=ablate)': no term of the logits 'layers.1.attention.out[1]'";
    for run in [run().on(&test_batch(), [adds()]), run().on_training([adds()])] {
        let (mut run, dir) = (run, tempfile::tempdir().unwrap());
        let path = dir.path().join("run");
        run = run.save_to(&path);
        let error = run.train(3).unwrap_err().to_string();
        assert!(error.contains(said) && !path.exists(), "{error}");
    }
}

/// A module that is written by hand and gives two parameters one name.
struct Twice {
    tok: Param<(usize, usize)>,
    unembed: Param<(usize, usize)>,
}

impl ihead::nn::Module for Twice {
    fn visit<'a>(&'a self, _: &str, visitor: &mut Visitor<'a, '_>) {
        visitor("weight", Role::Param, &self.tok);
        visitor("weight", Role::Param, &self.unembed);
    }

    fn visit_mut(&mut self, _: &str, visitor: &mut VisitorMut<'_>) {
        visitor("weight", Role::Param, &mut self.tok);
        visitor("weight", Role::Param, &mut self.unembed);
    }
}

impl ihead::graph::Model for Twice {
    type Vocab = usize;

    fn vocab(&self) -> usize {
        65
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
        let r = x.recorder();
        x.lookup(&r.weight(&self.tok)).linear(&r.weight(&self.unembed))
    }
}

#[test]
fn two_parameters_of_one_name() {
    let matrix = || Param::new((65, 6), Init::Normal { std: 0.5 });
    let twice = || Twice { tok: matrix(), unembed: matrix() }.init(0);
    let (dir, said) = (tempfile::tempdir().unwrap(), "are named 'weight'");
    let path = dir.path().join("run");
    let error = Run::new(twice(), batches()).quiet().save_to(&path).train(2).unwrap_err().to_string();
    assert!(error.contains(said) && !path.exists(), "{error}");
    let error = ihead::io::save(&path, &twice()).unwrap_err().to_string();
    assert!(error.contains(said) && !path.exists(), "{error}");
}

#[test]
fn settings_that_are_no_object() {
    refused(
        run().settings("{not json"),
        "settings: not JSON: key must be a string at line 1 column 2; expected an object in JSON",
    );
    refused(run().settings("[1]"), "settings: no object; expected an object in JSON");
}

/// A table of runs averaged the setting instead.
#[test]
fn a_number_with_the_name_of_a_setting_or_of_what_stands_beside_it() {
    let seed = || run().on(&test_batch(), [Metric::entropy("seed")]);
    refused(
        seed().settings("{\"seed\": 1}"),
        "the name of a metric or a probe: 'seed'; expected a name that no setting has",
    );
    for name in ["iter", "run", "status"] {
        refused(
            run().on(&test_batch(), [Metric::entropy(name)]),
            &format!(
                "the name of a metric or a probe: '{name}'; expected another name than iter, run, status"
            ),
        );
    }
    assert!(seed().settings("{\"seeds\": 1}").train(1).is_ok());
}

/// A task of one's own whose numbers have changed, without settings that say so.
#[test]
fn a_continued_run_of_another_task() {
    struct Steps(u32);
    impl Task for Steps {
        fn vocab(&self) -> usize {
            65
        }
        fn seq_length(&self) -> usize {
            16
        }
        fn sequence(&self, rng: &mut NumpyRng, tokens: &mut [u32], _: &mut [i32]) {
            let first = rng.below(65);
            (0..).zip(tokens).for_each(|(t, token)| *token = (first + self.0 * t) % 65);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let of = |step| {
        let batches =
            Batches::new(Arc::new(Steps(step)), BatchOptions { batch_size: 4, seed: 0, workers: 1 }).unwrap();
        Run::new(model(), batches).threads(1).quiet().save_to(dir.path().join("run")).earlier(Resume::Auto)
    };
    of(1).train(2).unwrap();
    let error = of(2).train(4).unwrap_err().to_string();
    assert!(error.contains("run.task draws other sequences than it did"), "{error}");
    of(1).train(4).unwrap();
}

/// Without settings of a program, the model is all that tells two runs apart.
#[test]
fn a_continued_run_of_another_model() {
    use ihead::graph::Normaliser;
    let dir = tempfile::tempdir().unwrap();
    let of = |normaliser| {
        let args = TransformerArgs {
            layers: 1,
            dim: 8,
            heads: 1,
            max_length: 16,
            normaliser,
            ..TransformerArgs::defaults()
        };
        let model = Transformer::new(65, &args).unwrap().init(0);
        Run::new(model, batches()).threads(1).quiet().save_to(dir.path().join("run")).earlier(Resume::Auto)
    };
    of(Normaliser::Softmax).train(2).unwrap();
    let error = of(Normaliser::Linear).train(4).unwrap_err().to_string();
    assert!(error.contains("run.model was '") && error.contains("', is '"), "{error}");
    assert_eq!(of(Normaliser::Softmax).train(4).unwrap().iterations().last(), Some(3));
}

#[test]
fn a_schedule_that_cannot_be_kept() {
    refused(run().every(0), "every 0 iterations");
    refused(run().schedule(Schedule::powers(1)), "powers of 1");
}

#[test]
fn a_folder_without_a_name() {
    let there = tempfile::tempdir().unwrap();
    for dir in ["".into(), there.path().join("nowhere/..")] {
        let error = run().save_to(&dir).train(1).unwrap_err().to_string();
        let said = format!("folder of the run: '{}'; expected a path that ends in a name", dir.display());
        assert_eq!(error, said);
    }
    assert!(!there.path().join("nowhere").exists());
}

#[test]
fn a_test_set_of_another_length_is_fine() {
    let mut short = test_batch();
    (short.batch, short.seq) = (16, 8);
    let history =
        Run::new(model(), batches()).quiet().threads(1).on(&short, [Metric::loss("short")]).train(1);
    assert!(history.unwrap().last("short").unwrap() > 1.0);
}

/// The model that somebody has forgotten to initialise.
fn uninitialised() -> Model {
    Simplified::new(65, &SimplifiedArgs { max_length: 16, dim: 8, ..SimplifiedArgs::defaults() }).unwrap()
}

#[test]
fn parameters_that_were_never_initialised() {
    let said =
        "'tok_embeddings.weight' was never initialised: draw all of a model's values with `init(seed)`";
    let fresh = || Run::new(uninitialised(), batches()).threads(1).quiet();
    refused(fresh(), said);
    let (model, batch) = (uninitialised(), test_batch());
    let errors = [
        measure(&model, [Metric::loss("l")], &batch).map(drop),
        activations(&model, &batch, "layers.0.attention.pattern").map(drop),
        gradients(&model, &batch, &Loss::next_token()).map(drop),
        Trainer::new(uninitialised()).run(batches(), Some(1), &mut |_: &Step<'_, Model>| Ok(())),
    ];
    for error in errors.map(|found| found.unwrap_err().to_string()) {
        assert!(error.contains(said), "{error}");
    }
    // one that was forgotten alone
    let mut nearly = uninitialised().init(0);
    nearly.layers[1].attention.wk = Map::linear(8);
    let error = measure(&nearly, [Metric::loss("l")], &batch).unwrap_err().to_string();
    assert!(error.starts_with("'layers.1.attention.wk.weight' was never initialised"), "{error}");
    nearly.update("layers.1.attention.wk", &mut |values| values.fill(0.0)).unwrap();
    assert!(measure(&nearly, [Metric::loss("l")], &batch).is_ok(), "it was written");
}

#[test]
fn an_engine_of_endless_threads() {
    let (graph, request) = (record(&model(), 16).unwrap(), Request::loss(RowSet::All));
    let error = CpuEngine::<f32>::new(&graph, &request, &|_| true, usize::MAX).err().unwrap();
    assert_eq!(error.to_string(), "threads: 18446744073709551615; expected at most 1024");
}

#[test]
fn parameters_of_another_module_are_no_zeros() {
    let (own, other) = (model(), model());
    let (graph, request) = (record(&own, 16).unwrap(), Request::loss(RowSet::All));
    let mut cpu = CpuEngine::<f32>::new(&graph, &request, &|_| true, 1).unwrap();
    let mut eager = EagerEngine::<f32, _>::new(Cpu::default(), &graph, &request, &|_| true).unwrap();
    let engines: [&mut dyn Engine<f32>; 2] = [&mut cpu, &mut eager];
    for engine in engines {
        let error = engine.run(&Params::of(&other), &test_batch(), &[], &ignore).unwrap_err().to_string();
        let said = "parameters: those of another module; expected those of the model that was recorded";
        assert_eq!(error, said);
        assert!(engine.run(&Params::of(&own), &test_batch(), &[], &ignore).is_ok());
    }
}

#[test]
fn parameters_without_values_on_the_dfdx_engine() {
    let model = uninitialised();
    let request = Request::loss(RowSet::All);
    let mut engine =
        EagerEngine::<f32, _>::new(Cpu::default(), &record(&model, 16).unwrap(), &request, &|_| true)
            .unwrap();
    let error = engine.run(&Params::of(&model), &test_batch(), &[], &ignore).unwrap_err().to_string();
    assert!(error.contains("was never initialised"), "{error}");
}

#[test]
fn a_loss_that_no_position_of_the_first_batch_counts_for() {
    let over_nothing = || Loss::next_token().over(Select::marks(90..));
    let said =
        "loss: no position of the first 64 batches counts for 'next_token over marks >= 90'; expected some";
    refused(run().loss(over_nothing()), said);
    let mut allowed = run().loss(over_nothing()).empty_loss(EmptyLoss::Allowed).every(1);
    assert!(allowed.train(1).unwrap().last("loss").unwrap().is_nan());
    let mut trainer = Trainer::new(model()).loss(over_nothing());
    let error = trainer.run(batches(), Some(1), &mut |_: &Step<'_, Model>| Ok(())).unwrap_err().to_string();
    assert!(error.contains(said), "{error}");
}

#[test]
fn a_request_for_another_graph() {
    let small = record(&model(), 16).unwrap();
    let sizes = TransformerArgs { max_length: 16, dim: 8, layers: 4, ..TransformerArgs::defaults() };
    let large = record(&Transformer::new(65, &sizes).unwrap(), 16).unwrap();
    let foreign = large.logits();
    let penalty = |node| LossTerm::Penalty { node, penalty: Penalty::L2, rows: RowSet::All, weight: 1.0 };
    let of_pattern = small.site("layers.0.attention.pattern").unwrap();
    for (request, said) in [
        (Request::reads(vec![(foreign, RowSet::All)]), "(the request is for another)"),
        (Request { losses: vec![penalty(foreign)], reads: vec![] }, "(the request is for another)"),
        (
            Request { losses: vec![penalty(of_pattern)], reads: vec![] },
            "penalty: 'layers.0.attention.pattern'",
        ),
    ] {
        let engines = [
            CpuEngine::<f32>::new(&small, &request, &|_| true, 1).map(drop),
            EagerEngine::<f32, _>::new(Cpu::default(), &small, &request, &|_| true).map(drop),
        ];
        for error in engines.map(|found| found.unwrap_err().to_string()) {
            assert!(error.contains(said), "{error}");
        }
    }
    assert!(
        !small.is_pattern(foreign)
            && !small.depends(foreign, of_pattern)
            && !small.depends(of_pattern, foreign)
    );
    assert_eq!(small.width(foreign), 0);
}

/// Operations in a long row.
#[derive(Module)]
struct Deep {
    #[module]
    embed: Embedding<usize, usize>,
    /// Turns the numbers of a row.
    #[param]
    map: Param<(usize, usize)>,
    row: Row,
    depth: usize,
}

/// What the operations of the row are.
#[derive(Clone, Copy, Debug)]
enum Row {
    /// Each another than the one before.
    Mixed,
    /// Sums with a lookup.
    Sums,
    /// Maps, and sums with what comes before.
    Maps,
}

impl ihead::graph::Model for Deep {
    type Vocab = usize;

    fn vocab(&self) -> usize {
        4
    }
    fn forward<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
        let map = x.recorder().weight(&self.map);
        (0..self.depth).fold(self.embed.forward(x), |h, i| match (self.row, i % 3) {
            (Row::Mixed, 0) => h.tanh(),
            (Row::Mixed, 1) => h.scale(0.5),
            (Row::Mixed, _) => h.clone() + h.relu(),
            (Row::Sums, _) => h + x.lookup(&map),
            (Row::Maps, 0) => (h.clone() + h.linear(&map)).scale(0.5),
            (Row::Maps, _) => h.linear(&map),
        })
    }
}

#[test]
fn a_graph_of_thousands_of_operations() {
    for (row, depth) in [(Row::Mixed, 5_000), (Row::Sums, 20_000), (Row::Maps, 5_000)] {
        let turn = (0..16).map(|i| if (i / 4 + 1) % 4 == i % 4 { 1.0 } else { 0.0 }).collect();
        let map = Param::new((4, 4), Init::Values(turn));
        let model = Deep { embed: Embedding::new(4, 4), map, row, depth }.init(0);
        let graph = record(&model, 2).unwrap();
        assert!(graph.len() > depth);
        let (request, params, batch) = (Request::loss(RowSet::All), Params::of(&model), Batch::new(1, 2));
        let mut cpu = CpuEngine::<f64>::new(&graph, &request, &|_| true, 1).unwrap();
        let loss = cpu.run(&params, &batch, &[], &ignore).unwrap();
        assert!(loss.is_finite(), "{row:?}");
        let mut eager = EagerEngine::<f64, _>::new(Cpu::default(), &graph, &request, &|_| true).unwrap();
        let expected = eager.run(&params, &batch, &[], &ignore).unwrap();
        assert!((loss - expected).abs() < 1e-6 * expected.abs(), "{row:?}: {loss} {expected}");
    }
}

#[test]
fn checkpoints_that_never_come_or_always() {
    for (every, said) in [
        (CheckpointEvery::Iterations(0), "checkpoint_every: 0; expected at least 1 iteration"),
        (CheckpointEvery::Minutes(f64::NAN), "checkpoint_every: NaN minutes; expected a positive number"),
        (CheckpointEvery::Minutes(-1.0), "checkpoint_every: -1 minutes; expected a positive number"),
        (CheckpointEvery::Minutes(0.0), "checkpoint_every: 0 minutes; expected a positive number"),
    ] {
        refused(run().checkpoint_every(every), said);
    }
}

/// Any number of threads was started; the greatest blamed the length of sequences for its memory.
#[test]
fn threads_beyond_the_cores_are_not_started() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    run().threads(usize::MAX).save_to(&path).train(3).unwrap();
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(ihead::run::RunInfo::read(&path).unwrap().threads, cores);
}
