//! Patterns that follow a rule instead of scores.
use std::sync::Arc;

/// Where a clamped attention pattern looks from position `t`.
///
/// ```
/// use ihead::graph::Clamp;
/// let tokens = [7, 8, 7, 9];
/// assert_eq!(Clamp::Previous.source(&tokens, 3), Some(2));
/// assert_eq!(Clamp::Induction.source(&tokens, 2), Some(1)); // behind the 7 at position 0
/// assert_eq!(Clamp::Uniform.weights(&tokens, 1), [0.5, 0.5]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Clamp {
    /// Nowhere: the head reads nothing.
    Nothing,
    /// At the position before; position 0 looks at itself.
    Previous,
    /// At the position behind the last earlier occurrence of the token, or else at position 0.
    Induction,
    /// At position 0.
    First,
    /// At the position itself.
    Current,
    /// Everywhere up to the position, with the same weight.
    Uniform,
    /// At a fixed position for each.
    Parents(Arc<[u32]>),
}

impl Clamp {
    /// The one position at which it looks from `t`; `None` of a rule that looks at none or many.
    pub fn source(&self, tokens: &[u32], t: usize) -> Option<usize> {
        match self {
            Clamp::Previous => Some(t.saturating_sub(1)),
            Clamp::Induction => Some(tokens[..t].iter().rposition(|x| *x == tokens[t]).map_or(0, |s| s + 1)),
            Clamp::First => Some(0),
            Clamp::Current => Some(t),
            Clamp::Parents(parents) => Some(parents[t] as usize),
            Clamp::Nothing | Clamp::Uniform => None,
        }
    }

    /// Whether it looks at one position from each.
    pub fn is_one_hot(&self) -> bool {
        !matches!(self, Clamp::Nothing | Clamp::Uniform)
    }

    /// The weights of the positions `0..=t`.
    pub fn weights(&self, tokens: &[u32], t: usize) -> Vec<f64> {
        let source = self.source(tokens, t);
        let weight = |j: usize| match self {
            Clamp::Nothing => 0.0,
            Clamp::Uniform => 1.0 / (t + 1) as f64,
            _ => f64::from(u8::from(source == Some(j))),
        };
        (0..=t).map(weight).collect()
    }
}
