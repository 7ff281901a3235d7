//! What an attention head attends to.
use std::fmt;
use std::sync::Arc;

use crate::kernels::Element;

use super::{Metric, Select, Sequence};

/// One attention head: the name of its pattern's site and its number.
///
/// ```
/// use ihead::probe::Head;
/// assert_eq!(Head::of_layer(1, 0), Head::new("layers.1.attention.pattern", 0));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    /// The name of the site of its pattern, `[heads, seq, seq]`.
    pub site: String,
    /// The number of the head, from 0.
    pub head: usize,
}

impl Head {
    /// Head `head` of the pattern named `site`.
    pub fn new(site: impl Into<String>, head: usize) -> Self {
        Head { site: site.into(), head }
    }

    /// Head `head` of the library's own attention in layer `layer`, counted from 0.
    pub fn of_layer(layer: usize, head: usize) -> Self {
        Head::new(format!("layers.{layer}.attention.pattern"), head)
    }
}

/// A kind of key: the keys `j` to which a head is expected to attend from a query `q >= j`.
#[derive(Clone)]
#[non_exhaustive]
pub enum Key {
    /// `j = q - 1`. The first position has no such key and is not counted.
    Previous,
    /// `j = q`.
    Itself,
    /// `j = 0`.
    First,
    /// An earlier occurrence of the same token: `j < q`, `x[j] = x[q]`.
    SameToken,
    /// The position after an occurrence of the same token: `x[j - 1] = x[q]`. An induction head attends to it.
    AfterSameToken,
    /// The token that comes next: `x[j] = y[q]`.
    NextToken,
    /// The token that the model predicts: `x[j] = argmax logits[q]`.
    PredictedToken,
    /// Your own rule: its name in messages, and whether key `j` of query `q` is such a key.
    Where(Arc<str>, Arc<KeyRule>),
}

/// A rule of your own: whether key `j` of query `q` of a sequence is of the kind, `rule(sequence, q, j)`.
pub type KeyRule = dyn Fn(&Sequence<'_>, usize, usize) -> bool + Send + Sync;

impl Key {
    /// Your own rule, `rule(sequence, q, j)`, called `words` in messages.
    pub fn by(
        words: &str,
        rule: impl Fn(&Sequence<'_>, usize, usize) -> bool + Send + Sync + 'static,
    ) -> Self {
        Key::Where(words.into(), Arc::new(rule))
    }

    /// Whether a query at `q` can be counted.
    pub(super) fn counts(&self, q: usize) -> bool {
        q > 0 || !matches!(self, Key::Previous)
    }

    /// Whether `j` is such a key; `predicted` is the prediction at `q`.
    pub(super) fn is(&self, sequence: &Sequence<'_>, q: usize, j: usize, predicted: u32) -> bool {
        let x = sequence.x;
        match self {
            Key::Previous => j + 1 == q,
            Key::Itself => j == q,
            Key::First => j == 0,
            Key::SameToken => j < q && x[j] == x[q],
            Key::AfterSameToken => j > 0 && x[j - 1] == x[q],
            Key::NextToken => x[j] == sequence.y[q],
            Key::PredictedToken => x[j] == predicted,
            Key::Where(_, rule) => rule(sequence, q, j),
        }
    }

    /// The sum of the weights, `[q + 1]`, on such keys: [`is`](Self::is) for a whole row at once.
    pub(super) fn weight<E: Element>(&self, sequence: &Sequence<'_>, weights: &[E], predicted: u32) -> f64 {
        let (x, q) = (sequence.x, weights.len() - 1);
        let on = |tokens: &[u32], wanted: u32, weights: &[E]| -> f64 {
            let hits = tokens.iter().zip(weights).filter(|(token, _)| **token == wanted);
            hits.map(|(_, weight)| weight.to_f64()).sum()
        };
        match self {
            Key::Previous => weights[q - 1].to_f64(),
            Key::Itself => weights[q].to_f64(),
            Key::First => weights[0].to_f64(),
            Key::SameToken => on(&x[..q], x[q], weights),
            Key::AfterSameToken => on(&x[..q], x[q], &weights[1..]),
            Key::NextToken => on(x, sequence.y[q], weights),
            Key::PredictedToken => on(x, predicted, weights),
            Key::Where(_, rule) => {
                let keys = weights.iter().enumerate().filter(|(j, _)| rule(sequence, q, *j));
                keys.map(|(_, weight)| weight.to_f64()).sum()
            }
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Key::Previous => "the previous position",
            Key::Itself => "the position itself",
            Key::First => "the first position",
            Key::SameToken => "an earlier occurrence of the token",
            Key::AfterSameToken => "the position after an earlier occurrence of the token",
            Key::NextToken => "an occurrence of the next token",
            Key::PredictedToken => "an occurrence of the predicted token",
            Key::Where(words, _) => words,
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// The scores that tell what kind of head this is, with `prefix_` before their names: for `previous` (token),
/// `induction` and `duplicate` (token), the share of positions at which the head's largest weight is on such a key,
/// and (`..._weight`) the mean weight on such keys. Positions that have no such key are left out.
///
/// ```
/// use ihead::probe::{Head, head_scores};
/// let metrics = head_scores("l0h0", &Head::of_layer(0, 0));
/// assert_eq!(metrics[2].name(), "l0h0_induction");
/// ```
pub fn head_scores(prefix: &str, head: &Head) -> Vec<Metric> {
    let kinds = [
        ("previous", Key::Previous, Select::All),
        ("induction", Key::AfterSameToken, Select::seen_before()),
        ("duplicate", Key::SameToken, Select::seen_before()),
    ];
    kinds
        .into_iter()
        .flat_map(|(kind, key, select)| {
            let name = format!("{prefix}_{kind}");
            let weight = Metric::attention(format!("{name}_weight"), head, key.clone()).over(select.clone());
            [Metric::attends(name, head, key).over(select), weight]
        })
        .collect()
}
