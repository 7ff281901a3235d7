//! Modules: named parameters.
use std::collections::{HashMap, HashSet};

use crate::engine::ParamSource;
use crate::kernels::Element;
use crate::names::{only, stands_for};
use crate::{Error, Result};

use super::param::{AnyParam, Param, ParamId, Version};
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

/// A part of a model, or a whole one, whose parameters have names. Derive it ([`macro@crate::Module`]).
///
/// The name of a parameter is the dotted path of its fields, as in PyTorch's state dicts: `layers.0.attention.wk.weight`. A
/// tied parameter, which has two names, is visited under both. [`ModuleExt`] has what is done with parameters by their
/// names.
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
///     temperature: f64, // no attribute: it holds no parameters
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
    /// Calls `visitor` with each parameter and buffer, in the order of the fields. `prefix` and a dot stand before each name,
    /// unless `prefix` is empty.
    fn visit<'a>(&'a self, prefix: &str, visitor: &mut Visitor<'a, '_>);

    /// Calls `visitor` with each parameter and buffer in the same order, which it may change.
    fn visit_mut(&mut self, prefix: &str, visitor: &mut VisitorMut<'_>);
}

/// Returns `prefix.name`, or `name` alone if the prefix is empty. A [`Module`] that is written by hand names its parts by it.
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

/// The type of a field that may be marked `#[param]` or `#[buffer]`: a [`Param`], or an `Option` of one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a parameter",
    label = "not a parameter",
    note = "`#[param]` and `#[buffer]` take a `Param<(R, C)>` or `Param<(D,)>`, or an `Option` of one; a module takes `#[module]`"
)]
pub trait ParamField: Sealed {
    /// Returns the parameter, or `None` if the field is empty.
    fn get(&self) -> Option<&dyn AnyParam>;
    /// Returns the parameter, to change it, or `None` if the field is empty.
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

/// What can be done with the parameters of every module by their names: to read, initialise, freeze and change them.
///
/// A name may be the path of a module that holds one tensor alone: `layers.0.attention.wk` for `layers.0.attention.wk.weight`.
/// In a pattern, `*` stands for any characters and a part such as `0..2` for the numbers 0 and 1. A model that is only lent
/// to be read ([`FeedForwardsOnly`](crate::model::FeedForwardsOnly)) refuses every change with an error.
///
/// ```
/// use ihead::config::Config;
/// use ihead::model::{Full, FullArgs};
/// use ihead::nn::ModuleExt;
///
/// let mut model = Full::new(10, &FullArgs { max_length: 4, dim: 8, ..FullArgs::defaults() })?.init(0);
/// assert_eq!(model.matching("layers.0..2.attention.wk")?.len(), 2);
/// model.freeze("layers.*.attention.*")?;
/// model.release("layers.1.attention.wk")?;
/// model.update("output", &mut |values| values.fill(0.0))?;
/// assert_eq!(model.tensor("output")?.norm(), 0.0);
///
/// let error = model.freeze("layers.0.attention.wkk").unwrap_err().to_string();
/// assert_eq!(error, "no parameter 'layers.0.attention.wkk'; did you mean 'layers.0.attention.wk.weight'?");
/// # Ok::<(), ihead::Error>(())
/// ```
pub trait ModuleExt: Module {
    /// Lists every parameter and buffer with its name and role, in the order of the fields. A tied parameter is listed under
    /// each of its names.
    fn tensors(&self) -> Vec<(String, Role, &dyn AnyParam)> {
        let mut list = Vec::new();
        self.visit("", &mut |name, role, tensor| list.push((name.to_string(), role, tensor)));
        list
    }

    /// Lists the parameters that train now, each once, under its first name.
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

    /// Returns the parameter or buffer of this name, or the only one of the module of this name.
    ///
    /// # Errors
    /// If the name stands for none, or for several: the nearest name is in the message.
    fn tensor(&self, name: &str) -> Result<&dyn AnyParam> {
        let tensors = self.tensors();
        let found = one(name, tensors.iter().map(|(name, ..)| name.as_str()))?;
        Ok(tensors[found].2)
    }

