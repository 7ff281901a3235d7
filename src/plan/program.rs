//! A lowered program: values in buffers, and the instructions that fill them.
use std::collections::BTreeSet;
use std::fmt;

use crate::engine::RowSet;
use crate::graph::WeightId;

use super::front::Front;
use super::instr::Instr;

/// A value of one sequence: a matrix in a buffer of the workspace, and perhaps its gradient in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Val(pub usize);

impl fmt::Display for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

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
    /// The buffer of the workspace in which it lives; values that are never there together share one.
    pub buffer: usize,
    /// Set where a gradient can go on to a pattern without being made.
    pub frozen_mix: Option<FrozenMix>,
    /// The buffer of its gradient, among those of the workspace; values whose gradients are never there together share one.
    pub gradient: Option<usize>,
}

/// A value `A V + C` at all positions, with a pattern `A` of one head, where neither `V` nor `C` trains: all that its gradient `G` is
/// needed for is that of the pattern, `G V^T`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrozenMix {
    /// `A`.
    pub pattern: Val,
    /// `V^T`.
    pub values_t: Val,
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

/// What the lowering produces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    pub vals: Vec<ValInfo>,
    /// First those that the loss needs, then those that compute what is only read.
    pub instrs: Vec<Instr>,
    /// The values of patched sites, and the slot of each, in the same order.
    pub patched: Vec<(Val, usize)>,
    /// What of all this the loss does not need.
    pub only_read: OnlyRead,
    /// The value of each read of the request.
    pub reads: Vec<Val>,
    /// Weights that instructions add gradients to: those that train, before the loss.
    pub leaves: Vec<WeightId>,
    /// Weights that instructions read which the loss needs, if there is one; otherwise all.
    pub used: BTreeSet<WeightId>,
    /// What depends on token and position alone.
    pub front: Front,
}

/// What the loss does not need.
#[derive(Clone, Debug, Default)]
pub(crate) struct OnlyRead {
    /// How many instructions, from the last.
    pub instrs: usize,
    /// How many patched values, from the last.
    pub patched: usize,
    /// The weights that these instructions read.
    pub used: BTreeSet<WeightId>,
}

impl Program {
    /// The instructions that the loss needs, if there is one; otherwise all.
    pub fn for_loss(&self) -> &[Instr] {
        &self.instrs[..self.instrs.len() - self.only_read.instrs]
    }

    /// The patched values that the loss needs, if there is one; otherwise all.
    pub fn patched_for_loss(&self) -> &[(Val, usize)] {
        &self.patched[..self.patched.len() - self.only_read.patched]
    }

    /// Adds a value like this one, which lives by itself and has no gradient.
    pub fn add(&mut self, like: ValInfo) -> Val {
        let new = Val(self.vals.len());
        self.vals.push(ValInfo { home: new, trains: false, frozen_mix: None, gradient: None, ..like });
        new
    }

    pub fn info(&self, val: Val) -> &ValInfo {
        &self.vals[val.0]
    }
}
