//! Training with everything on the device: parameters, gradients and what the optimiser remembers of them stay there from step to
//! step; the batch goes up, the loss comes down.
use crate::Result;
use crate::data::Batch;
use crate::engine::RowLists;
use crate::nn::{ParamId, Params, Values};
use crate::train::optim::{ParamState, Rule};

/// Parameters on a device, and their updates there.
pub(crate) trait Resident {
    /// Takes parameters and what is remembered of them, which tells of one parameter each.
    ///
    /// # Errors
    /// If a parameter has no values, or the device fails.
    fn load(&mut self, params: &Params<'_>, known: &dyn Fn(ParamId) -> Option<ParamState>) -> Result<()>;

    /// Whether a batch of so many sequences can be run at once, as [`run`](Self::run) does.
    fn fits(&self, sequences: usize) -> bool;

    /// Runs a batch: the loss. The gradients stay on the device.
    ///
    /// # Errors
    /// Those of [`Engine::run`].
    fn run(&mut self, batch: &Batch, rows: &[RowLists]) -> Result<f64>;

    /// The value of each term of the loss in the last run, before its weight.
    fn terms(&self) -> &[f64];

    /// Updates each parameter that has a gradient and a rule. The gradients are gone then.
    ///
    /// # Errors
    /// If the device fails.
    fn update(&mut self, rule: &dyn Fn(ParamId) -> Option<Rule>) -> Result<()>;

    /// The parameters that have gradients.
    fn trained(&self) -> Vec<ParamId>;

    /// The values of one of them.
    fn values(&self, param: ParamId) -> Option<Values>;

    /// The gradient of one of them, between a run and the update.
    fn gradient(&self, param: ParamId) -> Option<Values>;

    /// What is remembered of one of them, if something is.
    fn state(&self, param: ParamId) -> Option<ParamState>;
}
