//! Passes over lowered instructions.
use std::collections::BTreeSet;

use super::instr::{Affine, Instr, Instruction, Mix, Summand, TablePattern};
use super::program::{FrozenMix, Layout, Program, Val};
use crate::engine::RowSet;

/// Keeps gradients only where they reach the loss: a branch that is merely read is computed, not differentiated.
pub(crate) fn keep_gradients_before_the_loss(program: &mut Program, weight_trains: &[bool]) {
    let mut reaches = vec![false; program.vals.len()];
    let mut leaves = BTreeSet::new();
    for instr in program.instrs.iter().rev() {
        if instr.out().is_none_or(|out| reaches[out.0]) {
            instr.inputs().into_iter().for_each(|val| reaches[val.0] = true);
            // a pattern of tables leaves the gradients of all its tables, or none
            let together =
                matches!(instr, Instr::TablePattern(TablePattern { out, .. }) if program.vals[out.0].trains);
            for weight in instr.weights() {
                let wanted = together || weight_trains[weight.index()];
                if wanted {
                    leaves.insert(weight);
                }
            }
        }
    }
    for (info, reaches) in program.vals.iter_mut().zip(reaches) {
        info.trains &= reaches;
    }
    program.leaves = leaves.into_iter().collect();
}

/// Lets a sum grow in the buffer of one of its summands, and a ReLU or a rotation act where it stands, when nobody else reads the old
/// value: neither the value nor its gradient is ever copied.
pub(crate) fn complete_in_place(program: &mut Program) {
    let mut readers = vec![0; program.vals.len()];
    for instr in &program.instrs {
        instr.inputs().into_iter().for_each(|val| readers[val.0] += 1);
    }
    program.reads.iter().for_each(|val| readers[val.0] += 2);
    let mut replaceable = vec![false; program.vals.len()];
    for instr in &program.instrs {
        if let Some(out) = instr.out() {
            replaceable[out.0] = !instr.reads_out_backward() && program.info(out).layout == Layout::Stream;
        }
    }
    let free = |val: Val| readers[val.0] == 1 && replaceable[val.0];
    let mut homes: Vec<Val> = program.vals.iter().map(|info| info.home).collect();
    for instr in &mut program.instrs {
        match instr {
            Instr::Affine(Affine { out, summands, in_place }) => {
                let chosen = summands
                    .iter()
                    .position(|s| matches!(s, Summand::Plain { val, scale: 1.0 } if free(*val)));
                if let Some(i) = chosen {
                    let Summand::Plain { val, .. } = summands.remove(i) else { unreachable!("chosen above") };
                    homes[out.0] = homes[val.0];
                    *in_place = true;
                }
            }
            Instr::Rows(rows) if rows.may_replace_its_input() && free(rows.inputs[0]) => {
                homes[rows.out.0] = homes[rows.inputs[0].0];
            }
            Instr::Rotate(rotate) if free(rotate.x) => homes[rotate.out.0] = homes[rotate.x.0],
            _ => {}
        }
    }
    for (info, home) in program.vals.iter_mut().zip(homes) {
        info.home = home;
    }
}

/// Finds the values that are mixes by a pattern of tables, of which nothing but the pattern trains, and that somebody reads at some
/// positions alone.
pub(crate) fn find_frozen_mixes(program: &mut Program) {
    let of_tables = |instr: &Instr| match instr {
        Instr::TablePattern(TablePattern { out, .. }) => Some(*out),
        _ => None,
    };
    let patterns: BTreeSet<Val> = program.instrs.iter().filter_map(of_tables).collect();
    let mut found: Vec<Option<FrozenMix>> = vec![None; program.vals.len()];
    // what the last value in each buffer is
    let mut at_home = found.clone();
    for instr in &program.instrs {
        let Some(out) = instr.out() else { continue };
        let home = program.info(out).home;
        found[out.0] = match instr {
            Instr::Mix(Mix { pattern, v, values_t: Some(values_t), .. })
                if patterns.contains(pattern)
                    && program.info(out).rows == RowSet::All
                    && !program.info(*v).trains =>
            {
                Some(FrozenMix { pattern: *pattern, values_t: *values_t })
            }
            Instr::Affine(Affine { in_place: true, summands, .. })
                if !summands.iter().any(|summand| summand.trains(program)) =>
            {
                at_home[home.0]
            }
            _ => None,
        };
        at_home[home.0] = found[out.0];
    }
    let mut read_at_some = vec![false; program.vals.len()];
    for instr in &program.instrs {
        let (out, read) = match instr {
            Instr::Select(select) => (select.out, vec![select.x]),
            Instr::Mix(mix) => (mix.out, vec![mix.v]),
            Instr::DotPattern(pattern) => (pattern.out, vec![pattern.k]),
            Instr::Attend(attend) => (attend.mix.out, vec![attend.pattern.k, attend.mix.v]),
            _ => continue,
        };
        let at_some = program.info(out).rows != RowSet::All;
        read.into_iter().for_each(|val| read_at_some[val.0] |= at_some);
    }
    for v in 0..program.vals.len() {
        let trains = |mix: &FrozenMix| program.vals[v].trains && program.info(mix.pattern).trains;
        program.vals[v].frozen_mix = found[v].filter(|mix| read_at_some[v] && trains(mix));
    }
}
