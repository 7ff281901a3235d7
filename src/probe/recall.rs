//! Whether a chain of weights works as an associative memory.
use crate::{Error, Result};

use super::{Association, Counter, Path, StateDict};

/// Inputs scored against keys at once: bounds the memory of a large vocabulary.
const BLOCK: usize = 256;

/// A memory recall: the share of inputs whose highest score is that of their target (section 5 of the paper).
///
/// Without keys the score of target `j` is column `j` of the inputs' path, whose last map is the read-out. With keys
/// it is the dot product with row `j` of the keys' path. It is a value: declared once, evaluated with the weights of
/// any moment.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::nn::{Init, Param};
/// use ihead::probe::{Association, Path, Recall};
///
/// /// Three tokens, read out by their own embeddings.
/// #[derive(ihead::Module)]
/// struct Tied {
///     #[param]
///     embed: Param<(Const<3>, Const<8>)>,
/// }
///
/// let mut model = Tied { embed: Param::new((Const, Const), Init::Normal { std: 1.0 }) };
/// ihead::nn::ModuleExt::init_all(&mut model, 0);
/// let recall = Recall::new("self", Path::rows("embed").through("embed"), Association::identity(3));
/// let found = recall.evaluate(&model)?;
/// assert!(found.share().unwrap() > found.chance.unwrap());
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Recall {
    name: String,
    inputs: Path,
    keys: Option<Path>,
    association: Association,
}

/// What a [`Recall`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recalled {
    /// Hits, and inputs.
    pub counter: Counter,
    /// The share of hits of a random choice; `None` without candidates.
    pub chance: Option<f64>,
}

impl Recalled {
    /// The share of hits; `None` without inputs.
    pub fn share(&self) -> Option<f64> {
        self.counter.mean()
    }
}

impl Recall {
    /// A recall of `association` through `inputs`, the last of whose maps reads out the targets.
    pub fn new(name: impl Into<String>, inputs: Path, association: Association) -> Self {
        Recall { name: name.into(), inputs, keys: None, association }
    }

    /// Targets are the rows of `keys`, scored by dot products.
    pub fn against(mut self, keys: Path) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Its name, the key in a record.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What should be recalled.
    pub fn association(&self) -> &Association {
        &self.association
    }

    /// How much of it these weights recall.
    ///
    /// # Errors
    /// If there is no weight of a name, maps do not fit (the message has both shapes), or the association is of more
    /// things than the tables hold.
    pub fn evaluate(&self, weights: &dyn StateDict) -> Result<Recalled> {
        let table = self.inputs.table(weights)?;
        let keys = self.keys.as_ref().map(|path| path.apply(weights)).transpose()?;
        let pairs = self.association.pairs();
        let inputs: Vec<usize> = pairs.iter().map(|(input, _)| *input).collect();
        let mut counter = Counter::default();
        for (block, inputs) in inputs.chunks(BLOCK).enumerate() {
            let rows = table.pick(inputs).map_err(|e| self.error(&self.inputs, e))?;
            let mapped = self.inputs.map(rows, weights)?;
            let scores = match (&keys, &self.keys) {
                (Some(keys), Some(path)) => {
                    let what = format!("recall '{}', keys {path}", self.name);
                    mapped.times_transposed(keys, &what)?
                }
                _ => mapped,
            };
            let start = block * BLOCK;
            let found = self.association.recall_pairs(start..start + inputs.len(), &scores);
            let read_out = self.keys.as_ref().unwrap_or(&self.inputs);
            counter.merge(found.map_err(|e| self.error(read_out, e))?);
        }
        Ok(Recalled { counter, chance: self.association.chance() })
    }

    fn error(&self, path: &Path, error: Error) -> Error {
        Error::usage(format!("recall '{}', {path}: {error}", self.name))
    }
}
