//! Named parameters: names, ties, initial values, freezing.
use ihead::Module;
use ihead::backend::{Const, Dim};
use ihead::config::Config;
use ihead::data::{Batch, BatchOptions, Batches, CausalGraph};
use ihead::engine::Penalty;
use ihead::model::{OutputKind, Simplified, SimplifiedArgs, Transformer, TransformerArgs};
use ihead::nn::{AnyParam, Init, Linear, Map, Module, ModuleExt, Param, Params, Role, Storage, Values};
use ihead::run::Run;
use ihead::train::Loss;
use ihead::train::optim::{Groups, Sgd};
use std::sync::Arc;

#[derive(Module)]
struct Layer<A: Module, D: Dim> {
    #[module]
    attention: A,
    #[module]
    ff: Option<Linear<D, D>>,
    #[param]
    gain: Option<Param<(D,)>>,
    #[allow(dead_code)]
    not_visited: Param<(D, D)>,
}

#[derive(Module)]
#[module(aliases = Self::aliases)]
struct Model<A: Module, D: Dim> {
    #[module(rename = "tok_embeddings")]
    embed: Linear<D, D>,
    #[buffer]
    pe: Param<(usize, D)>,
    #[module]
    layers: Vec<Layer<A, D>>,
    #[module]
    pair: [Box<Linear<D, D>>; 2],
    #[param]
    r#type: Param<(D,)>,
    tied: bool,
}

impl<A: Module, D: Dim> Model<A, D> {
    fn aliases(&self) -> Vec<(&'static str, &'static str)> {
        if self.tied { vec![("output.weight", "tok_embeddings.weight")] } else { vec![] }
    }
}

fn model<D: Dim>(dim: D, tied: bool) -> Model<Map<D>, D> {
    let layer = |attention, full: bool| Layer {
        attention,
        ff: full.then(|| Linear::new(dim, dim)),
        gain: full.then(|| Param::new((dim,), Init::Ones)),
        not_visited: Param::new((dim, dim), Init::Zeros),
    };
    Model {
        embed: Linear::new(dim, dim),
        pe: Param::new((3, dim), Init::Normal { std: 1.0 }),
        layers: vec![layer(Map::linear(dim), true), layer(Map::Identity, false)],
        pair: [Box::new(Linear::new(dim, dim)), Box::new(Linear::new(dim, dim).frozen())],
        r#type: Param::new((dim,), Init::Zeros),
        tied,
    }
}

fn names(model: &impl Module) -> Vec<String> {
    model.tensors().into_iter().map(|(name, ..)| name).collect()
}

const NAMES: [&str; 8] = [
    "tok_embeddings.weight",
    "pe",
    "layers.0.attention.weight",
    "layers.0.ff.weight",
    "layers.0.gain",
    "pair.0.weight",
    "pair.1.weight",
    "type",
];

#[test]
fn names_are_paths_of_fields_for_both_kinds_of_dim() {
    assert_eq!(names(&model(4, false)), NAMES);
    assert_eq!(names(&model(Const::<4>, false)), NAMES);
}

#[test]
fn a_tie_is_one_parameter_under_two_names() {
    let mut model = model(4, true);
    assert_eq!(names(&model)[8], "output.weight");
    let ids = ["output.weight", "tok_embeddings.weight"].map(|name| model.tensor(name).unwrap().id());
    assert_eq!(ids[0], ids[1]);

    // trained, counted and drawn once, under its first name
    assert!(model.training().iter().all(|(name, _)| name != "output.weight"));
    assert_eq!(model.count(), 5 * 16 + 2 * 4);
    model = model.init(3);
    let distribution = Init::linear(4);
    assert_eq!(model.embed.weight.values(), distribution.draw(3, "tok_embeddings.weight", 16));

    // either name reaches it
    model.update("output.weight", &mut |values| values.fill(2.0)).unwrap();
    assert_eq!(model.embed.weight.values(), [2.0; 16]);
    model.freeze("output.weight").unwrap();
    assert!(!model.embed.weight.trains());
}

#[test]
fn buffers_have_a_name_and_never_train() {
    let mut model = model(4, false);
    let (name, role, pe) = model.tensors().swap_remove(1);
    assert_eq!((name.as_str(), role), ("pe", Role::Buffer));
    let id = pe.id();
    assert!(!Params::of(&model).trains(id));
    assert!(model.training().iter().all(|(name, _)| name != "pe"));
    let error = model.release("pe").unwrap_err();
    assert_eq!(error.to_string(), "pe: a buffer, which never trains; expected the name of a parameter");
}

