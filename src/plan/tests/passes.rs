//! The passes, one by one.
use std::collections::HashSet;

use super::toy::{BODIES, Lowered, SEQ, Toy, site};
use crate::engine::{Request, RowSet};
use crate::graph::{Op, record_with};
use crate::plan::compile::compile;
use crate::plan::demand::demands;
use crate::plan::instr::{Instr, Instruction};
use crate::plan::lower::Way;
use crate::plan::program::{Layout, Val};

const SOME: RowSet = RowSet::Set(0);

fn cheapest(body: &'static str, request: &Request) -> Lowered {
    Lowered::new(&Toy::new(body, 5), request, &[], Way::Cheapest)
}

#[track_caller]
fn assert_line(text: &str, part: &str) {
    assert!(text.lines().any(|line| line.contains(part)), "no '{part}' in\n{text}");
}

#[track_caller]
fn assert_no_line(text: &str, part: &str) {
    assert!(!text.lines().any(|line| line.contains(part)), "'{part}' in\n{text}");
}

#[test]
fn demands_travel_backwards_and_become_all_positions_where_others_are_read() {
    let graph = Toy::new("two layers", 5).graph();
    let found = demands(&graph, &Request::loss(SOME));
    let rows = |name: &str| found[site(&graph, name).index()].rows();
    assert_eq!([rows("logits"), rows("keys")], [Some(SOME), Some(RowSet::All)]);
    // keys are made of the queries, so that both are made at all positions
    assert_eq!(rows("queries"), Some(RowSet::All));
    for (i, node) in graph.nodes().iter().enumerate() {
        if let Op::Shift { x, .. } = node.op {
            assert_eq!([found[i].rows(), found[x.index()].rows()], [Some(RowSet::All); 2]);
        }
    }
    let nobody = demands(&graph, &Request::reads(vec![(site(&graph, "queries"), SOME)]));
    assert_eq!(nobody[site(&graph, "logits").index()].rows(), None);
    // the map of the keys has the stream as its one reader by a product
    assert_eq!(found[site(&graph, "queries").index()].linears, 1);
}

#[test]
fn a_node_that_is_asked_for_at_two_sets_of_rows_is_made_at_all_and_picked_from() {
    let graph = Toy::new("maps", 5).graph();
    let request = Request::reads(vec![(graph.logits(), SOME), (graph.logits(), RowSet::Set(1))]);
    assert_eq!(demands(&graph, &request)[graph.logits().index()].rows(), Some(RowSet::All));
    let text = cheapest("maps", &request).text();
    assert_line(&text, "[set 0, 5]");
    assert_line(&text, "[set 1, 5]");
}

#[test]
fn products_of_weights_are_folded_unless_the_middle_is_wanted() {
    assert_line(&cheapest("maps", &Request::loss(SOME)).text(), "('unembed' ('b' 'a')) v");
    let text = cheapest("a map that is read twice", &Request::loss(SOME)).text();
    assert_no_line(&text, "('b' 'a')");
    assert_line(&text, "= 'a' v");
    assert_no_line(
        &Lowered::new(&Toy::new("maps", 5), &Request::loss(SOME), &[], Way::Plain).text(),
        "'b' 'a'",
    );
}

#[test]
fn maps_of_lookups_become_maps_of_tables_unless_those_are_large() {
    let request = Request::loss(SOME);
    assert_line(&cheapest("tables", &request).text(), "(('tok' 'a'^T) 'unembed'^T) by token");
    let large = Lowered::new(&Toy::new("tables", 8193), &request, &[], Way::Cheapest).text();
    assert_line(&large, "= 'tok' by token");
    assert_no_line(&large, "'tok' 'a'^T");
}

#[test]
fn maps_go_through_patterns_to_the_tables_behind_them() {
    // W (A V) = A (V W^T)
    let text = cheapest("attention to tables", &Request::loss(SOME)).text();
    assert_line(&text, "('tok' 'unembed'^T) by token");
    assert_line(&text, "pattern of tables");
    // (W_K y) . x = y . (W_K^T x), where x is made of lookups and of a mix of lookups
    let text = cheapest("two layers", &Request::loss(RowSet::All)).text();
    assert_line(&text, "('tok' 'b') by token");
    assert_line(&text, "(('tok' 'a'^T) 'b') by token");
}

