//! Position tables.
use crate::backend::Dim;

use super::Init;

/// The sinusoidal table `[max_length, dim]`: row `p`, column `2i` is `sin(p w_i)`, column `2i + 1` is `cos(p w_i)`, with
/// `w_i = 10000^(-2i / dim)`, all times `scale`.
///
/// ```
/// use ihead::nn::{Init, sin_cos};
/// let Init::Given(table) = sin_cos(2, 4, 1.0) else { unreachable!() };
/// assert_eq!(table[..4], [0.0, 1.0, 0.0, 1.0]);
/// assert!((table[4] - 1_f32.sin()).abs() < 1e-7 && (table[6] - 0.01_f32.sin()).abs() < 1e-7);
/// ```
pub fn sin_cos<M: Dim, D: Dim>(max_length: M, dim: D, scale: f64) -> Init {
    let dim = dim.size();
    let entry = |p: usize, c: usize| {
        let angle = p as f64 * 10000_f64.powf(-((c / 2 * 2) as f64) / dim as f64);
        (scale * if c.is_multiple_of(2) { angle.sin() } else { angle.cos() }) as f32
    };
    Init::Given((0..max_length.size()).flat_map(|p| (0..dim).map(move |c| entry(p, c))).collect())
}
