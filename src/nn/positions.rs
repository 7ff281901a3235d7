//! Positions that are added to the embeddings.
use crate::Module;
use crate::backend::Dim;
use crate::graph::{Stream, Tokens};

use super::{Embedding, Init, Param};

/// Absolute positions: a row for each position, `[seq, dim]`, which is added to the embeddings (the paper's `p_t`).
///
/// `M` is the number of rows, so the longest sequence; a longer one is an error when the model is recorded. Rotary and
/// relative positions act on attention instead: [`super::Attention::rotary`], [`super::RelativeBias`]. Site:
/// `embed.positions`, the added rows.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::graph::{Stream, Tokens};
/// use ihead::nn::{Embedding, ModuleExt, Positions};
///
/// fn embed(
///     embedding: &Embedding<Const<65>, Const<64>>,
///     positions: &Positions<usize, Const<64>>,
///     x: &Tokens<usize, Const<65>>,
/// ) -> Stream<usize, Const<64>> {
///     positions.add_to(embedding.forward(x), x)
/// }
///
/// let training = |positions: &Positions<usize, usize>| positions.training().len();
/// assert_eq!(training(&Positions::learned(256, 64)), 1);
/// assert_eq!(training(&Positions::learned(256, 64).frozen()), 0); // random rows, until released
/// assert_eq!(training(&Positions::sin_cos(256, 64, 1.0)), 0); // never trains
/// ```
#[derive(Module)]
#[non_exhaustive]
pub enum Positions<M: Dim, D: Dim> {
    /// A table that trains, unless it is frozen. State-dict name: `weight`, `[max_seq, dim]`.
    Learned(Embedding<M, D>),
    /// A table that never trains. State-dict name: `weight`, `[max_seq, dim]`.
    Fixed(PositionTable<M, D>),
    /// Nothing is added.
    None,
}

/// A table of positions that never trains: a buffer. State-dict name: `weight`, `[max_seq, dim]`.
#[derive(Module)]
pub struct PositionTable<M: Dim, D: Dim> {
    /// The table, `[max_seq, dim]`.
    #[buffer]
    pub weight: Param<(M, D)>,
}

impl<M: Dim, D: Dim> Positions<M, D> {
    /// Makes trained rows, initially `N(0, 1)`.
    pub fn learned(max_seq: M, dim: D) -> Self {
        Positions::Learned(Embedding::new(max_seq, dim))
    }

    /// Makes the sinusoidal table ([`sin_cos`]), times `scale`. It never trains.
    pub fn sin_cos(max_seq: M, dim: D, scale: f64) -> Self {
        let weight = Param::new((max_seq, dim), sin_cos(max_seq, dim, scale));
        Positions::Fixed(PositionTable { weight })
    }

    /// Returns the same positions, frozen.
    pub fn frozen(self) -> Self {
        match self {
            Positions::Learned(rows) => Positions::Learned(rows.frozen()),
            other => other,
        }
    }

    /// Returns the longest sequence, or `None` if there is no limit.
    pub fn max_seq(&self) -> Option<usize> {
        self.table().map(|table| table.shape().0.size())
    }

    /// Adds the row of each position to `h`: `h[t] + weight[t]`, `[seq, dim]`. Of the tokens `x`, only their number is read.
    pub fn add_to<T: Dim, V: Dim>(&self, h: Stream<T, D>, x: &Tokens<T, V>) -> Stream<T, D> {
        match self.table() {
            Some(table) => {
                let rows = x.positions(&x.recorder().weight(table));
                h + x.site().at("embed").stream("positions", rows)
            }
            None => h,
        }
    }

    fn table(&self) -> Option<&Param<(M, D)>> {
        match self {
            Positions::Learned(rows) => Some(&rows.weight),
            Positions::Fixed(table) => Some(&table.weight),
            Positions::None => None,
        }
    }
}

/// Returns the sinusoidal table of positions, `[max_length, dim]`, as initial values (Vaswani and others 2017).
///
/// In row `p`, column `2i` is `scale sin(p w_i)` and column `2i + 1` is `scale cos(p w_i)`, with `w_i = 10000^(-2i / dim)`.
///
/// ```
/// use ihead::nn::{Init, sin_cos};
/// let Init::Values(table) = sin_cos(2, 4, 1.0) else { unreachable!() };
/// assert_eq!(table[..4], [0.0, 1.0, 0.0, 1.0]);
/// assert!((table[4] - 1_f32.sin()).abs() < 1e-7 && (table[6] - 0.01_f32.sin()).abs() < 1e-7);
/// ```
pub fn sin_cos<M: Dim, D: Dim>(max_length: M, dim: D, scale: f64) -> Init {
    let dim = dim.size();
    let entry = |p: usize, c: usize| {
        let angle = p as f64 * 10000_f64.powf(-((c / 2 * 2) as f64) / dim as f64);
        (scale * if c.is_multiple_of(2) { angle.sin() } else { angle.cos() }) as f32
    };
    Init::Values((0..max_length.size()).flat_map(|p| (0..dim).map(move |c| entry(p, c))).collect())
}
