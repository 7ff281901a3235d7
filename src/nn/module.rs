//! Modules: named parameters.
use std::collections::{HashMap, HashSet};

use crate::engine::ParamSource;
use crate::kernels::Element;
use crate::names::matches;
use crate::{Error, Result};

use super::param::{AnyParam, Param, ParamId};
use super::values::{Storage, ValuesMut};

/// What a tensor of a module is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Trains unless it is frozen.
    Param,
    /// Belongs to the state, never trains (a position table).
    Buffer,
}

/// Sees each tensor of a module: name, role, tensor.
pub type Visitor<'a, 'v> = dyn FnMut(&str, Role, &'a dyn AnyParam) + 'v;

/// Sees each tensor of a module, to change it.
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
/// struct Readout<D: Dim> {
///     #[module]
///     layers: Vec<Linear<D, D>>,
///     #[buffer(rename = "pe")]
///     positions: Param<(usize, D)>,
///     #[param]
///     bias: Param<(D,)>,
///     temperature: f64, // no role: left alone
/// }
///
/// let mut model = Readout {
///     layers: vec![Linear::new(8, 8), Linear::new(8, 8)],
///     positions: Param::new((4, 8), Init::Normal { std: 1.0 }),
///     bias: Param::new((8,), Init::Zeros),
///     temperature: 1.0,
/// };
/// let names: Vec<_> = model.tensors().into_iter().map(|(name, ..)| name).collect();
/// assert_eq!(names, ["layers.0.weight", "layers.1.weight", "pe", "bias"]);
/// model.init_all(42);
/// model.set_trains("layers.*", false)?;
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
    /// Shows each tensor to `visitor`, with `prefix` before its name.
    fn visit<'a>(&'a self, prefix: &str, visitor: &mut Visitor<'a, '_>);

    /// Shows each tensor to `visitor`, to change it.
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
pub trait ParamField {
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

impl<P: ParamField> ParamField for Option<P> {
    fn get(&self) -> Option<&dyn AnyParam> {
        self.as_ref().and_then(P::get)
    }

    fn get_mut(&mut self) -> Option<&mut dyn AnyParam> {
        self.as_mut().and_then(P::get_mut)
    }
}

/// What every module can do.
pub trait ModuleExt: Module {
    /// Every tensor with its name and role, in the order of the fields. A tied parameter is there under each name.
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

    /// The tensor of this name.
    ///
    /// # Errors
    /// If there is none: the nearest name is in the message.
    fn tensor(&self, name: &str) -> Result<&dyn AnyParam> {
        let tensors = self.tensors();
        let found = tensors.iter().find(|(n, _, _)| n == name).map(|(_, _, p)| *p);
        found.ok_or_else(|| Error::unknown("parameter", name, tensors.iter().map(|(n, _, _)| n.as_str())))
    }

    /// The names of the parameters that `pattern` matches: a name, or a pattern with `*` for any characters.
    ///
    /// # Errors
    /// If it matches none: the nearest name is in the message.
    fn matching(&self, pattern: &str) -> Result<Vec<String>> {
        let params =
            self.tensors().into_iter().filter(|(_, role, _)| *role == Role::Param).map(|(name, _, _)| name);
        let (found, others): (Vec<String>, Vec<String>) = params.partition(|name| matches(pattern, name));
        let unknown = || Error::unknown("parameter", pattern, others.iter().map(String::as_str));
        if found.is_empty() { Err(unknown()) } else { Ok(found) }
    }

    /// Draws all initial values from `seed`; see [`super::Init::draw`].
    fn init_all(&mut self, seed: u64) {
        let mut seen = HashSet::new();
        self.visit_mut("", &mut |name, _, tensor| {
            if seen.insert(tensor.id()) {
                tensor.draw(seed, name);
            }
        });
    }

    /// The number of values of its parameters; a tied parameter counts once, buffers do not.
    fn count(&self) -> usize {
        let mut seen = HashSet::new();
        let params =
            self.tensors().into_iter().filter(|(_, role, p)| *role == Role::Param && seen.insert(p.id()));
        params.map(|(_, _, p)| p.dims().iter().product::<usize>()).sum()
    }

    /// Freezes or releases the parameters that `pattern` names: a name, or a pattern with `*` for any characters.
    ///
    /// # Errors
    /// If it names no parameter, the nearest name is in the message; or if it names buffers only, which never train.
    fn set_trains(&mut self, pattern: &str, trains: bool) -> Result<()> {
        let (mut params, mut buffers, mut matched) = (Vec::new(), Vec::new(), false);
        self.visit_mut("", &mut |name, role, tensor| match (role, matches(pattern, name)) {
            (Role::Param, true) => {
                matched = true;
                tensor.set_trains(trains);
            }
            (Role::Param, false) => params.push(name.to_string()),
            (Role::Buffer, true) => buffers.push(name.to_string()),
            (Role::Buffer, false) => {}
        });
        match buffers.first() {
            _ if matched => Ok(()),
            Some(buffer) => Err(Error::usage(format!("'{buffer}' is a buffer, which never trains"))),
            None => Err(Error::unknown("parameter", pattern, params.iter().map(String::as_str))),
        }
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
        let mut found = false;
        let mut names_seen = Vec::new();
        self.visit_mut("", &mut |n, _, tensor| {
            names_seen.push(n.to_string());
            if n == name && !found {
                found = true;
                edit(tensor);
            }
        });
        let unknown = || Error::unknown("parameter", name, names_seen.iter().map(String::as_str));
        if found { Ok(()) } else { Err(unknown()) }
    }

    /// Refuses values that this precision cannot hold.
    ///
    /// # Errors
    /// If a tensor has a finite value beyond the largest of 32 bits, and `storage` is single: its name and the value are in
    /// the message.
    fn check_storage(&self, storage: Storage) -> Result<()> {
        for (name, _, tensor) in self.tensors() {
            if let Some(value) = tensor.data().beyond(storage) {
                let message = format!(
                    "{name} has the value {value:e}, beyond single precision ({:e}); precision=double keeps it",
                    f32::MAX
                );
                return Err(Error::usage(message));
            }
        }
        Ok(())
    }

    /// Keeps all values in this precision from now on; from double to single they are rounded to the nearest.
    ///
    /// ```
    /// use ihead::nn::{Linear, ModuleExt, Storage, Values};
    /// let mut map = Linear::new(1, 1);
    /// map.init_all(0);
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

/// The parameters of a module by identity: what an engine reads.
pub struct Params<'a> {
    by_id: HashMap<ParamId, &'a dyn AnyParam>,
    buffers: HashSet<ParamId>,
}

impl<'a> Params<'a> {
    /// The parameters of `module`.
    pub fn of(module: &'a (impl Module + ?Sized)) -> Self {
        let mut params = Params { by_id: HashMap::new(), buffers: Default::default() };
        module.visit("", &mut |_, role, tensor| {
            params.by_id.insert(tensor.id(), tensor);
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
}
