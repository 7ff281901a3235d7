//! A batch as micro-batches of whole sequences: losses and gradients summed in order, activations shown.
use std::collections::BTreeMap;

use crate::backend::{
    Backward, DeviceKind, EngineDevice, Gradients, PutTape, Rank0, Scalar, SplitTape, SumTo, TryMul,
};
use crate::data::Batch;
use crate::engine::{Engine, Given, Observer, ParamSource, Request, RowLists, RowSet};
use crate::graph::{Graph, WeightOp};
use crate::nn::ParamId;
use crate::{Error, Result};

use super::forward::{Forward, MicroBatch};
use super::needs::Needs;
use super::reads::HostValue;
use super::{Matrix, ops, scalar};

/// Sequences in a micro-batch on the CPU, where a small working set is what counts.
const CPU_SEQUENCES: usize = 8;

/// Elements of all activations of a micro-batch on a GPU, before their gradients and intermediate values.
const CUDA_ELEMENTS: usize = 1 << 27;

/// The dfdx engine: a graph for one request, on one device.
///
/// ```
/// use ihead::backend::Cpu;
/// use ihead::data::Batch;
/// use ihead::eager::EagerEngine;
/// use ihead::engine::{Engine, Request, RowSet, ignore};
/// use ihead::graph::{Model, Stream, Tokens, record};
/// use ihead::nn::{Init, Module, Param, Params};
/// use ihead::backend::Dim;
///
/// #[derive(ihead::Module)]
/// struct Bigram {
///     #[param]
///     table: Param<(usize, usize)>,
/// }
/// impl Model for Bigram {
///     type Vocab = usize;
///     fn vocab(&self) -> usize {
///         4
///     }
///     fn forward<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
///         x.lookup(&x.recorder().weight(&self.table))
///     }
/// }
///
/// let model = Bigram { table: Param::new((4, 4), Init::Zeros) };
/// let request = Request { loss: Some(RowSet::All), reads: vec![] };
/// let mut engine = EagerEngine::new(Cpu::default(), &record(&model, 3), &request, &|_| true);
/// let loss: f64 = engine.run(&Params::of(&model), &Batch::new(2, 3), &[], &ignore::<f64>)?;
/// assert!((loss - 4_f64.ln()).abs() < 1e-12);
/// assert!(engine.gradient(model.table.id()).is_some());
/// # Ok::<(), ihead::Error>(())
/// ```
pub struct EagerEngine<E: Scalar, Dev: EngineDevice<E>> {
    device: Dev,
    graph: Graph,
    request: Request,
    needs: Needs,
    micro_batch: usize,
    given: Given<E>,
    gradients: BTreeMap<ParamId, Vec<E>>,
}

impl<E: Scalar, Dev: EngineDevice<E>> EagerEngine<E, Dev> {
    /// An engine for `graph` that computes what `request` asks for; `trains` tells which parameters get gradients.
    pub fn new(device: Dev, graph: &Graph, request: &Request, trains: &dyn Fn(ParamId) -> bool) -> Self {
        let needs = Needs::new(graph, request, trains);
        let elements = |(_, weight): &(ParamId, _)| elements_of(graph, *weight);
        let gradients = needs.gradients.iter().map(|g| (g.0, vec![E::default(); elements(g)])).collect();
        let micro_batch = match Dev::KIND {
            DeviceKind::Cpu => CPU_SEQUENCES,
            DeviceKind::Cuda => (CUDA_ELEMENTS / sequence_elements(graph)).max(1),
        };
        let (request, given) = (request.clone(), Given::new(graph));
        EagerEngine { device, graph: graph.clone(), request, needs, micro_batch, given, gradients }
    }

    /// The same with this many sequences in a micro-batch: memory grows with it, results differ in rounding only.
    pub fn with_micro_batch(mut self, sequences: usize) -> Self {
        self.micro_batch = sequences.max(1);
        self
    }

    /// The parameters that are needed, on the device, in the places of their weights.
    fn load(&self, params: &dyn ParamSource<E>) -> Result<Vec<Option<Matrix<E, Dev>>>, Dev::Err> {
        let load = |(i, weight): (usize, &crate::graph::WeightNode)| match weight.op {
            WeightOp::Param(id) if self.needs.weights[i] => {
                let mut values = vec![E::default(); weight.rows * weight.cols];
                params.read(id, &mut values);
                self.device.try_tensor_from_vec(values, (weight.rows, weight.cols)).map(Some)
            }
            _ => Ok(None),
        };
        self.graph.weights().iter().enumerate().map(load).collect()
    }

    /// Runs the batch after it was checked.
    fn run_checked(
        &mut self,
        params: &dyn ParamSource<E>,
        batch: &Batch,
        rows: &[RowLists],
        observer: &Observer<'_, E>,
    ) -> Result<f64, Dev::Err> {
        self.gradients.values_mut().for_each(|gradient| gradient.fill(E::default()));
        let params = self.load(params)?;
        let selected = self.request.loss_positions(batch, rows);
        let mut loss = 0.0;
        for first in (0..batch.batch).step_by(self.micro_batch) {
            let part = MicroBatch::new(batch, first, self.micro_batch);
            let forward = Forward::run(&self.device, &self.graph, &self.needs, &params, &self.given, &part)?;
            self.observe(&forward, &part, rows, observer);
            loss += self.cross_entropy(forward, &params, &part, rows, 1.0 / selected.max(1) as f64)?;
        }
        Ok(if selected == 0 { f64::NAN } else { loss })
    }

