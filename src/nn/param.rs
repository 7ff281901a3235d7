//! Parameters: tensors with a shape in their type, an identity and a distribution of initial values.
use std::sync::atomic::{AtomicU64, Ordering};

use crate::backend::{Cpu, Shape, Tensor, TensorFromVec};
use crate::{Error, Result};

use super::init::Init;
use super::values::{Storage, Values, ValuesMut, elements};
use crate::sealed::Sealed;

/// The identity of a parameter, unique in the process. Graphs and engines refer to parameters by it; two names of one tied
/// parameter have the same identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParamId(u64);

impl ParamId {
    fn new() -> ParamId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        ParamId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A state of a parameter's values: no other state of any parameter of the process has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(u64);

impl Version {
    fn new() -> Version {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Version(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A parameter or buffer of shape `S`, which is `(R, C)` for a matrix and `(D,)` for a vector, with sizes of type `Const` or
/// `usize`.
///
/// It is kept in the memory of the CPU; engines copy it to where they compute. Its values are in single precision unless
/// something asks for double ([`AnyParam::set_storage`]), as a run with `precision=double` and a file of 64-bit tensors do.
/// A size that is `Const` is checked by the compiler wherever the parameter is used. [`ModuleExt`](super::ModuleExt) reads,
/// freezes and changes the parameters of a model by their names.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::nn::{Init, Param};
/// let w: Param<(Const<3>, usize)> = Param::new((Const, 2), Init::Zeros);
/// assert_eq!(w.dims(), [3, 2]);
/// ```
#[derive(Debug)]
pub struct Param<S: Shape> {
    shape: S,
    values: Values,
    init: Box<Init>,
    trains: bool,
    initialised: bool,
    id: ParamId,
    version: Version,
}

impl<S: Shape> Param<S> {
    /// Makes a parameter that trains. It has its values at once if its distribution is constant ([`Init::Zeros`],
    /// [`Init::Ones`], [`Init::Values`]). Otherwise its values must be drawn ([`ModuleExt::init`](super::ModuleExt::init)) or
    /// written before it is used, or an engine refuses it.
    ///
    /// Recording the model ([`crate::graph::record`]) refuses a distribution that does not fit the shape, with the parameter's
    /// name: [`Init::Values`] with another number of values, a bound or standard deviation that is negative or not finite, or a
    /// divisor that is 0 or not finite.
    /// Such a parameter is never drawn. [`Param::from_values`] refuses a wrong number of values at once.
    pub fn new(shape: S, init: Init) -> Self {
        let n = shape.num_elements();
        let (values, initialised) = match init.constant(n).filter(|values| values.len() == n) {
            Some(values) => (Values::Single(values), true),
            None => (Values::zeros(Storage::Single, n), n == 0),
        };
        Param {
            shape,
            values,
            init: init.into(),
            trains: true,
            initialised,
            id: ParamId::new(),
            version: Version::new(),
        }
    }

    /// Makes a parameter that trains, with these values, row-major. They are its values now, and again whenever it is
    /// initialised.
    ///
    /// # Errors
    /// If the number of values is not that of the shape.
    pub fn from_values(shape: S, values: Vec<f32>) -> Result<Self> {
        let expected: Vec<usize> = shape.concrete().into_iter().collect();
        if elements(&expected) != Some(values.len()) {
            return Err(Error::shape("parameter", &expected, &[values.len()]));
        }
        Ok(Param::new(shape, Init::Values(values)))
    }

    /// Returns the same parameter, frozen: it keeps its values until it is released.
    pub fn frozen(mut self) -> Self {
        self.trains = false;
        self
    }

    /// Returns the shape, as the type `S`.
    pub fn shape(&self) -> &S {
        &self.shape
    }

    /// Returns a copy of the values as a dfdx tensor of that shape. They are rounded if they are kept in double precision.
    pub fn tensor(&self) -> Tensor<S, f32, Cpu> {
        Cpu::default().tensor_from_vec(self.values(), self.shape)
    }

    /// Returns the identity of the parameter.
    pub fn id(&self) -> ParamId {
        self.id
    }

    /// Returns the sizes of the axes: `[rows, columns]` of a matrix, `[width]` of a vector.
    pub fn dims(&self) -> Vec<usize> {
        self.shape().concrete().into_iter().collect()
    }

    /// Returns a copy of the values, row-major, in single precision. They are rounded if they are kept in double.
    pub fn values(&self) -> Vec<f32> {
        AnyParam::values(self)
    }

    /// Returns the distribution of the initial values.
    pub fn init(&self) -> &Init {
        &self.init
    }

    /// Returns whether the parameter trains now, or is frozen.
    pub fn trains(&self) -> bool {
        self.trains
    }
}

/// Returns the Euclidean norm of values (the Frobenius norm of a matrix), summed in `f64`.
pub fn norm(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

/// A parameter of any shape, as [`Module::visit`](super::Module::visit) shows it and
/// [`ModuleExt::tensor`](super::ModuleExt::tensor) finds it. Every [`Param`] is one.
pub trait AnyParam: Sealed + Send + Sync {
    /// Returns the identity of the parameter.
    fn id(&self) -> ParamId;

    /// Returns a number for the values as they are now. Whatever may change them gives them another.
    fn version(&self) -> Version;

    /// Returns the sizes of the axes.
    fn dims(&self) -> Vec<usize>;

    /// Returns whether the parameter trains now, or is frozen.
    fn trains(&self) -> bool;

    /// Lets the parameter train (`true`) or freezes it (`false`).
    fn set_trains(&mut self, trains: bool);

    /// Returns whether the parameter has values: it was drawn or written, or its distribution is constant.
    fn is_initialised(&self) -> bool;

    /// Returns the distribution of the initial values.
    fn init(&self) -> &Init;

    /// Draws the initial values again, from the random stream of `seed` and `name` ([`Init::draw`]).
    fn draw(&mut self, seed: u64, name: &str);

    /// Returns the values, row-major, in the precision in which they are kept.
    fn data(&self) -> &Values;

    /// Returns the values, row-major, to be changed in place. The parameter counts as initialised from then on.
    fn data_mut(&mut self) -> ValuesMut<'_>;

    /// Keeps the values in this precision from now on. From double to single they are rounded.
    fn set_storage(&mut self, storage: Storage);

    /// Replaces the values, row-major. The new ones are rounded if the parameter keeps single precision.
    ///
    /// # Errors
    /// If the number of values is not that of the shape.
    fn put(&mut self, values: Values) -> Result<()>;

    /// Replaces the values, row-major, by values in single precision.
    ///
    /// # Errors
    /// If the number of values is not that of the shape.
    fn write(&mut self, values: &[f32]) -> Result<()> {
        self.put(Values::Single(values.to_vec()))
    }

    /// Returns a copy of the values, row-major, in single precision. They are rounded if they are kept in double.
    fn values(&self) -> Vec<f32> {
        self.data().single().into_owned()
    }

    /// Returns the Euclidean norm of the values (the Frobenius norm of a matrix), summed in `f64`.
    fn norm(&self) -> f64 {
        self.data().norm()
    }
}

impl<S: Shape> Sealed for Param<S> {}

impl<S: Shape> AnyParam for Param<S> {
    fn id(&self) -> ParamId {
        self.id
    }

    fn version(&self) -> Version {
        self.version
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

    fn is_initialised(&self) -> bool {
        self.initialised
    }

    fn init(&self) -> &Init {
        &self.init
    }

    fn draw(&mut self, seed: u64, name: &str) {
        if self.init.problem(name, &self.dims()).is_some() {
            return; // refused when the model is recorded
        }
        let drawn = self.init.draw(seed, name, self.shape.num_elements());
        self.values = Values::Single(drawn).stored(self.values.storage());
        (self.initialised, self.version) = (true, Version::new());
    }

    fn data(&self) -> &Values {
        &self.values
    }

    fn data_mut(&mut self) -> ValuesMut<'_> {
        (self.initialised, self.version) = (true, Version::new());
        self.values.view_mut()
    }

    fn set_storage(&mut self, storage: Storage) {
        if self.values.storage() != storage {
            let values = std::mem::replace(&mut self.values, Values::zeros(storage, 0));
            self.values = values.stored(storage);
            self.version = Version::new();
        }
    }

    fn put(&mut self, values: Values) -> Result<()> {
        if values.len() != self.shape.num_elements() {
            return Err(Error::shape("parameter", &self.dims(), &[values.len()]));
        }
        self.values = values.stored(self.values.storage());
        (self.initialised, self.version) = (true, Version::new());
        Ok(())
    }
}