#[test]
fn a_map_with_few_outputs_is_applied_before_values_are_mixed() {
    // W (x + B A V) = W x + A (V (W B)^T), where x is a mix of lookups: W goes through its pattern too
    let narrow = |rows| cheapest("narrow maps", &Request::loss(rows)).text();
    let text = narrow(RowSet::All);
    assert_line(&text, "(('unembed' 'b') 'a')");
    assert_line(&text, "(('tok' 'a'^T) 'unembed'^T) by token");
    let mixes = text.lines().filter(|line| line.contains("[all, 5]") && line.contains(" d1 = mix"));
    assert_eq!(mixes.count(), 1, "{text}");
    assert_no_line(&text, "'unembed' v");
    // at some positions the mix is mapped
    let text = narrow(SOME);
    assert_line(&text, "d0 = ('unembed' ('b' 'a')) v");
    // no map is moved if its outputs are no fewer
    let toy = Toy::new("narrow maps", 40);
    let text = Lowered::new(&toy, &Request::loss(RowSet::All), &[], Way::Cheapest).text();
    assert_line(&text, "'unembed' v");
}

#[test]
fn of_a_sum_with_one_mix_the_mix_alone_is_narrowed() {
    // U (A x + P V) = (U A) x + P (U V): what is mixed has the five columns of the logits, and the other summand is mapped once
    let text = cheapest("a mix and a map", &Request::loss(RowSet::All)).text();
    let mixes: Vec<&str> = text.lines().filter(|line| line.contains("= mix")).collect();
    assert!(mixes.len() == 1 && mixes[0].contains("[all, 5]"), "{text}");
    assert_line(&text, "('unembed' 'a')");
}

#[test]
fn a_map_of_a_sum_of_maps_is_a_sum_of_folded_maps_and_nothing_else() {
    // U (A x + B y) = (U A) x + (U B) y: no value for what is left of the sum
    let text = cheapest("two maps", &Request::loss(SOME)).text();
    let logits: Vec<&str> = text.lines().filter(|line| line.contains("[set 0, 5]")).collect();
    assert_eq!(logits.len(), 1, "{text}");
    assert!(logits[0].contains("('unembed' 'a') v") && logits[0].contains("('unembed' 'b') v"), "{text}");
    assert_eq!(logits[0].matches(" + ").count(), 1, "{text}");
}

#[test]
fn a_scaled_value_is_scaled_with_the_map_that_reads_it() {
    // W (s x) = (s W) x, also where W has more outputs than inputs: embeddings and their tanh are all that has 8 columns
    for vocab in [5, 40] {
        let text = Lowered::new(&Toy::new("scaled", vocab), &Request::loss(SOME), &[], Way::Cheapest).text();
        let made = text.lines().filter(|line| line.starts_with('v') && line.contains(", 8]"));
        assert_eq!(made.count(), 2, "{text}");
    }
}

#[test]
fn a_line_of_a_program_says_where_rows_are_taken_from() {
    assert_line(&cheapest("two layers", &Request::loss(SOME)).text(), "= shift(1) of v");
    assert_line(&cheapest("previous tokens", &Request::loss(SOME)).text(), "= pick previous of v");
}

#[test]
fn a_pattern_of_which_a_head_is_edited_is_spliced_to_be_read() {
    let toy = Toy::new("heads", 5);
    let graph = record_with(&toy, SEQ, &"pattern[1]=previous_token".parse().unwrap()).unwrap();
    let request = Request::reads(vec![(site(&graph, "pattern"), RowSet::All)]);
    let (graph, program) = compile(&graph, &request, &|_| true, Way::Cheapest);
    let text = Lowered { graph, program }.text();
    let line =
        text.lines().find(|line| line.contains("with heads [1] of")).unwrap_or_else(|| panic!("{text}"));
    let (made, of) = line.split_once('=').unwrap_or_else(|| panic!("{text}"));
    assert!(made.trim_start().starts_with(['v', 'p']) && of.trim_start().starts_with(['v', 'p']), "{text}");
}

