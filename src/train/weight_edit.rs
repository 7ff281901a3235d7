//! Changes of weights, as values.
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::engine::ParamSource;
use crate::kernels::Element;
use crate::names::stands_for;
use crate::nn::{Module, ModuleExt, ParamId, Params, Values, Version, unknown};
use crate::probe::Matrix;
use crate::text::{Number, Reader, serde_as_text};
use crate::{Error, Result};

/// What becomes of a weight.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Rank(usize),
    RankShare(f64),
    Zero,
    Scale(f64),
    Initial,
}

/// A change of the weights that a name or pattern (`*`) matches: in a timeline, or for a measurement alone
/// ([`Run::on_edited`](crate::run::Run::on_edited)).
///
/// | made by | text | a weight becomes |
/// |---|---|---|
/// | [`rank`](Self::rank) | `rank(layers.1.ff.weight, 4)` | the nearest matrix of at most this rank |
/// | [`rank_share`](Self::rank_share) | `rank_share(layers.1.ff.weight, 0.1)` | the same, with a share of the full rank |
/// | [`zero`](Self::zero) | `zero(layers.1.ff.weight)` | zero |
/// | [`scale`](Self::scale) | `scale(layers.*.attention.wo.weight, 0.5)` | a multiple |
/// | [`initial`](Self::initial) | `initial(layers.1.*)` | what it was before the first step of the run |
///
/// ```
/// use ihead::train::WeightEdit;
/// let edit = WeightEdit::rank_share("layers.1.ff.weight", 0.1);
/// assert_eq!(edit.to_string(), "rank_share(layers.1.ff.weight, 0.1)");
/// assert_eq!("rank_share(layers.1.ff.weight, 0.1)".parse::<WeightEdit>()?, edit);
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct WeightEdit {
    pattern: String,
    change: Change,
}

/// The weights of a model before the first step, by name.
pub(crate) type Initial = HashMap<String, Values>;

impl WeightEdit {
    /// The names of all changes.
    pub(crate) const NAMES: [&str; 5] = ["rank", "rank_share", "zero", "scale", "initial"];

    /// Replaces each matrix by the nearest one of at most this rank, made of its largest singular values.
    pub fn rank(pattern: impl Into<String>, rank: usize) -> Self {
        WeightEdit { pattern: pattern.into(), change: Change::Rank(rank) }
    }

    /// Replaces each matrix by the nearest one whose rank is this share of the full rank, from 0 to 1, rounded.
    pub fn rank_share(pattern: impl Into<String>, share: f64) -> Self {
        WeightEdit { pattern: pattern.into(), change: Change::RankShare(share) }
    }

    /// Sets all values to zero.
    pub fn zero(pattern: impl Into<String>) -> Self {
        WeightEdit { pattern: pattern.into(), change: Change::Zero }
    }

    /// Multiplies all values by this number.
    pub fn scale(pattern: impl Into<String>, by: f64) -> Self {
        WeightEdit { pattern: pattern.into(), change: Change::Scale(by) }
    }

    /// Sets all values back to those before the first step.
    pub fn initial(pattern: impl Into<String>) -> Self {
        WeightEdit { pattern: pattern.into(), change: Change::Initial }
    }

    /// Checks the change against the model.
    ///
    /// # Errors
    /// If the pattern matches no weight (the nearest name is in the message), a rank is asked of what is no matrix, or a
    /// number is out of range.
    pub fn check(&self, model: &(impl Module + ?Sized)) -> Result<()> {
        let names = self.matching(model)?;
        let misfit =
            |found: String, expected| Err(Error::value(format!("weight edit '{self}'"), found, expected));
        match self.change {
            Change::RankShare(share) if !(0.0..=1.0).contains(&share) => {
                return misfit(share.to_string(), "a share from 0 to 1");
            }
            Change::Scale(by) if !by.is_finite() => return misfit(by.to_string(), "a finite number"),
            Change::Rank(_) | Change::RankShare(_) => {}
            Change::Zero | Change::Scale(_) | Change::Initial => return Ok(()),
        }
        for name in names {
            let axes = model.tensor(&name)?.dims().len();
            if axes != 2 {
                return misfit(format!("'{name}' has {axes} axes"), "a matrix, which has a rank");
            }
        }
        Ok(())
    }

