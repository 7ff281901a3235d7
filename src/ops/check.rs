//! Compares the gradient of your own operation with finite differences.
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

use crate::{Error, Result};

use super::RowWise;

/// Rows on which an operation is tried.
const ROWS: usize = 32;
/// Step of the central differences.
const STEP: f64 = 1e-5;

/// Compares the backward pass of `f` with central differences of its forward pass, on 32 rows of normal deviates of the
/// `widths` of its inputs. Each element must be within `tolerance * max(1, largest)` of the difference, where `largest` is the
/// largest gradient of the row.
///
/// # Errors
/// If a gradient is off or not finite: which, its value, and what was expected; if the backward pass changes the length of a
/// gradient; or if `f` refuses the widths.
///
/// ```
/// use ihead::ops::{Pointwise, check_gradient, each_element};
///
/// struct Cube {
///     declared: f64,
/// }
/// impl Pointwise for Cube {
///     fn name(&self) -> &str {
///         "cube"
///     }
///     fn value(&self, x: f64) -> f64 {
///         x * x * x
///     }
///     fn derivative(&self, x: f64) -> f64 {
///         self.declared * x * x
///     }
/// }
///
/// check_gradient(&each_element(Cube { declared: 3.0 }), &[4], 1e-6)?;
/// let error = check_gradient(&each_element(Cube { declared: 2.0 }), &[4], 1e-6).unwrap_err();
/// assert!(error.to_string().starts_with("the gradient of 'cube' is off: input 0, column "));
/// # Ok::<(), ihead::Error>(())
/// ```
pub fn check_gradient(f: &impl RowWise, widths: &[usize], tolerance: f64) -> Result<()> {
    let refused = |problem: String| {
        Error::misfit(format!("operation '{}'", f.name()), format!("widths {widths:?}"), problem)
    };
    let width = f.width(widths).map_err(refused)?;
    let mut rng = Pcg64::seed_from_u64(0);
    let mut normal =
        |n: usize| -> Vec<f64> { (0..n).map(|_| rng.sample::<f64, _>(rand_distr::StandardNormal)).collect() };
    for _ in 0..ROWS {
        let mut inputs: Vec<Vec<f64>> = widths.iter().map(|w| normal(*w)).collect();
        let d_out = normal(width);
        let value = |inputs: &[Vec<f64>]| {
            let mut out = vec![0.0; width];
            f.forward(&inputs.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut out);
            out
        };
        let out = value(&inputs);
        let mut found: Vec<Vec<f64>> = widths.iter().map(|w| vec![0.0; *w]).collect();
        let rows: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
        f.backward(&rows, &out, &d_out, &mut found);
        let lengths: Vec<usize> = found.iter().map(Vec::len).collect();
        if lengths != widths {
            return Err(Error::shape(format!("the gradients of '{}'", f.name()), widths, &lengths));
        }
        let largest = found.iter().flatten().fold(1.0_f64, |most, g| most.max(g.abs()));
        for i in 0..widths.len() {
            for c in 0..widths[i] {
                let at = inputs[i][c];
                let mut along = |x: f64| {
                    inputs[i][c] = x;
                    value(&inputs).iter().zip(&d_out).map(|(y, d)| y * d).sum::<f64>()
                };
                let expected = (along(at + STEP) - along(at - STEP)) / (2.0 * STEP);
                along(at);
                let gradient = found[i][c];
                let off = (gradient - expected).abs();
                let is_right = gradient.is_finite() && off <= tolerance * largest;
                if !is_right {
                    let place =
                        format!("the gradient of '{}' is off: input {i}, column {c} at {at}", f.name());
                    return Err(Error::value(place, gradient, expected.to_string()));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The identity, with a backward pass of its own.
    struct Wrong(fn(&mut Vec<f64>));

    impl RowWise for Wrong {
        fn name(&self) -> &str {
            "wrong"
        }

        fn width(&self, inputs: &[usize]) -> std::result::Result<usize, String> {
            Ok(inputs[0])
        }

        fn forward(&self, inputs: &[&[f64]], out: &mut [f64]) {
            out.copy_from_slice(inputs[0]);
        }

        fn backward(&self, _: &[&[f64]], _: &[f64], d_out: &[f64], d_inputs: &mut [Vec<f64>]) {
            d_inputs[0].copy_from_slice(d_out);
            self.0(&mut d_inputs[0]);
        }
    }

    #[test]
    fn what_is_no_gradient_is_refused() {
        let refused = |change| check_gradient(&Wrong(change), &[4], 1e-6).unwrap_err().to_string();
        assert!(check_gradient(&Wrong(|_| {}), &[4], 1e-6).is_ok());
        assert!(check_gradient(&Wrong(|_| {}), &[4], f64::NAN).is_err());
        for (change, said) in [
            (
                (|d| d[1] = f64::INFINITY) as fn(&mut Vec<f64>),
                "the gradient of 'wrong' is off: input 0, column 1",
            ),
            (|d| d.fill(f64::INFINITY), "the gradient of 'wrong' is off: input 0, column 0"),
            (Vec::clear, "the gradients of 'wrong': expected shape [4], found [0]"),
            (|d| d.push(1.0), "the gradients of 'wrong': expected shape [4], found [5]"),
        ] {
            assert!(refused(change).starts_with(said), "{}", refused(change));
        }
    }
}
