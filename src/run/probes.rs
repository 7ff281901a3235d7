//! All that a run measures.
use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::by_key;
use crate::data::Batch;
use crate::engine::RowLists;
use crate::graph::{AnyModel, Edits};
use crate::nn::Params;
use crate::probe::{
    Evaluation, Measure, Measurements, Metric, Sequence, Unit, WeightProbe, check_name, measure_weights,
};
use crate::train::{Compute, Device, Edited, Initial, Taken, Training, WeightEdit, initial_of};
use crate::{Error, Result};

use super::evaluator::Evaluator;
use super::inspect::check_length;

/// What is to be measured.
#[derive(Clone, Default)]
pub(super) struct Wanted {
    /// On the training batch, before the update.
    pub training: Vec<Metric>,
    /// On fixed batches, after the update.
    pub sets: Vec<TestSet>,
    /// On the weights, after the update.
    pub weights: Vec<WeightProbe>,
}

/// Metrics of a fixed batch.
#[derive(Clone)]
pub(super) struct TestSet {
    pub batch: Batch,
    pub metrics: Vec<Metric>,
    /// Changes of the weights for this measurement alone.
    pub edited: Vec<WeightEdit>,
}

/// What is measured, made ready for a model.
pub(super) struct Probes {
    wanted: Wanted,
    seq: usize,
    compute: Compute,
    initial: Initial,
    /// The terms of the loss that are penalties.
    penalties: Vec<String>,
    /// On the CPU it is made when it is asked for: there, steps measure the metrics of their batches themselves.
    training: Option<Evaluator>,
    edits: Edits,
    /// One for each test set, with the positions of its batch.
    sets: Vec<(Evaluator, Vec<RowLists>)>,
}

/// What else stands in a line of `res.jsonl` or in a table of runs.
const OF_A_LINE: [&str; 3] = ["iter", "run", "status"];

impl Wanted {
    /// Refuses names that are given twice, test sets that are too long for the model and weight edits that do not fit it.
    pub fn check(&self, model: &dyn AnyModel, settings: &Value) -> Result<()> {
        self.check_names(settings)?;
        for set in &self.sets {
            check_length("a test batch", set.batch.seq, model)?;
            set.edited.iter().try_for_each(|edit| edit.check(model))?;
        }
        Ok(())
    }

    /// Refuses metrics that the model with these edits does not have, such as what a head adds whose layer is left out.
    pub fn check_edited(&self, model: &dyn AnyModel, seq: usize, edits: &Edits) -> Result<()> {
        let sets = self.sets.iter().map(|set| (&set.metrics, set.batch.seq));
        for (metrics, seq) in sets.chain([(&self.training, seq)]) {
            Evaluation::new(metrics.iter().cloned(), &model.record_edited(seq, edits)?, 0)?;
        }
        Ok(())
    }

    /// Warns of metrics of fixed batches that select no position, which no training can change.
    pub fn warn_of_empty(&self) {
        for metric in self.sets.iter().flat_map(TestSet::empty) {
            let (name, select) = (metric.name(), metric.select());
            crate::output::warn(format_args!(
                "the metric '{name}' has no value: no position of its test batch is selected ({select})"
            ));
        }
    }

    /// Makes it, once it is [`check`](Self::check)ed, ready for a model that is trained in this way on batches of `seq` tokens.
    pub fn open(self, model: &dyn AnyModel, seq: usize, training: &Training) -> Result<Probes> {
        measure_weights(&self.weights, model.weights())?;
        let needs_initial = self.sets.iter().flat_map(|set| &set.edited).any(WeightEdit::needs_initial);
        let initial = if needs_initial { initial_of(model) } else { Initial::new() };
        let (compute, penalties) = (training.compute, training.loss.penalties());
        let edits = training.edits.clone();
        let mut probes =
            Probes { wanted: self, seq, compute, initial, penalties, training: None, edits, sets: vec![] };
        probes.reopen(model, &training.edits)?;
        Ok(probes)
    }

    /// Refuses two numbers of one name, a metric or a probe without a name, and one with the name of a setting, whose column in a table
    /// of runs it would be taken for.
    fn check_names(&self, settings: &Value) -> Result<()> {
        let sets = self.sets.iter().flat_map(|set| &set.metrics);
        let metrics = || self.training.iter().chain(sets.clone());
        // a metric that measures a loss may stand for the loss of the step
        let stands_for_loss = metrics().all(|m| m.name() != "loss" || matches!(m.measure(), Measure::Loss));
        let weighs_loss = self.weights.iter().any(|probe| probe.name() == "loss");
        if !stands_for_loss || weighs_loss {
            return Err(Error::duplicate("numbers of a run", "loss"));
        }
        let settings: BTreeMap<String, Value> = by_key(settings).into_iter().collect();
        let metrics = metrics().map(Metric::name);
        let mut seen = Vec::new();
        for name in metrics.chain(self.weights.iter().map(WeightProbe::name)) {
            check_name(name)?;
            if OF_A_LINE.contains(&name) {
                let expected =
                    format!("another name than {}, which stand beside the numbers", OF_A_LINE.join(", "));
                return Err(Error::value("the name of a metric or a probe", format!("'{name}'"), expected));
            }
            if seen.contains(&name) {
                return Err(Error::duplicate("numbers of a run", name));
            }
            if settings.contains_key(name) {
                let expected = "a name that no setting has";
                return Err(Error::value("the name of a metric or a probe", format!("'{name}'"), expected));
            }
            seen.push(name);
        }
        Ok(())
    }
}

