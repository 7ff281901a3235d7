//! What depends on weights alone: computed once a step, and differentiated once a step.
//!
//! Every matrix has rows of `padded(cols)` values, the padding zero (that of gradients is never read). A matrix is computed again
//! only if one of the parameters behind it has changed, so products of frozen weights are folded once a run, and again after an edit.
use std::collections::BTreeMap;

use crate::Result;
use crate::engine::ParamSource;
use crate::graph::{Graph, WeightId, WeightNode, WeightOp};
use crate::kernels::{
    Beta, Buffer, Element, View, ViewMut, add_into, axpy, clear, drain_into, gemm, padded, transpose,
};
use crate::nn::{ParamId, Version};
use crate::ops::{Operation, Row, RowOp};

use super::program::Program;

/// A matrix with padded rows.
#[derive(Debug, Default)]
pub(crate) struct Matrix<E> {
    data: Buffer<E>,
    rows: usize,
    cols: usize,
}

impl<E: Element> Matrix<E> {
    pub fn zeros(rows: usize, cols: usize) -> Self {
        Matrix { data: Buffer::zeros(rows * padded(cols)), rows, cols }
    }

    /// Matrices of zeros with these rows and columns, side by side in memory.
    pub fn together(sizes: &[(usize, usize)]) -> Vec<Self> {
        let lens: Vec<usize> = sizes.iter().map(|&(rows, cols)| rows * padded(cols)).collect();
        let matrix = |(data, &(rows, cols))| Matrix { data, rows, cols };
        Buffer::together(&lens).into_iter().zip(sizes).map(matrix).collect()
    }

    pub fn ld(&self) -> usize {
        padded(self.cols)
    }

    pub fn view(&self) -> View<'_, E> {
        View::new(&self.data, self.rows, self.cols, self.ld())
    }

    /// The matrix with its padding: rounded up to the vector width of a product.
    pub fn wide(&self) -> View<'_, E> {
        View::new(&self.data, self.rows, self.cols.next_multiple_of(16), self.ld())
    }

    pub fn view_mut(&mut self) -> ViewMut<'_, E> {
        let ld = self.ld();
        ViewMut::new(&mut self.data, self.rows, self.cols, ld)
    }

    /// [`wide`](Self::wide), to be written: zeros, or what stays zero, go to the padding.
    pub fn wide_mut(&mut self) -> ViewMut<'_, E> {
        let ld = self.ld();
        ViewMut::new(&mut self.data, self.rows, self.cols.next_multiple_of(16), ld)
    }

    /// Blocks of so many rows, the last one perhaps of fewer, each with its padding; none of an empty matrix.
    pub fn wide_blocks_mut(&mut self, rows: usize) -> impl Iterator<Item = ViewMut<'_, E>> {
        let (ld, cols) = (self.ld(), self.cols.next_multiple_of(16));
        self.data.chunks_mut(rows * ld).map(move |block| ViewMut::new(block, block.len() / ld, cols, ld))
    }

    /// Moves the rows together, without their padding.
    fn close_up(&mut self) {
        let (ld, cols) = (self.ld(), self.cols);
        for r in 1..self.rows {
            self.data.copy_within(r * ld..r * ld + cols, r * cols);
        }
    }

    /// The rows of a matrix of zeros, or of one that is closed up.
    fn closed_up(&self) -> &[E] {
        &self.data[..self.rows * self.cols]
    }

    pub fn row(&self, i: usize) -> &[E] {
        &self.data[i * self.ld()..][..self.cols]
    }

    pub fn row_mut(&mut self, i: usize) -> &mut [E] {
        let ld = self.ld();
        &mut self.data[i * ld..][..self.cols]
    }

    pub fn clear(&mut self) {
        clear(&mut self.data);
    }

    pub fn add(&mut self, other: &Matrix<E>) {
        add_into(&mut self.data, &other.data);
    }

    /// Adds it to another one of its size, and becomes zero.
    pub fn drain_into(&mut self, other: &mut Matrix<E>) {
        drain_into(&mut other.data, &mut self.data);
    }

    /// Clears it, unless something is to be added to what it holds.
    fn ready(&mut self, beta: Beta) -> &mut Self {
        if beta == Beta::Zero {
            self.clear();
        }
        self
    }

    /// Becomes a copy of another one of its size, or adds it.
    fn take_over(&mut self, beta: Beta, other: &Matrix<E>) {
        match beta {
            Beta::Zero => self.data.copy_from_slice(&other.data),
            Beta::Add => self.add(other),
        }
    }
}

