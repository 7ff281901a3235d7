//! The training loop.
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::data::{Batch, Batches, Loader, LoaderOptions, StreamPosition};
use crate::engine::{AnyEngine, ParamSource};
use crate::graph::{AnyModel, Edits, Graph, Model};
use crate::nn::{AnyParam, ModuleExt, ParamId, Params, Values, ValuesMut, check_writable};
use crate::{Error, Result};

use super::divergence::{self, Among, OnDivergence, Undo};
use super::gradients::{GradientRule, GradientRules};
use super::host::Host;
use super::loss::{Found, Resolved};
use super::monitor::{Monitor, Subject, Taken, Times, Watched};
use super::optim::{AdamW, Optim, Optimizer};
use super::resident::{Copies, Stepper};
use super::timeline::refuse_patches;
use super::weight_edit::{Initial, initial_of};
use super::{Action, Compute, EmptyLoss, Loss, Timeline};

/// The gradient of each parameter that trains, by name.
pub(super) type Gradients = Vec<(String, Values)>;

/// The position of a run: the iteration of the next step, and how many of its changes the timeline has already made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The iteration whose step comes next: so many steps have been taken.
    pub iteration: usize,
    /// Changes of this iteration that have been made.
    pub applied: usize,
}

/// The training loop alone. [`Run`](crate::run::Run) contains one and adds measurements and files.
///
/// ```
/// use std::sync::Arc;
///
/// use ihead::config::Config;
/// use ihead::data::{BatchOptions, Batches, BigramData, TriggerOptions, TriggerTask};
/// use ihead::model::{Simplified, SimplifiedArgs};
/// use ihead::train::{Step, Trainer};
///
/// let options = TriggerOptions { k: 3, seq_length: 16, ..Default::default() };
/// let task = Arc::new(TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options)?);
/// let batches = Batches::new(task, BatchOptions { batch_size: 4, seed: 0, workers: 1 })?;
/// let sizes = SimplifiedArgs { max_length: 16, dim: 8, ..SimplifiedArgs::defaults() };
/// let mut trainer = Trainer::new(Simplified::new(65, &sizes)?.init(0));
/// let mut losses = Vec::new();
/// trainer.run(batches, Some(3), &mut |step: &Step<'_, _>| {
///     losses.push(step.loss);
///     Ok(())
/// })?;
/// assert!(losses.iter().all(|loss| loss.is_finite()));
/// # Ok::<(), ihead::Error>(())
/// ```
pub struct Trainer<M> {
    /// The model.
    pub model: M,
    training: Training,
}

/// How a model is trained: the optimiser, the loss, what changes, where it is computed, and how far it has come.
pub(crate) struct Training {
    /// What changes the gradients before the update.
    pub gradient_rules: GradientRules,
    /// The optimiser.
    pub optim: Optim,
    /// What changes during the run.
    pub timeline: Timeline,
    /// The number of all steps of a run that is trained in pieces.
    pub whole: Option<usize>,
    /// The loss that is minimised.
    pub loss: Loss,
    /// What happens if the loss selects no position.
    pub empty_loss: EmptyLoss,
    /// The edits of the model's sites.
    pub edits: Edits,
    /// The device, the precision and the threads.
    pub compute: Compute,
    /// What is done when a number is not finite.
    pub on_divergence: OnDivergence,
    /// The weights before the first step, if the timeline goes back to them.
    initial: Option<Initial>,
    cursor: Cursor,
    /// The batch of a step that has begun and is not whole.
    batch: Option<Arc<Batch>>,
    /// Whether a number was not finite and the run continues.
    diverged: bool,
    pub(super) undo: Undo,
    /// The optimiser before the present step, while a rule of the user's own updates the parameters.
    before_step: Option<Optim>,
    pub(super) copies: Copies,
}

/// What the changes of an iteration ask for.
#[derive(Clone, Copy, Default)]
struct Changed {
    /// Other parameters train.
    trains: bool,
    /// Other sites are edited.
    edits: bool,
}

impl<M: Model> Trainer<M> {
    /// Trains `model` by AdamW with learning rate 0.001, over all positions, on all cores, with an empty timeline.
    pub fn new(model: M) -> Self {
        Trainer { model, training: Training::default() }
    }

    /// Sets the optimiser.
    pub fn optim(mut self, optim: impl Into<Optim>) -> Self {
        self.training.optim = optim.into();
        self
    }

