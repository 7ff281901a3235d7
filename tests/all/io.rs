//! State dicts and arrays: what is written comes back, and a file that does not fit changes nothing.
use std::path::Path;

use ihead::Module;
use ihead::backend::Const;
use ihead::io::{Npz, load, read, save};
use ihead::nn::{Init, ModuleExt, Param, Storage, Values};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::common::npz;

/// A matrix under two names, a vector and a buffer.
#[derive(Module)]
#[module(aliases = Self::aliases)]
struct Tied {
    #[param]
    weight: Param<(Const<2>, Const<3>)>,
    #[param]
    bias: Param<(usize,)>,
    #[buffer]
    pe: Param<(Const<1>, usize)>,
}

impl Tied {
    fn new() -> Self {
        let zeros = || Init::Zeros;
        let (weight, bias) = (Param::new((Const, Const), zeros()), Param::new((2,), zeros()));
        Tied { weight, bias, pe: Param::new((Const, 1), zeros()) }
    }

    fn filled(values: [f32; 6]) -> Self {
        let mut tied = Self::new();
        tied.update("weight", &mut |w| w.copy_from_slice(&values)).unwrap();
        tied.update("bias", &mut |b| b.copy_from_slice(&[7.5, -8.0])).unwrap();
        tied.update("pe", &mut |p| p.fill(f32::MIN_POSITIVE)).unwrap();
        tied
    }

    fn aliases(&self) -> Vec<(&'static str, &'static str)> {
        vec![("output", "weight")]
    }
}

const WEIGHT: [f32; 6] = [0.1, -0.0, 3.5e-40, f32::INFINITY, -2.0, 1e30];

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn all_bits(module: &Tied) -> Vec<(String, Vec<u32>)> {
    module.tensors().into_iter().map(|(name, _, t)| (name, bits(&t.values()))).collect()
}

/// Writes f32 tensors, without a module.
fn write(path: &Path, tensors: &[(&str, &[usize], &[f32])]) {
    let bytes = |v: &[f32]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let data: Vec<_> = tensors.iter().map(|(name, shape, v)| (*name, shape.to_vec(), bytes(v))).collect();
    let views = data.iter().map(|(n, shape, b)| (*n, TensorView::new(Dtype::F32, shape.clone(), b).unwrap()));
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn a_saved_state_comes_back_bit_by_bit_under_every_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.safetensors");
    let (saved, mut loaded) = (Tied::filled(WEIGHT), Tied::new());
    save(&path, &saved).unwrap();
    load(&path, &mut loaded).unwrap();
    assert_eq!(all_bits(&loaded), all_bits(&saved));
    let arrays = read(&path).unwrap();
    assert_eq!(arrays.keys().collect::<Vec<_>>(), ["bias", "output", "pe", "weight"]);
    assert_eq!(arrays["output"].shape, [2, 3]);
    assert_eq!(bits(&arrays["output"].values.single()), bits(&WEIGHT));
}

#[test]
fn a_diverged_tied_state_can_be_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.safetensors");
    let (saved, mut loaded) = (Tied::filled([f32::NAN; 6]), Tied::new());
    save(&path, &saved).unwrap();
    load(&path, &mut loaded).unwrap();
    assert_eq!(all_bits(&loaded), all_bits(&saved));
}

/// Writes the tensors of [`Tied`] as F64.
fn write_f64(path: &Path, weight: [f64; 6]) {
    let [bias, pe] = [vec![0.1, -2.5], vec![0.0]].map(Values::Double);
    let weight = Values::Double(weight.to_vec());
    let tensors =
        [("weight", [2, 3].to_vec(), &weight), ("output", vec![2, 3], &weight), ("bias", vec![2], &bias)];
    ihead::io::write(path, tensors.into_iter().chain([("pe", vec![1, 1], &pe)])).unwrap();
}

const WIDE: [f64; 6] = [0.1, -0.0, 3.5e-310, f64::INFINITY, 1e300, 1.0 + f64::EPSILON];

#[test]
fn f64_stays_f64_when_it_is_loaded_and_saved() {
    let dir = tempfile::tempdir().unwrap();
    let [path, again] = ["a.safetensors", "b.safetensors"].map(|name| dir.path().join(name));
    write_f64(&path, WIDE);
    let mut loaded = Tied::filled(WEIGHT);
    load(&path, &mut loaded).unwrap();
    assert_eq!(*loaded.tensor("weight").unwrap().data(), Values::Double(WIDE.to_vec()));
    save(&again, &loaded).unwrap();
    assert_eq!(read(&again).unwrap(), read(&path).unwrap());
    assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&path).unwrap());
}

#[test]
fn f64_is_rounded_for_a_run_in_single_precision() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.safetensors");
    write_f64(&path, [0.1; 6]);
    let mut loaded = Tied::new();
    load(&path, &mut loaded).unwrap();
    loaded.set_storage(Storage::Single).unwrap();
    assert_eq!(*loaded.tensor("weight").unwrap().data(), Values::Single(vec![0.1; 6]));
}

