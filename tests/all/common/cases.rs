//! The recorded cases of the paper's program.
// what the example needs and these tests do not
#[allow(dead_code)]
#[path = "../../../examples/parity/case.rs"]
mod case;

use std::path::{Path, PathBuf};

use ihead::config;
use ihead::model::{Full, FullArgs, Simplified, SimplifiedArgs};
use ihead::nn::{Module, Role};

pub use case::{Case, Tensor, Tensors, json};

/// The folder of all recordings.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

impl Case {
    /// All recorded cases, in order of name.
    pub fn all() -> Vec<Case> {
        let mut dirs: Vec<PathBuf> =
            std::fs::read_dir(folder()).unwrap().map(|e| e.unwrap().path()).collect();
        dirs.retain(|d| d.join("case.json").exists());
        dirs.sort();
        assert_eq!(dirs.len(), 21, "recorded cases");
        dirs.iter().map(|dir| Case::open(dir).unwrap()).collect()
    }

    /// The overrides of a section, without its prefix.
    pub fn section(&self, prefix: &str) -> Vec<String> {
        let all = self.overrides().into_iter();
        all.filter_map(|o| o.strip_prefix(prefix).map(String::from)).collect()
    }

    /// The value of a setting: `/model_args/dim`.
    pub fn param(&self, pointer: &str) -> &serde_json::Value {
        self.params().pointer(pointer).unwrap_or(&serde_json::Value::Null)
    }

    /// What is recorded of each parameter, by its name.
    pub fn names(&self) -> &serde_json::Map<String, serde_json::Value> {
        self.json["names"].as_object().unwrap()
    }

    /// The names of the parameters that are frozen from the start.
    pub fn frozen(&self) -> Vec<&str> {
        let text = self.param("/freeze_until").as_str().unwrap_or_default();
        text.split(',').filter_map(|entry| entry.split_once(':')).map(|(_, name)| name).collect()
    }

    /// The model of a case that is `simplified()`.
    pub fn simplified_model(&self) -> Simplified<usize, usize, usize> {
        let args = config::parse::<SimplifiedArgs>(self.section("model_args.")).unwrap().args;
        Simplified::new(65, &args).unwrap()
    }

    /// The model of any other case.
    pub fn full_model(&self) -> Full<usize, usize, usize> {
        let args = config::parse::<FullArgs>(self.section("model_args.")).unwrap().args;
        Full::new(65, &args).unwrap()
    }
}

/// Copies the tensors of a state dict into a module, by name.
pub fn fill(module: &mut impl Module, state: &Tensors) {
    module.visit_mut("", &mut |name, _: Role, tensor| {
        let array = state.get(name).unwrap_or_else(|| panic!("the record has no {name}"));
        assert_eq!(tensor.dims(), array.shape, "{name}");
        let values: Vec<f32> = array.values.iter().map(|v| *v as f32).collect();
        tensor.write(&values).unwrap();
    });
}

/// The largest difference over the largest entry.
pub fn worst(expected: &[f64], found: impl IntoIterator<Item = f64>) -> f64 {
    let largest = expected.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    let mut count = 0;
    let difference = expected.iter().zip(found).fold(0.0_f64, |m, (e, f)| {
        count += 1;
        let d = (e - f).abs();
        if d.is_nan() { f64::INFINITY } else { m.max(d) }
    });
    assert_eq!(count, expected.len(), "as many values as recorded");
    if largest == 0.0 { difference } else { difference / largest }
}