#[test]
fn patterns_freeze_and_release() {
    let mut model = model(4, false);
    let training = |model: &Model<_, _>| model.training().into_iter().map(|(n, _)| n).collect::<Vec<_>>();
    model.freeze("*").unwrap();
    assert!(training(&model).is_empty());
    model.release("layers.*.weight").unwrap();
    assert_eq!(training(&model), ["layers.0.attention.weight", "layers.0.ff.weight"]);
    model.release("*.gain").unwrap();
    assert_eq!(training(&model).len(), 3);

    let before = training(&model);
    let error = model.freeze("layers.0.gian").unwrap_err().to_string();
    assert!(error.ends_with("did you mean 'layers.0.gain'?"), "{error}");
    assert!(model.freeze("layers.0").is_err(), "a name without * is a whole name");
    assert!(model.freeze("").is_err());
    assert_eq!(training(&model), before);
}

#[test]
fn a_further_parameter_leaves_the_initial_values_of_the_others() {
    let (mut plain, mut tied) = (model(4, false), model(4, true));
    plain.layers.pop();
    plain = plain.init(7);
    tied = tied.init(7);
    for name in names(&plain) {
        assert_eq!(plain.tensor(&name).unwrap().values(), tied.tensor(&name).unwrap().values(), "{name}");
    }
    assert_ne!(plain.pair[0].weight.values(), plain.pair[1].weight.values());
    assert_ne!(plain.layers[0].ff.as_ref().unwrap().weight.norm(), 0.0);
}

#[test]
fn values_that_do_not_fit_are_an_error() {
    let endless = Param::from_values((usize::MAX, 3), vec![0.0; 5]).unwrap_err().to_string();
    assert_eq!(endless, "parameter: expected shape [18446744073709551615, 3], found [5]");
    let error = Param::from_values((2, 3), vec![0.0; 5]).unwrap_err();
    assert_eq!(error.to_string(), "parameter: expected shape [2, 3], found [5]");
    let mut param = Param::from_values((2, 2), vec![1.0, 2.0, 3.0, 4.0]).unwrap();
    assert!(param.write(&[0.0; 3]).is_err());
    assert_eq!(param.values(), [1.0, 2.0, 3.0, 4.0]);
    param.write(&[0.0; 4]).unwrap();
    param.draw(0, "any");
    assert_eq!(param.values(), [1.0, 2.0, 3.0, 4.0], "given values are its initial values");
}

#[test]
fn a_distribution_that_is_none_of_its_parameter_is_refused_with_its_name() {
    let refused = |init: Init| {
        let mut model = transformer();
        model.tok_embeddings.weight = Param::new(*model.tok_embeddings.weight.shape(), init);
        model = model.init(0); // does not panic, and draws nothing for it
        assert!(!model.tok_embeddings.weight.is_initialised());
        ihead::graph::record(&model, 8).unwrap_err()
    };
    for (init, found) in [
        (Init::Values(vec![0.0; 3]), "3 initial values"),
        (Init::Uniform { bound: -1.0 }, "initial values from Uniform { bound: -1.0 }"),
        (Init::Normal { std: f64::NAN }, "initial values from Normal { std: NaN }"),
        (
            Init::Copy { name: "other".into(), init: Box::new(Init::Ones), divisor: 0.0 },
            "initial values divided by 0",
        ),
    ] {
        let error = refused(init);
        let ihead::Error::Misfit { operation, found: said, .. } = &error else { panic!("{error}") };
        assert_eq!((operation.as_str(), said.as_str()), ("parameter 'tok_embeddings.weight' [5, 4]", found));
    }
}

/// What is lent was left as it was, and nothing was said.
#[test]
fn a_model_that_is_lent_is_not_changed_and_says_so() {
    use ihead::data::{BatchOptions, Batches, CausalGraph};
    let (model, donor) = (transformer(), transformer());
    let dir = tempfile::tempdir().unwrap();
    let (path, run) = (dir.path().join("donor.safetensors"), dir.path().join("run"));
    ihead::io::save(&path, &donor).unwrap();
    let mut lent = ihead::model::FeedForwardsOnly(&model);
    let said = "parameter 'tok_embeddings.weight': lent to be read: `visit_mut` does not show it; \
                expected a model that can be changed";
    for error in [
        lent.freeze("output").err(),
        lent.release("output").err(),
        lent.update("output", &mut |values| values.fill(0.0)).err(),
        lent.copy_from(&donor, "output").err(),
        ihead::io::load(&path, &mut lent).err(),
    ] {
        assert_eq!(error.unwrap().to_string(), said);
    }
    let task = std::sync::Arc::new(CausalGraph::chain(5, 4, 0.5).unwrap());
    let batches = Batches::new(task, BatchOptions { batch_size: 2, ..Default::default() }).unwrap();
    let error = ihead::run::Run::new(lent, batches).save_to(&run).train(1).unwrap_err();
    assert!(error.to_string() == said && !run.exists(), "{error}");
}

