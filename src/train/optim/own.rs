//! Optimisers by a rule of the user's own.
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::nn::{ModuleExt, Stored, Values};
use crate::{Error, Result};

use super::state::{ParamState, State, check};
use super::{Optim, Optimizer};

/// A rule of your own by which an optimiser changes a parameter; [`Optim::by`] makes an optimiser of it.
///
/// What it remembers of a parameter are moments, which the library keeps, saves in checkpoints and restores. So a rule is a value
/// without a state: all that a step depends on is in the [`Update`].
///
/// ```
/// use ihead::train::optim::{Optim, Optimizer, Update, UpdateRule};
///
/// /// Lion (Chen and others 2023): a step of one size against the sign of an average of gradients.
/// struct Lion {
///     beta1: f64,
///     beta2: f64,
/// }
///
/// impl UpdateRule for Lion {
///     fn words(&self) -> String {
///         format!("lion(beta1={}, beta2={})", self.beta1, self.beta2)
///     }
///
///     fn moments(&self) -> &'static [&'static str] {
///         &["mean"]
///     }
///
///     fn update(&self, of: Update<'_>) -> ihead::Result<()> {
///         for (i, (p, g)) in of.values.iter_mut().zip(of.gradient).enumerate() {
///             let m = &mut of.moments[0][i];
///             *p -= of.learning_rate * (self.beta1 * *m + (1.0 - self.beta1) * g).signum();
///             *m = self.beta2 * *m + (1.0 - self.beta2) * g;
///         }
///         Ok(())
///     }
/// }
///
/// let mut optim = Optim::by(0.1, Lion { beta1: 0.9, beta2: 0.99 });
/// assert_eq!(optim.to_string(), "lion(beta1=0.9, beta2=0.99) with learning_rate=0.1");
/// let mut p = [1.0_f64, 1.0];
/// optim.step("w", &mut p, &[3.0, -0.2])?;
/// assert_eq!(p, [0.9, 1.1]);
/// # Ok::<(), ihead::Error>(())
/// ```
pub trait UpdateRule: Send + Sync {
    /// Its name and settings, without the learning rate: what is recorded of it. A run that is continued must have a rule of the same
    /// words.
    fn words(&self) -> String;

    /// The names of what it remembers of a parameter: for each a number for each value of the parameter, zeros before the first step.
    /// They differ, are not empty, and have no `/`.
    fn moments(&self) -> &'static [&'static str] {
        &[]
    }

    /// Changes the values of one parameter by its gradient, in double precision, whatever the precision of the run: values and
    /// moments are rounded to that afterwards.
    ///
    /// # Errors
    /// Ends the run, with the weights and moments as they were before this step of all parameters.
    fn update(&self, update: Update<'_>) -> Result<()>;
}

/// One update of a parameter, as an [`UpdateRule`] gets it.
#[non_exhaustive]
pub struct Update<'a> {
    /// The name of the parameter.
    pub name: &'a str,
    /// Its shape, `[out, in]` for a matrix; that of a list if [`Optim::prepare`] was not called.
    pub shape: &'a [usize],
    /// The learning rate now.
    pub learning_rate: f64,
    /// The number of this step of the parameter, from 1.
    pub step: u32,
    /// Its values, row-major, which the rule changes.
    pub values: &'a mut [f64],
    /// Its gradient, row-major.
    pub gradient: &'a [f64],
    /// What is remembered of it, in the order of [`UpdateRule::moments`].
    pub moments: &'a mut [&'a mut [f64]],
}

/// An optimiser by a rule of the user's own, with its state. [`Optim::by`] makes it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Own {
    learning_rate: f64,
    words: String,
    state: State,
    /// None after it was read from a file.
    #[serde(skip)]
    rule: Option<Arc<dyn UpdateRule>>,
    #[serde(skip)]
    shapes: Arc<HashMap<String, Vec<usize>>>,
}

impl Optim {
    /// An optimiser by a rule of your own, with this learning rate.
    pub fn by(learning_rate: f64, rule: impl UpdateRule + 'static) -> Optim {
        let (words, rule) = (rule.words(), Some(Arc::new(rule) as Arc<dyn UpdateRule>));
        Optim::Own(Own { learning_rate, words, state: State::new(), rule, shapes: Arc::default() })
    }

    /// Takes over the rules of the user's own that this optimiser has by their words, since no file holds them.
    pub(crate) fn take_rules(&mut self, of: &Optim) {
        match (self, of) {
            (Optim::Own(own), Optim::Own(other)) if own.words == other.words => {
                own.rule.clone_from(&other.rule);
            }
            (Optim::Groups(groups), Optim::Groups(others)) => groups.take_rules(others),
            _ => {}
        }
    }
}

