//! Recording a model: the recorder, the tokens that it reads, and the trait of models.
use std::cell::{Ref, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;

use crate::backend::{Const, Dim};
use crate::names::matches;
use crate::nn::{Module, Param};
use crate::{Error, Result};

use super::edits::{Edit, Edits};
use super::ir::{Graph, Index, NodeId, Op};
use super::site::Site;
use super::stream::Stream;
use super::weight::Weight;

/// Where a forward pass is recorded. Handles share it; a user meets it only as [`Tokens`] and [`Site`].
#[derive(Clone, Default)]
pub struct Recorder {
    graph: Rc<RefCell<Graph>>,
    edits: Rc<Edits>,
    refused: Rc<RefCell<Option<Error>>>,
}

/// An edit of one site, and which of its heads it changes (all, if `None`).
pub(super) struct SiteEdit<'a> {
    pub edit: &'a Edit,
    pub heads: Option<Arc<[bool]>>,
}

impl Recorder {
    pub(crate) fn graph(&self) -> Ref<'_, Graph> {
        self.graph.borrow()
    }

    pub(crate) fn graph_mut(&self) -> RefMut<'_, Graph> {
        self.graph.borrow_mut()
    }

    /// The edits of a site of so many heads, in order.
    pub(super) fn edits_of(&self, site: &str, heads: usize) -> Vec<SiteEdit<'_>> {
        let mut found = Vec::new();
        for entry in self.edits.entries().iter().filter(|entry| matches(&entry.site, site)) {
            if let Some(head) = entry.heads.iter().find(|head| **head >= heads) {
                let known = if heads == 1 { "one head".into() } else { format!("heads 0 to {}", heads - 1) };
                self.refuse(format!("head {head} of '{site}', which has {known}"));
                continue;
            }
            let chosen: Arc<[bool]> = (0..heads).map(|head| entry.heads.contains(&head)).collect();
            let all = entry.heads.is_empty() || chosen.iter().all(|chosen| *chosen);
            found.push(SiteEdit { edit: &entry.edit, heads: (!all).then_some(chosen) });
        }
        found
    }

    /// The recording fails with this message, unless it has failed before.
    pub(super) fn refuse(&self, message: String) {
        self.refused.borrow_mut().get_or_insert(Error::Usage(message));
    }

    /// Gives a node the name of a site.
    pub(super) fn name(&self, site: String, node: NodeId) {
        self.graph_mut().sites.insert(site, node);
    }

    /// A matrix of these values, row-major, which never train.
    ///
    /// # Panics
    /// If there are not `rows * cols` of them.
    pub fn constant<R: Dim, C: Dim>(&self, rows: R, cols: C, values: &[f64]) -> Weight<R, C> {
        let id = self.graph_mut().constant(rows.size(), cols.size(), Arc::from(values));
        Weight::new(self.clone(), id, rows, cols)
    }

    /// The root of the names of this forward pass.
    pub fn site(&self) -> Site {
        Site::root(self.clone())
    }

    /// A parameter as a matrix of the graph.
    pub fn weight<R: Dim, C: Dim>(&self, param: &Param<(R, C)>) -> Weight<R, C> {
        let (rows, cols) = *param.shape();
        let id = self.graph_mut().param(param.id(), rows.size(), cols.size());
        Weight::new(self.clone(), id, rows, cols)
    }

    /// A parameter vector, as a matrix of one row.
    pub fn vector<D: Dim>(&self, param: &Param<(D,)>) -> Weight<Const<1>, D> {
        let (dim,) = *param.shape();
        let id = self.graph_mut().param(param.id(), 1, dim.size());
        Weight::new(self.clone(), id, Const::<1>, dim)
    }
}

/// The tokens of a sequence, `[seq]`, each below `vocab`; known only when an engine runs.
#[derive(Clone)]
pub struct Tokens<T: Dim, V: Dim> {
    recorder: Recorder,
    seq: T,
    vocab: V,
}

impl<T: Dim, V: Dim> Tokens<T, V> {
    /// The recorder that these tokens belong to.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// The root of the names of this forward pass.
    pub fn site(&self) -> Site {
        self.recorder.site()
    }

    /// Number of positions.
    pub fn seq(&self) -> T {
        self.seq
    }

    /// Number of different tokens.
    pub fn vocab(&self) -> V {
        self.vocab
    }

