//! Modules: named parameters.
use std::collections::{HashMap, HashSet};

use crate::engine::ParamSource;
use crate::kernels::Element;
use crate::names::stands_for;
use crate::{Error, Result};

use super::param::{AnyParam, Param, ParamId};
use super::transfer::Transfer;
use super::values::{Storage, ValuesMut};
use crate::sealed::Sealed;

/// What a tensor of a module is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A parameter: it trains unless it is frozen.
    Param,
    /// A buffer: a tensor that is saved with the weights and never trains, such as a fixed table of positions.
    Buffer,
}

/// A function that is called with each tensor of a module: its name, its role and the tensor.
pub type Visitor<'a, 'v> = dyn FnMut(&str, Role, &'a dyn AnyParam) + 'v;

/// A function that is called with each tensor of a module and may change it.
pub type VisitorMut<'v> = dyn FnMut(&str, Role, &mut dyn AnyParam) + 'v;

/// Something with named parameters; derive it.
///
/// Names are dotted paths of fields, equal to PyTorch's state-dict names: `layers.0.attention.wk.weight`.
/// A parameter that two names share is visited under both.
///
/// ```
/// use ihead::Module;
/// use ihead::backend::Dim;
/// use ihead::nn::{Init, Linear, ModuleExt, Param};
///
/// #[derive(Module)]
/// struct Head<D: Dim> {
///     #[module]
///     layers: Vec<Linear<D, D>>,
///     #[buffer(rename = "pe")]
///     positions: Param<(usize, D)>,
///     #[param]
///     bias: Param<(D,)>,
///     temperature: f64, // no role: left alone
/// }
///
/// let mut model = Head {
///     layers: vec![Linear::new(8, 8), Linear::new(8, 8)],
///     positions: Param::new((4, 8), Init::Normal { std: 1.0 }),
///     bias: Param::new((8,), Init::Zeros),
///     temperature: 1.0,
/// };
/// let names: Vec<_> = model.tensors().into_iter().map(|(name, ..)| name).collect();
/// assert_eq!(names, ["layers.0.weight", "layers.1.weight", "pe", "bias"]);
/// model = model.init(42);
/// model.freeze("layers.*")?;
/// assert_eq!(model.training().len(), 1);
/// # Ok::<(), ihead::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a module",
    label = "not a module",
    note = "put `#[derive(Module)]` on the type, or mark the field `#[param]` or `#[buffer]` if it is a `Param`",
    note = "a field without an attribute is left alone"
)]
pub trait Module {
    /// Calls `visitor` with each tensor, with `prefix` before its name.
    fn visit<'a>(&'a self, prefix: &str, visitor: &mut Visitor<'a, '_>);

    /// Calls `visitor` with each tensor, which it may change.
    fn visit_mut(&mut self, prefix: &str, visitor: &mut VisitorMut<'_>);
}

/// `prefix.name`, or `name` at the root.
pub fn join(prefix: &str, name: impl std::fmt::Display) -> String {
    if prefix.is_empty() { name.to_string() } else { format!("{prefix}.{name}") }
}

impl<M: Module> Module for Option<M> {
    fn visit<'a>(&'a self, prefix: &str, visitor: &mut Visitor<'a, '_>) {
        self.iter().for_each(|m| m.visit(prefix, visitor));
    }

    fn visit_mut(&mut self, prefix: &str, visitor: &mut VisitorMut<'_>) {
        self.iter_mut().for_each(|m| m.visit_mut(prefix, visitor));
    }
}

impl<M: Module> Module for Vec<M> {
    fn visit<'a>(&'a self, prefix: &str, visitor: &mut Visitor<'a, '_>) {
        self.iter().enumerate().for_each(|(i, m)| m.visit(&join(prefix, i), visitor));
    }

    fn visit_mut(&mut self, prefix: &str, visitor: &mut VisitorMut<'_>) {
        self.iter_mut().enumerate().for_each(|(i, m)| m.visit_mut(&join(prefix, i), visitor));
    }
}

impl<M: Module, const N: usize> Module for [M; N] {
    fn visit<'a>(&'a self, prefix: &str, visitor: &mut Visitor<'a, '_>) {
        self.iter().enumerate().for_each(|(i, m)| m.visit(&join(prefix, i), visitor));
    }

    fn visit_mut(&mut self, prefix: &str, visitor: &mut VisitorMut<'_>) {
        self.iter_mut().enumerate().for_each(|(i, m)| m.visit_mut(&join(prefix, i), visitor));
    }
}

