//! Each model whole, by finite differences.
use ihead::config::Config;
use ihead::engine::{Request, RowLists, RowSet};
use ihead::graph::{Model, record};
use ihead::model::{Full, FullArgs, Simplified, SimplifiedArgs};
use ihead::nn::{AnyParam, ModuleExt};

use super::{DIM, LENGTH, SEQ, VOCAB, batch, engine};
use crate::common::fd::{Values, assert_gradients};

/// Everything trains but buffers; `unused` are the tensors without a gradient.
#[track_caller]
fn check(mut model: impl Model, unused: &[&str]) {
    model.release("*").unwrap();
    let batch = batch();
    for rows in [RowSet::All, RowSet::Set(0)] {
        let request = Request::loss(rows);
        let mut engine = engine(&record(&model, SEQ).unwrap(), &request, &model);
        let marked = [RowLists::select(&batch, |_, mark| mark >= 2)];
        let without = assert_gradients(&mut engine, &mut Values::of(&model), &batch, &marked);
        assert_eq!(without, unused);
    }
}

#[test]
fn simplified_by_finite_differences() {
    let defaults = SimplifiedArgs::defaults();
    let ffns = SimplifiedArgs { first_ffn: true, final_ffn: true, ..defaults.clone() };
    let cases = [
        defaults.clone(),
        SimplifiedArgs { linear_final_ffn: false, linear_first_ffn: false, ..ffns.clone() },
        SimplifiedArgs { use_rope: true, no_sqrtd: true, ..defaults.clone() },
        SimplifiedArgs { tie_output: true, sqrtd_embeddings: true, ..ffns },
        SimplifiedArgs { tie_output: true, freeze_output: true, sin_cos: true, ..defaults },
    ];
    for args in cases {
        let model = Simplified::new(VOCAB, &SimplifiedArgs { max_length: LENGTH, dim: DIM, ..args.clone() })
            .unwrap()
            .init(3);
        check(model, &["pe"]);
    }
}

#[test]
fn full_by_finite_differences() {
    let defaults = FullArgs { n_heads: 2, ..FullArgs::defaults() };
    let norms =
        |layer: usize| [format!("layers.{layer}.ff_norm.weight"), format!("layers.{layer}.ff_norm.bias")];
    let idle: Vec<String> = norms(0).into_iter().chain(norms(1)).collect();
    let idle: Vec<&str> = idle.iter().map(String::as_str).collect();
    let cases = [
        (defaults.clone(), vec![]),
        (FullArgs { sequential_ffn: true, linear_ffn: true, ..defaults.clone() }, vec![]),
        (FullArgs { pre_norm: false, tie_output: true, ..defaults.clone() }, vec![]),
        (FullArgs { no_ffn: true, no_wv: true, no_wo: true, ..defaults.clone() }, idle.clone()),
        (FullArgs { no_first_layer_ffn: true, ..defaults.clone() }, idle[..2].to_vec()),
        (FullArgs { sin_cos: true, no_norm: true, ..defaults }, vec!["pos_embeddings.weight", "pe"]),
    ];
    for (args, unused) in cases {
        let mut model =
            Full::new(VOCAB, &FullArgs { max_length: LENGTH, dim: DIM, ..args.clone() }).unwrap().init(3);
        // gains and biases away from 1 and 0
        for name in model.training().into_iter().map(|(name, _)| name).collect::<Vec<_>>() {
            if name.contains("norm") {
                let bend = |values: &mut [f32]| {
                    values.iter_mut().enumerate().for_each(|(i, v)| *v += 0.3 * (1.0 + i as f32).sin());
                };
                model.update(&name, &mut |values| bend(values)).unwrap();
            }
        }
        check(model, &unused);
    }
}

#[test]
fn a_true_tie_has_one_gradient_under_two_names() {
    let args =
        SimplifiedArgs { max_length: LENGTH, dim: DIM, tie_output: true, ..SimplifiedArgs::defaults() };
    let model = Simplified::new(VOCAB, &args).unwrap();
    let ids = ["tok_embeddings.weight", "output.weight"].map(|name| model.tensor(name).unwrap().id());
    assert_eq!(ids[0], ids[1]);
    assert_eq!(model.training().iter().filter(|(_, p)| AnyParam::id(*p) == ids[0]).count(), 1);
}
