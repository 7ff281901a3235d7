//! Cross-entropy of one row of logits, and the prediction.

use super::Element;
use super::lanes::{self, WIDTH, kernel};
use super::softmax::{exp_and_sum, largest};

fn check(vocab: usize, target: usize) {
    assert!(target < vocab, "target {target} of {vocab} logits");
}

kernel! {
    /// `log(sum_v exp(logits_v)) - logits_target`: each exponential in the precision of the logits, their sum and its logarithm
    /// in double. A loss that is nearly zero has all its digits.
    ///
    /// `logits: [vocab]`: without padding.
    ///
    /// ```
    /// let loss = ihead::internals::kernels::cross_entropy_row(&[0.0_f32, 0.0], 1);
    /// assert!((loss - 2.0_f64.ln()).abs() < 1e-7);
    /// ```
    pub fn cross_entropy_row<'a, E>(simd; logits: &'a [E], target: usize) -> f64 {
        check(logits.len(), target);
        let shift = largest(simd, logits);
        let shifts = simd.splat(shift);
        let (mut sums, mut values, mut own) = ([0.0; WIDTH], [E::zero(); WIDTH], E::zero());
        let (chunks, end) = logits.as_chunks::<WIDTH>();
        for (at, chunk) in chunks.iter().enumerate() {
            simd.store(&mut values, simd.exp(simd.sub(simd.load(chunk), shifts)));
            if at == target / WIDTH {
                own = std::mem::replace(&mut values[target % WIDTH], E::zero());
            }
            add(&mut sums, &values);
        }
        let values = &mut values[..end.len()];
        if !end.is_empty() {
            simd.store_part(values, simd.exp(simd.sub(simd.load_part(end), shifts)));
            if chunks.len() == target / WIDTH {
                own = std::mem::replace(&mut values[target % WIDTH], E::zero());
            }
            add(&mut sums, values);
        }
        loss(halved(sums), own, shift, logits[target])
    }
}

kernel! {
    /// [`cross_entropy_row`], and `logits` becomes its gradient times `weight`: `weight * (softmax(logits) - onehot(target))`.
    ///
    /// The loss that it returns is not weighted, and summed in double precision. The gradient of the target, `-weight` times the
    /// sum of the other probabilities, has all its digits also where its probability is nearly one; the rest of the gradient is
    /// in the precision of the logits.
    pub fn cross_entropy_row_grad<'a, E>(simd; logits: &'a mut [E], target: usize, weight: E) -> f64 {
        check(logits.len(), target);
        let shift = largest(simd, logits);
        let target_logit = logits[target];
        let sum = exp_and_sum(simd, logits, shift, E::one());
        let own = std::mem::replace(&mut logits[target], E::zero());
        let mut sums = [0.0; WIDTH];
        logits.chunks(WIDTH).for_each(|values| add(&mut sums, values));
        let others = halved(sums);
        lanes::multiply(simd, logits, weight / sum);
        logits[target] = E::from_f64(-weight.to_f64() * (others / (others + own.to_f64())));
        loss(others, own, shift, target_logit)
    }
}

kernel! {
    /// `-sum_v target_v log softmax(logits)_v`, and `logits` becomes its gradient times `weight`:
    /// `weight * (sum(target) softmax(logits) - target)`. `target: [vocab]` is a distribution.
    ///
    /// The loss that it returns is not weighted, and summed in double precision; the gradient is all in the precision of the
    /// logits.
    pub fn cross_entropy_distribution_row_grad<'a, E>(
        simd; logits: &'a mut [E], target: &'a [E], weight: E
    ) -> f64 {
        assert!(logits.len() == target.len(), "{} logits, {} targets", logits.len(), target.len());
        let (mut along, mut mass) = ([0.0; WIDTH], [0.0; WIDTH]);
        for (values, target) in logits.chunks(WIDTH).zip(target.chunks(WIDTH)) {
            add(&mut mass, target);
            add_products(&mut along, values, target);
        }
        let (along, mass) = (halved(along), halved(mass));
        let shift = largest(simd, logits);
        let total = lanes::sum(simd, target);
        let sum = exp_and_sum(simd, logits, shift, E::one());
        let mut sums = [0.0; WIDTH];
        logits.chunks(WIDTH).for_each(|values| add(&mut sums, values));
        let (scale, by) = (simd.splat(weight * total / sum), simd.splat(-weight));
        lanes::zip1(simd, logits, target, #[inline(always)] |p, q| simd.mul_add(q, by, simd.mul(p, scale)));
        mass * (halved(sums).ln() + shift.to_f64()) - along
    }
}

/// Adds values to as many sums, side by side, in double precision.
#[inline(always)]
fn add<E: Element>(sums: &mut [f64; WIDTH], values: &[E]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value.to_f64());
}

/// The sum of all, half by half, so that no addition waits for all that come before it.
#[inline(always)]
fn halved(sums: [f64; WIDTH]) -> f64 {
    const { assert!(WIDTH.is_power_of_two()) };
    let mut sums = sums;
    let mut n = WIDTH;
    while n > 1 {
        n /= 2;
        for i in 0..n {
            sums[i] += sums[i + n];
        }
    }
    sums[0]
}

/// Adds products to as many sums, side by side, in double precision.
#[inline(always)]
fn add_products<E: Element>(sums: &mut [f64; WIDTH], a: &[E], b: &[E]) {
    sums.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum += a.to_f64() * b.to_f64());
}

/// The loss from the exponential of the target's logit and the sum of the others.
#[inline(always)]
fn loss<E: Element>(others: f64, own: E, shift: E, target_logit: E) -> f64 {
    match target_logit.to_f64() - shift.to_f64() {
        0.0 => others.ln_1p(),
        below => (others + own.to_f64()).ln() - below,
    }
}

kernel! {
    /// The index of the largest element, the first one of equals; 0 for an empty row or one of NaN.
    ///
    /// ```
    /// assert_eq!(ihead::internals::kernels::argmax(&[0.0_f32, 2.0, 1.0, 2.0]), 1);
    /// ```
    pub fn argmax<'a, E>(simd; row: &'a [E]) -> usize {
        first(row, largest(simd, row)).unwrap_or(0)
    }
}

kernel! {
    /// [`argmax`]; `None` of an empty row or if an element is NaN, which is no number that another could be larger than.
    pub fn argmax_of_numbers<'a, E>(simd; row: &'a [E]) -> Option<usize> {
        // no way out at the first of them, so that many are looked at at once
        let numbers = row.iter().fold(true, |numbers, x| numbers & (*x >= E::NEG_INFINITY));
        if numbers { first(row, largest(simd, row)) } else { None }
    }
}

/// The place of the first element that is `value`.
#[inline(always)]
fn first<E: Element>(row: &[E], value: E) -> Option<usize> {
    let (chunks, end) = row.as_chunks::<WIDTH>();
    let is_in = |part: &[E; WIDTH]| part.iter().fold(false, |any, x| any | (*x == value));
    let at = chunks.iter().position(is_in).unwrap_or(chunks.len());
    let part = chunks.get(at).map_or(end, |chunk| chunk);
    part.iter().position(|x| *x == value).map(|place| at * WIDTH + place)
}