#[test]
fn gradients_are_kept_before_the_loss_alone() {
    let toy = Toy::new("a branch aside", 5);
    let request = Request::loss(RowSet::All).and_read(site(&toy.graph(), "aside"), RowSet::All);
    let lowered = Lowered::new(&toy, &request, &[], Way::Cheapest);
    assert!(lowered.leaves().iter().all(|leaf| !leaf.contains("'b'")), "{:?}", lowered.leaves());
    assert!(lowered.leaves().iter().any(|leaf| leaf.contains("'a'")), "{:?}", lowered.leaves());
    let aside = lowered.program.reads[0];
    assert!(!lowered.program.info(aside).trains && lowered.program.info(aside).gradient.is_none());
    // what nobody trains has no gradient, and what is before it neither
    let frozen = Lowered::new(&toy, &request, &["tok", "pos", "a"], Way::Cheapest);
    assert_eq!(frozen.leaves().len(), 1, "{:?}", frozen.leaves());
    let read_only = Lowered::new(&toy, &Request::reads(request.reads.clone()), &[], Way::Cheapest);
    assert!(read_only.leaves().is_empty() && read_only.program.vals.iter().all(|info| !info.trains));
}

#[test]
fn sums_grow_where_a_summand_stands_unless_somebody_reads_that() {
    let (toy, request) = (Toy::new("sums and relus", 5), Request::loss(RowSet::All));
    let in_place = |request: &Request| {
        let lowered = Lowered::new(&toy, request, &[], Way::Cheapest);
        let homes = lowered.program.vals.iter().enumerate().filter(|(v, info)| info.home != Val(*v)).count();
        (homes, lowered.text())
    };
    let (homes, text) = in_place(&request);
    assert_line(&text, "itself + ");
    assert_line(&text, "relu of ");
    let reads = vec![(toy.graph().logits(), RowSet::All)];
    let reads = Request::reads(reads);
    let (as_many, text) = in_place(&reads);
    assert!(homes == 3 && as_many == 3, "{homes}, {as_many}:\n{text}");
    let (fewer, text) = in_place(&reads.and_read(site(&toy.graph(), "mapped"), RowSet::All));
    assert!(fewer == 2, "{fewer}:\n{text}");
    let plain = Lowered::new(&toy, &request, &[], Way::Plain);
    assert!(plain.program.vals.iter().enumerate().all(|(v, info)| info.home == Val(v)));
}

#[test]
fn a_chain_of_gradients_needs_two_buffers() {
    let request = Request::loss(RowSet::All);
    let buffers = |way| {
        let lowered = Lowered::new(&Toy::new("chain", 5), &request, &[], way);
        let wide = lowered.program.vals.iter().filter(|info| info.cols == 8);
        let all: Vec<usize> = wide.filter_map(|info| info.gradient).collect();
        (all.len(), all.into_iter().collect::<HashSet<_>>().len())
    };
    assert_eq!([buffers(Way::Cheapest), buffers(Way::Plain)], [(6, 2), (9, 9)]);
}

/// The instructions between which the gradient of a value is there, counted from the end: from its first reader on the way
/// back until its maker, and a mix's until the pattern that it reads.
fn lives(lowered: &Lowered, val: Val) -> Option<(usize, usize)> {
    let program = &lowered.program;
    let home = |v: Val| program.info(v).home;
    let reads = |instr: &Instr| instr.inputs().into_iter().any(|v| home(v) == val);
    let opened = program.instrs.iter().rposition(reads)?;
    let mut closed = program.instrs.iter().position(|instr| instr.out() == Some(val))?;
    for instr in &program.instrs {
        if let Instr::Mix(mix) = instr
            && home(mix.out) == val
        {
            let maker = program.instrs.iter().position(|instr| instr.out() == Some(mix.pattern));
            closed = closed.min(maker.unwrap_or(closed));
        }
    }
    Some((closed, opened))
}

#[test]
fn gradients_that_are_there_together_share_no_buffer() {
    let mut shared = 0;
    for body in BODIES {
        for rows in [RowSet::All, SOME] {
            let lowered = cheapest(body, &Request::loss(rows));
            let program = &lowered.program;
            let streams: Vec<Val> = (0..program.vals.len())
                .map(Val)
                .filter(|v| {
                    let info = program.info(*v);
                    info.home == *v && info.gradient.is_some() && info.layout == Layout::Stream
                })
                .collect();
            for (i, a) in streams.iter().enumerate() {
                for b in &streams[i + 1..] {
                    if program.info(*a).gradient != program.info(*b).gradient {
                        continue;
                    }
                    let (Some(one), Some(other)) = (lives(&lowered, *a), lives(&lowered, *b)) else {
                        continue;
                    };
                    shared += 1;
                    let apart = one.1 < other.0 || other.1 < one.0;
                    assert!(apart, "{body}: {a} {one:?} and {b} {other:?} in\n{}", lowered.text());
                    assert_eq!(program.info(*a).cols, program.info(*b).cols);
                }
            }
        }
    }
    assert!(shared > 10, "{shared} pairs share a buffer; too few to show anything");
}