    /// Adds a rule that changes the gradients of all parameters together before the update, such as [`ClipNorm`](super::ClipNorm).
    pub fn gradient_rule(mut self, rule: impl GradientRule + 'static) -> Self {
        self.training.gradient_rules.add(rule);
        self
    }

    /// Sets the loss.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.training.loss = loss;
        self
    }

    /// Sets what happens if a term of the loss selects no position in any of the first 64 batches; without it, that is
    /// refused.
    pub fn empty_loss(mut self, empty_loss: EmptyLoss) -> Self {
        self.training.empty_loss = empty_loss;
        self
    }

    /// Sets the changes that happen during the run.
    pub fn timeline(mut self, timeline: Timeline) -> Self {
        self.training.timeline = timeline;
        self
    }

    /// Edits some of the model's sites from the first step on.
    pub fn edits(mut self, edits: Edits) -> Self {
        self.training.edits = edits;
        self
    }

    /// Sets the device, the precision and the number of threads.
    pub fn compute(mut self, compute: Compute) -> Self {
        self.training.compute = compute;
        self
    }

    /// Sets what happens when a loss, a gradient or a weight is not finite; without it the run ends.
    pub fn on_divergence(mut self, then: OnDivergence) -> Self {
        self.training.on_divergence = then;
        self
    }

    /// The position of the run: which step comes next.
    pub fn cursor(&self) -> Cursor {
        self.training.cursor
    }

    /// The model as it is trained on sequences of `seq` tokens: recorded with the edits.
    ///
    /// # Errors
    /// If an edit does not fit the model, or is a patch: a run has no other activations to put in.
    pub fn graph(&self, seq: usize) -> Result<Graph> {
        self.training.graph(&self.model, seq)
    }

    /// Refuses what cannot be trained for `steps` steps (`None`: until it is stopped) on these batches: the timeline, the
    /// optimiser's groups and settings, rules of gradients, a loss over nothing, batches that do not fit the model, two parameters of
    /// one name, parameters without values or with values beyond the precision of the run.
    ///
    /// # Errors
    /// If there is such a thing; its name is in the message.
    pub fn check(&self, batches: &Batches, steps: Option<usize>) -> Result<()> {
        self.training.check(&self.model, batches, steps)
    }

    /// Trains for `max_iters` steps, or until the monitor returns an error.
    ///
    /// # Errors
    /// Those of [`check`](Self::check); if the device is not there; if data or monitor, or a rule of yours, fail or panic; if a loss, a
    /// gradient or a weight is not finite (unless [`on_divergence`](Self::on_divergence) says otherwise).
    pub fn run(
        &mut self,
        batches: Batches,
        max_iters: Option<usize>,
        monitor: &mut dyn Monitor<M>,
    ) -> Result<()> {
        self.training.run(&mut Watched { model: &mut self.model, monitor }, batches, max_iters)
    }
}

impl Default for Training {
    fn default() -> Self {
        Training {
            gradient_rules: GradientRules::default(),
            optim: Optim::AdamW(AdamW::new(1e-3)),
            timeline: Timeline::default(),
            whole: None,
            loss: Loss::next_token(),
            empty_loss: EmptyLoss::Refused,
            edits: Edits::default(),
            compute: Compute::default(),
            on_divergence: OnDivergence::Stop,
            initial: None,
            cursor: Cursor::default(),
            batch: None,
            diverged: false,
            undo: Undo::default(),
            before_step: None,
            copies: Copies::default(),
        }
    }
}

/// The loop, the same for every model.
impl Training {
    /// The position of the run: which step comes next.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// How far the steps that are whole have read the data.
    pub(crate) fn position(&self, loader: &Loader) -> StreamPosition {
        if self.batch.is_some() { loader.position_before() } else { loader.position().clone() }
    }

    /// The weights before the first step, if they are needed later.
    pub(crate) fn initial(&self) -> Option<&Initial> {
        self.initial.as_ref()
    }

    /// Goes on from there, with these initial weights.
    pub(crate) fn go_on(&mut self, cursor: Cursor, initial: Option<Initial>) {
        (self.cursor, self.initial) = (cursor, initial);
    }

