//! The terms of a loss that an engine computes.
use crate::graph::{Graph, NodeId};

use super::RowSet;

/// One term of a loss.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum LossTerm {
    /// The mean cross-entropy between the logits and the next tokens.
    NextToken {
        /// The positions over which the term is averaged.
        rows: RowSet,
        /// The factor of the term in the loss.
        weight: f64,
    },
    /// The mean cross-entropy of the logits against the distributions that are handed over with the positions
    /// ([`RowLists::with_distributions`](super::RowLists::with_distributions)): with those of the task, the population loss.
    Distribution {
        /// The positions that it is the mean over, those of `RowSet::Set(set)`.
        set: usize,
        /// The factor of the term in the loss.
        weight: f64,
    },
    /// The mean over positions of a penalty of a stream.
    Penalty {
        /// The stream.
        node: NodeId,
        /// What is summed over the width.
        penalty: Penalty,
        /// The positions over which the term is averaged.
        rows: RowSet,
        /// The factor of the term in the loss.
        weight: f64,
    },
}

/// A penalty of the size of activations or weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Penalty {
    /// The sum of absolute values.
    L1,
    /// The sum of squares.
    L2,
}

impl Penalty {
    /// Its value and derivative at `x`; the derivative of the absolute value at 0 is 0.
    pub(crate) fn at(self, x: f64) -> (f64, f64) {
        match self {
            Penalty::L1 => (x.abs(), if x == 0.0 { 0.0 } else { x.signum() }),
            Penalty::L2 => (x * x, 2.0 * x),
        }
    }
}

impl LossTerm {
    /// The positions over which the term is averaged.
    pub fn rows(&self) -> RowSet {
        match *self {
            LossTerm::NextToken { rows, .. } | LossTerm::Penalty { rows, .. } => rows,
            LossTerm::Distribution { set, .. } => RowSet::Set(set),
        }
    }

    /// The node of the graph that it reads.
    pub(crate) fn node(&self, graph: &Graph) -> NodeId {
        match *self {
            LossTerm::NextToken { .. } | LossTerm::Distribution { .. } => graph.logits(),
            LossTerm::Penalty { node, .. } => node,
        }
    }

    /// The factor of the term in the loss.
    pub fn weight(&self) -> f64 {
        match *self {
            LossTerm::NextToken { weight, .. }
            | LossTerm::Distribution { weight, .. }
            | LossTerm::Penalty { weight, .. } => weight,
        }
    }
}

/// The factor of each position in the sums of the terms, `weight / positions`, and in the values that are reported.
#[derive(Clone, Debug)]
pub(crate) struct Shares {
    /// `1 / positions` of each term.
    pub means: Vec<f64>,
    /// The weight of each term.
    pub weights: Vec<f64>,
}

impl Shares {
    /// For terms that are over so many positions.
    pub fn new(terms: &[LossTerm], positions: &[usize]) -> Shares {
        Shares {
            means: positions.iter().map(|n| 1.0 / (*n).max(1) as f64).collect(),
            weights: terms.iter().map(LossTerm::weight).collect(),
        }
    }

    /// The factor of the gradient of one position.
    pub fn gradient(&self, term: usize) -> f64 {
        self.weights[term] * self.means[term]
    }
}

/// The values of the terms after a run, and the loss, from sums over all sequences.
pub(crate) fn totals(terms: &[LossTerm], positions: &[usize], values: &mut [f64]) -> f64 {
    if terms.is_empty() {
        return f64::NAN;
    }
    for (value, n) in values.iter_mut().zip(positions) {
        if *n == 0 {
            *value = f64::NAN;
        }
    }
    terms.iter().zip(values.iter()).map(|(term, value)| term.weight() * value).sum()
}
