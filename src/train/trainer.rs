//! The loop.
use std::time::{Duration, Instant};

use crate::data::{Batch, Batches, Loader, LoaderOptions};
use crate::engine::{Engine, ignore};
use crate::graph::{Edits, Graph, Model, record_with};
use crate::nn::{ModuleExt, Params};
use crate::{Error, Result};

use super::optim::{AdamW, Optim, Optimizer};
use super::{Action, Compute, LossOn, Timeline};

/// What a step has taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Waiting for the batch.
    pub data: Duration,
    /// Forward, backward and update.
    pub step: Duration,
    /// Since the run began.
    pub total: Duration,
}

/// The gradient of each parameter that trains, by name.
type Gradients = Vec<(String, Vec<f32>)>;

/// A step that has been taken.
pub struct Step<'a, M> {
    /// The iteration, from 0.
    pub iteration: usize,
    /// Its batch.
    pub batch: &'a Batch,
    /// The model after the update.
    pub model: &'a M,
    /// The loss before the update; NaN over nothing.
    pub loss: f64,
    /// The gradient of each parameter that trains, by name, of this step.
    pub gradients: &'a [(String, Vec<f32>)],
    /// What it has taken.
    pub times: Times,
}

/// Sees a run: probes, records, logs. A closure that takes a [`Step`] is one.
pub trait Monitor<M> {
    /// Called with each batch, before the update.
    ///
    /// # Errors
    /// Ends the run.
    fn before_update(&mut self, iteration: usize, model: &M, batch: &Batch) -> Result<()> {
        let _ = (iteration, model, batch);
        Ok(())
    }

    /// Called after each update.
    ///
    /// # Errors
    /// Ends the run.
    fn after_update(&mut self, step: &Step<'_, M>) -> Result<()>;
}

impl<M, F: FnMut(&Step<'_, M>) -> Result<()>> Monitor<M> for F {
    fn after_update(&mut self, step: &Step<'_, M>) -> Result<()> {
        self(step)
    }
}

/// Trains a model. Usually [`Run`](crate::run::Run) holds one and adds what is measured and written.
///
/// ```
/// use std::sync::Arc;
///
/// use ihead::config::Config;
/// use ihead::data::{BatchOptions, Batches, BigramData, TriggerOptions, TriggerTask};
/// use ihead::model::{Simplified, SimplifiedArgs};
/// use ihead::train::{Step, Trainer};
///
/// let options = TriggerOptions { k: 3, seq_length: 16, ..Default::default() };
/// let task = Arc::new(TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options)?);
/// let batches = Batches::new(task, BatchOptions { batch_size: 4, seed: 0, workers: 1 })?;
/// let sizes = SimplifiedArgs::defaults();
/// let mut trainer = Trainer::new(Simplified::new(65, 16, 8, &sizes)?.init(0, &sizes)?);
/// let mut losses = Vec::new();
/// trainer.run(batches, Some(3), &mut |step: &Step<'_, _>| {
///     losses.push(step.loss);
///     Ok(())
/// })?;
/// assert!(losses.iter().all(|loss| loss.is_finite()));
/// # Ok::<(), ihead::Error>(())
/// ```
pub struct Trainer<M> {
    /// The model.
    pub model: M,
    /// Its optimiser.
    pub optim: Optim,
    /// What changes during the run.
    pub timeline: Timeline,
    /// What the loss is over.
    pub loss: LossOn,
    /// Changes of the model's sites.
    pub edits: Edits,
    /// Where to compute.
    pub compute: Compute,
}

impl<M: Model> Trainer<M> {
    /// Trains `model` by AdamW with step size 0.001, over all positions, on all cores, with nothing changed on the way.
    pub fn new(model: M) -> Self {
        Trainer {
            model,
            optim: Optim::AdamW(AdamW::new(1e-3, (0.9, 0.95), 1e-8, 0.0)),
            timeline: Timeline::default(),
            loss: LossOn::All,
            edits: Edits::default(),
            compute: Compute::default(),
        }
    }