impl<M: Module + ?Sized> Module for Box<M> {
    fn visit<'a>(&'a self, prefix: &str, visitor: &mut Visitor<'a, '_>) {
        (**self).visit(prefix, visitor);
    }

    fn visit_mut(&mut self, prefix: &str, visitor: &mut VisitorMut<'_>) {
        (**self).visit_mut(prefix, visitor);
    }
}

/// A field that may be `#[param]` or `#[buffer]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a parameter",
    label = "not a parameter",
    note = "`#[param]` and `#[buffer]` take a `Param<(R, C)>` or `Param<(D,)>`, or an `Option` of one; a module takes `#[module]`"
)]
pub trait ParamField: Sealed {
    /// The parameter, if it is there.
    fn get(&self) -> Option<&dyn AnyParam>;
    /// The parameter, to change it.
    fn get_mut(&mut self) -> Option<&mut dyn AnyParam>;
}

impl<S: crate::backend::Shape> ParamField for Param<S> {
    fn get(&self) -> Option<&dyn AnyParam> {
        Some(self)
    }

    fn get_mut(&mut self) -> Option<&mut dyn AnyParam> {
        Some(self)
    }
}

impl<P: ParamField> Sealed for Option<P> {}

impl<P: ParamField> ParamField for Option<P> {
    fn get(&self) -> Option<&dyn AnyParam> {
        self.as_ref().and_then(P::get)
    }

    fn get_mut(&mut self) -> Option<&mut dyn AnyParam> {
        self.as_mut().and_then(P::get_mut)
    }
}

/// Methods of every module: its parameters by name, their initial values, and which of them train.
pub trait ModuleExt: Module {
    /// Every tensor with its name and role, in the order of the fields. A tied parameter is listed under each of its names.
    fn tensors(&self) -> Vec<(String, Role, &dyn AnyParam)> {
        let mut list = Vec::new();
        self.visit("", &mut |name, role, tensor| list.push((name.to_string(), role, tensor)));
        list
    }

    /// The parameters that train now, each once, under its first name.
    fn training(&self) -> Vec<(String, &dyn AnyParam)> {
        let mut seen = HashSet::new();
        let trains = |(_, role, p): &(String, Role, &dyn AnyParam)| *role == Role::Param && p.trains();
        self.tensors()
            .into_iter()
            .filter(trains)
            .filter(|(_, _, p)| seen.insert(p.id()))
            .map(|(n, _, p)| (n, p))
            .collect()
    }

    /// The tensor of this name, or the only one of the module of this name.
    ///
    /// # Errors
    /// If there is none: the nearest name is in the message.
    fn tensor(&self, name: &str) -> Result<&dyn AnyParam> {
        let tensors = self.tensors();
        let found = one(name, tensors.iter().map(|(name, ..)| name.as_str()))?;
        Ok(tensors[found].2)
    }

    /// The names of the parameters that `pattern` stands for: a name, a pattern with `*` for any characters, or either for
    /// the path of a module that holds one tensor alone (`layers.0.attention.wk`).
    ///
    /// # Errors
    /// If it stands for none: the nearest name is in the message; or for buffers only, which never train.
    fn matching(&self, pattern: &str) -> Result<Vec<String>> {
        let tensors = self.tensors();
        let of = |role| tensors.iter().filter(move |(_, r, _)| *r == role).map(|(name, ..)| name.as_str());
        let meant = stands_for(pattern, tensors.iter().map(|(name, ..)| name.as_str()));
        let found: Vec<String> =
            of(Role::Param).filter(|name| meant.contains(name)).map(String::from).collect();
        match (found.is_empty(), meant.first()) {
            (false, _) => Ok(found),
            (true, Some(buffer)) => {
                Err(Error::value(*buffer, "a buffer, which never trains", "the name of a parameter"))
            }
            (true, None) => Err(unknown("parameter", pattern, of(Role::Param))),
        }
    }

    /// Draws the initial values of all parameters, each from a random stream of its own that depends on its name and `seed`;
    /// see [`super::Init::draw`].
    #[must_use]
    fn init(mut self, seed: u64) -> Self
    where
        Self: Sized,
    {
        let mut seen = HashSet::new();
        self.visit_mut("", &mut |name, _, tensor| {
            if seen.insert(tensor.id()) {
                tensor.draw(seed, name);
            }
        });
        self
    }

