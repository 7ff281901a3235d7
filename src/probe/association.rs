//! Associations: which target belongs to which input in a memory.
use std::fmt;
use std::str::FromStr;

use ihead_formula::Rule;

use crate::{Error, Result};

use super::best::best;
use super::{Counter, Matrix};

/// The pairs (input, target) that a memory should hold. An input is a row of a table, a target is one of the candidates (the
/// columns of the scores).
///
/// The rows may be tokens, positions, or those of any other table. An association is a rule; its pairs follow from the sizes of
/// the tables. It can be written as a text ([`FromStr`], which [`Display`](fmt::Display) writes) or built:
///
/// | text | built | pairs | candidates |
/// |---|---|---|---|
/// | `self` | [`ITSELF`](Self::ITSELF) | each row with itself | all columns |
/// | `self among {3, 7}` | [`among`](Self::among) | only these rows | these |
/// | `previous` | [`PREVIOUS`](Self::PREVIOUS) | each row but the first with the one before | all but the last |
/// | `previous among 0..64` | [`previous(64)`](Self::previous) | the same of these rows, if the row before is listed, too | their targets |
/// | `{3: 1, 5: 2}` | [`pairs`](Self::pairs) | these | all columns |
/// | `{3: 1, 5: 2} among 0..9` | [`of`](Self::of) | these | 0 to 8 |
///
/// ```
/// use ihead::probe::Association;
/// assert_eq!(Association::ITSELF.resolve(3, 3).pairs, [(0, 0), (1, 1), (2, 2)]);
/// assert_eq!(Association::among(&[7, 4]).resolve(9, 9).candidates, [7, 4]);
/// assert_eq!(Association::previous(4).resolve(9, 9).pairs, [(1, 0), (2, 1), (3, 2)]);
/// assert_eq!(Association::PREVIOUS.resolve(5, 5).chance(), Some(0.25));
/// assert_eq!("previous among 0..64".parse::<Association>()?, Association::previous(64));
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Association {
    rule: Rule,
    among: Option<Among>,
}

/// The things that an association is among.
#[derive(Clone, Debug, PartialEq)]
enum Among {
    /// Those from 0 on, so many; any number, however many there are.
    Below(usize),
    /// These.
    Listed(Vec<usize>),
}

impl Among {
    fn of(things: Vec<usize>) -> Among {
        let first = things.iter().enumerate().all(|(at, thing)| at == *thing);
        if first { Among::Below(things.len()) } else { Among::Listed(things) }
    }

    fn holds(&self, thing: usize) -> bool {
        match self {
            Among::Below(n) => thing < *n,
            Among::Listed(things) => things.contains(&thing),
        }
    }

    /// All of them; of those beyond a table of `known` things the first, which says that they are too many.
    fn list(&self, known: usize) -> Vec<usize> {
        match self {
            Among::Below(n) => (0..(*n).min(known.saturating_add(1))).collect(),
            Among::Listed(things) => things.clone(),
        }
    }
}

/// The pairs and candidates of an [`Association`] for tables of known sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairs {
    /// The pairs (input, target).
    pub pairs: Vec<(usize, usize)>,
    /// The candidates: the targets to choose from.
    pub candidates: Vec<usize>,
}

impl Association {
    /// Pairs each row with itself; every column is a candidate.
    pub const ITSELF: Association = Association { rule: Rule::Itself, among: None };

    /// Pairs each row but the first with the one before; every column but the last is a candidate.
    pub const PREVIOUS: Association = Association { rule: Rule::Previous, among: None };

    /// Pairs each of `n` things with itself; any of them is a candidate.
    pub fn identity(n: usize) -> Self {
        Association { among: Some(Among::Below(n)), ..Association::ITSELF }
    }

    /// Pairs each of these things with itself, such as the fixed triggers; only these are candidates.
    pub fn among(things: &[u32]) -> Self {
        let things = things.iter().map(|thing| *thing as usize).collect();
        Association { among: Some(Among::of(things)), ..Association::ITSELF }
    }

