//! Metrics, activations and gradients of a model without training it.
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use crate::data::Batch;
use crate::engine::{AnyEngine, Read, Request, RowSet};
use crate::graph::{AnyModel, Edit, Edits, Graph, NodeId};
use crate::io::Array;
use crate::kernels::Element;
use crate::names::only;
use crate::nn::{AnyParam, ModuleExt, Params, Role, Values};
use crate::probe::{Measurements, Metric};
use crate::train::{Compute, Loss};
use crate::{Error, Result};

use super::evaluator::Evaluator;
use super::patches::Patches;

/// Whose code it is that panics, in the error: a metric, a loss, the forward pass or an operation of the user's.
const WHAT: &str = "the measurement";

/// Measures metrics of a model on a batch, without training the model.
///
/// ```
/// use ihead::config::Config;
/// use ihead::data::Batch;
/// use ihead::model::{Simplified, SimplifiedArgs};
/// use ihead::probe::Metric;
///
/// let sizes = SimplifiedArgs { max_length: 4, dim: 16, ..SimplifiedArgs::defaults() };
/// let model = Simplified::new(10, &sizes)?.init(0);
/// let batch = Batch { x: vec![7, 1, 2, 3], y: vec![1, 2, 3, 4], marks: vec![0; 4], batch: 1, seq: 4 };
/// let found = ihead::run::measure(&model, [Metric::loss("loss")], &batch)?;
/// assert!(found.get("loss").is_some_and(|loss| loss > 1.0));
/// # Ok::<(), ihead::Error>(())
/// ```
///
/// # Errors
/// If the model lacks a site that is measured, a metric cannot be (two have one name, one has none, a number of it is out of range), the
/// batch does not fit the model, a parameter was never initialised, or the model or a metric panics.
pub fn measure(
    model: &dyn AnyModel,
    metrics: impl IntoIterator<Item = Metric>,
    batch: &Batch,
) -> Result<Measurements> {
    Inspect::new(model).measure(metrics, batch)
}

/// Returns the values at a site for every sequence of a batch: `[batch, seq, dim]`, or `[batch, heads, seq, seq]` if it is a
/// pattern.
///
/// ```
/// use ihead::config::Config;
/// use ihead::data::Batch;
/// use ihead::model::{Simplified, SimplifiedArgs};
///
/// let sizes = SimplifiedArgs { max_length: 4, dim: 16, ..SimplifiedArgs::defaults() };
/// let model = Simplified::new(10, &sizes)?.init(0);
/// let batch = Batch { x: vec![7, 1, 2, 3], y: vec![1, 2, 3, 4], marks: vec![0; 4], batch: 1, seq: 4 };
/// let pattern = ihead::run::activations(&model, &batch, "layers.0.attention.pattern")?;
/// assert_eq!(pattern.shape, [1, 1, 4, 4]);
/// assert_eq!(pattern.values[..4], [1.0, 0.0, 0.0, 0.0]); // position 0 sees itself alone
/// # Ok::<(), ihead::Error>(())
/// ```
///
/// # Errors
/// If there is no such site (the nearest name is in the message), the batch does not fit the model, a parameter was never
/// initialised, or the model panics.
pub fn activations(model: &dyn AnyModel, batch: &Batch, site: &str) -> Result<Array> {
    Inspect::new(model).activations(batch, site)
}

/// Returns the loss of a model on a batch, and its gradient for each parameter that trains.
///
/// # Errors
/// If the loss names a site or weight that the model lacks or has a weight that is not finite, the batch does not fit the model, a
/// parameter was never initialised, or the model or the loss panics.
pub fn gradients(model: &dyn AnyModel, batch: &Batch, loss: &Loss) -> Result<Gradients> {
    Inspect::new(model).gradients(batch, loss)
}

