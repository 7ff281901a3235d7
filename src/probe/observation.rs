//! The metrics of one sequence.
use std::sync::Arc;

use crate::engine::Read;
use crate::kernels::{Element, argmax, cross_entropy_row};
use crate::{Error, Result};

use super::attribution::{Against, NormSize};
use super::best::{best, has_nan};
use super::divergence::kl;
use super::evaluation::check_token;
use super::predictions::RowRule;
use super::predictor::check_answer;
use super::{By, Counter, Key, Predictor, Select, Sequence};

/// A metric whose heads are numbers in a list of heads.
#[derive(Clone)]
pub(super) struct Resolved {
    pub measure: ResolvedMeasure,
    pub select: Select,
}

/// See [`super::Measure`].
#[derive(Clone)]
pub(super) enum ResolvedMeasure {
    Loss,
    Accuracy,
    TopK(usize),
    Rank,
    Probability,
    Entropy,
    Kl(Arc<dyn Predictor>),
    /// Without a read, of the logits.
    Logit {
        read: Option<usize>,
        norm: Option<ResolvedNorm>,
        against: Against,
    },
    Share(Select),
    Norm(Columns),
    By {
        row: Row,
        rule: Arc<RowRule>,
    },
    Attention {
        head: usize,
        key: Key,
        by: By,
        through: Option<usize>,
    },
}

/// What a rule of the user's own gets of each position.
#[derive(Clone, Copy, Debug)]
pub(super) enum Row {
    Columns(Columns),
    /// The weights of a head, by its number.
    Head(usize),
}

/// Some columns of a read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns {
    pub read: usize,
    pub first: usize,
    pub width: usize,
}

/// See [`super::attribution::Norm`].
#[derive(Clone, Copy, Debug)]
pub(super) struct ResolvedNorm {
    pub term: usize,
    pub whole: usize,
    pub eps: f64,
    pub size: NormSize,
}

/// Where the heads and the logits are among the reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    pub logits: Option<usize>,
    /// The read and the head in it.
    pub heads: Vec<(usize, usize)>,
}

/// One sequence and what was read of it. What several metrics ask for is computed once.
pub(super) struct Observation<'a, E> {
    sequence: Sequence<'a>,
    reads: &'a [Read<'a, E>],
    places: &'a Places,
    /// What is known so far: the best token, or that there is none.
    predicted: Vec<Option<Option<usize>>>,
    /// The same of keys, `[heads, seq]`.
    attended: Vec<Option<Option<usize>>>,
    /// Room for a distribution, `[vocab]`, or a row of values.
    room: Vec<f64>,
    /// Room for a selection, `[seq]`.
    mask: Vec<bool>,
    /// What code of the user's has answered that cannot be: no distribution, or no token of the vocabulary.
    failed: Option<Error>,
}

