//! Recording a model: the recorder, the tokens that it reads, and the trait of models.
use std::cell::{Ref, RefCell, RefMut};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::backend::{Const, Dim};
use crate::names::matches;
use crate::nn::{Module, Param, ParamId};
use crate::{Error, Result};

use super::edits::{Edit, Edits};
use super::graph::{Graph, NodeId, ParamInfo, WeightId};
use super::op::{Index, Op};
use super::site::Site;
use super::stream::Stream;
use super::weight::Weight;

/// The recorder of a forward pass, which turns parameters and constants into matrices. All handles of the pass share it.
///
/// It is reached from any handle: [`Tokens::recorder`], [`Site::recorder`], [`Stream::recorder`].
#[derive(Clone, Default)]
pub struct Recorder {
    graph: Rc<RefCell<Graph>>,
    edits: Rc<Edits>,
    names: Rc<HashMap<ParamId, Vec<String>>>,
    refused: Rc<RefCell<Option<Error>>>,
}

/// An edit of one site, and which of its heads it changes (all, if `None`).
pub(super) struct SiteEdit<'a> {
    pub edit: &'a Edit,
    pub heads: Option<Arc<[bool]>>,
}

/// An edit is of heads of a stream that is named without heads.
fn without_heads(site: &str, heads: &[usize]) -> Error {
    let head = heads.first().map_or_else(|| "heads".into(), |head| format!("head {head}"));
    let found = format!("{head} of a stream that is named without heads");
    let expected =
        "a pattern, or a stream that `forward` names with its heads, as in `site.heads(\"mixed\", x, heads)`";
    Error::misfit(format!("edit of '{site}'"), found, expected)
}

impl Recorder {
    pub(crate) fn graph(&self) -> Ref<'_, Graph> {
        self.graph.borrow()
    }

    pub(crate) fn graph_mut(&self) -> RefMut<'_, Graph> {
        self.graph.borrow_mut()
    }

    /// The edits of a site, in order; `heads` is the number of its heads, if it has any.
    pub(super) fn edits_of(&self, site: &str, heads: Option<usize>) -> Vec<SiteEdit<'_>> {
        let mut found = Vec::new();
        for entry in self.edits.entries().iter().filter(|entry| matches(&entry.site, site)) {
            let Some(wanted) = &entry.heads else {
                found.push(SiteEdit { edit: &entry.edit, heads: None });
                continue;
            };
            let Some(n) = heads else {
                self.refuse(without_heads(site, wanted));
                continue;
            };
            if let Some(head) = wanted.iter().find(|head| **head >= n) {
                self.refuse(Error::index("head", *head, format!("'{site}'"), n));
                continue;
            }
            let chosen: Arc<[bool]> = (0..n).map(|head| wanted.contains(&head)).collect();
            let all = chosen.iter().all(|chosen| *chosen);
            found.push(SiteEdit { edit: &entry.edit, heads: (!all).then_some(chosen) });
        }
        found
    }

    /// The recording fails with this error, unless it has failed before.
    pub(super) fn refuse(&self, error: Error) {
        self.refused.borrow_mut().get_or_insert(error);
    }

    /// The recording fails: an operation was asked of what does not fit.
    pub(crate) fn misfit(&self, operation: &str, found: String, expected: &str) {
        self.refuse(Error::Misfit { operation: operation.into(), found, expected: expected.into() });
    }

    /// Whether the recording has failed.
    pub(super) fn failed(&self) -> bool {
        self.refused.borrow().is_some()
    }

    /// Whether a handle with this recorder belongs to the same recording.
    pub(super) fn owns(&self, other: &Recorder) -> bool {
        Rc::ptr_eq(&self.graph, &other.graph)
    }

    /// Gives a node the name of a site, which a text of edits must be able to say.
    pub(super) fn name(&self, site: String, node: NodeId) {
        let odd = |c: char| c.is_whitespace() || "()[]{},=:*".contains(c);
        if site.contains(odd) || site.split('.').any(str::is_empty) {
            let expected = "parts with a dot between them, without white space and `( ) [ ] { } , = : *`";
            self.misfit(&format!("site '{site}'"), "a name that no edit can have".into(), expected);
        }
        if self.graph_mut().sites.insert(site.clone(), node).is_some_and(|known| known != node) {
            let mend = "give each its own place with `site.at(..)`";
            self.refuse(Error::Duplicate { kind: "activations", name: site, mend });
        }
    }

    /// Makes a constant matrix `[rows, cols]` of these values, row-major, which must be finite. It never trains and is not saved with the weights.
    ///
    /// ```
    /// use ihead::backend::Const;
    /// use ihead::graph::Stream;
    ///
    /// /// Each column times the number that stands for it.
    /// fn weighted(x: &Stream<usize, Const<3>>) -> Stream<usize, Const<3>> {
    ///     x.gain(&x.recorder().constant(Const::<1>, Const::<3>, &[1.0, 0.5, 0.25]))
    /// }
    /// ```
    pub fn constant<R: Dim, C: Dim>(&self, rows: R, cols: C, values: &[f64]) -> Weight<R, C> {
        let (r, c) = (rows.size(), cols.size());
        let expected = r.saturating_mul(c);
        if values.len() != expected {
            let found = format!("{} values for a matrix [{r}, {c}]", values.len());
            self.misfit("constant", found, &format!("{expected} values"));
        }
        if let Some((at, value)) = values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            let found = format!("{value} at place {at} of a matrix [{r}, {c}]");
            self.misfit("constant", found, "finite values");
        }
        let id = self.graph_mut().constant(r, c, values.into());
        Weight::new(self.clone(), id, rows, cols)
    }

    /// Returns the root of the site names of this forward pass.
    pub fn site(&self) -> Site {
        Site::root(self.clone())
    }

    /// Returns a parameter as a matrix of the graph, `[R, C]`. It must be in a field of the model that is marked `#[param]`,
    /// `#[buffer]` or, inside a module, `#[module]`.
    pub fn weight<R: Dim, C: Dim>(&self, param: &Param<(R, C)>) -> Weight<R, C> {
        let (rows, cols) = *param.shape();
        let id = self.param(param.id(), rows.size(), cols.size());
        Weight::new(self.clone(), id, rows, cols)
    }

    /// Returns a vector parameter as a matrix of one row, `[1, D]`.
    pub fn vector<D: Dim>(&self, param: &Param<(D,)>) -> Weight<Const<1>, D> {
        let (dim,) = *param.shape();
        let id = self.param(param.id(), 1, dim.size());
        Weight::new(self.clone(), id, Const::<1>, dim)
    }

    fn param(&self, id: ParamId, rows: usize, cols: usize) -> WeightId {
        let names = self.names.get(&id).cloned().unwrap_or_default();
        self.graph_mut().param(ParamInfo { id, names, rows, cols })
    }
}

