//! The data streams are those of the paper's NumPy program: `golden/numpy_streams.json` and the batches of every
//! golden case.

use std::sync::Arc;

use ihead::data::numpy::{Categorical, NumpyRng, WithoutReplacement, pairwise_sum, seed_sequence};
use ihead::data::{Batch, BatchOptions, Batches, BigramData, TriggerOptions, TriggerTask, sample};
use serde_json::Value;

use crate::common::cases::{Case, Tensors, folder, json};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn integers(value: &Value) -> Vec<u64> {
    match value {
        Value::Array(items) => items.iter().flat_map(integers).collect(),
        number => number.as_u64().into_iter().collect(),
    }
}

#[test]
fn every_kind_of_draw_is_numpy_s() -> Outcome {
    let data = BigramData::tiny_shakespeare();
    let (by_marginal, distinct) =
        (Categorical::new(data.marginal())?, WithoutReplacement::new(data.marginal())?);
    let streams = json(&folder().join("numpy_streams.json"))?;
    let streams = streams.as_array().ok_or("a list of streams")?;
    for stream in streams {
        let seed = integers(&stream["seed"]);
        let mut rng = NumpyRng::new(&seed);

        let words: [u64; 4] = seed_sequence::generate_state(&seed);
        let join = |high: u64, low: u64| u128::from(high) << 64 | u128::from(low);
        let increment = join(words[2], words[3]) << 1 | 1;
        assert_eq!(stream["state"][1], increment.to_string(), "seed {seed:?}");

        let check =
            |key: &str, drawn: Vec<u64>| assert_eq!(drawn, integers(&stream[key]), "{key}, seed {seed:?}");
        let uniforms = |rng: &mut NumpyRng, key: &str| {
            for expected in stream[key].as_array().into_iter().flatten() {
                assert_eq!(Some(rng.random()), expected.as_f64(), "{key}, seed {seed:?}");
            }
        };
        uniforms(&mut rng, "random");
        check("choice_pool65", (0..7).map(|_| rng.below(65).into()).collect());
        check("choice_pool64", (0..5).map(|_| rng.below(64).into()).collect());
        check("choice_p", (0..6).map(|_| by_marginal.sample(&mut rng).into()).collect());
        let mut scratch = Vec::new();
        for (key, k, times) in [("k5", 5, 4), ("k0", 0, 1), ("k40", 40, 2)] {
            let mut drawn = vec![vec![0; k]; times];
            drawn.iter_mut().for_each(|found| distinct.sample(&mut rng, found, &mut scratch));
            let drawn = drawn.concat().into_iter().map(u64::from).collect();
            check(&format!("choice_{key}_no_replace_p"), drawn);
        }
        uniforms(&mut rng, "random_after");
    }
    assert_eq!(streams.len(), 5);
    Ok(())
}

/// FNV-1a over each sequence's tokens and then its marks plus one, as NumPy 2.4 with the paper's own loop draws
/// them.
#[test]
fn long_streams_of_unusual_settings_are_numpy_s() -> Outcome {
    let base = TriggerOptions { k: 5, ..Default::default() };
    let fixed = TriggerOptions { fixed_special_toks: true, ..base.clone() };
    let bigram = TriggerOptions { no_repeat: true, bigram_outs: true, ..base.clone() };
    let offset = TriggerOptions { fixed_special_toks: true, special_toks_offset: 7, ..bigram.clone() };
    let short = TriggerOptions { seq_length: 100, ..base.clone() };
    let cases: [(&[u64], usize, TriggerOptions, u64); 6] = [
        (&[42, 0], 512, fixed, 12_982_974_239_392_537_615),
        (&[42, 0], 512, TriggerOptions { k: 3, ..base }, 2_160_954_649_125_565_068),
        (&[7, 3], 512, TriggerOptions { show_latents: true, ..bigram }, 9_916_457_951_334_442_532),
        (&[1], 256, TriggerOptions { k: 9, output_counter: false, ..offset }, 8_600_179_776_061_162_069),
        (&[(1 << 40) + 5], 256, TriggerOptions { k: 40, ..short.clone() }, 14_736_106_786_308_920_835),
        (&[9, 1 << 63], 64, TriggerOptions { k: 65, no_repeat: true, ..short }, 10_400_356_687_291_250_263),
    ];
    let data = Arc::new(BigramData::tiny_shakespeare());
    for (seed, sequences, options, expected) in cases {
        let task = TriggerTask::new(data.clone(), options.clone())?;
        let batch = sample(&task, &mut NumpyRng::new(seed), sequences)?;
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut eat = |value: u64| hash = (hash ^ value).wrapping_mul(0x100_0000_01b3);
        for (x, y, marks) in (0..sequences).map(|i| batch.sequence(i)) {
            x.iter().chain(y.last()).for_each(|token| eat(u64::from(*token)));
            marks.iter().for_each(|mark| eat((mark + 1) as u64));
        }
        assert_eq!(hash, expected, "{options:?}, seed {seed:?}");
    }
    Ok(())
}

