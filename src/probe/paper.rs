//! The probes of the paper's two programs, under the names that those print.
use crate::Result;

use super::{Association, Circuit, Divergence, Head, Key, Matrix, Metric, Recall, Select, StateDict};
use super::{Unit, WeightProbe};

/// Positions at the end of a sequence over which `acc_end` is taken.
const END: usize = 500;
/// Positions at the beginning over which `acc_start` is taken.
const START: usize = 10;
/// Positions over which `wk0_64_acc` is taken.
const FEW_POSITIONS: usize = 64;

/// The metrics of predictions of both programs: `loss` (over `loss_over`), `loss_bigram`, `loss_head`, `acc_tot`,
/// `acc_start`, `acc_end`.
pub fn predictions(loss_over: Select) -> Vec<Metric> {
    vec![
        Metric::loss("loss").over(loss_over),
        Metric::loss("loss_bigram").over(Select::marks(0..=0)),
        Metric::loss("loss_head").over(Select::marks(2..)),
        Metric::accuracy("acc_tot").over(Select::marks(1..)),
        Metric::accuracy("acc_start").over(Select::marks(1..).and(Select::first(START))),
        Metric::accuracy("acc_end").over(Select::marks(2..).and(Select::last(END))),
    ]
}

/// The metrics of the simplified program on the batch of a step; `loss_over` are the positions of its loss: those with marks from 2
/// under its flag `loss_head_only`, otherwise all.
pub fn simplified(loss_over: Select) -> Vec<Metric> {
    let mut metrics = predictions(loss_over);
    metrics.extend(induction(&Head::of_layer(0, 0), &Head::of_layer(1, 0)));
    metrics.push(Metric::share("repeat_frac", Select::repeats()).over(Select::marks(1..)));
    metrics
}

/// The metrics of the full program on the batch of a step; `avg_outs` is the share of `outs = 1`.
pub fn full() -> Vec<Metric> {
    let mut metrics = predictions(Select::All);
    metrics.push(Metric::share("avg_outs", Select::marks(1..=1)));
    metrics
}

/// `acc_end_test` of the simplified program, for the test batch.
pub fn simplified_test() -> Metric {
    Metric::accuracy("acc_end_test").over(Select::marks(2..).and(Select::last(END)))
}

/// `acc_end_test` of the full program: it counts first occurrences too.
pub fn full_test() -> Metric {
    Metric::accuracy("acc_end_test").over(Select::marks(1..).and(Select::last(END)))
}

/// How two heads form the paper's induction circuit: `previous` attends to the previous position, `induction` to a
/// position after an earlier occurrence of the trigger. The metrics are `score_acc`, `score_start_acc`, `score2_acc`,
/// `score_cond_acc`, `pred_attended_acc`.
pub fn induction(previous: &Head, induction: &Head) -> Vec<Metric> {
    let known = Select::marks(2..);
    vec![
        Metric::attends("score_acc", previous, Key::Previous).over(Select::marks(1..).after()),
        Metric::attends("score_start_acc", previous, Key::Previous).over(Select::marks(1..=1).after()),
        Metric::attends("score2_acc", induction, Key::AfterSameToken).over(known.clone()),
        Metric::attends("score_cond_acc", previous, Key::Previous).through(induction).over(known.clone()),
        Metric::attends("pred_attended_acc", induction, Key::PredictedToken).over(known),
    ]
}

/// Metrics that the paper's code computes of the two heads but does not write: `score2_next_acc` (the induction head attends
/// to an occurrence of the next token), and the same where token and next token are equal, for both heads:
/// `score_repeat_acc`, `score2_repeat_acc`.
pub fn induction_unwritten(previous: &Head, induction: &Head) -> Vec<Metric> {
    let known = Select::marks(2..);
    let repeated = known.clone().and(Select::repeats());
    vec![
        Metric::attends("score2_next_acc", induction, Key::NextToken).over(known),
        Metric::attends("score_repeat_acc", previous, Key::NextToken).over(repeated.clone()),
        Metric::attends("score2_repeat_acc", induction, Key::NextToken).over(repeated),
    ]
}

/// The memory recalls of both programs (section 5 of the paper): `wk0_acc`, `wk0_64_acc`, `wk1_acc`, `wo1_acc`,
/// `ff1_loss`. The unembedding is `output.weight`: [`recalls_unembedded`] with a scale of 1.
///
/// # Errors
/// If a weight is missing that both models have.
pub fn recalls(
    weights: &dyn StateDict,
    bigrams: Matrix,
    fixed_triggers: Option<&[u32]>,
) -> Result<Vec<WeightProbe>> {
    recalls_unembedded(weights, bigrams, fixed_triggers, 1.0)
}