    /// Makes the weights ready for the first step.
    ///
    /// # Errors
    /// If they cannot be kept in the precision that is asked for.
    pub(crate) fn prepare(&mut self, model: &mut dyn AnyModel) -> Result<()> {
        model.set_storage(self.compute.precision.storage())?;
        self.optim.prepare(model)?;
        if self.initial.is_none() && self.timeline.needs_initial() {
            self.initial = Some(initial_of(model));
        }
        Ok(())
    }

    /// [`Trainer::graph`].
    pub(crate) fn graph(&self, model: &dyn AnyModel, seq: usize) -> Result<Graph> {
        let graph = model.record_edited(seq, &self.edits)?;
        refuse_patches(&graph)?;
        Ok(graph)
    }

    /// [`Trainer::check`].
    pub(crate) fn check(&self, model: &dyn AnyModel, batches: &Batches, steps: Option<usize>) -> Result<()> {
        let seq = batches.task().seq_length();
        self.timeline.check(model, seq, &self.edits, steps)?;
        self.gradient_rules.check()?;
        self.optim.check(model)?;
        let graph = self.graph(model, seq)?;
        self.check_values(model, &graph)?;
        match self.empty_loss {
            EmptyLoss::Refused => self.loss.check(&graph, batches.clone()),
            EmptyLoss::Allowed => Ok(()),
        }
    }

    /// Refuses two parameters of one name, parameters that `graph` reads without values, and values beyond the precision of the run.
    ///
    /// # Errors
    /// If there is one; its name is in the message.
    pub(crate) fn check_values(&self, model: &dyn AnyModel, graph: &Graph) -> Result<()> {
        let mut names = HashSet::new();
        if let Some((name, ..)) = model.tensors().iter().find(|(name, ..)| !names.insert(name.as_str())) {
            return Err(Error::duplicate("parameters of the model", name));
        }
        let params = Params::of(model);
        graph.params().iter().try_for_each(|param| ParamSource::<f64>::check(&params, param.id))?;
        model.check_storage(self.compute.precision.storage())
    }

    /// [`Trainer::run`].
    fn run(&mut self, subject: &mut dyn Subject, batches: Batches, max_iters: Option<usize>) -> Result<()> {
        let seq = batches.task().seq_length();
        check_writable(subject.model_mut())?;
        self.check(subject.model(), &batches, max_iters)?;
        let mut loader = Loader::new(batches, LoaderOptions::default())?;
        (self.cursor, self.batch) = (Cursor::default(), None);
        self.steps(subject, seq, &mut loader, max_iters.unwrap_or(usize::MAX))
    }

    /// Takes the steps up to iteration `end`, with batches of `loader`, whose sequences have `seq` tokens; the timeline has
    /// been checked.
    ///
    /// # Errors
    /// Those of [`Trainer::run`].
    pub(crate) fn steps(
        &mut self,
        subject: &mut dyn Subject,
        seq: usize,
        loader: &mut Loader,
        end: usize,
    ) -> Result<()> {
        self.prepare(subject.model_mut())?;
        self.copies = Copies::Absent;
        let mut stepper = None;
        // a loss, an operation or a monitor of the user's may panic; the weights are those of a whole step then
        let taken = Error::or_panicked("the run", || self.take(subject, seq, loader, end, &mut stepper));
        if let Some(optim) = self.before_step.take() {
            self.undo.restore(subject.model_mut());
            self.optim = optim;
        }
        let fetched = match &stepper {
            Some((Stepper::Device(resident), _)) => self.fetch(subject.model_mut(), resident.as_ref()),
            _ => Ok(()),
        };
        taken.and(fetched)
    }

