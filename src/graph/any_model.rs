//! A model whose type is not known.
use crate::Result;
use crate::backend::Dim;
use crate::nn::Module;
use crate::probe::StateDict;

use super::{Edits, Graph, Model, record_with};

/// A [`Model`] whose type is not known: what training and measuring need of one. Every model is one, so that `&model` is passed
/// where a function takes a `&dyn AnyModel`.
///
/// What works on models, such as the training loop, is compiled once in the library by this, and not once for each model in
/// each program.
///
/// ```
/// use ihead::config::Config;
/// use ihead::graph::{AnyModel, Edits};
/// use ihead::model::{Full, FullArgs, Simplified, SimplifiedArgs};
///
/// let small = Simplified::new(10, &SimplifiedArgs { max_length: 4, dim: 8, ..SimplifiedArgs::defaults() })?;
/// let other = Full::new(12, &FullArgs { max_length: 4, dim: 8, ..FullArgs::defaults() })?;
/// let models: [&dyn AnyModel; 2] = [&small, &other];
/// assert_eq!(models.map(|model| model.vocab_size()), [10, 12]);
/// assert_eq!(models[0].record_edited(4, &Edits::default())?.seq(), 4);
/// # Ok::<(), ihead::Error>(())
/// ```
pub trait AnyModel: Module {
    /// Returns the size of the vocabulary ([`Model::vocab`]).
    fn vocab_size(&self) -> usize;

    /// Returns the longest sequence that the model takes, or `None` if there is no limit ([`Model::max_seq`]).
    fn seq_limit(&self) -> Option<usize>;

    /// Returns its weights by name, as probes read them.
    fn weights(&self) -> &dyn StateDict;

    /// Records the model for sequences of `seq` tokens, with some of its sites edited ([`record_with`]).
    ///
    /// # Errors
    /// Those of [`record_with`].
    fn record_edited(&self, seq: usize, edits: &Edits) -> Result<Graph>;
}

impl<M: Model> AnyModel for M {
    fn vocab_size(&self) -> usize {
        self.vocab().size()
    }

    fn seq_limit(&self) -> Option<usize> {
        self.max_seq()
    }

    fn weights(&self) -> &dyn StateDict {
        self
    }

    fn record_edited(&self, seq: usize, edits: &Edits) -> Result<Graph> {
        record_with(self, seq, edits)
    }
}