/// The loss of a model on a batch, and its gradient for each parameter that trains.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// The mean loss; NaN if it selects no position.
    pub loss: f64,
    /// The gradient of each parameter that trains, by name; zeros where nothing that it feeds reaches the loss. The values
    /// are in single precision, also where they were computed in double; an [`Engine`](crate::engine::Engine) in `f64` gives all bits.
    /// A tied parameter is here once, under its first name.
    pub by_name: BTreeMap<String, Array>,
    /// The first name of each other name of a tied parameter that trains.
    ties: BTreeMap<String, String>,
}

impl Gradients {
    /// Returns the gradient of the parameter of this name, or of the only one of the module of this name, in the shape of the
    /// parameter. Of a tied parameter, any of its names will do.
    ///
    /// # Errors
    /// If no parameter of this name trains: the nearest name is in the message.
    pub fn of(&self, name: &str) -> Result<&Array> {
        let known = || self.by_name.keys().chain(self.ties.keys()).map(String::as_str);
        let first = |one| self.ties.get(one).map_or(one, String::as_str);
        let firsts = || self.by_name.keys().map(String::as_str);
        // a module of two names of one parameter has only that parameter
        let found = only(name, firsts()).or_else(|| only(name, known()).map(first));
        let found = found.and_then(|one| self.by_name.get(one));
        found.ok_or_else(|| Error::unknown("trained parameter", name, known()))
    }
}

/// The first name of each other name of a tied parameter that trains.
fn ties(model: &dyn AnyModel) -> BTreeMap<String, String> {
    let firsts: HashMap<_, _> =
        model.training().into_iter().map(|(name, param)| (param.id(), name)).collect();
    let tensors = model.tensors().into_iter();
    let of = |(name, _, tensor): (String, Role, &dyn AnyParam)| {
        firsts.get(&tensor.id()).filter(|first| **first != name).map(|first| (name, first.clone()))
    };
    tensors.filter_map(of).collect()
}

/// Measures a model without training it, with options such as edits, a device and threads. [`measure`], [`activations`]
/// and [`gradients`] are the short forms without options.
///
/// ```
/// use ihead::config::Config;
/// use ihead::data::Batch;
/// use ihead::graph::{Edit, Edits};
/// use ihead::model::{Simplified, SimplifiedArgs};
/// use ihead::run::Inspect;
/// use ihead::train::Loss;
///
/// let sizes = SimplifiedArgs { max_length: 4, dim: 16, ..SimplifiedArgs::defaults() };
/// let model = Simplified::new(10, &sizes)?.init(0);
/// let batch = Batch { x: vec![7, 1, 2, 3], y: vec![1, 2, 3, 4], marks: vec![0; 4], batch: 1, seq: 4 };
/// let clamp = Edits::default().with("layers.0.attention.pattern", Edit::PreviousToken);
/// let gradients = Inspect::new(&model).edits(clamp).gradients(&batch, &Loss::next_token())?;
/// // layer 0's keys act through its pattern alone
/// assert!(gradients.of("layers.0.attention.wk.weight")?.values.iter().all(|g| *g == 0.0));
/// assert!(gradients.of("layers.1.attention.wk.weight")?.values.iter().any(|g| *g != 0.0));
/// # Ok::<(), ihead::Error>(())
/// ```
pub struct Inspect<'a> {
    model: &'a dyn AnyModel,
    edits: Edits,
    patches: Patches,
    compute: Compute,
}

impl<'a> Inspect<'a> {
    /// Makes an inspection of a model without edits, on all cores.
    pub fn new(model: &'a dyn AnyModel) -> Self {
        Inspect { model, edits: Edits::default(), patches: Patches::default(), compute: Compute::default() }
    }

    /// Edits some of the model's sites in all that is measured.
    pub fn edits(mut self, edits: Edits) -> Self {
        self.edits = self.edits.and(edits);
        self
    }

