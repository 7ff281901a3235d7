//! All that most experiments need, in one line: `use ihead::prelude::*;`.
//!
//! ```
//! use ihead::prelude::*;
//!
//! #[derive(Module)]
//! struct Bigram {
//!     #[module]
//!     embed: Embedding<Const<65>, Const<16>>,
//!     #[module]
//!     output: Linear<Const<16>, Const<65>>,
//! }
//!
//! impl Model for Bigram {
//!     type Vocab = Const<65>;
//!
//!     fn vocab(&self) -> Const<65> {
//!         Const
//!     }
//!
//!     fn forward<T: Dim>(&self, x: &Tokens<T, Const<65>>) -> Stream<T, Const<65>> {
//!         self.output.forward(&self.embed.forward(x))
//!     }
//! }
//!
//! let model = Bigram { embed: Embedding::new(Const, Const), output: Linear::new(Const, Const) };
//! assert_eq!(record(&model, 8)?.vocab(), 65);
//! # Ok::<(), ihead::Error>(())
//! ```
pub use crate::backend::{Const, Dim};
pub use crate::config::{Config, settings_json};
pub use crate::data::{
    Batch, BatchOptions, Batches, BigramData, CausalGraph, NumpyRng, Task, TriggerOptions, TriggerTask,
    sample,
};
pub use crate::engine::Penalty;
pub use crate::graph::{
    Edit, Edits, FixedPattern, Mask, Model, Normaliser, Pattern, Scores, Site, Stream, Tokens, Weight, record,
};
pub use crate::model::{
    FeedForwardKind, Full, FullArgs, MapKind, NormKind, OutputKind, PositionKind, Simplified, SimplifiedArgs,
    Transformer, TransformerArgs,
};
pub use crate::nn::{
    Activation, Attention, Block, ChangeQkv, Embedding, FeedForward, Init, LayerNorm, Linear, Map, Mixer,
    Mlp, Module, ModuleExt, Norm, Param, Positions, RelativeBias, RmsNorm, Unembed, Wiring, through,
};
pub use crate::ops::{Pointwise, RowWise, check_gradient};
pub use crate::probe::{
    Association, Circuit, Head, Key, Metric, Recall, Select, Unit, WeightProbe, head_scores,
};
pub use crate::run::{
    CheckpointEvery, Earlier, Inspect, Resume, Run, Table, activations, gradients, mean_ablation, measure,
};
pub use crate::sweep::estimate;
pub use crate::train::optim::{AdamW, Groups, Optim, Sgd};
pub use crate::train::{Action, ClipNorm, Curve, Loss, Schedule, Step, Timeline, WeightEdit};
pub use crate::{Error, Module, Result, pointwise, recall};