    /// Why it changes nothing whatever the weights are, and what would; `None` if it may change something.
    ///
    /// # Errors
    /// If the pattern matches no weight.
    pub(crate) fn idle(&self, model: &(impl Module + ?Sized)) -> Result<Option<(String, String)>> {
        if self.change == Change::Scale(1.0) {
            return Ok(Some(("it multiplies by 1".into(), "another factor".into())));
        }
        let mut full = Vec::new();
        for name in self.matching(model)? {
            full.extend(model.tensor(&name)?.dims().into_iter().min());
        }
        let keeps_all = |full: &usize| self.kept(*full).is_some_and(|rank| rank >= *full);
        let most = full.iter().copied().max().unwrap_or(0);
        if !full.iter().all(keeps_all) {
            return Ok(None);
        }
        let less = match self.change {
            Change::RankShare(_) => "a share that leaves less".into(),
            _ => format!("a rank of at most {}", most.saturating_sub(1)),
        };
        Ok(Some((format!("what it names has a rank of at most {most}"), less)))
    }

    /// The rank that it leaves of a matrix of this full rank, if it changes ranks.
    fn kept(&self, full: usize) -> Option<usize> {
        match self.change {
            Change::Rank(rank) => Some(rank),
            Change::RankShare(share) => Some((share * full as f64).round() as usize),
            Change::Zero | Change::Scale(_) | Change::Initial => None,
        }
    }

    /// Whether it needs the initial weights.
    pub(crate) fn needs_initial(&self) -> bool {
        self.change == Change::Initial
    }

    /// The weights that it changes.
    fn matching(&self, model: &(impl Module + ?Sized)) -> Result<Vec<String>> {
        let names: Vec<String> = model.tensors().into_iter().map(|(name, _, _)| name).collect();
        let names = || names.iter().map(String::as_str);
        let found: Vec<String> = stands_for(&self.pattern, names()).into_iter().map(String::from).collect();
        if found.is_empty() { Err(unknown("weight", &self.pattern, names())) } else { Ok(found) }
    }

    /// The values of one weight of this shape after the change, in double precision where they are computed.
    fn apply(&self, name: &str, shape: &[usize], values: Values, initial: &Initial) -> Result<Values> {
        Ok(match self.change {
            Change::Zero => Values::zeros(values.storage(), values.len()),
            Change::Scale(by) => Values::Double(values.iter().map(|v| v * by).collect()),
            Change::Initial => {
                let known = || initial.keys().map(String::as_str);
                initial.get(name).cloned().ok_or_else(|| Error::unknown("initial weight", name, known()))?
            }
            Change::Rank(_) | Change::RankShare(_) => {
                let [rows, cols] = *shape else { return Err(Error::shape(name, &[0, 0], shape)) };
                let full = rows.min(cols);
                let Some(rank) = self.kept(full).filter(|rank| *rank < full) else { return Ok(values) };
                if values.iter().any(|v| !v.is_finite()) {
                    // of a run that goes on after it has diverged: what is computed with NaN is NaN
                    return Ok(Values::Double(vec![f64::NAN; values.len()]));
                }
                let cut = Matrix::new(rows, cols, values.double().into_owned())?.truncated(rank)?;
                Values::Double(cut.values().to_vec())
            }
        })
    }

    /// Changes the model.
    pub(crate) fn change(&self, model: &mut (impl Module + ?Sized), initial: &Initial) -> Result<()> {
        let Edited { by_id, names, .. } = Edited::new(model, std::slice::from_ref(self), initial)?;
        let mut written = Ok(());
        for (name, id) in names {
            model.edit_tensor(&name, &mut |weight| written = weight.put(by_id[&id].clone()))?;
        }
        written
    }
}

/// A model with some of its weights changed, which itself stays as it is.
pub(crate) struct Edited<'a> {
    params: Params<'a>,
    by_id: HashMap<ParamId, Values>,
    /// What was changed.
    names: Vec<(String, ParamId)>,
}

