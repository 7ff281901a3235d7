//! One thread's buffers: planned once, used for every sequence.
use crate::engine::{Read, RowLists, RowSet};
use crate::graph::Index;
use crate::kernels::{Beta, Buffer, Element, View, ViewMut, padded};

use super::instr::{Angles, BLOCK, Instr, Rotate, Rows};
use super::program::{FrozenMix, Layout, Program, Val, ValInfo};

/// What an instruction knows of the sequence that is being run.
#[derive(Clone, Copy)]
pub(crate) struct Sequence<'a> {
    pub x: &'a [u32],
    pub y: &'a [u32],
    /// Its number in the batch.
    pub number: usize,
    /// The row sets of the batch.
    pub sets: &'a [RowLists],
    /// `0..seq`.
    pub all: &'a [u32],
    /// The position of each row: `0..seq`, unless rows of many sequences are computed together.
    pub at: &'a [u32],
    /// Zeros, one a position.
    pub zeros: &'a [u32],
}

impl<'a> Sequence<'a> {
    pub fn positions(&self, rows: RowSet) -> &'a [u32] {
        match rows {
            RowSet::All => self.all,
            RowSet::Set(k) => self.sets[k].sequence(self.number),
        }
    }

    /// The distributions of the next token at the positions of a row set.
    pub fn distributions(&self, set: usize) -> &'a [f64] {
        self.sets[set].distributions(self.number)
    }

    /// The table row of every position.
    pub fn index(&self, index: Index) -> &'a [u32] {
        match index {
            Index::Tokens => self.x,
            Index::Positions => self.at,
            Index::First => self.zeros,
        }
    }
}

/// Values and gradients of one sequence, and scratch space.
pub(crate) struct Workspace<E> {
    /// Shared by values that are never there together.
    values: Vec<Buffer<E>>,
    /// Shared by values whose gradients are never there together.
    gradients: Vec<Buffer<E>>,
    /// Whether something has arrived at the gradient of a value, by its home.
    touched: Vec<bool>,
    /// Numbers that the backward pass of an operation on rows wants, one a row and head: the inverse deviations of a norm.
    pub kept: Vec<Vec<E>>,
    /// As wide as the widest row: a copy of one.
    pub row: Vec<E>,
    /// The angles of each rotation, by its output.
    pub angles: Vec<Angles<E>>,
    pub scratch: Buffer<E>,
    /// A block of a pattern's gradient, or one head of it.
    pub block: Buffer<E>,
    /// Table rows of selected positions.
    pub indices: Vec<Vec<u32>>,
    seq: usize,
}

impl<E: Element> Workspace<E> {
    pub fn new(program: &Program, seq: usize) -> Self {
        let n = program.vals.len();
        let [values, gradients] = lens(program, seq);
        let mut values = Buffer::together(&[&values[..], &gradients].concat());
        let gradients = values.split_off(values.len() - gradients.len());
        let [scratch, block] = scratch_lens(program, seq);
        let mut workspace = Workspace {
            values,
            gradients,
            touched: vec![false; n],
            kept: vec![Vec::new(); n],
            row: vec![E::zero(); program.vals.iter().map(|info| padded(info.cols)).max().unwrap_or_default()],
            angles: (0..n).map(|_| Angles::default()).collect(),
            scratch: Buffer::zeros(scratch),
            block: Buffer::zeros(block),
            indices: (0..16).map(|_| Vec::with_capacity(seq)).collect(),
            seq,
        };
        for instr in &program.instrs {
            match *instr {
                Instr::Rotate(Rotate { out, heads, theta, .. }) => {
                    workspace.angles[out.0] = Angles::new(seq, program.info(out).cols / heads, theta);
                }
                Instr::Rows(Rows { out, heads, .. }) => workspace.kept[out.0] = vec![E::zero(); seq * heads],
                _ => {}
            }
        }
        workspace
    }

    pub fn begin(&mut self) {
        self.touched.fill(false);
    }

    /// Takes a value's buffer out, to be written; give it back with [`Self::put`].
    pub fn take(&mut self, program: &Program, val: Val) -> Buffer<E> {
        std::mem::take(&mut self.values[program.info(val).buffer])
    }