    /// Pairs each of `n` positions but the first with the one before; any but the last is a candidate.
    pub fn previous(n: usize) -> Self {
        Association { among: Some(Among::Below(n)), ..Association::PREVIOUS }
    }

    /// Any pairs (input, target); every column is a candidate.
    pub fn pairs(pairs: impl IntoIterator<Item = (usize, usize)>) -> Self {
        Association { rule: Rule::Pairs(pairs.into_iter().collect()), among: None }
    }

    /// Any pairs (input, target), with these candidates.
    ///
    /// # Errors
    /// A target that is no candidate.
    pub fn of(
        pairs: impl IntoIterator<Item = (usize, usize)>,
        candidates: impl IntoIterator<Item = usize>,
    ) -> Result<Self> {
        let (pairs, candidates): (Vec<_>, Vec<_>) =
            (pairs.into_iter().collect(), candidates.into_iter().collect());
        match pairs.iter().find(|(_, target)| !candidates.contains(target)) {
            Some((input, target)) => Err(Error::value(
                "candidates",
                format!("not {target}, the target of input {input}"),
                "all targets",
            )),
            None => Ok(Association { rule: Rule::Pairs(pairs), among: Some(Among::of(candidates)) }),
        }
    }

    /// The pairs and candidates where there are `inputs` rows and `targets` columns. Of an association of more things than both, the
    /// first that is beyond them is the last.
    pub fn resolve(&self, inputs: usize, targets: usize) -> Pairs {
        let all = |n: usize| (0..n).collect::<Vec<_>>();
        let among = self.among.as_ref().map(|among| among.list(inputs.max(targets)));
        match &self.rule {
            Rule::Itself => {
                let things = among.clone().unwrap_or_else(|| all(inputs));
                let candidates = among.unwrap_or_else(|| all(targets));
                Pairs { pairs: things.into_iter().map(|i| (i, i)).collect(), candidates }
            }
            Rule::Previous => {
                let things = among.unwrap_or_else(|| all(inputs));
                let has = |t: usize| self.among.as_ref().is_none_or(|things| things.holds(t));
                let pairs: Vec<_> =
                    things.into_iter().filter(|t| *t > 0 && has(t - 1)).map(|t| (t, t - 1)).collect();
                let candidates = match self.among {
                    Some(_) => pairs.iter().map(|(_, target)| *target).collect(),
                    None => all(targets.saturating_sub(1)),
                };
                Pairs { pairs, candidates }
            }
            Rule::Pairs(pairs) => {
                let candidates = among.unwrap_or_else(|| all(targets));
                Pairs { pairs: pairs.clone(), candidates }
            }
        }
    }

    /// Counts the pairs whose input has its highest score among the candidates at the target (of equal scores, the first one is
    /// the highest). NaN if a score is NaN. An input with two targets is two pairs, of which at most one counts: of memories
    /// that are right, the share is below 1 then.
    ///
    /// `scores`: `[inputs, targets]`, a row for each row of the table.
    ///
    /// # Errors
    /// If there is no row of an input or no column of a candidate.
    pub fn recall(&self, scores: &Matrix) -> Result<Counter> {
        let resolved = self.resolve(scores.rows(), scores.cols());
        resolved.recall(0..resolved.pairs.len(), &scores.pick(&resolved.inputs())?)
    }
}

impl Pairs {
    /// The recall of a random choice, `1 / candidates`; `None` without candidates.
    pub fn chance(&self) -> Option<f64> {
        (!self.candidates.is_empty()).then(|| 1.0 / self.candidates.len() as f64)
    }

    /// The inputs, in order.
    pub(super) fn inputs(&self) -> Vec<usize> {
        self.pairs.iter().map(|(input, _)| *input).collect()
    }