/// Seeds beyond 32 bits, a 32-bit draw with many rejections, and `sum` in blocks: printed by NumPy 2.4.
#[test]
fn large_seeds_bounded_draws_and_sums_are_numpy_s() {
    let state = seed_sequence::generate_state::<2>(&[(1 << 40) + 5]);
    assert_eq!(state, [15_772_757_452_565_124_875, 9_517_702_402_565_589_804]);
    let seed = [(1 << 63) + 1, 0, 7, 1 << 32, 1];
    let state = seed_sequence::generate_state::<3>(&seed);
    assert_eq!(state, [9_353_826_670_481_181_933, 1_850_389_302_610_298_916, 15_684_480_632_622_456_306]);
    let mut rng = NumpyRng::new(&seed);
    assert_eq!(rng.random(), 0.47725027424176214);
    assert_eq!(rng.below(3_000_000_000), 1_636_367_339);
    assert_eq!(rng.random(), 0.28905257349902735);
    assert_eq!([(); 6].map(|()| rng.below(3)), [0, 2, 1, 2, 0, 2]);

    let mut rng = NumpyRng::new(&[1]);
    let terms: Vec<f64> = (0..700).map(|_| rng.random()).collect();
    let sums = [128, 129, 700].map(|n| pairwise_sum(&terms[..n]));
    assert_eq!(sums, [64.76522221631294, 65.04902870525706, 349.61272033377685]);
}

#[test]
fn batches_of_every_golden_case_are_identical() -> Outcome {
    let data = Arc::new(BigramData::tiny_shakespeare());
    for case in Case::all() {
        check(&data, &case).map_err(|e| format!("{}: {e}", case.name()))?;
    }
    Ok(())
}

fn check(data: &Arc<BigramData>, case: &Case) -> Outcome {
    let (params, args) = (case.params(), &case.params()["data_args"]);
    let number = |value: &Value| value.as_u64().unwrap_or(0) as usize;
    let flag = |value: &Value| value.as_bool().unwrap_or(false);
    let task = |bigram_outs: &Value| {
        let options = TriggerOptions {
            k: number(&args["k"]),
            seq_length: number(&args["seq_length"]),
            show_latents: flag(&args["show_latents"]),
            fixed_special_toks: flag(&args["fixed_special_toks"]),
            special_toks_offset: number(&args["special_toks_offset"]),
            output_counter: flag(&args["output_counter"]),
            no_repeat: flag(&args["no_repeat"]),
            bigram_outs: flag(bigram_outs),
        };
        TriggerTask::new(data.clone(), options)
    };
    let options = BatchOptions {
        batch_size: number(&params["optim_args"]["batch_size"]),
        seed: params["seed"].as_u64().unwrap_or(42),
        workers: number(&params["num_data_workers"]),
    };
    let recorded = case.tensors("batches.safetensors")?;
    let batches = Batches::new(Arc::new(task(&params["bigram_outs_train"])?), options)?;
    for (i, batch) in (0..number(&params["max_iters"])).zip(batches) {
        compare(&recorded, &i.to_string(), &batch?)?;
    }
    let test = sample(&task(&params["bigram_outs_test"])?, &mut NumpyRng::new(&[0]), 512)?;
    compare(&recorded, "test", &test)
}

/// Compares the batch with the recorded one, which may stop after some sequences.
fn compare(recorded: &Tensors, suffix: &str, batch: &Batch) -> Outcome {
    let expected = Case::batch(recorded, suffix).ok_or(format!("no batch {suffix}"))?;
    let n = expected.x.len();
    assert_eq!(expected.seq, batch.seq, "x_{suffix}");
    assert!(n > 0 && (suffix == "test" || expected.batch == batch.batch), "x_{suffix}");
    assert!(batch.x[..n] == expected.x, "x_{suffix} differs");
    assert!(batch.y[..n] == expected.y, "y_{suffix} differs");
    assert!(batch.marks[..n] == expected.marks, "outs_{suffix} differs");
    Ok(())
}