    /// Returns the names of the parameters that `pattern` stands for. It is a name, or a pattern in which `*` stands for any
    /// characters and a part such as `0..2` for a number of that range; either may be of the path of a module that holds one
    /// tensor alone (`layers.0.attention.wk`). Buffers are left out. A tied parameter is listed once, under its first name,
    /// whichever of its names the pattern stands for.
    ///
    /// # Errors
    /// If the pattern stands for nothing (the nearest name is in the message), or for buffers only, which never train.
    fn matching(&self, pattern: &str) -> Result<Vec<String>> {
        let tensors = self.tensors();
        let meant = stands_for(pattern, tensors.iter().map(|(name, ..)| name.as_str()));
        let params = || tensors.iter().filter(|(_, role, _)| *role == Role::Param);
        let ids: HashSet<ParamId> =
            params().filter(|(name, ..)| meant.contains(&name.as_str())).map(|(.., p)| p.id()).collect();
        let mut seen = HashSet::new();
        let firsts = params().filter(|(.., p)| ids.contains(&p.id()) && seen.insert(p.id()));
        let found: Vec<String> = firsts.map(|(name, ..)| name.clone()).collect();
        match (found.is_empty(), meant.first()) {
            (false, _) => Ok(found),
            (true, Some(buffer)) => {
                Err(Error::value(*buffer, "a buffer, which never trains", "the name of a parameter"))
            }
            (true, None) => Err(unknown("parameter", pattern, params().map(|(name, ..)| name.as_str()))),
        }
    }

    /// Draws the initial values of all parameters and buffers, each from a random stream of its own that depends on its name
    /// and on `seed` ([`super::Init::draw`]). A tied parameter is drawn once, under its first name.
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

    /// Returns the number of values in all parameters, trained or frozen. A tied parameter counts once; buffers do not count.
    fn count(&self) -> usize {
        let mut seen = HashSet::new();
        let params =
            self.tensors().into_iter().filter(|(_, role, p)| *role == Role::Param && seen.insert(p.id()));
        params.map(|(_, _, p)| p.dims().iter().product::<usize>()).sum()
    }

    /// Freezes the parameters that `pattern` stands for, as in [`matching`](Self::matching). They keep their values until they
    /// are released.
    ///
    /// # Errors
    /// Those of [`matching`](Self::matching), or if the module shows its tensors to be read but not to be changed.
    fn freeze(&mut self, pattern: &str) -> Result<()> {
        let names: HashSet<String> = self.matching(pattern)?.into_iter().collect();
        check_writable(self)?;
        self.visit_mut("", &mut |name, _, tensor| {
            tensor.set_trains(tensor.trains() && !names.contains(name))
        });
        Ok(())
    }

    /// Lets the parameters that `pattern` stands for, as in [`matching`](Self::matching), train again.
    ///
    /// # Errors
    /// Those of [`freeze`](Self::freeze).
    fn release(&mut self, pattern: &str) -> Result<()> {
        let names: HashSet<String> = self.matching(pattern)?.into_iter().collect();
        check_writable(self)?;
        self.visit_mut("", &mut |name, _, tensor| tensor.set_trains(tensor.trains() || names.contains(name)));
        Ok(())
    }

    /// Calls `change` with the values of the tensor of this name, row-major, in single precision. If they are kept in
    /// double, a value that `change` leaves as it was keeps its 64 bits; [`update_f64`](Self::update_f64) shows all of
    /// them.
    ///
    /// # Errors
    /// Those of [`edit_tensor`](Self::edit_tensor).
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

    /// Calls `change` with the values of the tensor of this name, row-major, in double precision. They are rounded afterwards
    /// if they are kept in single.
    ///
    /// # Errors
    /// Those of [`edit_tensor`](Self::edit_tensor).
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

    /// Calls `edit` with the tensor of this name, to change its values, its precision or whether it trains.
    ///
    /// # Errors
    /// Those of [`tensor`](Self::tensor), or if the module shows its tensors to be read but not to be changed.
    fn edit_tensor(&mut self, name: &str, edit: &mut dyn FnMut(&mut dyn AnyParam)) -> Result<()> {
        let names: Vec<String> = self.tensors().into_iter().map(|(name, ..)| name).collect();
        let name = &names[one(name, names.iter().map(String::as_str))?];
        check_writable(self)?;
        let mut found = false;
        self.visit_mut("", &mut |n, _, tensor| {
            if n == name && !found {
                found = true;
                edit(tensor);
            }
        });
        Ok(())
    }

