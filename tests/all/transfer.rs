//! Tensors by pattern, from a file or another model.
use ihead::config::Config;
use ihead::io::{load, load_matching, save};
use ihead::model::{Simplified, SimplifiedArgs};
use ihead::nn::{ModuleExt, Storage};

type Model = Simplified<usize, usize, usize>;

fn model(dim: usize, seed: u64) -> Model {
    let sizes = SimplifiedArgs { max_length: 8, dim, final_ffn: true, ..SimplifiedArgs::defaults() };
    Simplified::new(5, &sizes).unwrap().init(seed)
}

fn values(model: &Model, name: &str) -> Vec<f32> {
    model.tensor(name).unwrap().values()
}

/// The names whose values are not those that `model(4, 1)` begins with.
fn changed(model_now: &Model) -> Vec<String> {
    let before = model(4, 1);
    let names = model_now.tensors().into_iter().map(|(name, ..)| name);
    names.filter(|name| values(&before, name) != values(model_now, name)).collect()
}

const LAYER_0: [&str; 3] =
    ["layers.0.attention.wk.weight", "layers.0.attention.wv.weight", "layers.0.attention.wo.weight"];

#[test]
fn a_part_of_another_model_is_copied_and_the_rest_left_alone() {
    let (donor, mut model) = (model(4, 0), model(4, 1));
    assert_eq!(model.copy_from(&donor, "layers.0.attention.*").unwrap(), LAYER_0);
    assert_eq!(changed(&model), LAYER_0);
    assert!(LAYER_0.iter().all(|name| values(&model, name) == values(&donor, name)));
}

#[test]
fn a_part_of_a_file_may_go_to_another_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("donor.safetensors");
    let (mut donor, mut model) = (model(4, 0), model(4, 1));
    donor.set_storage(Storage::Double).unwrap();
    donor.update_f64("layers.0.attention.wk", &mut |w| w[0] = 0.1).unwrap();
    save(&path, &donor).unwrap();
    let set = load_matching(&path, "layers.0.attention.w* -> layers.1.attention.w*", &mut model).unwrap();
    let mut layer_1 = LAYER_0.map(|name| name.replace("layers.0", "layers.1"));
    assert_eq!(changed(&model), layer_1);
    layer_1.sort();
    assert_eq!(set, layer_1, "in the order of the file");
    let (from, to) = ("layers.0.attention.wk", "layers.1.attention.wk");
    assert_eq!(model.tensor(to).unwrap().data(), donor.tensor(from).unwrap().data(), "all 64 bits");
    // short names on both sides
    assert_eq!(model.copy_from(&donor, "output -> tok_embeddings").unwrap(), ["tok_embeddings.weight"]);
    assert_eq!(values(&model, "tok_embeddings"), values(&donor, "output"));
}

#[test]
fn a_part_that_does_not_fit_changes_nothing() {
    let (small, wide) = (model(4, 0), model(6, 0));
    let refused = |donor: &Model, pattern: &str| {
        let mut model = model(4, 1);
        let error = model.copy_from(donor, pattern).unwrap_err().to_string();
        assert!(changed(&model).is_empty(), "{pattern}");
        error
    };
    for (donor, pattern, said) in [
        (&small, "layers.0.atention.*", "no tensor 'layers.0.atention.*'"),
        (&small, "layers.0.attention.wkk", "did you mean 'layers.0.attention.wk.weight'?"),
        (
            &small,
            "layers.0.attention",
            "no tensor 'layers.0.attention'; did you mean 'layers.0.attention.*'?",
        ),
        (
            &wide,
            "layers.0.*",
            "'layers.0.attention.wk.weight', for 'layers.0.attention.wk.weight' of the model: expected shape [4, 4], found [6, 6]",
        ),
        (&small, "layers.1.ff -> layers.0.ff", "no tensor of the model 'layers.0.ff'"),
        (&small, "layers.*.attention.w* -> layers.1.attention.w*", "different numbers of '*'"),
        (&small, "layers.0.* ->", "a name is missing"),
        (&small, "layers.*.wk.weight -> layers.1*.wk.weight", "no tensor of the model"),
    ] {
        let error = refused(donor, pattern);
        assert!(error.contains(said) && error.lines().count() == 1, "{pattern}: {error}");
    }
}

#[test]
fn two_tensors_for_one_place_are_refused() {
    let (donor, mut into) = (model(4, 0), model(4, 1));
    // the first '*' is nothing in both names, the second everything behind it
    let error = into.copy_from(&donor, "*layers.*.attention.wk.weight -> *layers.1*.attention.wk.weight");
    assert!(error.is_err() && changed(&into).is_empty());
}

#[test]
fn a_state_dict_without_weight_in_its_names_is_loaded_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("short.safetensors");
    let (donor, mut into) = (model(4, 0), model(4, 1));
    let tensors = donor.tensors();
    let short = |name: &str| name.trim_end_matches(".weight").to_string();
    let names: Vec<String> = tensors.iter().map(|(name, ..)| short(name)).collect();
    let all = names.iter().zip(&tensors).map(|(name, (_, _, t))| (name.as_str(), t.dims(), t.data()));
    ihead::io::write(&path, all).unwrap();
    load(&path, &mut into).unwrap();
    assert!(donor.tensors().iter().all(|(name, _, t)| values(&into, name) == t.values()));
}