    /// Rows of a table by token: `out[t] = table[x[t]]`, `[seq, dim]`.
    pub fn lookup<D: Dim>(&self, table: &Weight<V, D>) -> Stream<T, D> {
        self.rows_of(table.id, table.cols, Index::Tokens)
    }

    /// Rows of a table by position: `out[t] = table[t]`, `[seq, dim]`. The table may have more rows than positions.
    pub fn positions<M: Dim, D: Dim>(&self, table: &Weight<M, D>) -> Stream<T, D> {
        assert!(
            self.seq.size() <= table.rows.size(),
            "a sequence of {} positions needs as many rows of positions, found {}",
            self.seq.size(),
            table.rows.size()
        );
        self.rows_of(table.id, table.cols, Index::Positions)
    }

    fn rows_of<D: Dim>(&self, table: super::WeightId, dim: D, index: Index) -> Stream<T, D> {
        let node = self.recorder.graph_mut().node(Op::Lookup { table, index }, dim.size());
        Stream::new(self.recorder.clone(), node, self.seq, dim)
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
/// let graph = record(&Bigram { logits: Param::new((Const, Const), Init::Zeros) }, 16);
/// assert_eq!((graph.seq(), graph.vocab(), graph.nodes().len()), (16, 65, 1));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a model",
    note = "derive `Module` for its parameters and implement `Model::forward`, from `Tokens<T, V>` to `Stream<T, V>`"
)]
pub trait Model: Module {
    /// Size of the vocabulary.
    type Vocab: Dim;

    /// The vocabulary.
    fn vocab(&self) -> Self::Vocab;

    /// The longest sequence that the model takes, if there is a limit.
    fn max_seq(&self) -> Option<usize> {
        None
    }

    /// Records the logits `[seq, vocab]` of a sequence.
    fn forward<T: Dim>(&self, x: &Tokens<T, Self::Vocab>) -> Stream<T, Self::Vocab>;
}

/// Records `model` for sequences of `seq` tokens.
pub fn record<M: Model, T: Dim>(model: &M, seq: T) -> Graph {
    record_on(&Recorder::default(), model, seq)
}

/// Records `model` with some of its sites edited.
///
/// # Errors
/// If an edit is of no site (the nearest name is in the message), of a head that there is not, or does not fit what the
/// site is: a stream or a pattern, its width, the number of positions.
///
/// ```
/// use ihead::config::Config;
/// use ihead::graph::{Clamp, Edit, Edits, Op, record_with};
/// use ihead::model::{Simplified, SimplifiedArgs};
///
/// let model = Simplified::new(65, 32, 16, &SimplifiedArgs::defaults())?;
/// let edits = Edits::default().with("layers.0.attention.pattern", Edit::PreviousToken);
/// let graph = record_with(&model, 32, &edits)?;
/// let clamped = graph.site("layers.0.attention.pattern").expect("a site of the model");
/// assert_eq!(graph.nodes()[clamped.index()].op, Op::ClampedPattern { heads: 1, clamp: Clamp::Previous });
///
/// let wrong = Edits::default().with("layers.0.attention.patern", Edit::PreviousToken);
/// let error = record_with(&model, 32, &wrong).unwrap_err().to_string();
/// assert_eq!(error, "no site 'layers.0.attention.patern'; did you mean 'layers.0.attention.pattern'?");
/// # Ok::<(), ihead::Error>(())
/// ```
pub fn record_with<M: Model, T: Dim>(model: &M, seq: T, edits: &Edits) -> Result<Graph> {
    let recorder = Recorder { edits: Rc::new(edits.clone()), ..Recorder::default() };
    let graph = record_on(&recorder, model, seq);
    match recorder.refused.take().or_else(|| edits.unknown(&graph)) {
        Some(error) => Err(error),
        None => Ok(graph),
    }
}

fn record_on<M: Model, T: Dim>(recorder: &Recorder, model: &M, seq: T) -> Graph {
    let vocab = model.vocab();
    let tokens = Tokens { recorder: recorder.clone(), seq, vocab };
    let logits = tokens.site().stream("logits", model.forward(&tokens));
    let mut graph = recorder.graph().clone();
    graph.logits = Some(logits.id());
    graph.seq = seq.size();
    graph.vocab = vocab.size();
    graph
}