impl<'a, E: Element> Observation<'a, E> {
    pub fn new(sequence: Sequence<'a>, reads: &'a [Read<'a, E>], places: &'a Places) -> Self {
        let n = sequence.len();
        let attended = vec![None; n * places.heads.len()];
        Observation {
            sequence,
            reads,
            places,
            predicted: vec![None; n],
            attended,
            room: Vec::new(),
            mask: Vec::new(),
            failed: None,
        }
    }

    /// The sum of a metric's values.
    ///
    /// # Errors
    /// If a predictor's answer is no distribution, or a rule's token is not of the vocabulary.
    pub fn count(&mut self, metric: &Resolved) -> Result<Counter> {
        let mut counter = Counter::default();
        let mut mask = std::mem::take(&mut self.mask);
        metric.select.mask(&self.sequence, &mut mask);
        for (t, _) in mask.iter().enumerate().filter(|(_, selected)| **selected) {
            if let Some(value) = self.value(&metric.measure, t) {
                counter.add(value);
            }
        }
        self.mask = mask;
        self.failed.take().map_or(Ok(counter), Err)
    }

    /// The value at position `t`; `None` if it is not to be counted.
    fn value(&mut self, measure: &ResolvedMeasure, t: usize) -> Option<f64> {
        let share = |hit: bool| if hit { 1.0 } else { 0.0 };
        match measure {
            ResolvedMeasure::Loss => Some(cross_entropy_row(self.logits(t)?, self.sequence.y[t] as usize)),
            ResolvedMeasure::Accuracy => {
                let y = self.sequence.y[t] as usize;
                Some(self.predicted(t)?.map_or(f64::NAN, |token| share(token == y)))
            }
            ResolvedMeasure::TopK(k) => Some(self.rank(t)?.map_or(f64::NAN, |rank| share(rank <= *k))),
            ResolvedMeasure::Rank => Some(self.rank(t)?.map_or(f64::NAN, |rank| rank as f64)),
            ResolvedMeasure::Probability => {
                Some((-cross_entropy_row(self.logits(t)?, self.sequence.y[t] as usize)).exp())
            }
            ResolvedMeasure::Entropy => {
                let logits = self.logits(t)?;
                // -sum p ln p with -ln p the loss of each token
                let loss = cross_entropy_row(logits, 0) + logits.first()?.to_f64();
                let losses = logits.iter().map(|logit| loss - logit.to_f64());
                Some(losses.map(|loss| loss * (-loss).exp()).sum())
            }
            ResolvedMeasure::Kl(predictor) => {
                let logits = self.logits(t)?;
                self.room.clear();
                self.room.resize(logits.len(), 0.0);
                let known = predictor.predict(&self.sequence.x[..=t], &mut self.room);
                if !known {
                    return None;
                }
                if let Err(error) = check_answer(predictor.as_ref(), t + 1, &self.room) {
                    self.failed.get_or_insert(error);
                }
                Some(kl(&self.room, logits))
            }
            ResolvedMeasure::Logit { read, norm, against } => {
                let logits = self.logits(t)?;
                let row = read.map_or(logits, |read| self.row(read, t));
                let scale = norm.map_or(1.0, |norm| {
                    norm.size.scale(norm.eps, self.row(norm.term, t), self.row(norm.whole, t))
                });
                let y = self.sequence.y[t] as usize;
                let baseline = match against {
                    Against::Zero => 0.0,
                    Against::Mean => row.iter().map(|v| v.to_f64()).sum::<f64>() / row.len() as f64,
                    Against::BestOther if has_nan(logits) => f64::NAN,
                    Against::BestOther => row[best_other(logits, y)?].to_f64(),
                    Against::Token(token) => row[*token as usize].to_f64(),
                    Against::Where(words, rule) => {
                        let token = rule(&self.sequence, t);
                        if let Err(error) = check_token(token, row.len()) {
                            self.failed.get_or_insert(error.of_part(words.as_ref()));
                            return None;
                        }
                        row[token as usize].to_f64()
                    }
                };
                Some(scale * (row[y].to_f64() - baseline))
            }
            ResolvedMeasure::Share(of) => Some(share(of.holds(&self.sequence, t))),
            ResolvedMeasure::Norm(columns) => {
                let squares = self.columns(*columns, t).iter().map(|v| v.to_f64() * v.to_f64());
                Some(squares.sum::<f64>().sqrt())
            }
            ResolvedMeasure::By { row, rule } => {
                let row = match *row {
                    Row::Columns(columns) => self.columns(columns, t),
                    Row::Head(head) => self.weights(head, t),
                };
                self.room.clear();
                self.room.extend(row.iter().map(|v| v.to_f64()));
                rule(&self.sequence, t, &self.room)
            }
            ResolvedMeasure::Attention { head, key, by, through } => {
                let q = match through {
                    Some(other) => self.attended(*other, t),
                    None => Some(t),
                };
                let Some(q) = q else { return Some(f64::NAN) };
                if !key.counts(q) {
                    return None;
                }
                let predicted = if matches!(key, Key::PredictedToken) { self.predicted(q)? } else { Some(0) };
                let Some(predicted) = predicted.map(|token| token as u32) else { return Some(f64::NAN) };
                Some(match by {
                    By::Argmax => {
                        let attended = self.attended(*head, q);
                        attended.map_or(f64::NAN, |at| share(key.is(&self.sequence, q, at, predicted)))
                    }
                    By::Weight => key.weight(&self.sequence, self.weights(*head, q), predicted),
                })
            }
        }
    }

    fn logits(&self, t: usize) -> Option<&'a [E]> {
        Some(self.row(self.places.logits?, t))
    }

    /// Position `t` of a stream.
    fn row(&self, read: usize, t: usize) -> &'a [E] {
        let read = self.reads[read];
        read.row(row_of(&read, t))
    }

    /// The same of some columns.
    fn columns(&self, Columns { read, first, width }: Columns, t: usize) -> &'a [E] {
        &self.row(read, t)[first..first + width]
    }

    /// The rank of the next token, from 1; of equals the first is before. None among NaN.
    fn rank(&self, t: usize) -> Option<Option<usize>> {
        let (logits, y) = (self.logits(t)?, self.sequence.y[t] as usize);
        let before = |(j, logit): (usize, &E)| *logit > logits[y] || *logit == logits[y] && j < y;
        let rank = || 1 + logits.iter().enumerate().filter(|token| before(*token)).count();
        Some((!has_nan(logits)).then(rank))
    }

    /// The token with the largest logit; none among NaN.
    fn predicted(&mut self, t: usize) -> Option<Option<usize>> {
        if self.predicted[t].is_none() {
            self.predicted[t] = self.logits(t).map(best);
        }
        self.predicted[t]
    }

    /// Row `q` of a head, up to the query itself.
    fn weights(&self, head: usize, q: usize) -> &'a [E] {
        let (read, head) = self.places.heads[head];
        let read = self.reads[read];
        &read.head_row(head, row_of(&read, q))[..=q]
    }

    /// The key with the largest weight; none among NaN.
    fn attended(&mut self, head: usize, q: usize) -> Option<usize> {
        let place = head * self.sequence.len() + q;
        if self.attended[place].is_none() {
            self.attended[place] = Some(best(self.weights(head, q)));
        }
        self.attended[place].flatten()
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

/// The token with the largest logit but for `y`; `None` if there is no other.
fn best_other<E: Element>(logits: &[E], y: usize) -> Option<usize> {
    let (below, above) = (&logits[..y], &logits[y + 1..]);
    let best = [(below, 0), (above, y + 1)].into_iter().filter(|(part, _)| !part.is_empty());
    let best = best.map(|(part, start)| start + argmax(part));
    best.reduce(|a, b| if logits[b] > logits[a] { b } else { a })
}