    /// Replaces the values at a site by these, such as the [`activations`] of another batch of as many sequences or of other
    /// weights: `[batch, seq, dim]`, or `[batch, heads, seq, seq]` if it is a pattern.
    ///
    /// ```
    /// use ihead::config::Config;
    /// use ihead::data::Batch;
    /// use ihead::model::{Simplified, SimplifiedArgs};
    /// use ihead::probe::Metric;
    /// use ihead::run::{Inspect, activations, measure};
    ///
    /// let sizes = SimplifiedArgs { max_length: 4, dim: 16, ..SimplifiedArgs::defaults() };
    /// let model = Simplified::new(10, &sizes)?.init(0);
    /// let clean = Batch { x: vec![7, 1, 7, 1], y: vec![1, 7, 1, 2], marks: vec![0; 4], batch: 1, seq: 4 };
    /// let corrupt = Batch { x: vec![5, 1, 7, 1], ..clean.clone() };
    ///
    /// // the residual stream of the clean batch decides everything after it
    /// let resid = activations(&model, &clean, "layers.1.resid")?;
    /// let patched = Inspect::new(&model).patch("layers.1.resid", resid).measure([Metric::loss("loss")], &corrupt)?;
    /// let expected = measure(&model, [Metric::loss("loss")], &clean)?;
    /// assert!((patched.get("loss").unwrap() - expected.get("loss").unwrap()).abs() < 1e-5);
    /// # Ok::<(), ihead::Error>(())
    /// ```
    pub fn patch(self, site: impl Into<String>, values: Array) -> Self {
        self.patched(site.into(), None, values)
    }

    /// Replaces the values of some heads at a site; of none, if none is listed. `values` are those of all its heads, as
    /// [`activations`] gives them. Heads of one site can be patched one after another, each with other values.
    pub fn patch_heads(
        self,
        site: impl Into<String>,
        heads: impl IntoIterator<Item = usize>,
        values: Array,
    ) -> Self {
        let heads: Vec<usize> = heads.into_iter().collect();
        if heads.is_empty() { self } else { self.patched(site.into(), Some(heads), values) }
    }

    fn patched(mut self, site: String, heads: Option<Vec<usize>>, values: Array) -> Self {
        self.edits = self.edits.of(&site, heads.clone(), Edit::Patch);
        self.patches.put(site, heads, values);
        self
    }

    /// Sets the device, the precision and the number of threads.
    pub fn compute(mut self, compute: Compute) -> Self {
        self.compute = compute;
        self
    }

    /// Measures metrics on a batch.
    ///
    /// # Errors
    /// Those of [`measure`], or if an edited site is not in the model, a patch does not fit its site, or the device cannot be used.
    pub fn measure(&self, metrics: impl IntoIterator<Item = Metric>, batch: &Batch) -> Result<Measurements> {
        let metrics = metrics.into_iter().collect();
        Error::or_panicked(WHAT, || {
            let graph = self.graph(batch)?;
            let mut evaluator = Evaluator::new(metrics, &graph, self.compute)?;
            self.patches.give(&graph, evaluator.engine())?;
            let rows = evaluator.rows(batch)?;
            evaluator.run(&Params::of(self.model), batch, &rows)
        })
    }

    /// Returns the values at a site for every sequence of a batch: `[batch, seq, dim]`, or `[batch, heads, seq, seq]` if it is
    /// a pattern.
    ///
    /// # Errors
    /// Those of [`activations`], or if an edited site is not in the model, a patch does not fit its site, or the device cannot be used.
    pub fn activations(&self, batch: &Batch, site: &str) -> Result<Array> {
        Error::or_panicked(WHAT, || {
            let graph = self.graph(batch)?;
            let names = || graph.sites().keys().map(String::as_str);
            let node = graph.site(site).ok_or_else(|| Error::unknown("site", site, names()))?;
            read_whole(self.model, &graph, batch, node, &self.patches, self.compute)
        })
    }

