//! Metrics of a batch: what is averaged, over which positions.
use super::{Head, Key, Select, Unit};

/// A number about a batch: the mean of a [`Measure`] over the positions of a [`Select`].
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
#[derive(Clone, Debug)]
pub enum Measure {
    /// The cross-entropy of the logits against the next token, `log sum_v exp(logits[t, v]) - logits[t, y[t]]`.
    Loss,
    /// 1 if `argmax logits[t] = y[t]`.
    Accuracy,
    /// 1 if another choice of positions holds too.
    Share(Select),
    /// How a head's row `t` looks at certain keys.
    Attention {
        /// The head.
        head: Head,
        /// The keys.
        key: Key,
        /// Largest weight or all weights.
        by: By,
        /// The query is not `t` but the key that this head looks at most from `t`.
        through: Option<Head>,
    },
}

/// How attention to certain keys is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// 1 if the largest weight (the first of equals) is on such a key.
    Argmax,
    /// The sum of the weights on such keys.
    Weight,
}

impl Metric {
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

    /// The share of positions at which `of` holds.
    pub fn share(name: impl Into<String>, of: Select) -> Self {
        Metric::new(name, Measure::Share(of))
    }

    /// The share of queries from which `head` looks most at a key of that kind.
    pub fn attends(name: impl Into<String>, head: &Head, key: Key) -> Self {
        Metric::new(name, Measure::Attention { head: head.clone(), key, by: By::Argmax, through: None })
    }

    /// The mean weight that `head` puts on keys of that kind.
    pub fn attention(name: impl Into<String>, head: &Head, key: Key) -> Self {
        Metric::new(name, Measure::Attention { head: head.clone(), key, by: By::Weight, through: None })
    }

    /// Over these positions instead.
    pub fn over(mut self, select: Select) -> Self {
        self.select = select;
        self
    }

    /// Measures the head not at the selected positions but at the keys that `other` looks at most from there:
    /// whether two heads compose. Nothing changes for a metric of predictions.
    pub fn through(mut self, other: &Head) -> Self {
        if let Measure::Attention { through, .. } = &mut self.measure {
            *through = Some(other.clone());
        }
        self
    }

    /// Its name, the key in a record.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is averaged.
    pub fn measure(&self) -> &Measure {
        &self.measure
    }

    /// Over which positions.
    pub fn select(&self) -> &Select {
        &self.select
    }

    /// What the number is counted in.
    pub fn unit(&self) -> Unit {
        match self.measure {
            Measure::Loss => Unit::Nats,
            Measure::Accuracy | Measure::Share(_) | Measure::Attention { .. } => Unit::Share,
        }
    }
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.name)?;
        match &self.measure {
            Measure::Loss => write!(f, "cross-entropy")?,
            Measure::Accuracy => write!(f, "accuracy")?,
            Measure::Share(of) => write!(f, "share of {of}")?,
            Measure::Attention { head, key, by, through } => {
                let how = if *by == By::Argmax { "largest weight" } else { "weight" };
                write!(f, "{how} of {}[{}] on {key}", head.site, head.head)?;
                if let Some(other) = through {
                    write!(f, " where {}[{}] looks", other.site, other.head)?;
                }
            }
        }
        write!(f, " over {}", self.select)
    }
}
