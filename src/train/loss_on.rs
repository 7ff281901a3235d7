//! What a loss is over.
use serde::{Deserialize, Serialize};

use crate::data::Batch;
use crate::engine::{Request, RowLists, RowSet};

/// The positions that the loss is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossOn {
    /// Every position.
    All,
    /// Positions with a mark of at least this.
    MarksFrom(i32),
}

impl LossOn {
    /// The loss over these positions and its gradients, as a request to an engine.
    pub fn request(self) -> Request {
        let loss = match self {
            LossOn::All => RowSet::All,
            LossOn::MarksFrom(_) => RowSet::Set(0),
        };
        Request::loss(loss)
    }

    /// The positions of a batch that belong to [`request`](Self::request).
    pub fn rows(self, batch: &Batch) -> Vec<RowLists> {
        match self {
            LossOn::All => vec![],
            LossOn::MarksFrom(least) => vec![RowLists::select(batch, |_, mark| mark >= least)],
        }
    }
}
