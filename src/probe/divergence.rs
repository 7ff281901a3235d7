//! Whether a product of weight matrices has stored a table of distributions.
use crate::kernels::{Element, cross_entropy_row};
use crate::{Error, Result};

use super::predictor::check_sums_to_one;
use super::{Circuit, Counter, Matrix, StateDict};

/// The mean over some rows `i` of `KL(P_i || softmax(circuit(i)))`, in nats: how far the logits of a circuit are from
/// given distributions, such as the bigrams of the data (section 5 of the paper).
///
/// ```
/// use ihead::probe::{Divergence, Matrix, Circuit};
/// let bigrams = Matrix::new(2, 2, vec![0.9, 0.1, 0.5, 0.5])?;
/// let path = Circuit::rows("tok_embeddings.weight").through("layers.1.ff.weight").through("output.weight");
/// let all = Divergence::new("ff1_loss", path.clone(), bigrams.clone());
/// let but_one = Divergence::new("ff1_loss", path, bigrams).without(&[1]);
/// assert_eq!((all.rows(), but_one.rows()), (&[0, 1][..], &[0][..]));
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Divergence {
    name: String,
    path: Circuit,
    distributions: Matrix,
    rows: Vec<usize>,
}

impl Divergence {
    /// The divergence of all rows from `distributions`, `[rows, cols]`, whose rows sum to 1.
    pub fn new(name: impl Into<String>, path: Circuit, distributions: Matrix) -> Self {
        let rows = (0..distributions.rows()).collect();
        Divergence { name: name.into(), path, distributions, rows }
    }

    /// Leaves these rows out, such as the fixed triggers.
    pub fn without(mut self, rows: &[u32]) -> Self {
        self.rows.retain(|row| !rows.iter().any(|out| *out as usize == *row));
        self
    }

    /// The name, which is the key in `res.jsonl`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rows over which the mean is taken.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// The sum of the divergences of these weights, and their number.
    ///
    /// # Errors
    /// If there is no weight of a name, maps do not fit, the path ends in another width than the distributions', or a row is no
    /// distribution.
    pub fn evaluate(&self, weights: &dyn StateDict) -> Result<Counter> {
        let logits = self.path.load(weights)?.pick(&self.rows)?;
        let cols = self.distributions.cols();
        if logits.cols() != cols {
            let found = [logits.rows(), logits.cols()];
            return Err(Error::shape(format!("{}: {}", self.name, self.path), &[found[0], cols], &found));
        }
        let mut counter = Counter::default();
        for (i, row) in self.rows.iter().enumerate() {
            let distribution = self.distributions.row(*row);
            check_sums_to_one(distribution, || format!("row {row} of the distributions of '{}'", self.name))?;
            counter.add(kl(distribution, logits.row(i)));
        }
        Ok(counter)
    }
}

/// `KL(p || softmax(logits)) = sum_j p_j (ln p_j - logits_j) + ln sum_j exp(logits_j)`, over the `p_j > 0`.
pub(super) fn kl<E: Element>(p: &[f64], logits: &[E]) -> f64 {
    let Some(first) = logits.first() else { return 0.0 };
    let log_sum = cross_entropy_row(logits, 0) + first.to_f64();
    let terms = p.iter().zip(logits).filter(|(p, _)| **p > 0.0);
    terms.map(|(p, logit)| p * (p.ln() - (logit.to_f64() - log_sum))).sum()
}

#[cfg(test)]
mod tests {
    use super::kl;

    #[test]
    fn it_is_zero_for_equal_distributions_and_known_for_a_coin() {
        let logits = [0.2_f64.ln() + 7.0, 0.8_f64.ln() + 7.0];
        assert!(kl(&[0.2, 0.8], &logits).abs() < 1e-14);
        assert!((kl(&[1.0, 0.0], &logits) - 5.0_f64.ln()).abs() < 1e-14);
    }
}
