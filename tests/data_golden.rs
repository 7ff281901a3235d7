//! The data streams are those of the paper's NumPy program: `golden/numpy_streams.json` and the batches of every golden case.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ihead::data::numpy::{Categorical, NumpyRng, WithoutReplacement, seed_sequence};
use ihead::data::{Batch, BatchOptions, Batches, BigramData, TriggerOptions, TriggerTask, sample};
use safetensors::SafeTensors;
use serde_json::Value;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn json(path: &Path) -> Result<Value, Box<dyn std::error::Error>> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

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
    let streams = json(&golden().join("numpy_streams.json"))?;
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

#[test]
fn batches_of_every_golden_case_are_identical() -> Outcome {
    let data = Arc::new(BigramData::tiny_shakespeare());
    let mut cases = 0;
    for entry in std::fs::read_dir(golden())? {
        let folder = entry?.path();
        if folder.is_dir() {
            case(&data, &folder).map_err(|e| format!("{}: {e}", folder.display()))?;
            cases += 1;
        }
    }
    assert!(cases >= 21, "{cases} cases");
    Ok(())
}

fn case(data: &Arc<BigramData>, folder: &Path) -> Outcome {
    let case = json(&folder.join("case.json"))?;
    let (params, args) = (&case["params"], &case["params"]["data_args"]);
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
    let bytes = std::fs::read(folder.join("batches.safetensors"))?;
    let recorded = SafeTensors::deserialize(&bytes)?;
    let batches = Batches::new(Arc::new(task(&params["bigram_outs_train"])?), options)?;
    for (i, batch) in (0..number(&params["max_iters"])).zip(batches) {
        compare(&recorded, &i.to_string(), &batch?)?;
    }
    let test = sample(&task(&params["bigram_outs_test"])?, &mut NumpyRng::new(&[0]), 512)?;
    compare(&recorded, "test", &test)
}

/// Compares the batch with the recorded one, which may stop after some sequences.
fn compare(recorded: &SafeTensors, suffix: &str, batch: &Batch) -> Outcome {
    let tokens = |name: &str| recorded.tensor(&format!("{name}_{suffix}"));
    let x = tokens("x")?;
    let n = x.shape().iter().product::<usize>();
    assert_eq!(x.shape()[1], batch.seq, "x_{suffix}");
    assert!(n > 0 && (suffix == "test" || x.shape()[0] == batch.batch), "x_{suffix}");
    let bytes = |tokens: &[u32]| tokens[..n].iter().map(|t| *t as u8).collect::<Vec<_>>();
    assert!(x.data() == bytes(&batch.x), "x_{suffix} differs");
    assert!(tokens("y")?.data() == bytes(&batch.y), "y_{suffix} differs");
    let marks: Vec<u8> = batch.marks[..n].iter().flat_map(|mark| (*mark as i16).to_le_bytes()).collect();
    assert!(tokens("outs")?.data() == marks, "outs_{suffix} differs");
    Ok(())
}
