//! A lowered program as text, a line an instruction: to read what the passes have made of a model.
use std::fmt;

use crate::engine::RowSet;
use crate::graph::{Graph, Scoring, WeightId};

use super::instr::Instruction;
use super::program::{Layout, Program, Val};

/// What instructions need to write themselves.
pub(crate) struct Text<'a> {
    pub graph: &'a Graph,
    pub program: &'a Program,
}

impl Text<'_> {
    pub fn vals(&self, vals: &[Val]) -> String {
        vals.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    pub fn weight(&self, weight: WeightId) -> String {
        self.graph.weight_text(weight)
    }

    pub fn scoring(&self, scoring: &Scoring) -> String {
        self.graph.scoring_text(scoring)
    }

    /// The shape of a value, its buffer, and that of its gradient if it has one; `or dv1` if that may go on to the pattern v1 instead.
    fn val(&self, val: Val) -> String {
        let info = self.program.info(val);
        let rows = match info.rows {
            RowSet::All => "all".to_string(),
            RowSet::Set(k) => format!("set {k}"),
        };
        let shape = match info.layout {
            Layout::Stream => format!("[{rows}, {}]", info.cols),
            Layout::Pattern => format!("[{}, {rows}, {}]", info.heads, info.cols),
            Layout::Transposed => format!("[{}, {rows}]^T", info.cols),
        };
        let gradient = info.gradient.filter(|_| info.trains).map_or(String::new(), |g| format!(" d{g}"));
        let mix = info.frozen_mix.map_or(String::new(), |mix| format!(" or d{}", mix.pattern));
        format!("{val} {shape} @{}{gradient}{mix}", info.buffer)
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (val, slot) in &self.program.patched {
            writeln!(f, "{} = patch of '{}'", self.val(*val), self.graph.patched()[*slot].name)?;
        }
        let front = &self.program.front;
        for (i, instr) in self.program.instrs.iter().enumerate() {
            if self.program.only_read.instrs > 0 && i == self.program.for_loss().len() {
                writeln!(f, "from here on only what is read")?;
            }
            match instr.out() {
                Some(out) => writeln!(f, "{} = {}", self.val(out), instr.text(self))?,
                None => writeln!(f, "{}", instr.text(self))?,
            }
            if i + 1 == front.len() {
                let handed: Vec<Val> = front.handed.iter().map(|handed| handed.val).collect();
                writeln!(f, "so far once for each token and position; {} are handed on", self.vals(&handed))?;
            }
        }
        for val in &self.program.reads {
            writeln!(f, "read {val}")?;
        }
        for leaf in &self.program.leaves {
            writeln!(f, "gradient of {}", self.graph.weight_words(*leaf))?;
        }
        Ok(())
    }
}
