//! A batch as micro-batches of whole sequences: losses and gradients summed in order, activations shown.
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::backend::{
    Axis, Backward, EngineDevice, Gradients, HasErr, Kind, Merge, OwnedTape, PutTape, Rank0, Scalar,
    SelectTo, SplitTape, SumTo, Tensor, TryAdd, TryMul,
};
use crate::data::Batch;
use crate::engine::Penalty;
use crate::engine::{
    Engine, LossTerm, Observer, ParamSource, Patches, Request, RowLists, RowSet, Shares, totals,
};
use crate::graph::{Graph, WeightOp};
use crate::nn::ParamId;
use crate::ops::check_gradient_lengths;
use crate::{Error, Result};

use super::constants::Constants;
use super::forward::{Forward, MicroBatch};
use super::needs::Needs;
use super::reads::HostValue;
use super::room;
use super::{Matrix, contiguous, ops, scalar};

/// A number, and the tape of its making.
type Scalar0<E, Dev> = Tensor<Rank0, E, Dev, OwnedTape<E, Dev>>;

/// Sequences in a micro-batch on the CPU, where a small working set is what counts; a GPU takes as many as it holds.
const CPU_SEQUENCES: usize = 8;

/// The dfdx engine: a graph for one request, on one device.
///
/// ```
/// use ihead::backend::{Cpu, Dim};
/// use ihead::data::Batch;
/// use ihead::engine::EagerEngine;
/// use ihead::engine::{Engine, Request, RowSet, ignore};
/// use ihead::graph::{Model, Stream, Tokens, record};
/// use ihead::nn::{Init, Module, Param, Params};
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
/// let request = Request::loss(RowSet::All);
/// let mut engine = EagerEngine::new(Cpu::default(), &record(&model, 3)?, &request, &|_| true)?;
/// let loss: f64 = engine.run(&Params::of(&model), &Batch::new(2, 3), &[], &ignore::<f64>)?;
/// assert!((loss - 4_f64.ln()).abs() < 1e-12);
/// assert!(engine.gradient(model.table.id()).is_some());
/// # Ok::<(), ihead::Error>(())
/// ```
pub struct EagerEngine<E: Scalar, Dev: EngineDevice<E>> {
    constants: Rc<Constants<E, Dev>>,
    graph: Graph,
    request: Request,
    needs: Rc<Needs>,
    micro_batch: usize,
    patches: Patches<E>,
    /// The value of each term of the loss in the last run.
    terms: Vec<f64>,
    gradients: BTreeMap<ParamId, Vec<E>>,
}

impl<E: Scalar, Dev: EngineDevice<E>> EagerEngine<E, Dev> {
    /// An engine for `graph` that computes what `request` asks for; `trains` tells which parameters get gradients.
    ///
    /// # Errors
    /// If the request asks for an activation that the graph does not have, or for a penalty of a pattern; if the memory of a GPU
    /// does not hold one sequence.
    pub fn new(
        device: Dev,
        graph: &Graph,
        request: &Request,
        trains: &dyn Fn(ParamId) -> bool,
    ) -> Result<Self, Error> {
        request.check_graph(graph)?;
        let needs = Needs::new(graph, request, trains);
        let elements = |(_, weight): &(ParamId, _)| elements_of(graph, *weight);
        let gradients = needs.gradients.iter().map(|g| (g.0, vec![E::default(); elements(g)])).collect();
        let micro_batch = room::sequences::<E, Dev>(graph, &needs)?.unwrap_or(CPU_SEQUENCES);
        let (request, patches, terms) =
            (request.clone(), Patches::new(graph), vec![f64::NAN; request.losses.len()]);
        Ok(EagerEngine {
            constants: Rc::new(Constants::new(device)),
            graph: graph.clone(),
            request,
            needs: Rc::new(needs),
            micro_batch,
            patches,
            terms,
            gradients,
        })
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
                self.constants.device.try_tensor_from_vec(values, (weight.rows, weight.cols)).map(Some)
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
        observer: Option<&Observer<'_, E>>,
    ) -> Result<f64> {
        self.patches.check(batch.batch)?;
        self.graph.params().iter().try_for_each(|param| params.check(param.id))?;
        self.gradients.values_mut().for_each(|gradient| gradient.fill(E::default()));
        let params = self.load(params).map_err(refused::<Dev>)?;
        let add = |this: &mut Self, from| this.add_gradients(from, &params);
        let loss = self.parts(&params, batch, rows, observer, add).map_err(refused::<Dev>)?;
        check_gradient_lengths(&self.graph)?;
        Ok(loss)
    }

