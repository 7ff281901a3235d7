//! Positions that act on attention scores by distance.
use crate::Module;
use crate::backend::Dim;

use super::{Init, Param};

/// Relative positions: a bias of attention scores for each head and distance.
///
/// `b_h[t - j]` is added to head `h`'s score of the key at position `j` for the query at position `t`. The table has a
/// column for each distance, so `max_seq` is the longest sequence. State-dict name: `weight`, `[heads, max_seq]`.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::nn::{Attention, ModuleExt, RelativeBias};
///
/// let mut attention = Attention::new(Const::<64>, 2);
/// attention.relative = Some(RelativeBias::learned(2, 256));
/// assert_eq!(attention.tensor("relative.weight")?.dims(), [2, 256]);
///
/// let mut alibi = RelativeBias::alibi(2, 4).init(0);
/// let slopes = [1.0 / 16.0, 1.0 / 256.0];
/// assert_eq!(alibi.weight.values()[..4], [0.0, -slopes[0], -2.0 * slopes[0], -3.0 * slopes[0]]);
/// assert_eq!(alibi.weight.values()[7], -3.0 * slopes[1]);
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Module)]
pub struct RelativeBias<H: Dim, M: Dim> {
    /// The biases `b`, `[heads, max_seq]`.
    #[param]
    pub weight: Param<(H, M)>,
}

impl<H: Dim, M: Dim> RelativeBias<H, M> {
    /// Makes a trained bias, initially 0. (T5 shares one bias between several of the
    /// larger distances.)
    pub fn learned(heads: H, max_seq: M) -> Self {
        RelativeBias { weight: Param::new((heads, max_seq), Init::Zeros) }
    }

    /// Makes the frozen bias of ALiBi (Press and others 2022), `b_h[d] = -2^(-8 (h + 1) / heads) d` for head `h`, counted
    /// from 0.
    pub fn alibi(heads: H, max_seq: M) -> Self {
        let slope = |h: usize| 2_f64.powf(-8.0 * (h + 1) as f64 / heads.size() as f64);
        let row = |h: usize| (0..max_seq.size()).map(move |d| (0.0 - slope(h) * d as f64) as f32);
        let values = (0..heads.size()).flat_map(row).collect();
        RelativeBias { weight: Param::new((heads, max_seq), Init::Values(values)).frozen() }
    }
}
