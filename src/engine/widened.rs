//! Double-precision arithmetic for single-precision parameters.
use std::collections::BTreeMap;

use crate::data::Batch;
use crate::graph::Graph;
use crate::nn::{ParamId, Version};
use crate::{Error, Result};

use super::{Engine, Observer, ParamSource, Read, RowLists};

/// An engine that computes in `f64` and is used like one of `f32`: parameters are widened exactly, gradients and activations are
/// rounded once, at the end. The error of a gradient is then that of its last bit, not that of a sum in single precision.
///
/// ```
/// use ihead::config::Config;
/// use ihead::data::Batch;
/// use ihead::engine::{Engine, Request, RowSet, Widened, ignore};
/// use ihead::graph::record;
/// use ihead::model::{Simplified, SimplifiedArgs};
/// use ihead::nn::{ModuleExt, Params};
/// use ihead::engine::CpuEngine;
///
/// let sizes = SimplifiedArgs { max_length: 4, dim: 16, ..SimplifiedArgs::defaults() };
/// let model = Simplified::new(65, &sizes)?.init(42);
/// let (graph, params) = (record(&model, 4)?, Params::of(&model));
/// let request = Request::loss(RowSet::All);
/// let trains = |id| params.trains(id);
/// let mut engine = Widened::new(CpuEngine::<f64>::new(&graph, &request, &trains, 1)?, &graph);
/// let batch = Batch { x: vec![7, 1, 2, 3], y: vec![1, 2, 3, 4], marks: vec![0; 4], batch: 1, seq: 4 };
/// engine.run(&params, &batch, &[], &ignore)?;
/// let wk = model.tensor("layers.1.attention.wk.weight")?.id();
/// let gradient: &[f32] = engine.gradient(wk).unwrap();
/// assert_eq!(gradient.len(), 16 * 16);
/// # Ok::<(), ihead::Error>(())
/// ```
pub struct Widened<T> {
    engine: T,
    gradients: BTreeMap<ParamId, Option<Vec<f32>>>,
}

impl<T: Engine<f64>> Widened<T> {
    /// Wraps `engine`, which runs `graph`.
    pub fn new(engine: T, graph: &Graph) -> Self {
        Widened { engine, gradients: graph.params().iter().map(|param| (param.id, None)).collect() }
    }

    /// Rounds the gradients of the last run.
    fn round(&mut self) {
        for (param, gradient) in &mut self.gradients {
            *gradient = self.engine.gradient(*param).map(narrowed);
        }
    }
}

impl<T> crate::sealed::Sealed for Widened<T> {}

impl<T: Engine<f64>> Engine<f32> for Widened<T> {
    fn run(
        &mut self,
        params: &dyn ParamSource<f32>,
        batch: &Batch,
        rows: &[RowLists],
        observer: &Observer<'_, f32>,
    ) -> Result<f64, Error> {
        let observe = |sequence: usize, reads: &[Read<'_, f64>]| {
            let data: Vec<Vec<f32>> = reads.iter().map(|read| narrowed(read.data)).collect();
            let reads: Vec<Read<'_, f32>> =
                reads.iter().zip(&data).map(|(read, data)| read.with_data(data)).collect();
            observer(sequence, &reads);
        };
        let loss = self.engine.run(&Wide(params), batch, rows, &observe)?;
        self.round();
        Ok(loss)
    }

    fn differentiate(
        &mut self,
        params: &dyn ParamSource<f32>,
        batch: &Batch,
        rows: &[RowLists],
    ) -> Result<f64, Error> {
        let loss = self.engine.differentiate(&Wide(params), batch, rows)?;
        self.round();
        Ok(loss)
    }

    fn patch(&mut self, site: &str, shape: &[usize], values: &[f32]) -> Result<(), Error> {
        let wide: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
        self.engine.patch(site, shape, &wide)
    }

    fn terms(&self) -> &[f64] {
        self.engine.terms()
    }

    fn gradient(&self, param: ParamId) -> Option<&[f32]> {
        self.gradients.get(&param)?.as_deref()
    }
}

fn narrowed(values: &[f64]) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}

/// Single-precision parameters, read in double precision.
struct Wide<'a>(&'a dyn ParamSource<f32>);

impl ParamSource<f64> for Wide<'_> {
    fn read(&self, param: ParamId, into: &mut [f64]) {
        let mut single = vec![0.0; into.len()];
        self.0.read(param, &mut single);
        into.iter_mut().zip(single).for_each(|(wide, single)| *wide = f64::from(single));
    }

    fn version(&self, param: ParamId) -> Option<Version> {
        self.0.version(param)
    }

    fn check(&self, param: ParamId) -> Result<()> {
        self.0.check(param)
    }
}
