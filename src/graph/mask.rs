//! Masks of attention scores.
use std::fmt;
use std::sync::Arc;

use super::op::MaskTable;

/// A mask of attention: a number that is added to the scaled score of each query and key, minus infinity where the query
/// does not see the key.
///
/// Queries and keys are given by their positions, counted from 0. Attention is causal in any case: a mask's rule is asked for
/// keys at or before the query alone, and later ones are hidden. A query that sees no key gets weights of zero, so that it
/// reads nothing. NaN and plus infinity are errors when the model is recorded.
///
/// ```
/// use ihead::graph::Mask;
/// assert!(Mask::window(2).sees(5, 4) && !Mask::window(2).sees(5, 3));
/// assert!(Mask::blocks(4).sees(5, 4) && !Mask::blocks(4).sees(5, 3));
/// assert_eq!(Mask::decay(0.5).score(5, 3), -1.0);
/// assert_eq!(Mask::decay(0.5).score(3, 5), f64::NEG_INFINITY);
/// let even = Mask::rule("even distances", |query, key| (query - key) % 2 == 0);
/// assert!(even.sees(4, 2) && !even.sees(4, 3));
/// assert!(!even.and(&Mask::strict()).sees(4, 4));
/// ```
#[derive(Clone)]
pub struct Mask {
    name: String,
    score: Arc<dyn Fn(usize, usize) -> f64 + Send + Sync>,
}

impl Mask {
    /// Lets each query see the last `n` positions, its own among them; nothing if `n` is 0.
    pub fn window(n: usize) -> Mask {
        Mask::rule(format!("window({n})"), move |query, key| query - key < n)
    }

    /// Lets each query see the positions of its own block of `n` positions, up to its own; nothing if `n` is 0.
    pub fn blocks(n: usize) -> Mask {
        Mask::rule(format!("blocks({n})"), move |query, key| n > 0 && query / n == key / n)
    }

    /// Lets each query see the positions before its own; position 0 sees nothing.
    pub fn strict() -> Mask {
        Mask::rule("strict", |query, key| key < query)
    }

    /// Adds `-rate * (query - key)`, so that scores fall with the distance (ALiBi's bias, with one rate for all heads).
    pub fn decay(rate: f64) -> Mask {
        Mask::scores(format!("decay({rate})"), move |query, key| -rate * (query - key) as f64)
    }

    /// Lets each query see the keys for which `sees(query, key)` is true. `name` stands in messages.
    pub fn rule(
        name: impl Into<String>,
        sees: impl Fn(usize, usize) -> bool + Send + Sync + 'static,
    ) -> Mask {
        Mask::scores(name, move |query, key| if sees(query, key) { 0.0 } else { f64::NEG_INFINITY })
    }

    /// Adds `score(query, key)`, which is finite, or minus infinity where the key is not seen. `name` stands in messages.
    pub fn scores(
        name: impl Into<String>,
        score: impl Fn(usize, usize) -> f64 + Send + Sync + 'static,
    ) -> Mask {
        Mask { name: name.into(), score: Arc::new(score) }
    }

    /// Returns the sum of this mask and another one. A key that either of them hides is hidden.
    pub fn and(&self, other: &Mask) -> Mask {
        let (a, b) = (self.score.clone(), other.score.clone());
        Mask::scores(format!("{} and {}", self.name, other.name), move |query, key| {
            a(query, key) + b(query, key)
        })
    }

    /// Returns what is added to the score of `key` for `query`: minus infinity if the key is later than the query.
    pub fn score(&self, query: usize, key: usize) -> f64 {
        if key <= query { (self.score)(query, key) } else { f64::NEG_INFINITY }
    }

    /// Returns whether `query` sees `key`; it never sees a later one.
    pub fn sees(&self, query: usize, key: usize) -> bool {
        self.score(query, key) > f64::NEG_INFINITY
    }

    /// What it adds for sequences of `seq`, `[seq, seq]`.
    pub(super) fn table(&self, seq: usize) -> Result<MaskTable, String> {
        let of = |i: usize| {
            let (query, key) = (i / seq, i % seq);
            let score = self.score(query, key);
            if score.is_nan() || score == f64::INFINITY {
                return Err(format!("{self}: the score of query {query}, key {key} is {score}"));
            }
            Ok(score)
        };
        (0..seq * seq).map(of).collect()
    }
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mask({})", self.name)
    }
}
