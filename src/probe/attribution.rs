//! Direct logit attribution: what each term of the residual stream adds to the logits.
//!
//! The logits are a linear map of a sum of terms, `logits[t] = W_U sum_i term_i[t]`: the embeddings, the positions, what
//! each attention head and each feed-forward writes. So each term adds `W_U term_i[t]` to the logits, and these add up to
//! the logits exactly. A final layer norm is not linear; with its scale held at what it is for the whole stream,
//! `W_U gain (term_i - mean(term_i)) / sqrt(var(stream) + eps)`, the terms and the norm's bias add up to the logits again.
//!
//! Terms are found in the recorded graph, whatever the model: [`terms`] lists them. [`metrics`] makes a metric of each;
//! [`Metric::logit`] is their sum. Nothing is computed for terms that no metric asks for.
//!
//! A row of a table is called `embedding` (that of a token), `positions` (that of a position) or `bias` (one row for all
//! positions). Every other term has the name of its site, such as `layers.1.attention.out`. A term that is no site has the
//! name of the nearest site that it is a part of: if a mixer of your own names only `a + b`, as `layers.1.attention.out`,
//! both `a` and `b` are called that. A part of no site but the logits is called `term`. What attention of several heads writes
//! is a term for each head, `layers.1.attention.out[0]` and so on. Where a name is taken, `#2` stands behind that of the
//! second term, `#3` behind that of the third.
//!
//! ```
//! use ihead::config::Config;
//! use ihead::graph::record;
//! use ihead::model::{Simplified, SimplifiedArgs};
//! use ihead::probe::attribution::{Against, metrics, terms};
//! use ihead::probe::{Metric, Select};
//!
//! let sizes = SimplifiedArgs { max_length: 32, dim: 16, ..SimplifiedArgs::defaults() };
//! let graph = record(&Simplified::new(65, &sizes)?.init(1), 32)?;
//! let found = terms(&graph);
//! assert_eq!(found, ["embedding", "positions", "layers.0.attention.out", "layers.1.attention.out"]);
//!
//! // what each adds to the logit of the next token minus the mean logit, where the context tells the next token
//! let known = Select::marks(2..);
//! let mut all: Vec<Metric> = metrics("adds.", &graph, Against::Mean).map(|m| m.over(known.clone())).collect();
//! all.push(Metric::logit("adds_up_to", Against::Mean).over(known));
//! assert_eq!(all[3].name(), "adds.layers.1.attention.out");
//! # Ok::<(), ihead::Error>(())
//! ```
use std::fmt;
use std::sync::Arc;

use crate::graph::{Graph, Index, NodeId, Op, WeightId, WeightOp};
use crate::kernels::Element;
use crate::ops::{Normalise, RmsNormalise, RowOp};

use super::{Metric, Sequence};

/// What the logit of the next token is compared with.
///
/// ```
/// use ihead::probe::attribution::Against;
/// // the logit difference to the other of two names: what the sequence began with, or its second token
/// let other = Against::by("the other name", |sequence, t| {
///     if sequence.y[t] == sequence.x[0] { sequence.x[1] } else { sequence.x[0] }
/// });
/// assert_eq!(other.to_string(), "minus that of the other name");
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum Against {
    /// Nothing: the logit itself.
    Zero,
    /// The mean over all tokens.
    Mean,
    /// The largest logit of another token: then the sum of the terms is the margin.
    BestOther,
    /// The logit of this token.
    Token(u32),
    /// The logit of the token that a rule of your own gives for each position, with its name in messages; see
    /// [`by`](Self::by).
    Where(Arc<str>, Arc<TokenRule>),
}

/// A rule of your own: the token with whose logit that of the next token is compared at position `t` of a sequence,
/// `rule(sequence, t)`.
pub type TokenRule = dyn Fn(&Sequence<'_>, usize) -> u32 + Send + Sync;

impl Against {
    /// The logit of the token that your own rule gives, `rule(sequence, t)`, which messages call `words`: the logit difference
    /// between the next token and a wrong one that depends on the position. The rule is asked at the selected positions alone. A token
    /// that the model's vocabulary has not is an error.
    pub fn by(words: &str, rule: impl Fn(&Sequence<'_>, usize) -> u32 + Send + Sync + 'static) -> Self {
        Against::Where(words.into(), Arc::new(rule))
    }
}

impl fmt::Debug for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Against({self})")
    }
}

impl fmt::Display for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Against::Zero => write!(f, "by itself"),
            Against::Mean => write!(f, "minus the mean logit"),
            Against::BestOther => write!(f, "minus the largest other logit"),
            Against::Token(token) => write!(f, "minus that of token {token}"),
            Against::Where(words, _) => write!(f, "minus that of {words}"),
        }
    }
}