    pub fn put(&mut self, program: &Program, val: Val, buffer: Buffer<E>) {
        self.values[program.info(val).buffer] = buffer;
    }

    /// Fills a value: `body` gets its buffer, and the workspace without it.
    pub fn write(&mut self, program: &Program, val: Val, body: impl FnOnce(&mut Self, &mut Buffer<E>)) {
        let mut buffer = self.take(program, val);
        body(self, &mut buffer);
        self.put(program, val, buffer);
    }

    /// Passes a gradient back from `out` to `x`, if one has arrived and `x` trains: `body` gets the workspace without
    /// the two gradients, `dy`, `dx`, and whether to add to `dx`.
    pub fn pass_back(
        &mut self,
        program: &Program,
        (out, x): (Val, Val),
        body: impl FnOnce(&mut Self, &mut Buffer<E>, &mut Buffer<E>, Beta),
    ) {
        let Some(mut dy) = self.take_gradient(program, out) else { return };
        if let Some((mut dx, beta)) = self.open(program, x) {
            body(self, &mut dy, &mut dx, beta);
            self.put_gradient(program, x, dx);
        }
        self.put_gradient(program, out, dy);
    }

    /// A value's buffer.
    pub fn value(&self, program: &Program, val: Val) -> &[E] {
        &self.values[program.info(val).buffer]
    }

    /// A stream as a matrix of its first `rows` rows.
    pub fn stream(&self, program: &Program, val: Val, rows: usize) -> View<'_, E> {
        let cols = program.info(val).cols;
        View::new(self.value(program, val), rows, cols, padded(cols))
    }

    /// A stream with its padding, rounded up to the vector width of a product: zeros.
    pub fn wide(&self, program: &Program, val: Val, rows: usize) -> View<'_, E> {
        let cols = program.info(val).cols;
        View::new(self.value(program, val), rows, cols.next_multiple_of(16), padded(cols))
    }

    /// The transpose of a stream, with its padding: `[cols, seq]`.
    pub fn transposed(&self, program: &Program, val: Val) -> View<'_, E> {
        let info = program.info(val);
        View::new(self.value(program, val), info.cols, self.seq.next_multiple_of(16), padded(self.seq))
    }

    /// Takes the gradient of a value out if something has arrived there.
    pub fn take_gradient(&mut self, program: &Program, val: Val) -> Option<Buffer<E>> {
        let info = program.info(val);
        let buffer = info.gradient.filter(|_| info.trains && self.touched[info.home.0])?;
        Some(std::mem::take(&mut self.gradients[buffer]))
    }

    pub fn put_gradient(&mut self, program: &Program, val: Val, buffer: Buffer<E>) {
        if let Some(place) = program.info(val).gradient {
            self.gradients[place] = buffer;
        }
    }

    /// The gradient of a value, if something has arrived.
    pub fn gradient(&self, program: &Program, val: Val) -> Option<&[E]> {
        let info = program.info(val);
        if self.touched[info.home.0] { Some(&self.gradients[info.gradient?]) } else { None }
    }

    /// Opens the gradient of a value for one more contribution: the buffer, and whether to add to what is there.
    /// `None` if the value does not train. Give it back with [`Self::put_gradient`].
    pub fn open(&mut self, program: &Program, val: Val) -> Option<(Buffer<E>, Beta)> {
        let info = program.info(val);
        let buffer = info.gradient.filter(|_| info.trains)?;
        let beta = if self.touched[info.home.0] { Beta::Add } else { Beta::Zero };
        self.touched[info.home.0] = true;
        Some((std::mem::take(&mut self.gradients[buffer]), beta))
    }

    /// Announces contributions to the gradient of a value, which are made by parts: whether to add to what is there, for each part
    /// the first time. `None` if the value does not train. Take the buffer with [`Self::take_announced`].
    pub fn announce(&mut self, program: &Program, val: Val) -> Option<Beta> {
        let (buffer, beta) = self.open(program, val)?;
        self.put_gradient(program, val, buffer);
        Some(beta)
    }

    /// The buffer of a gradient that has been announced. Give it back with [`Self::put_gradient`].
    pub fn take_announced(&mut self, program: &Program, val: Val) -> Buffer<E> {
        let place = program.info(val).gradient.expect("an announced gradient has a buffer");
        std::mem::take(&mut self.gradients[place])
    }

    /// Puts the values of a patched site in their place: `[seq, cols]` or `[heads, seq, seq]`, row-major.
    pub fn patch(&mut self, program: &Program, seq: &Sequence<'_>, out: Val, values: &[E]) {
        let (info, t) = (program.info(out), seq.x.len());
        let positions = seq.positions(info.rows);
        self.write(program, out, |_, buffer| {
            for (h, values) in values.chunks_exact(t * info.cols).enumerate() {
                let base = if info.layout == Layout::Pattern { h * head_stride(t) } else { 0 };
                let rows = buffer[base..].chunks_exact_mut(padded(info.cols));
                for (to, &p) in rows.zip(positions) {
                    to[..info.cols].copy_from_slice(&values[p as usize * info.cols..][..info.cols]);
                }
            }
        });
    }

    /// An activation as the observer sees it.
    pub fn read<'a>(&'a self, program: &Program, val: Val, sequence: &Sequence<'a>) -> Read<'a, E> {
        let info = program.info(val);
        let positions = sequence.positions(info.rows);
        let ld = padded(info.cols);
        let head_stride = if info.layout == Layout::Pattern { head_stride(self.seq) } else { 0 };
        Read {
            data: self.value(program, val),
            rows: positions.len(),
            cols: info.cols,
            ld,
            head_stride,
            positions,
        }
    }
}

