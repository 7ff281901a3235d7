//! Weights of 1e-40, below the least normal number of single precision.
use ihead::config::Config;
use ihead::engine::RowSet;
use ihead::graph::Model;
use ihead::model::{Full, FullArgs, Simplified, SimplifiedArgs, Transformer, TransformerArgs};

use super::{all_engines, assert_same, batch, change};

/// Each weight becomes its sign times 1e-40.
fn made_tiny(mut model: impl Model) -> impl Model {
    change(&mut model, |_, values| values.iter_mut().for_each(|v| *v = 1e-40_f32.copysign(*v)));
    model
}

fn check(model: impl Model, what: &str) {
    let model = made_tiny(model);
    for rows in [RowSet::All, RowSet::Set(0)] {
        let [eager, double, single] = all_engines(&model, &batch(7, 6, 3), rows);
        // a gradient may be as small as the weights: it is compared beside 1e-42, which has ten bits
        assert_same(&eager, &double, 1e-9, 1e-300, what);
        assert_same(&eager, &single, 1e-2, 1e-42, what);
        // ... and is there: nothing rounds numbers so small to zero
        let largest = |left: &super::Left| {
            left.gradients.iter().flat_map(|(_, g)| g).fold(0.0_f64, |most, g| most.max(g.abs()))
        };
        let (expected, found) = (largest(&eager), largest(&single));
        assert!(expected > 0.0 && found > 0.0, "{what}: {expected:e}, {found:e}");
    }
}

#[test]
fn weights_below_the_least_normal_number_are_computed_with() {
    for coin in [false, true] {
        let args = SimplifiedArgs {
            dim: 8,
            max_length: 6,
            final_ffn: coin,
            tie_output: coin,
            use_rope: coin,
            ..SimplifiedArgs::defaults()
        };
        check(Simplified::new(7, &args).unwrap().init(1), &format!("{args:?}"));
        let args = FullArgs { dim: 8, max_length: 6, no_norm: coin, n_heads: 2, ..FullArgs::defaults() };
        check(Full::new(7, &args).unwrap().init(1), &format!("{args:?}"));
        let args = TransformerArgs {
            dim: 8,
            max_length: 6,
            heads: 2,
            qk_norm: coin,
            gated: coin,
            ..TransformerArgs::defaults()
        };
        check(Transformer::new(7, &args).unwrap().init(1), &format!("{args:?}"));
    }
}
