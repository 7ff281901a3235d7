//! Which instruction set the kernels use.

use std::cell::Cell;
use std::str::FromStr;
use std::sync::OnceLock;

use crate::Error;

/// The instruction set of products, and of the other kernels for `f32`.
///
/// The best one that the machine offers is used, unless the environment variable `IHEAD_SIMD` (`portable`, `avx2`,
/// `avx512`; read once) or [`with_level`] asks for another. Results of two levels differ by rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// No assumption about the processor.
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 (F, BW, CD, DQ, VL).
    Avx512,
}

/// The names of the levels.
const NAMES: [&str; 3] = ["portable", "avx2", "avx512"];

impl Level {
    /// All levels, from the slowest to the fastest.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// Whether this machine can run it.
    pub fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return match self {
            Self::Portable => true,
            Self::Avx2 => super::raw::Avx2::new().is_some(),
            Self::Avx512 => super::raw::Avx512::new().is_some(),
        };
        #[cfg(not(target_arch = "x86_64"))]
        return self == Self::Portable;
    }

    /// The fastest level of this machine.
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|level| level.is_available()).unwrap_or(Self::Portable)
    }

    /// The level that `IHEAD_SIMD` asks for, or the best one if that variable is not there or empty.
    ///
    /// # Errors
    /// [`Error::Value`] when the variable names no level, or one that this machine lacks.
    pub fn from_env() -> Result<Self, Error> {
        let name = std::env::var_os("IHEAD_SIMD").filter(|name| !name.is_empty());
        let Some(name) = name.map(|name| name.to_string_lossy().into_owned()) else {
            return Ok(Self::best());
        };
        match name.parse::<Self>() {
            Ok(level) if level.is_available() => Ok(level),
            Ok(_) => Err(Error::value("IHEAD_SIMD", name, "instructions that this machine has")),
            Err(_) => {
                let expected = format!("portable, avx2 or avx512{}", crate::names::hint(&name, NAMES));
                Err(Error::value("IHEAD_SIMD", format!("'{name}'"), expected))
            }
        }
    }

    /// The level that kernels called on this thread use; a bad `IHEAD_SIMD`, which an engine refuses, counts as none.
    #[inline]
    pub fn current() -> Self {
        CURRENT.get().unwrap_or_else(|| {
            static PROCESS: OnceLock<Level> = OnceLock::new();
            let level = *PROCESS.get_or_init(|| Self::from_env().unwrap_or_else(|_| Self::best()));
            CURRENT.set(Some(level));
            level
        })
    }
}

impl FromStr for Level {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "portable" => Ok(Self::Portable),
            "avx2" => Ok(Self::Avx2),
            "avx512" => Ok(Self::Avx512),
            _ => Err(Error::unknown("instruction set", name, NAMES)),
        }
    }
}

thread_local! {
    static CURRENT: Cell<Option<Level>> = const { Cell::new(None) };
}

/// Runs `body` with the kernels of this thread at `level`; `None` when this machine lacks it.
///
/// ```
/// use ihead::internals::kernels::{dot, with_level, Level};
///
/// let sum = with_level(Level::Portable, || dot(&[1.0_f32, 2.0], &[3.0, 4.0]));
/// assert_eq!(sum, Some(11.0));
/// ```
pub fn with_level<R>(level: Level, body: impl FnOnce() -> R) -> Option<R> {
    struct Restore(Option<Level>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    level.is_available().then(|| {
        let _restore = Restore(CURRENT.replace(Some(level)));
        body()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forced_level_ends_with_its_closure() {
        let before = Level::current();
        assert_eq!(with_level(Level::Portable, Level::current), Some(Level::Portable));
        assert_eq!(Level::current(), before);
    }

    #[test]
    fn a_misspelt_level_is_an_error_that_names_the_nearest() {
        let error = "avx521".parse::<Level>().unwrap_err().to_string();
        assert!(error.contains("'avx521'") && error.contains("avx512"), "{error}");
    }
}