/// Elements of a value's buffer.
pub(crate) fn len(info: &ValInfo, seq: usize) -> usize {
    let rows = seq.next_multiple_of(16);
    match info.layout {
        Layout::Stream => rows * padded(info.cols),
        Layout::Pattern => info.heads * rows * padded(seq),
        Layout::Transposed => info.cols * padded(seq),
    }
}

/// Elements of each buffer of values, and of each buffer of gradients.
fn lens(program: &Program, seq: usize) -> [Vec<usize>; 2] {
    let mut lens = [Vec::new(), Vec::new()];
    for info in &program.vals {
        let own = program.info(info.home);
        for (lens, buffer) in lens.iter_mut().zip([Some(info.buffer), info.gradient]) {
            let Some(buffer) = buffer else { continue };
            lens.resize(lens.len().max(buffer + 1), 0);
            lens[buffer] = lens[buffer].max(len(own, seq));
        }
    }
    lens
}

/// Elements of the two buffers for what is on the way, as far as they are large: products for the gradient of a pattern, and gradients of
/// weights.
fn scratch_lens(program: &Program, seq: usize) -> [usize; 2] {
    let mixes = program.vals.iter().filter(|info| info.frozen_mix.is_some());
    let rows = mixes.map(|info| FrozenMix::most_rows(seq, info.cols));
    let block = program.instrs.iter().map(|instr| match instr {
        Instr::Attend(attend) if program.info(attend.mix.out).trains => head_stride(seq),
        Instr::DotPattern(pattern) if program.info(pattern.out).trains => head_stride(seq),
        Instr::TablePattern(pattern) if program.info(pattern.out).trains => BLOCK * padded(seq),
        _ => 0,
    });
    [rows.max().unwrap_or_default() * padded(seq), block.max().unwrap_or_default()]
}

/// Elements that the workspace of one thread will hold, before it is made.
pub(crate) fn elements(program: &Program, seq: usize) -> f64 {
    lens(program, seq).into_iter().flatten().chain(scratch_lens(program, seq)).map(|len| len as f64).sum()
}

/// Distance of the heads of a pattern.
pub(crate) fn head_stride(seq: usize) -> usize {
    seq.next_multiple_of(16) * padded(seq)
}

/// Head `h` of a pattern, `rows` of them, with the padding of the columns.
pub(crate) fn head<E: Element>(data: &[E], h: usize, rows: usize, seq: usize) -> View<'_, E> {
    View::new(&data[h * head_stride(seq)..], rows, seq.next_multiple_of(16), padded(seq))
}

/// The same, to be written.
pub(crate) fn head_mut<E: Element>(data: &mut [E], h: usize, rows: usize, seq: usize) -> ViewMut<'_, E> {
    ViewMut::new(&mut data[h * head_stride(seq)..], rows, seq.next_multiple_of(16), padded(seq))
}
