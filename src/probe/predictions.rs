//! Metrics of a batch: what is averaged, and over which positions.
use std::fmt;
use std::sync::Arc;

use super::attribution::Against;
use super::{Head, Key, Predictor, Select, Sequence, Unit};

/// A number computed from a batch: the mean of a [`Measure`] over the positions of a [`Select`].
///
/// It is a value: name it, list it, and hand the list to an [`Evaluation`](super::Evaluation).
///
/// ```
/// use ihead::probe::{Head, Key, Metric, Select};
/// let metrics = [
///     Metric::loss("loss"),
///     Metric::accuracy("acc_end").over(Select::marks(2..).and(Select::last(500))),
///     Metric::attends("induction", &Head::of_layer(1, 0), Key::AfterSameToken).over(Select::marks(2..)),
/// ];
/// assert_eq!(metrics[1].to_string(), "acc_end: accuracy over marks >= 2, among the last 500 positions");
/// ```
#[derive(Clone, Debug)]
pub struct Metric {
    name: String,
    measure: Measure,
    select: Select,
}

/// What a metric averages; position `t` of a sequence.
#[derive(Clone)]
#[non_exhaustive]
pub enum Measure {
    /// The cross-entropy of the logits against the next token, `log sum_v exp(logits[t, v]) - logits[t, y[t]]`.
    Loss,
    /// 1 if `argmax logits[t] = y[t]`.
    Accuracy,
    /// 1 if the rank of the next token ([`Rank`](Self::Rank)) is at most `k`.
    TopK(usize),
    /// The number of tokens with a larger logit than the next token, plus 1 (of equals the lower token is first).
    Rank,
    /// `softmax(logits[t])[y[t]]`.
    Probability,
    /// `logits[t, y[t]]` minus the largest other logit: above 0 where the prediction is right.
    Margin,
    /// `-sum_v p_v ln p_v` with `p = softmax(logits[t])`.
    Entropy,
    /// `KL(p || softmax(logits[t]))`, `p` the distribution that a predictor gives after `x[0..=t]`.
    Kl(Arc<dyn Predictor>),
    /// What a term of the residual stream, or all of them, adds to the logit of the next token; see
    /// [`super::attribution`].
    Logit {
        /// The term's name; all of them together without it.
        term: Option<String>,
        /// What the logit is compared with.
        against: Against,
    },
    /// 1 if the position is also among those of another selection.
    Share(Select),
    /// The Euclidean norm of row `t` of a site: the size of the residual stream, or of what attention adds to it.
    Norm {
        /// The site, a stream.
        site: String,
    },
    /// A number of your own: what a rule gives for the values at position `t`; see [`Metric::by`] and [`Metric::by_site`].
    By {
        /// The site whose values the rule gets; the logits without it.
        site: Option<String>,
        /// The unit of the number.
        unit: Unit,
        /// The rule.
        rule: Arc<RowRule>,
    },
    /// How a head attends from position `t` to keys of a kind.
    Attention {
        /// The head.
        head: Head,
        /// The keys.
        key: Key,
        /// Largest weight or all weights.
        by: By,
        /// The query is not `t` but the key to which this head attends most from `t`.
        through: Option<Head>,
    },
}

/// A rule of your own: the number at position `t` of a sequence, `rule(sequence, t, values)`; `None` where there is none, which leaves
/// the position out of the mean. `values` are the row of that position, `[vocab]` or `[dim]`, or `[t + 1]` of a head's pattern.
pub type RowRule = dyn Fn(&Sequence<'_>, usize, &[f64]) -> Option<f64> + Send + Sync;

/// How attention to keys of a kind is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum By {
    /// 1 if the largest weight (the first of equals) is on such a key.
    Argmax,
    /// The sum of the weights on such keys.
    Weight,
}

impl Metric {
    /// The chance level: what a uniform guess among `vocab` tokens reaches; `None` where there is none.
    ///
    /// ```
    /// use ihead::probe::{Head, Key, Metric};
    /// assert_eq!(Metric::accuracy("acc").chance(10), Some(0.1));
    /// assert_eq!(Metric::loss("loss").chance(10), Some(10f64.ln()));
    /// assert_eq!(Metric::top_k("top3", 3).chance(10), Some(0.3));
    /// assert_eq!(Metric::rank("rank").chance(10), Some(5.5));
    /// assert_eq!(Metric::attends("first", &Head::of_layer(0, 0), Key::First).chance(10), None);
    /// ```
    pub fn chance(&self, vocab: usize) -> Option<f64> {
        let n = vocab as f64;
        match self.measure {
            Measure::Loss => Some(n.ln()),
            Measure::Accuracy | Measure::Probability => Some(1.0 / n),
            Measure::TopK(k) => Some(k.min(vocab) as f64 / n),
            Measure::Rank => Some((n + 1.0) / 2.0),
            _ => None,
        }
    }

