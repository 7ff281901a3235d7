//! A checkpoint: everything that a run needs to continue as if it had not been interrupted.
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::data::StreamPosition;
use crate::graph::{AnyModel, Edits};
use crate::io::Array;
use crate::nn::{ModuleExt, Role, Values};
use crate::probe::Unit;
use crate::train::optim::{Optim, Optimizer, ParamState, State};
use crate::train::{Cursor, Training};
use crate::{Error, Result};

use super::identity;

/// The file in a run's folder.
const NAME: &str = "checkpoint.safetensors";

/// The key of what is no tensor among the file's metadata.
const KEY: &str = "ihead";

/// The form of the file; another one is refused.
const FORMAT: u32 = 1;

/// Everything that a run needs to continue. One file, `checkpoint.safetensors`: tensors `weights/NAME`, `initial/NAME`
/// (where the timeline goes back to the initial weights) and `optim/MOMENT/NAME`, and the rest as JSON among its
/// metadata.
pub(super) struct Checkpoint {
    pub rest: Rest,
    tensors: BTreeMap<String, Array<Values>>,
}

/// What of a checkpoint is no tensor.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Rest {
    format: u32,
    /// A checksum of all values; nothing in a checkpoint of a version that made none.
    sum: Option<u32>,
    /// Where the run stands.
    pub cursor: Cursor,
    /// How far the data have been read.
    pub data: StreamPosition,
    /// The optimiser's settings, which the timeline may have changed.
    optim: Optim,
    /// Steps of each parameter that the optimiser has counted.
    steps: BTreeMap<String, u32>,
    /// The edits of sites that hold now.
    edits: Edits,
    /// The parameters that do not train now.
    frozen: Vec<String>,
    /// What has been written.
    pub written: Written,
    /// What may not change when the run is continued: settings by dotted key.
    pub settings: Value,
}

/// What a run has written and measured up to a checkpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Written {
    /// Bytes of `res.jsonl`.
    pub records: u64,
    /// What belongs after them and could not be written.
    pub pending: String,
    /// Bytes of the event file; none without.
    pub events: u64,
    /// Units of what is measured.
    pub units: BTreeMap<String, Unit>,
    /// Seconds of the run.
    pub seconds: f64,
    /// Seconds of its steps.
    pub seconds_of_steps: f64,
}

impl Checkpoint {
    /// What a run is now, with the rest that it does not know.
    pub fn of(
        model: &dyn AnyModel,
        training: &Training,
        data: StreamPosition,
        written: Written,
        settings: Value,
    ) -> Result<Checkpoint> {
        let mut tensors = BTreeMap::new();
        let mut frozen = Vec::new();
        for (name, role, tensor) in model.tensors() {
            if role == Role::Param && !tensor.trains() {
                frozen.push(name.clone());
            }
            let array = Array { shape: tensor.dims(), values: tensor.data().clone() };
            tensors.insert(format!("weights/{name}"), array);
        }
        for (name, values) in training.initial().into_iter().flatten() {
            tensors.insert(format!("initial/{name}"), flat(values.clone()));
        }
        let mut steps = BTreeMap::new();
        for (name, state) in training.optim.state() {
            steps.insert(name.clone(), state.steps);
            for (moment, values) in state.moments {
                tensors.insert(format!("optim/{moment}/{name}"), flat(values));
            }
        }
        let rest = Rest {
            format: FORMAT,
            sum: Some(sum(&tensors)),
            cursor: training.cursor(),
            data,
            optim: training.optim.without_state()?,
            steps,
            edits: training.edits.clone(),
            frozen,
            written,
            settings,
        };
        Ok(Checkpoint { rest, tensors })
    }

    /// Writes it into a folder, in the place of an earlier one; the file is whole or the earlier one.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let path = dir.join(NAME);
        let text = serde_json::to_string(&self.rest).map_err(|e| Error::format(&path, e.to_string()))?;
        let tensors = self.tensors.iter();
        let tensors = tensors.map(|(name, array)| (name.as_str(), array.shape.clone(), &array.values));
        crate::io::write_with(&path, tensors, Some(HashMap::from([(KEY.to_string(), text)])))
    }

    /// Reads that of a folder.
    pub fn read(dir: &Path) -> Result<Checkpoint> {
        let path = dir.join(NAME);
        let (tensors, metadata) = crate::io::read_with(&path)?;
        let text = metadata.get(KEY).ok_or_else(|| Error::format(&path, "no checkpoint of a run"))?;
        let value: Value = serde_json::from_str(text).map_err(|e| Error::format(&path, e.to_string()))?;
        if value["format"] != FORMAT {
            let message = format!("a checkpoint of form {}, expected {FORMAT}", value["format"]);
            return Err(Error::format(&path, message));
        }
        let rest: Rest = serde_json::from_value(value).map_err(|e| Error::format(&path, e.to_string()))?;
        if rest.sum.is_some_and(|was| was != sum(&tensors)) {
            return Err(Error::format(&path, "damaged: its values are not those that the run has written"));
        }
        Ok(Checkpoint { rest, tensors })
    }

    /// Makes a run what it was.
    ///
    /// # Errors
    /// If the model has other parameters than the checkpoint.
    pub fn restore(self, model: &mut dyn AnyModel, training: &mut Training) -> Result<()> {
        let Checkpoint { rest, mut tensors } = self;
        model.set_storage(training.compute.precision.storage())?;
        for (name, _, tensor) in model.tensors() {
            let found = tensors.get(&format!("weights/{name}"));
            let shape =
                found.ok_or_else(|| Error::unknown("weight in the checkpoint", &name, []))?.shape.clone();
            if shape != tensor.dims() {
                return Err(Error::shape(format!("{name} in the checkpoint"), &tensor.dims(), &shape));
            }
        }
        let without_moments = |steps| ParamState { steps, moments: BTreeMap::new() };
        // an optimiser may count the steps of a parameter and remember nothing else of it
        let counted = rest.steps.iter().filter(|(_, steps)| **steps > 0);
        let mut state: State = counted.map(|(name, steps)| (name.clone(), without_moments(*steps))).collect();
        let (mut optim, mut initial) = (rest.optim, None);
        for (name, array) in std::mem::take(&mut tensors) {
            let Some((kind, name)) = name.split_once('/') else { continue };
            match (kind, name.split_once('/')) {
                ("weights", _) => drop(tensors.insert(name.to_string(), array)),
                ("initial", _) => {
                    initial.get_or_insert_with(HashMap::new).insert(name.to_string(), array.values);
                }
                ("optim", Some((moment, name))) => {
                    let of = state.entry(name.to_string()).or_insert_with(|| without_moments(0));
                    of.moments.insert(moment.to_string(), array.values);
                }
                _ => {}
            }
        }
        optim.take_rules(&training.optim);
        optim.prepare(model)?;
        optim.restore(state)?;
        let mut written = Ok(());
        model.visit_mut("", &mut |name, _, tensor| {
            if let (Ok(()), Some(array)) = (&written, tensors.remove(name)) {
                written = tensor.put(array.values);
                tensor.set_trains(!rest.frozen.iter().any(|frozen| frozen == name));
            }
        });
        written?;
        training.optim = optim;
        training.edits = rest.edits;
        training.go_on(rest.cursor, initial);
        Ok(())
    }
}

/// A checksum of all values.
fn sum(tensors: &BTreeMap<String, Array<Values>>) -> u32 {
    tensors.values().fold(0, |sum, array| identity::with_values(sum, &array.values))
}

/// Values without a shape of their own.
fn flat(values: Values) -> Array<Values> {
    Array { shape: vec![values.len()], values }
}
