//! What the golden tests share: reading the recorded cases.
#![allow(dead_code, missing_docs)]
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ihead::data::Batch;
use ihead::nn::{Module, Role};

/// One tensor of a safetensors file, as f32.
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

pub fn arrays(path: &Path) -> BTreeMap<String, Array> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let decode = |view: &safetensors::tensor::TensorView<'_>| -> Vec<f32> {
        let data = view.data();
        match view.dtype() {
            safetensors::Dtype::F32 => {
                data.chunks(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect()
            }
            safetensors::Dtype::F64 => {
                data.chunks(8).map(|c| f64::from_le_bytes(c.try_into().unwrap()) as f32).collect()
            }
            safetensors::Dtype::U8 => data.iter().map(|b| f32::from(*b)).collect(),
            safetensors::Dtype::I16 => {
                data.chunks(2).map(|c| f32::from(i16::from_le_bytes(c.try_into().unwrap()))).collect()
            }
            other => panic!("unexpected dtype {other:?}"),
        }
    };
    let tensors = file.tensors().into_iter();
    tensors
        .map(|(name, view)| (name, Array { shape: view.shape().to_vec(), values: decode(&view) }))
        .collect()
}

/// A recorded case.
pub struct Case {
    pub dir: PathBuf,
    pub name: String,
    pub json: serde_json::Value,
}

impl Case {
    /// All recorded cases, in order of name.
    pub fn all() -> Vec<Case> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let mut dirs: Vec<PathBuf> = std::fs::read_dir(&root).unwrap().map(|e| e.unwrap().path()).collect();
        dirs.retain(|d| d.join("case.json").exists());
        dirs.sort();
        assert_eq!(dirs.len(), 21, "recorded cases");
        dirs.into_iter().map(Case::open).collect()
    }

    pub fn open(dir: PathBuf) -> Case {
        let json = serde_json::from_str(&std::fs::read_to_string(dir.join("case.json")).unwrap()).unwrap();
        let name = dir.file_name().unwrap().to_string_lossy().into_owned();
        Case { dir, name, json }
    }

    pub fn simplified(&self) -> bool {
        self.json["script"] == "basic"
    }

    /// The overrides of a section, without its prefix.
    pub fn section(&self, prefix: &str) -> Vec<String> {
        let all = self.json["overrides"].as_array().unwrap().iter().map(|v| v.as_str().unwrap());
        all.filter_map(|o| o.strip_prefix(prefix)).map(String::from).collect()
    }

    /// The value of a top-level setting.
    pub fn param(&self, pointer: &str) -> &serde_json::Value {
        self.json["params"].pointer(pointer).unwrap_or(&serde_json::Value::Null)
    }

    pub fn arrays(&self, file: &str) -> BTreeMap<String, Array> {
        arrays(&self.dir.join(file))
    }

    pub fn batch(&self, arrays: &BTreeMap<String, Array>, suffix: &str) -> Batch {
        let of = |kind: &str| &arrays[&format!("{kind}_{suffix}")];
        let ints = |kind: &str| of(kind).values.iter().map(|v| *v as u32).collect();
        let marks = of("outs").values.iter().map(|v| *v as i32).collect();
        let shape = &of("x").shape;
        Batch { x: ints("x"), y: ints("y"), marks, batch: shape[0], seq: shape[1] }
    }
}

/// Copies the tensors of a state dict into a module, by name.
pub fn fill(module: &mut impl Module, state: &BTreeMap<String, Array>) {
    module.visit_mut("", &mut |name, _: Role, tensor| {
        let array = state.get(name).unwrap_or_else(|| panic!("the record has no {name}"));
        assert_eq!(tensor.dims(), array.shape, "{name}");
        tensor.write(&array.values).unwrap();
    });
}

/// The largest difference over the largest entry.
pub fn worst(expected: &[f32], found: impl IntoIterator<Item = f64>) -> f64 {
    let largest = expected.iter().fold(0.0_f64, |m, x| m.max(f64::from(x.abs())));
    let mut count = 0;
    let difference = expected.iter().zip(found).fold(0.0_f64, |m, (e, f)| {
        count += 1;
        let d = (f64::from(*e) - f).abs();
        if d.is_nan() { f64::INFINITY } else { m.max(d) }
    });
    assert_eq!(count, expected.len(), "as many values as recorded");
    if largest == 0.0 { difference } else { difference / largest }
}
