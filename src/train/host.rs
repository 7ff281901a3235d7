//! Steps of an engine whose gradients come to the host, and what they measure of their own forward pass.
use crate::Result;
use crate::data::Batch;
use crate::engine::{AnyEngine, Request};
use crate::graph::{AnyModel, Graph};
use crate::nn::Params;
use crate::probe::{Evaluation, Measurements, Metric};

use super::loss::Resolved;
use super::{Compute, Device};

/// An engine whose gradients come to the host, and the metrics that its steps measure when they are asked to.
pub(super) struct Host {
    pub engine: AnyEngine,
    measures: Measures,
}

/// What a step can measure.
enum Measures {
    /// There are no metrics.
    Nothing,
    /// Its positions come after those of the loss.
    Metrics(Box<Evaluation>),
    /// There are metrics, but its steps cannot measure them: the engines of dfdx would compute in each run all that may be read.
    Elsewhere,
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
        let measures = match (metrics, compute.device) {
            ([], _) => Measures::Nothing,
            (metrics, Device::Cpu) => {
                let evaluation = Evaluation::new(metrics.iter().cloned(), graph, loss.sets())?;
                Measures::Metrics(evaluation.into())
            }
            (_, Device::Cuda) => Measures::Elsewhere,
        };
        let (reads, graph) = match &measures {
            Measures::Metrics(evaluation) => (evaluation.reads().to_vec(), evaluation.graph(graph)),
            Measures::Nothing | Measures::Elsewhere => (vec![], graph),
        };
        let request = Request { reads, ..loss.request().clone() };
        let params = Params::of(model);
        let engine = compute.engine(graph, &request, &|id| params.trains(id))?;
        Ok(Host { engine, measures })
    }

    /// Whether its steps can measure the metrics.
    pub fn measures(&self) -> bool {
        !matches!(self.measures, Measures::Elsewhere)
    }

    /// Runs the batch of a step, whose gradients the engine has then; returns the loss and, if it is `asked` for them and can measure
    /// them, the metrics.
    ///
    /// # Errors
    /// Those of the loss's predictors, of the engine and of the metrics.
    pub fn run(
        &mut self,
        model: &dyn AnyModel,
        loss: &Resolved,
        batch: &Batch,
        asked: bool,
    ) -> Result<(f64, Option<Measurements>)> {
        let params = Params::of(model);
        let mut rows = loss.positions(batch, model.vocab_size())?;
        let evaluation = match &self.measures {
            Measures::Metrics(evaluation) if asked => evaluation,
            measures => {
                let found = self.engine.differentiate(&params, batch, &rows)?;
                let measured = asked && matches!(measures, Measures::Nothing);
                return Ok((found, measured.then(Measurements::new)));
            }
        };
        rows.extend(evaluation.rows(batch));
        let (found, measured) = evaluation.run(&mut self.engine, &params, batch, &rows)?;
        Ok((found, Some(measured)))
    }
}
