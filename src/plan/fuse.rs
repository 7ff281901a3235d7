//! Passes that make one instruction of two, so that what lies between them stays near the core.
use super::instr::{Attend, Gate, Instr, Instruction, Rows};
use super::program::{Program, Val};
use crate::ops::RowOp;

/// How many instructions read each value.
fn readers(program: &Program) -> Vec<usize> {
    let mut readers = vec![0; program.vals.len()];
    for instr in &program.instrs {
        instr.inputs().into_iter().for_each(|val| readers[val.0] += 1);
    }
    readers
}

/// The place of the instruction that makes each value.
fn makers(program: &Program) -> Vec<Option<usize>> {
    let mut makers = vec![None; program.vals.len()];
    for (i, instr) in program.instrs.iter().enumerate() {
        if let Some(out) = instr.out() {
            makers[out.0] = Some(i);
        }
    }
    makers
}

/// Removes the instructions whose work others do now.
fn remove(program: &mut Program, gone: &[usize]) {
    let mut stays = vec![true; program.instrs.len()];
    gone.iter().for_each(|i| stays[*i] = false);
    let mut stays = stays.into_iter();
    program.instrs.retain(|_| stays.next().unwrap_or(true));
}

/// Makes one instruction of a pattern and of the only mix that reads it. The pattern itself may be read by the request.
pub(crate) fn patterns_with_their_mixes(program: &mut Program) {
    let (readers, makers) = (readers(program), makers(program));
    let mut gone = Vec::new();
    for i in 0..program.instrs.len() {
        let Instr::Mix(mix) = &program.instrs[i] else { continue };
        let Some(at) = makers[mix.pattern.0].filter(|_| readers[mix.pattern.0] == 1) else { continue };
        let Instr::DotPattern(pattern) = &program.instrs[at] else { continue };
        // by heads, the gradient of a value comes in parts: if it is read twice, both readers must cut it alike
        let cut_alike = |val, heads| val != mix.v || heads == mix.value_heads;
        if cut_alike(pattern.q, pattern.scoring.heads) && cut_alike(pattern.k, pattern.scoring.key_heads) {
            let (pattern, mix) = (pattern.clone(), mix.clone());
            program.instrs[i] = Attend { pattern, mix }.into();
            gone.push(at);
        }
    }
    remove(program, &gone);
}

/// Makes one instruction of `silu(gate)` and its product with another stream, if nobody else reads it, the request
/// included.
pub(crate) fn gates(program: &mut Program) {
    let (readers, makers) = (readers(program), makers(program));
    let mut gone = Vec::new();
    for i in 0..program.instrs.len() {
        let Instr::Rows(Rows { out, op: RowOp::Multiply(_), inputs, .. }) = &program.instrs[i] else {
            continue;
        };
        let [a, b] = inputs[..] else { continue };
        let silu_of = |val: Val| {
            let at = makers[val.0].filter(|_| readers[val.0] == 1 && !program.reads.contains(&val))?;
            match &program.instrs[at] {
                Instr::Rows(Rows { op: RowOp::Silu(_), inputs, .. }) => Some((at, inputs[0])),
                _ => None,
            }
        };
        let found = silu_of(a).map(|found| (found, b)).or_else(|| silu_of(b).map(|found| (found, a)));
        if let Some(((at, gate), up)) = found.filter(|((_, gate), up)| gate != up) {
            let out = *out;
            if let Some(silu) = program.instrs[at].out() {
                program.vals[silu.0].home = out; // it needs no buffer of its own
            }
            program.instrs[i] = Gate { out, gate, up }.into();
            gone.push(at);
        }
    }
    remove(program, &gone);
}
