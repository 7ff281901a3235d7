//! From a recorded graph to instructions: the cheapest exact way.
//!
//! A stream is held as a sum of terms as long as possible: lookups in tables, and dense values behind a pending map.
//! Linear maps of lookups map the table (once a step); maps of dense values wait, so that products of weights fold; and
//! whoever needs a matrix asks for the sum as one dense value, which is made once.
mod attention;
mod narrow;
mod through;

use std::collections::HashMap;

use crate::engine::{LossTerm, Request, RowSet};
use crate::graph::{Graph, Index, NodeId, Op, WeightId, WeightOp};
use crate::nn::ParamId;
use crate::ops::{Operation, RowOp};

use super::demand::{Demand, demands};
use super::instr::{
    Affine, Columns, Concat, CrossEntropy, Instr, Pick, Rotate, Rows, Select, SitePenalty, Source, Summand,
};
use super::passes;
use super::program::{Layout, Program, Val, ValInfo};

/// One term of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Term {
    /// Rows of a table.
    Lookup { table: WeightId, index: Index },
    /// `scale * W val`, with at most one of the two other than the identity.
    Dense { val: Val, map: Option<WeightId>, scale: f64 },
}

/// How a graph is lowered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By all rewrites.
    Cheapest,
    /// Node by node, each a value of its own at all positions: to find out whether a rewrite is to blame for a difference.
    Plain,
}

/// Tables with more rows than this are looked up before they are mapped.
const LARGEST_MAPPED_TABLE: usize = 8192;

/// Maps of all positions with as many numbers as this are copied in parts by the product itself, and no transpose of them is kept.
const LEAST_COPIED_MAP: usize = 1 << 18;

/// A sum of more terms than this becomes one value: in a long row of maps with residual streams, each would double their number.
const MOST_TERMS: usize = 64;

/// Nodes between two streams that are lowered before somebody asks for them.
const STRETCH: usize = 256;

pub(crate) struct Lowering<'a> {
    /// The graph, with the weights that the lowering adds.
    pub graph: Graph,
    pub program: Program,
    request: &'a Request,
    way: Way,
    demands: Vec<Demand>,
    trains: Vec<bool>,
    param_trains: &'a dyn Fn(ParamId) -> bool,
    sums: HashMap<(NodeId, RowSet), Vec<Term>>,
    dense: HashMap<(NodeId, RowSet), Val>,
    patterns: HashMap<(NodeId, RowSet), Val>,
    transposes: HashMap<Val, Val>,
    selects: HashMap<(Val, RowSet), Val>,
}

/// A lowered graph, before any pass but the one that tells where gradients go.
pub(crate) struct Lowered {
    /// The graph, with the weights that the lowering has added.
    pub graph: Graph,
    pub program: Program,
    /// Nodes that are a value at all positions.
    pub at_all: HashMap<NodeId, Val>,
}

/// Lowers `graph` for `request`.
pub(crate) fn lower(
    graph: &Graph,
    request: &Request,
    param_trains: &dyn Fn(ParamId) -> bool,
    way: Way,
) -> Lowered {
    let mut demands = demands(graph, request);
    if way == Way::Plain {
        demands.iter_mut().for_each(Demand::widen);
    }
    let mut lowering = Lowering {
        graph: graph.clone(),
        program: Program::default(),
        request,
        way,
        demands,
        trains: Vec::new(),
        param_trains,
        sums: HashMap::new(),
        dense: HashMap::new(),
        patterns: HashMap::new(),
        transposes: HashMap::new(),
        selects: HashMap::new(),
    };
    lowering.run();
    let trains = lowering.weights_that_train();
    let Lowering { graph, mut program, dense, patterns, .. } = lowering;
    passes::keep_gradients_before_the_loss(&mut program, &trains);
    let values = dense.into_iter().chain(patterns);
    let at_all = values.filter(|((_, rows), _)| *rows == RowSet::All).map(|((node, _), val)| (node, val));
    Lowered { graph, program, at_all: at_all.collect() }
}

