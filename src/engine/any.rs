//! An engine in the precision of a run.
use crate::Result;
use crate::data::Batch;
use crate::nn::{ParamId, Values};

use super::{Engine, ParamSource, RowLists, ignore};

/// An engine in the precision in which a run keeps its parameters: what [`Compute::engine`](crate::train::Compute::engine)
/// makes. Nothing is rounded between the parameters, the engine and its gradients.
#[non_exhaustive]
pub enum AnyEngine {
    /// For parameters in single precision (the arithmetic may be double: [`Widened`](super::Widened)).
    Single(Box<dyn Engine<f32>>),
    /// For parameters in double precision.
    Double(Box<dyn Engine<f64>>),
}

impl AnyEngine {
    /// Runs the batch as [`Engine::run`] does, without an observer of activations.
    ///
    /// # Errors
    /// Those of [`Engine::run`].
    pub fn run<P>(&mut self, params: &P, batch: &Batch, rows: &[RowLists]) -> Result<f64>
    where
        P: ParamSource<f32> + ParamSource<f64>,
    {
        match self {
            AnyEngine::Single(engine) => engine.run(params, batch, rows, &ignore),
            AnyEngine::Double(engine) => engine.run(params, batch, rows, &ignore),
        }
    }

    /// Runs the batch for the loss and its gradients alone, as [`Engine::differentiate`] does.
    ///
    /// # Errors
    /// Those of [`Engine::run`].
    pub fn differentiate<P>(&mut self, params: &P, batch: &Batch, rows: &[RowLists]) -> Result<f64>
    where
        P: ParamSource<f32> + ParamSource<f64>,
    {
        match self {
            AnyEngine::Single(engine) => engine.differentiate(params, batch, rows),
            AnyEngine::Double(engine) => engine.differentiate(params, batch, rows),
        }
    }

    /// Hands over the values of a patched site as [`Engine::patch`] does, in single precision.
    ///
    /// # Errors
    /// Those of [`Engine::patch`].
    pub fn patch(&mut self, site: &str, shape: &[usize], values: &[f32]) -> Result<()> {
        match self {
            AnyEngine::Single(engine) => engine.patch(site, shape, values),
            AnyEngine::Double(engine) => {
                let wide: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
                engine.patch(site, shape, &wide)
            }
        }
    }

    /// The value of each term of the loss, as [`Engine::terms`] gives it.
    pub fn terms(&self) -> &[f64] {
        match self {
            AnyEngine::Single(engine) => engine.terms(),
            AnyEngine::Double(engine) => engine.terms(),
        }
    }

    /// The gradient of a parameter, as [`Engine::gradient`] gives it.
    pub fn gradient(&self, param: ParamId) -> Option<Values> {
        match self {
            AnyEngine::Single(engine) => engine.gradient(param).map(|g| Values::Single(g.to_vec())),
            AnyEngine::Double(engine) => engine.gradient(param).map(|g| Values::Double(g.to_vec())),
        }
    }
}
