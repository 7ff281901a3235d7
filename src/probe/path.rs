//! Circuits: products of weight matrices.
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::str::FromStr;
use std::sync::Arc;

use crate::{Error, Result};

use super::{BorrowedMatrix, Map, Matrix, StateDict, Step};

/// A product of weight matrices that is applied to the rows of a table; table and matrices are given by name: `tok_embeddings
/// -> layers.1.attention.wv -> output`.
///
/// The rows are those of a table, or sums of rows: `(tok_embeddings + tok_embeddings -> layers.0.attention.wv) ->
/// layers.1.attention.wk`. It is a value: nothing is computed until weights are given. It can be written as a text
/// ([`FromStr`], which [`Display`](fmt::Display) writes) or built; `.weight` at the end of a name may be left out.
///
/// | text | built | each row `x` becomes |
/// |---|---|---|
/// | `-> NAME` | [`through`](Circuit::through) | `W x`, `W` the weight `[out, in]` of this name |
/// | `-> NAME?` | [`through_if_present`](Circuit::through_if_present) | the same, or `x` where the model has no such weight |
/// | `-> relu` | [`relu`](Circuit::relu) | `max(x, 0)` |
/// | `-> scale(0.5)` | [`scaled`](Circuit::scaled) | `0.5 x` |
/// | `-> head(1/4)` | [`head`](Circuit::head) | the columns of head 1 of 4, the others 0 |
/// | `a + b` | [`plus`](Circuit::plus) | row `i` of `a` plus row `i` of `b` |
///
/// ```
/// use ihead::probe::Circuit;
/// let values = Circuit::rows("tok_embeddings").through("layers.1.attention.wv");
/// assert_eq!(values.to_string(), "tok_embeddings -> layers.1.attention.wv");
/// let read: Circuit = "(tok_embeddings + tok_embeddings -> layers.0.ff) -> relu".parse()?;
/// let built = Circuit::rows("tok_embeddings").plus(Circuit::rows("tok_embeddings").through("layers.0.ff")).relu();
/// assert_eq!(read.to_string(), built.to_string());
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Circuit {
    source: Source,
    steps: Vec<Step>,
    /// How many sums are inside each other.
    depth: usize,
}

/// Where the rows of a path come from.
#[derive(Clone, Debug)]
enum Source {
    Table(String),
    Sum(Vec<Circuit>),
    /// More sums inside each other than [`DEEPEST`], of which none is kept.
    TooDeep,
}

/// The most sums inside each other: each is computed while those around it wait.
const DEEPEST: usize = 256;

impl Circuit {
    /// A circuit that begins with the rows of the table of this name.
    pub fn rows(table: impl Into<String>) -> Self {
        Circuit { source: Source::Table(table.into()), steps: Vec::new(), depth: 0 }
    }

    /// The sum of this circuit's rows and those of another, row by row. More than 256 sums inside each other are an error when
    /// the circuit is applied; a sum of sums, as `a.plus(b).plus(c)`, is one sum.
    pub fn plus(self, other: Circuit) -> Self {
        let depth = other.depth + 1;
        match self {
            Circuit { source: Source::Sum(mut terms), steps, depth: own } if steps.is_empty() => {
                terms.push(other);
                Self::sum(terms, depth.max(own))
            }
            one => {
                let depth = depth.max(one.depth + 1);
                Self::sum(vec![one, other], depth)
            }
        }
    }

    fn sum(terms: Vec<Circuit>, depth: usize) -> Self {
        let source = if depth > DEEPEST { Source::TooDeep } else { Source::Sum(terms) };
        Circuit { source, steps: Vec::new(), depth }
    }

    /// The same circuit followed by this step.
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The same circuit followed by the linear map whose weight `[out, in]` has this name.
    pub fn through(self, weight: impl Into<String>) -> Self {
        self.then(Step::Linear(weight.into()))
    }

    /// The same circuit followed by the linear map whose weight has this name, or by the identity where the model has no such
    /// weight.
    pub fn through_if_present(self, weight: impl Into<String>) -> Self {
        self.then(Step::LinearIfPresent(weight.into()))
    }

    /// The same circuit followed by `max(x, 0)`.
    pub fn relu(self) -> Self {
        self.then(Step::Relu)
    }

    /// The same circuit followed by `factor x`.
    pub fn scaled(self, factor: f64) -> Self {
        self.then(Step::Scale(factor))
    }

    /// The same circuit, of which only the columns of head `head` of `heads` are kept; the others become 0.
    pub fn head(self, head: usize, heads: usize) -> Self {
        self.then(Step::Head { head, heads })
    }

    /// The same circuit followed by your own map.
    pub fn through_map(self, map: impl Map + 'static) -> Self {
        self.then(Step::Own(Arc::new(map)))
    }

    /// The circuit with its weights, each looked up once.
    ///
    /// # Errors
    /// If there is no weight of a name, the terms of a sum have not the same number of rows, or sums are too deep.
    pub(super) fn load<'a>(&'a self, weights: &'a dyn StateDict) -> Result<Loaded<'a>> {
        self.load_from(&mut LookedUp { weights, found: BTreeMap::new() })
    }

