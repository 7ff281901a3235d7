//! A batch over threads, summed in a fixed order.
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::data::Batch;
use crate::engine::{Observer, RowLists, Shares};
use crate::kernels::Element;

use super::exec::Sums;
use super::instr::{Frame, Instruction};
use super::pairs::{Pairs, part, together};
use super::threads::CpuEngine;
use super::turns::{Add, Turn, Turns};
use super::workspace::{Sequence, Workspace};

/// A batch is cut into this many groups of sequences, whatever the number of threads; their sums are added in order. Where sequences
/// add to one sum in turn, each is a group of its own.
pub(crate) const CHUNKS: usize = 16;

const PANICKED: &str = "a worker of this engine has panicked";

/// One run of an engine over a batch.
pub(crate) struct Step<'a, E> {
    pub engine: &'a CpuEngine<E>,
    pub batch: &'a Batch,
    pub rows: &'a [RowLists],
    pub shares: &'a Shares,
    /// Without one, what is only read is not computed.
    pub observer: Option<&'a Observer<'a, E>>,
}

/// What is done with one sequence, or with one block of pairs: with one thread's buffers, and sums to add to.
type Work<'a, E> = dyn Fn(usize, &mut Workspace<E>, &mut Sums<E>, Turn<'_, E>) + Sync + 'a;