/// The matrices of one program, and their gradients.
pub(crate) struct Weights<E> {
    nodes: Vec<WeightNode>,
    needed: Vec<bool>,
    /// Needed for the loss, if there is one; the others only for what is read.
    for_loss: Vec<bool>,
    /// On the way from a parameter that trains to a matrix that gets a gradient.
    differentiated: Vec<bool>,
    matrices: Vec<Matrix<E>>,
    gradients: Vec<Matrix<E>>,
    /// The parameters whose gradients are sums of leaves, by the number of the leaf.
    sums: BTreeMap<ParamId, usize>,
    /// The gradients of the others.
    by_param: BTreeMap<ParamId, Vec<E>>,
    /// Something that they are made of has changed since they were computed.
    stale: Vec<bool>,
    /// Of the parameters that were read last.
    versions: Vec<Option<Version>>,
    /// A parameter that is kept in another precision.
    incoming: Vec<E>,
}

/// Whether two rows of the same length differ: without a way out at the first difference, so that many numbers are compared at once.
fn differ<E: Element>(a: &[E], b: &[E]) -> bool {
    a.iter().zip(b).fold(false, |differ, (a, b)| differ | (a != b))
}

impl<E: Element> Weights<E> {
    pub fn new(graph: &Graph, program: &Program, param_trains: &dyn Fn(ParamId) -> bool) -> Self {
        let (nodes, leaves) = (graph.weights().to_vec(), &program.leaves[..]);
        let (needed, mut differentiated) = wanted(&nodes, program, param_trains);
        let for_loss = needed_for(&nodes, program.used.iter().chain(leaves));
        let size = |(n, w): (&WeightNode, &bool)| if *w { (n.rows, n.cols) } else { (0, 0) };
        let alone = alone(&nodes, leaves, &differentiated);
        let mut sums = BTreeMap::new();
        for (i, leaf) in leaves.iter().enumerate() {
            if let (WeightOp::Param(id), true) = (&nodes[leaf.index()].op, alone[leaf.index()]) {
                differentiated[leaf.index()] = false;
                sums.insert(*id, i);
            }
        }
        let sizes = nodes.iter().zip(&needed).chain(nodes.iter().zip(&differentiated));
        let mut matrices = Matrix::together(&sizes.map(size).collect::<Vec<_>>());
        let gradients = matrices.split_off(nodes.len());
        let mut by_param = BTreeMap::new();
        for (node, differentiated) in nodes.iter().zip(&differentiated) {
            if let (WeightOp::Param(id), true) = (&node.op, differentiated) {
                by_param.insert(*id, vec![E::zero(); node.rows * node.cols]);
            }
        }
        let (versions, stale) = (vec![None; nodes.len()], vec![true; nodes.len()]);
        Weights {
            nodes,
            needed,
            for_loss,
            differentiated,
            matrices,
            gradients,
            sums,
            by_param,
            stale,
            versions,
            incoming: Vec::new(),
        }
    }

    pub fn matrix(&self, weight: WeightId) -> &Matrix<E> {
        &self.matrices[weight.index()]
    }

    /// The gradient of a parameter, perhaps among the sums of leaves that [`Self::backward`] was called with.
    pub fn gradient<'a>(&'a self, param: ParamId, sums: &'a [Matrix<E>]) -> Option<&'a [E]> {
        match self.sums.get(&param) {
            Some(leaf) => Some(sums[*leaf].closed_up()),
            None => self.by_param.get(&param).map(Vec::as_slice),
        }
    }

