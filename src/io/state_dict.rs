//! State dicts: safetensors files with PyTorch's names and layouts.
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use crate::nn::{Module, ModuleExt, ParamId, Transfer, Values, check_writable, elements};
use crate::{Error, Result};

use super::write_atomically;

/// A tensor: an activation or a gradient in single precision, or a file's tensor in its own (`Array<Values>`).
#[derive(Clone, Debug, PartialEq)]
pub struct Array<V = Vec<f32>> {
    /// The sizes of the axes.
    pub shape: Vec<usize>,
    /// The values, row-major.
    pub values: V,
}

/// Writes every parameter and buffer of `module` under its name, as F64 where the values are kept in double precision and as
/// F32 otherwise. The file is written as a whole or not at all.
///
/// # Errors
/// If the file cannot be written.
pub fn save(path: &Path, module: &(impl Module + ?Sized)) -> Result<()> {
    let tensors = module.tensors();
    write(path, tensors.iter().map(|(name, _, tensor)| (name.as_str(), tensor.dims(), tensor.data())))
}

/// Writes tensors as a safetensors file, each as F32 or F64 as its values are kept, to the last bit. [`read`] is its
/// counterpart. The file is written as a whole or not at all.
///
/// # Errors
/// If a shape has not as many elements as there are values, or the file cannot be written.
pub fn write<'a>(
    path: &Path,
    tensors: impl IntoIterator<Item = (&'a str, Vec<usize>, &'a Values)>,
) -> Result<()> {
    write_with(path, tensors, None)
}

/// The same, with texts beside the tensors.
pub(crate) fn write_with<'a>(
    path: &Path,
    tensors: impl IntoIterator<Item = (&'a str, Vec<usize>, &'a Values)>,
    texts: Option<HashMap<String, String>>,
) -> Result<()> {
    let mut encoded: Vec<(&str, Encoded<'_>)> = Vec::new();
    let mut names = HashSet::new();
    for (name, shape, values) in tensors {
        if !names.insert(name) {
            return Err(Error::duplicate("tensors of a file", name));
        }
        let elements = elements(&shape);
        if elements != Some(values.len()) {
            let message = format!("{name}: {} values for shape {shape:?}", values.len());
            return Err(Error::format(path, message));
        }
        encoded.push((name, Encoded { shape, values }));
    }
    let content = safetensors::serialize(encoded, texts).map_err(|e| Error::format(path, e.to_string()))?;
    write_atomically(path, &content)
}

/// A tensor that is turned into bytes when its turn has come.
struct Encoded<'a> {
    shape: Vec<usize>,
    values: &'a Values,
}