    fn load_from<'a>(&'a self, weights: &mut LookedUp<'a>) -> Result<Loaded<'a>> {
        let source = match &self.source {
            Source::TooDeep => return Err(too_deep()),
            Source::Table(name) => LoadedSource::Table(weights.matrix(name)?),
            Source::Sum(terms) => {
                let terms = terms.iter().map(|term| term.load_from(weights)).collect::<Result<Vec<_>>>()?;
                let height = terms.first().map_or(0, Loaded::height);
                if let Some(other) = terms.iter().map(Loaded::height).find(|other| *other != height) {
                    let found = format!("a sum of {height} rows and {other} rows");
                    return Err(Error::misfit(self.to_string(), found, "as many of each"));
                }
                LoadedSource::Sum(terms)
            }
        };
        let step = |step: &'a Step| match step {
            Step::Linear(name) => weights.matrix(name).map(|weight| (step, Some(weight))),
            Step::LinearIfPresent(name) => Ok((step, weights.find(name))),
            _ => Ok((step, None)),
        };
        let steps = self.steps.iter().map(step).collect::<Result<_>>()?;
        Ok(Loaded { circuit: self, source, steps })
    }

    /// The image of every row, `[rows, out]`.
    ///
    /// # Errors
    /// If there is no weight of a name, or a map does not fit: the message has both shapes.
    pub fn apply(&self, weights: &dyn StateDict) -> Result<Matrix> {
        self.load(weights)?.apply()
    }
}

/// A weight: borrowed, or the one copy of it where it cannot be.
#[derive(Clone)]
pub(super) enum Held<'w> {
    Borrowed(BorrowedMatrix<'w>),
    Own(Rc<Matrix>),
}

impl Held<'_> {
    pub fn matrix(&self) -> BorrowedMatrix<'_> {
        match self {
            Held::Borrowed(matrix) => *matrix,
            Held::Own(matrix) => BorrowedMatrix::of(matrix),
        }
    }
}

/// Weights that were asked for, each looked up once.
struct LookedUp<'w> {
    weights: &'w dyn StateDict,
    found: BTreeMap<String, Held<'w>>,
}

impl<'w> LookedUp<'w> {
    fn matrix(&mut self, name: &str) -> Result<Held<'w>> {
        match self.find(name) {
            Some(held) => Ok(held),
            // for its error
            None => self.weights.matrix(name).map(|matrix| Held::Own(Rc::new(matrix))),
        }
    }

    fn find(&mut self, name: &str) -> Option<Held<'w>> {
        if let Some(held) = self.found.get(name) {
            return Some(held.clone());
        }
        let held = match self.weights.borrowed_short(name) {
            Some(matrix) => Held::Borrowed(matrix),
            None => Held::Own(Rc::new(self.weights.find_short(name)?)),
        };
        self.found.insert(name.into(), held.clone());
        Some(held)
    }
}

/// A [`Circuit`] with its weights.
pub(super) struct Loaded<'a> {
    circuit: &'a Circuit,
    source: LoadedSource<'a>,
    /// Each with its weight, if it has one that the model has.
    steps: Vec<(&'a Step, Option<Held<'a>>)>,
}

enum LoadedSource<'a> {
    Table(Held<'a>),
    /// All of the same height.
    Sum(Vec<Loaded<'a>>),
}

impl Loaded<'_> {
    /// The number of rows.
    pub fn height(&self) -> usize {
        match &self.source {
            LoadedSource::Table(table) => table.matrix().rows(),
            LoadedSource::Sum(terms) => terms.first().map_or(0, Loaded::height),
        }
    }

    /// The image of some rows, `[picked, out]`.
    ///
    /// # Errors
    /// If there is no such row, or a map does not fit.
    pub fn pick(&self, picked: &[usize]) -> Result<Matrix> {
        let rows = match &self.source {
            LoadedSource::Table(table) => Matrix::picked_of(table.matrix(), picked)?,
            LoadedSource::Sum(terms) => {
                let mut terms = terms.iter().map(|term| term.pick(picked));
                let first = terms.next().unwrap_or_else(|| Matrix::new(0, 0, Vec::new()))?;
                terms.try_fold(first, |sum, term| {
                    let (term, cols) = (term?, sum.cols());
                    let misfit = || {
                        let found = format!("a sum of rows of width {cols} and of width {}", term.cols());
                        Error::misfit(self.circuit.to_string(), found, "one width")
                    };
                    sum.plus(&term).ok_or_else(misfit)
                })?
            }
        };
        self.steps.iter().try_fold(rows, |x, (step, weight)| step.apply(x, weight.as_ref()))
    }

    /// The image of every row, `[rows, out]`.
    ///
    /// # Errors
    /// If a map does not fit.
    pub fn apply(&self) -> Result<Matrix> {
        let all: Vec<usize> = (0..self.height()).collect();
        self.pick(&all)
    }
}

fn too_deep() -> Error {
    Error::value(
        "circuit",
        format!("more than {DEEPEST} sums inside each other"),
        format!("at most {DEEPEST}"),
    )
}