    /// The model as it is trained on sequences of `seq` tokens: recorded with the edits.
    ///
    /// # Errors
    /// If an edit does not fit the model, or is a patch: a run has no other activations to put in.
    pub fn graph(&self, seq: usize) -> Result<Graph> {
        let graph = record_with(&self.model, seq, &self.edits)?;
        match graph.given().first() {
            Some(site) => {
                let message =
                    format!("'{}' is patched, which a run cannot do; `run::Inspect::patch` can", site.name);
                Err(Error::usage(message))
            }
            None => Ok(graph),
        }
    }

    /// Trains for `max_iters` steps, or until the monitor returns an error.
    ///
    /// # Errors
    /// If the timeline names what the model has not, the device is not there, or data or monitor fail.
    pub fn run(
        &mut self,
        batches: Batches,
        max_iters: Option<usize>,
        monitor: &mut dyn Monitor<M>,
    ) -> Result<()> {
        let graph = self.graph(batches.task().seq_length())?;
        let mut loader = Loader::new(batches, LoaderOptions::default())?;
        let mut iterations = (0..).take_while(|i| max_iters.is_none_or(|end| *i < end));
        self.steps(&graph, &mut loader, &mut iterations, monitor)
    }

    /// Takes the steps of these iterations on `graph`, with batches of `loader`.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub fn steps(
        &mut self,
        graph: &Graph,
        loader: &mut Loader,
        iterations: &mut dyn Iterator<Item = usize>,
        monitor: &mut dyn Monitor<M>,
    ) -> Result<()> {
        self.timeline.check(&self.model)?;
        let begin = Instant::now();
        let mut engine: Option<Box<dyn Engine<f32>>> = None;
        for iteration in iterations {
            if self.apply(iteration)? || engine.is_none() {
                engine = Some(self.engine(graph)?);
            }
            let Some(engine) = &mut engine else { continue };
            let asked = Instant::now();
            let batch = loader.next_batch()?;
            let data = asked.elapsed();
            monitor.before_update(iteration, &self.model, &batch)?;
            let started = Instant::now();
            let (loss, gradients) = self.step(engine.as_mut(), &batch)?;
            let times = Times { data, step: started.elapsed(), total: begin.elapsed() };
            let (model, gradients) = (&self.model, &gradients[..]);
            monitor.after_update(&Step { iteration, batch: &batch, model, loss, gradients, times })?;
        }
        Ok(())
    }

    /// Makes the changes of an iteration; returns whether other parameters train now.
    fn apply(&mut self, iteration: usize) -> Result<bool> {
        let mut changed = false;
        for event in self.timeline.of(iteration) {
            match &event.action {
                Action::Freeze(pattern) => self.model.set_trains(pattern, false)?,
                Action::Release(pattern) => self.model.set_trains(pattern, true)?,
                Action::LearningRate(rate) => {
                    self.optim.set_learning_rate(*rate);
                    continue;
                }
            }
            changed = true;
        }
        Ok(changed)
    }

    fn engine(&self, graph: &Graph) -> Result<Box<dyn Engine<f32>>> {
        let params = Params::of(&self.model);
        self.compute.engine(graph, &self.loss.request(), &|id| params.trains(id))
    }

    /// One step: the loss, and the gradient of each parameter that trains.
    fn step(&mut self, engine: &mut dyn Engine<f32>, batch: &Batch) -> Result<(f64, Gradients)> {
        let loss = engine.run(&Params::of(&self.model), batch, &self.loss.rows(batch), &ignore)?;
        let mut gradients = Vec::new();
        for (name, param) in self.model.training() {
            if let Some(gradient) = engine.gradient(param.id()) {
                gradients.push((name, gradient.to_vec()));
            }
        }
        for (name, gradient) in &gradients {
            let optim = &mut self.optim;
            self.model.update(name, &mut |values| optim.step(name, values, gradient))?;
        }
        Ok((loss, gradients))
    }
}