impl safetensors::View for Encoded<'_> {
    fn dtype(&self) -> Dtype {
        match self.values {
            Values::Single(_) => Dtype::F32,
            Values::Double(_) => Dtype::F64,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(match self.values {
            Values::Single(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Values::Double(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
        })
    }

    fn data_len(&self) -> usize {
        self.values.len() * self.dtype().bitsize() / 8
    }
}

/// Reads every tensor of a safetensors file, F32 or F64, in its own precision.
///
/// # Errors
/// If the file is missing, truncated, no safetensors file, or has tensors of another type.
pub fn read(path: &Path) -> Result<BTreeMap<String, Array<Values>>> {
    read_with(path).map(|(tensors, _)| tensors)
}

/// Tensors and texts of a file.
type Content = (BTreeMap<String, Array<Values>>, HashMap<String, String>);

/// The same, with the texts beside the tensors.
pub(crate) fn read_with(path: &Path) -> Result<Content> {
    let (mut bytes, mut file) = (Vec::new(), crate::io::open(path)?);
    let length = file.metadata().map_err(|e| Error::io("read", path, e))?.len();
    if crate::memory::installed().is_some_and(|installed| length > installed) {
        return Err(Error::format(path, format!("{length} bytes, more than this machine has memory")));
    }
    file.read_to_end(&mut bytes).map_err(|e| Error::io("read", path, e))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| {
        Error::format(path, format!("not a whole safetensors file of {} bytes: {e}", bytes.len()))
    })?;
    let mut arrays = BTreeMap::new();
    for (name, view) in file.tensors() {
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => Values::Single(data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            Dtype::F64 => Values::Double(data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect()),
            other => {
                let message = format!("{name} has type {other:?}, expected F32 or F64");
                return Err(Error::format(path, message));
            }
        };
        arrays.insert(name, Array { shape: view.shape().to_vec(), values });
    }
    let header = SafeTensors::read_metadata(&bytes).map_err(|e| Error::format(path, e.to_string()))?;
    let texts = header.1.metadata().clone().unwrap_or_default();
    Ok((arrays, texts))
}

/// Sets every parameter and buffer of `module` from a safetensors file. If one of them does not fit, nothing changes.
///
/// Each tensor is kept in the precision that it has in the file. A run continues in its own: with `precision=double` nothing
/// is lost, otherwise 64 bits are rounded to 32 before the first step, and a value that is too large for them is refused
/// there ([`ModuleExt::set_storage`]).
///
/// # Errors
/// If the file cannot be read, lacks a name, has one that the module lacks, or a tensor of another shape; or if two
/// names of one parameter disagree.
pub fn load(path: &Path, module: &mut (impl Module + ?Sized)) -> Result<()> {
    check_writable(module)?;
    let arrays = read_all_of(path, module)?;
    let mut written = Ok(());
    module.visit_mut("", &mut |name, _, tensor| {
        if let (Ok(()), Some(array)) = (&written, arrays.get(name)) {
            tensor.set_storage(array.values.storage());
            written = tensor.put(array.values.clone());
        }
    });
    written
}

/// The tensors of a safetensors file, which are those of `module`, by its names; `module` stays as it is.
///
/// # Errors
/// Those of [`load`].
pub(crate) fn read_all_of(
    path: &Path,
    module: &(impl Module + ?Sized),
) -> Result<BTreeMap<String, Array<Values>>> {
    let tensors = module.tensors();
    let known = || tensors.iter().map(|(name, _, _)| name.as_str());
    // a name of the file may be the path of a module that holds one tensor
    let full = |name: String| crate::names::only(&name, known()).map_or(name.clone(), String::from);
    let arrays: BTreeMap<_, _> = read(path)?.into_iter().map(|(name, array)| (full(name), array)).collect();
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
        if arrays.get(*twin).is_some_and(|other| !other.values.same_bits(&array.values)) {
            let message = format!("{twin} and {name} differ, but the model has one parameter for both");
            return Err(Error::format(path, message));
        }
    }
    Ok(arrays)
}

/// Sets the tensors of `module` that `pattern` stands for from a safetensors file: `layers.0.attention.*`, or
/// `layers.0.* -> layers.1.*` under other names ([`Transfer`]). All other tensors of the file are ignored, and those of
/// the module stay as they are. Returns the names that were set; [`ModuleExt::copy_from`] does the same from another
/// model.
///
/// ```
/// use ihead::config::Config;
/// use ihead::io;
/// use ihead::model::{Simplified, SimplifiedArgs};
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("donor.safetensors");
/// let sizes = SimplifiedArgs { max_length: 4, dim: 16, ..SimplifiedArgs::defaults() };
/// io::save(&path, &Simplified::new(10, &sizes)?.init(0))?;
/// let mut model = Simplified::new(10, &sizes)?.init(1);
/// let set = io::load_matching(&path, "layers.0.attention.*", &mut model)?;
/// assert_eq!(set.len(), 3); // wk, wv, wo
/// # Ok::<(), ihead::Error>(())
/// ```
///
/// # Errors
/// If the file cannot be read, or the pattern stands for no tensor of it, or for one that the module lacks or has in another
/// shape: the nearest name, or both shapes, are in the message. If it stands for two that differ, and the module has one tied
/// parameter for both. Then nothing is changed.
pub fn load_matching(path: &Path, pattern: &str, module: &mut (impl Module + ?Sized)) -> Result<Vec<String>> {
    let transfer: Transfer = pattern.parse()?;
    let arrays = read(path)?;
    let source: Vec<_> =
        arrays.iter().map(|(name, array)| (name.as_str(), array.shape.clone(), &array.values)).collect();
    transfer.apply(&source, module).map_err(|error| Error::format(path, error.to_string()))
}
