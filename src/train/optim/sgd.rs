//! Stochastic gradient descent.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::nn::{Stored, Values};

use super::Optimizer;
use super::rule::Rule;
use super::state::{ParamState, State, check};

/// `g += weight_decay p`; `buf = momentum buf + g`, at first `buf = g`; `p -= learning_rate buf`.
///
/// ```
/// use ihead::train::optim::{Optimizer, Sgd};
/// let mut sgd = Sgd::new(0.5).momentum(0.9);
/// let mut p = [1.0_f64];
/// sgd.step("w", &mut p, &[1.0])?;
/// assert_eq!(p, [0.5]);
/// sgd.step("w", &mut p, &[1.0])?; // buf = 0.9 + 1
/// assert!((p[0] - -0.45).abs() < 1e-6);
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sgd {
    learning_rate: f64,
    momentum: f64,
    weight_decay: f64,
    buffers: BTreeMap<String, Values>,
}

impl Sgd {
    /// SGD with this learning rate, without momentum and weight decay.
    pub fn new(learning_rate: f64) -> Self {
        Sgd { learning_rate, momentum: 0.0, weight_decay: 0.0, buffers: BTreeMap::new() }
    }

    /// The same optimiser with this momentum.
    pub fn momentum(self, momentum: f64) -> Self {
        Sgd { momentum, ..self }
    }

    /// The same optimiser with this weight decay, which is added to the gradient.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Sgd { weight_decay, ..self }
    }
}

impl Sgd {
    /// The numbers that it remembers of an entry of a parameter.
    pub(super) fn moments(&self) -> usize {
        usize::from(self.momentum != 0.0)
    }

    /// How it updates a parameter.
    pub(super) fn rule(&self) -> Rule {
        Rule::Sgd { rate: self.learning_rate, momentum: self.momentum, decay: self.weight_decay }
    }

    /// The numbers that it was made of.
    pub(super) fn settings(&self) -> Vec<f64> {
        vec![self.learning_rate, self.momentum, self.weight_decay]
    }
}

impl Optimizer for Sgd {
    fn step<E: Stored>(&mut self, name: &str, values: &mut [E], gradient: &[E]) -> Result<()> {
        check(name, "the gradient", values.len(), gradient.len())?;
        let [rate, momentum, decay] = [self.learning_rate, self.momentum, self.weight_decay].map(E::from_f64);
        if self.momentum == 0.0 {
            for (p, g) in values.iter_mut().zip(gradient) {
                *p = *p - rate * (*g + decay * *p);
            }
            return Ok(());
        }
        match self.buffers.get_mut(name) {
            Some(buffer) => {
                check(name, "the momentum", values.len(), buffer.len())?;
                for ((p, g), b) in values.iter_mut().zip(gradient).zip(buffer.of::<E>()) {
                    *b = momentum * *b + (*g + decay * *p);
                    *p = *p - rate * *b;
                }
            }
            None => {
                let buffer: Vec<E> = values.iter().zip(gradient).map(|(p, g)| *g + decay * *p).collect();
                values.iter_mut().zip(&buffer).for_each(|(p, b)| *p = *p - rate * *b);
                self.buffers.insert(name.to_string(), E::pack(buffer));
            }
        }
        Ok(())
    }

    fn state(&self) -> State {
        let of =
            |(name, buffer): (&String, &Values)| (name.clone(), ParamState::new(0, [("momentum", buffer)]));
        self.buffers.iter().map(of).collect()
    }

    fn restore(&mut self, state: State) -> Result<()> {
        let mut buffers = BTreeMap::new();
        for (name, state) in state {
            let [momentum] = state.take(&name, "sgd", ["momentum"])?;
            buffers.insert(name, momentum);
        }
        self.buffers = buffers;
        Ok(())
    }

    fn set_learning_rate(&mut self, rate: f64) {
        self.learning_rate = rate;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decay_is_part_of_the_gradient() {
        let mut sgd = Sgd::new(0.1).weight_decay(0.5);
        let mut p = [2.0_f32];
        sgd.step("w", &mut p, &[0.0]).unwrap();
        assert!((p[0] - 1.9).abs() < 1e-6);
    }

    #[test]
    fn saved_state_goes_on_with_the_same_bits() {
        let mut sgd = Sgd::new(0.03).momentum(0.9).weight_decay(1e-4);
        let mut p = [0.1, -0.7];
        sgd.step("w", &mut p, &[0.3, 0.2]).unwrap();
        let mut again: Sgd = serde_json::from_str(&serde_json::to_string(&sgd).unwrap()).unwrap();
        assert_eq!(again, sgd);
        let mut q = p;
        sgd.step("w", &mut p, &[0.1, 0.9]).unwrap();
        again.step("w", &mut q, &[0.1, 0.9]).unwrap();
        assert_eq!(p, q);
    }

    #[test]
    fn a_gradient_of_another_size_changes_nothing() {
        let mut sgd = Sgd::new(0.1).momentum(0.9);
        let mut p = [1.0, 2.0];
        let error = sgd.step("w", &mut p, &[1.0]).unwrap_err().to_string();
        assert_eq!((error.as_str(), p), ("the gradient of w: expected shape [2], found [1]", [1.0, 2.0]));
    }

    #[test]
    fn state_that_is_no_number_survives_being_saved() {
        let mut sgd = Sgd::new(0.1).momentum(0.9);
        sgd.step("w", &mut [1.0, 1.0, 1.0], &[f32::NAN, f32::NEG_INFINITY, -0.0]).unwrap();
        let json = serde_json::to_string(&sgd).unwrap();
        let again: Sgd = serde_json::from_str(&json).unwrap();
        let Values::Single(state) = &again.buffers["w"] else { panic!("{json}") };
        assert!(state[0].is_nan() && state[1] == f32::NEG_INFINITY && state[2] == 0.0, "{json}");
    }
}
