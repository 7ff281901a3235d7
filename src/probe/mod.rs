//! Probes: measurements of a model's predictions, of its attention patterns, and of what its weights have stored.
//!
//! Each probe is a value made of reusable parts. The lists of probes that the paper's programs measure are in [`paper`].
//!
//! | about | a probe is | made of | gives |
//! |---|---|---|---|
//! | predictions | [`Metric`]: a [`Measure`] over a [`Select`], perhaps against a [`Predictor`] | logits | [`Counter`] |
//! | terms of the logits | [`Metric`]s of [`attribution`] | the residual stream's terms | [`Counter`] |
//! | patterns | [`Metric`]: how a [`Head`] attends to a [`Key`] | attention patterns | [`Counter`] |
//! | weights | [`Recall`]: a formula ([`recall!`](crate::recall)) of a [`Circuit`] and an [`Association`]; [`Divergence`]; in types [`Rows`] | parameters by name ([`StateDict`]) | [`Recalled`], [`Counter`] |
//!
//! An [`Evaluation`] measures a list of metrics while an engine runs a batch; [`measure_weights`] measures a list of
//! [`WeightProbe`]s. Both end in [`Measurements`]: named numbers with units, one JSON object.
//!
//! ```
//! use ihead::probe::{Head, Key, Metric, Select, head_scores};
//!
//! let mut metrics = ihead::probe::paper::simplified(ihead::probe::Select::marks(2..));
//! // your own: does the second layer attend to the first position once there is nothing to copy?
//! let idle = Select::marks(0..=0) & !Select::repeats();
//! metrics.push(Metric::attention("rest", &Head::of_layer(1, 0), Key::First).over(idle));
//! metrics.extend(head_scores("l1h0", &Head::of_layer(1, 0)));
//! ```
mod association;
pub mod attribution;
mod best;
mod counter;
mod divergence;
mod evaluation;
mod map;
mod matrix;
mod observation;
pub mod paper;
mod path;
mod patterns;
mod predictions;
pub(crate) mod predictor;
mod recall;
mod record;
mod rows;
mod select;
mod sequence;
mod state_dict;
mod svd;
mod weights;

pub use association::{Association, Pairs};
pub use counter::Counter;
pub use divergence::Divergence;
pub use evaluation::{Evaluation, Pass};
pub use map::{Map, Step};
pub use matrix::Matrix;
pub use path::Circuit;
pub use patterns::{Head, Key, KeyRule, head_scores};
pub use predictions::{By, Measure, Metric, RowRule};
pub use predictor::{Bigram, BigramTable, Predictor, TaskDistribution, Uniform, Unigram};
pub use recall::{Recall, Recalled};
pub(crate) use record::check_name;
pub use record::{Entry, Measurements, Unit, Value};
pub use rows::Rows;
pub use select::{Rule, Select};
pub use sequence::Sequence;
pub use state_dict::{BorrowedMatrix, StateDict};
pub use weights::{WeightProbe, WeightRule, measure_weights};
