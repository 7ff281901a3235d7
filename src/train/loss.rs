//! The loss that a run minimises: a sum of terms.
use std::fmt;
use std::ops::Add;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::data::{Batch, Batches};
use crate::engine::{LossTerm, Penalty, Request, RowLists, RowSet};
use crate::graph::Graph;
use crate::names::stands_for;
use crate::nn::{ModuleExt, ParamId, Role, Values};
use crate::probe::predictor::check_answer;
use crate::probe::{Predictor, Select, Sequence};
use crate::{Error, Result};

/// The loss that a run minimises: a weighted sum of terms, each of which is also measured separately.
///
/// | term | formula |
/// |---|---|
/// | [`next_token`](Self::next_token) | the mean over positions of `-log p(y[t])`: cross-entropy against the next tokens |
/// | [`against`](Self::against) | the mean over positions of `-sum_v q_v log p(v)`: cross-entropy against a predictor's distribution `q` |
/// | [`penalty`](Self::penalty) | of a site: the mean over positions of the sum over its width of `abs(x)` or `x^2`; of weights: the sum of `abs(w)` or `w^2` |
///
/// Against the distribution that a task declares ([`TaskDistribution`](crate::probe::TaskDistribution)), the second is
/// the population loss: its gradient has no noise from the draw of the next token.
///
/// ```
/// use ihead::engine::Penalty;
/// use ihead::probe::{Select, Unigram};
/// use ihead::train::Loss;
///
/// let loss = Loss::next_token().over(Select::marks(2..))
///     + Loss::against(Unigram { alpha: 1.0 }).weighted(0.1)
///     + Loss::penalty(Penalty::L1, "layers.0.ff.hidden").weighted(1e-3).named("sparsity");
/// assert_eq!(
///     loss.to_string(),
///     "next_token over marks >= 2 + 0.1 against the unigrams so far + 0.001 L1 of layers.0.ff.hidden"
/// );
/// assert_eq!(loss.names(), ["next_token", "against", "sparsity"]);
/// ```
#[derive(Clone, Debug)]
pub struct Loss {
    terms: Vec<Term>,
}

#[derive(Clone, Debug)]
struct Term {
    name: String,
    kind: Kind,
    select: Select,
    weight: f64,
}

#[derive(Clone)]
enum Kind {
    NextToken,
    Against(Arc<dyn Predictor>),
    Penalty(Penalty, String),
}

impl Default for Loss {
    /// [`Loss::next_token`].
    fn default() -> Self {
        Loss::next_token()
    }
}

impl Loss {
    fn of(name: &str, kind: Kind) -> Loss {
        Loss { terms: vec![Term { name: name.into(), kind, select: Select::All, weight: 1.0 }] }
    }

    /// The mean cross-entropy with the next tokens, over all positions.
    pub fn next_token() -> Loss {
        Loss::of("next_token", Kind::NextToken)
    }

    /// The mean cross-entropy with the distribution of a predictor, over the positions at which it has one.
    pub fn against(predictor: impl Predictor + 'static) -> Loss {
        Loss::of("against", Kind::Against(Arc::new(predictor)))
    }

    /// A penalty of the site or of the weights of this name; `*` in a name of weights stands for any characters, and a part such as
    /// `0..2` for a number of that range.
    ///
    /// Of a site, it is the sum over the width of a row (of `|x|` or of `x^2`), averaged over the positions; of weights, the sum
    /// over all their elements, a tied parameter counted once.
    pub fn penalty(penalty: Penalty, of: impl Into<String>) -> Loss {
        let of = of.into();
        Loss::of(&format!("{penalty:?} of {of}"), Kind::Penalty(penalty, of))
    }

    fn each(mut self, change: impl FnMut(&mut Term)) -> Loss {
        self.terms.iter_mut().for_each(change);
        self
    }

    /// Takes the loss over these positions alone. A penalty of weights has no positions; it is refused with them.
    pub fn over(self, select: Select) -> Loss {
        self.each(|term| term.select = select.clone())
    }

    /// Multiplies the weight of every term by this number.
    pub fn weighted(self, by: f64) -> Loss {
        self.each(|term| term.weight *= by)
    }

    /// Gives the terms another name in the measurements, which is used where there are several terms: `loss_NAME`.
    pub fn named(self, name: impl Into<String>) -> Loss {
        let name = name.into();
        self.each(|term| term.name.clone_from(&name))
    }

    /// Returns the names of the terms.
    pub fn names(&self) -> Vec<&str> {
        self.terms.iter().map(|term| term.name.as_str()).collect()
    }

