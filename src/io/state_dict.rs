//! State dicts: safetensors files with PyTorch's names and layouts.
use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::nn::{Module, ModuleExt, ParamId};
use crate::{Error, Result};

use super::write_atomically;

/// A tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Sizes.
    pub shape: Vec<usize>,
    /// Values, row-major.
    pub values: Vec<f32>,
}

/// Writes every parameter and buffer of `module` under its names, as f32; the file is whole or not there.
///
/// # Errors
/// If the file cannot be written.
pub fn save(path: &Path, module: &(impl Module + ?Sized)) -> Result<()> {
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = module
        .tensors()
        .into_iter()
        .map(|(name, _, t)| (name, t.dims(), t.values().iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let mut views = Vec::new();
    for (name, shape, bytes) in &tensors {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        views.push((name.as_str(), view.map_err(|e| Error::format(path, e.to_string()))?));
    }
    let content = safetensors::serialize(views, None).map_err(|e| Error::format(path, e.to_string()))?;
    write_atomically(path, &content)
}

/// Reads every tensor of a safetensors file; f32 and f64.
///
/// # Errors
/// If the file is missing, truncated, no safetensors file, or has tensors of another type.
pub fn read(path: &Path) -> Result<BTreeMap<String, Array>> {
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| {
        Error::format(path, format!("not a whole safetensors file of {} bytes: {e}", bytes.len()))
    })?;
    let mut arrays = BTreeMap::new();
    for (name, view) in file.tensors() {
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F64 => data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
            other => {
                let message = format!("{name} has type {other:?}, expected F32 or F64");
                return Err(Error::format(path, message));
            }
        };
        arrays.insert(name, Array { shape: view.shape().to_vec(), values });
    }
    Ok(arrays)
}

/// Sets every parameter and buffer of `module` from a safetensors file; nothing is changed unless all fit.
///
/// # Errors
/// If the file cannot be read, lacks a name, has one that the module lacks, or a tensor of another shape; or if two
/// names of one parameter disagree.
pub fn load(path: &Path, module: &mut (impl Module + ?Sized)) -> Result<()> {
    let arrays = read(path)?;
    let tensors = module.tensors();
    let known = || tensors.iter().map(|(name, _, _)| name.as_str());
    if let Some(name) = arrays.keys().find(|name| !known().any(|k| k == *name)) {
        let hint = crate::names::hint(name, known());
        return Err(Error::format(path, format!("the model has no tensor {name}{hint}")));
    }
    let mut first: BTreeMap<ParamId, &str> = BTreeMap::new();
    for (name, _, tensor) in &tensors {
        let Some(array) = arrays.get(name) else {
            let hint = crate::names::hint(name, arrays.keys().map(String::as_str));
            return Err(Error::format(path, format!("lacks the tensor {name}{hint}")));
        };
        if array.shape != tensor.dims() {
            let message = format!("{name} has shape {:?}, expected {:?}", array.shape, tensor.dims());
            return Err(Error::format(path, message));
        }
        let twin = first.entry(tensor.id()).or_insert(name);
        if arrays.get(*twin).is_some_and(|other| !same_bits(&other.values, &array.values)) {
            let message = format!("{twin} and {name} differ, but the model has one parameter for both");
            return Err(Error::format(path, message));
        }
    }
    let mut written = Ok(());
    module.visit_mut("", &mut |name, _, tensor| {
        if let (Ok(()), Some(array)) = (&written, arrays.get(name)) {
            written = tensor.write(&array.values);
        }
    });
    written
}

/// Whether the values are the same, NaN included.
fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits()))
}
