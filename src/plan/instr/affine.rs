//! Sums of lookups, values and mapped values.
use crate::engine::RowSet;
use crate::graph::{Index as GraphIndex, WeightId};
use crate::kernels::{
    Beta, Element, Index, View, ViewMut, axpy, clear, gather_rows, gemm, mul, mul_add, padded,
    scatter_rows_add,
};
use crate::plan::program::{Program, Val};
use crate::plan::text::Text;
use crate::plan::workspace::{Sequence, Workspace};

use super::{Frame, Instruction};

/// `out = sum of summands`; with `in_place`, added to what the buffer holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Affine {
    pub out: Val,
    pub summands: Vec<Summand>,
    pub in_place: bool,
}

/// One summand of an [`Affine`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Summand {
    /// Rows of a table.
    Lookup { table: WeightId, index: GraphIndex },
    /// `scale * val`.
    Plain { val: Val, scale: f64 },
    /// `gain * val`, element by element.
    Gain { val: Val, gain: WeightId },
    /// `W val[t]`; `transposed` is `W^T` in the layout of the product, unless the product copies parts of `W` itself.
    Map { val: Val, weight: WeightId, transposed: Option<WeightId> },
}

impl Summand {
    /// The transpose of a map that is read instead of the map.
    pub fn transposed(&self) -> Option<WeightId> {
        match *self {
            Summand::Map { transposed, .. } => transposed,
            Summand::Lookup { .. } | Summand::Plain { .. } | Summand::Gain { .. } => None,
        }
    }

    /// Whether something behind it trains.
    pub fn trains(&self, program: &Program) -> bool {
        let leaf = |weight| program.leaves.contains(weight);
        match self {
            Summand::Lookup { table, .. } => leaf(table),
            Summand::Plain { val, .. } => program.info(*val).trains,
            Summand::Gain { val, gain: weight } | Summand::Map { val, weight, .. } => {
                program.info(*val).trains || leaf(weight)
            }
        }
    }
}

impl Affine {
    fn lookups(&self) -> impl Iterator<Item = (WeightId, GraphIndex)> + '_ {
        self.summands.iter().filter_map(|s| match *s {
            Summand::Lookup { table, index } => Some((table, index)),
            Summand::Plain { .. } | Summand::Gain { .. } | Summand::Map { .. } => None,
        })
    }
}

impl Instruction for Affine {
    fn out(&self) -> Option<Val> {
        Some(self.out)
    }

    fn inputs(&self) -> Vec<Val> {
        let read = |s: &Summand| match *s {
            Summand::Lookup { .. } => None,
            Summand::Plain { val, .. } | Summand::Gain { val, .. } | Summand::Map { val, .. } => Some(val),
        };
        self.summands.iter().filter_map(read).collect()
    }

    fn vals_mut(&mut self) -> Vec<&mut Val> {
        let read = self.summands.iter_mut().filter_map(|s| match s {
            Summand::Lookup { .. } => None,
            Summand::Plain { val, .. } | Summand::Gain { val, .. } | Summand::Map { val, .. } => Some(val),
        });
        std::iter::once(&mut self.out).chain(read).collect()
    }

    fn weights(&self) -> Vec<WeightId> {
        let read = |s: &Summand| match *s {
            Summand::Lookup { table, .. } => Some(table),
            Summand::Gain { gain, .. } => Some(gain),
            Summand::Map { weight, .. } => Some(weight),
            Summand::Plain { .. } => None,
        };
        self.summands.iter().filter_map(read).collect()
    }

    fn reads_out_backward(&self) -> bool {
        false
    }

    fn read_backward(&self, program: &Program) -> Vec<Val> {
        let of = |summand: &Summand| match summand {
            Summand::Gain { val, gain: weight } | Summand::Map { val, weight, .. } => {
                program.leaves.contains(weight).then_some(*val)
            }
            Summand::Lookup { .. } | Summand::Plain { .. } => None,
        };
        self.summands.iter().filter_map(of).collect()
    }

