//! What depends on token and position alone comes first.
use std::collections::BTreeSet;

use super::toy::{BODIES, Lowered, Toy, site};
use crate::engine::{Request, RowSet};
use crate::plan::instr::{Instr, Instruction};
use crate::plan::lower::Way;
use crate::plan::program::Program;
use crate::plan::program::{Layout, Val};

fn lowered(body: &'static str, request: &Request) -> Lowered {
    Lowered::new(&Toy::new(body, 5), request, &[], Way::Cheapest)
}

#[test]
fn the_front_reads_itself_alone_and_hands_on_what_the_rest_reads() {
    let mut fronts = 0;
    for body in BODIES {
        let program = lowered(body, &Request::loss(RowSet::All)).program;
        let (front, rest) = program.instrs.split_at(program.front.len());
        let makes = |instrs: &[Instr]| instrs.iter().filter_map(Instruction::out).collect::<BTreeSet<Val>>();
        let inputs =
            |instrs: &[Instr]| instrs.iter().flat_map(Instruction::inputs).collect::<BTreeSet<Val>>();
        let handed: BTreeSet<Val> = program.front.handed.iter().map(|handed| handed.val).collect();
        assert!(inputs(front).is_subset(&makes(front)), "{body}");
        assert!(makes(front).iter().all(|val| program.info(*val).layout == Layout::Stream), "{body}");
        // a sum that grows where a value stands reads it too, but does not say so
        let homes = rest.iter().filter_map(Instruction::out).map(|out| program.info(out).home);
        let read: BTreeSet<Val> = inputs(rest).into_iter().chain(homes).collect();
        let wanted: BTreeSet<Val> = makes(front).intersection(&read).copied().collect();
        assert_eq!(handed, wanted, "{body}");
        fronts += usize::from(!front.is_empty());
    }
    assert!((4..BODIES.len()).contains(&fronts), "{fronts}");
}

#[test]
fn products_beside_attention_have_a_sum_of_their_own() {
    let text = lowered("beside attention", &Request::loss(RowSet::All)).text();
    let (front, rest) = text.split_once("so far").unwrap();
    assert!(front.contains(" by position + ('unembed' 'a') v"), "{text}");
    // the mix grows where that sum stands
    assert!(rest.contains(" = itself + v") && !rest.contains(" = 'tok'"), "{text}");
}

#[test]
fn without_a_product_for_each_position_there_is_no_front() {
    for (body, request) in [
        ("tables", Request::loss(RowSet::All)),
        ("attention to tables", Request::loss(RowSet::All)),
        // products at some positions are made for these alone
        ("maps", Request::loss(RowSet::Set(0))),
    ] {
        let found = lowered(body, &request);
        assert_eq!(found.program.front.len(), 0, "{}", found.text());
    }
    let plain = Lowered::new(&Toy::new("maps", 5), &Request::loss(RowSet::All), &[], Way::Plain);
    assert_eq!(plain.program.front.len(), 0);
}

#[test]
fn the_front_is_run_again_only_for_what_its_backward_pass_reads() {
    let program = lowered("maps", &Request::loss(RowSet::All)).program;
    // the activation is read by the product, the logits by nobody
    let front = program.instrs[..program.front.len()].iter().zip(&program.front.needed_backward);
    for (instr, needed) in front {
        let last = program.front.handed.iter().any(|handed| Some(handed.val) == instr.out());
        assert_eq!(*needed, !last, "{instr:?}");
    }
}

#[test]
fn what_is_merely_read_does_not_change_the_front_of_a_loss() {
    let toy = Toy::new("a branch aside", 5);
    let of = |request: &Request| Lowered::new(&toy, request, &[], Way::Cheapest).program;
    let (loss, aside) = (Request::loss(RowSet::All), site(&toy.graph(), "aside"));
    let (alone, read) = (of(&loss), of(&loss.clone().and_read(aside, RowSet::All)));
    let handed = |program: &Program| program.front.handed.iter().map(|handed| handed.val).collect::<Vec<_>>();
    assert_eq!((handed(&alone), alone.front.len()), (handed(&read), read.front.len()));
    assert!(alone.front.trains() && handed(&alone).len() == 1);
    // of what is read alone, nothing is handed back
    let both = of(&Request::reads(vec![(aside, RowSet::All), (toy.graph().logits(), RowSet::All)]));
    assert_eq!(handed(&both).len(), 2);
    assert!(!both.front.trains());
}
