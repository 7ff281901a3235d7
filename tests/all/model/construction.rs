//! How the models are made: sizes, settings that cannot be, initial values, freezing.
use ihead::backend::Const;
use ihead::config::{self, Config, Exit};
use ihead::graph::{Graph, record};
use ihead::model::{
    FeedForwardKind, Full, FullArgs, PositionKind, Simplified, SimplifiedArgs, Transformer, TransformerArgs,
};
use ihead::nn::{ModuleExt, Role};

use super::{DIM, LENGTH, SEQ, VOCAB};

#[test]
fn compile_time_and_run_time_sizes_record_the_same_graph() {
    let args = SimplifiedArgs { max_length: LENGTH, dim: DIM, final_ffn: true, ..SimplifiedArgs::defaults() };
    let fixed = Simplified::sized(Const::<VOCAB>, Const::<LENGTH>, Const::<DIM>, &args).unwrap();
    let free = Simplified::new(VOCAB, &args).unwrap();
    let (a, b): (Graph, Graph) = (record(&fixed, Const::<SEQ>).unwrap(), record(&free, SEQ).unwrap());
    assert_eq!(a.to_string(), b.to_string());
    assert_eq!(a.sites(), b.sites());

    let args = FullArgs { max_length: LENGTH, dim: DIM, ..FullArgs::defaults() };
    let fixed = Full::sized(Const::<VOCAB>, Const::<LENGTH>, Const::<DIM>, &args).unwrap();
    let free = Full::new(VOCAB, &args).unwrap();
    assert_eq!(record(&fixed, Const::<SEQ>).unwrap().to_string(), record(&free, SEQ).unwrap().to_string());
}

#[test]
fn the_simplified_model_reads_lookups_and_scales_weights_alone() {
    let defaults = SimplifiedArgs::defaults();
    let cases = [
        defaults.clone(),
        SimplifiedArgs { sqrtd_embeddings: true, no_sqrtd: true, ..defaults.clone() },
        SimplifiedArgs { tie_output: true, freeze_output: true, final_ffn: true, ..defaults.clone() },
        SimplifiedArgs { tie_output: true, first_ffn: true, ..defaults },
    ];
    for args in cases {
        let graph = record(
            &Simplified::new(VOCAB, &SimplifiedArgs { max_length: LENGTH, dim: DIM, ..args.clone() })
                .unwrap(),
            SEQ,
        )
        .unwrap();
        let text = graph.to_string();
        let embedded = [
            format!("n0 [{SEQ}, {DIM}] = lookup 'tok_embeddings.weight' by token 'embed.tokens'"),
            format!("n1 [{SEQ}, {DIM}] = lookup 'pe' by position 'embed.positions'"),
            format!(
                "n2 [{SEQ}, {DIM}] = n0 + n1 'layers.0.attention.in' 'layers.0.attention.q' 'layers.0.resid'"
            ),
        ];
        assert!(text.starts_with(&embedded.join("\n")), "{args:?}:\n{text}");
        let operation =
            |line: &str| line.split_once(" = ").unwrap().1.split([' ', '(']).next().unwrap().to_string();
        let found: std::collections::BTreeSet<String> = text.lines().map(operation).collect();
        assert!(
            found.iter().all(|op| {
                ["lookup", "linear", "pattern", "mix", "relu"].contains(&op.as_str()) || op.starts_with('n')
            }),
            "{args:?}: {found:?}"
        );
    }
}

#[test]
fn sizes_that_cannot_be_are_errors_that_name_the_key() {
    let error = |dim, args: &SimplifiedArgs| {
        Simplified::new(VOCAB, &SimplifiedArgs { max_length: LENGTH, dim, ..args.clone() })
            .err()
            .unwrap()
            .to_string()
    };
    let rope = SimplifiedArgs { use_rope: true, ..SimplifiedArgs::defaults() };
    let odd = "dim: 5 is odd; rotary positions turn pairs, so expected an even width";
    assert_eq!(error(5, &rope), odd);
    assert_eq!(error(0, &rope), "dim: 0; expected at least 1");

    let error = |vocab, length, dim, n_heads| {
        let args = FullArgs { n_heads, ..FullArgs::defaults() };
        Full::new(vocab, &FullArgs { max_length: length, dim, ..args.clone() }).err().unwrap().to_string()
    };
    assert_eq!(error(VOCAB, LENGTH, 10, 4), "n_heads: 4 heads of equal width do not fit in dim 10");
    assert_eq!(error(VOCAB, LENGTH, 4, 0), "n_heads: 0 heads of equal width do not fit in dim 4");
    assert_eq!(error(0, LENGTH, 4, 4), "vocab_size: 0; expected at least 1");
    assert_eq!(error(VOCAB, 0, 4, 4), "max_length: 0; expected at least 1");
}

