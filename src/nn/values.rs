//! Values of parameters, of gradients and of optimisers, in single or double precision.
use std::any::Any;
use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::kernels::Element;
use crate::sealed::Sealed;

/// The precision in which the values of parameters, gradients and optimisers are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Storage {
    /// Single precision, 32 bits: every value that is written is rounded.
    #[default]
    Single,
    /// Double precision, 64 bits.
    Double,
}

/// Values, row-major, in the precision in which they are kept: a parameter's, its gradient's, an optimiser's.
///
/// ```
/// use ihead::nn::{Storage, Values};
/// let values = Values::Double(vec![0.1, 2.0]);
/// assert_eq!(values.single()[0], 0.1_f32);
/// assert_eq!(values.clone().stored(Storage::Single), Values::Single(vec![0.1, 2.0]));
/// assert_eq!(values.iter().sum::<f64>(), 2.1);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Values {
    /// In single precision.
    #[serde(rename = "f32", serialize_with = "write_floats", deserialize_with = "read_floats")]
    Single(Vec<f32>),
    /// In double precision.
    #[serde(rename = "f64", serialize_with = "write_floats", deserialize_with = "read_floats")]
    Double(Vec<f64>),
}

/// [`Values`] that are borrowed, to be changed in place in the precision in which they are kept.
#[derive(Debug)]
pub enum ValuesMut<'a> {
    /// In single precision.
    Single(&'a mut [f32]),
    /// In double precision.
    Double(&'a mut [f64]),
}

/// The number of values of this shape; `None` if there is no such number.
pub(crate) fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |n, size| n.checked_mul(*size))
}

impl Values {
    /// Returns `n` zeros in this precision.
    pub fn zeros(storage: Storage, n: usize) -> Values {
        match storage {
            Storage::Single => Values::Single(vec![0.0; n]),
            Storage::Double => Values::Double(vec![0.0; n]),
        }
    }

    /// Returns the precision in which the values are kept.
    pub fn storage(&self) -> Storage {
        match self {
            Values::Single(_) => Storage::Single,
            Values::Double(_) => Storage::Double,
        }
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        match self {
            Values::Single(values) => values.len(),
            Values::Double(values) => values.len(),
        }
    }

    /// Returns whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the values in single precision; they are rounded if they are kept in double.
    pub fn single(&self) -> Cow<'_, [f32]> {
        match self {
            Values::Single(values) => Cow::Borrowed(values),
            Values::Double(values) => values.iter().map(|v| *v as f32).collect(),
        }
    }

    /// Returns the values in double precision.
    pub fn double(&self) -> Cow<'_, [f64]> {
        match self {
            Values::Single(values) => values.iter().map(|v| f64::from(*v)).collect(),
            Values::Double(values) => Cow::Borrowed(values),
        }
    }

    /// Converts the values to this precision. They are rounded if it is single and they are kept in double.
    pub fn stored(self, storage: Storage) -> Values {
        match storage {
            _ if storage == self.storage() => self,
            Storage::Single => Values::Single(self.single().into_owned()),
            Storage::Double => Values::Double(self.double().into_owned()),
        }
    }

    /// Iterates over the values, in double precision.
    pub fn iter(&self) -> impl Iterator<Item = f64> {
        let (single, double) = match self {
            Values::Single(values) => (&values[..], &[][..]),
            Values::Double(values) => (&[][..], &values[..]),
        };
        single.iter().map(|v| f64::from(*v)).chain(double.iter().copied())
    }

    /// Whether these are the bits of other values, NaN included.
    pub(crate) fn same_bits(&self, other: &Values) -> bool {
        self.iter().map(f64::to_bits).eq(other.iter().map(f64::to_bits))
    }

    /// Returns the Euclidean norm of the values (the Frobenius norm of a matrix), summed in `f64`.
    pub fn norm(&self) -> f64 {
        self.iter().map(|v| v.powi(2)).sum::<f64>().sqrt()
    }

    /// Adds as many values.
    pub(crate) fn add(&mut self, other: impl Iterator<Item = f64>) {
        match self {
            Values::Single(values) => values.iter_mut().zip(other).for_each(|(to, from)| *to += from as f32),
            Values::Double(values) => values.iter_mut().zip(other).for_each(|(to, from)| *to += from),
        }
    }

    /// Copies them.
    ///
    /// # Panics
    /// If there are not as many as places.
    pub(crate) fn copy_to<E: Element>(&self, into: &mut [E]) {
        assert_eq!(self.len(), into.len(), "values for as many places");
        match self {
            Values::Single(values) => {
                into.iter_mut().zip(values).for_each(|(to, from)| *to = E::from_f64(f64::from(*from)));
            }
            Values::Double(values) => {
                into.iter_mut().zip(values).for_each(|(to, from)| *to = E::from_f64(*from))
            }
        }
    }

    /// Borrows the values, if this is their precision.
    pub(crate) fn borrowed<E: Element>(&self) -> Option<&[E]> {
        let kept: &dyn Any = match self {
            Values::Single(values) => values,
            Values::Double(values) => values,
        };
        kept.downcast_ref::<Vec<E>>().map(Vec::as_slice)
    }

    /// To be changed in place.
    pub(crate) fn view_mut(&mut self) -> ValuesMut<'_> {
        match self {
            Values::Single(values) => ValuesMut::Single(values),
            Values::Double(values) => ValuesMut::Double(values),
        }
    }

    /// To be changed in place as values of `E`, in whose precision they are kept from now on.
    pub(crate) fn of<E: Stored>(&mut self) -> &mut [E] {
        if self.storage() != E::STORAGE {
            *self = std::mem::replace(self, Values::zeros(E::STORAGE, 0)).stored(E::STORAGE);
        }
        E::slice_mut(self.view_mut()).unwrap_or_default()
    }

    /// The first value that is finite here and not in this precision.
    pub(crate) fn beyond(&self, storage: Storage) -> Option<f64> {
        match (self, storage) {
            (Values::Double(values), Storage::Single) => {
                values.iter().copied().find(|v| v.is_finite() && !(*v as f32).is_finite())
            }
            _ => None,
        }
    }
}

