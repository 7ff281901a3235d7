//! The text form of a memory recall: which rows go through which maps, what they are scored against, and which targets are
//! right.
//!
//! ```text
//! recall      = name ":" rows [ "~" rows ] "=>" association
//! rows        = path { "+" path }                 the sum, row by row
//! path        = ( table | "(" rows ")" ) { "->" step }
//! step        = weight | weight "?"               W x; with "?" the identity where the model has no such weight
//!             | "relu" | "scale(" number ")" | "head(" head "/" heads ")"
//! association = ( "self" | "previous" | "{" input ":" target { "," input ":" target } "}" ) [ "among" things ]
//! things      = range | "{" ( number | range ) { "," ( number | range ) } "}"       range = 0..64
//! ```
//!
//! `table` and `weight` are names of parameters; `.weight` at their end may be left out. Only syntax is known here:
//! the library (`ihead::probe`) gives it its meaning, and `ihead::recall!` refuses what does not parse when a program
//! is compiled. [`lex`] and [`split`] also read the library's other texts, such as timelines and sweeps.
//!
//! ```
//! let parsed = ihead_formula::recall("wo1: tok_embeddings -> layers.1.attention.wv -> output => self").unwrap();
//! assert_eq!((parsed.name.as_str(), parsed.inputs.steps.len()), ("wo1", 2));
//! let problem = ihead_formula::recall("wo1: tok_embeddings -> => self").unwrap_err();
//! assert_eq!(problem.to_string(), "expected a weight's name or a step after `->`, found `=>` at character 24");
//! ```
pub mod lex;
mod parse;
pub mod split;

use std::fmt;

/// A memory recall as it is written: a name, rows, what they are scored against, and which targets are right.
#[derive(Clone, Debug, PartialEq)]
pub struct Recall {
    /// The name, under which the result is recorded.
    pub name: String,
    /// The rows that are mapped, one for each input.
    pub inputs: Rows,
    /// The rows that the mapped inputs are scored against; without them, the last map of `inputs` gives the scores.
    pub keys: Option<Rows>,
    /// The right target of each input.
    pub association: Association,
}

/// The rows of a table, or sums of such rows, and the steps that each of them goes through.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// Where the rows come from.
    pub source: Source,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// The source of [`Rows`].
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The rows of the table with this name.
    Table(String),
    /// The sums of these rows, row by row; there are at least two terms.
    Sum(Vec<Rows>),
}

/// A step that each row goes through.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The weight with this name maps the row: `W x`.
    Map(String),
    /// The same, or `x` where the model has no such weight.
    MapOrIdentity(String),
    /// Each element becomes `max(x, 0)`.
    Relu,
    /// The row is multiplied by this factor.
    Scale(f64),
    /// The columns of one head stay, the others become 0.
    Head {
        /// The number of the head, from 0.
        head: usize,
        /// The number of heads.
        heads: usize,
    },
}

/// Which target is right for which input, and which inputs or candidates count.
#[derive(Clone, Debug, PartialEq)]
pub struct Association {
    /// The rule from inputs to targets.
    pub rule: Rule,
    /// With [`Rule::Pairs`] the candidates, otherwise the inputs, whose targets are the candidates; all rows without it.
    pub among: Option<Vec<usize>>,
}

/// The rule of an [`Association`].
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// The target of each input is itself.
    Itself,
    /// The target of each input is the one before it.
    Previous,
    /// The inputs and their targets, as pairs (input, target).
    Pairs(Vec<(usize, usize)>),
}

/// An error in a text: what could stand at a place, and what stands there instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The place of the error, in characters counted from 1.
    pub at: usize,
    /// What could stand there, with an example.
    pub expected: String,
    /// What stands there instead.
    pub found: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {} at character {}", self.expected, self.found, self.at)
    }
}

impl std::error::Error for Problem {}

/// Reads a recall.
///
/// # Errors
/// If the text is no recall: the first place that does not fit.
pub fn recall(text: &str) -> Result<Recall, Problem> {
    parse::Parser::new(text).recall()
}

/// Reads rows alone, such as `tok_embeddings -> output`.
///
/// # Errors
/// If the text is none: the first place that does not fit.
pub fn rows(text: &str) -> Result<Rows, Problem> {
    parse::Parser::new(text).only_rows()
}

/// Reads an association alone, such as `previous among 0..64`.
///
/// # Errors
/// If the text is none: the first place that does not fit.
pub fn association(text: &str) -> Result<Association, Problem> {
    parse::Parser::new(text).only_association()
}