/// The tokens of a sequence, `[seq]`, each below `vocab`. It is a handle: the tokens are known only when an engine runs.
#[derive(Clone)]
pub struct Tokens<T: Dim, V: Dim> {
    recorder: Recorder,
    seq: T,
    vocab: V,
}

impl<T: Dim, V: Dim> Tokens<T, V> {
    /// Returns the recorder of the forward pass that these tokens belong to.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Returns the root of the site names of this forward pass.
    pub fn site(&self) -> Site {
        self.recorder.site()
    }

    /// Returns the number of positions.
    pub fn seq(&self) -> T {
        self.seq
    }

    /// Returns the number of different tokens.
    pub fn vocab(&self) -> V {
        self.vocab
    }

    /// Looks up the row of each token in a table `[vocab, dim]`: `out[t] = table[x[t]]`, `[seq, dim]`.
    pub fn lookup<D: Dim>(&self, table: &Weight<V, D>) -> Stream<T, D> {
        let (rows, vocab) = (table.rows.size(), self.vocab.size());
        if rows != vocab && self.recorder.owns(&table.recorder) {
            let expected = format!("a row for each of {vocab} tokens");
            self.recorder.misfit("lookup by token", table.words(), &expected);
        }
        self.rows_of(table, Index::Tokens)
    }

    /// Takes the row of each position from a table `[rows, dim]`: `out[t] = table[t]`, `[seq, dim]`. The table may have
    /// more rows than there are positions.
    pub fn positions<M: Dim, D: Dim>(&self, table: &Weight<M, D>) -> Stream<T, D> {
        let (rows, seq) = (table.rows.size(), self.seq.size());
        if rows < seq && self.recorder.owns(&table.recorder) {
            let expected = format!("a row for each of {seq} positions");
            self.recorder.misfit("lookup by position", table.words(), &expected);
        }
        self.rows_of(table, Index::Positions)
    }

