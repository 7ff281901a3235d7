//! A lowered program: values in buffers, and the instructions that fill them.
use std::sync::Arc;

use crate::engine::RowSet;
use crate::graph::{Clamp, Index, Normaliser, WeightId};

/// A value of one sequence: a matrix in a buffer of the workspace, and perhaps its gradient in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Val(pub usize);

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ValInfo {
    /// The positions that it has rows for.
    pub rows: RowSet,
    /// Columns of a stream; the sequence length for a pattern.
    pub cols: usize,
    /// Number of heads of a pattern; 1 for a stream.
    pub heads: usize,
    /// How the rows of the buffer lie.
    pub layout: Layout,
    /// Whether something upstream trains, so that a gradient is wanted.
    pub trains: bool,
    /// The value in whose buffers this one lives (itself, unless it is completed in place).
    pub home: Val,
    /// The buffer of its gradient, among those of the workspace; values whose gradients are never there together share one.
    pub gradient: Option<usize>,
}

/// How a value lies in its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Layout {
    /// `[positions, cols]`.
    Stream,
    /// `[heads, positions, seq]`.
    Pattern,
    /// `[cols, seq]`: the transpose of a stream.
    Transposed,
}

/// One summand of [`Instr::Affine`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Summand {
    /// Rows of a table.
    Lookup { table: WeightId, index: Index },
    /// `scale * val`.
    Plain { val: Val, scale: f64 },
    /// `gain * val`, element by element.
    Gain { val: Val, gain: WeightId },
    /// `W val[t]`; `transposed` is `W^T` in the layout of the product.
    Map { val: Val, weight: WeightId, transposed: WeightId },
}

/// One instruction; its backward form is derived from the same data.
#[derive(Clone, Debug)]
pub(crate) enum Instr {
    /// `out = sum of summands`; with `in_place`, added to what the buffer holds.
    Affine { out: Val, summands: Vec<Summand>, in_place: bool },
    /// The rows of `x` at the positions of `out`.
    Select { out: Val, x: Val },
    /// `(x - mean) / sqrt(var + eps)`.
    Normalise { out: Val, x: Val, eps: f64 },
    /// `max(x, 0)`.
    Relu { out: Val, x: Val },
    /// Rotary positions.
    Rotate { out: Val, x: Val, heads: usize, theta: f64 },
    /// `x^T`, for products that read `x` by columns. No gradient flows through it: its readers know `x`.
    Transpose { out: Val, x: Val },
    /// A pattern from dense queries and keys; `keys_t` is `k^T`.
    DotPattern { out: Val, q: Val, k: Val, keys_t: Val, heads: usize, scoring: Scoring },
    /// The same from tables of scores: `grid[a][b]` has the scores of query table `a` against key table `b`.
    TablePattern {
        out: Val,
        queries: Vec<Index>,
        keys: Vec<Index>,
        grid: Vec<Vec<WeightId>>,
        scoring: Scoring,
    },
    /// A pattern that follows a rule.
    Clamped { out: Val, clamp: Clamp },
    /// The chosen heads of `other`, the rest of `base`; to be read, no gradient flows through it.
    Splice { out: Val, base: Val, other: Val, chosen: Arc<[bool]> },
    /// `out_h = pattern_h v_h`; `values_t` is `v^T`, present where the pattern trains.
    Mix { out: Val, pattern: Val, v: Val, values_t: Option<Val> },
    /// Row `source(t)` of `x` for each position `t` of `out`; the rule looks at one position from each.
    Pick { out: Val, x: Val, clamp: Clamp },
    /// Mean cross-entropy of the logits; leaves the gradient of the logits.
    CrossEntropy { logits: Val },
}

/// From products of queries and keys to weights: `normaliser(scale * products + bias)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scoring {
    pub scale: f64,
    /// `[heads, distances]`, by the distance from key to query.
    pub bias: Option<WeightId>,
    pub normaliser: Normaliser,
}

/// What the lowering produces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    pub vals: Vec<ValInfo>,
    pub instrs: Vec<Instr>,
    /// Values that a run is given, and the slot of each.
    pub given: Vec<(Val, usize)>,
    /// The value of each read of the request.
    pub reads: Vec<Val>,
    /// Weights that instructions add gradients to: those that train, before the loss.
    pub leaves: Vec<WeightId>,
    /// Weights that instructions read.
    pub used: Vec<WeightId>,
}

impl Instr {
    /// The value that the instruction fills; `None` for the loss.
    pub fn out(&self) -> Option<Val> {
        match *self {
            Instr::Affine { out, .. }
            | Instr::Select { out, .. }
            | Instr::Normalise { out, .. }
            | Instr::Relu { out, .. }
            | Instr::Rotate { out, .. }
            | Instr::Transpose { out, .. }
            | Instr::DotPattern { out, .. }
            | Instr::TablePattern { out, .. }
            | Instr::Clamped { out, .. }
            | Instr::Splice { out, .. }
            | Instr::Mix { out, .. }
            | Instr::Pick { out, .. } => Some(out),
            Instr::CrossEntropy { .. } => None,
        }
    }

    /// The values that it reads, those of transposes included.
    pub fn inputs(&self) -> Vec<Val> {
        match self {
            Instr::Affine { summands, .. } => summands
                .iter()
                .filter_map(|s| match *s {
                    Summand::Lookup { .. } => None,
                    Summand::Plain { val, .. } | Summand::Gain { val, .. } | Summand::Map { val, .. } => {
                        Some(val)
                    }
                })
                .collect(),
            Instr::Select { x, .. }
            | Instr::Normalise { x, .. }
            | Instr::Relu { x, .. }
            | Instr::Rotate { x, .. }
            | Instr::Transpose { x, .. }
            | Instr::Pick { x, .. } => vec![*x],
            Instr::DotPattern { q, k, keys_t, .. } => vec![*q, *k, *keys_t],
            Instr::TablePattern { .. } | Instr::Clamped { .. } => vec![],
            Instr::Splice { base, other, .. } => vec![*base, *other],
            Instr::Mix { pattern, v, values_t, .. } => [*pattern, *v].into_iter().chain(*values_t).collect(),
            Instr::CrossEntropy { logits } => vec![*logits],
        }
    }

    /// The weights on which the instruction leaves gradients, if they train.
    pub fn weights(&self) -> Vec<WeightId> {
        match self {
            Instr::Affine { summands, .. } => summands
                .iter()
                .filter_map(|s| match *s {
                    Summand::Lookup { table, .. } => Some(table),
                    Summand::Gain { gain, .. } => Some(gain),
                    Summand::Map { weight, .. } => Some(weight),
                    Summand::Plain { .. } => None,
                })
                .collect(),
            Instr::TablePattern { grid, scoring, .. } => {
                grid.iter().flatten().copied().chain(scoring.bias).collect()
            }
            Instr::DotPattern { scoring, .. } => scoring.bias.into_iter().collect(),
            _ => vec![],
        }
    }
}

impl Program {
    pub fn info(&self, val: Val) -> &ValInfo {
        &self.vals[val.0]
    }
}
