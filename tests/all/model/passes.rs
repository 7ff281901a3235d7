//! The partial passes that the paper's model classes have.
use ihead::config::Config;
use ihead::graph::{Graph, Model, record};
use ihead::model::{FeedForwardsOnly, Full, FullArgs, Simplified, SimplifiedArgs, top_tokens};
use ihead::nn::{AnyFeedForward, AnyNorm, Init, LayerNorm, Mlp, ModuleExt, Param};

use super::reference::{Rows, add, layer_norm, linear, relu, scale};
use super::{DIM, LENGTH, SEQ, VOCAB, assert_close, batch, rows, streams};

fn simplified(args: &SimplifiedArgs) -> Simplified<usize, usize, usize> {
    Simplified::new(VOCAB, &SimplifiedArgs { max_length: LENGTH, dim: DIM, ..args.clone() }).unwrap().init(3)
}

/// A full model whose norms have gains and biases of their own.
fn full(args: &FullArgs) -> Full<usize, usize, usize> {
    let mut model =
        Full::new(VOCAB, &FullArgs { max_length: LENGTH, dim: DIM, n_heads: 2, ..args.clone() }).unwrap();
    let vector = || Param::new((DIM,), Init::Normal { std: 1.0 });
    let norm = || Some(AnyNorm::Layer(LayerNorm { weight: vector(), bias: vector(), eps: 1e-5 }));
    for layer in &mut model.layers {
        (layer.attention_norm, layer.ff_norm) = (norm(), norm());
    }
    if args.pre_norm {
        model.norm = norm();
    }
    model.init(3)
}

fn norm(model: &impl Model, name: &str, x: &Rows) -> Rows {
    let [gain, bias] = ["weight", "bias"].map(|part| rows(model, &format!("{name}.{part}")).concat());
    layer_norm(x, &gain, &bias)
}

/// `w2 relu(w1 x)`, or `W x` where there is one matrix.
fn ff(model: &impl Model, layer: usize, x: &Rows) -> Rows {
    let weight = |name: &str| rows(model, &format!("layers.{layer}.ff.{name}weight"));
    if model.tensor(&format!("layers.{layer}.ff.weight")).is_ok() {
        return linear(&weight(""), x);
    }
    linear(&weight("w2."), &relu(&linear(&weight("w1."), x)))
}

/// Embeddings of the first sequence, plus the rows of a position table.
fn embedded(model: &impl Model, positions: Option<&str>) -> Rows {
    let table = rows(model, "tok_embeddings.weight");
    let tokens: Rows = batch().x[..SEQ].iter().map(|token| table[*token as usize].clone()).collect();
    positions.map_or(tokens.clone(), |name| add(&tokens, &rows(model, name)))
}

#[test]
fn sites_are_those_of_the_documented_list() {
    let layer = |n: usize, ff: &[&str]| -> Vec<String> {
        let attention = ["in", "k", "mixed", "out", "pattern", "q", "v"].map(|a| format!("attention.{a}"));
        let ff = ff.iter().map(|name| format!("ff.{name}"));
        let names = attention.into_iter().chain(ff).chain(["resid".into(), "resid_mid".into()]);
        names.map(|name| format!("layers.{n}.{name}")).collect()
    };
    let expected = |last: &[&str], ff: &[&str]| -> Vec<String> {
        let first = ["embed.positions", "embed.tokens"].iter().chain(last).map(ToString::to_string);
        first.chain(layer(0, &[])).chain(layer(1, ff)).chain(["logits".into()]).collect()
    };
    let names = |graph: Graph| graph.sites().keys().cloned().collect::<Vec<_>>();
    let args = SimplifiedArgs { final_ffn: true, ..SimplifiedArgs::defaults() };
    assert_eq!(names(record(&simplified(&args), SEQ).unwrap()), expected(&["final.resid"], &["in", "out"]));
    let model = full(&FullArgs { no_first_layer_ffn: true, ..FullArgs::defaults() });
    let expected = expected(&["final.norm", "final.resid"], &["hidden", "in", "out"]);
    assert_eq!(names(record(&model, SEQ).unwrap()), expected);
}

#[test]
fn the_stream_before_a_feed_forward_is_between_attention_and_feed_forward() {
    let args = SimplifiedArgs { first_ffn: true, linear_first_ffn: false, ..SimplifiedArgs::defaults() };
    let model = simplified(&args);
    let s = streams(&model);
    assert_close(&s["layers.0.resid_mid"], &add(&s["layers.0.resid"], &s["layers.0.attention.out"]));
    assert_close(&s["layers.0.ff.out"], &ff(&model, 0, &s["layers.0.resid_mid"]));
    assert_close(&s["layers.1.resid"], &add(&s["layers.0.resid_mid"], &s["layers.0.ff.out"]));
    // without a feed-forward it is the stream that leaves the layer
    assert_eq!(s["layers.1.resid_mid"], s["final.resid"]);
}