impl<E: Element> Step<'_, E> {
    /// Runs the batch. Sequences are run by themselves, unless the program has a front and enough of their rows are alike.
    pub fn run(&self, total: &mut Sums<E>, pairs: &mut Pairs<E>) {
        let CpuEngine { plan, seq, vocab, .. } = self.engine;
        let (n, together) = (self.batch.batch, together::<E>(&plan.program.front, *seq));
        let groups = together.map_or(1, |together| n.div_ceil(together)).max(1);
        for group in 0..groups {
            let sequences = group * n / groups..(group + 1) * n / groups;
            let x = &self.batch.x[sequences.start * seq..sequences.end * seq];
            if together.is_some() && pairs.find(x, *seq, *vocab) {
                self.run_together(sequences, total, pairs);
            } else {
                self.summed(sequences, total, &|i, ws, sums, turn| {
                    let mut frame = self.sequence(i, ws, sums, turn);
                    plan.run(0, &mut frame, self.observer);
                });
            }
        }
    }

    /// Runs the front once for each pair, the rest for each sequence, and then the front backwards for each pair.
    fn run_together(&self, sequences: Range<usize>, total: &mut Sums<E>, pairs: &mut Pairs<E>) {
        let plan = &self.engine.plan;
        let (program, front) = (&plan.program, &plan.program.front);
        let instrs = &program.instrs[..front.len()];
        pairs.fill_values(front.width, |pairs, values| {
            self.on_threads(pairs.blocks(), &|b, ws| {
                let mut sums = Sums::empty();
                let mut frame = self.block(b, pairs, ws, &mut sums, &|_, _| {});
                instrs.iter().for_each(|instr| instr.forward(&mut frame));
                pairs.keep(program, ws, b, &mut part(values, b));
            });
        });
        let trains = front.trains();
        pairs.fill_gradients(if trains { front.width } else { 0 }, |pairs, gradients| {
            self.summed(sequences.clone(), total, &|i, ws, sums, turn| {
                let mut frame = self.sequence(i, ws, sums, turn);
                let row = i - sequences.start;
                pairs.hand_on(program, frame.ws, row);
                plan.run(front.len(), &mut frame, self.observer);
                if trains {
                    pairs.leave(program, ws, &mut part(gradients, row));
                }
            });
        });
        if trains {
            self.summed(0..pairs.blocks(), total, &|b, ws, sums, turn| {
                let mut frame = self.block(b, pairs, ws, sums, turn);
                let again = instrs.iter().zip(&front.needed_backward).filter(|(_, needed)| **needed);
                again.for_each(|(instr, _)| instr.forward(&mut frame));
                pairs.add_up(program, frame.ws, b);
                instrs.iter().rev().for_each(|instr| instr.backward(&mut frame));
            });
        }
    }

    /// Calls `work` for each of these, on all threads; what they leave is added to the total in their order.
    fn summed(&self, items: Range<usize>, total: &mut Sums<E>, work: &Work<'_, E>) {
        let (in_turn, first, n) = (&self.engine.plan.in_turn, items.start, items.len());
        let mut sums_in_turn = total.take_in_turn(in_turn);
        let turns = Turns::new(&mut sums_in_turn);
        let chunks = if in_turn.contains(&true) { n } else { CHUNKS.min(n) };
        let merging = Mutex::new(Merging { total, next: 0, early: BTreeMap::new() });
        self.on_threads(chunks, &|chunk, ws| {
            let _guard = turns.guard();
            let mut sums = self.spare_sums();
            for i in chunk * n / chunks..(chunk + 1) * n / chunks {
                work(first + i, ws, &mut sums, &|leaf, add: Add<'_, E>| turns.add(leaf, i, add));
                turns.pass(i);
            }
            merging.lock().expect(PANICKED).arrive(chunk, sums, &self.engine.spare);
        });
        drop(turns);
        let Merging { total, .. } = merging.into_inner().expect(PANICKED);
        total.put_in_turn(in_turn, sums_in_turn);
    }

    /// Calls `work` for the numbers below `n`, on all threads, each with buffers of its own.
    fn on_threads(&self, n: usize, work: &(dyn Fn(usize, &mut Workspace<E>) + Sync)) {
        let next = AtomicUsize::new(0);
        self.engine.pool.broadcast(|context| {
            let mut ws = self.engine.workspaces[context.index()].lock().expect(PANICKED);
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= n {
                    break;
                }
                work(i, &mut ws);
            }
        });
    }

    /// Zeros: sums that have been added to the total, or new ones.
    fn spare_sums(&self) -> Sums<E> {
        let CpuEngine { spare, leaf_shapes, terms, .. } = self.engine;
        let spare = spare.lock().ok().and_then(|mut spare| spare.pop());
        spare.unwrap_or_else(|| Sums::new(leaf_shapes, terms.len()))
    }

    /// A sequence that is about to be run, with its patches.
    fn sequence<'f>(
        &'f self,
        i: usize,
        ws: &'f mut Workspace<E>,
        sums: &'f mut Sums<E>,
        turn: Turn<'f, E>,
    ) -> Frame<'f, E> {
        let CpuEngine { plan, weights, all, zeros, patches, .. } = self.engine;
        let (x, y, _) = self.batch.sequence(i);
        let seq = Sequence { x, y, number: i, sets: self.rows, all, at: all, zeros };
        let patched = match self.observer {
            Some(_) => &plan.program.patched,
            None => plan.program.patched_for_loss(),
        };
        for &(val, slot) in patched {
            ws.patch(&plan.program, &seq, val, patches.sequences(slot, i..i + 1));
        }
        ws.begin();
        Frame { plan, weights, ws, seq, sums, turn, shares: self.shares }
    }

    /// A block of pairs for which the front is about to be run, as if it were a sequence.
    fn block<'f>(
        &'f self,
        b: usize,
        pairs: &'f Pairs<E>,
        ws: &'f mut Workspace<E>,
        sums: &'f mut Sums<E>,
        turn: Turn<'f, E>,
    ) -> Frame<'f, E> {
        let CpuEngine { plan, weights, all, zeros, .. } = self.engine;
        let (x, at) = pairs.rows(b);
        let seq = Sequence { x, y: &[], number: 0, sets: &[], all: &all[..x.len()], at, zeros };
        ws.begin();
        Frame { plan, weights, ws, seq, sums, turn, shares: self.shares }
    }
}

/// The total so far, and sums of chunks that came before their turn.
struct Merging<'a, E> {
    total: &'a mut Sums<E>,
    next: usize,
    early: BTreeMap<usize, Sums<E>>,
}

impl<E: Element> Merging<'_, E> {
    /// Adds the sums of a chunk when its turn has come.
    fn arrive(&mut self, chunk: usize, sums: Sums<E>, spare: &Mutex<Vec<Sums<E>>>) {
        self.early.insert(chunk, sums);
        while let Some(mut sums) = self.early.remove(&self.next) {
            sums.drain_into(self.total);
            self.next += 1;
            if let Ok(mut spare) = spare.lock() {
                spare.push(sums);
            }
        }
    }
}
