//! The text form of a memory recall: *these rows, through these maps, read out against those, should land there*.
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
//! is compiled.
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

/// A recall, as it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Recall {
    /// Its name, the key in a record.
    pub name: String,
    /// What is mapped.
    pub inputs: Rows,
    /// What it is scored against; without it the last map of `inputs` reads out the scores.
    pub keys: Option<Rows>,
    /// What should land where.
    pub association: Association,
}

/// Rows and the steps that they go through.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// Where they come from.
    pub source: Source,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// Where rows come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The rows of a table.
    Table(String),
    /// Sums of rows, at least two.
    Sum(Vec<Rows>),
}

/// What happens to each row.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// `W x`.
    Map(String),
    /// `W x`, or `x` where the model has no such weight.
    MapOrIdentity(String),
    /// `max(x, 0)`.
    Relu,
    /// `factor x`.
    Scale(f64),
    /// The columns of one head, the others 0.
    Head {
        /// Which.
        head: usize,
        /// Of how many.
        heads: usize,
    },
}

/// What should land where.
#[derive(Clone, Debug, PartialEq)]
pub struct Association {
    /// The rule.
    pub rule: Rule,
    /// The things that it is about; all without it.
    pub among: Option<Vec<usize>>,
}

/// Which target belongs to which input.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// Each to itself.
    Itself,
    /// Each to the one before.
    Previous,
    /// These pairs (input, target).
    Pairs(Vec<(usize, usize)>),
}

/// Why a text is none of its language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The character at which it shows, counted from 1.
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
/// The first thing that does not belong where it is.
pub fn recall(text: &str) -> Result<Recall, Problem> {
    parse::Parser::new(text).recall()
}

/// Reads rows alone, such as `tok_embeddings -> output`.
///
/// # Errors
/// The first thing that does not belong where it is.
pub fn rows(text: &str) -> Result<Rows, Problem> {
    parse::Parser::new(text).only_rows()
}

/// Reads an association alone, such as `previous among 0..64`.
///
/// # Errors
/// The first thing that does not belong where it is.
pub fn association(text: &str) -> Result<Association, Problem> {
    parse::Parser::new(text).only_association()
}