#[test]
fn blocks_are_wired_as_documented() {
    for (pre_norm, sequential_ffn) in [(true, false), (true, true), (false, false)] {
        let model = full(&FullArgs { pre_norm, sequential_ffn, ..FullArgs::defaults() });
        let s = streams(&model);
        for l in 0..2 {
            let site = |name: &str| &s[&format!("layers.{l}.{name}")];
            let next = if l == 1 { &s["final.resid"] } else { &s["layers.1.resid"] };
            let norm = |name: &str, x: &Rows| norm(&model, &format!("layers.{l}.{name}"), x);
            let attended = add(site("resid"), site("attention.out"));
            let fed = add(site("resid_mid"), site("ff.out"));
            let (mid, input, after) = match (pre_norm, sequential_ffn) {
                (true, false) => (attended, norm("ff_norm", site("resid")), fed),
                (true, true) => (attended, norm("ff_norm", site("resid_mid")), fed),
                (false, _) => {
                    (norm("attention_norm", &attended), site("resid_mid").clone(), norm("ff_norm", &fed))
                }
            };
            assert_close(site("resid_mid"), &mid);
            assert_close(site("ff.out"), &ff(&model, l, &input));
            assert_close(next, &after);
        }
    }
}

#[test]
fn feed_forwards_alone_of_the_simplified_model() {
    let defaults = SimplifiedArgs {
        first_ffn: true,
        final_ffn: true,
        linear_final_ffn: false,
        ..SimplifiedArgs::defaults()
    };
    let (root, n) = ((DIM as f64).sqrt(), DIM as f64);
    let cases = [
        (defaults.clone(), 1.0),
        (SimplifiedArgs { use_rope: true, ..defaults.clone() }, 1.0),
        (SimplifiedArgs { tie_output: true, freeze_output: true, ..defaults.clone() }, 1.0 / root),
        (SimplifiedArgs { tie_output: true, ..defaults }, 1.0 / n),
    ];
    for (args, by) in cases {
        let model = simplified(&args);
        let mut h = embedded(&model, (!args.use_rope).then_some("pe"));
        for layer in 0..2 {
            h = add(&h, &ff(&model, layer, &h));
        }
        let expected = scale(&linear(&rows(&model, "output.weight"), &h), by);
        assert_close(&streams(&FeedForwardsOnly(&model))["logits"], &expected);
    }
}

#[test]
fn feed_forwards_alone_of_the_full_model() {
    let defaults = FullArgs::defaults();
    let cases = [
        (FullArgs { no_first_layer_ffn: true, ..defaults.clone() }, 1.0),
        (FullArgs { sin_cos: true, linear_ffn: true, ..defaults.clone() }, 1.0),
        (FullArgs { pre_norm: false, ..defaults.clone() }, 1.0),
        (FullArgs { tie_output: true, ..defaults }, 1.0 / (DIM as f64).sqrt()),
    ];
    for (args, by) in cases {
        let model = full(&args);
        let mut h = embedded(&model, Some(if args.sin_cos { "pe" } else { "pos_embeddings.weight" }));
        for layer in usize::from(args.no_first_layer_ffn)..2 {
            h = add(&h, &ff(&model, layer, &h));
        }
        let h = if args.pre_norm { norm(&model, "norm", &h) } else { h };
        let expected = scale(&linear(&rows(&model, "output.weight"), &h), by);
        assert_close(&streams(&FeedForwardsOnly(&model))["logits"], &expected);
    }
}

#[test]
fn a_pass_without_attention_has_the_models_longest_sequence() {
    assert_eq!(FeedForwardsOnly(&full(&FullArgs::defaults())).max_seq(), Some(LENGTH));
}

#[test]
fn top_tokens_are_in_order_and_their_probabilities_sum_to_one() {
    let top = top_tokens(&[1.0, 3.0, 3.0, -2.0], 9);
    assert_eq!(top.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [1, 2, 0, 3]);
    assert!((top.iter().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-12);
    assert!(top_tokens(&[0.5, 0.1], 0).is_empty());
}

#[test]
fn an_mlp_of_any_hidden_width_can_be_put_into_a_model() {
    let mut model = full(&FullArgs::defaults());
    model.layers[1].ff = Some(AnyFeedForward::Mlp(Mlp::new(DIM).hidden(3)));
    model = model.init(5);
    let s = streams(&model);
    let input = norm(&model, "layers.1.ff_norm", &s["layers.1.resid"]);
    assert_close(&s["layers.1.ff.out"], &ff(&model, 1, &input));
}
