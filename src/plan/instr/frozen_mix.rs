//! Gradients that go on to a pattern without being made.
//!
//! Where a layer reads `X = A V + C` at all positions, for queries at a few of them, the gradient of `X` is a product of few rows:
//! `dX = P^T Y`, with the weights of these queries or their gradients as `P` and with `Y` as wide as the model. If nothing but the
//! pattern `A` trains, `dA = dX V^T = P^T (Y V^T)`: the right-hand side needs neither `dX` nor a product of all positions with `V^T`.
use crate::kernels::{Beta, Buffer, Element, View, add_into, clear, gemm, padded};
use crate::plan::program::{FrozenMix, Val};
use crate::plan::workspace::{head, head_mut};

use super::Frame;
use super::blocks::{blocks, filled, limit_of, seeing, up_to_queries};

impl<E: Element> Frame<'_, E> {
    /// The mix with frozen values that `x` is, if its gradient is best handed on by so many rows: a rule of thumb, since other readers
    /// may want the gradient itself.
    pub(super) fn frozen_mix(&self, x: Val, rows: usize) -> Option<FrozenMix> {
        let info = self.program().info(x);
        info.frozen_mix.filter(|_| info.trains && rows <= FrozenMix::most_rows(self.len(), info.cols))
    }

    /// Opens the gradient of the mix's pattern. Give it back with [`Self::close_pattern`].
    pub(super) fn open_pattern(&mut self, mix: FrozenMix) -> Option<PatternGradient<E>> {
        let (gradient, beta) = self.ws.open(self.program(), mix.pattern)?;
        let product = std::mem::take(&mut self.ws.scratch);
        Some(PatternGradient { mix, gradient, beta, product })
    }

    pub(super) fn close_pattern(&mut self, to: PatternGradient<E>) {
        self.ws.put_gradient(self.program(), to.mix.pattern, to.gradient);
        self.ws.scratch = to.product;
    }
}

impl FrozenMix {
    /// Up to how many rows of `dim` columns of a sequence's `t` `Y V^T` and its product with `P^T` are cheaper than `dX V^T`.
    pub fn most_rows(t: usize, dim: usize) -> usize {
        // rows * (dim + t) < t * dim
        (t * dim).saturating_sub(1) / (dim + t).max(1)
    }
}

/// The gradient of the pattern of a mix, taken out of the workspace.
pub(super) struct PatternGradient<E> {
    mix: FrozenMix,
    gradient: Buffer<E>,
    /// Whether to add to what is there.
    beta: Beta,
    /// `Y V^T`.
    product: Buffer<E>,
}

impl<E: Element> PatternGradient<E> {
    /// `dA += P^T (Y V^T)` for the rows of one head at these positions: `P` `[rows, seq]`, zero behind each query up to the end of its
    /// block of keys; `Y` `[rows, dim]`.
    pub fn add(&mut self, frame: &Frame<'_, E>, positions: &[u32], (p, y): (View<'_, E>, View<'_, E>)) {
        self.multiply(frame, positions, y);
        let (t, rows) = (frame.len(), positions.len());
        let product = head(&self.product, 0, rows, t);
        for (r0, r1, limit) in blocks(frame.seq.all) {
            let seeing = seeing(positions, r0);
            let p = p.block(seeing.clone(), r0..r1).t();
            let to = head_mut(&mut self.gradient, 0, t, t).block(r0..r1, 0..limit);
            gemm(to, self.beta, E::one(), p, product.block(seeing, 0..limit));
        }
        self.beta = Beta::Add;
    }

    /// `dA[p] += y V^T` for the rows `y` of `Y` at these positions.
    pub fn add_rows(&mut self, frame: &Frame<'_, E>, positions: &[u32], y: View<'_, E>) {
        self.multiply(frame, positions, y);
        let (t, rows) = (frame.len(), positions.len());
        let mut to = head_mut(&mut self.gradient, 0, t, t);
        if self.beta == Beta::Zero {
            for (r0, r1, limit) in blocks(frame.seq.all) {
                (r0..r1).for_each(|r| clear(&mut to.row_mut(r)[..limit]));
            }
        }
        let product = head(&self.product, 0, rows, t);
        for (r, &position) in positions.iter().enumerate() {
            let seen = position as usize + 1;
            add_into(&mut to.row_mut(position as usize)[..seen], &product.row(r)[..seen]);
        }
        self.beta = Beta::Add;
    }

    /// `Y V^T`, as far as the queries at these positions see, and zeros up to the end of the last one's block of keys, where `P^T` has
    /// zeros, too.
    fn multiply(&mut self, frame: &Frame<'_, E>, positions: &[u32], y: View<'_, E>) {
        let (t, rows) = (frame.len(), positions.len());
        let values_t = frame.ws.transposed(frame.program(), self.mix.values_t);
        let mut product = head_mut(self.product.scratch(rows * padded(t)), 0, rows, t);
        up_to_queries(positions, product.reborrow(), Beta::Zero, (y, values_t));
        if let Some(last) = positions.last() {
            let end = limit_of(*last);
            (0..rows).for_each(|r| clear(&mut product.row_mut(r)[end..filled(end, t)]));
        }
    }
}
