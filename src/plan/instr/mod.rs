//! The instructions of a lowered program, each kind in a file of its own: what it reads and writes, its forward and
//! backward pass, and its text.
//!
//! [`Instruction`] has no default methods and [`Instr`] is matched in one place, here, so that the compiler lists what a new
//! instruction lacks.
mod affine;
mod attend;
mod blocks;
mod columns;
mod cross_entropy;
mod dot_pattern;
mod fixed_pattern;
mod frozen_mix;
mod gate;
mod mix;
mod penalty;
mod pick;
mod rotate;
mod rows;
mod scoring;
mod select;
mod splice;
mod table_pattern;
mod transpose;

pub(crate) use affine::{Affine, Summand};
pub(crate) use attend::Attend;
pub(crate) use blocks::BLOCK;
pub(crate) use columns::{Columns, Concat};
pub(crate) use cross_entropy::CrossEntropy;
pub(crate) use dot_pattern::DotPattern;
pub(crate) use fixed_pattern::FixedPattern;
pub(crate) use gate::Gate;
pub(crate) use mix::{Mix, Mixed};
pub(crate) use penalty::SitePenalty;
pub(crate) use pick::{Pick, Source};
pub(crate) use rotate::{Angles, Rotate};
pub(crate) use rows::Rows;
pub(crate) use select::Select;
pub(crate) use splice::Splice;
pub(crate) use table_pattern::{MOST_TERMS, TablePattern};
pub(crate) use transpose::Transpose;

use std::ops::Range;

use crate::engine::Shares;
use crate::graph::WeightId;
use crate::kernels::{Beta, Buffer, Element, clear, padded};

use super::exec::{Plan, Sums};
use super::program::{Program, Val};
use super::text::Text;
use super::turns::Turn;
use super::weights::Weights;
use super::workspace::{Sequence, Workspace};

/// What an instruction works with: the program, the weights, one thread's buffers, one sequence, and what is summed over
/// sequences.
pub(crate) struct Frame<'a, E> {
    pub plan: &'a Plan,
    pub weights: &'a Weights<E>,
    pub ws: &'a mut Workspace<E>,
    pub seq: Sequence<'a>,
    pub sums: &'a mut Sums<E>,
    /// Adds to what all threads sum together.
    pub turn: Turn<'a, E>,
    pub shares: &'a Shares,
}

impl<'a, E: Element> Frame<'a, E> {
    pub fn program(&self) -> &'a Program {
        &self.plan.program
    }

    /// The positions that a value has rows for.
    pub fn positions(&self, val: Val) -> &'a [u32] {
        self.seq.positions(self.program().info(val).rows)
    }

    /// Number of positions of the sequence.
    pub fn len(&self) -> usize {
        self.seq.x.len()
    }

    /// Fills a value: `body` gets its buffer, and the workspace without it.
    pub fn write(&mut self, val: Val, body: impl FnOnce(&mut Workspace<E>, &mut Buffer<E>)) {
        self.ws.write(self.program(), val, body);
    }

    /// Passes a gradient back from `out` to `x`, if one has arrived and `x` trains: `body` gets the workspace without
    /// the two gradients, `dy`, `dx`, and whether to add to `dx`.
    pub fn pass_back(
        &mut self,
        out: Val,
        x: Val,
        body: impl FnOnce(&mut Workspace<E>, &mut Buffer<E>, &mut Buffer<E>, Beta),
    ) {
        self.ws.pass_back(self.program(), (out, x), body);
    }

    /// Where each row of a stream lies in its buffer.
    pub fn row_ranges(&self, val: Val) -> impl Iterator<Item = Range<usize>> + use<E> {
        let (n, cols) = (self.positions(val).len(), self.program().info(val).cols);
        let ld = padded(cols);
        (0..n).map(move |r| r * ld..r * ld + cols)
    }

    /// The rows of `x` that `rows` names, in order, become those of `out`; a row of zeros where there is none.
    fn copy_rows(&mut self, out: Val, x: Val, rows: impl Iterator<Item = Option<usize>>) {
        let (program, ld) = (self.program(), padded(self.program().info(out).cols));
        self.write(out, |ws, buffer| {
            let from = ws.value(program, x);
            for (row, p) in buffer.chunks_exact_mut(ld).zip(rows) {
                match p {
                    Some(p) => row.copy_from_slice(&from[p * ld..(p + 1) * ld]),
                    None => clear(row),
                }
            }
        });
    }

    /// The way back of [`copy_rows`](Self::copy_rows).
    fn add_rows(&mut self, out: Val, x: Val, rows: impl Iterator<Item = Option<usize>>) {
        let (ld, n) = (padded(self.program().info(out).cols), self.positions(x).len());
        self.pass_back(out, x, |_, dy, dx, beta| {
            if beta == Beta::Zero {
                clear(&mut dx[..n * ld]);
            }
            for (row, p) in dy.chunks_exact(ld).zip(rows) {
                if let Some(p) = p {
                    crate::kernels::add_into(&mut dx[p * ld..(p + 1) * ld], row);
                }
            }
        });
    }
}

