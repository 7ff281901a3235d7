//! A recorded run of the paper's program, as its folder holds it.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ihead::data::Batch;
use ihead::{Error, Result};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// A tensor with its values as f64.
pub struct Tensor {
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
}

/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// A case.
pub struct Case {
    dir: PathBuf,
    /// Of `case.json`.
    pub json: Value,
}

impl Case {
    /// Reads `case.json` of a folder.
    pub fn open(dir: &Path) -> Result<Case> {
        Ok(Case { dir: dir.to_owned(), json: json(&dir.join("case.json"))? })
    }

    /// The folder's name.
    pub fn name(&self) -> String {
        self.dir.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// Whether it is a run of the simplified model's program.
    pub fn simplified(&self) -> bool {
        self.json["script"] == "basic"
    }

    /// The command line that repeats it from the recorded initial weights, with its files in `save_dir`.
    pub fn command_line(&self, save_dir: &Path) -> Vec<String> {
        let mut line = self.overrides();
        line.push(format!("init_from={}", self.dir.join("init.safetensors").display()));
        line.push(format!("test_batch_size={}", self.json["test_sequences"]));
        line.push(format!("save_dir={}", save_dir.display()));
        line
    }

    /// The command line that it was recorded with.
    pub fn overrides(&self) -> Vec<String> {
        let recorded = self.json["overrides"].as_array().into_iter().flatten();
        recorded.filter_map(Value::as_str).map(String::from).collect()
    }

    /// The resolved settings.
    pub fn params(&self) -> &Value {
        &self.json["params"]
    }

    /// One object an evaluation.
    pub fn trace(&self) -> Result<Vec<Value>> {
        match json(&self.dir.join("trace.json"))? {
            Value::Array(rows) => Ok(rows),
            _ => Err(Error::format(self.dir.join("trace.json"), "expected a list of evaluations")),
        }
    }

    /// The tensors of one of its files.
    pub fn tensors(&self, file: &str) -> Result<Tensors> {
        tensors(&self.dir.join(file))
    }

    /// The batch whose tensors end in `suffix` (an iteration or `test`), if it was recorded.
    pub fn batch(recorded: &Tensors, suffix: &str) -> Option<Batch> {
        let of = |kind: &str| recorded.get(&format!("{kind}_{suffix}"));
        let (x, y, marks) = (of("x")?, of("y")?, of("outs")?);
        let tokens = |t: &Tensor| t.values.iter().map(|v| *v as u32).collect();
        let marks = marks.values.iter().map(|v| *v as i32).collect();
        let [batch, seq] = x.shape[..] else { return None };
        Some(Batch { x: tokens(x), y: tokens(y), marks, batch, seq })
    }
}

/// The JSON value in a file.
pub fn json(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    serde_json::from_str(&text).map_err(|e| Error::format(path, format!("not JSON: {e}")))
}

/// The JSON values in the lines of a file.
pub fn json_lines(path: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    let parse = |line| serde_json::from_str(line).map_err(|e| Error::format(path, format!("not JSON: {e}")));
    text.lines().map(parse).collect()
}

/// All tensors of a safetensors file.
pub fn tensors(path: &Path) -> Result<Tensors> {
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| Error::format(path, e.to_string()))?;
    let mut tensors = Tensors::new();
    for (name, view) in file.tensors() {
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => data.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
            Dtype::F64 => data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
            Dtype::I16 => data.as_chunks().0.iter().map(|b| f64::from(i16::from_le_bytes(*b))).collect(),
            Dtype::U8 => data.iter().map(|b| f64::from(*b)).collect(),
            other => return Err(Error::format(path, format!("{name} has type {other:?}"))),
        };
        tensors.insert(name, Tensor { shape: view.shape().to_vec(), values });
    }
    Ok(tensors)
}