    /// The number of values in all parameters. A tied parameter counts once, buffers do not count.
    fn count(&self) -> usize {
        let mut seen = HashSet::new();
        let params =
            self.tensors().into_iter().filter(|(_, role, p)| *role == Role::Param && seen.insert(p.id()));
        params.map(|(_, _, p)| p.dims().iter().product::<usize>()).sum()
    }

    /// Freezes the parameters that `pattern` stands for, as in [`matching`](Self::matching): they keep their values.
    ///
    /// # Errors
    /// Those of [`matching`](Self::matching).
    fn freeze(&mut self, pattern: &str) -> Result<()> {
        let names: HashSet<String> = self.matching(pattern)?.into_iter().collect();
        self.visit_mut("", &mut |name, _, tensor| {
            tensor.set_trains(tensor.trains() && !names.contains(name))
        });
        Ok(())
    }

    /// Lets the parameters that `pattern` stands for train, as in [`matching`](Self::matching).
    ///
    /// # Errors
    /// Those of [`matching`](Self::matching).
    fn release(&mut self, pattern: &str) -> Result<()> {
        let names: HashSet<String> = self.matching(pattern)?.into_iter().collect();
        self.visit_mut("", &mut |name, _, tensor| tensor.set_trains(tensor.trains() || names.contains(name)));
        Ok(())
    }

    /// Calls `change` with the values of the tensor of this name, in single precision. If they are kept in double, a value
    /// that `change` leaves as it was keeps its 64 bits; [`update_f64`](Self::update_f64) shows all of them.
    ///
    /// # Errors
    /// If there is none.
    fn update(&mut self, name: &str, change: &mut dyn FnMut(&mut [f32])) -> Result<()> {
        self.edit_tensor(name, &mut |tensor| match tensor.data_mut() {
            ValuesMut::Single(values) => change(values),
            ValuesMut::Double(values) => {
                let before: Vec<f32> = values.iter().map(|v| *v as f32).collect();
                let mut after = before.clone();
                change(&mut after);
                for ((value, before), after) in values.iter_mut().zip(before).zip(after) {
                    if after.to_bits() != before.to_bits() {
                        *value = f64::from(after);
                    }
                }
            }
        })
    }

    /// Calls `change` with the values of the tensor of this name, in double precision; they are rounded afterwards if they
    /// are kept in single.
    ///
    /// # Errors
    /// If there is none.
    fn update_f64(&mut self, name: &str, change: &mut dyn FnMut(&mut [f64])) -> Result<()> {
        self.edit_tensor(name, &mut |tensor| match tensor.data_mut() {
            ValuesMut::Double(values) => change(values),
            ValuesMut::Single(values) => {
                let mut wide: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
                change(&mut wide);
                values.iter_mut().zip(wide).for_each(|(to, from)| *to = from as f32);
            }
        })
    }

    /// Calls `edit` with the tensor of this name.
    ///
    /// # Errors
    /// If there is none: the nearest name is in the message.
    fn edit_tensor(&mut self, name: &str, edit: &mut dyn FnMut(&mut dyn AnyParam)) -> Result<()> {
        let names: Vec<String> = self.tensors().into_iter().map(|(name, ..)| name).collect();
        let name = &names[one(name, names.iter().map(String::as_str))?];
        let mut found = false;
        self.visit_mut("", &mut |n, _, tensor| {
            if n == name && !found {
                found = true;
                edit(tensor);
            }
        });
        Ok(())
    }

    /// Sets tensors from those of another model, to begin with a part of it: `layers.0.attention.*`, or
    /// `layers.0.* -> layers.1.*` for others ([`Transfer`]). Returns the names that were set; each is kept in the precision that
    /// it has there. [`io::load_matching`](crate::io::load_matching) does the same from a file.
    ///
    /// ```
    /// use ihead::config::Config;
    /// use ihead::model::{Simplified, SimplifiedArgs};
    /// use ihead::nn::ModuleExt;
    ///
    /// let sizes = SimplifiedArgs { max_length: 4, dim: 16, ..SimplifiedArgs::defaults() };
    /// let donor = Simplified::new(10, &sizes)?.init(0);
    /// let mut model = Simplified::new(10, &sizes)?.init(1);
    /// let set = model.copy_from(&donor, "layers.0.attention.* -> layers.1.attention.*")?;
    /// assert_eq!(set[0], "layers.1.attention.wk.weight");
    /// let values = |model: &Simplified<_, _, _>, name| model.tensor(name).map(|tensor| tensor.values());
    /// assert_eq!(values(&model, "layers.1.attention.wk")?, values(&donor, "layers.0.attention.wk")?);
    /// # Ok::<(), ihead::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the pattern stands for no tensor of `other`, or for one that the model lacks or has in another shape: the nearest name,
    /// or both shapes, are in the message. Then nothing is changed.
    fn copy_from(&mut self, other: &(impl Module + ?Sized), pattern: &str) -> Result<Vec<String>> {
        let tensors = other.tensors();
        let source: Vec<_> = tensors.iter().map(|(name, _, t)| (name.as_str(), t.dims(), t.data())).collect();
        pattern.parse::<Transfer>()?.apply(&source, self)
    }

