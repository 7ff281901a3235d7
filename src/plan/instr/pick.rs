//! Rows of other positions: what a one-hot pattern looks at, or what stood some positions earlier.
use crate::graph::{FixedPattern as Rule, WeightId};
use crate::kernels::Element;
use crate::plan::program::{Program, Val};
use crate::plan::text::Text;
use crate::plan::workspace::Sequence;

use super::{Frame, Instruction};

/// From which position each position takes its row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// Where a rule that looks at one position looks.
    Rule(Rule),
    /// So many positions earlier; from nowhere before that.
    Earlier(usize),
}

impl Source {
    fn of(&self, seq: &Sequence<'_>, p: u32) -> Option<usize> {
        match self {
            Source::Rule(rule) => rule.source(seq.x, p as usize),
            Source::Earlier(by) => (p as usize).checked_sub(*by),
        }
    }
}

/// Row `source(t)` of `x` for each position `t` of `out`, zeros where there is none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pick {
    pub out: Val,
    pub x: Val,
    pub source: Source,
}

impl Instruction for Pick {
    fn out(&self) -> Option<Val> {
        Some(self.out)
    }

    fn inputs(&self) -> Vec<Val> {
        vec![self.x]
    }

    fn vals_mut(&mut self) -> Vec<&mut Val> {
        vec![&mut self.out, &mut self.x]
    }

    fn weights(&self) -> Vec<WeightId> {
        vec![]
    }

    fn reads_out_backward(&self) -> bool {
        false
    }

    fn read_backward(&self, _: &Program) -> Vec<Val> {
        vec![]
    }

    fn forward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (seq, positions) = (frame.seq, frame.positions(self.out));
        frame.copy_rows(self.out, self.x, positions.iter().map(|p| self.source.of(&seq, *p)));
    }

    fn backward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (seq, positions) = (frame.seq, frame.positions(self.out));
        frame.add_rows(self.out, self.x, positions.iter().map(|p| self.source.of(&seq, *p)));
    }

    fn text(&self, _: &Text<'_>) -> String {
        match &self.source {
            Source::Rule(rule) => format!("pick {rule} of {}", self.x),
            Source::Earlier(by) => format!("shift({by}) of {}", self.x),
        }
    }
}