#[test]
fn layers_that_no_memory_holds_are_refused_by_the_name_of_their_setting() {
    let n = 1_000_000_000_000;
    let full = FullArgs { n_layers: n, dim: 4, ..FullArgs::defaults() };
    let blocks = TransformerArgs { layers: n, dim: 4, ..TransformerArgs::defaults() };
    let errors = [
        (
            Full::new(VOCAB, &full).err(),
            "n_layers: a model of 1000000000000 layers, dim 4, max_length 256 and 7 tokens needs",
        ),
        (
            Transformer::new(VOCAB, &blocks).err(),
            "layers: a model of 1000000000000 layers, dim 4, max_length 256 and 7 tokens needs",
        ),
    ];
    for (error, expected) in errors {
        let error = error.unwrap().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    // the key is that of the size that is too large
    let base = || TransformerArgs { ff: FeedForwardKind::Mlp, ..TransformerArgs::defaults() };
    for (args, key) in [
        (TransformerArgs { hidden: Some(n), ..base() }, "hidden: "),
        (TransformerArgs { max_length: n, ..base() }, "max_length: "),
        (TransformerArgs { layers: 100_000_000, ..base() }, "layers: "),
        (TransformerArgs { dim: 1 << 30, ..base() }, "dim: "),
    ] {
        let error = Transformer::new(VOCAB, &args).err().unwrap().to_string();
        assert!(error.starts_with(key) && error.contains(" needs "), "{key}{error}");
    }
    let hidden = Transformer::new(VOCAB, &TransformerArgs { hidden: Some(n), ..base() }).err().unwrap();
    assert!(hidden.to_string().contains(", hidden 1000000000000, "), "{hidden}");
}

#[test]
fn a_vocabulary_that_no_memory_holds_is_named() {
    let vocab = 1 << 40;
    let args = TransformerArgs { dim: 8, ..TransformerArgs::defaults() };
    let (simplified, full) = (
        SimplifiedArgs { dim: 8, ..SimplifiedArgs::defaults() },
        FullArgs { dim: 8, n_heads: 1, ..FullArgs::defaults() },
    );
    for error in [
        Transformer::new(vocab, &args).err(),
        Simplified::new(vocab, &simplified).err(),
        Full::new(vocab, &full).err(),
    ] {
        let error = error.unwrap().to_string();
        let expected = "dim 8, max_length 256 and 1099511627776 tokens needs at least ";
        assert!(error.starts_with("vocab_size: ") && error.contains(expected), "{error}");
    }
}

#[test]
fn a_model_without_layers_is_refused_in_code_too() {
    let full = FullArgs { n_layers: 0, ..FullArgs::defaults() };
    let blocks = TransformerArgs { layers: 0, ..TransformerArgs::defaults() };
    let errors = [Full::new(VOCAB, &full).err(), Transformer::new(VOCAB, &blocks).err()];
    let said = errors.map(|error| error.unwrap().to_string());
    assert_eq!(said, ["n_layers: 0; expected at least 1", "layers: 0; expected at least 1"]);
}

#[test]
fn a_base_of_rotary_positions_is_checked_in_code_too() {
    for rotary_base in [f64::NAN, f64::INFINITY, 0.0, -2.0] {
        let args = TransformerArgs {
            rotary_base,
            positions: PositionKind::Rotary,
            max_length: LENGTH,
            ..TransformerArgs::defaults()
        };
        let error = Transformer::new(VOCAB, &args).err().unwrap().to_string();
        assert_eq!(error, format!("rotary_base: {rotary_base}, expected a finite number of at least 1"));
    }
}

#[test]
fn a_command_line_that_cannot_be_is_refused_before_a_model_is_made() {
    let problems = |arg: &[&str]| {
        let Err(Exit::Fail(problems)) = config::parse::<FullArgs>(arg.iter().map(|a| a.to_string())) else {
            panic!("{arg:?} is accepted")
        };
        problems.iter().map(|p| p.key.clone()).collect::<Vec<_>>()
    };
    assert_eq!(problems(&["n_heads=3"]), ["n_heads"]);
    assert_eq!(problems(&["n_layers=0", "n_heads=0"]), ["n_layers", "n_heads"]);
}

#[test]
fn the_help_says_that_a_width_of_zero_is_refused() {
    for key in ["key_heads", "window", "hidden"] {
        let Err(Exit::Fail(problems)) = config::parse::<TransformerArgs>([format!("{key}=0")]) else {
            panic!("{key}=0 is accepted")
        };
        assert_eq!(problems[0].message, "expected an integer of at least 1 or null, found '0'", "{key}");
    }
}

#[test]
fn a_frozen_tied_output_starts_as_the_embeddings_over_the_root_of_the_width() {
    let args = SimplifiedArgs {
        max_length: LENGTH,
        dim: DIM,
        tie_output: true,
        freeze_output: true,
        ..SimplifiedArgs::defaults()
    };
    let model = Simplified::new(VOCAB, &args).unwrap().init(9);
    let [tokens, output] = ["tok_embeddings.weight", "output.weight"].map(|name| model.tensor(name).unwrap());
    assert_ne!(tokens.id(), output.id());
    assert!(!output.trains());
    let expected: Vec<f32> = tokens.values().iter().map(|v| v / 2.0).collect();
    assert_eq!(output.values(), expected);
}

#[test]
fn initial_values_have_the_documented_laws() {
    let args =
        SimplifiedArgs { max_length: 100, dim: 64, sqrtd_embeddings: true, ..SimplifiedArgs::defaults() };
    let model = Simplified::new(100, &args).unwrap().init(4);
    let variance = |name: &str| {
        let values = model.tensor(name).unwrap().values();
        values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64
    };
    // 6400 and 4096 values: a relative error of 2 %, times five
    for name in ["tok_embeddings.weight", "pe"] {
        assert!((64.0 * variance(name) - 1.0).abs() < 0.1, "{name}: {}", variance(name));
    }
    let bound = 1.0 / 8.0;
    let wk = model.tensor("layers.0.attention.wk.weight").unwrap().values();
    assert!(wk.iter().all(|v| v.abs() <= bound as f32));
    assert!((3.0 * variance("layers.0.attention.wk.weight") / (bound * bound) - 1.0).abs() < 0.1);

    let again = Simplified::new(100, &args).unwrap().init(4);
    let other = Simplified::new(100, &args).unwrap().init(5);
    for ((name, _, a), (_, _, b)) in model.tensors().into_iter().zip(again.tensors()) {
        assert_eq!(a.values(), b.values(), "{name}");
        assert_ne!(a.values(), other.tensor(&name).unwrap().values(), "{name}");
    }
}

#[test]
fn sinusoidal_positions_are_those_of_the_formula() {
    let args = FullArgs { max_length: 3, dim: 4, sin_cos: true, ..FullArgs::defaults() };
    let model = Full::new(VOCAB, &args).unwrap().init(0);
    let angle = |p: f64, i: f64| p * 10000_f64.powf(-2.0 * i / 4.0);
    let row = |p: f64| [angle(p, 0.0).sin(), angle(p, 0.0).cos(), angle(p, 1.0).sin(), angle(p, 1.0).cos()];
    let expected: Vec<f32> = (0..3).flat_map(|p| row(f64::from(p))).map(|v| v as f32).collect();
    assert_eq!(model.tensor("pe").unwrap().values(), expected);
}

#[test]
fn flags_freeze_what_they_name() {
    let frozen = |args: SimplifiedArgs| -> Vec<String> {
        let model =
            Simplified::new(VOCAB, &SimplifiedArgs { max_length: LENGTH, dim: DIM, ..args.clone() }).unwrap();
        let tensors = model.tensors().into_iter();
        tensors.filter(|(_, role, p)| *role == Role::Param && !p.trains()).map(|(name, _, _)| name).collect()
    };
    let always =
        ["layers.0.attention.wv.weight", "layers.0.attention.wo.weight", "layers.1.attention.wv.weight"];
    assert_eq!(frozen(SimplifiedArgs::defaults()), always);
    let both = SimplifiedArgs { freeze_embeddings: true, freeze_output: true, ..SimplifiedArgs::defaults() };
    let all = [&["tok_embeddings.weight"], &always[..], &["output.weight"]].concat();
    assert_eq!(frozen(both), all);
}
