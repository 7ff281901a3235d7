//! Copies tensors, chosen by a pattern, from a file or another model into a model.
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

use crate::names::{alias, captures};
use crate::{Error, Result};

use super::module::{Module, ModuleExt, Role, check_writable, unknown};
use super::param::ParamId;
use super::values::Values;

/// Says which tensors of a file or model are copied to which of another model; its text is a pattern, or two with `->`.
///
/// `layers.0.attention.*` copies tensors to their own names. `layers.0.* -> layers.1.*` copies them to others: each `*` on the
/// right stands for what the one on the left stood for. [`ModuleExt::copy_from`] and
/// [`io::load_matching`](crate::io::load_matching) take such texts.
///
/// ```
/// use ihead::nn::Transfer;
/// let transfer: Transfer = "layers.0.* -> layers.1.*".parse()?;
/// assert_eq!(transfer.to_string(), "layers.0.* -> layers.1.*");
/// assert!("layers.0.* -> layers.1".parse::<Transfer>().is_err());
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    from: String,
    to: Option<String>,
}

impl FromStr for Transfer {
    type Err = Error;

    /// # Errors
    /// If a side is empty, or the sides have different numbers of `*`.
    fn from_str(text: &str) -> Result<Transfer> {
        let misfit = |what: &str| {
            let form = "a name or pattern, or two as in layers.0.* -> layers.1.*";
            Error::value(format!("tensors '{}'", text.trim()), what, form)
        };
        let (from, to) = match text.split_once("->") {
            Some((from, to)) => (from.trim(), Some(to.trim())),
            None => (text.trim(), None),
        };
        if from.is_empty() || to.is_some_and(str::is_empty) {
            return Err(misfit("a name is missing"));
        }
        let stars = |text: &str| text.matches('*').count();
        if to.is_some_and(|to| stars(to) != stars(from)) {
            return Err(misfit("the two sides have different numbers of '*'"));
        }
        Ok(Transfer { from: from.to_string(), to: to.map(String::from) })
    }
}

impl fmt::Display for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.to {
            Some(to) => write!(f, "{} -> {to}", self.from),
            None => f.write_str(&self.from),
        }
    }
}

/// A tensor of a source: its name, its sizes, its values.
pub(crate) type Source<'a> = (&'a str, Vec<usize>, &'a Values);

impl Transfer {
    /// Sets tensors of `module` from those of a source; nothing is changed unless all fit. The names that were set, in the
    /// order of the source.
    pub(crate) fn apply(
        &self,
        source: &[Source<'_>],
        module: &mut (impl Module + ?Sized),
    ) -> Result<Vec<String>> {
        check_writable(module)?;
        let mut set: Vec<String> = Vec::new();
        let mut first: HashMap<ParamId, (&str, &Values)> = HashMap::new();
        let mut taken: BTreeMap<String, &Values> = BTreeMap::new();
        let known: Vec<&str> = source.iter().map(|(name, ..)| *name).collect();
        for (name, shape, values) in source {
            let exact = known.contains(&self.from.as_str());
            let Some(found) = alias(&self.from, name, &known).filter(|_| !exact || *name == self.from) else {
                continue;
            };
            let target = self.target(found, name, module)?;
            let tensor = module.tensor(&target)?;
            let expected = tensor.dims();
            if *shape != expected {
                return Err(Error::shape(format!("'{name}', for '{target}' of the model"), &expected, shape));
            }
            if taken.insert(target.clone(), values).is_some() {
                let from = format!("two tensors that match '{}'", self.from);
                return Err(Error::value(target, from, "one"));
            }
            let (twin, of_twin) = first.entry(tensor.id()).or_insert((name, values));
            if !of_twin.same_bits(values) {
                let found = format!("tied, and '{twin}' and '{name}' of the source differ");
                return Err(Error::value(target, found, "one of them, or equal ones"));
            }
            set.push(target);
        }
        if set.is_empty() {
            return Err(unknown("tensor", &self.from, known));
        }
        let mut written = Ok(());
        module.visit_mut("", &mut |name, _: Role, tensor| {
            if let (Ok(()), Some(values)) = (&written, taken.get(name)) {
                tensor.set_storage(values.storage());
                written = tensor.put((*values).clone());
            }
        });
        written.map(|()| set)
    }

    /// The model's name for the tensor `name` of the source, which the pattern found as `found`.
    fn target(&self, found: &str, name: &str, module: &(impl Module + ?Sized)) -> Result<String> {
        let tensors = module.tensors();
        let known: Vec<&str> = tensors.iter().map(|(name, ..)| name.as_str()).collect();
        let wanted = match &self.to {
            None => name.to_string(),
            Some(to) => {
                let mut parts = captures(&self.from, found).unwrap_or_default().into_iter();
                let mut filled = String::new();
                for (i, part) in to.split('*').enumerate() {
                    filled.push_str(if i == 0 { "" } else { parts.next().unwrap_or_default() });
                    filled.push_str(part);
                }
                filled
            }
        };
        match crate::names::stands_for(&wanted, known.iter().copied())[..] {
            [one] => Ok(one.to_string()),
            _ => Err(unknown("tensor of the model", &wanted, known)),
        }
    }
}
