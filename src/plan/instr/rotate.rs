//! Rotary positions.
use crate::graph::WeightId;
use crate::kernels::{Beta, Element, add_into, rotate_pairs, rotate_pairs_back};
use crate::plan::program::{Program, Val};
use crate::plan::text::Text;

use super::{Frame, Instruction};

/// Each pair of a head's columns turned by an angle that grows with the position.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rotate {
    pub out: Val,
    pub x: Val,
    pub heads: usize,
    pub theta: f64,
}

/// Cosines and sines of the angles of each position.
#[derive(Default)]
pub(crate) struct Angles<E> {
    pairs: usize,
    cos: Vec<E>,
    sin: Vec<E>,
}

impl<E: Element> Angles<E> {
    /// For heads of `width` columns and the positions below `seq`.
    pub fn new(seq: usize, width: usize, theta: f64) -> Self {
        let pairs = width / 2;
        let rate = |i: usize| theta.powf(-2.0 * i as f64 / width as f64);
        let turns = (0..seq).flat_map(|p| (0..pairs).map(move |i| (rate(i) * p as f64).sin_cos()));
        let (sin, cos) = turns.map(|(sin, cos)| (E::from_f64(sin), E::from_f64(cos))).unzip();
        Angles { pairs, cos, sin }
    }

    fn at(&self, position: u32) -> (&[E], &[E]) {
        let range = position as usize * self.pairs..(position as usize + 1) * self.pairs;
        (&self.cos[range.clone()], &self.sin[range])
    }
}

impl Rotate {
    /// Whether the value is computed in the buffer of its input.
    fn in_place(&self, program: &Program) -> bool {
        program.info(self.out).home == program.info(self.x).home
    }
}

impl Instruction for Rotate {
    fn out(&self) -> Option<Val> {
        Some(self.out)
    }

    fn inputs(&self) -> Vec<Val> {
        vec![self.x]
    }

    fn vals_mut(&mut self) -> Vec<&mut Val> {
        vec![&mut self.out, &mut self.x]
    }

    fn weights(&self) -> Vec<WeightId> {
        vec![]
    }

    fn reads_out_backward(&self) -> bool {
        false
    }

    fn read_backward(&self, _: &Program) -> Vec<Val> {
        vec![]
    }

    fn forward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, positions, ranges) =
            (frame.program(), frame.positions(self.out), frame.row_ranges(self.out));
        let (width, in_place) = (program.info(self.out).cols / self.heads, self.in_place(program));
        frame.write(self.out, |ws, buffer| {
            let angles = &ws.angles[self.out.0];
            for (range, &p) in ranges.zip(positions) {
                let row = &mut buffer[range.clone()];
                if !in_place {
                    row.copy_from_slice(&ws.value(program, self.x)[range]);
                }
                let (cos, sin) = angles.at(p);
                row.chunks_exact_mut(width).for_each(|head| rotate_pairs(head, cos, sin));
            }
        });
    }

    fn backward<E: Element>(&self, frame: &mut Frame<'_, E>) {
        let (program, positions, ranges) =
            (frame.program(), frame.positions(self.out), frame.row_ranges(self.out));
        let width = program.info(self.out).cols / self.heads;
        if self.in_place(program) {
            // the gradient has one buffer, too
            let Some(mut d) = frame.ws.take_gradient(program, self.out) else { return };
            for (range, &p) in ranges.zip(positions) {
                let (cos, sin) = frame.ws.angles[self.out.0].at(p);
                d[range].chunks_exact_mut(width).for_each(|head| rotate_pairs_back(head, cos, sin));
            }
            frame.ws.put_gradient(program, self.out, d);
            return;
        }
        frame.pass_back(self.out, self.x, |ws, dy, dx, beta| {
            for (range, &p) in ranges.zip(positions) {
                let row = &mut dy[range.clone()];
                let (cos, sin) = ws.angles[self.out.0].at(p);
                row.chunks_exact_mut(width).for_each(|head| rotate_pairs_back(head, cos, sin));
                match beta {
                    Beta::Zero => dx[range].copy_from_slice(row),
                    Beta::Add => add_into(&mut dx[range], row),
                }
            }
        });
    }

    fn text(&self, _: &Text<'_>) -> String {
        format!("rotate({}) of {} by {} heads", self.theta, self.x, self.heads)
    }
}