    fn observe(
        &self,
        forward: &Forward<E, Dev>,
        part: &MicroBatch,
        rows: &[RowLists],
        observer: &Observer<'_, E>,
    ) {
        if self.request.reads.is_empty() {
            return;
        }
        let all: Vec<u32> = (0..part.seq as u32).collect();
        let values: Vec<_> =
            self.request.reads.iter().map(|(node, _)| HostValue::new(forward.value(*node))).collect();
        for i in 0..part.batch {
            let sequence = part.first + i;
            let positions = |set: &RowSet| positions_of(*set, rows, sequence, &all);
            let asked = self.request.reads.iter().map(|(_, set)| positions(set));
            let chosen: Vec<_> = values.iter().zip(asked).map(|(value, at)| value.rows(i, at)).collect();
            observer(sequence, &chosen.iter().map(|rows| rows.read()).collect::<Vec<_>>());
        }
    }

    /// `weight` times the sum of cross-entropies of a micro-batch; its gradients are added to those of the run.
    fn cross_entropy(
        &mut self,
        forward: Forward<E, Dev>,
        params: &[Option<Matrix<E, Dev>>],
        part: &MicroBatch,
        rows: &[RowLists],
        weight: f64,
    ) -> Result<f64, Dev::Err> {
        let Some(set) = self.request.loss else { return Ok(0.0) };
        let all: Vec<u32> = (0..part.seq as u32).collect();
        let of_sequence = |i: usize| {
            let positions = positions_of(set, rows, part.first + i, &all);
            positions.iter().map(move |&t| i * part.seq + t as usize)
        };
        let chosen: Vec<usize> = (0..part.batch).flat_map(of_sequence).collect();
        if chosen.is_empty() {
            return Ok(0.0);
        }
        let targets = chosen.iter().map(|&row| part.y[row]).collect();
        let logits = forward.stream(self.graph.logits()).clone().put_tape(forward.tape);
        let (log_p, tape) = ops::log_probabilities(logits, chosen, targets)?.split_tape();
        let sum: f64 = log_p.as_vec().into_iter().map(|x| crate::kernels::Element::to_f64(x)).sum();
        if !self.gradients.is_empty() {
            let loss = log_p.put_tape(tape).try_sum::<Rank0, _>()?.try_mul(scalar::<E>(-weight))?;
            self.add_gradients(loss.try_backward()?, params)?;
        }
        Ok(-weight * sum)
    }

    fn add_gradients(
        &mut self,
        mut from: Gradients<E, Dev>,
        params: &[Option<Matrix<E, Dev>>],
    ) -> Result<(), Dev::Err> {
        for (id, weight) in &self.needs.gradients {
            let (Some(param), Some(sum)) = (&params[weight.index()], self.gradients.get_mut(id)) else {
                continue;
            };
            from.try_alloc_for(param)?;
            sum.iter_mut().zip(from.get(param).as_vec()).for_each(|(sum, x)| *sum += x);
        }
        Ok(())
    }
}

impl<E: Scalar, Dev: EngineDevice<E>> Engine<E> for EagerEngine<E, Dev> {
    fn run(
        &mut self,
        params: &dyn ParamSource<E>,
        batch: &Batch,
        rows: &[RowLists],
        observer: &Observer<'_, E>,
    ) -> Result<f64> {
        self.request.check((self.graph.seq(), self.graph.vocab()), batch, rows)?;
        self.given.check(batch.batch)?;
        let result = self.run_checked(params, batch, rows, observer);
        result.map_err(|e| Error::device(Dev::KIND.name(), e.to_string()))
    }

    fn give(&mut self, site: &str, shape: &[usize], values: &[E]) -> Result<()> {
        self.given.put(site, shape, values)
    }

    fn gradient(&self, param: ParamId) -> Option<&[E]> {
        self.gradients.get(&param).map(Vec::as_slice)
    }
}

/// The positions of one sequence in a row set; `all` are those of every sequence.
fn positions_of<'a>(set: RowSet, rows: &'a [RowLists], sequence: usize, all: &'a [u32]) -> &'a [u32] {
    match set {
        RowSet::All => all,
        RowSet::Set(k) => rows[k].sequence(sequence),
    }
}

fn elements_of(graph: &Graph, weight: crate::graph::WeightId) -> usize {
    let node = &graph.weights()[weight.index()];
    node.rows * node.cols
}

/// Elements of the values of all nodes for one sequence.
fn sequence_elements(graph: &Graph) -> usize {
    let seq = graph.seq();
    let elements = |node: &crate::graph::Node| node.cols * seq * if node.op.is_pattern() { seq } else { 1 };
    graph.nodes().iter().map(elements).sum::<usize>().max(1)
}
