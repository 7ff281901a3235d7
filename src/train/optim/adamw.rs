//! Adam with decoupled weight decay.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::nn::{Stored, Values};

use super::Optimizer;
use super::rule::Rule;
use super::state::{ParamState, State, check};

/// `p *= 1 - lr weight_decay`; `m = b1 m + (1 - b1) g`; `v = b2 v + (1 - b2) g^2`;
/// `p -= lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)`, with a step count `t` of each parameter's own.
///
/// Loshchilov and Hutter, *Decoupled Weight Decay Regularization*; the order of operations is PyTorch's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdamW {
    learning_rate: f64,
    betas: (f64, f64),
    eps: f64,
    weight_decay: f64,
    moments: BTreeMap<String, Moments>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Moments {
    steps: u32,
    first: Values,
    second: Values,
}

impl AdamW {
    /// AdamW with this learning rate, betas 0.9 and 0.95, `eps = 1e-8`, and no weight decay.
    ///
    /// ```
    /// use ihead::train::optim::{AdamW, Optim};
    /// let optim: Optim = AdamW::new(1e-3).betas(0.9, 0.99).weight_decay(0.01).into();
    /// assert_eq!(optim.to_string(), "adamw(learning_rate=0.001, beta1=0.9, beta2=0.99, eps=0.00000001, weight_decay=0.01)");
    /// ```
    pub fn new(learning_rate: f64) -> Self {
        AdamW { learning_rate, betas: (0.9, 0.95), eps: 1e-8, weight_decay: 0.0, moments: BTreeMap::new() }
    }

    /// The same optimiser with these decays of the two moments.
    pub fn betas(self, first: f64, second: f64) -> Self {
        AdamW { betas: (first, second), ..self }
    }

    /// The same optimiser with another `eps`.
    pub fn eps(self, eps: f64) -> Self {
        AdamW { eps, ..self }
    }

    /// The same optimiser with this weight decay.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        AdamW { weight_decay, ..self }
    }
}

impl AdamW {
    /// How it updates a parameter.
    pub(super) fn rule(&self) -> Rule {
        Rule::AdamW { rate: self.learning_rate, betas: self.betas, eps: self.eps, decay: self.weight_decay }
    }

    /// The numbers that it was made of.
    pub(super) fn settings(&self) -> Vec<f64> {
        vec![self.learning_rate, self.betas.0, self.betas.1, self.eps, self.weight_decay]
    }
}

impl Optimizer for AdamW {
    fn step<E: Stored>(&mut self, name: &str, values: &mut [E], gradient: &[E]) -> Result<()> {
        let n = values.len();
        check(name, "the gradient", n, gradient.len())?;
        let zeros = || Values::zeros(E::STORAGE, n);
        let new = || Moments { steps: 0, first: zeros(), second: zeros() };
        let Moments { steps, first, second } = self.moments.entry(name.to_string()).or_insert_with(new);
        check(name, "the first moment", n, first.len())?;
        check(name, "the second moment", n, second.len())?;
        // behind so many steps, which only a damaged checkpoint has, the corrections are 1
        *steps = steps.saturating_add(1);
        let (b1, b2) = self.betas;
        let count = f64::from(*steps);
        let rate = E::from_f64(self.learning_rate / (1.0 - b1.powf(count)));
        let root = E::from_f64((1.0 - b2.powf(count)).sqrt());
        let keep = E::from_f64(1.0 - self.learning_rate * self.weight_decay);
        let [c1, c2, b2, eps] = [1.0 - b1, 1.0 - b2, b2, self.eps].map(E::from_f64);
        let moments = first.of::<E>().iter_mut().zip(second.of::<E>());
        for ((p, g), (m, v)) in values.iter_mut().zip(gradient).zip(moments) {
            *m += c1 * (*g - *m);
            *v = b2 * *v + c2 * *g * *g;
            *p = *p * keep - rate * *m / (v.sqrt() / root + eps);
        }
        Ok(())
    }

    fn state(&self) -> State {
        let of = |(name, Moments { steps, first, second }): (&String, &Moments)| {
            let moments = [("first", first), ("second", second)];
            (name.clone(), ParamState::new(*steps, moments))
        };
        self.moments.iter().map(of).collect()
    }

    fn restore(&mut self, state: State) -> Result<()> {
        let mut moments = BTreeMap::new();
        for (name, state) in state {
            let steps = state.steps;
            let [first, second] = state.take(&name, "adamw", ["first", "second"])?;
            check(&name, "the second moment", first.len(), second.len())?;
            moments.insert(name, Moments { steps, first, second });
        }
        self.moments = moments;
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
    fn the_first_step_is_the_sign_of_the_gradient() {
        let mut adam = AdamW::new(0.1).betas(0.9, 0.99).weight_decay(0.5);
        let mut p = [1.0_f32, 1.0];
        adam.step("w", &mut p, &[3.0, -0.2]).unwrap();
        // decayed to 0.95, then by the rate against the gradient
        assert!((p[0] - 0.85).abs() < 1e-6 && (p[1] - 1.05).abs() < 1e-6, "{p:?}");
    }

    #[test]
    fn two_steps_by_hand() {
        let mut adam = AdamW::new(0.01);
        let mut p = [0.0_f32];
        adam.step("w", &mut p, &[1.0]).unwrap();
        adam.step("w", &mut p, &[-0.5]).unwrap();
        // m = 0.9 * 0.1 - 0.05 = 0.04, over 0.19; v = 0.95 * 0.05 + 0.05 * 0.25 = 0.06, over 0.0975
        let second = 0.01 * (0.04 / 0.19) / (0.06_f64 / 0.0975).sqrt();
        assert!((f64::from(p[0]) - (-0.01 - second)).abs() < 1e-7, "{p:?}");
    }
}