    /// Runs a batch as micro-batches, whose gradients are handed over.
    fn parts(
        &mut self,
        params: &[Option<Matrix<E, Dev>>],
        batch: &Batch,
        rows: &[RowLists],
        observer: Option<&Observer<'_, E>>,
        mut take: impl FnMut(&mut Self, Gradients<E, Dev>) -> Result<(), Dev::Err>,
    ) -> Result<f64, Dev::Err> {
        let positions = self.request.loss_positions(batch, rows);
        let shares = Shares::new(&self.request.losses, &positions);
        self.terms.fill(0.0);
        let (constants, needs) = (Rc::clone(&self.constants), Rc::clone(&self.needs));
        for first in (0..batch.batch).step_by(self.micro_batch) {
            let part = MicroBatch::new(batch, first, self.micro_batch);
            let forward = Forward::run(&constants, &self.graph, &needs, params, &self.patches, &part)?;
            if let Some(observer) = observer {
                self.observe(&forward, &part, rows, observer)?;
            }
            if let Some(gradients) = self.differentiate(forward, &part, rows, &shares)? {
                take(self, gradients)?;
            }
        }
        Ok(totals(&self.request.losses, &positions, &mut self.terms))
    }

    fn observe(
        &self,
        forward: &Forward<'_, E, Dev>,
        part: &MicroBatch,
        rows: &[RowLists],
        observer: &Observer<'_, E>,
    ) -> Result<(), Dev::Err> {
        if self.request.reads.is_empty() {
            return Ok(());
        }
        let all: Vec<u32> = (0..part.seq as u32).collect();
        let values = self.request.reads.iter().map(|(node, _)| HostValue::new(forward.value(*node)));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        // a GPU runs faster than one core can look at what it did
        let asked = &self.request.reads;
        let show = |i: usize| {
            let sequence = part.first + i;
            let mut chosen: Vec<Vec<E>> = values.iter().map(|_| Vec::new()).collect();
            let places = asked.iter().map(|(_, set)| positions_of(*set, rows, sequence, &all));
            let shown = values.iter().zip(places).zip(&mut chosen);
            let shown: Vec<_> = shown.map(|((value, at), chosen)| value.rows(i, at, chosen)).collect();
            observer(sequence, &shown);
        };
        rayon_core::scope(|scope| (0..part.batch).for_each(|i| scope.spawn(move |_| show(i))));
        Ok(())
    }

    /// Adds the terms of the loss of a micro-batch to those of the run; their gradients, if there are any.
    fn differentiate(
        &mut self,
        forward: Forward<'_, E, Dev>,
        part: &MicroBatch,
        rows: &[RowLists],
        shares: &Shares,
    ) -> Result<Option<Gradients<E, Dev>>, Dev::Err> {
        let mut loss: Option<Scalar0<E, Dev>> = None;
        for (i, term) in self.request.losses.iter().enumerate() {
            let chosen = part.chosen(term.rows(), rows);
            if chosen.is_empty() {
                continue;
            }
            let sum = self.sum(term, &forward, part, rows, chosen)?;
            let value = sum.as_vec().into_iter().map(|x| crate::kernels::Element::to_f64(x)).sum::<f64>();
            self.terms[i] += value * shares.means[i];
            let weighted = sum.try_mul(scalar::<E>(shares.gradient(i)))?;
            loss = Some(match loss {
                None => weighted,
                Some(loss) => loss.try_add(weighted)?,
            });
        }
        let Some(loss) = loss.filter(|_| !self.gradients.is_empty()) else { return Ok(None) };
        let (loss, tape) = loss.split_tape();
        loss.put_tape(forward.tape.merge(tape)).try_backward().map(Some)
    }