    /// Refuses values that this precision cannot hold.
    ///
    /// # Errors
    /// If a tensor has a finite value beyond the largest of 32 bits, and `storage` is single: its name and the value are in
    /// the message.
    fn check_storage(&self, storage: Storage) -> Result<()> {
        for (name, _, tensor) in self.tensors() {
            if let Some(value) = tensor.data().beyond(storage) {
                let expected = format!(
                    "at most {:e}, the largest of single precision; precision=double keeps it",
                    f32::MAX
                );
                return Err(Error::value(name, format!("has the value {value:e}"), expected));
            }
        }
        Ok(())
    }

    /// Keeps all values in this precision from now on; from double to single they are rounded to the nearest.
    ///
    /// ```
    /// use ihead::nn::{Linear, ModuleExt, Storage, Values};
    /// let mut map = Linear::new(1, 1);
    /// map = map.init(0);
    /// map.set_storage(Storage::Double)?;
    /// map.update_f64("weight", &mut |w| w[0] = 0.1)?;
    /// assert_eq!(*map.tensor("weight")?.data(), Values::Double(vec![0.1]));
    /// map.set_storage(Storage::Single)?;
    /// assert_eq!(*map.tensor("weight")?.data(), Values::Single(vec![0.1]));
    /// # Ok::<(), ihead::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`check_storage`](Self::check_storage); then nothing is changed.
    fn set_storage(&mut self, storage: Storage) -> Result<()> {
        self.check_storage(storage)?;
        self.visit_mut("", &mut |_, _, tensor| tensor.set_storage(storage));
        Ok(())
    }
}

impl<M: Module + ?Sized> ModuleExt for M {}

/// The place of the one name that `name` stands for.
fn one<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Result<usize> {
    let names: Vec<&str> = names.into_iter().collect();
    let place = |found: &&str| names.iter().position(|known| known == found);
    let meant = if name.contains('*') { vec![] } else { stands_for(name, names.iter().copied()) };
    meant.first().and_then(place).ok_or_else(|| unknown("parameter", name, names))
}

/// An unknown name; the nearest of that of a module is the pattern of its tensors.
pub(crate) fn unknown<'a>(kind: &'static str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Error {
    let known: Vec<&str> = known.into_iter().collect();
    if known.iter().any(|n| n.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))) {
        return Error::Unknown { kind, name: name.into(), nearest: Some(format!("{name}.*")) };
    }
    Error::unknown(kind, name, known)
}

/// The parameters of a module by identity, as an engine reads them.
pub struct Params<'a> {
    by_id: HashMap<ParamId, &'a dyn AnyParam>,
    buffers: HashSet<ParamId>,
    /// The first name of each that has no values yet.
    missing: HashMap<ParamId, String>,
}

impl<'a> Params<'a> {
    /// The parameters of `module`.
    pub fn of(module: &'a (impl Module + ?Sized)) -> Self {
        let mut params = Params { by_id: HashMap::new(), buffers: HashSet::new(), missing: HashMap::new() };
        module.visit("", &mut |name, role, tensor| {
            params.by_id.insert(tensor.id(), tensor);
            if !tensor.is_initialised() {
                params.missing.entry(tensor.id()).or_insert_with(|| name.to_string());
            }
            if role == Role::Buffer {
                params.buffers.insert(tensor.id());
            }
        });
        params
    }

    /// Whether the parameter trains now.
    pub fn trains(&self, id: ParamId) -> bool {
        !self.buffers.contains(&id) && self.by_id.get(&id).is_some_and(|p| p.trains())
    }
}

impl<E: Element> ParamSource<E> for Params<'_> {
    fn read(&self, id: ParamId, into: &mut [E]) {
        if let Some(param) = self.by_id.get(&id) {
            param.data().copy_to(into);
        }
    }

    fn check(&self, id: ParamId) -> Result<()> {
        self.missing.get(&id).map_or(Ok(()), |name| Err(Error::Uninitialised { name: name.clone() }))
    }
}