/// One instruction of a lowered program.
pub(crate) trait Instruction {
    /// The value that it fills; `None` of a term of the loss.
    fn out(&self) -> Option<Val>;

    /// The values that it reads, those of transposes included.
    fn inputs(&self) -> Vec<Val>;

    /// All values that it names: those that it fills, and those that it reads.
    fn vals_mut(&mut self) -> Vec<&mut Val>;

    /// The weights on which it leaves gradients, if they train.
    fn weights(&self) -> Vec<WeightId>;

    /// Whether its backward pass reads what it has put out, so that nothing may be written over that.
    fn reads_out_backward(&self) -> bool;

    /// The other values that its backward pass reads, those of a [`FrozenMix`](super::program::FrozenMix) included, and those that the
    /// backward pass of a pattern reads for it.
    fn read_backward(&self, program: &Program) -> Vec<Val>;

    /// Computes the value.
    fn forward<E: Element>(&self, frame: &mut Frame<'_, E>);

    /// From the gradient of its value to those of its inputs, and of weights.
    fn backward<E: Element>(&self, frame: &mut Frame<'_, E>);

    /// What it computes, without the value that it fills.
    fn text(&self, text: &Text<'_>) -> String;
}

/// Defines [`Instr`], one variant an instruction, and hands each call on to the instruction.
macro_rules! instructions {
    ($($Name:ident),+ $(,)?) => {
        /// One instruction.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) enum Instr {
            $($Name($Name)),+
        }

        $(impl From<$Name> for Instr {
            fn from(instr: $Name) -> Instr {
                Instr::$Name(instr)
            }
        })+

        impl Instruction for Instr {
            fn out(&self) -> Option<Val> {
                match self { $(Instr::$Name(i) => i.out()),+ }
            }
            fn inputs(&self) -> Vec<Val> {
                match self { $(Instr::$Name(i) => i.inputs()),+ }
            }
            fn vals_mut(&mut self) -> Vec<&mut Val> {
                match self { $(Instr::$Name(i) => i.vals_mut()),+ }
            }
            fn weights(&self) -> Vec<WeightId> {
                match self { $(Instr::$Name(i) => i.weights()),+ }
            }
            fn reads_out_backward(&self) -> bool {
                match self { $(Instr::$Name(i) => i.reads_out_backward()),+ }
            }
            fn read_backward(&self, program: &Program) -> Vec<Val> {
                match self { $(Instr::$Name(i) => i.read_backward(program)),+ }
            }
            fn forward<E: Element>(&self, frame: &mut Frame<'_, E>) {
                match self { $(Instr::$Name(i) => i.forward(frame)),+ }
            }
            fn backward<E: Element>(&self, frame: &mut Frame<'_, E>) {
                match self { $(Instr::$Name(i) => i.backward(frame)),+ }
            }
            fn text(&self, text: &Text<'_>) -> String {
                match self { $(Instr::$Name(i) => i.text(text)),+ }
            }
        }
    };
}

instructions!(
    Affine,
    Select,
    Pick,
    Rows,
    Rotate,
    Columns,
    Concat,
    Transpose,
    DotPattern,
    TablePattern,
    FixedPattern,
    Splice,
    Mix,
    Attend,
    Gate,
    CrossEntropy,
    SitePenalty,
);