#[test]
fn a_chain_of_values_needs_two_buffers_unless_something_reads_them_later() {
    let buffers = |request: &Request, frozen: &[&str], way| {
        let lowered = Lowered::new(&Toy::new("chain", 5), request, frozen, way);
        let wide = lowered.program.vals.iter().filter(|info| info.cols == 8);
        wide.map(|info| info.buffer).collect::<HashSet<_>>().len()
    };
    // at some positions, as a chain at all of them is computed once for rows that are alike
    let logits = Request::reads(vec![(Toy::new("chain", 5).graph().logits(), SOME)]);
    assert_eq!([buffers(&logits, &[], Way::Cheapest), buffers(&logits, &[], Way::Plain)], [2, 9]);
    // the way back of each SiLU reads what it was computed from
    let loss = Request::loss(SOME);
    assert_eq!(buffers(&loss, &[], Way::Cheapest), 6);
    // if the unembedding alone trains, its gradient reads the last of them, and there is no way back through the others
    assert_eq!(buffers(&loss, &["tok", "pos", "a"], Way::Cheapest), 3);
}

/// The instructions between which a value is there: from the first that fills it until the last that reads it, or to the end if a
/// backward pass or the request reads it.
fn forward_life(lowered: &Lowered, val: Val) -> Option<(usize, usize)> {
    let program = &lowered.program;
    let is = |v: Val| program.info(v).home == val;
    let fills = |instr: &Instr| match instr {
        Instr::Attend(attend) => is(attend.mix.out) || is(attend.pattern.out),
        other => other.out().is_some_and(is),
    };
    let made = program.instrs.iter().position(fills)?;
    let backward = |instr: &Instr| {
        let own = instr.out().filter(|_| instr.reads_out_backward());
        instr.read_backward(program).into_iter().chain(own).any(is)
    };
    let later = program.reads.iter().any(|v| is(*v))
        || !program.leaves.is_empty() && program.instrs.iter().any(backward)
        || made < program.front.len();
    let last = program.instrs.iter().rposition(|instr| fills(instr) || instr.inputs().into_iter().any(is));
    Some((made, if later { usize::MAX } else { last? }))
}

#[test]
fn values_that_are_there_together_share_no_buffer() {
    let mut shared = 0;
    for body in BODIES {
        let graph = Toy::new(body, 5).graph();
        for rows in [RowSet::All, SOME] {
            let reads = Request::reads(vec![(graph.logits(), rows)]);
            for lowered in [cheapest(body, &Request::loss(rows)), cheapest(body, &reads)] {
                let homes: Vec<Val> = (0..lowered.program.vals.len())
                    .map(Val)
                    .filter(|v| lowered.program.info(*v).home == *v)
                    .collect();
                for (i, a) in homes.iter().enumerate() {
                    for b in &homes[i + 1..] {
                        let [a_info, b_info] = [a, b].map(|val| lowered.program.info(*val));
                        let lives = forward_life(&lowered, *a).zip(forward_life(&lowered, *b));
                        let Some((one, other)) = lives.filter(|_| a_info.buffer == b_info.buffer) else {
                            continue;
                        };
                        shared += 1;
                        let apart = one.1 < other.0 || other.1 < one.0;
                        assert!(apart, "{body}: {a} {one:?} and {b} {other:?} in\n{}", lowered.text());
                        // six positions are no whole vector: what pads a row stays zero where rows lie alike alone
                        assert_eq!(
                            (a_info.layout, a_info.cols, a_info.heads),
                            (b_info.layout, b_info.cols, b_info.heads)
                        );
                    }
                }
            }
        }
    }
    assert!(shared > 10, "{shared} pairs share a buffer; too few to show anything");
}

#[test]
fn a_plain_program_has_a_value_for_each_node_and_no_table_of_products() {
    for body in BODIES {
        let lowered = Lowered::new(&Toy::new(body, 5), &Request::loss(SOME), &[], Way::Plain);
        let text = lowered.text();
        for rewritten in ["itself +", "pattern of tables", "' '"] {
            assert_no_line(&text, rewritten);
        }
        let made: Vec<_> = lowered.program.vals.iter().filter(|info| info.layout == Layout::Stream).collect();
        assert!(made.iter().all(|info| info.rows == RowSet::All || info.cols == 5), "{text}");
    }
    assert_eq!(SEQ, 6);
}
