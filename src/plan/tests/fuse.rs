//! The passes that make one instruction of two.
use super::toy::{Lowered, Toy, site};
use crate::engine::{Request, RowSet};
use crate::plan::instr::{Instr, Instruction};
use crate::plan::lower::Way;
use crate::plan::program::{Layout, Val};

fn lowered(body: &'static str, request: &Request, way: Way) -> Lowered {
    Lowered::new(&Toy::new(body, 5), request, &[], way)
}

/// How many instructions are patterns alone, mixes alone, and both in one.
fn attention(lowered: &Lowered) -> [usize; 3] {
    let count = |is: fn(&Instr) -> bool| lowered.program.instrs.iter().filter(|i| is(i)).count();
    [
        count(|i| matches!(i, Instr::DotPattern(_))),
        count(|i| matches!(i, Instr::Mix(_))),
        count(|i| matches!(i, Instr::Attend(_))),
    ]
}

#[test]
fn a_pattern_and_its_only_mix_become_one_instruction() {
    let request = Request::loss(RowSet::All);
    assert_eq!(attention(&lowered("heads", &request, Way::Cheapest)), [0, 0, 1]);
    assert_eq!(attention(&lowered("heads", &request, Way::Plain)), [1, 1, 0]);
    // the request may read the pattern, which is still written
    let pattern = site(&Toy::new("heads", 5).graph(), "pattern");
    let read = lowered("heads", &request.clone().and_read(pattern, RowSet::All), Way::Cheapest);
    assert_eq!(attention(&read), [0, 0, 1]);
    // at other rows too, of which a selection is made
    let some = vec![(pattern, RowSet::Set(0))];
    let read = lowered("heads", &Request { reads: some.clone(), ..request }, Way::Cheapest);
    assert_eq!(attention(&read), [0, 0, 1], "{}", read.text());
    // where nobody mixes by it, or two do, it stays alone
    assert_eq!(attention(&lowered("heads", &Request::reads(some), Way::Cheapest)), [1, 0, 0]);
}

#[test]
fn a_value_that_pattern_and_mix_cut_differently_keeps_them_apart() {
    let apart = lowered("keys that are values", &Request::loss(RowSet::All), Way::Cheapest);
    assert_eq!(attention(&apart), [1, 1, 0], "{}", apart.text());
}

#[test]
fn a_silu_and_a_product_become_a_gate_unless_somebody_reads_the_silu() {
    let (toy, request) = (Toy::new("gates", 5), Request::loss(RowSet::All));
    let gates = |lowered: &Lowered| {
        lowered.program.instrs.iter().filter(|instr| matches!(instr, Instr::Gate(_))).count()
    };
    let all = Lowered::new(&toy, &request, &[], Way::Cheapest);
    // on either side of the product; what gates itself is left alone
    assert_eq!(gates(&all), 2, "{}", all.text());
    let silu = (site(&toy.graph(), "silu"), RowSet::All);
    let reads = Request::reads(vec![silu, (toy.graph().logits(), RowSet::All)]);
    let read = Lowered::new(&toy, &reads, &[], Way::Cheapest);
    assert_eq!(gates(&read), 1, "{}", read.text());
    // the silu that is gone has no buffer
    let made: Vec<Val> = all.program.instrs.iter().filter_map(Instruction::out).collect();
    let streams = (0..all.program.vals.len()).map(Val).filter(|val| {
        let info = all.program.info(*val);
        info.layout == Layout::Stream && info.home == *val
    });
    assert!(streams.into_iter().all(|val| made.contains(&val)), "{}", all.text());
}
