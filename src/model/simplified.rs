//! The simplified model of the paper's section 4.2.
use crate::backend::Dim;
use crate::config::{Config, Problem};
use crate::graph::{Model, Stream, Tokens};
use crate::nn::{Attention, Embedding, FeedForward, Init, Map, Param, Readout, Scores, sin_cos};
use crate::{Module, Result};

use super::{FeedForwards, check};

/// Settings of the simplified model.
#[derive(Config, Clone, Debug, PartialEq)]
#[config(validate = SimplifiedArgs::problems)]
pub struct SimplifiedArgs {
    /// Width of the residual stream.
    #[config(default = 64, min = 1)]
    pub dim: usize,
    /// Rows of the position table: the longest sequence.
    #[config(default = 256, min = 1)]
    pub max_length: usize,
    /// A feed-forward layer in layer 1.
    #[config(default = false)]
    pub final_ffn: bool,
    /// A feed-forward layer in layer 0.
    #[config(default = false)]
    pub first_ffn: bool,
    /// Layer 1's feed-forward is one matrix instead of an MLP.
    #[config(default = true, applies = "final_ffn=true")]
    pub linear_final_ffn: bool,
    /// Layer 0's feed-forward is one matrix instead of an MLP.
    #[config(default = true, applies = "first_ffn=true")]
    pub linear_first_ffn: bool,
    /// The token embeddings never train.
    #[config(default = false)]
    pub freeze_embeddings: bool,
    /// The output map never trains.
    #[config(default = false)]
    pub freeze_output: bool,
    /// The output map is the token embeddings, scaled.
    #[config(default = false)]
    pub tie_output: bool,
    /// Rotary positions in layer 0 instead of added ones.
    #[config(default = false)]
    pub use_rope: bool,
    /// Embeddings and positions are divided by sqrt(dim).
    #[config(default = false)]
    pub sqrtd_embeddings: bool,
    /// Scores are not divided by sqrt(dim).
    #[config(default = false)]
    pub no_sqrtd: bool,
    /// Sinusoidal positions instead of random ones.
    #[config(default = false)]
    pub sin_cos: bool,
}

impl SimplifiedArgs {
    fn problems(&self) -> Vec<Problem> {
        if self.use_rope && self.dim % 2 == 1 {
            let message =
                format!("{} is odd; rotary positions turn pairs, so expected an even width", self.dim);
            return vec![Problem::new("dim", message)];
        }
        vec![]
    }
}

/// Refuses a model whose parameters, and the engine's copy of them, the machine cannot hold.
fn check_memory(args: &SimplifiedArgs, vocab: usize, max_length: usize) -> Result<()> {
    let ff = |there: bool, linear: bool| match (there, linear) {
        (false, _) => 0.0,
        (true, true) => 1.0,
        (true, false) => 8.0,
    };
    let [dim, vocab, rows] = [args.dim, vocab, max_length].map(|n| n as f64);
    let squares = 6.0 + ff(args.first_ffn, args.linear_first_ffn) + ff(args.final_ffn, args.linear_final_ffn);
    let parameters = dim * (2.0 * vocab + rows) + squares * dim * dim;
    let what = format!("a model of dim {} and max_length {max_length}", args.dim);
    crate::memory::check("model_args", &what, 8.0 * parameters)
}

/// One layer: `h + attn(h)`, then perhaps `h + ff(h)`.
#[derive(Module)]
pub struct Layer<D: Dim> {
    /// One head; queries are the input itself.
    #[module]
    pub attention: Attention<D>,
    /// Feed-forward.
    #[module]
    pub ff: Option<FeedForward<D>>,
}

/// Two layers of one head over embeddings that need not train; logits `W_U h`, no norm.
///
/// `W_Q` is the identity, `W_V` is frozen in both layers, `W_O` in layer 0. State-dict names are those of the paper's
/// program. `V`: vocabulary, `M`: longest sequence, `D`: width.
///
/// ```
/// use ihead::backend::Const;
/// use ihead::config::Config;
/// use ihead::model::{Simplified, SimplifiedArgs};
/// use ihead::nn::ModuleExt;
/// let args = SimplifiedArgs::defaults();
/// let model = Simplified::new(Const::<65>, 256, Const::<64>, &args).unwrap();
/// assert_eq!(model.training()[1].0, "layers.0.attention.wk.weight");
/// ```
#[derive(Module)]
#[module(aliases = Self::aliases)]
pub struct Simplified<V: Dim, M: Dim, D: Dim> {
    /// `w_E`.
    #[module]
    pub tok_embeddings: Embedding<V, D>,
    /// Positions `[max_length, dim]`, never trained.
    #[buffer]
    pub pe: Param<(M, D)>,
    /// Two layers.
    #[module]
    pub layers: Vec<Layer<D>>,
    /// `W_U`.
    #[module]
    pub output: Readout<V, D>,
    /// Factor of the logits.
    pub logit_scale: f64,
    /// Whether positions are added to the embeddings.
    pub adds_positions: bool,
}

