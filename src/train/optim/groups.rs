//! Groups of parameters, each with its own optimiser.
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::names::matches;
use crate::nn::{ModuleExt, Stored};
use crate::{Error, Result};

use super::{Optim, Optimizer, State};

/// An optimiser for most parameters, and others for groups of them: their own kind, learning rate, decay.
///
/// A group is a name, or a pattern with `*` or a range such as `0..2`. [`check`](Self::check) says before the first step what
/// does not fit; a [`Run`](crate::run::Run) calls it. [`Optimizer::set_learning_rate`], and so a timeline, changes the
/// learning rate of the others and of the groups that were added by [`following`](Self::following), not of those that were
/// added by [`group`](Self::group).
///
/// ```
/// use ihead::config::Config;
/// use ihead::model::{Simplified, SimplifiedArgs};
/// use ihead::train::optim::{AdamW, Groups, Optim, Sgd};
///
/// let model = Simplified::new(65, &SimplifiedArgs { max_length: 16, dim: 8, ..SimplifiedArgs::defaults() })?;
/// let optim = Groups::new(Optim::AdamW(AdamW::new(0.001)))
///     .group("layers.*.attention.wk.weight", Optim::Sgd(Sgd::new(0.1).momentum(0.9)));
/// optim.check(&model)?;
///
/// let frozen = optim.group("layers.0.attention.wv.weight", Optim::Sgd(Sgd::new(0.1).momentum(0.9)));
/// let error = frozen.check(&model).unwrap_err().to_string();
/// assert_eq!(error, "the optimiser's group 'layers.0.attention.wv.weight': a frozen parameter; expected one that trains");
/// let _: Optim = frozen.into(); // what `Run::optim` takes
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Groups {
    others: Box<Optim>,
    groups: Vec<(String, Optim)>,
    /// Of each group whose learning rate follows that of the others, its rate divided by that of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    factors: Vec<Option<f64>>,
    /// The number of each parameter's group, once a model is known.
    #[serde(skip)]
    members: HashMap<String, usize>,
}

impl PartialEq for Groups {
    fn eq(&self, other: &Groups) -> bool {
        (&self.others, &self.groups, &self.factors) == (&other.others, &other.groups, &other.factors)
    }
}

impl Groups {
    /// An optimiser without groups yet: `others` is for all parameters.
    pub fn new(others: Optim) -> Self {
        Groups { others: Box::new(others), groups: Vec::new(), factors: Vec::new(), members: HashMap::new() }
    }

    /// Adds a group: the parameters that this name or pattern matches get an optimiser of their own. A timeline does not change
    /// its learning rate.
    pub fn group(mut self, pattern: impl Into<String>, optim: Optim) -> Self {
        self.groups.push((pattern.into(), optim));
        self
    }

    /// Adds a group whose learning rate stays in proportion to that of the others when a timeline changes it, as the schedulers of
    /// PyTorch change all groups by the same factor. For example, norms without weight decay then still follow a warm-up.
    ///
    /// ```
    /// use ihead::train::optim::{AdamW, Groups, Optimizer};
    ///
    /// let mut optim = Groups::new(AdamW::new(0.01).weight_decay(0.1).into())
    ///     .following("*norm*", AdamW::new(0.01).into())
    ///     .following("output", AdamW::new(0.005).into());
    /// optim.set_learning_rate(0.002);
    /// let rates: Vec<String> = optim.groups().map(|(_, optim)| optim.to_string()).collect();
    /// assert!(rates[0].starts_with("adamw(learning_rate=0.002,") && rates[1].starts_with("adamw(learning_rate=0.001,"));
    /// ```
    pub fn following(mut self, pattern: impl Into<String>, optim: Optim) -> Self {
        self.factors.resize(self.groups.len(), None);
        self.factors.push(Some(optim.learning_rate() / self.others.learning_rate()));
        self.group(pattern, optim)
    }

    /// Whether the learning rate of each group follows that of the others.
    pub(super) fn follow(&self) -> impl Iterator<Item = bool> {
        (0..self.groups.len()).map(|group| matches!(self.factors.get(group), Some(Some(_))))
    }