    /// Refuses parameters that cannot be read.
    pub fn check(&self, params: &dyn ParamSource<E>) -> Result<()> {
        self.nodes.iter().try_for_each(|node| match node.op {
            WeightOp::Param(id) => params.check(id),
            _ => Ok(()),
        })
    }

    /// Reads the parameters and computes what has changed, what is only read as well if it `reads`.
    pub fn load(&mut self, params: &dyn ParamSource<E>, reads: bool) {
        // code of the user's may panic on the way: what has changed stays known until it is made up for
        for i in 0..self.nodes.len() {
            let changed = match self.nodes[i].op {
                WeightOp::Param(id) => self.is_wanted(i, reads) && self.load_param(i, id, params),
                ref op => op.inputs().into_iter().any(|w| self.stale[w.index()]),
            };
            self.stale[i] |= changed;
        }
        for i in 0..self.nodes.len() {
            if self.stale[i] && self.is_wanted(i, reads) {
                // what it is computed of comes before it
                let (before, rest) = self.matrices.split_at_mut(i);
                compute(&self.nodes[i].op, before, &mut rest[0]);
                self.stale[i] = false;
            }
        }
    }

    fn is_wanted(&self, i: usize, reads: bool) -> bool {
        self.needed[i] && (reads || self.for_loss[i])
    }

    fn load_param(&mut self, i: usize, id: ParamId, params: &dyn ParamSource<E>) -> bool {
        let (rows, cols) = (self.nodes[i].rows, self.nodes[i].cols);
        let version = params.version(id);
        if version.is_some() && version == self.versions[i] {
            return false;
        }
        let values = match params.values(id) {
            Some(values) => values,
            None => {
                self.incoming.resize(rows * cols, E::zero());
                params.read(id, &mut self.incoming);
                &self.incoming
            }
        };
        assert_eq!(values.len(), rows * cols, "values for as many places");
        let mut changed = false;
        for (r, row) in values.chunks_exact(cols).enumerate() {
            let held = self.matrices[i].row_mut(r);
            // once something has changed, nothing more is compared
            changed = changed || differ(held, row);
            if changed {
                held.copy_from_slice(row);
            }
        }
        self.versions[i] = version;
        changed
    }

    /// From the gradients of the leaves, summed over the batch, to those of the parameters.
    pub fn backward(&mut self, leaves: &[WeightId], sums: &mut [Matrix<E>]) {
        self.sums.values().for_each(|leaf| sums[*leaf].close_up());
        // to the first that arrives at a gradient, nothing has been added
        let mut betas = vec![Beta::Zero; self.nodes.len()];
        for (leaf, sum) in leaves.iter().zip(sums) {
            if self.differentiated[leaf.index()] {
                let beta = std::mem::replace(&mut betas[leaf.index()], Beta::Add);
                self.gradients[leaf.index()].take_over(beta, sum);
            }
        }
        for i in (0..self.nodes.len()).rev() {
            if self.differentiated[i] {
                let mut gradient = std::mem::take(&mut self.gradients[i]);
                self.push_back(i, gradient.ready(betas[i]), &mut betas);
                self.gradients[i] = gradient;
            }
        }
    }

