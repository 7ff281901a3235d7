//! Which values and which gradients share a buffer of the workspace.
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use super::instr::{Attend, Instr, Instruction, Mix};
use super::program::{Layout, Program, Val, ValInfo};
use super::workspace;

/// What two values must have in common to share a buffer: its length, and how rows lie in it unless the columns of both are whole vectors.
/// Of others, products read the last vector of a row to its end, which nothing is written to and which stays zero.
type Class = (usize, Option<(Layout, usize, usize)>);

fn class(info: &ValInfo, seq: usize) -> Class {
    let whole = seq.is_multiple_of(16) && info.cols.is_multiple_of(16);
    (workspace::len(info, seq), (!whole).then_some((info.layout, info.cols, info.heads)))
}

/// Buffers by their numbers, and those that nothing is left in.
struct Pool<Class> {
    made: usize,
    left: HashMap<Class, Vec<usize>>,
}

impl<Class: Eq + Hash> Pool<Class> {
    fn new() -> Self {
        Pool { made: 0, left: HashMap::new() }
    }

    /// A buffer that has never been used.
    fn unused(&mut self) -> usize {
        self.made += 1;
        self.made - 1
    }

    /// The buffer of this class that was left last, or one that has never been used.
    fn take(&mut self, class: &Class) -> usize {
        let left = self.left.get_mut(class).and_then(Vec::pop);
        left.unwrap_or_else(|| self.unused())
    }

    fn leave(&mut self, class: Class, buffer: usize) {
        self.left.entry(class).or_default().push(buffer);
    }
}

/// The values that an instruction makes.
pub(crate) fn made_by(instr: &Instr) -> Vec<Val> {
    match instr {
        Instr::Attend(Attend { pattern, mix }) => vec![pattern.out, mix.out],
        other => other.out().into_iter().collect(),
    }
}

/// Gives each value a buffer: one that an earlier value has left, if there is one. The memory that a sequence goes through is smaller
/// then, and what has just been read is still in the processor's nearest cache.
///
/// Values that the request reads, that a backward pass reads, that are patched, or that the front makes have buffers of their own.
pub(crate) fn share_values(program: &mut Program, seq: usize) {
    let home = |val: Val| program.info(val).home.0;
    let mut kept = vec![false; program.vals.len()];
    program.reads.iter().for_each(|val| kept[home(*val)] = true);
    program.patched.iter().for_each(|(val, _)| kept[home(*val)] = true);
    let front = &program.instrs[..program.front.len()];
    front.iter().flat_map(made_by).for_each(|val| kept[home(val)] = true);
    let mut last = vec![None; program.vals.len()];
    for (i, instr) in program.instrs.iter().enumerate() {
        let trains = instr.out().is_none_or(|out| program.info(out).trains);
        if trains && !program.leaves.is_empty() {
            instr.read_backward(program).into_iter().for_each(|val| kept[home(val)] = true);
            let out = instr.out().filter(|_| instr.reads_out_backward());
            out.into_iter().for_each(|val| kept[home(val)] = true);
        }
        instr.inputs().into_iter().chain(made_by(instr)).for_each(|val| last[home(val)] = Some(i));
    }
    let mut pool = Pool::new();
    let mut buffer_of = vec![None; program.vals.len()];
    for (i, instr) in program.instrs.iter().enumerate() {
        let made = made_by(instr);
        for val in made.iter().map(|val| home(*val)) {
            if buffer_of[val].is_none() {
                let class = class(&program.vals[val], seq);
                buffer_of[val] = Some(if kept[val] { pool.unused() } else { pool.take(&class) });
            }
        }
        // an instruction never writes over what it reads, so what it is the last to read is left after it
        let used: BTreeSet<usize> = instr.inputs().into_iter().chain(made).map(home).collect();
        for val in used.into_iter().filter(|val| !kept[*val] && last[*val] == Some(i)) {
            if let Some(buffer) = buffer_of[val] {
                pool.leave(class(&program.vals[val], seq), buffer);
            }
        }
    }
    for v in 0..program.vals.len() {
        let home = program.vals[v].home.0;
        program.vals[v].buffer = *buffer_of[home].get_or_insert_with(|| pool.unused());
    }
}

/// Gives each value a buffer of its own.
pub(crate) fn own_values(program: &mut Program) {
    for v in 0..program.vals.len() {
        program.vals[v].buffer = program.vals[v].home.0;
    }
}

/// Gives each gradient a buffer of the workspace: one that an earlier gradient of the same shape has left, if there is one. A
/// buffer that has just been read is still in the processor's nearest cache. Patterns to which readers of a frozen mix hand its gradient on
/// have buffers of their own.
pub(crate) fn share_gradients(program: &mut Program) {
    let mut first = vec![None; program.vals.len()];
    let mut last = vec![0; program.vals.len()];
    let mut maker = vec![None; program.vals.len()];
    for (i, instr) in program.for_loss().iter().enumerate() {
        // the backward pass goes from the last instruction to the first: readers open the gradient ...
        for val in instr.inputs().into_iter().filter(|val| program.info(*val).layout == Layout::Stream) {
            first[program.info(val).home.0] = Some(i);
        }
        let Some(out) = instr.out() else { continue };
        maker[out.0] = Some(i);
        // ... the maker of the value is the last to look at it, but for the pattern of a mix
        if program.info(out).home == out {
            last[out.0] = i;
        }
    }
    for instr in program.for_loss() {
        if let Instr::Mix(Mix { out, pattern, .. }) = instr
            && let Some(pattern) = maker[pattern.0]
        {
            let home = program.info(*out).home;
            last[home.0] = last[home.0].min(pattern);
        }
    }
    let mut wanted = vec![false; program.vals.len()];
    program.vals.iter().filter(|info| info.trains).for_each(|info| wanted[info.home.0] = true);
    // the gradients that each instruction is the first to open, and those that it is the last to look at
    let mut opened = vec![Vec::new(); program.instrs.len()];
    let mut closed = opened.clone();
    for (v, first) in first.into_iter().enumerate().filter(|(v, _)| wanted[*v]) {
        if let Some(first) = first {
            opened[first].push(v);
            closed[last[v]].push(v);
        }
    }
    let mut pool = Pool::new();
    for i in (0..program.instrs.len()).rev() {
        let shape = |info: &ValInfo| (info.layout, info.cols, info.heads);
        for &v in &opened[i] {
            program.vals[v].gradient = Some(pool.take(&shape(&program.vals[v])));
        }
        for &v in &closed[i] {
            let info = &program.vals[v];
            if let Some(buffer) = info.gradient {
                pool.leave(shape(info), buffer);
            }
        }
    }
    for v in 0..program.vals.len() {
        program.vals[v].gradient = program.vals[program.vals[v].home.0].gradient;
    }
    let patterns: BTreeSet<Val> =
        program.vals.iter().filter_map(|info| info.frozen_mix).map(|mix| mix.pattern).collect();
    for pattern in patterns {
        program.vals[pattern.0].gradient = Some(pool.unused());
    }
}

/// Gives each gradient a buffer of its own.
pub(crate) fn own_gradients(program: &mut Program) {
    for (v, info) in program.vals.iter_mut().enumerate() {
        info.gradient = (info.trains && info.layout == Layout::Stream).then_some(v);
    }
}
