//! NumPy's random streams, bit for bit: `default_rng`, `random`, and the variants of `choice` that the paper's
//! data uses.
//!
//! | NumPy | here |
//! |---|---|
//! | `SeedSequence(seed).generate_state(n)` | [`seed_sequence`] |
//! | `default_rng(seed)` | [`NumpyRng::new`] |
//! | `rng.random()` | [`NumpyRng::random`] |
//! | `rng.integers(n)`, `rng.choice(n)` | [`NumpyRng::below`] |
//! | `rng.choice(n, p=p)` | [`Categorical::sample`], [`CategoricalRows::sample`] |
//! | `rng.choice(n, size=k, replace=False, p=p)` | [`WithoutReplacement::sample`] |
//! | `array.sum()` | [`pairwise_sum`] |

mod categorical;
mod generator;
mod pairwise;
pub mod seed_sequence;
mod without_replacement;

pub use categorical::{Categorical, CategoricalRows, MAX_CATEGORIES};
pub use generator::{NumpyRng, Position};
pub use pairwise::pairwise_sum;
pub use without_replacement::WithoutReplacement;
