//! From products of queries and keys to weights, and back.
use crate::graph::{MaskTable, Normaliser, Scoring};
use crate::kernels::{
    Element, View, ViewMut, clear, relu_row, relu_row_back, scale, sigmoid_row, sigmoid_row_back,
    softmax_off_by_one_row, softmax_row, softmax_row_back, softmax_rows, softmax_rows_back,
};
use crate::plan::exec::{Plan, Sums};
use crate::plan::weights::{Matrix, Weights};

/// How the products of one head become weights.
pub(super) struct HeadScoring<'a, E> {
    normaliser: Normaliser,
    scale: f64,
    /// What is added by distance.
    bias: Option<&'a [E]>,
    /// What is added by query and key, `[seq, seq]`.
    mask: Option<&'a MaskTable>,
    seq: usize,
}

impl Scoring {
    /// The scoring of head `h` over sequences of `seq`.
    pub(super) fn head<'a, E: Element>(
        &'a self,
        h: usize,
        weights: &'a Weights<E>,
        seq: usize,
    ) -> HeadScoring<'a, E> {
        let bias = self.bias.map(|bias| weights.matrix(bias).row(h));
        HeadScoring { normaliser: self.normaliser, scale: self.scale, bias, mask: self.mask(h), seq }
    }

    /// The place of the bias's gradient, if it is wanted.
    pub(super) fn bias_gradient<'a, E>(
        &self,
        plan: &Plan,
        sums: &'a mut Sums<E>,
    ) -> Option<&'a mut Matrix<E>> {
        self.bias.and_then(|bias| plan.leaf(bias, sums))
    }
}

impl<E: Element> HeadScoring<'_, E> {
    fn mask_of(&self, query: usize) -> Option<&[f64]> {
        self.mask.map(|mask| &mask[query * self.seq..query * self.seq + query + 1])
    }

    /// Products of the queries at these positions, one a row, become weights over the keys up to each query; zero beyond.
    pub fn weigh(&self, mut rows: ViewMut<'_, E>, queries: &[u32]) {
        if self.normaliser == Normaliser::Softmax && self.bias.is_none() && self.mask.is_none() {
            // all rows at once
            return softmax_rows(rows, queries, E::from_f64(self.scale));
        }
        for (r, query) in queries.iter().enumerate() {
            self.weigh_row(rows.row_mut(r), *query as usize);
        }
    }

    /// From the gradients of `weights`, one query a row, to those of the products; that of the bias is added to `d_bias`.
    pub fn weigh_back(
        &self,
        mut grads: ViewMut<'_, E>,
        weights: View<'_, E>,
        queries: &[u32],
        mut d_bias: Option<&mut [E]>,
    ) {
        let softmax = matches!(self.normaliser, Normaliser::Softmax | Normaliser::SoftmaxOffByOne);
        if softmax && d_bias.is_none() && self.mask.is_none() {
            return softmax_rows_back(grads, weights, queries, E::from_f64(self.scale));
        }
        for (r, query) in queries.iter().enumerate() {
            self.weigh_row_back(grads.row_mut(r), weights.row(r), *query as usize, d_bias.as_deref_mut());
        }
    }

    fn weigh_row(&self, row: &mut [E], query: usize) {
        let (keys, by) = (query + 1, E::from_f64(self.scale));
        let mask = self.mask_of(query);
        if self.bias.is_none() && mask.is_none() {
            return normalise(self.normaliser, row, keys, by);
        }
        match self.bias {
            Some(bias) => {
                let by_distance = bias[..keys].iter().rev();
                row[..keys].iter_mut().zip(by_distance).for_each(|(score, b)| *score = *score * by + *b);
            }
            None => scale(&mut row[..keys], by),
        }
        if let Some(mask) = mask {
            if mask.iter().all(|m| *m == f64::NEG_INFINITY) {
                return clear(row);
            }
            row.iter_mut().zip(mask).for_each(|(score, m)| *score += E::from_f64(*m));
        }
        normalise(self.normaliser, row, keys, E::one());
        clear_unseen(row, mask);
    }

    fn weigh_row_back(&self, grad: &mut [E], weights: &[E], query: usize, d_bias: Option<&mut [E]>) {
        let (keys, by) = (query + 1, E::from_f64(self.scale));
        let mask = self.mask_of(query);
        if d_bias.is_none() && mask.is_none() {
            return normalise_back(self.normaliser, grad, weights, keys, by);
        }
        normalise_back(self.normaliser, grad, weights, keys, E::one());
        clear_unseen(grad, mask);
        if let Some(d_bias) = d_bias {
            let by_distance = d_bias[..keys].iter_mut().rev();
            grad[..keys].iter().zip(by_distance).for_each(|(d, to)| *to += *d);
        }
        scale(&mut grad[..keys], by);
    }
}

/// Zeros at the keys that a mask hides, whatever the normaliser made of minus infinity.
fn clear_unseen<E: Element>(row: &mut [E], mask: Option<&[f64]>) {
    for (value, mask) in row.iter_mut().zip(mask.unwrap_or_default()) {
        if *mask == f64::NEG_INFINITY {
            *value = E::zero();
        }
    }
}

fn linear<E: Element>(row: &mut [E], keys: usize, factor: E) {
    let (seen, beyond) = row.split_at_mut(keys);
    scale(seen, factor);
    clear(beyond);
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
