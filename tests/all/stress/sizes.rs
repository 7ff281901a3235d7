//! Sizes of one: width 1, sequences of one position, batches of one sequence, and a vocabulary of two.
use ihead::config::Config;
use ihead::data::NumpyRng;
use ihead::engine::RowSet;
use ihead::graph::Model;
use ihead::model::{
    FeedForwardKind, Full, FullArgs, MapKind, NormKind, OutputKind, PositionKind, Simplified, SimplifiedArgs,
    Transformer, TransformerArgs,
};
use ihead::nn::{Activation, Wiring};

use super::{Draw, NORMALISERS, all_engines, assert_same, batch};

#[derive(Clone, Copy, Debug)]
struct Sizes {
    dim: usize,
    seq: usize,
    batch: usize,
    vocab: usize,
}

/// Every combination of the least size and another.
fn sizes() -> Vec<Sizes> {
    let of = |i: usize| Sizes {
        dim: [1, 4][i & 1],
        seq: [1, 5][i >> 1 & 1],
        batch: [1, 3][i >> 2 & 1],
        vocab: [2, 7][i >> 3],
    };
    (0..16).map(of).collect()
}

/// A model at some sizes through all engines, with the loss over all positions and over some.
fn check(model: &impl Model, sizes: Sizes, what: &str) {
    let batch = batch(sizes.vocab, sizes.seq, sizes.batch);
    for rows in [RowSet::All, RowSet::Set(0)] {
        let [eager, double, single] = all_engines(model, &batch, rows);
        let what = format!("{what}, {sizes:?}, {rows:?}");
        assert_same(&eager, &double, 1e-8, 1.0, &what);
        assert_same(&eager, &single, 1e-3, 1.0, &what);
    }
}

/// Draws settings for all sizes, and says how many models were made: the others are refused by one line.
fn every_size<M: Model, A: std::fmt::Debug>(
    draws: usize,
    mut settings: impl FnMut(&mut Draw, Sizes) -> A,
    model: impl Fn(Sizes, &A) -> ihead::Result<M>,
) -> usize {
    let (mut draw, mut made) = (Draw(NumpyRng::new(&[7])), 0);
    for sizes in sizes() {
        for _ in 0..draws {
            let args = settings(&mut draw, sizes);
            match model(sizes, &args) {
                Ok(model) => {
                    check(&model, sizes, &format!("{args:?}"));
                    made += 1;
                }
                Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
            }
        }
    }
    made
}

#[test]
fn the_simplified_model_of_every_least_size() {
    let settings = |draw: &mut Draw, sizes: Sizes| SimplifiedArgs {
        dim: sizes.dim,
        max_length: sizes.seq,
        final_ffn: draw.coin(),
        first_ffn: draw.coin(),
        linear_final_ffn: draw.coin(),
        linear_first_ffn: draw.coin(),
        freeze_embeddings: draw.coin(),
        freeze_output: draw.coin(),
        tie_output: draw.coin(),
        use_rope: draw.coin(),
        sqrtd_embeddings: draw.coin(),
        no_sqrtd: draw.coin(),
        sin_cos: draw.coin(),
    };
    let model = |sizes: Sizes, args: &SimplifiedArgs| Ok(Simplified::new(sizes.vocab, args)?.init(3));
    let made = every_size(24, settings, model);
    assert!(made > 100, "{made} models");
}

#[test]
fn the_full_model_of_every_least_size() {
    let settings = |draw: &mut Draw, sizes: Sizes| FullArgs {
        n_layers: 1 + draw.below(2),
        dim: sizes.dim,
        n_heads: if sizes.dim > 1 { draw.of(&[1, 2, 4]) } else { 1 },
        max_length: sizes.seq,
        pre_norm: draw.coin(),
        sequential_ffn: draw.coin(),
        no_ffn: draw.coin(),
        no_norm: draw.coin(),
        linear_ffn: draw.coin(),
        no_first_layer_ffn: draw.coin(),
        freeze_embeddings: draw.coin(),
        freeze_output: draw.coin(),
        tie_output: draw.coin(),
        freeze_wv: draw.coin(),
        freeze_wo: draw.coin(),
        no_wo: draw.coin(),
        no_wv: draw.coin(),
        sin_cos: draw.coin(),
    };
    let model = |sizes: Sizes, args: &FullArgs| Ok(Full::new(sizes.vocab, args)?.init(3));
    let made = every_size(24, settings, model);
    assert!(made > 100, "{made} models");
}

#[test]
fn the_transformer_of_every_least_size() {
    const MAPS: [MapKind; 4] = [MapKind::Learned, MapKind::Frozen, MapKind::LowRank, MapKind::Identity];
    let settings = |draw: &mut Draw, sizes: Sizes| {
        let heads = if sizes.dim > 1 { draw.of(&[1, 2, 4]) } else { 1 };
        TransformerArgs {
            layers: 1 + draw.below(2),
            dim: sizes.dim,
            heads,
            key_heads: draw.of(&[None, None, Some(1)]),
            max_length: sizes.seq,
            positions: draw.of(&[
                PositionKind::Learned,
                PositionKind::Frozen,
                PositionKind::SinCos,
                PositionKind::Rotary,
                PositionKind::Relative,
                PositionKind::Alibi,
                PositionKind::None,
            ]),
            window: draw.of(&[None, Some(1), Some(3), Some(100)]),
            qk_norm: draw.coin(),
            normaliser: draw.of(&NORMALISERS),
            scale_scores: draw.coin(),
            wiring: draw.of(&[Wiring::Parallel, Wiring::Sequential, Wiring::PostNorm, Wiring::NoResidual]),
            norm: draw.of(&[NormKind::Layer, NormKind::Rms, NormKind::None]),
            ff: draw.of(&[FeedForwardKind::Mlp, FeedForwardKind::Linear, FeedForwardKind::None]),
            activation: draw.of(&[
                Activation::Relu,
                Activation::Gelu,
                Activation::GeluTanh,
                Activation::Silu,
                Activation::Tanh,
                Activation::Sigmoid,
                Activation::Identity,
            ]),
            gated: draw.coin(),
            hidden: draw.of(&[None, Some(1), Some(5)]),
            wq: draw.of(&MAPS),
            wk: draw.of(&MAPS),
            wv: draw.of(&MAPS),
            wo: draw.of(&MAPS),
            rank: 1,
            freeze_embeddings: draw.coin(),
            output: draw.of(&[OutputKind::Trained, OutputKind::Frozen, OutputKind::Tied]),
            ..TransformerArgs::defaults()
        }
    };
    let model = |sizes: Sizes, args: &TransformerArgs| Ok(Transformer::new(sizes.vocab, args)?.init(3));
    let made = every_size(40, settings, model);
    assert!(made > 250, "{made} models");
}