/// The names of the terms of the logits.
pub fn terms(graph: &Graph) -> Vec<String> {
    split(&mut graph.clone()).into_iter().map(|term| term.name).collect()
}

/// A metric for each term, named `prefix` and the term's name: the mean over all positions of what it adds to the logit
/// of the next token.
pub fn metrics(prefix: &str, graph: &Graph, against: Against) -> impl Iterator<Item = Metric> + use<> {
    let prefix = prefix.to_string();
    let of = move |term| Metric::logit_from(format!("{prefix}{term}"), term, against.clone());
    terms(graph).into_iter().map(of)
}

/// A term of the logits.
#[derive(Clone, Debug)]
pub(crate) struct Term {
    pub name: String,
    /// What it adds to the logits `[seq, vocab]`, but for the norm's scale.
    pub logits: NodeId,
    pub norm: Option<Norm>,
}

/// A final norm: `logits` are those of the term normalised by itself, and are to be multiplied by
/// `sqrt(size(term) + eps) / sqrt(size(whole) + eps)`, where the size is the variance (layer norm) or the mean square (RMS norm).
#[derive(Clone, Debug)]
pub(crate) struct Norm {
    pub term: NodeId,
    pub whole: NodeId,
    pub eps: f64,
    pub size: NormSize,
}

/// What a norm divides by the root of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NormSize {
    Variance,
    MeanSquare,
}

impl Norm {
    /// What the logits of the term are to be multiplied by; its row of the term, its row of the whole stream.
    pub fn scale<E: Element>(&self, term: &[E], whole: &[E]) -> f64 {
        self.size.scale(self.eps, term, whole)
    }
}

impl NormSize {
    /// See [`Norm`].
    pub fn scale<E: Element>(self, eps: f64, term: &[E], whole: &[E]) -> f64 {
        ((self.of(term) + eps) / (self.of(whole) + eps)).sqrt()
    }

    /// The size of a row: the biased variance, or the mean square.
    fn of<E: Element>(self, row: &[E]) -> f64 {
        let n = row.len() as f64;
        let mean = match self {
            NormSize::Variance => row.iter().map(|v| v.to_f64()).sum::<f64>() / n,
            NormSize::MeanSquare => 0.0,
        };
        row.iter().map(|v| (v.to_f64() - mean).powi(2)).sum::<f64>() / n
    }
}

/// The input, the constant and the kind of a norm over whole rows.
fn norm_of(op: &Op) -> Option<(NodeId, f64, NormSize)> {
    let Op::Rows { op, inputs, heads: 1 } = op else { return None };
    match *op {
        RowOp::Normalise(Normalise { eps }) => Some((inputs[0], eps, NormSize::Variance)),
        RowOp::RmsNormalise(RmsNormalise { eps }) => Some((inputs[0], eps, NormSize::MeanSquare)),
        _ => None,
    }
}

/// Splits the logits of a graph into terms; what each adds becomes a node of the graph.
pub(crate) fn split(graph: &mut Graph) -> Vec<Term> {
    let logits = graph.logits();
    let mut split = Split { graph, terms: Vec::new(), around: Vec::new() };
    split.descend(logits, &mut Vec::new(), false);
    split.terms
}

struct Split<'a> {
    graph: &'a mut Graph,
    terms: Vec<Term>,
    /// The nodes that were split on the way to the present one, the logits first.
    around: Vec<NodeId>,
}