impl<'a> Edited<'a> {
    /// `model` after these edits, one after the other.
    pub fn new(
        model: &'a (impl Module + ?Sized),
        edits: &[WeightEdit],
        initial: &Initial,
    ) -> Result<Edited<'a>> {
        let mut edited = Edited { params: Params::of(model), by_id: HashMap::new(), names: Vec::new() };
        for edit in edits {
            let mut seen = Vec::new();
            for name in edit.matching(model)? {
                let tensor = model.tensor(&name)?;
                if seen.contains(&tensor.id()) {
                    continue; // tied: one weight under two names
                }
                seen.push(tensor.id());
                let values = edited.by_id.remove(&tensor.id()).unwrap_or_else(|| tensor.data().clone());
                let storage = values.storage();
                let changed = edit.apply(&name, &tensor.dims(), values, initial)?;
                edited.by_id.insert(tensor.id(), changed.stored(storage));
                edited.names.push((name, tensor.id()));
            }
        }
        Ok(edited)
    }
}

impl<E: Element> ParamSource<E> for Edited<'_> {
    fn read(&self, id: ParamId, into: &mut [E]) {
        match self.by_id.get(&id) {
            Some(values) => values.copy_to(into),
            None => self.params.read(id, into),
        }
    }

    fn values(&self, id: ParamId) -> Option<&[E]> {
        match self.by_id.get(&id) {
            Some(values) => values.borrowed(),
            None => self.params.values(id),
        }
    }

    fn version(&self, id: ParamId) -> Option<Version> {
        if self.by_id.contains_key(&id) { None } else { ParamSource::<E>::version(&self.params, id) }
    }

    fn check(&self, id: ParamId) -> Result<()> {
        ParamSource::<E>::check(&self.params, id)
    }
}

/// All weights of a model, by name.
pub(crate) fn initial_of(model: &(impl Module + ?Sized)) -> Initial {
    model.tensors().into_iter().map(|(name, _, tensor)| (name, tensor.data().clone())).collect()
}

impl FromStr for WeightEdit {
    type Err = Error;

    /// # Errors
    /// If the text is no change of weights: the nearest is in the message. Names of weights are checked against a model.
    fn from_str(text: &str) -> Result<WeightEdit> {
        let read = |reader: &mut Reader<'_>| {
            let place = reader.place();
            let name = reader.word("a change of weights, such as zero(layers.1.ff.weight)")?;
            if !WeightEdit::NAMES.contains(&name) {
                return Err(reader.unknown("weight edit", (place, name), WeightEdit::NAMES));
            }
            WeightEdit::read(name, reader)
        };
        Reader::whole("weight edit", text, read, "the end")
    }
}

impl WeightEdit {
    /// What stands after its name.
    pub(crate) fn read(name: &str, reader: &mut Reader<'_>) -> Result<WeightEdit> {
        let (with_value, expected) = match name {
            "rank" => (true, "a number of ranks, as in rank(layers.1.ff.weight, 4)"),
            "rank_share" => (true, "a share, as in rank_share(layers.1.ff.weight, 0.1)"),
            "scale" => (true, "a factor, as in scale(layers.1.ff.weight, 0.5)"),
            "zero" | "initial" => (false, "`)` after one name or pattern"),
            _ => return Err(Error::unknown("weight edit", name, WeightEdit::NAMES)),
        };
        const PATTERN: &str = "one name or pattern of weights, as in zero(layers.1.ff.weight)";
        reader.sign("(", PATTERN)?;
        let pattern = reader.word(PATTERN)?;
        if with_value {
            reader.sign(",", expected)?;
        }
        let edit = match name {
            "rank" => WeightEdit::rank(pattern, reader.count(expected)?),
            "rank_share" => WeightEdit::rank_share(pattern, reader.number(expected)?),
            "scale" => WeightEdit::scale(pattern, reader.number(expected)?),
            "zero" => WeightEdit::zero(pattern),
            _ => WeightEdit::initial(pattern),
        };
        reader.sign(")", expected)?;
        Ok(edit)
    }
}

impl fmt::Display for WeightEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pattern = &self.pattern;
        match self.change {
            Change::Rank(rank) => write!(f, "rank({pattern}, {rank})"),
            Change::RankShare(share) => write!(f, "rank_share({pattern}, {})", Number(share)),
            Change::Zero => write!(f, "zero({pattern})"),
            Change::Scale(by) => write!(f, "scale({pattern}, {})", Number(by)),
            Change::Initial => write!(f, "initial({pattern})"),
        }
    }
}

serde_as_text!(WeightEdit);