    fn forward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, weights) = (frame.program(), frame.weights);
        let rows = program.info(self.out).rows;
        let (n, cols) = (frame.positions(self.out).len(), program.info(self.out).cols);
        let ld = padded(cols);
        let mut buffer = frame.ws.take(program, self.out);
        let mut beta = if self.in_place { Beta::Add } else { Beta::Zero };
        if self.summands.is_empty() && beta == Beta::Zero {
            clear(&mut buffer[..n * ld]);
        }
        for (slot, (_, index)) in self.lookups().enumerate() {
            select_index(frame.ws, &frame.seq, index, rows, slot);
        }
        let of = |(slot, (table, index)): (usize, (WeightId, GraphIndex))| {
            (weights.matrix(table).view(), selected_index(&frame.ws.indices, &frame.seq, index, rows, slot))
        };
        let mut tables = self.lookups().enumerate().map(of);
        // two at a time, in one pass over the output
        while let Some(a) = tables.next() {
            let out = ViewMut::new(&mut buffer, n, cols, ld);
            match tables.next() {
                Some(b) => gather_rows(out, beta, &[a, b]),
                None => gather_rows(out, beta, &[a]),
            }
            beta = Beta::Add;
        }
        for summand in &self.summands {
            match *summand {
                Summand::Lookup { .. } => continue,
                Summand::Plain { val, scale } => {
                    let x = &frame.ws.value(program, val)[..n * ld];
                    if beta == Beta::Zero {
                        clear(&mut buffer[..n * ld]);
                    }
                    axpy(&mut buffer[..n * ld], E::from_f64(scale), x);
                }
                Summand::Gain { val, gain } => {
                    let x = frame.ws.stream(program, val, n);
                    let gain = weights.matrix(gain).row(0);
                    multiply_rows(ViewMut::new(&mut buffer, n, cols, ld), beta, x, gain);
                }
                Summand::Map { val, weight, transposed } => {
                    let map = match transposed {
                        Some(transposed) => weights.matrix(transposed).wide(),
                        None => weights.matrix(weight).view().t(),
                    };
                    let out = ViewMut::new(&mut buffer, n, map.n_cols(), ld);
                    gemm(out, beta, E::one(), frame.ws.stream(program, val, n), map);
                }
            }
            beta = Beta::Add;
        }
        frame.ws.put(program, self.out, buffer);
    }

    fn backward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, weights) = (frame.program(), frame.weights);
        let rows = program.info(self.out).rows;
        let (n, cols) = (frame.positions(self.out).len(), program.info(self.out).cols);
        let ld = padded(cols);
        let Some(mut dy) = frame.ws.take_gradient(program, self.out) else { return };
        for (i, summand) in self.summands.iter().enumerate() {
            match *summand {
                Summand::Lookup { table, index } => {
                    select_index(frame.ws, &frame.seq, index, rows, i);
                    if let Some(d) = frame.plan.leaf(table, frame.sums) {
                        let dy = ViewMut::new(&mut dy, n, cols, ld);
                        let index = selected_index(&frame.ws.indices, &frame.seq, index, rows, i);
                        scatter_rows_add(d.view_mut(), index, dy.as_view());
                    }
                }
                Summand::Plain { val, scale } => {
                    if let Some((mut dx, beta)) = frame.ws.open(program, val) {
                        if beta == Beta::Zero {
                            clear(&mut dx[..n * ld]);
                        }
                        axpy(&mut dx[..n * ld], E::from_f64(scale), &dy[..n * ld]);
                        frame.ws.put_gradient(program, val, dx);
                    }
                }
                Summand::Gain { val, gain } => {
                    let dy = View::new(&dy, n, cols, ld);
                    if let Some((mut dx, beta)) = frame.ws.open(program, val) {
                        let gain = weights.matrix(gain).row(0);
                        multiply_rows(ViewMut::new(&mut dx, n, cols, ld), beta, dy, gain);
                        frame.ws.put_gradient(program, val, dx);
                    }
                    if let Some(d) = frame.plan.leaf(gain, frame.sums) {
                        let x = frame.ws.stream(program, val, n);
                        (0..n).for_each(|r| mul_add(d.row_mut(0), dy.row(r), x.row(r)));
                    }
                }
                Summand::Map { val, weight, .. } => {
                    let dy = ViewMut::new(&mut dy, n, cols, ld);
                    if let Some((mut dx, beta)) = frame.ws.open(program, val) {
                        let inputs = program.info(val).cols;
                        let dx_view = ViewMut::new(&mut dx, n, inputs.next_multiple_of(16), padded(inputs));
                        gemm(dx_view, beta, E::one(), dy.as_view(), weights.matrix(weight).wide());
                        frame.ws.put_gradient(program, val, dx);
                    }
                    let (dy, x) = (dy.as_view().t(), frame.ws.wide(program, val, n));
                    frame.plan.add_to_map(weight, frame.sums, frame.turn, &mut |rows, sum| {
                        gemm(sum, Beta::Add, E::one(), dy.rows(rows), x);
                    });
                }
            }
        }
        frame.ws.put_gradient(program, self.out, dy);
    }

    fn text(&self, text: &Text<'_>) -> String {
        let summand = |s: &Summand| match *s {
            Summand::Lookup { table, index } => {
                format!("{} by {}", text.weight(table), crate::graph::index_text(index))
            }
            Summand::Plain { val, scale: 1.0 } => val.to_string(),
            Summand::Plain { val, scale } => format!("{scale} {val}"),
            Summand::Gain { val, gain } => format!("gain {} of {val}", text.weight(gain)),
            Summand::Map { val, weight, .. } => format!("{} {val}", text.weight(weight)),
        };
        let sum: Vec<String> = self.summands.iter().map(summand).collect();
        let sum = if sum.is_empty() { "zeros".into() } else { sum.join(" + ") };
        if self.in_place { format!("itself + {sum}") } else { sum }
    }
}

/// `out[r] (+)= gain * x[r]`, element by element.
fn multiply_rows<E: Element>(mut out: ViewMut<'_, E>, beta: Beta, x: View<'_, E>, gain: &[E]) {
    for r in 0..out.n_rows() {
        match beta {
            Beta::Zero => mul(out.row_mut(r), x.row(r), gain),
            Beta::Add => mul_add(out.row_mut(r), x.row(r), gain),
        }
    }
}

/// Prepares [`selected_index`]: fills `ws.indices[slot]` with the table rows that the positions of `rows` read, unless
/// all positions do.
pub(super) fn select_index<E: Element>(
    ws: &mut Workspace<E>,
    seq: &Sequence<'_>,
    index: GraphIndex,
    rows: RowSet,
    slot: usize,
) {
    if rows == RowSet::All {
        return;
    }
    let of = seq.index(index);
    if ws.indices.len() <= slot {
        ws.indices.resize(slot + 1, Vec::new());
    }
    let target = &mut ws.indices[slot];
    target.clear();
    target.extend(seq.positions(rows).iter().map(|&p| of[p as usize]));
}

/// The table rows that the positions of `rows` read, which [`select_index`] has put into `indices[slot]`.
pub(super) fn selected_index<'a>(
    indices: &'a [Vec<u32>],
    seq: &Sequence<'a>,
    index: GraphIndex,
    rows: RowSet,
    slot: usize,
) -> Index<'a> {
    Index::Tokens(if rows == RowSet::All { seq.index(index) } else { &indices[slot] })
}
