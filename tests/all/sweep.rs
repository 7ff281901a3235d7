//! Sweeps in code.
use std::sync::Arc;

use ihead::data::{BatchOptions, Batches, BigramData, TriggerOptions, TriggerTask};
use ihead::model::{Simplified, SimplifiedArgs};
use ihead::probe::{Unit, WeightProbe};
use ihead::run::Run;
use ihead::sweep::{Collect, Sweep, collect};

fn run(seed: u64) -> ihead::Result<Run<Simplified<usize, usize, usize>>> {
    let text = Arc::new(BigramData::tiny_shakespeare());
    let task = TriggerTask::new(text, TriggerOptions { k: 2, seq_length: 16, ..Default::default() })?;
    let batches = Batches::new(Arc::new(task), BatchOptions { batch_size: 4, seed, workers: 1 })?;
    let sizes = SimplifiedArgs { max_length: 16, dim: 8, ..Default::default() };
    Ok(Run::new(Simplified::new(65, &sizes)?.init(seed), batches).every(2).quiet())
}

#[test]
fn a_sweep_in_code_gives_what_each_run_gives_alone_in_the_order_of_its_points() {
    let dir = tempfile::tempdir().unwrap();
    let sweep = Sweep::over((0..5).map(|seed| (format!("seed={seed}"), seed))).unwrap();
    let ran = sweep.jobs(3).save_to(dir.path()).train(4, |seed| run(*seed)).into_iter();
    for (seed, ran) in (0..5).zip(ran) {
        assert_eq!((ran.name, ran.point), (format!("seed={seed}"), seed));
        assert_eq!(ran.history.unwrap(), run(seed).unwrap().train(4).unwrap());
        assert!(dir.path().join(format!("seed={seed}/final.safetensors")).exists());
    }
}

#[test]
fn the_same_sweep_again_takes_up_what_is_unfinished_and_leaves_what_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let sweep = |seeds: std::ops::Range<u64>| {
        Sweep::over(seeds.map(|seed| (format!("seed={seed}"), seed))).unwrap().save_to(dir.path())
    };
    sweep(0..1).train(4, |seed| run(*seed)); // finished
    sweep(1..2).train(3, |seed| run(*seed)); // stopped on its way
    let weights = dir.path().join("seed=0/final.safetensors");
    let before = std::fs::read(&weights).unwrap();
    for ran in sweep(0..3).train(4, |seed| run(*seed)) {
        assert_eq!(ran.history.unwrap(), run(ran.point).unwrap().train(4).unwrap(), "{}", ran.name);
    }
    assert_eq!(std::fs::read(&weights).unwrap(), before);
    // another optimiser is another experiment: it is no run to go on with
    let other = sweep(0..1).train(4, |seed| Ok(run(*seed)?.optim(ihead::train::optim::Sgd::new(0.5))));
    assert!(other[0].history.is_err());
    assert_eq!(std::fs::read(&weights).unwrap(), before);
}

#[test]
fn a_run_that_fails_or_panics_takes_no_other_with_it() {
    let sweep = Sweep::over([("good", 0), ("refused", 1), ("panics", 2), ("good too", 3)]).unwrap();
    let ran = sweep.jobs(2).train(2, |seed| match seed {
        1 => Err(ihead::Error::usage("not this one")),
        2 => panic!("nor that one"),
        seed => run(*seed),
    });
    let said: Vec<String> =
        ran.iter().map(|ran| ran.history.as_ref().map_or_else(|e| e.to_string(), |_| "ran".into())).collect();
    assert_eq!(said, ["ran", "not this one", "the run panics panicked: nor that one", "ran"]);
}

#[test]
fn names_are_those_of_folders_and_different() {
    let refused = |names: [&str; 2]| Sweep::over(names.map(|name| (name, ()))).unwrap_err().to_string();
    assert_eq!(refused(["a", "a"]), "two points of a sweep are named 'a'; name one otherwise");
    assert_eq!(refused(["a", "../b"]), "name of a run: '../b'; expected one that can name its folder");
}

#[test]
fn a_level_of_confidence_is_between_0_and_1() {
    let dir = tempfile::tempdir().unwrap();
    for confidence in [f64::NAN, -1.0, 0.0, 1.0, 2.0] {
        let options = ihead::sweep::Collect { confidence, ..Default::default() };
        let error = ihead::sweep::collect(&[dir.path()], &options).unwrap_err().to_string();
        assert_eq!(error, format!("confidence: {confidence}; expected a number between 0 and 1"));
    }
}

/// The names of points are the settings of runs that have none of their own.
#[test]
fn tables_of_a_sweep_in_code_know_its_points_by_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let points =
        [("rate=0.1,seed=1", (0.1, 1)), ("rate=0.1,seed=2", (0.1, 2)), ("rate=0.01,seed=1", (0.01, 1))];
    let ran = Sweep::over(points)
        .unwrap()
        .save_to(dir.path())
        .train(2, |(rate, seed)| Ok(run(*seed)?.optim(ihead::train::optim::Sgd::new(*rate))));
    assert!(ran.iter().all(|ran| ran.history.is_ok()));
    let of = |options: &Collect| collect(&[dir.path()], options).unwrap().table;
    let table = of(&Collect::default());
    assert_eq!(table.columns[..4], ["run", "status", "rate", "seed"]);
    let mut rates: Vec<f64> = table.rows.iter().filter_map(|row| row[2].as_f64()).collect();
    rates.sort_by(f64::total_cmp);
    assert_eq!(rates, [0.01, 0.1, 0.1]);
    assert_eq!(of(&Collect { over: vec!["seed".into()], ..Collect::default() }).rows.len(), 2);
    // any other name is none
    std::fs::rename(dir.path().join("rate=0.1,seed=1"), dir.path().join("rate=0.1,first")).unwrap();
    assert_eq!(of(&Collect::default()).rows.iter().filter(|row| row[2].is_null()).count(), 1);
}

/// The mean of the setting stood under the name of the number.
#[test]
fn a_number_with_the_name_of_a_setting_is_what_is_averaged() {
    let dir = tempfile::tempdir().unwrap();
    let five = || WeightProbe::by("seed", Unit::Number, |_| Ok(Some(5.0)));
    let ran = Sweep::over([("seed=1", 1), ("seed=2", 2)])
        .unwrap()
        .save_to(dir.path())
        .train(1, |seed| Ok(run(*seed)?.weights([five()])));
    assert!(ran.iter().all(|ran| ran.history.is_ok()));
    let options = Collect { over: vec!["seed".into()], metrics: vec!["seed".into()], ..Collect::default() };
    let table = collect(&[dir.path()], &options).unwrap().table;
    let at = table.columns.iter().position(|column| column == "seed");
    let mean = at.map(|at| table.rows[0][at].as_f64());
    assert_eq!(mean, Some(Some(5.0)));
}
