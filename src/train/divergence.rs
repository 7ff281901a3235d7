//! Numbers that are no longer finite.
use std::collections::HashMap;

use crate::config::Config;
use crate::kernels::Element;
use crate::nn::{AnyParam, Module, ModuleExt, ParamId, Role, Values};

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

/// Weights of a model that something may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Among {
    All,
    /// Those that train: all that a step changes.
    Trained,
}

impl Among {
    fn has(self, role: Role, tensor: &dyn AnyParam) -> bool {
        self == Among::All || role == Role::Param && tensor.trains()
    }
}

/// The first weight that is not finite.
pub(super) fn weight(model: &(impl Module + ?Sized), among: Among) -> Option<String> {
    let broken = |(_, role, tensor): &(String, Role, &dyn AnyParam)| {
        among.has(*role, *tensor) && !is_finite(tensor.data())
    };
    model.tensors().into_iter().find(broken).map(|(name, _, _)| name)
}

/// Weights as they were before something, with the identity of each.
#[derive(Default)]
pub(super) struct Undo(Vec<(ParamId, Values)>);

impl Undo {
    /// Keeps these weights, in the memory of those that were kept before.
    pub fn keep(&mut self, model: &(impl Module + ?Sized), among: Among) {
        let mut kept = 0;
        model.visit("", &mut |_, role, tensor| {
            if !among.has(role, tensor) {
                return;
            }
            let id = tensor.id();
            match (self.0.get_mut(kept), tensor.data()) {
                (Some((of, Values::Single(to))), Values::Single(from)) => {
                    *of = id;
                    to.clone_from(from);
                }
                (Some((of, Values::Double(to))), Values::Double(from)) => {
                    *of = id;
                    to.clone_from(from);
                }
                (Some(place), from) => *place = (id, from.clone()),
                (None, from) => self.0.push((id, from.clone())),
            }
            kept += 1;
        });
        self.0.truncate(kept);
    }

    /// Makes them what they were.
    pub fn restore(&mut self, model: &mut (impl Module + ?Sized)) {
        let mut kept: HashMap<ParamId, Values> = self.0.drain(..).collect();
        model.visit_mut("", &mut |_, _, tensor| {
            if let Some(values) = kept.remove(&tensor.id()) {
                // as many values as the tensor has given
                let _ = tensor.put(values);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Const;
    use crate::nn::{AnyParam, Linear};

    #[test]
    fn a_loss_is_one_as_long_as_single_precision_has_such_a_number() {
        let largest = f64::from(f32::MAX);
        assert_eq!([found(largest, &[]), found(-largest, &[]), found(f64::NAN, &[])], [None, None, None]);
        assert_eq!(found(1.01 * largest, &[]).as_deref(), Some("the loss is 3.4e38"));
        assert!(found(f64::INFINITY, &[]).is_some_and(|said| said.ends_with("inf")));
        let gradients =
            [("a", 1.0), ("b", f64::NAN)].map(|(name, g)| (name.into(), Values::Double(vec![0.0, g])));
        let said = found(12.5, &gradients).unwrap();
        assert_eq!(said, "the gradient of b is not finite, the loss is 12.5000");
    }

    #[test]
    fn a_number_is_written_out_below_a_million() {
        assert_eq!([999_999.0, -12.0, 1e6, f64::NAN].map(short), ["999999.0000", "-12.0000", "1.0e6", "NaN"]);
    }

    /// Also where it is the last of many numbers.
    #[test]
    fn one_number_is_enough() {
        let mut values = vec![0.0_f32; 3000];
        assert!(is_finite(&Values::Single(values.clone())));
        values[2999] = f32::INFINITY;
        assert!(!is_finite(&Values::Single(values)));
    }

    /// Each time anew, whatever was kept before.
    #[test]
    fn what_was_kept_last_is_restored() {
        let mut model = Linear::new(Const::<3>, Const::<2>).init(1);
        let of = |model: &Linear<Const<3>, Const<2>>| model.weight.data().clone();
        let mut undo = Undo::default();
        undo.keep(&model, Among::All);
        let scaled = |model: &mut Linear<Const<3>, Const<2>>, by: f64| {
            model.visit_mut("", &mut |_, _, param| {
                let values = param.data().iter().map(|v| by * v).collect();
                param.put(Values::Double(values)).unwrap();
            });
        };
        scaled(&mut model, 2.0);
        let kept = of(&model);
        undo.keep(&model, Among::All);
        scaled(&mut model, f64::NAN);
        undo.restore(&mut model);
        assert_eq!(of(&model), kept);
        // of a step, what it trains
        model.weight.set_trains(false);
        undo.keep(&model, Among::Trained);
        scaled(&mut model, f64::NAN);
        assert!(weight(&model, Among::Trained).is_none() && weight(&model, Among::All).is_some());
        undo.restore(&mut model);
        assert!(weight(&model, Among::All).is_some());
    }
}