    fn rows_of<R: Dim, D: Dim>(&self, table: &Weight<R, D>, index: Index) -> Stream<T, D> {
        let op = if self.recorder.owns(&table.recorder) {
            Op::Lookup { table: table.id, index }
        } else {
            self.recorder.misfit("lookup", "a table of another recording".into(), "one of this model");
            Op::Zero
        };
        let node = self.recorder.graph_mut().node(op, table.cols.size());
        Stream::new(self.recorder.clone(), node, self.seq, table.cols)
    }
}

/// A language model: from the tokens of a sequence to the logits of the next one.
///
/// ```
/// use ihead::Module;
/// use ihead::backend::{Const, Dim};
/// use ihead::graph::{Model, Stream, Tokens, record};
/// use ihead::nn::{Init, Param};
///
/// /// Logits that depend on the current token alone.
/// #[derive(Module)]
/// struct Bigram {
///     #[param]
///     logits: Param<(Const<65>, Const<65>)>,
/// }
///
/// impl Model for Bigram {
///     type Vocab = Const<65>;
///
///     fn vocab(&self) -> Const<65> {
///         Const
///     }
///
///     fn forward<T: Dim>(&self, x: &Tokens<T, Const<65>>) -> Stream<T, Const<65>> {
///         x.lookup(&x.recorder().weight(&self.logits)) // [seq, vocab]
///     }
/// }
///
/// let graph = record(&Bigram { logits: Param::new((Const, Const), Init::Zeros) }, 16)?;
/// assert_eq!((graph.seq(), graph.vocab(), graph.len()), (16, 65, 1));
/// # Ok::<(), ihead::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a model",
    note = "derive `Module` for its parameters and implement `Model::forward`, from `Tokens<T, V>` to `Stream<T, V>`"
)]
pub trait Model: Module {
    /// The type of the size of the vocabulary: `Const<N>` or `usize`.
    type Vocab: Dim;

    /// Returns the size of the vocabulary.
    fn vocab(&self) -> Self::Vocab;

    /// Returns the longest sequence that the model takes, or `None` if there is no limit.
    fn max_seq(&self) -> Option<usize> {
        None
    }

    /// Records the logits `[seq, vocab]` of a sequence: at each position, the scores of the next token. It is called once
    /// for each recording, before there are values. A run records a model more than once (for training, for each test set, with
    /// each set of edits), so `forward` must do the same each time.
    fn forward<T: Dim>(&self, x: &Tokens<T, Self::Vocab>) -> Stream<T, Self::Vocab>;
}

/// Records `model` for sequences of `seq` tokens: calls its `forward` once and returns the graph of what it computes.
///
/// Everything that does not fit is found here, before a step is taken: the compiler has checked the sizes that are `Const`,
/// and recording checks those that are `usize`.
///
/// # Errors
/// The first of what does not fit: an operation on streams or matrices of other sizes than it takes, a table with too few
/// rows, heads that do not divide a width, logits of another width than the vocabulary, a handle of another recording, a
/// parameter that `forward` reads and no field names, two activations of one name, or a name that no edit can have. The
/// message names the operation, the shapes as the model wrote them, and the parameter or the nearest site.
///
/// ```
/// use ihead::Module;
/// use ihead::backend::Dim;
/// use ihead::graph::{Model, Stream, Tokens, record};
/// use ihead::nn::{Embedding, Linear};
///
/// #[derive(Module)]
/// struct Bigram {
///     #[module]
///     embed: Embedding<usize, usize>,
///     #[module]
///     output: Linear<usize, usize>,
/// }
///
/// impl Model for Bigram {
///     type Vocab = usize;
///
///     fn vocab(&self) -> usize {
///         10
///     }
///
///     fn forward<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
///         self.output.forward(&self.embed.forward(x))
///     }
/// }
///
/// let model = Bigram { embed: Embedding::new(10, 16), output: Linear::new(8, 10) };
/// let error = record(&model, 4).unwrap_err().to_string();
/// assert_eq!(error, "linear: 'output.weight' [10, 8] of lookup [4, 16]; expected a stream of width 8");
/// ```
pub fn record<M: Model, T: Dim>(model: &M, seq: T) -> Result<Graph> {
    record_with(model, seq, &Edits::default())
}

