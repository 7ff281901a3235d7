//! Parameters: tensors whose shape is in their type, with an identity, an initial law, and whether they train.
use std::sync::atomic::{AtomicU64, Ordering};

use crate::backend::{Cpu, Shape, Tensor, TensorFromVec};
use crate::{Error, Result};

use super::init::Init;

/// The identity of a parameter, unique in the process: what graphs and engines know it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParamId(u64);

impl ParamId {
    fn new() -> ParamId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        ParamId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A parameter or buffer of shape `S`: `(R, C)` for a matrix, `(D,)` for a vector, of dfdx `Dim`s.
///
/// It lives on the host, in f32; engines copy it to where they compute. A dim that is `Const` is checked by the compiler
/// wherever the parameter is used.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::nn::{Init, Param};
/// let w: Param<(Const<3>, usize)> = Param::new((Const, 2), Init::Zeros);
/// assert_eq!(w.dims(), [3, 2]);
/// ```
#[derive(Debug)]
pub struct Param<S: Shape> {
    tensor: Tensor<S, f32, Cpu>,
    init: Init,
    trains: bool,
    id: ParamId,
}

impl<S: Shape> Param<S> {
    /// A parameter that trains, of zeros until it is initialised from its law.
    ///
    /// # Panics
    /// If `init` cannot be the law of a parameter of this shape: [`Init::Given`] has another number of values, or a
    /// bound or standard deviation is negative or not finite. [`Param::from_values`] takes values that may not fit.
    #[track_caller]
    pub fn new(shape: S, init: Init) -> Self {
        let n = shape.num_elements();
        if let Some(problem) = init.problem(n) {
            panic!("the law of a parameter of shape {:?} {problem}", shape.concrete());
        }
        let tensor = Cpu::default().tensor_from_vec(vec![0.0; n], shape);
        Param { tensor, init, trains: true, id: ParamId::new() }
    }

    /// A parameter that trains, with these values, row-major, now and when it is initialised.
    ///
    /// # Errors
    /// If the number of values is not that of the shape.
    pub fn from_values(shape: S, values: Vec<f32>) -> Result<Self> {
        let (n, found) = (shape.num_elements(), values.len());
        if n != found {
            let expected: Vec<usize> = shape.concrete().into_iter().collect();
            return Err(Error::shape("parameter", &expected, &[found]));
        }
        let tensor = Cpu::default().tensor_from_vec(values.clone(), shape);
        Ok(Param { tensor, init: Init::Given(values), trains: true, id: ParamId::new() })
    }

    /// The same parameter, frozen.
    pub fn frozen(mut self) -> Self {
        self.trains = false;
        self
    }

    /// Its shape.
    pub fn shape(&self) -> &S {
        use crate::backend::HasShape;
        self.tensor.shape()
    }

    /// Its values, as a dfdx tensor of that shape.
    pub fn tensor(&self) -> &Tensor<S, f32, Cpu> {
        &self.tensor
    }

    /// Its identity.
    pub fn id(&self) -> ParamId {
        self.id
    }

    /// Its sizes.
    pub fn dims(&self) -> Vec<usize> {
        self.shape().concrete().into_iter().collect()
    }

    /// Its values, row-major.
    pub fn values(&self) -> Vec<f32> {
        AnyParam::values(self)
    }

    /// The law of its initial values.
    pub fn init(&self) -> &Init {
        &self.init
    }

    /// Whether it trains now.
    pub fn trains(&self) -> bool {
        self.trains
    }
}

/// The Euclidean norm of values (the Frobenius norm of a matrix), summed in f64.
pub fn norm(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

/// A parameter whatever its shape.
pub trait AnyParam: Send + Sync {
    /// Its identity.
    fn id(&self) -> ParamId;

    /// Its sizes.
    fn dims(&self) -> Vec<usize>;

    /// Whether it trains now.
    fn trains(&self) -> bool;

    /// Freezes or releases it.
    fn set_trains(&mut self, trains: bool);

    /// The law of its initial values.
    fn init(&self) -> &Init;

    /// Draws its initial values again, for the name `name`: [`Init::draw`].
    fn draw(&mut self, seed: u64, name: &str);

    /// Copies its values, row-major, into a slice of the right length.
    fn read_into(&self, into: &mut [f32]);

    /// Replaces its values, row-major.
    ///
    /// # Errors
    /// If the number of values is not that of the shape.
    fn write(&mut self, values: &[f32]) -> Result<()>;

    /// Its values, row-major.
    fn values(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.dims().iter().product()];
        self.read_into(&mut values);
        values
    }

    /// The Euclidean norm of its values, summed in f64.
    fn norm(&self) -> f64 {
        norm(&self.values())
    }
}

impl<S: Shape> AnyParam for Param<S> {
    fn id(&self) -> ParamId {
        self.id
    }

    fn dims(&self) -> Vec<usize> {
        Param::dims(self)
    }

    fn trains(&self) -> bool {
        self.trains
    }

    fn set_trains(&mut self, trains: bool) {
        self.trains = trains;
    }

    fn init(&self) -> &Init {
        &self.init
    }

    fn draw(&mut self, seed: u64, name: &str) {
        // `Param::new` has checked that the law gives as many values as the shape has
        self.tensor.copy_from(&self.init.draw(seed, name, self.shape().num_elements()));
    }

    fn read_into(&self, into: &mut [f32]) {
        self.tensor.copy_into(into);
    }

    fn write(&mut self, values: &[f32]) -> Result<()> {
        let expected = self.shape().num_elements();
        if values.len() != expected {
            return Err(Error::shape("parameter", &self.dims(), &[values.len()]));
        }
        self.tensor.copy_from(values);
        Ok(())
    }
}
