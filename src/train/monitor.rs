//! What watches a training loop.
use std::time::Duration;

use crate::Result;
use crate::data::{Batch, Loader};
use crate::graph::{AnyModel, Edits, Model};
use crate::nn::Values;
use crate::probe::{Measurements, Metric};

use super::trainer::Training;

/// The time that a step took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// The time spent waiting for the batch.
    pub data: Duration,
    /// The time of the forward pass, the backward pass and the update. On the CPU, what a run measures of its batch is part of the
    /// forward pass.
    pub step: Duration,
    /// The time since the run began.
    pub total: Duration,
}

/// A finished step, as a [`Monitor`] sees it.
pub struct Step<'a, M> {
    /// The iteration, from 0.
    pub iteration: usize,
    /// Its batch.
    pub batch: &'a Batch,
    /// The model after the update; an earlier one where it stays on a GPU ([`Monitor::reads`]).
    pub model: &'a M,
    /// The loss before the update; NaN if it selects no position.
    pub loss: f64,
    /// The terms of the loss before the update and before their weights, by name.
    pub terms: &'a [(String, f64)],
    /// The gradient of each parameter that trains and reaches the loss, by name, of this step, in the precision of the run; none
    /// where they stay on a GPU ([`Monitor::reads`]).
    pub gradients: &'a [(String, Values)],
    /// The time that the step took.
    pub times: Times,
}

/// A monitor watches a training loop, in order to measure or log. A closure that takes a [`Step`] is a monitor.
pub trait Monitor<M> {
    /// Whether something is read at this iteration besides batches, losses and times: the model, gradients, the optimiser. On a GPU they
    /// are brought to the host for the iterations that need them; at others, a model is that of an earlier step and there are no
    /// gradients. `true` unless it is implemented.
    fn reads(&self, iteration: usize) -> bool {
        let _ = iteration;
        true
    }

    /// Called with each batch, before the update.
    ///
    /// # Errors
    /// Ends the run.
    fn before_update(&mut self, iteration: usize, model: &M, batch: &Batch) -> Result<()> {
        let _ = (iteration, model, batch);
        Ok(())
    }

    /// Called when the timeline has changed the edits of sites.
    ///
    /// # Errors
    /// Ends the run.
    fn edited(&mut self, model: &M, edits: &Edits) -> Result<()> {
        let _ = (model, edits);
        Ok(())
    }

    /// Called when the timeline asks for a snapshot, before the step of the iteration.
    ///
    /// # Errors
    /// Ends the run.
    fn snapshot(&mut self, iteration: usize, model: &M) -> Result<()> {
        let _ = (iteration, model);
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

/// A finished step, but for the model.
#[derive(Clone, Copy)]
pub(crate) struct Taken<'a> {
    pub iteration: usize,
    pub batch: &'a Batch,
    pub loss: f64,
    pub terms: &'a [(String, f64)],
    pub gradients: &'a [(String, Values)],
    pub times: Times,
    /// What [`Subject::metrics`] were before the update, if the step has measured them.
    pub measured: Option<&'a Measurements>,
}

impl<'a> Taken<'a> {
    /// The step, as a monitor of such models sees it.
    pub fn step<M>(self, model: &'a M) -> Step<'a, M> {
        let Taken { iteration, batch, loss, terms, gradients, times, measured: _ } = self;
        Step { iteration, batch, model, loss, terms, gradients, times }
    }
}

/// A model and what watches its training: all that the loop knows of either, so that it is compiled once for all of them.
pub(crate) trait Subject {
    fn model(&self) -> &dyn AnyModel;

    fn model_mut(&mut self) -> &mut dyn AnyModel;

    /// [`Monitor::reads`].
    fn reads(&self, _iteration: usize) -> bool {
        false
    }

    /// Metrics of the batches of some steps, before their updates.
    fn metrics(&self) -> &[Metric] {
        &[]
    }

    /// Whether they are wanted of the step of this iteration.
    fn measures(&self, _iteration: usize) -> bool {
        false
    }

    /// Measures them before a step that cannot do so itself, on a GPU.
    fn measure(&mut self, _batch: &Batch) -> Result<()> {
        Ok(())
    }

    /// [`Monitor::before_update`].
    fn before_update(&mut self, _iteration: usize, _batch: &Batch) -> Result<()> {
        Ok(())
    }

    /// [`Monitor::edited`].
    fn edited(&mut self, _edits: &Edits) -> Result<()> {
        Ok(())
    }

    /// [`Monitor::snapshot`].
    fn snapshot(&mut self, _iteration: usize) -> Result<()> {
        Ok(())
    }

    /// [`Monitor::after_update`].
    fn after_update(&mut self, _step: Taken<'_>) -> Result<()> {
        Ok(())
    }

    /// Between two steps, with all the state from which the next step continues.
    fn between(&mut self, _training: &Training, _loader: &Loader) -> Result<()> {
        Ok(())
    }
}

/// A model that nothing watches.
pub(crate) struct Unwatched<'a>(pub &'a mut dyn AnyModel);

impl Subject for Unwatched<'_> {
    fn model(&self) -> &dyn AnyModel {
        self.0
    }

    fn model_mut(&mut self) -> &mut dyn AnyModel {
        self.0
    }
}

/// A model that a monitor watches.
pub(crate) struct Watched<'a, M> {
    pub model: &'a mut M,
    pub monitor: &'a mut dyn Monitor<M>,
}

impl<M: Model> Subject for Watched<'_, M> {
    fn model(&self) -> &dyn AnyModel {
        &*self.model
    }

    fn model_mut(&mut self) -> &mut dyn AnyModel {
        self.model
    }

    fn reads(&self, iteration: usize) -> bool {
        self.monitor.reads(iteration)
    }

    fn before_update(&mut self, iteration: usize, batch: &Batch) -> Result<()> {
        self.monitor.before_update(iteration, self.model, batch)
    }

    fn edited(&mut self, edits: &Edits) -> Result<()> {
        self.monitor.edited(self.model, edits)
    }

    fn snapshot(&mut self, iteration: usize) -> Result<()> {
        self.monitor.snapshot(iteration, self.model)
    }

    fn after_update(&mut self, step: Taken<'_>) -> Result<()> {
        self.monitor.after_update(&step.step(&*self.model))
    }
}
