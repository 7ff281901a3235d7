//! The front of a program: what depends on the token and the position of a row alone.
//!
//! Rows of lookups, and what row-wise operations and maps make of them, are equal wherever the token and the position are. This pass
//! brings the instructions that compute them to the front of the program, where a batch can run them once for all rows that are
//! alike (`pairs.rs`). It changes no arithmetic: at most the order of additions.
use crate::engine::RowSet;

use super::instr::{Affine, Instr, Instruction, Summand};
use super::program::{Layout, Program, Val, ValInfo};

/// The first instructions of a program, which compute each row from its token and its position.
#[derive(Clone, Debug, Default)]
pub(crate) struct Front {
    /// For each instruction of the front, whether its backward pass needs the value that the instruction makes.
    pub needed_backward: Vec<bool>,
    /// The values that the rest of the program reads.
    pub handed: Vec<Handed>,
    /// Numbers of a row of all values that are handed on, side by side.
    pub width: usize,
}

/// A value that the front hands on to the rest of the program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handed {
    pub val: Val,
    /// Where it begins in a row of all of them.
    pub first: usize,
    /// Whether the rest of the program passes a gradient back to it.
    pub trains: bool,
}

impl Front {
    /// The number of instructions.
    pub fn len(&self) -> usize {
        self.needed_backward.len()
    }

    /// Whether the rest of the program passes gradients back to it.
    pub fn trains(&self) -> bool {
        self.handed.iter().any(|handed| handed.trains)
    }
}

/// One part in so many of the numbers of all maps must be in the front; with less, a step gains little and holds more.
const LEAST_PART: usize = 4;

/// Brings what depends on token and position alone to the front, if enough of the maps are among it. Where products of the front are
/// summed with others, they get a sum of their own.
pub(crate) fn bring_to_the_front(program: &mut Program) {
    let mut alone = vec![false; program.vals.len()];
    let (mut in_front, mut in_all) = (0, 0);
    for instr in &program.instrs {
        if let Some(out) = instr.out().filter(|_| depends_on_token_and_position(instr, program, &alone)) {
            alone[out.0] = true;
        }
        if let Instr::Affine(Affine { out, summands, .. }) = instr {
            for val in summands.iter().filter_map(mapped) {
                let numbers = program.info(val).cols * program.info(*out).cols;
                in_all += numbers;
                in_front += if alone[val.0] { numbers } else { 0 };
            }
        }
    }
    if in_front == 0 || LEAST_PART * in_front < in_all {
        return;
    }
    let mut instrs = Vec::with_capacity(program.instrs.len());
    for mut instr in std::mem::take(&mut program.instrs) {
        if let Instr::Affine(sum) = &mut instr
            && let Some(apart) = sum_apart(sum, program, &alone)
        {
            alone.push(true);
            instrs.push(apart.into());
        }
        instrs.push(instr);
    }
    let in_front = |instr: &Instr| instr.out().is_some_and(|out| alone[out.0]);
    let (mut front, rest): (Vec<Instr>, Vec<Instr>) = instrs.into_iter().partition(in_front);
    let [inside, outside] = [&front, &rest].map(|instrs| {
        let mut read = vec![false; program.vals.len()];
        instrs.iter().flat_map(Instruction::inputs).for_each(|val| read[val.0] = true);
        read
    });
    for instr in &front {
        let Some(out) = instr.out() else { continue };
        program.front.needed_backward.push(instr.reads_out_backward() || inside[out.0]);
        if outside[out.0] || program.reads.contains(&out) {
            let trains = program.info(out).trains;
            program.front.handed.push(Handed { val: out, first: program.front.width, trains });
            program.front.width += program.info(out).cols.next_multiple_of(16);
        }
    }
    front.extend(rest);
    program.instrs = front;
}

/// The value that a summand maps.
fn mapped(summand: &Summand) -> Option<Val> {
    match *summand {
        Summand::Map { val, .. } => Some(val),
        Summand::Lookup { .. } | Summand::Plain { .. } | Summand::Gain { .. } => None,
    }
}

fn depends_on_token_and_position(instr: &Instr, program: &Program, alone: &[bool]) -> bool {
    let row_wise = matches!(
        instr,
        Instr::Affine(_) | Instr::Rows(_) | Instr::Gate(_) | Instr::Columns(_) | Instr::Concat(_)
    );
    let at_all = instr.out().is_some_and(|out| program.info(out).rows == RowSet::All);
    row_wise && at_all && instr.inputs().into_iter().all(|val| alone[val.0])
}

/// Takes the summands that depend on token and position alone out of a sum that does not, if a product is among them, and puts their
/// own sum in their place.
fn sum_apart(sum: &mut Affine, program: &mut Program, alone: &[bool]) -> Option<Affine> {
    let info = *program.info(sum.out);
    let is_alone = |summand: &Summand| match *summand {
        Summand::Lookup { .. } => true,
        Summand::Plain { val, .. } | Summand::Gain { val, .. } | Summand::Map { val, .. } => alone[val.0],
    };
    if alone[sum.out.0] || !sum.summands.iter().filter_map(mapped).any(|val| alone[val.0]) {
        return None;
    }
    let (apart, others): (Vec<Summand>, Vec<Summand>) = sum.summands.drain(..).partition(is_alone);
    let out = Val(program.vals.len());
    let apart = Affine { out, summands: apart, in_place: false };
    let trains = apart.summands.iter().any(|summand| summand.trains(program));
    program.vals.push(ValInfo {
        layout: Layout::Stream,
        trains: info.trains && trains,
        home: out,
        gradient: None,
        ..info
    });
    sum.summands = others;
    sum.summands.insert(0, Summand::Plain { val: out, scale: 1.0 });
    Some(apart)
}
