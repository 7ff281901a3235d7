//! Steps whose parameters stay on the device: the model on the host is brought up to date when something reads it.
use std::collections::HashMap;

use crate::data::Batch;
use crate::eager::Resident;
use crate::graph::AnyModel;
use crate::nn::{ModuleExt, ParamId, Params, Values};
use crate::{Error, Result};

use super::divergence::{self, Among, OnDivergence};
use super::host::Host;
use super::loss::{Found, Resolved};
use super::optim::{Optimizer, State};
use super::trainer::{Gradients, Training};

/// What takes the steps.
pub(super) enum Stepper {
    /// An engine that leaves gradients on the host, where the update is made.
    Host(Box<Host>),
    /// An engine with its parameters on a device, where the update is made.
    Device(Box<dyn Resident>),
}

impl Stepper {
    /// Whether its steps can measure metrics of their batches.
    pub fn measures(&self) -> bool {
        match self {
            Stepper::Host(host) => host.measures(),
            Stepper::Device(_) => false,
        }
    }
}

/// The parameters and moments on the device, beside those of the model and its optimiser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Copies {
    /// They are not there, or others.
    #[default]
    Absent,
    /// They are the same.
    Same,
    /// They are some steps ahead.
    Ahead,
}

impl Training {
    /// Whether the model and the optimiser are those after the last step.
    pub(crate) fn is_current(&self) -> bool {
        self.copies != Copies::Ahead
    }

    /// The names of the parameters that train.
    fn names(model: &dyn AnyModel) -> HashMap<ParamId, String> {
        model.training().into_iter().map(|(name, param)| (param.id(), name)).collect()
    }

    fn load(&mut self, model: &dyn AnyModel, resident: &mut dyn Resident) -> Result<()> {
        let (names, state, params) = (Self::names(model), self.optim.state(), Params::of(model));
        let known = |id: ParamId| names.get(&id).and_then(|name| state.get(name)).cloned();
        resident.load(&params, &known)?;
        self.copies = Copies::Same;
        Ok(())
    }

    /// Brings the model and the optimiser up to date.
    ///
    /// # Errors
    /// If a weight is not finite and the run ends then: the weights are those before.
    pub(super) fn fetch(&mut self, model: &mut dyn AnyModel, resident: &dyn Resident) -> Result<()> {
        if self.is_current() {
            return Ok(());
        }
        if self.on_divergence == OnDivergence::Stop {
            self.undo.keep(model, Among::Trained);
        }
        let names = Self::names(model);
        let remembered = |id: ParamId| Some((names.get(&id)?.clone(), resident.state(id)?));
        let state: State = resident.trained().into_iter().filter_map(remembered).collect();
        self.optim.remember(state)?;
        let mut put: Result<(), Error> = Ok(());
        model.visit_mut("", &mut |_, _, tensor| {
            if let Some(values) = resident.values(tensor.id())
                && put.is_ok()
            {
                put = tensor.put(values);
            }
        });
        put?;
        self.copies = Copies::Same;
        self.check_weights(model, Among::Trained, (self.cursor().iteration, "after the last steps"))
    }

    /// One step on the device; the gradients come to the host, and the model is brought up to date, if something `reads` them.
    pub(super) fn step_on(
        &mut self,
        model: &mut dyn AnyModel,
        resident: &mut dyn Resident,
        resolved: &Resolved,
        batch: &Batch,
        reads: bool,
    ) -> Result<(Found, Gradients)> {
        if self.copies == Copies::Absent {
            self.load(model, resident)?;
        }
        let positions = resolved.positions(batch, model.vocab_size())?;
        let loss = resident.run(batch, &positions)?;
        let mut gradients: Vec<(String, Values)> = Vec::new();
        if reads || !loss.is_finite() {
            for (name, param) in model.training() {
                gradients.extend(resident.gradient(param.id()).map(|gradient| (name, gradient)));
            }
        }
        let found = resolved.finish(loss, resident.terms(), model, &mut gradients);
        if let Some(message) = divergence::found(found.loss, &gradients).filter(|_| !self.has_diverged()) {
            // weights that were broken by an earlier step are told of first
            self.fetch(model, resident)?;
            self.diverges(self.cursor().iteration, message)?;
        }
        let names = Self::names(model);
        resident.update(&|id| self.optim.rule(names.get(&id).map_or("", String::as_str)))?;
        self.copies = Copies::Ahead;
        if reads {
            self.fetch(model, resident)?;
        }
        Ok((found, gradients))
    }
}
