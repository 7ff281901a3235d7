//! Steps of an engine whose gradients come to the host, and what they measure of their own forward pass.
use crate::Result;
use crate::data::Batch;
use crate::engine::{AnyEngine, Request};
use crate::graph::{AnyModel, Graph};
use crate::nn::Params;
use crate::probe::{Evaluation, Measurements, Metric};

use super::Compute;
use super::loss::Resolved;

/// An engine on the host, and the metrics that it measures when a step is asked to.
pub(super) struct Host {
    pub engine: AnyEngine,
    /// Its positions come after those of the loss. None if there are no metrics.
    evaluation: Option<Evaluation>,
}

impl Host {
    /// An engine of this loss and these metrics of the model that `graph` records.
    ///
    /// # Errors
    /// Those of [`Evaluation::new`] and [`Compute::engine`].
    pub fn new(
        model: &dyn AnyModel,
        graph: &Graph,
        (loss, metrics): (&Resolved, &[Metric]),
        compute: Compute,
    ) -> Result<Host> {
        let evaluation = match metrics {
            [] => None,
            metrics => Some(Evaluation::new(metrics.iter().cloned(), graph, loss.sets())?),
        };
        let reads = evaluation.as_ref().map_or_else(Vec::new, |evaluation| evaluation.reads().to_vec());
        let request = Request { reads, ..loss.request().clone() };
        let graph = evaluation.as_ref().map_or(graph, |evaluation| evaluation.graph(graph));
        let params = Params::of(model);
        let engine = compute.engine(graph, &request, &|id| params.trains(id))?;
        Ok(Host { engine, evaluation })
    }

    /// Runs the batch of a step, whose gradients the engine has then; returns the loss and, if it `measures`, the metrics.
    ///
    /// # Errors
    /// Those of the loss's predictors, of the engine and of the metrics.
    pub fn run(
        &mut self,
        model: &dyn AnyModel,
        loss: &Resolved,
        batch: &Batch,
        measures: bool,
    ) -> Result<(f64, Option<Measurements>)> {
        let params = Params::of(model);
        let mut rows = loss.positions(batch, model.vocab_size())?;
        let Some(evaluation) = self.evaluation.as_ref().filter(|_| measures) else {
            let found = self.engine.differentiate(&params, batch, &rows)?;
            return Ok((found, measures.then(Measurements::new)));
        };
        rows.extend(evaluation.rows(batch));
        let (found, measured) = evaluation.run(&mut self.engine, &params, batch, &rows)?;
        Ok((found, Some(measured)))
    }
}