#[test]
fn parameters_without_values_can_be_drawn() {
    let empty = Linear::new(0, 3).init(1);
    assert!(empty.weight.values().is_empty());
}

/// A model of two layers with everything that has a short name.
fn transformer() -> ihead::model::Simplified<usize, usize, usize> {
    let sizes = SimplifiedArgs { max_length: 8, dim: 4, final_ffn: true, ..SimplifiedArgs::defaults() };
    Simplified::new(5, &sizes).unwrap().init(1)
}

#[test]
fn a_name_without_weight_is_the_one_tensor_of_its_module() {
    let mut model = transformer();
    let (short, full) = ("layers.1.attention.wk", "layers.1.attention.wk.weight");
    assert_eq!(model.tensor(short).unwrap().id(), model.tensor(full).unwrap().id());
    assert_eq!(model.matching(short).unwrap(), [full]);
    let both = ["layers.0.attention.wk.weight", "layers.1.attention.wk.weight"];
    assert_eq!(ModuleExt::matching(&model, "layers.*.attention.wk").unwrap(), both);
    model.freeze(short).unwrap();
    assert!(!model.tensor(full).unwrap().trains());
    model.update(short, &mut |values| values.fill(2.0)).unwrap();
    assert!(model.tensor(full).unwrap().values().iter().all(|v| *v == 2.0));
    ihead::train::WeightEdit::zero(short).check(&model).unwrap();
    assert!(ihead::probe::StateDict::matrix(&model, short).is_ok());
    assert_eq!(ihead::probe::StateDict::matching(&model, short).unwrap(), [full]);
    let recall: ihead::probe::Recall =
        "r: tok_embeddings -> layers.1.attention.wk ~ output => self".parse().unwrap();
    recall.evaluate(&model).unwrap();
}

#[test]
fn a_range_or_a_star_is_the_name_of_no_single_tensor() {
    let mut model = transformer();
    let both = "layers.0..2.attention.wk";
    assert_eq!(model.matching(both).unwrap().len(), 2);
    for name in [both, "layers.*.attention.wk", "layers.1*.attention.wk", "layers.*.attention.wk.weight"] {
        let read = model.tensor(name).map(drop).unwrap_err().to_string();
        let written = model.update(name, &mut |values| values.fill(1.0)).unwrap_err().to_string();
        assert!(read.starts_with(&format!("no parameter '{name}'")), "{read}");
        assert!(!read.contains(&format!("did you mean '{name}'")), "{read}");
        assert_eq!(read, written);
    }
}

#[test]
fn a_name_of_a_module_of_several_tensors_is_told_how_to_name_them_all() {
    let model = transformer();
    let expected = " 'layers.1.attention'; did you mean 'layers.1.attention.*'?";
    let errors = [
        model.tensor("layers.1.attention").map(drop),
        ModuleExt::matching(&model, "layers.1.attention").map(drop),
        ihead::train::WeightEdit::zero("layers.1.attention").check(&model),
        ihead::probe::StateDict::matrix(&model, "layers.1.attention").map(drop),
    ];
    for error in errors.map(|found| found.unwrap_err().to_string()) {
        assert!(error.starts_with("no ") && error.ends_with(expected), "{error}");
    }
    for wrong in ["layers.1.attention.wkk", "layers.1.attention.wl"] {
        let error = model.tensor(wrong).map(drop).unwrap_err().to_string();
        assert_eq!(error, format!("no parameter '{wrong}'; did you mean 'layers.1.attention.wk.weight'?"));
    }
}

