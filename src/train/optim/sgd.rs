//! Stochastic gradient descent.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Optimizer;

/// `g += weight_decay p`; `buf = momentum buf + g`, at first `buf = g`; `p -= learning_rate buf`.
///
/// ```
/// use ihead::train::optim::{Optimizer, Sgd};
/// let mut sgd = Sgd::new(0.5, 0.9, 0.0);
/// let mut p = [1.0];
/// sgd.step("w", &mut p, &[1.0]);
/// assert_eq!(p, [0.5]);
/// sgd.step("w", &mut p, &[1.0]); // buf = 0.9 + 1
/// assert!((p[0] - -0.45).abs() < 1e-6);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sgd {
    learning_rate: f64,
    momentum: f64,
    weight_decay: f64,
    buffers: BTreeMap<String, Vec<f32>>,
}

impl Sgd {
    /// Without momentum for `momentum = 0`.
    pub fn new(learning_rate: f64, momentum: f64, weight_decay: f64) -> Self {
        Sgd { learning_rate, momentum, weight_decay, buffers: BTreeMap::new() }
    }
}

impl Optimizer for Sgd {
    fn step(&mut self, name: &str, values: &mut [f32], gradient: &[f32]) {
        let (rate, momentum, decay) =
            (self.learning_rate as f32, self.momentum as f32, self.weight_decay as f32);
        let decayed = gradient.iter().zip(values.iter()).map(|(g, p)| g + decay * p);
        if momentum == 0.0 {
            let steps: Vec<f32> = decayed.collect();
            values.iter_mut().zip(steps).for_each(|(p, g)| *p -= rate * g);
            return;
        }
        let buffer = match self.buffers.get_mut(name) {
            Some(buffer) => {
                buffer.iter_mut().zip(decayed).for_each(|(b, g)| *b = momentum * *b + g);
                buffer
            }
            None => self.buffers.entry(name.to_string()).or_insert(decayed.collect()),
        };
        values.iter_mut().zip(buffer.iter()).for_each(|(p, b)| *p -= rate * b);
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
        let mut sgd = Sgd::new(0.1, 0.0, 0.5);
        let mut p = [2.0];
        sgd.step("w", &mut p, &[0.0]);
        assert!((p[0] - 1.9).abs() < 1e-6);
    }

    #[test]
    fn saved_state_goes_on_with_the_same_bits() {
        let mut sgd = Sgd::new(0.03, 0.9, 1e-4);
        let mut p = [0.1, -0.7];
        sgd.step("w", &mut p, &[0.3, 0.2]);
        let mut again: Sgd = serde_json::from_str(&serde_json::to_string(&sgd).unwrap()).unwrap();
        assert_eq!(again, sgd);
        let mut q = p;
        sgd.step("w", &mut p, &[0.1, 0.9]);
        again.step("w", &mut q, &[0.1, 0.9]);
        assert_eq!(p, q);
    }
}
