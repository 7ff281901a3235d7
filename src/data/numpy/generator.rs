//! NumPy's `Generator` on `PCG64`: the 64-bit and 32-bit draws, `random` and bounded integers.

use rand::RngCore;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use super::seed_sequence;

/// A random stream that draws, bit for bit, what NumPy's `default_rng(seed)` draws: a PCG64 (XSL-RR 128/64).
///
/// Besides its own methods it is a `rand` generator ([`RngCore`]), so that your own task may use any distribution
/// of the `rand` crates. (Those are not NumPy's algorithms.)
///
/// ```
/// use ihead::data::NumpyRng;
/// let mut rng = NumpyRng::new(&[42]); // numpy.random.default_rng(42)
/// assert_eq!(rng.random(), 0.7739560485559633);
/// ```
#[derive(Clone, Debug)]
pub struct NumpyRng {
    pcg: Pcg64,
    position: Position,
}

/// How far a stream has been read: with its seed, all that is needed to continue from there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The number of 64-bit words that have been drawn.
    pub words: u64,
    /// The half of a 64-bit word that is kept for the next 32-bit draw.
    pub kept_half: Option<u32>,
}

impl NumpyRng {
    /// Makes the stream of `default_rng(seed)`, at its beginning. The seed is a list of integers, as NumPy's `SeedSequence`
    /// takes it; a list of one integer is the same as that integer.
    pub fn new(seed: &[u64]) -> Self {
        let [state_high, state_low, stream_high, stream_low] = seed_sequence::generate_state(seed);
        let join = |high, low| u128::from(high) << 64 | u128::from(low);
        Self {
            pcg: Pcg64::new(join(state_high, state_low), join(stream_high, stream_low)),
            position: Position::default(),
        }
    }

    /// Continues the stream of `seed` from `position`, by a jump: nothing is drawn again.
    pub fn resume(seed: &[u64], position: Position) -> Self {
        let mut rng = Self::new(seed);
        rng.pcg.advance(u128::from(position.words));
        Self { position, ..rng }
    }

    /// Returns how far this stream has been read.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Draws a number that is uniform on `[0, 1)`, as `rng.random()` does: the top 53 bits of a 64-bit word.
    #[inline]
    pub fn random(&mut self) -> f64 {
        self.top53() as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// The 53 bits from which [`random`](Self::random) is made: `random() = top53() / 2^53`.
    #[inline]
    pub(super) fn top53(&mut self) -> u64 {
        self.next_u64() >> 11
    }

    /// Draws an integer that is uniform on `0..n`, as `rng.integers(n)` does. It is also the index that `rng.choice(pool)`
    /// takes in a pool of `n`.
    ///
    /// Lemire's bounded 32-bit draw. Nothing is drawn for `n <= 1`, and the result is then 0.
    pub fn below(&mut self, n: u32) -> u32 {
        if n <= 1 {
            return 0;
        }
        let n = u64::from(n);
        let mut product = u64::from(self.next_u32()) * n;
        if u64::from(product as u32) < n {
            let rejected = (1_u64 << 32) % n;
            while u64::from(product as u32) < rejected {
                product = u64::from(self.next_u32()) * n;
            }
        }
        (product >> 32) as u32
    }

    /// Draws the index `i` with probability `p[i]`, as `rng.choice(len(p), p=p)` does. This is meant for a single draw from a
    /// distribution; `p` need not sum to 1 exactly. The index is 0 if nothing in `p` is positive or something is NaN.
    ///
    /// NumPy's look-up: the first index whose running sum, divided by the whole sum, is above a uniform draw. A
    /// distribution that is drawn from often is quicker as a [`Categorical`](super::Categorical).
    ///
    /// ```
    /// use ihead::data::NumpyRng;
    /// let mut rng = NumpyRng::new(&[42]); // numpy.random.default_rng(42).choice(3, p=[0.5, 0.25, 0.25])
    /// assert_eq!(rng.weighted(&[0.5, 0.25, 0.25]), 2);
    /// ```
    pub fn weighted(&mut self, p: &[f64]) -> u32 {
        let whole = p.iter().fold(0.0, |sum, p| sum + p);
        let (u, mut sum) = (self.random(), 0.0);
        let above = p.iter().position(|p| {
            sum += p;
            sum / whole > u
        });
        // reached only if `p` is not a distribution
        above.unwrap_or(0) as u32
    }
}

impl RngCore for NumpyRng {
    /// NumPy's `next_uint32`: the low half of a 64-bit draw, then its high half, which outlives 64-bit draws in
    /// between.
    #[inline]
    fn next_u32(&mut self) -> u32 {
        if let Some(half) = self.position.kept_half.take() {
            return half;
        }
        let word = self.next_u64();
        self.position.kept_half = Some((word >> 32) as u32);
        word as u32
    }

    #[inline]
    fn next_u64(&mut self) -> u64 {
        self.position.words += 1;
        self.pcg.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}
