//! Changes of queries, keys and values before the scores are computed.
use crate::Module;
use crate::backend::Dim;
use crate::graph::{Site, Stream};

use super::{Init, Module as IsModule, Param, Visitor, VisitorMut};

/// A change of queries, keys and values after their maps and before rotary positions turn them, as [`Attention::change`].
///
/// Each method changes one of the three; a method that you do not write changes nothing.
///
/// [`Attention::change`]: super::Attention::change
///
/// ```
/// use ihead::Module;
/// use ihead::backend::Dim;
/// use ihead::graph::{Site, Stream};
/// use ihead::nn::{Attention, ChangeQkv, Init, ModuleExt, Param};
///
/// /// Smeared keys (Olsson and others 2022): each head mixes in the key of the position before, by a trained gate.
/// #[derive(Module)]
/// struct Smear {
///     #[param]
///     gate: Param<(usize,)>,
/// }
///
/// impl ChangeQkv for Smear {
///     fn keys<T: Dim, K: Dim>(&self, k: Stream<T, K>, heads: usize, _: &Site) -> Stream<T, K> {
///         let gate = k.recorder().vector(&self.gate).sigmoid(); // [1, heads]
///         let gate = gate.repeat_columns(k.dim().size() / heads, k.dim()); // [1, dim]
///         k.shift(1).gain(&gate) + k.gain(&gate.rest())
///     }
/// }
///
/// let smear = Smear { gate: Param::new((4,), Init::Zeros) };
/// let attention = Attention::new(64, 4).changed(smear);
/// assert_eq!(attention.tensor("change.gate")?.dims(), [4]);
/// # Ok::<(), ihead::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what becomes of queries, keys and values",
    note = "implement `ChangeQkv`: each of its methods has a default that changes nothing"
)]
pub trait ChangeQkv: IsModule {
    /// Changes the queries, `[seq, dim]` to `[seq, dim]`, whose columns are `heads` heads side by side.
    fn queries<T: Dim, D: Dim>(&self, q: Stream<T, D>, heads: usize, site: &Site) -> Stream<T, D> {
        let _ = (heads, site);
        q
    }

    /// Changes the keys, `[seq, key_dim]`, whose columns are `heads` heads of keys side by side.
    fn keys<T: Dim, K: Dim>(&self, k: Stream<T, K>, heads: usize, site: &Site) -> Stream<T, K> {
        let _ = (heads, site);
        k
    }

    /// Changes the values, `[seq, key_dim]`, whose columns are `heads` heads of values side by side.
    fn values<T: Dim, K: Dim>(&self, v: Stream<T, K>, heads: usize, site: &Site) -> Stream<T, K> {
        let _ = (heads, site);
        v
    }
}

/// The [`ChangeQkv`] that changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Unchanged;

impl IsModule for Unchanged {
    fn visit<'a>(&'a self, _: &str, _: &mut Visitor<'a, '_>) {}

    fn visit_mut(&mut self, _: &str, _: &mut VisitorMut<'_>) {}
}

impl ChangeQkv for Unchanged {}

/// RMS norm of the queries and keys of each head ("QK norm"; Dehghani and others 2023 do it with layer norm).
///
/// Each query `q` of a head becomes `q_gain * q / sqrt(mean(q^2) + eps)`, each key likewise with `k_gain`; the heads share
/// the gains. State-dict names: `q_gain`, `k_gain`, `[head width]`.
///
/// ```
/// use ihead::nn::{Attention, ModuleExt, QkNorm};
/// let attention = Attention::new(64, 4).changed(QkNorm::new(16));
/// assert_eq!(attention.tensor("change.q_gain")?.dims(), [16]);
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Module)]
pub struct QkNorm {
    /// The gain of the queries, `[head width]`, initially 1.
    #[param]
    pub q_gain: Param<(usize,)>,
    /// The gain of the keys, `[head width]`, initially 1.
    #[param]
    pub k_gain: Param<(usize,)>,
    /// The number `eps` that is added to the mean square.
    pub eps: f64,
}

impl QkNorm {
    /// Makes the norms for heads of this width, with `eps = 1e-5`.
    pub fn new(head_width: usize) -> QkNorm {
        let gain = || Param::new((head_width,), Init::Ones);
        QkNorm { q_gain: gain(), k_gain: gain(), eps: 1e-5 }
    }

    fn normed<T: Dim, D: Dim>(&self, x: Stream<T, D>, heads: usize, gain: &Param<(usize,)>) -> Stream<T, D> {
        let gain = x.recorder().vector(gain); // [1, width]
        let dim = x.dim().size();
        let width = dim / heads.max(1);
        // each column of the gain in every head
        let copies: Vec<f64> =
            (0..width * dim).map(|i| f64::from(u8::from(i % dim % width == i / dim))).collect();
        let copies = x.recorder().constant(width, x.dim(), &copies); // [width, dim]
        x.rms_normalise_heads(heads, self.eps).gain(&gain.matmul(&copies))
    }
}

impl ChangeQkv for QkNorm {
    fn queries<T: Dim, D: Dim>(&self, q: Stream<T, D>, heads: usize, _: &Site) -> Stream<T, D> {
        self.normed(q, heads, &self.q_gain)
    }

    fn keys<T: Dim, K: Dim>(&self, k: Stream<T, K>, heads: usize, _: &Site) -> Stream<T, K> {
        self.normed(k, heads, &self.k_gain)
    }
}

/// A change of queries, keys and values that a setting chooses ([`TransformerArgs::qk_norm`](crate::model::TransformerArgs)).
#[derive(Module)]
#[non_exhaustive]
pub enum AnyChange {
    /// No change.
    None,
    /// RMS norm of queries and keys.
    QkNorm(QkNorm),
}

impl ChangeQkv for AnyChange {
    fn queries<T: Dim, D: Dim>(&self, q: Stream<T, D>, heads: usize, site: &Site) -> Stream<T, D> {
        match self {
            AnyChange::None => q,
            AnyChange::QkNorm(norm) => norm.queries(q, heads, site),
        }
    }

    fn keys<T: Dim, K: Dim>(&self, k: Stream<T, K>, heads: usize, site: &Site) -> Stream<T, K> {
        match self {
            AnyChange::None => k,
            AnyChange::QkNorm(norm) => norm.keys(k, heads, site),
        }
    }
}