impl TestSet {
    /// The metrics that select no position of any sequence.
    fn empty(&self) -> impl Iterator<Item = &Metric> {
        let some_in = |metric: &Metric, i: usize| {
            let sequence = Sequence::of(&self.batch, i);
            (0..self.batch.seq).any(|t| metric.select().holds(&sequence, t))
        };
        self.metrics.iter().filter(move |metric| !(0..self.batch.batch).any(|i| some_in(metric, i)))
    }
}

impl Probes {
    /// Makes the engines anew, for other edits.
    pub fn reopen(&mut self, model: &dyn AnyModel, edits: &Edits) -> Result<()> {
        Evaluation::new(self.wanted.training.iter().cloned(), &model.record_edited(self.seq, edits)?, 0)?;
        self.edits = edits.clone();
        // on a GPU, where steps do not measure, its memory is looked for before the first of them
        let apart = !self.metrics().is_empty() && self.compute.device != Device::Cpu;
        self.training =
            if apart { Some(self.evaluator(model, self.metrics().to_vec(), self.seq)?) } else { None };
        let open = |set: &TestSet| {
            let evaluator = self.evaluator(model, set.metrics.clone(), set.batch.seq)?;
            evaluator.check(&set.batch)?;
            let rows = evaluator.rows(&set.batch)?;
            Ok((evaluator, rows))
        };
        self.sets = self.wanted.sets.iter().map(open).collect::<Result<_>>()?;
        Ok(())
    }

    fn evaluator(&self, model: &dyn AnyModel, metrics: Vec<Metric>, seq: usize) -> Result<Evaluator> {
        Evaluator::new(metrics, &model.record_edited(seq, &self.edits)?, self.compute)
    }

    /// The metrics of the training batch.
    pub fn metrics(&self) -> &[Metric] {
        &self.wanted.training
    }

    /// Measures them, with an engine of their own.
    pub fn before(&mut self, model: &dyn AnyModel, batch: &Batch) -> Result<Measurements> {
        if self.metrics().is_empty() {
            return Ok(Measurements::new());
        }
        let evaluator = match self.training.take() {
            Some(evaluator) => evaluator,
            None => self.evaluator(model, self.metrics().to_vec(), self.seq)?,
        };
        let rows = evaluator.rows(batch)?;
        self.training.insert(evaluator).run(&Params::of(model), batch, &rows)
    }

    /// What `before` gave, with the loss of the step in front unless it has a loss, and its terms if there are several; then
    /// test sets and weights.
    pub fn after(
        &mut self,
        before: Measurements,
        model: &dyn AnyModel,
        step: Taken<'_>,
    ) -> Result<Measurements> {
        let mut record = Measurements::new();
        if before.entries().iter().all(|entry| entry.name != "loss") {
            record.insert("loss", Unit::Nats, step.loss);
        }
        for (name, value) in step.terms.iter().filter(|_| step.terms.len() > 1) {
            let unit = if self.penalties.contains(name) { Unit::Penalty } else { Unit::Nats };
            record.insert(format!("loss_{name}"), unit, *value);
        }
        record.extend(before);
        record.extend(self.of_model(model)?);
        Ok(record)
    }

    /// Test sets and weights.
    pub fn of_model(&mut self, model: &dyn AnyModel) -> Result<Measurements> {
        let mut record = Measurements::new();
        for ((evaluator, rows), set) in self.sets.iter_mut().zip(&self.wanted.sets) {
            let edited = Edited::new(model, &set.edited, &self.initial)?;
            record.extend(evaluator.run(&edited, &set.batch, rows)?);
        }
        record.extend(measure_weights(&self.wanted.weights, model.weights())?);
        Ok(record)
    }

    /// What a guess reaches, of the numbers for which this is known.
    pub fn chances(&self, model: &dyn AnyModel) -> Result<BTreeMap<String, f64>> {
        let vocab = model.vocab_size();
        let metrics = self.wanted.training.iter().chain(self.wanted.sets.iter().flat_map(|set| &set.metrics));
        let mut found: BTreeMap<String, f64> =
            metrics.filter_map(|metric| Some((metric.name().into(), metric.chance(vocab)?))).collect();
        for probe in &self.wanted.weights {
            found.extend(probe.chance(model.weights())?.map(|chance| (probe.name().to_string(), chance)));
        }
        Ok(found)
    }

    /// The names of the recalls.
    pub fn recalls(&self) -> Vec<String> {
        let recalls = self.wanted.weights.iter().filter(|probe| matches!(probe, WeightProbe::Recall(_)));
        recalls.map(|probe| probe.name().to_string()).collect()
    }

    /// Whether a probe of weights has this name.
    pub fn is_of_weights(&self, name: &str) -> bool {
        self.wanted.weights.iter().any(|probe| probe.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Select;

    /// Such a metric was silently `-` in every line of a run.
    #[test]
    fn a_metric_that_selects_no_position_of_its_test_batch_is_found() {
        let (x, y) = (vec![0, 1, 2, 3], vec![1, 2, 3, 4]);
        let batch = Batch { x, y, marks: vec![0, 0, 0, 1], batch: 2, seq: 2 };
        let over = |name: &str, select| Metric::loss(name).over(select);
        let metrics = vec![
            over("known", Select::marks(2..)),
            over("all", Select::All),
            over("in one sequence alone", Select::marks(1..)),
            over("early", Select::marks(1..) & Select::first(1)),
        ];
        let set = TestSet { batch, metrics, edited: vec![] };
        assert_eq!(set.empty().map(Metric::name).collect::<Vec<_>>(), ["known", "early"]);
    }
}