impl<V: Dim, M: Dim, D: Dim> Simplified<V, M, D> {
    /// A model of these sizes; `args.dim` and `args.max_length` are not read.
    ///
    /// # Errors
    /// If a size is 0, `use_rope` meets an odd width, or the machine cannot hold so many parameters.
    pub fn new(vocab: V, max_length: M, dim: D, args: &SimplifiedArgs) -> Result<Self> {
        let width = dim.size();
        let sized = SimplifiedArgs { dim: width, ..args.clone() };
        check(vocab, max_length, dim, sized.problems())?;
        check_memory(&sized, vocab.size(), max_length.size())?;
        let root = 1.0 / (width as f64).sqrt();
        let scale = if args.sqrtd_embeddings { root } else { 1.0 };
        let positions =
            if args.sin_cos { sin_cos(max_length, dim, scale) } else { Init::Normal { std: scale } };
        let ffns = [(args.first_ffn, args.linear_first_ffn), (args.final_ffn, args.linear_final_ffn)];
        let layer = |(i, (ffn, linear)): (usize, (bool, bool))| Layer {
            attention: Attention {
                wq: Map::Identity,
                wk: Map::linear(dim),
                wv: Map::linear(dim).frozen_if(true),
                wo: Map::linear(dim).frozen_if(i == 0),
                relative: None,
                scores: Scores {
                    scale: if args.no_sqrtd { 1.0 } else { root },
                    rotary: (args.use_rope && i == 0).then_some(10000.0),
                    ..Scores::softmax(width, 1)
                },
            },
            ff: ffn.then(|| FeedForward::new(dim, linear)),
        };
        let (output, logit_scale) = match (args.tie_output, args.freeze_output) {
            (true, false) => (Readout::Tied, 1.0 / width as f64),
            (tie, frozen) => (Readout::own(vocab, dim).frozen_if(frozen), if tie { root } else { 1.0 }),
        };
        Ok(Simplified {
            tok_embeddings: Embedding::with_std(vocab, dim, scale).frozen_if(args.freeze_embeddings),
            pe: Param::new((max_length, dim), positions),
            layers: ffns.into_iter().enumerate().map(layer).collect(),
            output,
            logit_scale,
            adds_positions: !args.use_rope,
        })
    }

    /// Draws the initial values from `seed`; a frozen tied output starts as the embeddings divided by sqrt(dim).
    pub fn init(mut self, seed: u64, args: &SimplifiedArgs) -> Result<Self> {
        use crate::nn::{AnyParam, ModuleExt};
        self.init_all(seed);
        if let (true, Readout::Own(output)) = (args.tie_output, &mut self.output) {
            let root = (self.tok_embeddings.weight.shape().1.size() as f32).sqrt();
            let scaled: Vec<f32> = self.tok_embeddings.weight.values().iter().map(|v| v / root).collect();
            output.weight.write(&scaled)?;
        }
        Ok(self)
    }

    fn aliases(&self) -> Vec<(&'static str, &'static str)> {
        self.output.aliases("output.weight", "tok_embeddings.weight")
    }

    /// `E[x] + pe`, `[seq, dim]`; without `pe` under rotary positions.
    fn embed<T: Dim>(&self, x: &Tokens<T, V>) -> Stream<T, D> {
        let site = x.site().at("embed");
        let h = site.stream("tokens", self.tok_embeddings.forward(x));
        if !self.adds_positions {
            return h;
        }
        h + site.stream("positions", x.positions(&x.recorder().weight(&self.pe)))
    }

    /// `W_U h`, scaled, `[seq, vocab]`.
    fn logits<T: Dim>(&self, h: &Stream<T, D>) -> Stream<T, V> {
        h.linear(&self.output.weight(&self.tok_embeddings, h.recorder()).scale(self.logit_scale))
    }
}

impl<V: Dim, M: Dim, D: Dim> Model for Simplified<V, M, D> {
    type Vocab = V;

    fn vocab(&self) -> V {
        self.tok_embeddings.weight.shape().0
    }

    fn max_seq(&self) -> Option<usize> {
        Some(self.pe.shape().0.size())
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, V>) -> Stream<T, V> {
        let site = x.site();
        let mut h = self.embed(x); // [seq, dim]
        for (i, layer) in self.layers.iter().enumerate() {
            let site = site.at("layers").at(i);
            h = site.stream("resid", h);
            let input = site.at("attention").stream("in", h.clone());
            let attended = layer.attention.forward(&input, &input, &site.at("attention"));
            h = site.stream("resid_mid", h + attended);
            if let Some(ff) = &layer.ff {
                let site = site.at("ff");
                h = h.clone() + ff.forward(&site.stream("in", h), &site);
            }
        }
        self.logits(&site.at("final").stream("resid", h)) // [seq, vocab]
    }
}

impl<V: Dim, M: Dim, D: Dim> FeedForwards for Simplified<V, M, D> {
    fn feed_forwards<T: Dim>(&self, x: &Tokens<T, V>) -> Stream<T, V> {
        let mut h = self.embed(x);
        for (i, layer) in self.layers.iter().enumerate() {
            if let Some(ff) = &layer.ff {
                h = h.clone() + ff.forward(&h, &x.site().at("layers").at(i).at("ff"));
            }
        }
        self.logits(&h)
    }
}
