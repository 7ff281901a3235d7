//! From products of queries and keys to weights, one query at a time, and back.
use crate::graph::Normaliser;
use crate::kernels::{
    Element, relu_row, relu_row_back, scale, sigmoid_row, sigmoid_row_back, softmax_off_by_one_row,
    softmax_row, softmax_row_back,
};

use super::exec::{Plan, Sums};
use super::program::Scoring;
use super::weights::{Matrix, Weights};

impl Scoring {
    /// The bias of each head and distance.
    pub fn bias<'a, E: Element>(&self, weights: &'a Weights<E>) -> Option<&'a Matrix<E>> {
        self.bias.map(|bias| weights.matrix(bias))
    }

    /// The place of the bias's gradient, if it is wanted.
    pub fn bias_gradient<'a, E>(&self, plan: &Plan, sums: &'a mut Sums<E>) -> Option<&'a mut Matrix<E>> {
        self.bias.and_then(|bias| plan.leaf(bias, sums))
    }

    /// Products of one query become weights over its first `keys` keys; zero beyond. `bias` is that of its head.
    pub fn weigh<E: Element>(&self, row: &mut [E], keys: usize, bias: Option<&[E]>) {
        let by = E::from_f64(self.scale);
        let Some(bias) = bias else { return normalise(self.normaliser, row, keys, by) };
        let by_distance = bias[..keys].iter().rev();
        row[..keys].iter_mut().zip(by_distance).for_each(|(score, b)| *score = *score * by + *b);
        normalise(self.normaliser, row, keys, E::one());
    }

    /// From the gradient of the weights to that of the products; that of the bias is added to `d_bias`.
    pub fn weigh_back<E: Element>(
        &self,
        grad: &mut [E],
        weights: &[E],
        keys: usize,
        d_bias: Option<&mut [E]>,
    ) {
        let by = E::from_f64(self.scale);
        let Some(d_bias) = d_bias else { return normalise_back(self.normaliser, grad, weights, keys, by) };
        normalise_back(self.normaliser, grad, weights, keys, E::one());
        let by_distance = d_bias[..keys].iter_mut().rev();
        grad[..keys].iter().zip(by_distance).for_each(|(d, to)| *to += *d);
        scale(&mut grad[..keys], by);
    }
}

fn linear<E: Element>(row: &mut [E], keys: usize, factor: E) {
    let (seen, beyond) = row.split_at_mut(keys);
    scale(seen, factor);
    beyond.fill(E::zero());
}

fn normalise<E: Element>(normaliser: Normaliser, row: &mut [E], keys: usize, by: E) {
    match normaliser {
        Normaliser::Softmax => softmax_row(row, keys, by),
        Normaliser::SoftmaxOffByOne => softmax_off_by_one_row(row, keys, by),
        Normaliser::Relu => relu_row(row, keys, by, false),
        Normaliser::MeanRelu => relu_row(row, keys, by, true),
        Normaliser::Sigmoid => sigmoid_row(row, keys, by),
        Normaliser::Linear => linear(row, keys, by),
        Normaliser::MeanLinear => linear(row, keys, by / E::from_f64(keys as f64)),
    }
}

fn normalise_back<E: Element>(normaliser: Normaliser, grad: &mut [E], weights: &[E], keys: usize, by: E) {
    match normaliser {
        Normaliser::Softmax | Normaliser::SoftmaxOffByOne => softmax_row_back(grad, weights, keys, by),
        Normaliser::Relu => relu_row_back(grad, weights, keys, by, false),
        Normaliser::MeanRelu => relu_row_back(grad, weights, keys, by, true),
        Normaliser::Sigmoid => sigmoid_row_back(grad, weights, keys, by),
        Normaliser::Linear => linear(grad, keys, by),
        Normaliser::MeanLinear => linear(grad, keys, by / E::from_f64(keys as f64)),
    }
}