    /// Passes the gradient of a matrix on to those that it is computed of.
    fn push_back(&mut self, i: usize, dy: &Matrix<E>, betas: &mut [Beta]) {
        let (matrices, differentiated) = (&self.matrices, &self.differentiated);
        let of = |w: WeightId| &matrices[w.index()];
        let gradients = &mut self.gradients;
        let mut add = |w: WeightId, contribution: &dyn Fn(&mut Matrix<E>, Beta)| {
            if differentiated[w.index()] {
                let beta = std::mem::replace(&mut betas[w.index()], Beta::Add);
                contribution(&mut gradients[w.index()], beta);
            }
        };
        match self.nodes[i].op {
            WeightOp::Identity | WeightOp::Constant(_) => {}
            WeightOp::Rows(ref op, ref inputs) => {
                for (which, input) in inputs.iter().enumerate() {
                    add(*input, &|d, beta| rowwise_back(op, inputs, which, &of, dy, d.ready(beta)));
                }
            }
            WeightOp::Param(id) => {
                let flat = self.by_param.get_mut(&id).expect("every parameter that trains has a gradient");
                for (r, row) in flat.chunks_exact_mut(dy.cols).enumerate() {
                    row.copy_from_slice(dy.row(r));
                }
            }
            WeightOp::Product(a, b) => {
                add(a, &|d, beta| gemm(d.view_mut(), beta, E::one(), dy.view(), of(b).view().t()));
                add(b, &|d, beta| gemm(d.view_mut(), beta, E::one(), of(a).view().t(), dy.view()));
            }
            WeightOp::Transpose(a) => add(a, &|d, beta| match beta {
                Beta::Zero => transpose(d.view_mut(), dy.view()),
                Beta::Add => {
                    let mut flipped = Matrix::zeros(dy.cols, dy.rows);
                    transpose(flipped.view_mut(), dy.view());
                    d.add(&flipped);
                }
            }),
            WeightOp::Sum(a, b) => {
                add(a, &|d, beta| d.take_over(beta, dy));
                add(b, &|d, beta| d.take_over(beta, dy));
            }
            WeightOp::Scale(a, by) => {
                add(a, &|d, beta| axpy(&mut d.ready(beta).data, E::from_f64(by), &dy.data));
            }
            WeightOp::ScaleColumns(a, g) => {
                add(a, &|d, beta| {
                    d.ready(beta);
                    for r in 0..dy.rows {
                        let terms = dy.row(r).iter().zip(of(g).row(0));
                        d.row_mut(r).iter_mut().zip(terms).for_each(|(d, (&y, &g))| *d += y * g);
                    }
                });
                add(g, &|d, beta| {
                    d.ready(beta);
                    for r in 0..dy.rows {
                        let terms = dy.row(r).iter().zip(of(a).row(r));
                        d.row_mut(0).iter_mut().zip(terms).for_each(|(d, (&y, &a))| *d += y * a);
                    }
                });
            }
        }
    }
}

/// Computes a matrix of those before it.
fn compute<E: Element>(op: &WeightOp, before: &[Matrix<E>], out: &mut Matrix<E>) {
    let of = |w: WeightId| &before[w.index()];
    match *op {
        WeightOp::Param(_) => {}
        WeightOp::Product(a, b) => gemm(out.view_mut(), Beta::Zero, E::one(), of(a).view(), of(b).view()),
        WeightOp::Transpose(a) => transpose(out.view_mut(), of(a).view()),
        WeightOp::Sum(a, b) => {
            out.data.copy_from_slice(&of(a).data);
            add_into(&mut out.data, &of(b).data);
        }
        WeightOp::Scale(a, by) => {
            clear(&mut out.data);
            axpy(&mut out.data, E::from_f64(by), &of(a).data);
        }
        WeightOp::ScaleColumns(a, g) => {
            for r in 0..out.rows {
                let scaled = of(a).row(r).iter().zip(of(g).row(0)).map(|(&a, &g)| a * g);
                out.row_mut(r).iter_mut().zip(scaled).for_each(|(o, s)| *o = s);
            }
        }
        WeightOp::Rows(ref op, ref inputs) => {
            for r in 0..out.rows {
                let rows: Vec<&[E]> = inputs.iter().map(|w| of(*w).row(r)).collect();
                op.forward(&rows, out.row_mut(r));
            }
        }
        WeightOp::Identity => (0..out.rows).for_each(|i| out.row_mut(i)[i] = E::one()),
        WeightOp::Constant(ref values) => {
            for (r, row) in values.chunks_exact(out.cols).enumerate() {
                out.row_mut(r).iter_mut().zip(row).for_each(|(o, v)| *o = E::from_f64(*v));
            }
        }
    }
}

