//! Metrics of one graph on an engine of their own.
use crate::Result;
use crate::data::Batch;
use crate::engine::{AnyEngine, ParamSource, Request, RowLists};
use crate::graph::Graph;
use crate::probe::{Evaluation, Measurements, Metric};
use crate::train::Compute;

/// An evaluation that is kept from batch to batch, with its engine.
pub(super) struct Evaluator {
    evaluation: Evaluation,
    engine: AnyEngine,
    size: (usize, usize),
}

impl Evaluator {
    /// Metrics of the model that `graph` records.
    pub fn new(metrics: Vec<Metric>, graph: &Graph, compute: Compute) -> Result<Evaluator> {
        let evaluation = Evaluation::new(metrics, graph, 0)?;
        let request = Request::reads(evaluation.reads().to_vec());
        let engine = compute.engine(evaluation.graph(graph), &request, &|_| false)?;
        Ok(Evaluator { evaluation, engine, size: (graph.seq(), graph.vocab()) })
    }

    /// Its engine.
    pub fn engine(&mut self) -> &mut AnyEngine {
        &mut self.engine
    }

    /// Whether `batch` can be measured.
    pub fn check(&self, batch: &Batch) -> Result<()> {
        Request::default().check(self.size, batch, &[])
    }

    /// The positions of a batch that it reads, which stay the same as long as the batch does.
    ///
    /// # Errors
    /// If the lists of the batch are not as long as its size says.
    pub fn rows(&self, batch: &Batch) -> Result<Vec<RowLists>> {
        batch.check()?;
        Ok(self.evaluation.rows(batch))
    }

    /// The metrics of these weights on a batch, of which these are the [`rows`](Self::rows).
    pub fn run<P>(&mut self, params: &P, batch: &Batch, rows: &[RowLists]) -> Result<Measurements>
    where
        P: ParamSource<f32> + ParamSource<f64>,
    {
        Ok(self.evaluation.run(&mut self.engine, params, batch, rows)?.1)
    }
}
