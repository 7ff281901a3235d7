//! Lists of probes of weights.
use std::fmt;
use std::sync::Arc;

use crate::{Error, Result};

use super::{Divergence, Measurements, Recall, StateDict, Unit, Value, check_name};

/// A probe of the weights: a memory recall, a divergence, a norm, or a number of your own.
#[derive(Clone)]
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
    /// A number of your own; see [`by`](Self::by).
    By {
        /// The name, which is the key in `res.jsonl`.
        name: String,
        /// The unit of the number.
        unit: Unit,
        /// The rule.
        rule: Arc<WeightRule>,
    },
    /// A probe of a part that this model lacks.
    NotApplicable {
        /// The name, which is the key in `res.jsonl`.
        name: String,
        /// What the number would be counted in.
        unit: Unit,
    },
}

/// A rule of your own: a number computed from the weights; `None` where there is none.
pub type WeightRule = dyn Fn(&dyn StateDict) -> Result<Option<f64>> + Send + Sync;

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

    /// A number of your own, computed from the weights. An error of the rule ends the run.
    ///
    /// ```
    /// use ihead::probe::{Circuit, StateDict, Unit, WeightProbe};
    /// // the stable rank of W_U W_O W_V E^T: the sum of the squares of its singular values, over the largest square
    /// let values = Circuit::rows("tok_embeddings").through("layers.1.attention.wv");
    /// let circuit = values.through("layers.1.attention.wo").through("output");
    /// let probe = WeightProbe::by("rank_ov", Unit::Number, move |weights: &dyn StateDict| {
    ///     let values = circuit.apply(weights)?.singular_values()?;
    ///     let squares: f64 = values.iter().map(|s| s * s).sum();
    ///     Ok(values.first().map(|largest| squares / (largest * largest)))
    /// });
    /// assert_eq!(probe.name(), "rank_ov");
    /// ```
    pub fn by(
        name: impl Into<String>,
        unit: Unit,
        rule: impl Fn(&dyn StateDict) -> Result<Option<f64>> + Send + Sync + 'static,
    ) -> Self {
        WeightProbe::By { name: name.into(), unit, rule: Arc::new(rule) }
    }

    /// The name, which is the key in `res.jsonl`.
    pub fn name(&self) -> &str {
        match self {
            WeightProbe::Recall(recall) => recall.name(),
            WeightProbe::Divergence(divergence) => divergence.name(),
            WeightProbe::Norm { name, .. }
            | WeightProbe::By { name, .. }
            | WeightProbe::NotApplicable { name, .. } => name,
        }
    }

    /// The unit of its number.
    pub fn unit(&self) -> Unit {
        match self {
            WeightProbe::Recall(_) => Unit::Share,
            WeightProbe::Divergence(_) => Unit::Nats,
            WeightProbe::Norm { .. } => Unit::Norm,
            WeightProbe::By { unit, .. } | WeightProbe::NotApplicable { unit, .. } => *unit,
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
    /// If there is no weight of a name, shapes do not fit, or a rule of your own fails.
    pub fn evaluate(&self, weights: &dyn StateDict) -> Result<Value> {
        Ok(match self {
            WeightProbe::Recall(recall) => recall.evaluate(weights)?.share().into(),
            WeightProbe::Divergence(divergence) => divergence.evaluate(weights)?.mean().into(),
            WeightProbe::Norm { weight, .. } => weights.matrix(weight)?.norm().into(),
            WeightProbe::By { name, rule, .. } => {
                rule(weights).map_err(|error| error.of_part(format!("probe '{name}'")))?.into()
            }
            WeightProbe::NotApplicable { .. } => Value::NotApplicable,
        })
    }
}

impl fmt::Debug for WeightProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WeightProbe::Recall(recall) => recall.fmt(f),
            WeightProbe::Divergence(divergence) => divergence.fmt(f),
            other => write!(f, "WeightProbe({})", other.name()),
        }
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