/// These matrices, and all that they are made of.
fn needed_for<'a>(nodes: &[WeightNode], these: impl Iterator<Item = &'a WeightId>) -> Vec<bool> {
    let mut needed = vec![false; nodes.len()];
    these.for_each(|weight| needed[weight.index()] = true);
    for i in (0..nodes.len()).rev() {
        nodes[i].op.inputs().into_iter().for_each(|input| needed[input.index()] |= needed[i]);
    }
    needed
}

/// Which matrices are needed, and which of them get gradients.
fn wanted(
    nodes: &[WeightNode],
    program: &Program,
    param_trains: &dyn Fn(ParamId) -> bool,
) -> (Vec<bool>, Vec<bool>) {
    let leaves = &program.leaves;
    let needed = needed_for(nodes, program.used.iter().chain(&program.only_read.used).chain(leaves));
    let before_leaf = needed_for(nodes, leaves.iter());
    let mut differentiated = vec![false; nodes.len()];
    for i in 0..nodes.len() {
        let trains = match nodes[i].op {
            WeightOp::Param(id) => param_trains(id),
            ref op => op.inputs().into_iter().any(|w| differentiated[w.index()]),
        };
        differentiated[i] = trains && before_leaf[i];
    }
    (needed, differentiated)
}

/// Which matrices are leaves whose sums are all of their gradients: no other matrix that gets a gradient is made of them.
fn alone(nodes: &[WeightNode], leaves: &[WeightId], differentiated: &[bool]) -> Vec<bool> {
    let mut alone = vec![false; nodes.len()];
    leaves.iter().for_each(|leaf| alone[leaf.index()] = differentiated[leaf.index()]);
    for (node, differentiated) in nodes.iter().zip(differentiated) {
        if *differentiated {
            node.op.inputs().into_iter().for_each(|input| alone[input.index()] = false);
        }
    }
    alone
}

/// Elements that the matrices of a program will hold, before they are made, with the gradients of parameters, but without the sums
/// of the leaves.
pub(crate) fn elements(graph: &Graph, program: &Program, param_trains: &dyn Fn(ParamId) -> bool) -> f64 {
    let nodes = graph.weights();
    let (needed, mut differentiated) = wanted(nodes, program, param_trains);
    let alone = alone(nodes, &program.leaves, &differentiated);
    for (i, node) in nodes.iter().enumerate() {
        differentiated[i] &= !(alone[i] && matches!(node.op, WeightOp::Param(_)));
    }
    let size = |node: &WeightNode| node.rows as f64 * padded(node.cols) as f64;
    let mut held = 0.0;
    for (node, (needed, differentiated)) in nodes.iter().zip(needed.into_iter().zip(differentiated)) {
        let is_param = matches!(node.op, WeightOp::Param(_));
        held += size(node) * (f64::from(u8::from(needed)) + f64::from(u8::from(differentiated)));
        if is_param && differentiated {
            held += node.rows as f64 * node.cols as f64;
        }
    }
    held
}

/// Adds the gradient of input number `which` of an operation on rows of matrices.
fn rowwise_back<'a, E: Element>(
    op: &RowOp,
    inputs: &[WeightId],
    which: usize,
    of: &dyn Fn(WeightId) -> &'a Matrix<E>,
    dy: &Matrix<E>,
    d: &mut Matrix<E>,
) {
    let mut out = vec![E::zero(); dy.cols];
    let mut summand = vec![E::zero(); d.cols];
    for r in 0..dy.rows {
        let rows: Vec<&[E]> = inputs.iter().map(|w| of(*w).row(r)).collect();
        let kept = op.forward(&rows, &mut out);
        let row = Row { inputs: &rows, out: &out, d_out: dy.row(r), kept };
        op.backward(which, &row, &mut summand);
        add_into(d.row_mut(r), &summand);
    }
}