#[test]
fn a_constant_distribution_gives_its_values_at_once() {
    let ones: Param<(usize,)> = Param::new((2,), Init::Ones);
    assert_eq!((ones.values(), ones.is_initialised()), (vec![1.0, 1.0], true));
    let mut drawn: Param<(usize,)> = Param::new((2,), Init::Normal { std: 1.0 });
    assert!(!drawn.is_initialised());
    drawn.draw(0, "drawn");
    assert!(drawn.is_initialised());
}

#[test]
fn a_change_in_single_precision_leaves_the_other_64_bits_as_they_are() {
    let mut model = model(Const::<2>, false).init(3);
    model.set_storage(Storage::Double).unwrap();
    let name = "tok_embeddings.weight";
    model.update_f64(name, &mut |values| values.fill(0.1)).unwrap();
    model.update(name, &mut |values| values[1] = 0.3).unwrap();
    let Values::Double(values) = model.tensor(name).unwrap().data().clone() else {
        panic!("the values are single again")
    };
    assert_eq!((values[0], values[1], values[2]), (0.1, f64::from(0.3_f32), 0.1));
}

/// A transformer whose unembedding is the table of its embeddings.
fn tied(seed: u64) -> Transformer<usize, usize, usize> {
    let sizes = TransformerArgs {
        dim: 4,
        heads: 1,
        layers: 1,
        max_length: 4,
        output: OutputKind::Tied,
        ..Config::defaults()
    };
    Transformer::new(5, &sizes).unwrap().init(seed)
}

fn run_of_tied() -> Run<Transformer<usize, usize, usize>> {
    let task = Arc::new(CausalGraph::chain(5, 4, 0.5).unwrap());
    Run::new(tied(0), Batches::new(task, BatchOptions { batch_size: 2, seed: 0, workers: 1 }).unwrap())
        .quiet()
}

/// The embeddings after two steps.
fn trained(mut run: Run<Transformer<usize, usize, usize>>) -> ihead::Result<Vec<f32>> {
    run.train(2)?;
    Ok(run.model().tok_embeddings.weight.values())
}

#[test]
fn each_name_of_a_tied_parameter_names_it() {
    let (first, second) = ("tok_embeddings.weight", "output.weight");
    for pattern in [first, second, "output", "*t*ut.weight"] {
        assert_eq!(ModuleExt::matching(&tied(0), pattern).unwrap(), [first], "{pattern}");
    }
    assert_eq!(tied(0).matching("*.weight").unwrap().iter().filter(|name| *name == first).count(), 1);

    let grouped = |name: &str| Groups::new(Sgd::new(0.0).into()).group(name, Sgd::new(0.5).into());
    let by_first = trained(run_of_tied().optim(grouped(first))).unwrap();
    assert_ne!(by_first, tied(0).tok_embeddings.weight.values());
    assert_eq!(by_first, trained(run_of_tied().optim(grouped(second))).unwrap());
    let both = grouped(first).group(second, Sgd::new(0.1).into());
    let error = trained(run_of_tied().optim(both)).unwrap_err().to_string();
    assert!(
        error.contains("in two groups of the optimiser, 'tok_embeddings.weight' and 'output.weight'"),
        "{error}"
    );

    let timeline = |text: &str| trained(run_of_tied().timeline(text.parse().unwrap()));
    timeline("0: freeze(output), 1: release(tok_embeddings)").unwrap();
    let error = timeline("0: freeze(output), 1: freeze(tok_embeddings)").unwrap_err().to_string();
    assert!(error.contains("changes nothing, since what it names is frozen already"), "{error}");

    let penalty = |name: &str| Loss::next_token() + Loss::penalty(Penalty::L2, name);
    let by_first = trained(run_of_tied().loss(penalty(first))).unwrap();
    assert_eq!(by_first, trained(run_of_tied().loss(penalty("output"))).unwrap());

    // counted once in a penalty of all weights
    let batch = Batch { x: vec![0, 1], y: vec![1, 2], marks: vec![0; 2], batch: 1, seq: 2 };
    let loss = |loss: Loss| ihead::run::gradients(&tied(0), &batch, &loss).unwrap().loss;
    let squares = tied(0).training().iter().map(|(_, param)| param.data().norm().powi(2)).sum::<f64>();
    assert!((loss(penalty("*")) - loss(Loss::next_token()) - squares).abs() < 1e-9 * squares);
}

