//! Numbers that are no longer finite.
use crate::config::Config;
use crate::kernels::Element;
use crate::nn::{Module, ModuleExt, Role, Values};

/// What a run does when a loss, a gradient or a weight is not finite.
#[derive(Config, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDivergence {
    /// It ends, and keeps its measurements and the last weights that are finite.
    #[default]
    Stop,
    /// It warns once and continues.
    Continue,
}

/// Whether all are finite.
pub(super) fn is_finite(values: &Values) -> bool {
    match values {
        Values::Single(values) => all(values),
        Values::Double(values) => all(values),
    }
}

fn all<E: Element>(values: &[E]) -> bool {
    // a block without a branch is a few vector instructions
    let block = |block: &[E]| block.iter().fold(true, |finite, v| finite & v.is_finite());
    values.chunks(1024).all(block)
}

/// What is not finite of a step before its update.
pub(super) fn found(loss: f64, gradients: &[(String, Values)]) -> Option<String> {
    // a loss over nothing is NaN and has finite gradients
    match gradients.iter().find(|(_, gradient)| !is_finite(gradient)) {
        Some((name, _)) => Some(format!("the gradient of {name} is not finite, the loss is {}", short(loss))),
        // no cross-entropy is so large; small models are computed in double, where it is still a number
        None if loss.abs() > f64::from(f32::MAX) => Some(format!("the loss is {}", short(loss))),
        None => None,
    }
}

/// A number that may be very large.
fn short(number: f64) -> String {
    if number.abs() < 1e6 || !number.is_finite() { format!("{number:.4}") } else { format!("{number:.1e}") }
}

/// The first weight that is not finite.
pub(super) fn weight(model: &(impl Module + ?Sized)) -> Option<String> {
    let broken = |(_, _, tensor): &(String, Role, &dyn crate::nn::AnyParam)| !is_finite(tensor.data());
    model.tensors().into_iter().find(broken).map(|(name, _, _)| name)
}

/// The weights as they were before something.
#[derive(Default)]
pub(super) struct Undo(Vec<Values>);

impl Undo {
    /// Keeps all weights.
    pub fn keep(&mut self, model: &(impl Module + ?Sized)) {
        self.0.resize(0, Values::Single(vec![]));
        model.visit("", &mut |_, _, tensor| self.0.push(tensor.data().clone()));
    }

    /// Makes them what they were.
    pub fn restore(&mut self, model: &mut (impl Module + ?Sized)) {
        let mut kept = self.0.drain(..);
        model.visit_mut("", &mut |_, _, tensor| {
            if let Some(values) = kept.next() {
                // as many values as the tensor has given
                let _ = tensor.put(values);
            }
        });
    }
}