    fn take(
        &mut self,
        subject: &mut dyn Subject,
        seq: usize,
        loader: &mut Loader,
        end: usize,
        stepper: &mut Option<(Stepper, Resolved)>,
    ) -> Result<()> {
        let (begin, whole) = (Instant::now(), Some(self.whole.unwrap_or(end)));
        let mut graph = self.graph(subject.model(), seq)?;
        while self.cursor.iteration < end {
            let iteration = self.cursor.iteration;
            let reads = subject.reads(iteration);
            let acts = self.timeline.actions(iteration, whole).next().is_some();
            if let Some((Stepper::Device(resident), _)) = stepper
                && (reads || acts)
            {
                self.fetch(subject.model_mut(), resident.as_ref())?;
            }
            let changed = self.apply(subject, iteration, whole)?;
            if acts {
                self.copies = Copies::Absent;
            }
            if changed.edits {
                graph = self.graph(subject.model(), seq)?;
                subject.edited(&self.edits)?;
            }
            if changed.edits || changed.trains || stepper.is_none() {
                let begins = stepper.is_none();
                *stepper = Some(self.stepper(subject, &graph)?);
                // a step looks at what it trains alone
                if begins
                    && !self.diverged
                    && let Some(name) = divergence::weight(subject.model(), Among::All)
                {
                    self.diverges(iteration, format!("{name} is not finite before the step"))?;
                }
                if (begins || changed.trains) && subject.model().training().is_empty() {
                    crate::output::warn(format_args!("nothing trains from iteration {iteration} on"));
                }
            }
            let asked = Instant::now();
            // that of a step that failed is taken again
            let batch = match &self.batch {
                Some(batch) => batch.clone(),
                None => self.batch.insert(loader.next_batch()?).clone(),
            };
            let data = asked.elapsed();
            if let Some((Stepper::Device(resident), _)) = stepper
                && !resident.fits(batch.batch)
            {
                *stepper = Some(self.host(subject, &graph)?);
            }
            let Some((stepper, resolved)) = stepper else { continue };
            let measures = subject.measures(iteration);
            if measures && !stepper.measures() {
                subject.measure(&batch)?;
            }
            subject.before_update(iteration, &batch)?;
            let started = Instant::now();
            let mut measured = None;
            let (Found { loss, terms }, gradients) = match stepper {
                Stepper::Host(host) => {
                    let (loss, found) = host.run(subject.model(), resolved, &batch, measures)?;
                    measured = found;
                    self.update(subject.model_mut(), &host.engine, resolved, loss)?
                }
                Stepper::Device(resident) => {
                    self.step_on(subject.model_mut(), resident.as_mut(), resolved, &batch, reads)?
                }
            };
            let times = Times { data, step: started.elapsed(), total: begin.elapsed() };
            (self.cursor, self.batch) = (Cursor { iteration: iteration + 1, applied: 0 }, None);
            let (batch, gradients, terms, measured) =
                (&*batch, &gradients[..], &terms[..], measured.as_ref());
            subject.after_update(Taken { iteration, batch, loss, terms, gradients, times, measured })?;
            subject.between(self, loader)?;
        }
        Ok(())
    }

    /// Makes the changes of an iteration.
    fn apply(
        &mut self,
        subject: &mut dyn Subject,
        iteration: usize,
        steps: Option<usize>,
    ) -> Result<Changed> {
        let mut changed = Changed::default();
        let rate = self.timeline.learning_rate(iteration);
        rate.into_iter().for_each(|rate| self.optim.set_learning_rate(rate));
        let actions: Vec<Action> = self.timeline.actions(iteration, steps).cloned().collect();
        for action in actions.into_iter().skip(self.cursor.applied) {
            match action {
                Action::Freeze(pattern) => {
                    subject.model_mut().freeze(&pattern)?;
                    changed.trains = true;
                }
                Action::Release(pattern) => {
                    subject.model_mut().release(&pattern)?;
                    changed.trains = true;
                }
                Action::LearningRate(rate) => self.optim.set_learning_rate(rate),
                Action::Edit(_) | Action::Unedit(_) => changed.edits |= action.edit(&mut self.edits),
                Action::Weights(edit) => {
                    let model = subject.model_mut();
                    if self.on_divergence == OnDivergence::Stop {
                        self.undo.keep(model, Among::All);
                    }
                    edit.change(model, self.initial.as_ref().unwrap_or(&Initial::new()))?;
                    self.check_weights(model, Among::All, (iteration, &format!("after {edit}")))?;
                }
                Action::Snapshot => subject.snapshot(iteration)?,
                Action::Optim(optim) => {
                    self.optim = *optim;
                    // at the end of a curve its last rate is set, and what comes then may set another
                    let curve = rate.filter(|_| self.timeline.is_in_curve(iteration));
                    curve.into_iter().for_each(|rate| self.optim.set_learning_rate(rate));
                }
            }
            self.cursor.applied += 1;
        }
        Ok(changed)
    }