impl From<ihead_formula::Rows> for Circuit {
    fn from(rows: ihead_formula::Rows) -> Self {
        let from = match rows.source {
            ihead_formula::Source::Table(name) => Circuit::rows(name),
            ihead_formula::Source::Sum(terms) => {
                let terms: Vec<Circuit> = terms.into_iter().map(Circuit::from).collect();
                let deepest = terms.iter().map(|term| term.depth).max();
                Circuit::sum(terms, deepest.map_or(0, |depth| depth + 1))
            }
        };
        Circuit { steps: rows.steps.into_iter().map(Step::from).collect(), ..from }
    }
}

impl FromStr for Circuit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let rows = ihead_formula::rows(text);
        rows.map(Circuit::from).map_err(|problem| Error::text("path", text, problem))
    }
}

impl fmt::Display for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::TooDeep => f.write_str("(...)")?,
            Source::Table(name) => f.write_str(name)?,
            Source::Sum(terms) => {
                let sum: Vec<String> = terms
                    .iter()
                    .map(|term| match term.source {
                        Source::Sum(_) if term.steps.is_empty() => format!("({term})"),
                        _ => term.to_string(),
                    })
                    .collect();
                let sum = sum.join(" + ");
                if self.steps.is_empty() { f.write_str(&sum)? } else { write!(f, "({sum})")? }
            }
        }
        self.steps.iter().try_for_each(|step| write!(f, " -> {step}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Array;
    use crate::nn::{Storage, Values};

    /// Such sums overflowed the stack when they were computed, written or dropped.
    #[test]
    fn sums_inside_each_other_are_computed_to_a_depth_and_refused_beyond() {
        let table = Array { shape: vec![1, 2], values: vec![1.0, -2.0] };
        let weights = std::collections::BTreeMap::from([("table".to_string(), table)]);
        let nested = |n| (0..n).fold(Circuit::rows("table"), |sum, _| Circuit::rows("table").plus(sum));
        let found = nested(DEEPEST).apply(&weights).unwrap();
        assert_eq!(found.row(0), [257.0, -514.0]);
        for deep in
            [nested(DEEPEST + 1), nested(100_000), nested(100_000).relu().plus(Circuit::rows("table"))]
        {
            let said = "circuit: more than 256 sums inside each other; expected at most 256";
            assert_eq!(deep.clone().apply(&weights).unwrap_err().to_string(), said);
            assert!(deep.to_string().len() < 100);
        }
        let wide = (0..100_000).fold(Circuit::rows("table"), |sum, _| sum.plus(Circuit::rows("table")));
        assert_eq!(wide.apply(&weights).unwrap().row(0), [100_001.0, -200_002.0]);
    }

    /// Weights that are not lent, as those of a type of the user's that only copies.
    struct Copied<'a>(&'a dyn StateDict);

    impl StateDict for Copied<'_> {
        fn names(&self) -> Vec<String> {
            self.0.names()
        }

        fn find(&self, name: &str) -> Option<Matrix> {
            self.0.find(name)
        }
    }

    /// Rows of single precision are widened block by block, also where one row is longer than a block.
    #[test]
    fn weights_that_are_borrowed_give_what_copies_of_them_give() {
        for storage in [Storage::Single, Storage::Double] {
            for (rows, inner, out) in [(1, 1, 1), (3, 70, 400), (2, 20_000, 3), (5, 0, 2), (0, 4, 4)] {
                let values = |n: usize, by: f64| {
                    Values::Double((0..n).map(|i| (i as f64 * by).sin()).collect()).stored(storage)
                };
                let weights = BTreeMap::from([
                    ("table".into(), Array { shape: vec![rows, inner], values: values(rows * inner, 0.7) }),
                    (
                        "map.weight".into(),
                        Array { shape: vec![out, inner], values: values(out * inner, 1.3) },
                    ),
                    ("vector".into(), Array { shape: vec![inner], values: values(inner, 2.1) }),
                ]);
                let lent =
                    weights.borrowed_short("map").is_some() && weights.borrowed_short("vector").is_some();
                assert!(lent && Copied(&weights).borrowed_short("map").is_none());
                for text in
                    ["table -> map", "table -> map?", "vector -> map", "(table + table) -> map -> none?"]
                {
                    let circuit: Circuit = text.parse().unwrap();
                    let (found, copied) = (circuit.apply(&weights), circuit.apply(&Copied(&weights)));
                    assert_eq!(found.unwrap(), copied.unwrap(), "{text}, {storage:?}, {rows} {inner} {out}");
                }
                let wrong: Circuit = "table -> map -> map".parse().unwrap();
                let said =
                    |weights: &dyn StateDict| wrong.apply(weights).err().map(|error| error.to_string());
                assert_eq!(said(&weights), said(&Copied(&weights)));
                let of = |weights: &dyn StateDict| {
                    let picked =
                        Circuit::rows("table").load(weights).and_then(|table| table.pick(&[0, rows]));
                    picked.unwrap_err().to_string()
                };
                assert_eq!(of(&weights), of(&Copied(&weights)));
            }
        }
    }
}