/// Records `model` with some of its sites edited.
///
/// # Errors
/// Those of [`record`]; or if an edit is of no site (the nearest name is in the message), of a head that there is not, or does
/// not fit what the site is: a stream or a pattern, its width, the number of positions.
///
/// ```
/// use ihead::config::Config;
/// use ihead::graph::{Edit, Edits, record_with};
/// use ihead::model::{Simplified, SimplifiedArgs};
///
/// let model = Simplified::new(65, &SimplifiedArgs { max_length: 32, dim: 16, ..SimplifiedArgs::defaults() })?;
/// let edits = Edits::default().with("layers.0.attention.pattern", Edit::PreviousToken);
/// let graph = record_with(&model, 32, &edits)?;
/// assert!(graph.to_string().contains("fixed pattern previous 'layers.0.attention.pattern'"));
///
/// let wrong = Edits::default().with("layers.0.attention.patern", Edit::PreviousToken);
/// let error = record_with(&model, 32, &wrong).unwrap_err().to_string();
/// assert_eq!(error, "no site 'layers.0.attention.patern'; did you mean 'layers.0.attention.pattern'?");
/// # Ok::<(), ihead::Error>(())
/// ```
pub fn record_with<M: Model, T: Dim>(model: &M, seq: T, edits: &Edits) -> Result<Graph> {
    let vocab = model.vocab();
    let recorder = Recorder::begin(model, seq.size(), vocab.size(), edits);
    let logits = model.forward(&Tokens { recorder: recorder.clone(), seq, vocab });
    let fits = recorder.check_logits(logits.recorder(), logits.id(), logits.dim().size());
    let logits = fits.map(|()| recorder.site().stream("logits", logits).id());
    recorder.end(logits, edits)
}

impl Recorder {
    /// A recording of sequences of `seq` tokens, before its first operation.
    fn begin(model: &dyn Module, seq: usize, vocab: usize, edits: &Edits) -> Recorder {
        let (mut names, mut refused) = (HashMap::<_, Vec<_>>::new(), None);
        model.visit("", &mut |name, _, tensor| {
            refused = refused.take().or_else(|| tensor.init().problem(name, &tensor.dims()));
            names.entry(tensor.id()).or_default().push(name.to_string());
        });
        let recorder =
            Recorder { edits: Rc::new(edits.clone()), names: Rc::new(names), ..Recorder::default() };
        refused.into_iter().for_each(|error| recorder.refuse(error));
        recorder.graph_mut().seq = seq;
        recorder.graph_mut().vocab = vocab;
        if seq == 0 || vocab == 0 {
            let found = format!("{seq} positions, {vocab} tokens");
            recorder.misfit("record", found, "one at least of each");
        }
        recorder
    }

    /// Refuses logits of another recording, and those that are not one for each token.
    fn check_logits(&self, of: &Recorder, logits: NodeId, width: usize) -> Result<()> {
        if !self.owns(of) {
            return Err(Error::misfit("logits", "a stream of another recording", "one of this model"));
        }
        let vocab = self.graph().vocab;
        if width != vocab {
            let found = self.graph().node_words(logits);
            self.misfit("logits", found, &format!("a logit for each of {vocab} tokens"));
        }
        Ok(())
    }

    /// The graph, or the first of what does not fit.
    fn end(&self, logits: Result<NodeId>, edits: &Edits) -> Result<Graph> {
        let error = logits.and_then(|logits| self.check_whole(logits)).err();
        if let Some(error) = self.refused.take().or(error) {
            return Err(error);
        }
        let graph = self.graph().clone();
        edits.unknown(&graph).map_or(Ok(graph), Err)
    }

    /// Checks of a recording that no single operation can make.
    fn check_whole(&self, logits: NodeId) -> Result<()> {
        self.graph_mut().logits = Some(logits);
        let graph = self.graph();
        if let Some(param) = graph.params().iter().find(|param| param.names.is_empty()) {
            let ParamInfo { rows, cols, .. } = param;
            let found = format!("a parameter [{rows}, {cols}] that no field of the model names");
            return Err(Error::misfit("forward", found, "`#[module]` or `#[param]` on each field"));
        }
        if let Some(i) = graph.nodes().iter().position(|node| node.cols == 0) {
            return Err(Error::misfit(graph.node_words(NodeId(i)), "no columns", "one at least"));
        }
        match graph.weights().iter().position(|weight| weight.rows == 0 || weight.cols == 0) {
            Some(i) => Err(Error::misfit(graph.weight_words(WeightId(i)), "no elements", "one at least")),
            None => Ok(()),
        }
    }
}
