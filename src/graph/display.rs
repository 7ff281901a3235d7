//! A recorded graph as text, one line for each node.
use std::fmt;

use super::graph::{Graph, Node, NodeId};
use super::op::{Index, Op, Scoring};

/// A line a node: its number, its shape, what it computes from which, and its site.
impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Node { op, cols }) in self.nodes().iter().enumerate() {
            let shape = if op.is_pattern() {
                format!("[{cols}, {seq}, {seq}]", seq = self.seq())
            } else {
                format!("[{}, {cols}]", self.seq())
            };
            write!(f, "n{i} {shape} = {}", self.op_text(op))?;
            for (name, _) in self.sites().iter().filter(|(_, site)| **site == NodeId(i)) {
                write!(f, " '{name}'")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Graph {
    fn op_text(&self, op: &Op) -> String {
        let node = |id: &NodeId| format!("n{}", id.index());
        let nodes = |ids: &[NodeId]| ids.iter().map(node).collect::<Vec<_>>().join(", ");
        match op {
            Op::Lookup { table, index } => {
                format!("lookup {} by {}", self.weight_text(*table), index_text(*index))
            }
            Op::Linear { weight, x } => format!("linear {} of {}", self.weight_text(*weight), node(x)),
            Op::Add(a, b) => format!("{} + {}", node(a), node(b)),
            Op::Scale { x, by } => format!("{by} {}", node(x)),
            Op::Gain { x, gain } => format!("gain {} of {}", self.weight_text(*gain), node(x)),
            Op::Rows { inputs, heads: 1, .. } => format!("{} of {}", op.name(), nodes(inputs)),
            Op::Rows { inputs, heads, .. } => format!("{} of {} by {heads} heads", op.name(), nodes(inputs)),
            Op::Rotate { x, heads, theta } => format!("rotate({theta}) of {} by {heads} heads", node(x)),
            Op::Shift { x, by } => format!("shift({by}) of {}", node(x)),
            Op::Columns { x, first } => format!("columns from {first} of {}", node(x)),
            Op::Concat(inputs) => format!("concat of {}", nodes(inputs)),
            Op::Pattern { q, k, scoring } => {
                format!("pattern of {}, {}: {}", node(q), node(k), self.scoring_text(scoring))
            }
            Op::FixedPattern { rule, .. } => format!("fixed pattern {rule}"),
            Op::SplicedPattern { base, other, chosen } => {
                let heads: Vec<usize> = (0..chosen.len()).filter(|h| chosen[*h]).collect();
                format!("{} with heads {heads:?} of {}", node(base), node(other))
            }
            Op::Mix { pattern, v, value_heads } => {
                format!("mix {} of {} in {value_heads} heads", node(pattern), node(v))
            }
            Op::Zero => "zeros".into(),
            Op::Patched { slot, .. } => format!("patch of '{}'", self.patched()[*slot].name),
        }
    }

    /// How scores are made, in words.
    pub(crate) fn scoring_text(&self, scoring: &Scoring) -> String {
        let mut text = format!("{:?}, scale {}", scoring.normaliser, scoring.scale);
        if scoring.key_heads != scoring.heads {
            text += &format!(", {} heads of keys", scoring.key_heads);
        }
        if let Some(bias) = scoring.bias {
            text += &format!(", bias {}", self.weight_text(bias));
        }
        if !scoring.masks.is_empty() {
            let heads: Vec<usize> = (0..scoring.heads).filter(|h| scoring.mask(*h).is_some()).collect();
            text += &format!(", mask of heads {heads:?}");
        }
        text
    }
}

/// What an index reads by, in a word.
pub(crate) fn index_text(index: Index) -> &'static str {
    match index {
        Index::Tokens => "token",
        Index::Positions => "position",
        Index::First => "nothing",
    }
}
