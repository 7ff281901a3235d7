//! Distributions of initial values, and the random streams that they are drawn from.
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal, Uniform};
use rand_pcg::Pcg64;

use crate::Error;

/// The distribution of a parameter's initial values. They are drawn from a random stream that depends on the seed and on the
/// parameter's name alone.
///
/// ```
/// use ihead::nn::Init;
/// let values = Init::linear(16).draw(42, "output.weight", 100);
/// assert!(values.iter().all(|v| v.abs() <= 0.25));
/// assert_eq!(values, Init::linear(16).draw(42, "output.weight", 100)); // a function of seed and name
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Init {
    /// All values are 0.
    Zeros,
    /// All values are 1.
    Ones,
    /// Uniform on `[-bound, bound]`.
    Uniform {
        /// Half the width of the interval; finite, at least 0.
        bound: f64,
    },
    /// Normal, with mean 0.
    Normal {
        /// The standard deviation; finite, at least 0.
        std: f64,
    },
    /// These values, row-major.
    Values(Vec<f32>),
    /// A copy of the initial values of the parameter called `name`, drawn from `init`, divided by `divisor`.
    Copy {
        /// The name of the other parameter.
        name: String,
        /// Its distribution.
        init: Box<Init>,
        /// What its values are divided by; finite, not 0.
        divisor: f32,
    },
}

impl Init {
    /// Returns PyTorch's distribution for a linear map without bias, uniform on `[-1/sqrt(inputs), 1/sqrt(inputs)]`.
    pub fn linear(inputs: usize) -> Init {
        Init::Uniform { bound: 1.0 / (inputs as f64).sqrt() }
    }

    /// What is wrong with this distribution for the parameter `name` of shape `dims`.
    pub(crate) fn problem(&self, name: &str, dims: &[usize]) -> Option<Error> {
        let n: usize = dims.iter().product();
        let (found, expected) = match self {
            Init::Values(values) if values.len() != n => {
                (format!("{} initial values", values.len()), n.to_string())
            }
            Init::Copy { divisor, .. } if n > 0 && (!divisor.is_finite() || *divisor == 0.0) => {
                (format!("initial values divided by {divisor}"), "a finite number that is not 0".into())
            }
            Init::Copy { init, .. } => return init.problem(name, dims),
            Init::Uniform { bound: size } | Init::Normal { std: size }
                if n > 0 && !(0.0..f64::MAX).contains(size) =>
            {
                (format!("initial values from {self:?}"), "a finite number of at least 0".into())
            }
            _ => return None,
        };
        Some(Error::misfit(format!("parameter '{name}' {dims:?}"), found, expected))
    }

    /// The values that it gives whatever the seed and the name.
    pub(super) fn constant(&self, n: usize) -> Option<Vec<f32>> {
        match self {
            Init::Zeros => Some(vec![0.0; n]),
            Init::Ones => Some(vec![1.0; n]),
            Init::Values(values) => Some(values.clone()),
            Init::Uniform { .. } | Init::Normal { .. } | Init::Copy { .. } => None,
        }
    }

    /// Draws `n` values for the parameter called `name`. ([`Init::Values`] gives its own values, whatever `n` is.)
    ///
    /// Each parameter has a random stream of its own, PCG64 seeded by `seed` and the name (FNV-1a, 64 bits), so that adding a
    /// parameter to a model leaves the initial values of all others as they were.
    pub fn draw(&self, seed: u64, name: &str, n: usize) -> Vec<f32> {
        let mut rng = stream(seed, name);
        let mut sample = |one: &dyn Fn(&mut Pcg64) -> f64| (0..n).map(|_| one(&mut rng) as f32).collect();
        match self {
            Init::Zeros | Init::Ones | Init::Values(_) => self.constant(n).unwrap_or_default(),
            Init::Copy { name, init, divisor } => {
                init.draw(seed, name, n).into_iter().map(|value| value / divisor).collect()
            }
            Init::Uniform { bound } => {
                let unit = Uniform::new_inclusive(-1.0, 1.0);
                sample(&|rng| bound * unit.sample(rng))
            }
            Init::Normal { std } => sample(&|rng| {
                let z: f64 = StandardNormal.sample(rng);
                std * z
            }),
        }
    }
}

fn stream(seed: u64, name: &str) -> Pcg64 {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let mut state = [0; 32];
    state[..8].copy_from_slice(&seed.to_le_bytes());
    state[16..24].copy_from_slice(&hash.to_le_bytes());
    Pcg64::from_seed(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_a_stream_of_its_own() {
        let distribution = Init::Normal { std: 1.0 };
        assert_eq!(distribution.draw(1, "a", 4), distribution.draw(1, "a", 4));
        assert_ne!(distribution.draw(1, "a", 4), distribution.draw(1, "b", 4));
        assert_ne!(distribution.draw(1, "a", 4), distribution.draw(2, "a", 4));
    }

    #[test]
    fn laws_have_their_moments() {
        let n = 100_000;
        let moments = |v: &[f32]| {
            let mean = v.iter().map(|x| f64::from(*x)).sum::<f64>() / n as f64;
            (mean, v.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / n as f64)
        };
        let (mean, var) = moments(&Init::Normal { std: 0.5 }.draw(7, "x", n));
        assert!(mean.abs() < 0.01 && (var - 0.25).abs() < 0.01, "{mean} {var}");
        let values = Init::linear(4).draw(7, "x", n);
        let (mean, var) = moments(&values);
        assert!(mean.abs() < 0.01 && (var - 0.25 / 3.0).abs() < 0.005, "{mean} {var}");
        assert!(values.iter().all(|x| x.abs() <= 0.5));
    }
}