    /// Copies tensors from another model, to begin with a part of it, and returns the names that were set.
    ///
    /// `layers.0.attention.*` copies them to their own names, `layers.0.* -> layers.1.*` to others ([`Transfer`]). Each
    /// takes the precision that it has in the other model. [`io::load_matching`](crate::io::load_matching) does the same
    /// from a file.
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
    /// If the pattern stands for no tensor of `other`, or for one that the model lacks or has in another shape: the nearest
    /// name, or both shapes, are in the message. If it stands for two that differ, and the model has one tied parameter for
    /// both, or if this module shows its tensors to be read but not to be changed. Then nothing is changed.
    fn copy_from(&mut self, other: &(impl Module + ?Sized), pattern: &str) -> Result<Vec<String>> {
        let tensors = other.tensors();
        let source: Vec<_> = tensors.iter().map(|(name, _, t)| (name.as_str(), t.dims(), t.data())).collect();
        pattern.parse::<Transfer>()?.apply(&source, self)
    }

    /// Checks that this precision can hold all values.
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

    /// Keeps all values in this precision from now on. From double to single they are rounded to the nearest.
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

/// Refuses a module whose tensors are shown to be read but not to be changed, as of a model that is lent.
pub(crate) fn check_writable(module: &mut (impl Module + ?Sized)) -> Result<()> {
    let mut shown = HashSet::new();
    module.visit_mut("", &mut |name, _, _| {
        shown.insert(name.to_string());
    });
    match module.tensors().into_iter().find(|(name, ..)| !shown.contains(name)) {
        Some((name, ..)) => {
            let found = "lent to be read: `visit_mut` does not show it";
            Err(Error::value(format!("parameter '{name}'"), found, "a model that can be changed"))
        }
        None => Ok(()),
    }
}

/// The place of the one name that `name` stands for; a pattern, or a range of numbers, is no name.
fn one<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Result<usize> {
    let names: Vec<&str> = names.into_iter().collect();
    let meant = only(name, names.iter().copied());
    let found = meant.and_then(|meant| names.iter().position(|known| *known == meant));
    found.ok_or_else(|| unknown("parameter", name, names))
}

/// An unknown name; the nearest of that of a module is the pattern of its tensors, and that of a pattern is a pattern.
pub(crate) fn unknown<'a>(kind: &'static str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Error {
    let known: Vec<&str> = known.into_iter().collect();
    if known.iter().any(|n| n.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))) {
        return Error::Unknown { kind, name: name.into(), nearest: Some(format!("{name}.*")) };
    }
    let patterns: Vec<String> = known.iter().filter_map(|known| starred(name, known)).collect();
    Error::unknown(kind, name, patterns.iter().map(String::as_str).chain(known))
}

/// Another pattern than `pattern`, for this name, with stars in the same parts; a star at the end stands for all parts from there on.
fn starred(pattern: &str, name: &str) -> Option<String> {
    let (wanted, parts): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), name.split('.').collect());
    let fits = parts.len() == wanted.len() || (parts.len() > wanted.len() && pattern.ends_with(".*"));
    let part = |(wanted, part)| if wanted == "*" { wanted } else { part };
    let all = || wanted.iter().copied().zip(parts).map(part).collect::<Vec<_>>().join(".");
    (fits && wanted.contains(&"*")).then(all).filter(|starred| starred != pattern)
}

/// The parameters of a module, found by their identities: what an [`Engine`](crate::engine::Engine) reads when it runs a
/// graph.
pub struct Params<'a> {
    by_id: HashMap<ParamId, &'a dyn AnyParam>,
    buffers: HashSet<ParamId>,
    /// The first name of each that has no values yet.
    missing: HashMap<ParamId, String>,
}

impl<'a> Params<'a> {
    /// Collects the parameters and buffers of `module`.
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

    /// Returns whether the parameter trains now; `false` for a buffer, and for a parameter that the module lacks.
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

    fn values(&self, id: ParamId) -> Option<&[E]> {
        self.by_id.get(&id)?.data().borrowed()
    }

    fn version(&self, id: ParamId) -> Option<Version> {
        self.by_id.get(&id).map(|param| param.version())
    }

    fn check(&self, id: ParamId) -> Result<()> {
        if !self.by_id.contains_key(&id) {
            let expected = "those of the model that was recorded";
            return Err(Error::misfit("parameters", "those of another module", expected));
        }
        self.missing.get(&id).map_or(Ok(()), |name| Err(Error::Uninitialised { name: name.clone() }))
    }
}