impl Lowering<'_> {
    fn run(&mut self) {
        self.lower_deep_graphs_in_stretches();
        for (node, rows) in &self.request.reads {
            let val = if self.op(*node).is_pattern() {
                self.read_pattern(*node, *rows)
            } else {
                self.dense(*node, *rows)
            };
            self.program.reads.push(val);
        }
        // the values of all terms come before the first term: their gradients are there together
        let request = self.request;
        let of = |term: &LossTerm| (term.node(&self.graph), term.rows());
        let nodes: Vec<(NodeId, RowSet)> = request.losses.iter().map(of).collect();
        let vals: Vec<Val> = nodes.into_iter().map(|(node, rows)| self.dense(node, rows)).collect();
        for (term, (loss, val)) in request.losses.iter().zip(vals).enumerate() {
            match *loss {
                LossTerm::NextToken { .. } => {
                    self.emit(CrossEntropy { logits: val, term, distributions: None });
                }
                LossTerm::Distribution { set, .. } => {
                    self.emit(CrossEntropy { logits: val, term, distributions: Some(set) });
                }
                LossTerm::Penalty { penalty, .. } => self.emit(SitePenalty { x: val, penalty, term }),
            }
        }
    }

    /// Lowers streams from the first to the last, `STRETCH` nodes apart, those that are made anyway if there are any: what asks for a
    /// node then goes back no further than to these, so that the depth of the stack is bounded at any depth of the graph.
    fn lower_deep_graphs_in_stretches(&mut self) {
        let mut last = 0;
        for i in 0..self.graph.nodes().len() {
            let (node, demand) = (NodeId(i), &self.demands[i]);
            if demand.rows().is_none() || self.graph.is_pattern(node) {
                continue;
            }
            let (made_anyway, rows) = (demand.dense > 0, self.rows_of(node));
            if made_anyway && i - last >= STRETCH {
                self.dense(node, rows);
                last = i;
            } else if i - last >= STRETCH + STRETCH / 4 {
                self.sum(node, rows);
                last = i;
            }
        }
    }

    fn op(&self, node: NodeId) -> Op {
        self.graph.nodes()[node.index()].op.clone()
    }

    fn cols(&self, node: NodeId) -> usize {
        self.graph.nodes()[node.index()].cols
    }

    fn emit(&mut self, instr: impl Into<Instr>) {
        self.program.instrs.push(instr.into());
    }

    fn val(&mut self, rows: RowSet, cols: usize, trains: bool) -> Val {
        self.new_val(ValInfo {
            rows,
            cols,
            heads: 1,
            layout: Layout::Stream,
            trains,
            home: Val(0),
            buffer: 0,
            frozen_mix: None,
            gradient: None,
        })
    }

    fn pattern_val(&mut self, rows: RowSet, heads: usize, trains: bool) -> Val {
        let cols = self.graph.seq();
        self.new_val(ValInfo {
            rows,
            cols,
            heads,
            layout: Layout::Pattern,
            trains,
            home: Val(0),
            buffer: 0,
            frozen_mix: None,
            gradient: None,
        })
    }

    fn new_val(&mut self, info: ValInfo) -> Val {
        let val = Val(self.program.vals.len());
        self.program.vals.push(ValInfo { home: val, ..info });
        val
    }

    fn val_trains(&self, val: Val) -> bool {
        self.program.info(val).trains
    }

    // ---- weights

    /// Whether a parameter behind this matrix trains.
    pub fn weight_trains(&mut self, weight: WeightId) -> bool {
        for i in self.trains.len()..self.graph.weights().len() {
            let trains = match self.graph.weights()[i].op {
                WeightOp::Param(id) => !self.request.losses.is_empty() && (self.param_trains)(id),
                ref op => op.inputs().into_iter().any(|w| self.trains[w.index()]),
            };
            self.trains.push(trains);
        }
        self.trains[weight.index()]
    }

    /// `A B`, with column scales moved outwards: `A (B diag(g)) = (A B) diag(g)`.
    fn product(&mut self, a: WeightId, b: WeightId) -> WeightId {
        match self.graph.weights()[b.index()].op {
            WeightOp::ScaleColumns(inner, g) => {
                let product = self.product(a, inner);
                self.graph.scale_columns(product, g)
            }
            _ => self.graph.product(a, b),
        }
    }

    fn transpose(&mut self, a: WeightId) -> WeightId {
        self.graph.transpose(a)
    }

    fn shape(&self, w: WeightId) -> (usize, usize) {
        self.graph.shape(w)
    }

    /// The gain of a diagonal matrix.
    fn diagonal(&self, w: WeightId) -> Option<WeightId> {
        match self.graph.weights()[w.index()].op {
            WeightOp::ScaleColumns(inner, gain)
                if self.graph.weights()[inner.index()].op == WeightOp::Identity =>
            {
                Some(gain)
            }
            _ => None,
        }
    }

    /// An instruction reads this weight.
    fn reads(&mut self, weight: WeightId) {
        self.program.used.insert(weight);
    }

    /// An instruction reads this weight; returns whether the weight trains.
    fn leaf(&mut self, weight: WeightId) -> bool {
        self.reads(weight);
        self.weight_trains(weight)
    }

    fn weights_that_train(&mut self) -> Vec<bool> {
        let last = WeightId(self.graph.weights().len().saturating_sub(1));
        if !self.graph.weights().is_empty() {
            self.weight_trains(last);
        }
        std::mem::take(&mut self.trains)
    }

    // ---- streams

    /// The rows at which a node is computed: at all if they are wanted differently in two places.
    fn rows_of(&self, node: NodeId) -> RowSet {
        self.demands[node.index()].rows().unwrap_or(RowSet::All)
    }

    /// The node as a sum of terms, at these rows.
    pub fn sum(&mut self, node: NodeId, rows: RowSet) -> Vec<Term> {
        if let Some(sum) = self.sums.get(&(node, rows)) {
            return sum.clone();
        }
        let sum = if rows == self.rows_of(node) {
            let sum = self.sum_anew(node, rows);
            match self.way {
                Way::Cheapest if sum.len() <= MOST_TERMS => sum,
                _ => vec![plain(self.one_value(sum, rows, self.cols(node)))],
            }
        } else {
            let all = self.sum(node, RowSet::All);
            if only_lookups(&all) { all } else { vec![plain(self.dense(node, rows))] }
        };
        self.sums.insert((node, rows), sum.clone());
        sum
    }

    fn sum_anew(&mut self, node: NodeId, rows: RowSet) -> Vec<Term> {
        let cols = self.cols(node);
        match self.op(node) {
            Op::Zero => vec![],
            Op::Patched { slot, .. } => {
                let out = self.val(rows, cols, false);
                self.program.patched.push((out, slot));
                vec![plain(out)]
            }
            Op::Lookup { table, index } => vec![Term::Lookup { table, index }],
            Op::Add(a, b) => {
                let mut sum = self.summand(a, rows);
                for term in self.summand(b, rows) {
                    self.add_term(&mut sum, term);
                }
                sum
            }
            Op::Scale { x, by } => self.sum(x, rows).into_iter().map(|t| self.scaled(t, by)).collect(),
            Op::Gain { x, gain } => {
                let identity = self.graph.identity(cols);
                let diagonal = self.graph.scale_columns(identity, gain);
                self.linear(diagonal, x, rows)
            }
            Op::Linear { weight, x } => self.linear(weight, x, rows),
            Op::Rows { op, inputs, heads } => self.rows(op, &inputs, heads, (rows, cols)),
            Op::Rotate { x, heads, theta } => {
                let x = self.dense(x, rows);
                let out = self.val(rows, cols, self.val_trains(x));
                self.emit(Rotate { out, x, heads, theta });
                vec![plain(out)]
            }
            Op::Shift { x, by } => {
                let x = self.dense(x, RowSet::All);
                let out = self.val(rows, cols, self.val_trains(x));
                self.emit(Pick { out, x, source: Source::Earlier(by) });
                vec![plain(out)]
            }
            Op::Columns { x, first } => {
                let x = self.dense(x, rows);
                let out = self.val(rows, cols, self.val_trains(x));
                self.emit(Columns { out, x, first });
                vec![plain(out)]
            }
            Op::Concat(inputs) => {
                let inputs: Vec<Val> = inputs.into_iter().map(|x| self.dense(x, rows)).collect();
                let trains = inputs.iter().any(|x| self.val_trains(*x));
                let out = self.val(rows, cols, trains);
                self.emit(Concat { out, inputs });
                vec![plain(out)]
            }
            Op::Mix { pattern, v, value_heads } => self.mix(pattern, v, value_heads, rows),
            Op::Pattern { .. } | Op::FixedPattern { .. } | Op::SplicedPattern { .. } => {
                unreachable!("a pattern is no stream")
            }
        }
    }

    /// An operation on rows: of the rows of a table, once a step, if that is all that it reads.
    fn rows(
        &mut self,
        op: RowOp,
        inputs: &[NodeId],
        heads: usize,
        (rows, cols): (RowSet, usize),
    ) -> Vec<Term> {
        if let ([x], 1) = (inputs, heads)
            && let [Term::Lookup { table, index }] = self.sum(*x, rows)[..]
            && self.shape(table).0 <= LARGEST_MAPPED_TABLE
            && op.width(&[self.shape(table).1]) == Ok(cols)
        {
            return vec![Term::Lookup { table: self.graph.rowwise(op, vec![table], cols), index }];
        }
        let inputs: Vec<Val> = inputs.iter().map(|x| self.dense(*x, rows)).collect();
        let trains = inputs.iter().any(|x| self.val_trains(*x));
        let out = self.val(rows, cols, trains);
        self.emit(Rows { out, op, inputs, heads });
        vec![plain(out)]
    }

    /// A summand as terms; as one dense value where that is made anyway, so that its maps are applied once.
    fn summand(&mut self, node: NodeId, rows: RowSet) -> Vec<Term> {
        let sum = self.sum(node, rows);
        let made_anyway = self.demands[node.index()].dense > 0 && !only_lookups(&sum);
        if made_anyway { vec![plain(self.dense(node, rows))] } else { sum }
    }

    /// Adds a term to a sum, merging it with a like one: `A x + B x = (A + B) x`.
    fn add_term(&mut self, sum: &mut Vec<Term>, term: Term) {
        if let Term::Dense { val, map: Some(map), .. } = term {
            for other in sum.iter_mut() {
                match *other {
                    Term::Dense { val: v, map: Some(m), .. }
                        if v == val && self.shape(m) == self.shape(map) =>
                    {
                        let merged = self.graph.sum(m, map);
                        *other = Term::Dense { val, map: Some(merged), scale: 1.0 };
                        return;
                    }
                    _ => {}
                }
            }
        }
        sum.push(term);
    }

    fn scaled(&mut self, term: Term, by: f64) -> Term {
        match term {
            Term::Lookup { table, index } => Term::Lookup { table: self.graph.scaled(table, by), index },
            Term::Dense { val, map: Some(map), .. } => {
                Term::Dense { val, map: Some(self.graph.scaled(map, by)), scale: 1.0 }
            }
            Term::Dense { val, map: None, scale } => Term::Dense { val, map: None, scale: scale * by },
        }
    }

    /// `W` in front of a term.
    fn mapped(&mut self, weight: WeightId, term: Term) -> Term {
        match term {
            Term::Lookup { table, index } => {
                let table = self.map_table(weight, table);
                Term::Lookup { table, index }
            }
            Term::Dense { val, map, scale } => {
                let map = match map {
                    Some(map) => self.product(weight, map),
                    None => self.graph.scaled(weight, scale),
                };
                Term::Dense { val, map: Some(map), scale: 1.0 }
            }
        }
    }

    /// The table whose row `i` is `W table[i]`.
    fn map_table(&mut self, weight: WeightId, table: WeightId) -> WeightId {
        if let Some(gain) = self.diagonal(weight) {
            return self.graph.scale_columns(table, gain);
        }
        let transposed = self.transpose(weight);
        self.product(table, transposed)
    }

    /// `W x`, term by term where that is cheaper than making one matrix of `x` first.
    fn linear(&mut self, weight: WeightId, x: NodeId, rows: RowSet) -> Vec<Term> {
        if let Some(terms) = self.mix_of_mapped_values(weight, x, rows) {
            return terms;
        }
        if let Some(terms) = self.narrowed(weight, x, rows) {
            return terms;
        }
        let sum = self.sum(x, rows);
        let (outputs, inputs) = self.shape(weight);
        if self.only_small_tables(&sum) {
            return sum.into_iter().map(|t| self.mapped(weight, t)).collect();
        }
        let separate = match sum[..] {
            [Term::Dense { map: Some(map), .. }] => {
                let k = self.shape(map).1;
                outputs * k <= inputs * k + outputs * inputs && self.demands[x.index()].dense == 0
            }
            [Term::Dense { .. }] => true,
            // a table that is too large to be mapped
            [Term::Lookup { .. }] => false,
            _ => {
                outputs < inputs && self.demands[x.index()].linears == 1 && self.demands[x.index()].dense == 0
            }
        };
        let sum = match sum[..] {
            _ if !separate => vec![plain(self.dense(x, rows))],
            [_] => sum,
            _ => self.with_plain_terms_joined(x, rows, sum),
        };
        sum.into_iter().map(|t| self.mapped(weight, t)).collect()
    }

    /// Whether a map of the sum is best a map of its tables.
    fn only_small_tables(&self, sum: &[Term]) -> bool {
        sum.iter().all(|t| match *t {
            Term::Lookup { table, .. } => self.shape(table).0 <= LARGEST_MAPPED_TABLE,
            Term::Dense { .. } => false,
        })
    }

    /// The sum with its lookups and unmapped values made one dense value; mapped terms and biases stay.
    fn with_plain_terms_joined(&mut self, x: NodeId, rows: RowSet, sum: Vec<Term>) -> Vec<Term> {
        let stays = |t: &Term| {
            matches!(t, Term::Dense { map: Some(_), .. } | Term::Lookup { index: Index::First, .. })
        };
        let (mut joined, plain_terms): (Vec<Term>, Vec<Term>) = sum.into_iter().partition(stays);
        match plain_terms[..] {
            [] => {}
            [Term::Dense { .. }] => joined.extend(plain_terms),
            [Term::Lookup { .. }] if self.only_small_tables(&plain_terms) => joined.extend(plain_terms),
            _ => {
                let cols = self.cols(x);
                joined.push(plain(self.affine(plain_terms, rows, cols)));
            }
        }
        joined
    }

    /// The node as one dense value at these rows.
    pub fn dense(&mut self, node: NodeId, rows: RowSet) -> Val {
        if let Some(val) = self.dense.get(&(node, rows)) {
            return *val;
        }
        let at = self.rows_of(node);
        let val = if rows == at {
            let sum = self.sum(node, rows);
            self.one_value(sum, rows, self.cols(node))
        } else {
            let all = self.sum(node, at);
            if only_lookups(&all) {
                self.affine(all, rows, self.cols(node))
            } else {
                let x = self.dense(node, at);
                self.select(x, rows)
            }
        };
        self.dense.insert((node, rows), val);
        val
    }

    fn select(&mut self, x: Val, rows: RowSet) -> Val {
        if let Some(val) = self.selects.get(&(x, rows)) {
            return *val;
        }
        let out = self.new_val(ValInfo { rows, ..*self.program.info(x) });
        self.emit(Select { out, x });
        self.selects.insert((x, rows), out);
        out
    }

    /// The sum of terms, which may be one value already.
    fn one_value(&mut self, sum: Vec<Term>, rows: RowSet, cols: usize) -> Val {
        match sum[..] {
            [Term::Dense { val, map: None, scale: 1.0 }] => val,
            _ => self.affine(sum, rows, cols),
        }
    }

    /// Emits the sum of terms.
    fn affine(&mut self, terms: Vec<Term>, rows: RowSet, cols: usize) -> Val {
        let mut trains = false;
        let mut summands = Vec::new();
        for term in terms {
            summands.push(match term {
                Term::Lookup { table, index } => {
                    trains |= self.leaf(table);
                    Summand::Lookup { table, index }
                }
                Term::Dense { val, map: None, scale } => {
                    trains |= self.val_trains(val);
                    Summand::Plain { val, scale }
                }
                Term::Dense { val, map: Some(weight), .. } => {
                    trains |= self.val_trains(val);
                    self.map_summand(val, weight, &mut trains)
                }
            });
        }
        let out = self.val(rows, cols, trains);
        self.emit(Affine { out, summands, in_place: false });
        out
    }

    fn map_summand(&mut self, val: Val, weight: WeightId, trains: &mut bool) -> Summand {
        if let Some(gain) = self.diagonal(weight) {
            *trains |= self.leaf(gain);
            return Summand::Gain { val, gain };
        }
        *trains |= self.leaf(weight);
        let (outputs, inputs) = self.shape(weight);
        let copies = outputs * inputs >= LEAST_COPIED_MAP
            && outputs.is_multiple_of(16)
            && self.program.info(val).rows == RowSet::All;
        let transposed = (!copies).then(|| self.transpose(weight));
        transposed.into_iter().for_each(|transposed| self.reads(transposed));
        Summand::Map { val, weight, transposed }
    }
}

fn plain(val: Val) -> Term {
    Term::Dense { val, map: None, scale: 1.0 }
}

fn only_lookups(sum: &[Term]) -> bool {
    sum.iter().all(|t| matches!(t, Term::Lookup { .. }))
}