/// The recalls of [`recalls`], with `unembed_scale * output.weight` as the unembedding.
///
/// The scale is 1 but for the simplified model with `tie_output` and without `freeze_output`: there `output.weight` is
/// the token embeddings themselves, and `1 / sqrt(dim)` gives the unembedding `E / sqrt(dim)` that a frozen tied output
/// holds. It decides `ff1_loss`; no scale above 0 changes a share.
///
/// The recalls as formulas, for a model without fixed triggers ([`recall!`](crate::recall)):
///
/// ```text
/// wk0_acc: pe -> layers.0.attention.wq? ~ pe -> layers.0.attention.wk => previous
/// wk1_acc: tok_embeddings -> layers.1.attention.wq?
///          ~ tok_embeddings -> layers.0.attention.wv? -> layers.0.attention.wo? -> layers.1.attention.wk => self
/// wo1_acc: tok_embeddings -> layers.1.attention.wv? -> layers.1.attention.wo? -> output => self
/// ```
///
/// What the model has is seen from its names: `pe` is preferred to `pos_embeddings.weight`; a map without a name is
/// the identity. With fewer than two layers nothing is applicable, without a feed-forward in layer 1 `ff1_loss` is not.
///
/// `bigrams`: the data's `P(j | i)`, `[vocab, vocab]`. `fixed_triggers`: if the task has such. Then `wk1_acc` is among these
/// tokens alone, and `ff1_loss` over all others.
///
/// # Errors
/// If a weight is missing that both models have.
pub fn recalls_unembedded(
    weights: &dyn StateDict,
    bigrams: Matrix,
    fixed_triggers: Option<&[u32]>,
    unembed_scale: f64,
) -> Result<Vec<WeightProbe>> {
    let absent = |name: &str, unit| WeightProbe::NotApplicable { name: name.into(), unit };
    if !weights.names().iter().any(|name| name.starts_with("layers.1.")) {
        let shares = ["wk0_acc", "wk0_64_acc", "wk1_acc", "wo1_acc"];
        let shares = shares.into_iter().map(|name| absent(name, Unit::Share));
        return Ok(shares.chain([absent("ff1_loss", Unit::Nats)]).collect());
    }
    let pe = if weights.has("pe") { "pe" } else { "pos_embeddings" };
    let few = weights.matrix(pe)?.rows().clamp(1, FEW_POSITIONS);
    let things = match fixed_triggers {
        Some(triggers) => Association::among(triggers),
        None => Association::ITSELF,
    };
    let scale = if unembed_scale == 1.0 { String::new() } else { format!("-> scale({unembed_scale})") };
    let recall = |text: String| text.parse::<Recall>();
    let wk0 = format!("{pe} -> layers.0.attention.wq? ~ {pe} -> layers.0.attention.wk");
    let wk1 = "wk1_acc: tok_embeddings -> layers.1.attention.wq? ~ \
               tok_embeddings -> layers.0.attention.wv? -> layers.0.attention.wo? -> layers.1.attention.wk => self";
    let wo1 = format!("layers.1.attention.wv? -> layers.1.attention.wo? -> output {scale} => self");
    let ff1 = if weights.has("layers.1.ff.weight") {
        Some("layers.1.ff")
    } else if weights.has("layers.1.ff.w1.weight") {
        Some("layers.1.ff.w1 -> relu -> layers.1.ff.w2")
    } else {
        None
    };
    let ff1 = match ff1 {
        Some(maps) => {
            let path: Circuit = format!("tok_embeddings -> {maps} -> output {scale}").parse()?;
            Divergence::new("ff1_loss", path, bigrams).without(fixed_triggers.unwrap_or(&[])).into()
        }
        None => absent("ff1_loss", Unit::Nats),
    };
    Ok(vec![
        recall(format!("wk0_acc: {wk0} => previous"))?.into(),
        recall(format!("wk0_64_acc: {wk0} => previous among 0..{few}"))?.into(),
        recall(wk1.into())?.of(things).into(),
        recall(format!("wo1_acc: tok_embeddings -> {wo1}"))?.into(),
        ff1,
    ])
}
