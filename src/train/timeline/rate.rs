//! Learning rates that change from iteration to iteration.
use std::fmt;
use std::ops::Range;

use crate::text::{Number, Reader};
use crate::{Error, Result};

use super::Action;
use super::check::entry;

/// The shape of a change from one learning rate to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Curve {
    /// A straight line.
    Linear,
    /// Half a cosine wave: slow at both ends.
    Cosine,
}

/// The learning rate between two iterations: `from` at the first, `to` at the end and later.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rate {
    pub during: Range<usize>,
    pub curve: Curve,
    pub from: f64,
    pub to: f64,
}

impl Rate {
    pub const NAMES: [&'static str; 2] = ["linear", "cosine"];

    /// The learning rate at an iteration, if it is one of those at which it changes, the end included.
    pub fn at(&self, iteration: usize) -> Option<f64> {
        let Range { start, end } = self.during;
        if iteration < start || iteration > end {
            return None;
        }
        let share = (iteration - start) as f64 / (end - start).max(1) as f64;
        let share = match self.curve {
            Curve::Linear => share,
            Curve::Cosine => (1.0 - (std::f64::consts::PI * share).cos()) / 2.0,
        };
        // exact at both ends
        Some(if iteration == end { self.to } else { self.from + (self.to - self.from) * share })
    }

    /// `START..END: linear(FROM, TO)`, of which `START` is read, from this place on.
    pub fn read(reader: &mut Reader<'_>, during: Range<usize>) -> Result<Rate> {
        const FORM: &str = "linear(FROM, TO), cosine(FROM, TO) or freeze(PATTERN) between two iterations, with learning \
                            rates of at least 0, as in 0..1000: cosine(0.03, 0)";
        let place = reader.place();
        let curve = match reader.word(FORM)? {
            "linear" => Curve::Linear,
            "cosine" => Curve::Cosine,
            name if Action::is_name(name) => return Err(reader.misfit_at(place, FORM)),
            name => {
                let known = Rate::NAMES.into_iter().chain(["freeze"]);
                return Err(reader.unknown("change between two iterations", (place, name), known));
            }
        };
        reader.sign("(", FORM)?;
        let [from, to] = reader.exactly(FORM)?;
        Ok(Rate { during, curve, from, to })
    }

    /// Refuses ends that come before their beginning and learning rates below 0.
    pub fn check(&self) -> Result<()> {
        if self.during.is_empty() {
            return Err(Error::value(entry(self), "an end that is not after its beginning", "one that is"));
        }
        if ![self.from, self.to].iter().all(|rate| rate.is_finite() && *rate >= 0.0) {
            return Err(Error::value(
                entry(self),
                "a learning rate that is negative or not finite",
                "finite ones of at least 0",
            ));
        }
        Ok(())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.curve {
            Curve::Linear => "linear",
            Curve::Cosine => "cosine",
        };
        let Range { start, end } = self.during;
        write!(f, "{start}..{end}: {name}({}, {})", Number(self.from), Number(self.to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_goes_from_one_to_the_other() {
        let at = |curve, iteration| Rate { during: 10..20, curve, from: 1.0, to: 3.0 }.at(iteration);
        assert_eq!(
            [9, 10, 15, 20, 21].map(|i| at(Curve::Linear, i)),
            [None, Some(1.0), Some(2.0), Some(3.0), None]
        );
        assert_eq!([10, 20].map(|i| at(Curve::Cosine, i)), [Some(1.0), Some(3.0)]);
        assert!((at(Curve::Cosine, 15).unwrap() - 2.0).abs() < 1e-12);
        // slow at the ends: a tenth of the way takes less than a tenth of the change
        assert!((1.0..1.1).contains(&at(Curve::Cosine, 11).unwrap()));
    }
}
