//! What changes the gradients of a step before its update.
use std::collections::HashMap;
use std::sync::Arc;

use crate::graph::AnyModel;
use crate::nn::{ModuleExt, Values};
use crate::{Error, Result};

use super::divergence::is_finite;
use super::trainer::Gradients;

/// A rule that changes the gradients of all parameters together, after the backward pass and before the optimiser gets them.
/// [`ClipNorm`] is one; [`Run::gradient_rule`](crate::run::Run::gradient_rule) takes one.
///
/// ```
/// use ihead::train::{Gradient, GradientRule};
///
/// /// Every entry between `-most` and `most`.
/// struct ClipEntries {
///     most: f64,
/// }
///
/// impl GradientRule for ClipEntries {
///     fn words(&self) -> String {
///         format!("clip_entries(most={})", self.most)
///     }
///
///     fn change(&self, _iteration: usize, gradients: &mut [Gradient<'_>]) -> ihead::Result<()> {
///         let entries = gradients.iter_mut().flat_map(|gradient| gradient.values.iter_mut());
///         entries.for_each(|g| *g = g.clamp(-self.most, self.most));
///         Ok(())
///     }
/// }
/// ```
pub trait GradientRule: Send + Sync {
    /// Its name and settings: what is recorded of it. A run that is continued must have rules of the same words.
    fn words(&self) -> String;

    /// Checks its settings, before the first step.
    ///
    /// # Errors
    /// If one is wrong.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Changes the gradients of the step of this iteration, in double precision, whatever the precision of the run: they are rounded
    /// to that afterwards. They are finite, unless the run goes on after a divergence. A rule keeps no state: what it makes of a step
    /// depends on the iteration and the gradients alone. Otherwise a continued run would differ.
    ///
    /// # Errors
    /// Ends the run.
    fn change(&self, iteration: usize, gradients: &mut [Gradient<'_>]) -> Result<()>;
}

/// The gradient of one parameter that trains, as a [`GradientRule`] gets it: that of the whole loss, with its penalties.
#[non_exhaustive]
pub struct Gradient<'a> {
    /// The name of the parameter; the first one, if it is tied.
    pub name: &'a str,
    /// Its shape, `[out, in]` for a matrix.
    pub shape: &'a [usize],
    /// The gradient, row-major, which the rule changes.
    pub values: &'a mut [f64],
}

/// Clips the gradients by their norm: all of them are multiplied by `min(1, max_norm / (norm + 1e-6))`, where `norm` is the Euclidean
/// norm of all their entries together. This is PyTorch's `clip_grad_norm_`; the gradients of frozen parameters do not count.
///
/// ```
/// use ihead::train::{ClipNorm, GradientRule};
/// assert_eq!(ClipNorm::new(1.0).words(), "clip_norm(1)");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClipNorm {
    max_norm: f64,
}

impl ClipNorm {
    /// Clips to the norm `max_norm`, a positive number; anything else is refused before the first step.
    pub fn new(max_norm: f64) -> Self {
        ClipNorm { max_norm }
    }
}

impl GradientRule for ClipNorm {
    fn words(&self) -> String {
        format!("clip_norm({})", self.max_norm)
    }

    fn check(&self) -> Result<()> {
        if self.max_norm > 0.0 && self.max_norm.is_finite() {
            return Ok(());
        }
        Err(Error::value("clip_norm", self.max_norm, "a positive number"))
    }

    fn change(&self, _iteration: usize, gradients: &mut [Gradient<'_>]) -> Result<()> {
        let squares = gradients.iter().flat_map(|gradient| gradient.values.iter()).map(|g| g * g);
        let norm = squares.sum::<f64>().sqrt();
        let factor = self.max_norm / (norm + 1e-6);
        // also if the norm is not a number, as PyTorch does
        if factor < 1.0 || factor.is_nan() {
            let entries = gradients.iter_mut().flat_map(|gradient| gradient.values.iter_mut());
            entries.for_each(|g| *g *= factor);
        }
        Ok(())
    }
}

/// The rules of a run, in the order in which they were given.
#[derive(Clone, Default)]
pub(crate) struct GradientRules(Vec<Arc<dyn GradientRule>>);

impl GradientRules {
    /// Adds one, which gets what the others have made.
    pub fn add(&mut self, rule: impl GradientRule + 'static) {
        self.0.push(Arc::new(rule));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is recorded of each.
    pub fn words(&self) -> Vec<String> {
        self.0.iter().map(|rule| rule.words()).collect()
    }

    /// Refuses rules whose settings are wrong.
    ///
    /// # Errors
    /// Those of [`GradientRule::check`].
    pub fn check(&self) -> Result<()> {
        self.0.iter().try_for_each(|rule| rule.check())
    }

    /// The gradients as the rules make them; `None` if there are no rules.
    ///
    /// # Errors
    /// If a rule fails.
    pub fn changed(
        &self,
        iteration: usize,
        model: &dyn AnyModel,
        gradients: &Gradients,
    ) -> Result<Option<Gradients>> {
        if self.is_empty() {
            return Ok(None);
        }
        let tensors = model.tensors().into_iter();
        let shapes: HashMap<String, Vec<usize>> =
            tensors.map(|(name, _, tensor)| (name, tensor.dims())).collect();
        let mut wide: Vec<Vec<f64>> =
            gradients.iter().map(|(_, values)| values.double().into_owned()).collect();
        for rule in &self.0 {
            let named = gradients.iter().zip(&mut wide);
            let mut all: Vec<Gradient<'_>> =
                named.map(|((name, _), values)| Gradient { name, shape: &shapes[name], values }).collect();
            let changed = rule.change(iteration, &mut all);
            changed.map_err(|error| error.of_part(format!("the gradient rule {}", rule.words())))?;
        }
        let back = |((name, was), values): (&(String, Values), Vec<f64>)| {
            (name.clone(), Values::Double(values).stored(was.storage()))
        };
        Ok(Some(gradients.iter().zip(wide).map(back).collect()))
    }

    /// What is wrong with the gradients that the rules have made of finite ones.
    pub fn broken(&self, changed: &Gradients) -> Option<String> {
        let (name, _) = changed.iter().find(|(_, values)| !is_finite(values))?;
        Some(format!("the gradient of {name} is not finite after {}", self.words().join(", ")))
    }
}