#[test]
fn a_value_beyond_single_precision_is_refused_by_the_name_of_its_tensor() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.safetensors");
    write_f64(&path, WIDE);
    let mut loaded = Tied::new();
    load(&path, &mut loaded).unwrap();
    let message = loaded.set_storage(Storage::Single).unwrap_err().to_string();
    let expected = "weight: has the value 1e300; expected at most 3.4028235e38, the largest of single precision; precision=double keeps it";
    assert_eq!(message, expected);
    assert_eq!(*loaded.tensor("bias").unwrap().data(), Values::Double(vec![0.1, -2.5]), "nothing changed");
}

/// What `load` says about a file with these tensors; the module must stay as it was.
fn refused(tensors: &[(&str, &[usize], &[f32])]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.safetensors");
    write(&path, tensors);
    let mut module = Tied::filled(WEIGHT);
    let before = all_bits(&module);
    let message = load(&path, &mut module).unwrap_err().to_string();
    assert_eq!(all_bits(&module), before);
    assert!(!message.contains('\n'), "{message}");
    let (file, rest) = message.split_once(": ").unwrap();
    assert_eq!(Path::new(file), path);
    rest.to_string()
}

#[test]
fn a_state_that_does_not_fit_is_refused_whole() {
    let (w, b, pe) = (&[1.0; 6][..], &[1.0; 2][..], &[1.0][..]);
    let weight: (&str, &[usize], &[f32]) = ("weight", &[2, 3], w);
    let output: (&str, &[usize], &[f32]) = ("output", &[2, 3], w);
    let bias: (&str, &[usize], &[f32]) = ("bias", &[2], b);
    let pe: (&str, &[usize], &[f32]) = ("pe", &[1, 1], pe);
    assert_eq!(refused(&[weight, output, pe]), "lacks the tensor bias");
    assert_eq!(
        refused(&[weight, output, bias, pe, ("wieght", &[2, 3], w)]),
        "the model has no tensor wieght; did you mean 'weight'?"
    );
    assert_eq!(
        refused(&[("weight", &[3, 2], w), output, bias, pe]),
        "weight has shape [3, 2], expected [2, 3]"
    );
    assert_eq!(
        refused(&[weight, ("output", &[2, 3], &[2.0; 6]), bias, pe]),
        "weight and output differ, but the model has one parameter for both"
    );
}

#[test]
fn a_file_that_is_no_whole_state_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.safetensors");
    let said = || read(&path).unwrap_err().to_string();
    assert!(said().starts_with(&format!("cannot read {}: ", path.display())), "{}", said());
    save(&path, &Tied::filled(WEIGHT)).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let cut = whole.len() - 1;
    for content in [&whole[..cut], &whole[..40], &whole[..3], b"", b"PK\x03\x04 this is another kind of file"]
    {
        std::fs::write(&path, content).unwrap();
        let expected = format!("not a whole safetensors file of {} bytes", content.len());
        assert!(said().contains(&expected) && !said().contains('\n'), "{}", said());
    }
    let view = TensorView::new(Dtype::I64, vec![1], &[0; 8]).unwrap();
    std::fs::write(&path, safetensors::serialize([("steps", view)], None).unwrap()).unwrap();
    assert!(said().ends_with("steps has type I64, expected F32 or F64"), "{}", said());
}

#[test]
fn arrays_come_back_with_their_shape_and_type() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npz");
    let many: Vec<f32> = (0..50_000).map(|i| i as f32 * 0.1).collect();
    Npz::create(&path, |npz| {
        npz.array("x", &[2, 3], [1_i64, 2, 3, -4, 5, i64::MAX])?;
        npz.array("many", &[5, 10, 1000], many.iter().copied())?;
        npz.array("one", &[], [0.5_f32])?;
        npz.array("none", &[0, 4], [0.0_f32; 0])
    })
    .unwrap();
    let arrays = npz::read(&path);
    assert_eq!((&arrays["x"].shape[..], &arrays["x"].descr[..]), (&[2, 3][..], "<i8"));
    assert_eq!(arrays["x"].i64s(), [1, 2, 3, -4, 5, i64::MAX]);
    assert_eq!(arrays["many"].shape, [5, 10, 1000]);
    assert_eq!(arrays["many"].f32s(), many);
    assert_eq!((&arrays["one"].shape[..], arrays["one"].f32s()), (&[][..], vec![0.5]));
    assert_eq!((&arrays["none"].shape[..], arrays["none"].f32s()), (&[0, 4][..], vec![]));
    assert_eq!(arrays.len(), 4);
}

#[test]
fn an_array_of_too_few_or_many_values_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npz");
    for n in [5, 7] {
        let failed = Npz::create(&path, |npz| npz.array("x", &[2, 3], vec![0.0_f32; n]));
        let message = failed.unwrap_err().to_string();
        assert!(
            message.contains(&format!("array x: {n} values for the shape [2, 3], which has 6")),
            "{message}"
        );
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn others_may_read_what_the_umask_lets_them() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let (ours, plain) = (dir.path().join("ours"), dir.path().join("plain"));
    ihead::io::write_atomically(&ours, b"{}").unwrap();
    std::fs::write(&plain, b"{}").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&ours), mode(&plain));
}
