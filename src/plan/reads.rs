//! Activations that are only read, behind the instructions of the loss.
//!
//! The loss is lowered as if nothing were read, and what is read as if there were no loss. The second program then takes from the first
//! the values that both compute, and the rest of it is appended: a step computes the same numbers, to the last bit, whatever is read
//! of it, and what a metric has in common with the step is computed once.
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::engine::{Request, RowSet};
use crate::graph::{Graph, NodeId, WeightId};

use super::instr::{Affine, Instr, Instruction, Select};
use super::lower::{Lowered, Way, lower};
use super::program::{Layout, OnlyRead, Program, Val, ValInfo};
use super::{buffers, fuse, passes};

/// What is the same of two values that hold the same numbers.
#[derive(PartialEq)]
struct Made {
    /// With the numbers of its inputs in the places of the values, and nothing that only a backward pass needs.
    by: Instr,
    rows: RowSet,
    cols: usize,
    heads: usize,
    layout: Layout,
}

/// Numbers of values, the same for values that hold the same: those that equal instructions make of equal values.
#[derive(Default)]
pub(crate) struct Numbers {
    /// By the numbers of the inputs.
    made: HashMap<Vec<usize>, Vec<(Made, usize)>>,
    /// By the slot of a patch, and its rows.
    patched: HashMap<(usize, RowSet), usize>,
    next: usize,
}

impl Numbers {
    /// The number of each value that the instructions of a program, which no pass has changed yet, make.
    pub fn of(&mut self, program: &Program) -> Vec<Option<usize>> {
        let mut numbers = vec![None; program.vals.len()];
        for &(val, slot) in &program.patched {
            let number = *self.patched.entry((slot, program.info(val).rows)).or_insert(self.next);
            self.next = self.next.max(number + 1);
            numbers[val.0] = Some(number);
        }
        for instr in &program.instrs {
            if let Some(out) = instr.out() {
                numbers[out.0] = Some(self.made_by(instr, program.info(out), &numbers));
            }
        }
        numbers
    }

    fn made_by(&mut self, instr: &Instr, info: &ValInfo, numbers: &[Option<usize>]) -> usize {
        let mut by = instr.clone();
        if let Instr::Mix(mix) = &mut by {
            mix.values_t = None;
        }
        // of what is made later, which an instruction cannot read
        let number = |val: &Val| numbers[val.0].unwrap_or(usize::MAX);
        let inputs: Vec<usize> = by.inputs().iter().map(number).collect();
        by.vals_mut().into_iter().for_each(|val| *val = Val(number(val)));
        let ValInfo { rows, cols, heads, layout, .. } = *info;
        let made = Made { by, rows, cols, heads, layout };
        let alike = self.made.entry(inputs).or_default();
        if let Some((_, number)) = alike.iter().find(|(known, _)| *known == made) {
            return *number;
        }
        alike.push((made, self.next));
        self.next += 1;
        self.next - 1
    }
}

/// Whether each value of a program is there, whole, when its last instruction has run.
fn left(program: &Program) -> Vec<bool> {
    let mut at_home: Vec<Option<Val>> = vec![None; program.vals.len()];
    let patched = program.patched.iter().map(|(val, _)| *val);
    let made = program.instrs.iter().flat_map(buffers::made_by);
    patched.chain(made).for_each(|val| at_home[program.info(val).home.0] = Some(val));
    // the front may have run for pairs, of which only this is handed on
    let front = &program.instrs[..program.front.len()];
    let mut handed: BTreeMap<Val, bool> =
        front.iter().flat_map(buffers::made_by).map(|val| (val, false)).collect();
    handed.extend(program.front.handed.iter().map(|handed| (handed.val, true)));
    let is_left = |val: Val| {
        at_home[program.info(val).home.0] == Some(val) && handed.get(&val).copied().unwrap_or(true)
    };
    (0..program.vals.len()).map(|v| is_left(Val(v))).collect()
}

/// What is known of the values of a loss before the passes.
pub(crate) struct Known {
    numbers: Numbers,
    /// The number of each value.
    of: Vec<Option<usize>>,
    at_all: HashMap<NodeId, Val>,
}

