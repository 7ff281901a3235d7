//! Whether a product of weight matrices works as an associative memory.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::{serde_as_text, setting_as_text};
use crate::{Error, Result};

use super::path::Loaded;
use super::{Association, Circuit, Counter, Matrix, StateDict};

/// Inputs scored against keys at once: bounds the memory of a large vocabulary.
const BLOCK: usize = 256;

/// A memory recall: the share of inputs whose highest score is that of their target (section 5 of the paper).
///
/// It is written as a formula, `NAME: rows -> maps => association`, or `NAME: rows -> maps ~ keys -> maps =>
/// association`; [`Circuit`] and [`Association`] list the words. Without keys the score of target `j` is column `j` of the
/// inputs' path, whose last map is the unembedding. With keys (`~`) it is the dot product with row `j` of the keys' path.
///
/// [`recall!`](crate::recall) checks the text when a program is compiled; `text.parse::<Recall>()` reads it at run time
/// (a setting, or a text with names from `format!`); [`Recall::new`] builds the same from values. As text it is
/// displayed, recorded and set on a command line.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::nn::{Init, ModuleExt, Param};
/// use ihead::probe::{Association, Circuit, Recall};
///
/// /// Three tokens, read out by their own embeddings.
/// #[derive(ihead::Module)]
/// struct Tied {
///     #[param]
///     embed: Param<(Const<3>, Const<8>)>,
/// }
///
/// let mut model = Tied { embed: Param::new((Const, Const), Init::Normal { std: 1.0 }) }.init(0);
/// let recall = ihead::recall!("own: embed -> embed => self");
/// let found = recall.evaluate(&model)?;
/// assert!(found.share().unwrap() > found.chance.unwrap());
///
/// let built = Recall::new("own", Circuit::rows("embed").through("embed"), Association::ITSELF);
/// assert_eq!(built.to_string(), recall.to_string());
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Recall {
    name: String,
    inputs: Circuit,
    keys: Option<Circuit>,
    association: Association,
}

/// The result of a [`Recall`]: which inputs were recalled, and the share that chance would give.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recalled {
    /// The number of hits and the number of inputs.
    pub counter: Counter,
    /// The recall of a random choice; `None` without candidates.
    pub chance: Option<f64>,
}

impl Recalled {
    /// The recall: the share of hits among the inputs; `None` without inputs.
    pub fn share(&self) -> Option<f64> {
        self.counter.mean()
    }
}

impl Recall {
    /// A recall of `association` through `inputs`, the last of whose maps reads out the targets.
    pub fn new(name: impl Into<String>, inputs: Circuit, association: Association) -> Self {
        Recall { name: name.into(), inputs, keys: None, association }
    }

    /// The same recall with the rows of `keys` as targets; the scores are dot products.
    pub fn against(mut self, keys: Circuit) -> Self {
        self.keys = Some(keys);
        self
    }

    /// The same recall with another association, such as one that is known only when the program runs.
    pub fn of(mut self, association: Association) -> Self {
        self.association = association;
        self
    }

    /// A recall from a text that [`recall!`](crate::recall) has checked; the macro expands to this call.
    #[doc(hidden)]
    #[track_caller]
    pub fn checked(text: &str) -> Self {
        text.parse().unwrap_or_else(|e| panic!("{e}"))
    }

    /// The name, which is the key in `res.jsonl`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The pairs that should be recalled.
    pub fn association(&self) -> &Association {
        &self.association
    }

    /// Measures how many of the inputs these weights recall.
    ///
    /// # Errors
    /// If there is no weight of a name, maps do not fit (the message has both shapes), or the association is of more
    /// things than the tables hold.
    pub fn evaluate(&self, weights: &dyn StateDict) -> Result<Recalled> {
        let keys = self.keys(weights)?;
        let loaded = self.load(weights)?;
        let width = match &keys {
            Some(keys) => keys.rows(),
            None => loaded.pick(&[]).map_err(|e| self.error(&self.inputs, e))?.cols(),
        };
        let association = self.association.resolve(loaded.height(), width);
        let mut counter = Counter::default();
        for (block, inputs) in association.inputs().chunks(BLOCK).enumerate() {
            let scores = self.scores_of(inputs, keys.as_ref(), &loaded)?;
            let start = block * BLOCK;
            let found = association.recall(start..start + inputs.len(), &scores);
            let unembed = self.keys.as_ref().unwrap_or(&self.inputs);
            counter.merge(found.map_err(|e| self.error(unembed, e))?);
        }
        Ok(Recalled { counter, chance: association.chance() })
    }

    /// The scores of every input (a row) for every target (a column), such as `W_U W_O W_V W_E`: of each row
    /// [`evaluate`](Self::evaluate) asks which column is the highest.
    ///
    /// # Errors
    /// If there is no weight of a name, or maps do not fit.
    pub fn scores(&self, weights: &dyn StateDict) -> Result<Matrix> {
        let keys = self.keys(weights)?;
        let loaded = self.load(weights)?;
        let all: Vec<usize> = (0..loaded.height()).collect();
        self.scores_of(&all, keys.as_ref(), &loaded)
    }

    /// What the scores are of, if there are keys.
    fn keys(&self, weights: &dyn StateDict) -> Result<Option<Matrix>> {
        let of = |path: &Circuit| path.apply(weights).map_err(|e| self.error(path, e));
        self.keys.as_ref().map(of).transpose()
    }

    /// The path of the inputs with its weights.
    fn load<'a>(&'a self, weights: &'a dyn StateDict) -> Result<Loaded<'a>> {
        self.inputs.load(weights).map_err(|e| self.error(&self.inputs, e))
    }

    /// The scores of some inputs.
    fn scores_of(&self, inputs: &[usize], keys: Option<&Matrix>, loaded: &Loaded<'_>) -> Result<Matrix> {
        let mapped = loaded.pick(inputs).map_err(|e| self.error(&self.inputs, e))?;
        match (keys, &self.keys) {
            (Some(keys), Some(path)) => {
                mapped.times_transposed(keys, &format!("recall '{}', keys {path}", self.name))
            }
            _ => Ok(mapped),
        }
    }

    /// Says which recall has an error, and in which path, unless the error says that itself.
    fn error(&self, path: &Circuit, error: Error) -> Error {
        let (path, recall) = (path.to_string(), format!("recall '{}'", self.name));
        let says_path = error.to_string().starts_with(&format!("{path}: "));
        error.of_part(if says_path { recall } else { format!("{recall}, {path}") })
    }
}

impl FromStr for Recall {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let read = ihead_formula::recall(text);
        let read = read.map_err(|problem| Error::text("recall", text, problem))?;
        let (inputs, keys) = (read.inputs.into(), read.keys.map(Circuit::from));
        Ok(Recall { name: read.name, inputs, keys, association: read.association.into() })
    }
}

impl fmt::Display for Recall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.inputs)?;
        if let Some(keys) = &self.keys {
            write!(f, " ~ {keys}")?;
        }
        write!(f, " => {}", self.association)
    }
}

serde_as_text!(Recall);
// `recalls="['copies: tok_embeddings -> output => self']"`
setting_as_text!(Recall);