    /// The hits of some of the pairs; `scores` have a row for each of these.
    pub(super) fn recall(&self, pairs: std::ops::Range<usize>, scores: &Matrix) -> Result<Counter> {
        let known = scores.cols();
        if let Some(candidate) = self.candidates.iter().find(|candidate| **candidate >= known) {
            return Err(Error::index("candidate", *candidate, "an unembedding", known));
        }
        if let Some((_, target)) = self.pairs[pairs.clone()].iter().find(|(_, target)| *target >= known) {
            return Err(Error::index("target", *target, "an unembedding", known));
        }
        let mut counter = Counter::default();
        let mut among = vec![0.0; self.candidates.len()];
        for (row, (_, target)) in self.pairs[pairs].iter().enumerate() {
            let scores = scores.row(row);
            among.iter_mut().zip(&self.candidates).for_each(|(to, candidate)| *to = scores[*candidate]);
            let hit = |at: usize| if self.candidates[at] == *target { 1.0 } else { 0.0 };
            counter.add(best(&among).map_or(f64::NAN, hit));
        }
        Ok(counter)
    }
}

impl From<ihead_formula::Association> for Association {
    fn from(written: ihead_formula::Association) -> Self {
        Association { rule: written.rule, among: written.among.map(Among::of) }
    }
}

impl FromStr for Association {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let read = ihead_formula::association(text);
        read.map(Association::from).map_err(|problem| Error::text("association", text, problem))
    }
}

impl fmt::Display for Association {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Rule::Itself => f.write_str("self")?,
            Rule::Previous => f.write_str("previous")?,
            Rule::Pairs(pairs) => {
                let pairs: Vec<String> = pairs.iter().map(|(i, target)| format!("{i}: {target}")).collect();
                write!(f, "{{{}}}", pairs.join(", "))?;
            }
        }
        match &self.among {
            Some(Among::Below(n)) if *n > 1 => write!(f, " among 0..{n}"),
            Some(things) => write!(f, " among {}", written(&things.list(1))),
            None => Ok(()),
        }
    }
}

/// Things as a formula has them: `0..64`, `{7, 2..4}`.
fn written(things: &[usize]) -> String {
    let runs: Vec<String> =
        things
            .chunk_by(|a, b| a + 1 == *b)
            .map(|run| {
                if run.len() > 1 { format!("{}..{}", run[0], run[0] + run.len()) } else { run[0].to_string() }
            })
            .collect();
    match &runs[..] {
        [range] if range.contains("..") => range.clone(),
        _ => format!("{{{}}}", runs.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_candidates_compete() -> Result<()> {
        let scores = Matrix::new(2, 3, vec![0.0, 9.0, 1.0, 0.0, 9.0, 1.0])?;
        assert_eq!(Association::of([(0, 2), (1, 0)], [0, 2])?.recall(&scores)?, Counter { sum: 1.0, n: 2 });
        assert_eq!(Association::of([(1, 1)], 0..3)?.recall(&scores)?.mean(), Some(1.0));
        let two_targets = Association::pairs([(0, 1), (0, 2), (1, 1)]);
        assert_eq!(two_targets.recall(&scores)?, Counter { sum: 2.0, n: 3 });
        assert_eq!(Association::previous(1).recall(&scores)?.mean(), None);
        assert_eq!(Association::identity(2), Association::among(&[0, 1]));
        let texts = [0, 1, 2].map(|n| Association::identity(n).to_string());
        assert_eq!(texts, ["self among {}", "self among {0}", "self among 0..2"]);
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let scores = Matrix::new(1, 2, vec![0.0; 2]).unwrap();
        let message = |e: Result<Counter>| e.unwrap_err().to_string();
        assert_eq!(
            message(Association::identity(2).recall(&scores)),
            "row 1 of a matrix, which has one row, 0"
        );
        assert_eq!(
            message(Association::identity(usize::MAX).recall(&scores)),
            "row 1 of a matrix, which has one row, 0"
        );
        assert_eq!(
            message(Association::previous(usize::MAX).recall(&scores)),
            "row 1 of a matrix, which has one row, 0"
        );
        assert_eq!(
            message(Association::of([(0, 2)], [2]).unwrap().recall(&scores)),
            "candidate 2 of an unembedding, which has candidates 0 to 1"
        );
        let refused = Association::of([(0, 2)], [1]).unwrap_err().to_string();
        assert_eq!(refused, "candidates: not 2, the target of input 0; expected all targets");
    }
}
