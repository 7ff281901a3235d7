//! All that a run measures.
use crate::data::Batch;
use crate::graph::{Edits, Graph, Model, record_with};
use crate::nn::Params;
use crate::probe::{Metric, Record, Unit, WeightProbe, record_weights};
use crate::train::Compute;
use crate::{Error, Result};

use super::evaluator::Evaluator;
use super::inspect::check_length;

/// What is to be measured.
#[derive(Clone, Default)]
pub(super) struct Wanted {
    /// On the training batch, before the update.
    pub training: Vec<Metric>,
    /// On fixed batches, after the update.
    pub sets: Vec<(Vec<Metric>, Batch)>,
    /// On the weights, after the update.
    pub weights: Vec<WeightProbe>,
}

/// What is measured, made ready for a model.
pub(super) struct Probes {
    training: Option<Evaluator>,
    sets: Vec<(Evaluator, Batch)>,
    weights: Vec<WeightProbe>,
}

impl Wanted {
    /// Makes it ready for a model that is recorded in `graph` on the training batches, with these edits.
    pub fn open<M: Model>(
        &self,
        model: &M,
        graph: &Graph,
        edits: &Edits,
        compute: Compute,
    ) -> Result<Probes> {
        self.check_names()?;
        let metrics = &self.training;
        let training = match metrics.is_empty() {
            true => None,
            false => Some(Evaluator::new(metrics.clone(), graph, compute)?),
        };
        let mut sets = Vec::new();
        for (metrics, batch) in &self.sets {
            check_length("a test batch", batch.seq, model)?;
            let graph = record_with(model, batch.seq, edits)?;
            let evaluator = Evaluator::new(metrics.clone(), &graph, compute)?;
            evaluator.check(batch)?;
            sets.push((evaluator, batch.clone()));
        }
        record_weights(&self.weights, model)?;
        Ok(Probes { training, sets, weights: self.weights.clone() })
    }

    /// Refuses two numbers of one name.
    fn check_names(&self) -> Result<()> {
        let sets = self.sets.iter().flat_map(|(metrics, _)| metrics);
        let metrics = self.training.iter().chain(sets).map(Metric::name);
        let mut seen = vec!["iter"];
        for name in metrics.chain(self.weights.iter().map(WeightProbe::name)) {
            if seen.contains(&name) {
                return Err(Error::usage(format!(
                    "two numbers of a run are named '{name}'; name one otherwise"
                )));
            }
            seen.push(name);
        }
        Ok(())
    }
}

impl Probes {
    /// The metrics of the training batch.
    pub fn before(&mut self, model: &impl Model, batch: &Batch) -> Result<Record> {
        match &mut self.training {
            Some(evaluator) => evaluator.run(&Params::of(model), batch),
            None => Ok(Record::new()),
        }
    }

    /// What `before` gave, with the loss of the step in front unless it has a loss, then test sets and weights.
    pub fn after(&mut self, before: Record, loss: f64, model: &impl Model) -> Result<Record> {
        let mut record = Record::new();
        if before.entries().iter().all(|entry| entry.name != "loss") {
            record.insert("loss", Unit::Nats, loss);
        }
        record.extend(before);
        record.extend(self.of_model(model)?);
        Ok(record)
    }

    /// Test sets and weights.
    pub fn of_model(&mut self, model: &impl Model) -> Result<Record> {
        let mut record = Record::new();
        for (evaluator, batch) in &mut self.sets {
            record.extend(evaluator.run(&Params::of(model), batch)?);
        }
        record.extend(record_weights(&self.weights, model)?);
        Ok(record)
    }

    /// Whether a probe of weights has this name.
    pub fn is_of_weights(&self, name: &str) -> bool {
        self.weights.iter().any(|probe| probe.name() == name)
    }
}