    /// Resolves the names against a recorded model.
    ///
    /// # Errors
    /// If a penalty is of no site and of no weights (the nearest name is in the message), of a pattern, or of weights at some
    /// positions; if a weight is not finite, two terms have one name, or a predictor is of another vocabulary.
    pub(crate) fn resolve(&self, graph: &Graph) -> Result<Resolved> {
        let mut resolved =
            Resolved { loss: self.clone(), request: Request::default(), sets: vec![], places: vec![] };
        for (i, term) in self.terms.iter().enumerate() {
            let Term { name, weight, .. } = term;
            if !weight.is_finite() {
                return Err(Error::value(
                    format!("the loss's weight of '{name}'"),
                    weight,
                    "a finite number",
                ));
            }
            if self.terms[..i].iter().any(|other| other.name == *name) {
                let mend = "name one with `.named(..)`";
                return Err(Error::Duplicate { kind: "terms of the loss", name: name.clone(), mend });
            }
            resolved.add(term, graph)?;
        }
        Ok(resolved)
    }
}

/// Batches in which a position that counts is looked for.
const LOOKED_AT: usize = 64;

impl Loss {
    /// The names of the terms that are penalties.
    pub(crate) fn penalties(&self) -> Vec<String> {
        let penalties = self.terms.iter().filter(|term| matches!(term.kind, Kind::Penalty(..)));
        penalties.map(|term| term.name.clone()).collect()
    }

    /// Refuses batches in which no position counts for one of the terms: its mean is NaN, and nothing would train by it. A small
    /// batch may have none by chance: then the next batches are checked, too.
    ///
    /// # Errors
    /// If there is such a term, the terms do not fit the graph, or the task fails.
    pub(crate) fn check(&self, graph: &Graph, mut batches: Batches) -> Result<()> {
        let Err(error) = self.check_batch(graph, &batches.next_batch()?) else { return Ok(()) };
        for _ in 1..LOOKED_AT {
            if self.check_batch(graph, &batches.next_batch()?).is_ok() {
                return Ok(());
            }
        }
        Err(error)
    }

    fn check_batch(&self, graph: &Graph, batch: &Batch) -> Result<()> {
        let resolved = self.resolve(graph)?;
        let rows = resolved.positions(batch, graph.vocab())?;
        let counted = resolved.request.loss_positions(batch, &rows);
        for (term, place) in self.terms.iter().zip(&resolved.places) {
            if let Place::Engine(i) = place
                && counted[*i] == 0
            {
                let (name, alone) = (&term.name, Loss { terms: vec![term.clone()] }.to_string());
                let named = if alone.starts_with(name) { String::new() } else { format!("{name}, ") };
                let found =
                    format!("no position of the first {LOOKED_AT} batches counts for '{named}{alone}'");
                return Err(Error::value("loss", found, "some, since nothing trains by it otherwise"));
            }
        }
        Ok(())
    }
}

/// What a run does if a term of its loss selects no position in any of the first 64 batches. (More exactly: if none of them
/// has a position for every term.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmptyLoss {
    /// It ends with an error before the first step.
    #[default]
    Refused,
    /// It trains: the loss is NaN, gradients are zero, and weight decay still acts. One reference run of the paper's program
    /// does this.
    Allowed,
}

impl Add for Loss {
    type Output = Loss;

    fn add(mut self, other: Loss) -> Loss {
        self.terms.extend(other.terms);
        self
    }
}

/// A loss whose names are places of a graph.
pub(crate) struct Resolved {
    loss: Loss,
    /// What the engine is asked for.
    request: Request,
    /// The positions, and perhaps the predictor, of each row set.
    sets: Vec<(Select, Option<Arc<dyn Predictor>>)>,
    /// Where the value of each term comes from.
    places: Vec<Place>,
}

/// Where the value of a term comes from.
enum Place {
    /// The term of this number of the engine.
    Engine(usize),
    /// The weights of these identities.
    Weights(Penalty, Vec<ParamId>),
}

/// What a step has found.
pub(crate) struct Found {
    /// The loss.
    pub loss: f64,
    /// Its terms, before their weights, by name.
    pub terms: Vec<(String, f64)>,
}

impl Resolved {
    fn rows(&mut self, select: &Select, predictor: Option<Arc<dyn Predictor>>) -> RowSet {
        if let (Select::All, None) = (select, &predictor) {
            return RowSet::All;
        }
        self.sets.push((select.clone(), predictor));
        RowSet::Set(self.sets.len() - 1)
    }

    fn add(&mut self, term: &Term, graph: &Graph) -> Result<()> {
        let weight = term.weight;
        let of_engine = match &term.kind {
            Kind::NextToken => LossTerm::NextToken { rows: self.rows(&term.select, None), weight },
            Kind::Against(predictor) => {
                let fits = predictor.check(graph.vocab());
                fits.map_err(|error| error.of_part(format!("the loss's term '{}'", term.name)))?;
                self.rows(&term.select, Some(predictor.clone()));
                LossTerm::Distribution { set: self.sets.len() - 1, weight }
            }
            Kind::Penalty(penalty, name) => match graph.site(name) {
                Some(node) if graph.is_pattern(node) => {
                    return Err(Error::misfit(
                        "penalty",
                        format!("the pattern '{name}'"),
                        "a stream or weights",
                    ));
                }
                Some(node) => {
                    let (penalty, rows) = (*penalty, self.rows(&term.select, None));
                    LossTerm::Penalty { node, penalty, rows, weight }
                }
                None => return self.add_weights(term, *penalty, name, graph),
            },
        };
        self.places.push(Place::Engine(self.request.losses.len()));
        self.request.losses.push(of_engine);
        Ok(())
    }

