//! Probes of weights, as a list.
use crate::Result;

use super::{Divergence, Recall, Record, StateDict, Unit, Value};

/// A number about the weights.
#[derive(Clone, Debug)]
pub enum WeightProbe {
    /// A share of hits.
    Recall(Recall),
    /// A mean divergence.
    Divergence(Divergence),
    /// A name for what this model has not.
    NotApplicable {
        /// The key in a record.
        name: String,
        /// What the number would be counted in.
        unit: Unit,
    },
}

impl From<Recall> for WeightProbe {
    fn from(recall: Recall) -> Self {
        WeightProbe::Recall(recall)
    }
}

impl From<Divergence> for WeightProbe {
    fn from(divergence: Divergence) -> Self {
        WeightProbe::Divergence(divergence)
    }
}

impl WeightProbe {
    /// Its name, the key in a record.
    pub fn name(&self) -> &str {
        match self {
            WeightProbe::Recall(recall) => recall.name(),
            WeightProbe::Divergence(divergence) => divergence.name(),
            WeightProbe::NotApplicable { name, .. } => name,
        }
    }

    /// What its number is counted in.
    pub fn unit(&self) -> Unit {
        match self {
            WeightProbe::Recall(_) => Unit::Share,
            WeightProbe::Divergence(_) => Unit::Nats,
            WeightProbe::NotApplicable { unit, .. } => *unit,
        }
    }

    /// Its number for these weights.
    ///
    /// # Errors
    /// If there is no weight of a name, or shapes do not fit.
    pub fn evaluate(&self, weights: &dyn StateDict) -> Result<Value> {
        Ok(match self {
            WeightProbe::Recall(recall) => recall.evaluate(weights)?.share().into(),
            WeightProbe::Divergence(divergence) => divergence.evaluate(weights)?.mean().into(),
            WeightProbe::NotApplicable { .. } => Value::NotApplicable,
        })
    }
}

/// The numbers of a list of probes for these weights.
///
/// # Errors
/// If there is no weight of a name, or shapes do not fit.
pub fn record_weights(probes: &[WeightProbe], weights: &dyn StateDict) -> Result<Record> {
    let mut record = Record::new();
    for probe in probes {
        record.insert(probe.name(), probe.unit(), probe.evaluate(weights)?);
    }
    Ok(record)
}