impl Own {
    /// The learning rate.
    pub(super) fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    /// What is recorded of its rule.
    pub(super) fn words(&self) -> &str {
        &self.words
    }

    /// The numbers that it remembers of an entry of a parameter.
    pub(super) fn moments(&self) -> usize {
        self.rule.as_ref().map_or(0, |rule| rule.moments().len())
    }

    /// The numbers in double precision that a step holds of an entry of a parameter: its value, its gradient and its moments.
    pub(super) fn doubles(&self) -> usize {
        2 + self.moments()
    }

    /// Refuses names of moments by which a checkpoint could not tell them apart.
    pub(super) fn check_moments(&self) -> Result<()> {
        let names = self.rule.as_ref().map_or(&[][..], |rule| rule.moments());
        for (i, name) in names.iter().enumerate() {
            if names[..i].contains(name) {
                return Err(Error::duplicate("moments of an optimiser", *name));
            }
            if name.is_empty() || name.contains('/') {
                let key = format!("moment of {}", self.words);
                return Err(Error::value(key, format!("'{name}'"), "a name without '/'"));
            }
        }
        Ok(())
    }

    /// Looks up the shapes of the parameters.
    pub(super) fn prepare(&mut self, model: &(impl ModuleExt + ?Sized)) {
        let tensors = model.tensors().into_iter();
        self.shapes = Arc::new(tensors.map(|(name, _, tensor)| (name, tensor.dims())).collect());
    }

    fn rule(&self) -> Result<Arc<dyn UpdateRule>> {
        let missing =
            || Error::value("optimiser", format!("'{}', read from a file", self.words), "the rule itself");
        self.rule.clone().ok_or_else(missing)
    }
}

impl Optimizer for Own {
    fn step<E: Stored>(&mut self, name: &str, values: &mut [E], gradient: &[E]) -> Result<()> {
        let (rule, n) = (self.rule()?, values.len());
        check(name, "the gradient", n, gradient.len())?;
        let state = self.state.get(name);
        let kept = rule.moments().iter().map(|moment| {
            let kept = state.and_then(|state| state.moments.get(*moment));
            let kept = kept.map_or_else(|| vec![0.0; n], |values| values.double().into_owned());
            check(name, &format!("the moment '{moment}'"), n, kept.len()).map(|()| kept)
        });
        let mut moments = kept.collect::<Result<Vec<Vec<f64>>>>()?;
        let mut slices: Vec<&mut [f64]> = moments.iter_mut().map(Vec::as_mut_slice).collect();
        let wide = |values: &[E]| values.iter().map(|v| v.to_f64()).collect::<Vec<f64>>();
        let (mut wide_values, wide_gradient, list) = (wide(values), wide(gradient), [n]);
        let step = state.map_or(0, |state| state.steps).saturating_add(1);
        rule.update(Update {
            name,
            shape: self.shapes.get(name).map_or(&list, Vec::as_slice),
            learning_rate: self.learning_rate,
            step,
            values: &mut wide_values,
            gradient: &wide_gradient,
            moments: &mut slices,
        })
        .map_err(|error| error.of_part(format!("the update of {name}")))?;
        let narrow = |values: Vec<f64>| values.into_iter().map(E::from_f64).collect::<Vec<E>>();
        values.copy_from_slice(&narrow(wide_values));
        let named = rule.moments().iter().zip(moments);
        let moments: BTreeMap<String, Values> =
            named.map(|(moment, values)| (moment.to_string(), E::pack(narrow(values)))).collect();
        self.state.insert(name.to_string(), ParamState { steps: step, moments });
        Ok(())
    }

    fn state(&self) -> State {
        self.state.clone()
    }

    fn restore(&mut self, state: State) -> Result<()> {
        if let Some(rule) = &self.rule {
            let known = |moment: &String| rule.moments().contains(&moment.as_str());
            let fits =
                |of: &ParamState| of.moments.len() == rule.moments().len() && of.moments.keys().all(known);
            if let Some((name, of)) = state.iter().find(|(_, of)| !fits(of)) {
                let found: Vec<&str> = of.moments.keys().map(String::as_str).collect();
                return Err(Error::value(
                    format!("the state of {name}"),
                    format!("moments [{}]", found.join(", ")),
                    format!("those of {}, [{}]", self.words, rule.moments().join(", ")),
                ));
            }
        }
        self.state = state;
        Ok(())
    }

    fn set_learning_rate(&mut self, rate: f64) {
        self.learning_rate = rate;
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Own({} with learning_rate={})", self.words, self.learning_rate)
    }
}

/// Two rules of the same words are the same.
impl PartialEq for Own {
    fn eq(&self, other: &Own) -> bool {
        (self.learning_rate, &self.words, &self.state) == (other.learning_rate, &other.words, &other.state)
    }
}