    /// The groups, and what they match.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &Optim)> {
        self.groups.iter().map(|(pattern, optim)| (pattern.as_str(), optim))
    }

    /// The optimiser of all other parameters.
    pub fn others(&self) -> &Optim {
        &self.others
    }

    /// Checks the groups against the parameters of a model.
    ///
    /// # Errors
    /// If a pattern matches no parameter (the nearest name is in the message), a parameter is in two groups, all that a group
    /// names is frozen when the run begins, even if the timeline releases it, or a group follows others whose learning rate is 0.
    pub fn check(&self, model: &(impl ModuleExt + ?Sized)) -> Result<()> {
        for (pattern, _) in &self.groups {
            let trains = |name: &String| model.tensor(name).map(|tensor| tensor.trains());
            let trains = matching(pattern, model)?.iter().map(trains).collect::<Result<Vec<bool>>>()?;
            if !trains.contains(&true) {
                return Err(Error::value(called(pattern), "a frozen parameter", "one that trains"));
            }
        }
        self.check_factors()?;
        self.members(model).map(drop)
    }

    /// Refuses groups that follow a learning rate of 0, also those within a group.
    fn check_factors(&self) -> Result<()> {
        for ((pattern, _), factor) in self.groups.iter().zip(&self.factors) {
            if factor.is_some_and(|factor| !factor.is_finite()) {
                let found = format!("a learning rate that follows one of {}", self.others.learning_rate());
                return Err(Error::value(called(pattern), found, "others with a learning rate above 0"));
            }
        }
        let inner = self.groups.iter().map(|(_, optim)| optim).chain([&*self.others]);
        inner
            .filter_map(|optim| if let Optim::Groups(groups) = optim { Some(groups) } else { None })
            .try_for_each(Self::check_factors)
    }

    /// Finds out which parameters of a model are in which group. The path of a module that has one parameter stands for it.
    ///
    /// # Errors
    /// If a pattern matches no parameter, or a parameter is in two groups.
    pub fn prepare(&mut self, model: &(impl ModuleExt + ?Sized)) -> Result<()> {
        self.members = self.members(model)?;
        self.others.prepare(model)?;
        self.groups.iter_mut().try_for_each(|(_, optim)| optim.prepare(model))
    }

    /// Takes over the rules of the user's own that these groups have.
    pub(super) fn take_rules(&mut self, of: &Groups) {
        self.others.take_rules(&of.others);
        self.groups.iter_mut().zip(&of.groups).for_each(|((_, optim), (_, other))| optim.take_rules(other));
    }

    fn members(&self, model: &(impl ModuleExt + ?Sized)) -> Result<HashMap<String, usize>> {
        let mut members: HashMap<String, usize> = HashMap::new();
        for (group, (pattern, _)) in self.groups.iter().enumerate() {
            for name in matching(pattern, model)? {
                if let Some(other) = members.insert(name.clone(), group) {
                    let other = &self.groups[other].0;
                    let found = format!("in two groups of the optimiser, '{other}' and '{pattern}'");
                    return Err(Error::value(name, found, "one"));
                }
            }
        }
        Ok(members)
    }

    /// The optimiser of a parameter.
    pub(super) fn of(&self, name: &str) -> &Optim {
        self.group_of(name).map_or(&self.others, |group| &self.groups[group].1)
    }

    /// The number of a parameter's group.
    fn group_of(&self, name: &str) -> Option<usize> {
        let known = self.members.get(name).copied();
        known.or_else(|| self.groups.iter().position(|(pattern, _)| matches(pattern, name)))
    }
}

/// A group, as a message names it.
fn called(pattern: &str) -> String {
    format!("the optimiser's group '{pattern}'")
}

/// The parameters that the pattern of a group matches.
fn matching(pattern: &str, model: &(impl ModuleExt + ?Sized)) -> Result<Vec<String>> {
    model.matching(pattern).map_err(|error| error.of_part(called(pattern)))
}

impl Optimizer for Groups {
    fn step<E: Stored>(&mut self, name: &str, values: &mut [E], gradient: &[E]) -> Result<()> {
        match self.group_of(name) {
            Some(group) => self.groups[group].1.step(name, values, gradient),
            None => self.others.step(name, values, gradient),
        }
    }

    fn state(&self) -> State {
        let mut state = self.others.state();
        self.groups.iter().for_each(|(_, optim)| state.extend(optim.state()));
        state
    }

    fn restore(&mut self, state: State) -> Result<()> {
        let mut restored = self.clone();
        let mut parts = vec![State::new(); self.groups.len()];
        let mut others = State::new();
        for (name, state) in state {
            let part = self.group_of(&name).map_or(&mut others, |group| &mut parts[group]);
            part.insert(name, state);
        }
        restored.others.restore(others)?;
        restored.groups.iter_mut().zip(parts).try_for_each(|((_, optim), part)| optim.restore(part))?;
        *self = restored;
        Ok(())
    }

    fn set_learning_rate(&mut self, rate: f64) {
        self.others.set_learning_rate(rate);
        for ((_, optim), factor) in self.groups.iter_mut().zip(&self.factors) {
            if let Some(factor) = factor {
                optim.set_learning_rate(rate * factor);
            }
        }
    }
}

impl From<Groups> for Optim {
    fn from(groups: Groups) -> Optim {
        Optim::Groups(groups)
    }
}
