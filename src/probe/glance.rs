//! The metrics of one sequence.
use crate::engine::Read;
use crate::kernels::{Element, argmax, cross_entropy_row};

use super::{By, Counter, Key, Select, Sequence};

/// A metric whose heads are numbers in a list of heads.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    pub measure: ResolvedMeasure,
    pub select: Select,
}

/// See [`super::Measure`].
#[derive(Clone, Debug)]
pub(super) enum ResolvedMeasure {
    Loss,
    Accuracy,
    Share(Select),
    Attention { head: usize, key: Key, by: By, through: Option<usize> },
}

/// Where the heads and the logits are among the reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    pub logits: Option<usize>,
    /// The read and the head in it.
    pub heads: Vec<(usize, usize)>,
}

/// One sequence and what was read of it. What several metrics ask for is computed once.
pub(super) struct Glance<'a, E> {
    sequence: Sequence<'a>,
    reads: &'a [Read<'a, E>],
    places: &'a Places,
    predicted: Vec<Option<u32>>,
    /// `[heads, seq]`
    attended: Vec<Option<u32>>,
}

impl<'a, E: Element> Glance<'a, E> {
    pub fn new(sequence: Sequence<'a>, reads: &'a [Read<'a, E>], places: &'a Places) -> Self {
        let n = sequence.len();
        let attended = vec![None; n * places.heads.len()];
        Glance { sequence, reads, places, predicted: vec![None; n], attended }
    }

    pub fn count(&mut self, metric: &Resolved) -> Counter {
        let mut counter = Counter::default();
        for t in 0..self.sequence.len() {
            if metric.select.holds(&self.sequence, t)
                && let Some(value) = self.value(&metric.measure, t)
            {
                counter.add(value);
            }
        }
        counter
    }

    /// The value at position `t`; `None` if it is not to be counted.
    fn value(&mut self, measure: &ResolvedMeasure, t: usize) -> Option<f64> {
        let share = |hit: bool| if hit { 1.0 } else { 0.0 };
        match measure {
            ResolvedMeasure::Loss => Some(cross_entropy_row(self.logits(t)?, self.sequence.y[t] as usize)),
            ResolvedMeasure::Accuracy => Some(share(self.predicted(t)? == self.sequence.y[t])),
            ResolvedMeasure::Share(of) => Some(share(of.holds(&self.sequence, t))),
            ResolvedMeasure::Attention { head, key, by, through } => {
                let q = match through {
                    Some(other) => self.attended(*other, t),
                    None => t,
                };
                if !key.counts(q) {
                    return None;
                }
                let predicted = if matches!(key, Key::PredictedToken) { self.predicted(q)? } else { 0 };
                Some(match by {
                    By::Argmax => {
                        let attended = self.attended(*head, q);
                        share(key.is(&self.sequence, q, attended, predicted))
                    }
                    By::Weight => key.weight(&self.sequence, self.weights(*head, q), predicted),
                })
            }
        }
    }

    fn logits(&self, t: usize) -> Option<&'a [E]> {
        let read = self.reads[self.places.logits?];
        Some(read.row(row_of(&read, t)))
    }

    fn predicted(&mut self, t: usize) -> Option<u32> {
        if self.predicted[t].is_none() {
            self.predicted[t] = self.logits(t).map(|logits| argmax(logits) as u32);
        }
        self.predicted[t]
    }

    /// Row `q` of a head, up to the query itself.
    fn weights(&self, head: usize, q: usize) -> &'a [E] {
        let (read, head) = self.places.heads[head];
        let read = self.reads[read];
        &read.head_row(head, row_of(&read, q))[..=q]
    }

    /// The key with the largest weight.
    fn attended(&mut self, head: usize, q: usize) -> usize {
        let place = head * self.sequence.len() + q;
        let known = self.attended[place];
        known.unwrap_or_else(|| {
            let key = argmax(self.weights(head, q)) as u32;
            self.attended[place] = Some(key);
            key
        }) as usize
    }
}

/// The row of position `t`, which is among the positions that were asked for.
fn row_of<E>(read: &Read<'_, E>, t: usize) -> usize {
    let positions = read.positions;
    if positions.get(t) == Some(&(t as u32)) {
        return t;
    }
    positions.binary_search(&(t as u32)).expect("the pass has seen that every row asked for is shown")
}
