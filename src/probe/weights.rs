//! Lists of probes of weights.
use crate::{Error, Result};

use super::{Divergence, Measurements, Recall, StateDict, Unit, Value, check_name};

/// A probe of the weights: a memory recall, a divergence or a norm.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WeightProbe {
    /// A memory recall.
    Recall(Recall),
    /// A mean divergence.
    Divergence(Divergence),
    /// The Euclidean norm of a weight.
    Norm {
        /// The name, which is the key in `res.jsonl`.
        name: String,
        /// The weight's name.
        weight: String,
    },
    /// A probe of a part that this model lacks.
    NotApplicable {
        /// The name, which is the key in `res.jsonl`.
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
    /// The norms, named `norm_NAME`, of the weights whose names a pattern matches; `*` stands for any characters.
    ///
    /// # Errors
    /// If it matches none: the nearest name is in the message.
    pub fn norms(pattern: &str, weights: &dyn StateDict) -> Result<Vec<Self>> {
        let matched = weights.matching(pattern)?.into_iter();
        Ok(matched.map(|weight| WeightProbe::Norm { name: format!("norm_{weight}"), weight }).collect())
    }

    /// The name, which is the key in `res.jsonl`.
    pub fn name(&self) -> &str {
        match self {
            WeightProbe::Recall(recall) => recall.name(),
            WeightProbe::Divergence(divergence) => divergence.name(),
            WeightProbe::Norm { name, .. } | WeightProbe::NotApplicable { name, .. } => name,
        }
    }

    /// The unit of its number.
    pub fn unit(&self) -> Unit {
        match self {
            WeightProbe::Recall(_) => Unit::Share,
            WeightProbe::Divergence(_) => Unit::Nats,
            WeightProbe::Norm { .. } => Unit::Norm,
            WeightProbe::NotApplicable { unit, .. } => *unit,
        }
    }

    /// What a guess reaches: of a recall, the share of hits of a random choice among the candidates.
    ///
    /// # Errors
    /// Those of [`evaluate`](Self::evaluate).
    pub fn chance(&self, weights: &dyn StateDict) -> Result<Option<f64>> {
        match self {
            WeightProbe::Recall(recall) => Ok(recall.evaluate(weights)?.chance),
            _ => Ok(None),
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
            WeightProbe::Norm { weight, .. } => {
                let squares = weights.matrix(weight)?.values().iter().map(|v| v * v).sum::<f64>();
                squares.sqrt().into()
            }
            WeightProbe::NotApplicable { .. } => Value::NotApplicable,
        })
    }
}

/// Measures a list of probes on these weights.
///
/// # Errors
/// If there is no weight of a name, shapes do not fit, two probes have one name, or one has none.
pub fn measure_weights(probes: &[WeightProbe], weights: &dyn StateDict) -> Result<Measurements> {
    let mut record = Measurements::new();
    for (i, probe) in probes.iter().enumerate() {
        check_name(probe.name())?;
        if probes[..i].iter().any(|other| other.name() == probe.name()) {
            return Err(Error::duplicate("probes", probe.name()));
        }
        record.insert(probe.name(), probe.unit(), probe.evaluate(weights)?);
    }
    Ok(record)
}