    /// The mean of `measure` over all positions.
    pub fn new(name: impl Into<String>, measure: Measure) -> Self {
        Metric { name: name.into(), measure, select: Select::All }
    }

    /// The mean cross-entropy.
    pub fn loss(name: impl Into<String>) -> Self {
        Metric::new(name, Measure::Loss)
    }

    /// The share of right predictions.
    pub fn accuracy(name: impl Into<String>) -> Self {
        Metric::new(name, Measure::Accuracy)
    }

    /// The share of positions at which the next token is among the `k` most likely ones.
    pub fn top_k(name: impl Into<String>, k: usize) -> Self {
        Metric::new(name, Measure::TopK(k))
    }

    /// The mean rank of the next token, from 1.
    pub fn rank(name: impl Into<String>) -> Self {
        Metric::new(name, Measure::Rank)
    }

    /// The mean probability of the next token.
    pub fn probability(name: impl Into<String>) -> Self {
        Metric::new(name, Measure::Probability)
    }

    /// The mean margin of the next token's logit over the largest other one.
    pub fn margin(name: impl Into<String>) -> Self {
        Metric::new(name, Measure::Margin)
    }

    /// The mean logit of the next token.
    pub fn logit(name: impl Into<String>, against: Against) -> Self {
        Metric::new(name, Measure::Logit { term: None, against })
    }

    /// The mean of what a [term](super::attribution) adds to the logit of the next token.
    pub fn logit_from(name: impl Into<String>, term: impl Into<String>, against: Against) -> Self {
        Metric::new(name, Measure::Logit { term: Some(term.into()), against })
    }

    /// The mean entropy of the predictions.
    pub fn entropy(name: impl Into<String>) -> Self {
        Metric::new(name, Measure::Entropy)
    }

    /// The mean divergence of the model from a predictor, `KL(predictor || model)`.
    ///
    /// ```
    /// use ihead::probe::{Bigram, Metric, Select, Uniform, Unigram};
    /// let late = || Select::marks(0..) & Select::last(16);
    /// let metrics = [
    ///     Metric::kl("kl_uniform", Uniform).over(late()),
    ///     Metric::kl("kl_unigram", Unigram { alpha: 1.0 }).over(late()),
    ///     Metric::kl("kl_bigram", Bigram { alpha: 1.0 }).over(late()),
    /// ];
    /// assert!(metrics[1].to_string().starts_with("kl_unigram: KL from the unigrams so far over "));
    /// ```
    pub fn kl(name: impl Into<String>, predictor: impl Predictor + 'static) -> Self {
        Metric::new(name, Measure::Kl(Arc::new(predictor)))
    }

    /// The share of positions at which `of` holds.
    pub fn share(name: impl Into<String>, of: Select) -> Self {
        Metric::new(name, Measure::Share(of))
    }

    /// The share of queries whose largest attention weight in `head` is on a key of that kind.
    pub fn attends(name: impl Into<String>, head: &Head, key: Key) -> Self {
        Metric::new(name, Measure::Attention { head: head.clone(), key, by: By::Argmax, through: None })
    }

    /// The mean weight that `head` puts on keys of that kind.
    pub fn attention(name: impl Into<String>, head: &Head, key: Key) -> Self {
        Metric::new(name, Measure::Attention { head: head.clone(), key, by: By::Weight, through: None })
    }

    /// The mean Euclidean norm of the values at a site, for example `layers.1.resid` or `layers.0.attention.v`; of streams
    /// by head, all heads together, or head 2 alone of `layers.0.attention.v[2]`.
    ///
    /// ```
    /// use ihead::probe::{Metric, Select};
    /// let metric = Metric::norm("values", "layers.0.attention.v").over(Select::marks(2..));
    /// assert_eq!(metric.to_string(), "values: norm of layers.0.attention.v over marks >= 2");
    /// ```
    pub fn norm(name: impl Into<String>, site: impl Into<String>) -> Self {
        Metric::new(name, Measure::Norm { site: site.into() })
    }