    /// Returns the loss on a batch, and its gradient for each parameter that trains.
    ///
    /// # Errors
    /// Those of [`gradients`], or if an edited site is not in the model, a patch does not fit its site, or the device cannot be used.
    pub fn gradients(&self, batch: &Batch, loss: &Loss) -> Result<Gradients> {
        Error::or_panicked(WHAT, || self.differentiate(batch, loss))
    }

    fn differentiate(&self, batch: &Batch, loss: &Loss) -> Result<Gradients> {
        let (graph, params) = (self.graph(batch)?, Params::of(self.model));
        let loss = loss.resolve(&graph)?;
        let mut engine = self.compute.engine(&graph, loss.request(), &|id| params.trains(id))?;
        self.patches.give(&graph, &mut engine)?;
        let found = engine.run(&params, batch, &loss.positions(batch, graph.vocab())?)?;
        let of = |param: &dyn AnyParam| {
            let zeros = || Values::zeros(param.data().storage(), param.dims().iter().product());
            engine.gradient(param.id()).unwrap_or_else(zeros)
        };
        let training = self.model.training();
        let mut gradients = training.iter().map(|(name, param)| (name.clone(), of(*param))).collect();
        let found = loss.finish(found, engine.terms(), self.model, &mut gradients);
        let by_name = gradients.into_iter().zip(training).map(|((name, gradient), (_, param))| {
            (name, Array { shape: param.dims(), values: gradient.single().into_owned() })
        });
        Ok(Gradients { loss: found.loss, by_name: by_name.collect(), ties: ties(self.model) })
    }

    fn graph(&self, batch: &Batch) -> Result<Graph> {
        batch.check()?;
        check_length("the batch", batch.seq, self.model)?;
        self.model.record_edited(batch.seq, &self.edits)
    }
}

/// Refuses sequences that are longer than a model takes.
pub(super) fn check_length(what: &str, seq: usize, model: &dyn AnyModel) -> Result<()> {
    match model.seq_limit() {
        Some(most) if seq > most => Err(Error::misfit(
            what,
            format!("sequences of {seq} tokens"),
            format!("at most {most}, as the model takes"),
        )),
        _ => Ok(()),
    }
}

/// The values of a node for every sequence of a batch.
pub(crate) fn read_whole(
    model: &dyn AnyModel,
    graph: &Graph,
    batch: &Batch,
    node: NodeId,
    patches: &Patches,
    compute: Compute,
) -> Result<Array> {
    let request = Request::reads(vec![(node, RowSet::All)]);
    let mut engine = compute.engine(graph, &request, &|_| false)?;
    patches.give(graph, &mut engine)?;
    let info = &graph.nodes()[node.index()];
    let (heads, n, seq) = (if info.op.is_pattern() { info.cols } else { 1 }, batch.batch, batch.seq);
    let slots: Vec<Mutex<Vec<f32>>> = (0..n).map(|_| Mutex::default()).collect();
    let params = Params::of(model);
    match &mut engine {
        AnyEngine::Single(engine) => {
            engine.run(&params, batch, &[], &|i, reads| keep(&slots[i], heads, reads))?
        }
        AnyEngine::Double(engine) => {
            engine.run(&params, batch, &[], &|i, reads| keep(&slots[i], heads, reads))?
        }
    };
    let values = slots.into_iter().flat_map(|slot| slot.into_inner().unwrap_or_default()).collect();
    let shape = if info.op.is_pattern() { vec![n, heads, seq, seq] } else { vec![n, seq, info.cols] };
    Ok(Array { shape, values })
}

/// Keeps the one activation that is shown, in single precision.
fn keep<E: Element>(slot: &Mutex<Vec<f32>>, heads: usize, reads: &[Read<'_, E>]) {
    let read = &reads[0];
    let rows = (0..heads).flat_map(|h| (0..read.rows).map(move |r| (h, r)));
    let values = rows.flat_map(|(h, r)| read.head_row(h, r)).map(|v| v.to_f64() as f32).collect();
    if let Ok(mut slot) = slot.lock() {
        *slot = values;
    }
}