    fn add_weights(&mut self, term: &Term, penalty: Penalty, pattern: &str, graph: &Graph) -> Result<()> {
        let names = || graph.params().iter().flat_map(|param| param.names.iter().map(String::as_str));
        let meant = stands_for(pattern, names());
        let params =
            graph.params().iter().filter(|p| p.names.iter().any(|name| meant.contains(&name.as_str())));
        let ids: Vec<ParamId> = params.map(|param| param.id).collect();
        if ids.is_empty() {
            let sites = graph.sites().keys().map(String::as_str);
            return Err(Error::unknown("site or weight", pattern, sites.chain(names())));
        }
        if !matches!(term.select, Select::All) {
            let found = format!("positions of the weights '{pattern}', which have none");
            return Err(Error::misfit("penalty", found, "no `over`, or a stream"));
        }
        self.places.push(Place::Weights(penalty, ids));
        Ok(())
    }

    /// What an engine is asked for.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The number of its row sets.
    pub fn sets(&self) -> usize {
        self.sets.len()
    }

    /// The positions of a batch that the terms are over.
    ///
    /// # Errors
    /// If a predictor answers with something else than a distribution, or the batch is not of its own size.
    pub fn positions(&self, batch: &Batch, vocab: usize) -> Result<Vec<RowLists>> {
        batch.check()?;
        let rows = |(select, predictor): &(Select, Option<Arc<dyn Predictor>>)| {
            let Some(predictor) = predictor else { return Ok(select.rows(batch)) };
            let (mut values, mut failed) = (Vec::new(), None);
            let mut distribution = vec![0.0; vocab];
            let lists = RowLists::choose(batch, |i, t| {
                distribution.fill(0.0);
                let sequence = Sequence::of(batch, i);
                let known =
                    select.holds(&sequence, t) && predictor.predict(&sequence.x[..=t], &mut distribution);
                if known {
                    if let Err(error) = check_answer(predictor.as_ref(), t + 1, &distribution) {
                        failed.get_or_insert(error);
                    }
                    values.extend_from_slice(&distribution);
                }
                known
            });
            failed.map_or_else(|| lists.with_distributions(vocab, values), Err)
        };
        self.sets.iter().map(rows).collect()
    }

    /// Whether a term is a penalty of weights, which no engine computes.
    pub fn has_weights(&self) -> bool {
        self.places.iter().any(|place| matches!(place, Place::Weights(..)))
    }

    /// The values of all terms after a run of the engine, whose terms are given; the penalties of weights are added to their
    /// gradients.
    pub fn finish(
        &self,
        loss: f64,
        of_engine: &[f64],
        model: &(impl ModuleExt + ?Sized),
        gradients: &mut Vec<(String, Values)>,
    ) -> Found {
        let mut found = Found { loss: if of_engine.is_empty() { 0.0 } else { loss }, terms: vec![] };
        for (term, place) in self.loss.terms.iter().zip(&self.places) {
            let value = match place {
                Place::Engine(i) => of_engine[*i],
                Place::Weights(penalty, ids) => {
                    let value = penalise(*penalty, ids, term.weight, model, gradients);
                    found.loss += term.weight * value;
                    value
                }
            };
            found.terms.push((term.name.clone(), value));
        }
        found
    }
}

/// The penalty of some weights; `weight` times its gradient is added to those of the ones that train.
fn penalise(
    penalty: Penalty,
    ids: &[ParamId],
    weight: f64,
    model: &(impl ModuleExt + ?Sized),
    gradients: &mut Vec<(String, Values)>,
) -> f64 {
    let (mut sum, mut seen) = (0.0, Vec::new());
    for (name, role, param) in model.tensors() {
        if !ids.contains(&param.id()) || seen.contains(&param.id()) {
            continue;
        }
        seen.push(param.id());
        let values = param.data();
        sum += values.iter().map(|value| penalty.at(value).0).sum::<f64>();
        if role == Role::Buffer || !param.trains() {
            continue;
        }
        let place = gradients.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            gradients.push((name, Values::zeros(values.storage(), values.len())));
            gradients.len() - 1
        });
        gradients[place].1.add(values.iter().map(|value| weight * penalty.at(value).1));
    }
    sum
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::NextToken => f.write_str("next_token"),
            Kind::Against(predictor) => write!(f, "against {}", predictor.words()),
            Kind::Penalty(penalty, of) => write!(f, "{penalty:?} of {of}"),
        }
    }
}

/// The terms in words, with their weights.
impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Term { kind, select, weight, .. }) in self.terms.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { " + " })?;
            if *weight != 1.0 {
                write!(f, "{weight} ")?;
            }
            write!(f, "{kind}")?;
            if !matches!(select, Select::All) {
                write!(f, " over {select}")?;
            }
        }
        Ok(())
    }
}

/// As its words.
impl Serialize for Loss {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