impl Known {
    pub fn of(loss: &Lowered) -> Known {
        let mut numbers = Numbers::default();
        let of = numbers.of(&loss.program);
        Known { numbers, of, at_all: loss.at_all.clone() }
    }
}

/// Appends to the finished program of a loss what computes these reads, as far as it is not there. Returns the graph with the weights
/// that this adds.
pub(crate) fn append(
    graph: &Graph,
    program: &mut Program,
    mut known: Known,
    reads: &[(NodeId, RowSet)],
) -> Graph {
    let left = left(program);
    let whole = |(node, _): &(NodeId, RowSet)| known.at_all.get(node).copied().filter(|val| left[val.0]);
    let whole: Vec<Option<Val>> = reads.iter().map(whole).collect();
    let others = reads.iter().zip(&whole).filter(|(_, whole)| whole.is_none());
    let others = others.map(|(read, _)| *read).collect();
    let Lowered { graph, program: read, .. } =
        lower(graph, &Request::reads(others), &|_| false, Way::Cheapest);
    let by_number = known.of.iter().zip(&left).enumerate().filter(|(_, (_, left))| **left);
    let by_number: HashMap<usize, Val> =
        by_number.filter_map(|(v, (number, _))| Some(((*number)?, Val(v)))).collect();
    let numbers = known.numbers.of(&read);
    let shared: Vec<Option<Val>> =
        numbers.into_iter().map(|number| by_number.get(&number?).copied()).collect();
    let wanted = wanted(&read, &shared);

    let mut rest = Program { vals: std::mem::take(&mut program.vals), ..Program::default() };
    let mut places = shared.clone();
    for v in (0..places.len()).filter(|v| wanted[*v]) {
        places[v] = Some(rest.add(*read.info(Val(v))));
    }
    let placed = |val: Val| places[val.0].unwrap_or(val);
    let patched = read.patched.iter().filter(|(val, _)| wanted[val.0]);
    let patched: Vec<_> = patched.map(|(val, slot)| (placed(*val), *slot)).collect();
    for instr in read.instrs.iter().filter(|instr| instr.out().is_some_and(|out| wanted[out.0])) {
        let mut instr = instr.clone();
        instr.vals_mut().into_iter().for_each(|val| *val = placed(*val));
        rest.used.extend(weights_of(&instr));
        rest.instrs.push(instr);
    }
    let mut others = read.reads.iter().map(|val| placed(*val));
    for (&(_, rows), whole) in reads.iter().zip(whole) {
        let val = match (whole, rows) {
            (Some(x), RowSet::All) => Some(x),
            (Some(x), RowSet::Set(_)) => {
                let out = rest.add(ValInfo { rows, ..*rest.info(x) });
                rest.instrs.push(Select { out, x }.into());
                Some(out)
            }
            (None, _) => others.next(),
        };
        rest.reads.extend(val);
    }
    fuse::patterns_with_their_mixes(&mut rest);
    fuse::gates(&mut rest);
    passes::complete_in_place(&mut rest);
    program.vals = rest.vals;
    program.only_read = OnlyRead { instrs: rest.instrs.len(), patched: patched.len(), used: rest.used };
    program.instrs.extend(rest.instrs);
    program.patched.extend(patched);
    program.reads = rest.reads;
    graph
}

/// The values that must be made for the reads of a program, those left out that others share with it, and what they alone need.
fn wanted(read: &Program, shared: &[Option<Val>]) -> Vec<bool> {
    let mut wanted = vec![false; read.vals.len()];
    read.reads.iter().for_each(|val| wanted[val.0] = shared[val.0].is_none());
    for instr in read.instrs.iter().rev() {
        if instr.out().is_some_and(|out| wanted[out.0]) {
            instr.inputs().into_iter().for_each(|val| wanted[val.0] = shared[val.0].is_none());
        }
    }
    wanted
}

/// The weights that an instruction reads.
fn weights_of(instr: &Instr) -> BTreeSet<WeightId> {
    let transposed = match instr {
        Instr::Affine(Affine { summands, .. }) => summands.iter().filter_map(|s| s.transposed()).collect(),
        _ => vec![],
    };
    instr.weights().into_iter().chain(transposed).collect()
}