    /// The mean of a number of your own, computed from the logits: `rule(sequence, t, logits)`, with the logits `[vocab]` at position
    /// `t`. Where the rule gives `None`, the position is left out of the mean.
    ///
    /// ```
    /// use ihead::probe::{Metric, Unit};
    /// // the probability of all vowels together
    /// let vowels = [0, 4, 8];
    /// let metric = Metric::by("vowels", Unit::Share, move |_, _, logits| {
    ///     let whole: f64 = logits.iter().map(|logit| logit.exp()).sum();
    ///     Some(vowels.iter().map(|&token: &usize| logits[token].exp() / whole).sum())
    /// });
    /// assert_eq!(metric.to_string(), "vowels: a number of your own from the logits over all positions");
    /// ```
    pub fn by(
        name: impl Into<String>,
        unit: Unit,
        rule: impl Fn(&Sequence<'_>, usize, &[f64]) -> Option<f64> + Send + Sync + 'static,
    ) -> Self {
        Metric::new(name, Measure::By { site: None, unit, rule: Arc::new(rule) })
    }

    /// The mean of a number of your own, computed from the values at a site: `rule(sequence, t, values)`, with the values `[dim]` of
    /// the stream at position `t`; of streams by head, those of all heads, one after the other, or of head 2 alone for
    /// `layers.0.attention.v[2]`. For a head of a pattern, `layers.0.attention.pattern[2]`, the values are its weights `[t + 1]` from
    /// query `t` on the keys `0..=t`. Where the rule gives `None`, the position is left out of the mean.
    ///
    /// ```
    /// use ihead::probe::{Metric, Unit};
    /// // how much of the residual stream points in a given direction
    /// let direction = [0.6, 0.0, 0.8];
    /// let metric = Metric::by_site("along", "layers.1.resid", Unit::Number, move |_, _, values| {
    ///     Some(values.iter().zip(direction).map(|(value, d)| value * d).sum())
    /// });
    /// assert_eq!(metric.to_string(), "along: a number of your own from layers.1.resid over all positions");
    ///
    /// // the entropy of a head's attention: 0 if it attends to one key, ln(t + 1) if to all alike
    /// let entropy = |weights: &[f64]| weights.iter().filter(|w| **w > 0.0).map(|w| -w * w.ln()).sum::<f64>();
    /// let site = "layers.0.attention.pattern[2]";
    /// let _ = Metric::by_site("entropy_0_2", site, Unit::Nats, move |_, _, weights| Some(entropy(weights)));
    /// ```
    pub fn by_site(
        name: impl Into<String>,
        site: impl Into<String>,
        unit: Unit,
        rule: impl Fn(&Sequence<'_>, usize, &[f64]) -> Option<f64> + Send + Sync + 'static,
    ) -> Self {
        Metric::new(name, Measure::By { site: Some(site.into()), unit, rule: Arc::new(rule) })
    }

    /// The same metric, averaged over these positions alone.
    pub fn over(mut self, select: Select) -> Self {
        self.select = select;
        self
    }

    /// Measures the head not at the selected positions but at the keys to which `other` attends most from there:
    /// whether two heads compose. Nothing changes for a metric of predictions.
    pub fn through(mut self, other: &Head) -> Self {
        if let Measure::Attention { through, .. } = &mut self.measure {
            *through = Some(other.clone());
        }
        self
    }

    /// The name, which is the key in `res.jsonl`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The measure that is averaged.
    pub fn measure(&self) -> &Measure {
        &self.measure
    }

    /// The positions over which the mean is taken.
    pub fn select(&self) -> &Select {
        &self.select
    }

    /// The unit of the number.
    pub fn unit(&self) -> Unit {
        match self.measure {
            Measure::Loss | Measure::Entropy | Measure::Kl(_) => Unit::Nats,
            Measure::Accuracy | Measure::TopK(_) | Measure::Probability => Unit::Share,
            Measure::Share(_) | Measure::Attention { .. } => Unit::Share,
            Measure::Margin | Measure::Logit { .. } => Unit::Logits,
            Measure::Rank => Unit::Count,
            Measure::Norm { .. } => Unit::Norm,
            Measure::By { unit, .. } => unit,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} over {}", self.name, self.measure, self.select)
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Measure::Loss => write!(f, "cross-entropy"),
            Measure::Accuracy => write!(f, "accuracy"),
            Measure::TopK(k) => write!(f, "share of targets among the top {k}"),
            Measure::Rank => write!(f, "rank of the target"),
            Measure::Probability => write!(f, "probability of the target"),
            Measure::Margin => write!(f, "margin of the target"),
            Measure::Entropy => write!(f, "entropy of the prediction"),
            Measure::Kl(predictor) => write!(f, "KL from {}", predictor.words()),
            Measure::Logit { term: Some(term), against } => {
                write!(f, "what {term} adds to the target's logit, {against}")
            }
            Measure::Logit { term: None, against } => write!(f, "the target's logit, {against}"),
            Measure::Share(of) => write!(f, "share of {of}"),
            Measure::Norm { site } => write!(f, "norm of {site}"),
            Measure::By { site, .. } => {
                write!(f, "a number of your own from {}", site.as_deref().unwrap_or("the logits"))
            }
            Measure::Attention { head, key, by, through } => {
                let how = if *by == By::Argmax { "largest weight" } else { "weight" };
                write!(f, "{how} of {}[{}] on {key}", head.site, head.head)?;
                match through {
                    Some(other) => write!(f, " where {}[{}] looks", other.site, other.head),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Debug for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Measure({self})")
    }
}