    /// The sum of a term over the chosen rows of a micro-batch, on a tape of its own.
    fn sum(
        &self,
        term: &LossTerm,
        forward: &Forward<'_, E, Dev>,
        part: &MicroBatch,
        rows: &[RowLists],
        chosen: Vec<usize>,
    ) -> Result<Scalar0<E, Dev>, Dev::Err> {
        let (n, vocab) = (chosen.len(), self.graph.vocab());
        let next: Vec<usize> = chosen.iter().map(|&row| part.y[row]).collect();
        let node = term.node(&self.graph);
        let chosen = ops::chosen(forward.stream(node).retaped::<OwnedTape<E, Dev>>(), chosen)?;
        match *term {
            LossTerm::NextToken { .. } => {
                let targets = self.constants.device.try_tensor_from_vec(next, (n,))?;
                chosen.try_log_softmax::<Axis<1>>()?.try_select(targets)?.try_negate()?.try_sum()
            }
            LossTerm::Distribution { set, .. } => {
                let of = |i: usize| rows[set].distributions(part.first + i).iter().map(|p| scalar(*p));
                let targets = (0..part.batch).flat_map(of).collect();
                let targets = self.constants.device.try_tensor_from_vec(targets, (n, vocab))?;
                chosen.try_log_softmax::<Axis<1>>()?.try_mul(targets)?.try_negate()?.try_sum()
            }
            LossTerm::Penalty { penalty: Penalty::L1, .. } => chosen.try_abs()?.try_sum(),
            LossTerm::Penalty { penalty: Penalty::L2, .. } => chosen.try_square()?.try_sum(),
        }
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
            sum.iter_mut().zip(contiguous(&from.get(param))).for_each(|(sum, x)| *sum += x);
        }
        Ok(())
    }
}

/// What `on_device` asks for.
#[cfg(any(test, feature = "cuda"))]
impl<E: Scalar, Dev: EngineDevice<E>> EagerEngine<E, Dev> {
    /// Whether so many sequences are one micro-batch.
    pub(super) fn fits(&self, sequences: usize) -> bool {
        sequences <= self.micro_batch
    }

    /// Loads the parameters that are needed, after a check that they have values.
    pub(super) fn loaded(&self, params: &dyn ParamSource<E>) -> Result<Vec<Option<Matrix<E, Dev>>>> {
        self.graph.params().iter().try_for_each(|param| params.check(param.id))?;
        self.load(params).map_err(refused::<Dev>)
    }

    /// The parameters with gradients, and the places of their weights.
    pub(super) fn trained(&self) -> &[(ParamId, crate::graph::WeightId)] {
        &self.needs.gradients
    }

    /// Runs a batch that is one micro-batch with parameters that are loaded; the gradients stay on the device.
    pub(super) fn whole(
        &mut self,
        params: &[Option<Matrix<E, Dev>>],
        batch: &Batch,
        rows: &[RowLists],
    ) -> Result<(f64, Option<Gradients<E, Dev>>)> {
        self.request.check((self.graph.seq(), self.graph.vocab()), batch, rows)?;
        let mut left = None;
        let loss = self.parts(params, batch, rows, None, |_, gradients| {
            left = Some(gradients);
            Ok(())
        });
        Ok((loss.map_err(refused::<Dev>)?, left))
    }
}

impl<E: Scalar, Dev: EngineDevice<E>> crate::sealed::Sealed for EagerEngine<E, Dev> {}

impl<E: Scalar, Dev: EngineDevice<E>> Engine<E> for EagerEngine<E, Dev> {
    fn run(
        &mut self,
        params: &dyn ParamSource<E>,
        batch: &Batch,
        rows: &[RowLists],
        observer: &Observer<'_, E>,
    ) -> Result<f64> {
        self.request.check((self.graph.seq(), self.graph.vocab()), batch, rows)?;
        self.run_checked(params, batch, rows, Some(observer))
    }

    fn differentiate(
        &mut self,
        params: &dyn ParamSource<E>,
        batch: &Batch,
        rows: &[RowLists],
    ) -> Result<f64> {
        self.request.without_reads().check((self.graph.seq(), self.graph.vocab()), batch, rows)?;
        self.run_checked(params, batch, rows, None)
    }

    fn terms(&self) -> &[f64] {
        &self.terms
    }

    fn patch(&mut self, site: &str, shape: &[usize], values: &[E]) -> Result<()> {
        self.patches.put(site, shape, values)
    }

    fn gradient(&self, param: ParamId) -> Option<&[E]> {
        self.gradients.get(&param).map(Vec::as_slice)
    }
}

/// The error of a device, on which something failed.
pub(super) fn refused<Dev: HasErr + Kind>(error: Dev::Err) -> Error {
    Error::device(Dev::KIND.name(), error.to_string())
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