    /// Sees that these weights are finite; those before are put back if not, unless the run goes on.
    pub(super) fn check_weights(
        &mut self,
        model: &mut dyn AnyModel,
        among: Among,
        (iteration, when): (usize, &str),
    ) -> Result<()> {
        match divergence::weight(model, among) {
            Some(name) if !self.diverged => {
                if self.on_divergence == OnDivergence::Stop {
                    self.undo.restore(model);
                }
                self.diverges(iteration, format!("{name} is not finite {when}"))
            }
            _ => Ok(()),
        }
    }

    /// Ends the run, or says once that it goes on.
    pub(super) fn diverges(&mut self, iteration: usize, message: String) -> Result<()> {
        let error = Error::Diverged { iteration, message };
        match self.on_divergence {
            OnDivergence::Stop => Err(error),
            OnDivergence::Continue => {
                self.diverged = true;
                crate::output::warn(&error);
                Ok(())
            }
        }
    }

    /// What takes the steps: on a GPU, all of a step is there unless the loss has terms of weights alone, or a rule changes
    /// the gradients or is the user's own optimiser.
    fn stepper(&self, subject: &dyn Subject, graph: &Graph) -> Result<(Stepper, Resolved)> {
        let (params, loss) = (Params::of(subject.model()), self.loss.resolve(graph)?);
        if !loss.has_weights()
            && !self.optim.has_own()
            && self.gradient_rules.is_empty()
            && let Some(resident) = self.compute.resident(graph, loss.request(), &|id| params.trains(id))?
        {
            return Ok((Stepper::Device(resident), loss));
        }
        self.host(subject, graph)
    }

    fn host(&self, subject: &dyn Subject, graph: &Graph) -> Result<(Stepper, Resolved)> {
        let loss = self.loss.resolve(graph)?;
        let host = Host::new(subject.model(), graph, (&loss, subject.metrics()), self.compute)?;
        Ok((Stepper::Host(Box::new(host)), loss))
    }

    /// Whether a number was not finite and the run continues.
    pub(super) fn has_diverged(&self) -> bool {
        self.diverged
    }

    /// The update of a step whose engine has run: the loss, and the gradient of each parameter that trains.
    fn update(
        &mut self,
        model: &mut dyn AnyModel,
        engine: &AnyEngine,
        resolved: &Resolved,
        loss: f64,
    ) -> Result<(Found, Gradients)> {
        let mut gradients = Vec::new();
        for (name, param) in model.training() {
            if let Some(gradient) = engine.gradient(param.id()) {
                gradients.push((name, gradient));
            }
        }
        let found = resolved.finish(loss, engine.terms(), model, &mut gradients);
        let iteration = self.cursor.iteration;
        if let Some(message) = divergence::found(found.loss, &gradients).filter(|_| !self.diverged) {
            self.diverges(iteration, message)?;
        }
        let changed = self.gradient_rules.changed(iteration, model, &gradients)?;
        let broken = changed.as_ref().and_then(|changed| self.gradient_rules.broken(changed));
        if let Some(message) = broken.filter(|_| !self.diverged) {
            self.diverges(iteration, message)?;
        }
        // a rule of the user's own may fail when some parameters have been updated
        self.before_step = self.optim.has_own().then(|| self.optim.clone());
        if self.on_divergence == OnDivergence::Stop || self.before_step.is_some() {
            self.undo.keep(model, Among::Trained);
        }
        let updates = changed.as_ref().unwrap_or(&gradients);
        let by_name: HashMap<&str, usize> =
            updates.iter().enumerate().map(|(place, (name, _))| (name.as_str(), place)).collect();
        let place_of = |(name, _, tensor): (String, _, &dyn AnyParam)| {
            by_name.get(name.as_str()).map(|place| (tensor.id(), *place))
        };
        let mut places: HashMap<ParamId, usize> = model.tensors().into_iter().filter_map(place_of).collect();
        let (optim, mut stepped) = (&mut self.optim, Ok(()));
        model.visit_mut("", &mut |_, _, tensor| {
            // a tied parameter is seen under each name, and stepped once
            let Some(place) = places.remove(&tensor.id()).filter(|_| stepped.is_ok()) else { return };
            let (name, gradient) = &updates[place];
            stepped = match tensor.data_mut() {
                ValuesMut::Single(values) => optim.step(name, values, &gradient.single()),
                ValuesMut::Double(values) => optim.step(name, values, &gradient.double()),
            };
        });
        stepped?;
        self.before_step = None;
        self.check_weights(model, Among::Trained, (iteration, "after the step"))?;
        Ok((found, gradients))
    }
}