impl Split<'_> {
    /// Splits `node`, whose value goes through the operations `above`, the last of them first, to the logits.
    fn descend(&mut self, node: NodeId, above: &mut Vec<Op>, summed: bool) {
        let op = self.graph.nodes()[node.index()].op.clone();
        let normed = above.iter().any(|op| norm_of(op).is_some());
        let inside = match op {
            Op::Add(..) | Op::Gain { .. } if self.edited_heads(node) => return self.leaf(node, above),
            Op::Add(a, b) => {
                self.around.push(node);
                self.descend(a, above, true);
                self.descend(b, above, true);
                self.around.pop();
                return;
            }
            Op::Scale { x, .. } => x,
            Op::Gain { x, .. } if !normed => x,
            Op::Rows { .. } if !normed => match norm_of(&op) {
                Some((x, ..)) => x,
                None => return self.leaf(node, above),
            },
            Op::Linear { x, .. } if !summed => x,
            _ => return self.leaf(node, above),
        };
        above.push(op);
        self.around.push(node);
        self.descend(inside, above, summed);
        self.around.pop();
        above.pop();
    }

    /// A term, or the heads that it is made of.
    fn leaf(&mut self, node: NodeId, above: &[Op]) {
        let name = self.name(node);
        let heads = self.heads(node);
        if heads.len() < 2 {
            return self.term(name, node, above);
        }
        for (h, node) in heads.into_iter().enumerate() {
            self.term(format!("{name}[{h}]"), node, above);
        }
    }

    fn term(&mut self, name: String, node: NodeId, above: &[Op]) {
        let (mut logits, mut norm) = (node, None);
        for op in above.iter().rev() {
            if let Some((whole, eps, size)) = norm_of(op) {
                norm = Some(Norm { term: logits, whole, eps, size });
            }
            logits = self.again(op, logits);
        }
        let same = self.terms.iter().filter(|term| term.name == name).count();
        let name = if same == 0 { name } else { format!("{name}#{}", same + 1) };
        self.terms.push(Term { name, logits, norm });
    }

    /// The same operation of another stream.
    fn again(&mut self, op: &Op, x: NodeId) -> NodeId {
        let width = self.graph.nodes()[x.index()].cols;
        match *op {
            Op::Linear { weight, .. } => {
                let rows = self.graph.weights()[weight.index()].rows;
                self.graph.node(Op::Linear { weight, x }, rows)
            }
            Op::Scale { by, .. } => self.graph.node(Op::Scale { x, by }, width),
            Op::Gain { gain, .. } => self.graph.node(Op::Gain { x, gain }, width),
            Op::Rows { ref op, heads, .. } => {
                self.graph.node(Op::Rows { op: op.clone(), inputs: vec![x], heads }, width)
            }
            _ => x,
        }
    }

    /// What each head writes; empty for what is no attention.
    fn heads(&mut self, node: NodeId) -> Vec<NodeId> {
        let (mix, out) = match self.graph.nodes()[node.index()].op {
            Op::Linear { x, weight } => (x, Some(weight)),
            _ => (node, None),
        };
        let width = self.graph.nodes()[mix.index()].cols;
        let Some(heads) = self.head_count(mix).filter(|heads| width.is_multiple_of(*heads)) else {
            return Vec::new();
        };
        (0..heads)
            .map(|head| {
                let each = width / heads;
                let mask: Vec<f64> = (0..width).map(|c| f64::from(c / each == head)).collect();
                let gain = self.graph.constant(1, width, mask.into());
                let kept = self.graph.node(Op::Gain { x: mix, gain }, width);
                match out {
                    Some(weight) => self.again(&Op::Linear { weight, x: mix }, kept),
                    None => kept,
                }
            })
            .collect()
    }

    /// How many heads the columns of a stream are, side by side: of attention, also where some of its heads are edited.
    fn head_count(&self, node: NodeId) -> Option<usize> {
        self.graph.heads(node).or_else(|| match self.graph.nodes()[node.index()].op {
            Op::Mix { pattern, .. } => Some(self.graph.nodes()[pattern.index()].cols),
            Op::Gain { x, gain } if self.is_constant(gain) => self.head_count(x),
            Op::Add(a, b) if [a, b].iter().all(|part| self.is_masked(*part)) => {
                self.head_count(a).or_else(|| self.head_count(b))
            }
            _ => None,
        })
    }

    /// Whether a stream is what an edit of some heads has left: the heads that are kept, or these and the edited ones.
    fn edited_heads(&self, node: NodeId) -> bool {
        let parts = match self.graph.nodes()[node.index()].op {
            Op::Add(a, b) => vec![a, b],
            _ => vec![node],
        };
        parts.iter().all(|part| self.is_masked(*part)) && self.head_count(node).is_some()
    }

    /// Whether each column of a stream is multiplied by a constant, as heads are kept or left out.
    fn is_masked(&self, node: NodeId) -> bool {
        matches!(self.graph.nodes()[node.index()].op, Op::Gain { gain, .. } if self.is_constant(gain))
    }

    fn is_constant(&self, weight: WeightId) -> bool {
        matches!(self.graph.weights()[weight.index()].op, WeightOp::Constant(_))
    }

    fn name(&self, node: NodeId) -> String {
        let named = |node: &NodeId| self.graph.sites().iter().find(|(_, named)| *named == node);
        // all terms flow into the logits
        let sites_around =
            || self.around.iter().rev().filter(|node| **node != self.graph.logits()).find_map(named);
        match self.graph.nodes()[node.index()].op {
            Op::Lookup { index: Index::Tokens, .. } => "embedding".into(),
            Op::Lookup { index: Index::Positions, .. } => "positions".into(),
            Op::Lookup { index: Index::First, .. } => "bias".into(),
            _ => named(&node).or_else(sites_around).map_or_else(|| "term".into(), |(name, _)| name.clone()),
        }
    }
}