#[test]
fn two_tensors_are_not_copied_to_one_tied_parameter_unless_they_are_equal() {
    let mut model = tied(0);
    let sizes = TransformerArgs { dim: 4, heads: 1, layers: 1, max_length: 4, ..Config::defaults() };
    let other = Transformer::new(5, &sizes).unwrap().init(1);
    let error = model.copy_from(&other, "*").unwrap_err().to_string();
    let expected = "output.weight: tied, and 'tok_embeddings.weight' and 'output.weight' of the source differ; expected one of \
                    them, or equal ones";
    assert_eq!(error, expected);
    let wk = |model: &Transformer<_, _, _>| model.tensor("layers.0.attention.wk").unwrap().values();
    assert_eq!(wk(&model), wk(&tied(0)), "nothing is changed");
    model.copy_from(&other, "output").unwrap();
    assert_eq!(model.tok_embeddings.weight.values(), other.tensor("output").unwrap().values());
    model.copy_from(&tied(2), "*").unwrap();
    assert_eq!(model.tok_embeddings.weight.values(), tied(2).tok_embeddings.weight.values());
}

#[test]
fn a_gradient_is_found_by_the_path_of_its_module() {
    let batch = Batch { x: vec![0, 1], y: vec![1, 2], marks: vec![0; 2], batch: 1, seq: 2 };
    let found = ihead::run::gradients(&tied(0), &batch, &Loss::next_token()).unwrap();
    assert_eq!(found.of("layers.0.attention.wk").unwrap(), &found.by_name["layers.0.attention.wk.weight"]);
    // a tied parameter is listed once, and found under each of its names, as elsewhere
    let first = &found.by_name["tok_embeddings.weight"];
    assert!(!found.by_name.contains_key("output.weight"));
    for name in ["tok_embeddings", "tok_embeddings.weight", "output", "output.weight"] {
        assert_eq!(found.of(name).unwrap(), first, "{name}");
    }
    let mut frozen = tied(0);
    frozen.freeze("output").unwrap();
    let of_frozen = ihead::run::gradients(&frozen, &batch, &Loss::next_token()).unwrap();
    let error = of_frozen.of("output.weight").unwrap_err().to_string();
    assert!(error.starts_with("no trained parameter 'output.weight'"), "{error}");
    let error = found.of("layers.0.attention").unwrap_err().to_string();
    assert!(error.starts_with("no trained parameter 'layers.0.attention'"), "{error}");
    assert!(found.of("layers.0.attention.w*").is_err());
}

/// A module beside types that are called as those of the language, with a field on its way out.
#[deny(deprecated)]
mod odd_names {
    #[allow(non_camel_case_types, dead_code)]
    pub struct str;

    #[derive(ihead::Module)]
    #[module(aliases = Self::aliases)]
    pub struct Odd {
        #[deprecated]
        #[param]
        pub weight: ihead::nn::Param<(ihead::backend::Const<2>,)>,
    }

    impl Odd {
        #[allow(deprecated)]
        pub fn new() -> Self {
            Self { weight: ihead::nn::Param::new((ihead::backend::Const,), ihead::nn::Init::Zeros) }
        }

        fn aliases(&self) -> Vec<(String, String)> {
            vec![("gain".into(), "weight".into())]
        }
    }
}

#[test]
fn names_of_the_user_stay_out_of_a_derived_module() {
    let odd = odd_names::Odd::new();
    assert_eq!(names(&odd), ["weight", "gain"]);
}

/// A number for the values as they are: an engine reads them again when it is another.
#[test]
fn whatever_may_change_values_gives_them_another_version() {
    let mut param = Param::new((Const::<2>, Const::<3>), Init::Normal { std: 1.0 });
    let other = Param::new((Const::<2>, Const::<3>), Init::Zeros);
    let mut seen = vec![AnyParam::version(&other)];
    let mut is_new = |param: &Param<(Const<2>, Const<3>)>| {
        let version = AnyParam::version(param);
        let new = !seen.contains(&version);
        seen.push(version);
        new
    };
    assert!(is_new(&param));
    param.draw(1, "name");
    assert!(is_new(&param));
    param.data_mut();
    assert!(is_new(&param));
    param.put(Values::Single(vec![1.0; 6])).unwrap();
    assert!(is_new(&param));
    param.write(&[2.0; 6]).unwrap();
    assert!(is_new(&param));
    param.set_storage(Storage::Double);
    assert!(is_new(&param));
    // these do not change them
    param.set_storage(Storage::Double);
    param.set_trains(false);
    let _ = (param.data(), param.values(), AnyParam::norm(&param));
    assert!(param.put(Values::Single(vec![1.0; 5])).is_err() && !is_new(&param));
}