impl From<Vec<f32>> for Values {
    fn from(values: Vec<f32>) -> Values {
        Values::Single(values)
    }
}

impl From<Vec<f64>> for Values {
    fn from(values: Vec<f64>) -> Values {
        Values::Double(values)
    }
}

/// A type in which values are kept: `f32` or `f64`.
pub trait Stored: Element + Sealed {
    /// The precision of this type.
    const STORAGE: Storage;

    /// Wraps values of this type as [`Values`].
    fn pack(values: Vec<Self>) -> Values;

    /// Returns the values as a slice of this type, or `None` if they are kept in the other one.
    fn slice_mut(values: ValuesMut<'_>) -> Option<&mut [Self]>;
}

impl Sealed for f32 {}
impl Sealed for f64 {}

impl Stored for f32 {
    const STORAGE: Storage = Storage::Single;

    fn pack(values: Vec<f32>) -> Values {
        Values::Single(values)
    }

    fn slice_mut(values: ValuesMut<'_>) -> Option<&mut [f32]> {
        if let ValuesMut::Single(values) = values { Some(values) } else { None }
    }
}

impl Stored for f64 {
    const STORAGE: Storage = Storage::Double;

    fn pack(values: Vec<f64>) -> Values {
        Values::Double(values)
    }

    fn slice_mut(values: ValuesMut<'_>) -> Option<&mut [f64]> {
        if let ValuesMut::Double(values) = values { Some(values) } else { None }
    }
}

/// A number, or a word where JSON has no number: NaN and the infinities.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Float<T> {
    Finite(T),
    Word(String),
}

fn write_floats<S: Serializer, E: Element + Serialize>(
    values: &[E],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(|v| match v.is_finite() {
        true => Float::Finite(*v),
        false => Float::Word(v.to_string()),
    }))
}

fn read_floats<'de, D, E>(deserializer: D) -> Result<Vec<E>, D::Error>
where
    D: Deserializer<'de>,
    E: Deserialize<'de> + std::str::FromStr,
{
    let read = |float| match float {
        Float::Finite(value) => Ok(value),
        Float::Word(word) => word.parse().map_err(|_| D::Error::custom(format!("'{word}' is no number"))),
    };
    Vec::<Float<E>>::deserialize(deserializer)?.into_iter().map(read).collect()
}
