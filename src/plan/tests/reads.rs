//! What is read of a step, behind what its loss needs.
use super::toy::{BODIES, Lowered, Toy, site};
use crate::engine::{Request, RowSet};
use crate::plan::buffers::made_by;
use crate::plan::instr::{Instr, Instruction, Mix};
use crate::plan::lower::Way;
use crate::plan::program::Val;

/// Two sets of positions.
const SETS: [RowSet; 2] = [RowSet::Set(0), RowSet::Set(1)];

fn lowered(body: &'static str, request: &Request) -> Lowered {
    Lowered::new(&Toy::new(body, 5), request, &["tok"], Way::Cheapest)
}

/// What is computed for reads alone.
fn only_read(lowered: &Lowered) -> &[Instr] {
    &lowered.program.instrs[lowered.program.for_loss().len()..]
}

#[test]
fn the_loss_has_the_same_instructions_whatever_is_read() {
    for body in BODIES {
        for rows in [RowSet::All, SETS[0]] {
            let (toy, loss) = (Toy::new(body, 5), Request::loss(rows));
            let alone = lowered(body, &loss);
            assert_eq!(alone.program.for_loss().len(), alone.program.instrs.len());
            let sites: Vec<_> = toy.graph().sites().values().copied().collect();
            for read in [RowSet::All, SETS[0], SETS[1]] {
                let reads: Vec<_> = sites.iter().map(|site| (*site, read)).collect();
                let both = lowered(body, &Request { reads, ..loss.clone() });
                assert_eq!(both.program.for_loss(), alone.program.for_loss(), "{}", both.text());
                assert_eq!(both.leaves(), alone.leaves());
                let trains = |val: &Val| both.program.info(*val).trains;
                let made: Vec<Val> = only_read(&both).iter().filter_map(Instruction::out).collect();
                assert!(!made.iter().any(trains), "{}", both.text());
                assert_eq!(both.program.reads.len(), sites.len());
            }
        }
    }
}

#[test]
fn what_the_loss_has_made_is_not_made_again() {
    let loss = Request::loss(RowSet::All);
    for body in BODIES {
        let graph = Toy::new(body, 5).graph();
        let all = lowered(body, &loss.clone().and_read(graph.logits(), RowSet::All));
        assert_eq!(only_read(&all), []);
        // of some positions, a selection is made
        let some = lowered(body, &loss.clone().and_read(graph.logits(), SETS[0]));
        assert!(matches!(only_read(&some), [Instr::Select(_)]), "{}", some.text());
    }
    // the pattern that a loss of some positions needs at all of them, and the mix that it does not
    let graph = Toy::new("attention to tables", 5).graph();
    let request = Request::loss(SETS[0]).and_read(graph.logits(), RowSet::All);
    let both = lowered("two layers", &request);
    let mixes = |instrs: &[Instr]| {
        let mixes = instrs.iter().filter(|instr| matches!(instr, Instr::Mix(_) | Instr::Attend(_)));
        mixes.count()
    };
    assert_eq!([mixes(both.program.for_loss()), mixes(only_read(&both))], [2, 1], "{}", both.text());
}

#[test]
fn what_has_been_written_over_is_made_again() {
    let graph = Toy::new("a mix that is replaced", 5).graph();
    let request = Request::loss(RowSet::All).and_read(site(&graph, "mixed"), RowSet::All);
    let both = lowered("a mix that is replaced", &request);
    // the loss's ReLU has replaced it, but its pattern and its values are there
    let [Instr::Mix(mixed)] = only_read(&both) else { panic!("{}", both.text()) };
    assert_eq!(both.program.reads, [mixed.out]);
    assert!(both.program.for_loss().iter().all(|instr| instr.out() != Some(mixed.out)));
    // of a front that has run for pairs, only what it hands on is there
    let graph = Toy::new("sums and relus", 5).graph();
    let request = Request::loss(RowSet::All).and_read(site(&graph, "mapped"), RowSet::All);
    let both = lowered("sums and relus", &request);
    let [Instr::Affine(sum), Instr::Rows(_), Instr::Affine(mapped)] = only_read(&both) else {
        panic!("{}", both.text())
    };
    assert_eq!((sum.inputs(), &both.program.reads[..]), (vec![], &[mapped.out][..]));
}

#[test]
fn values_that_a_read_takes_from_the_loss_stay_where_they_are() {
    for body in BODIES {
        let graph = Toy::new(body, 5).graph();
        let reads: Vec<_> = graph.sites().values().map(|site| (*site, SETS[1])).collect();
        let both = lowered(body, &Request { reads, ..Request::loss(SETS[0]) });
        let program = &both.program;
        let buffer = |val: Val| program.info(val).buffer;
        let inputs = program.instrs.iter().map(Instruction::inputs);
        // what is read is read last
        for (i, inputs) in inputs.chain([program.reads.clone()]).enumerate() {
            for input in inputs {
                let home = program.info(input).home;
                let mut makers = program.instrs[..i].iter().enumerate();
                let made = makers.rfind(|(_, by)| made_by(by).contains(&input));
                let Some((made, _)) = made else { panic!("{input} is not made: {}", both.text()) };
                let between = program.instrs[made + 1..i].iter().flat_map(made_by);
                let over = between.filter(|out| buffer(*out) == buffer(input) && *out != input);
                let over: Vec<Val> = over.collect();
                assert_eq!(over, [], "{input} at {home}: {}", both.text());
            }
        }
    }
}

#[test]
fn a_mix_for_a_read_has_no_transpose_for_a_way_back() {
    let graph = Toy::new("attention to tables", 5).graph();
    let both = lowered("attention to tables", &Request::loss(SETS[0]).and_read(graph.logits(), RowSet::All));
    let mixes = only_read(&both).iter().filter_map(|instr| match instr {
        Instr::Mix(Mix { values_t, .. }) => Some(values_t),
        _ => None,
    });
    assert_eq!(mixes.collect::<Vec<_>>(), [&None], "{}", both.text());
}
