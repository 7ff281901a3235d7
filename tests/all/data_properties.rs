//! What must hold of any sequence, whatever the options; which options are refused; what a user's own task may do.

use std::collections::HashMap;
use std::sync::Arc;

use ihead::data::numpy::{NumpyRng, seed_sequence};
use ihead::data::{BatchOptions, Batches, BigramData, Counts, Task, TriggerOptions, TriggerTask, sample};
use proptest::prelude::*;
use rand::RngCore;

fn shakespeare() -> Arc<BigramData> {
    Arc::new(BigramData::tiny_shakespeare())
}

fn options() -> impl Strategy<Value = TriggerOptions> {
    let flags = prop::array::uniform5(any::<bool>());
    (0..12_usize, 1..300_usize, 0..20_usize, flags).prop_map(|(k, seq_length, offset, flags)| {
        let [show, fixed, counter, no_repeat, bigram] = flags;
        TriggerOptions {
            k,
            seq_length,
            show_latents: show && k <= seq_length,
            fixed_special_toks: fixed,
            special_toks_offset: offset,
            output_counter: counter,
            no_repeat,
            bigram_outs: bigram,
        }
    })
}

/// Reads a sequence back: which tokens are triggers, what their outputs are, what the marks must be.
fn check_sequence(task: &TriggerTask, x: &[u32], y: &[u32], marks: &[i32]) -> Result<(), TestCaseError> {
    let (data, options) = (task.data(), task.options());
    prop_assert_eq!(&x[1..], &y[..y.len() - 1]);
    let shown = if options.show_latents { options.k } else { 0 };
    prop_assert!(marks[..shown].iter().all(|mark| *mark == -1));
    let mut outputs: HashMap<u32, (u32, i32)> = HashMap::new();
    for t in shown..x.len() {
        if marks[t] == 0 {
            prop_assert!(data.cond(x[t])[y[t] as usize] > 0.0, "an impossible pair at {t}");
            prop_assert!(!outputs.contains_key(&x[t]), "a trigger without a mark at {t}");
            continue;
        }
        let (output, seen) = outputs.entry(x[t]).or_insert((y[t], 0));
        *seen += 1;
        prop_assert_eq!(*output, y[t]);
        prop_assert_eq!(marks[t], if options.output_counter { *seen } else { 1 });
        prop_assert!(!options.no_repeat || x[t] != y[t]);
        prop_assert!(!options.bigram_outs || data.cond(x[t])[y[t] as usize] > 0.0);
        prop_assert!(shown == 0 || x[..shown].contains(&x[t]));
        prop_assert!(task.triggers().is_none_or(|triggers| triggers.contains(&x[t])));
    }
    prop_assert!(outputs.len() <= options.k);
    let fixed = task.triggers().unwrap_or_default();
    prop_assert!(shown == 0 || fixed.is_empty() || fixed == &x[..shown]);
    prop_assert!((shown..x.len()).all(|t| marks[t] > 0 || !fixed.contains(&x[t])));
    Ok(())
}

proptest! {
    #[test]
    fn marks_say_what_the_tokens_do(options in options(), seed in any::<u64>()) {
        let task = TriggerTask::new(shakespeare(), options).expect("options");
        let batch = sample(&task, &mut NumpyRng::new(&[seed]), 4).expect("sampled");
        for i in 0..batch.batch {
            let (x, y, marks) = batch.sequence(i);
            check_sequence(&task, x, y, marks)?;
        }
    }

    #[test]
    fn a_sequence_alone_is_the_sequence_in_a_batch(options in options(), seed in any::<u64>()) {
        let task = TriggerTask::new(shakespeare(), options).expect("options");
        let batch = sample(&task, &mut NumpyRng::new(&[seed]), 3).expect("sampled");
        let mut rng = NumpyRng::new(&[seed]);
        for i in 0..3 {
            let (mut tokens, mut marks) = (vec![0; batch.seq + 1], vec![0; batch.seq]);
            task.sequence(&mut rng, &mut tokens, &mut marks);
            prop_assert_eq!((&tokens[..batch.seq], &tokens[1..], &marks[..]), batch.sequence(i));
        }
    }

    #[test]
    fn a_stream_goes_on_where_it_was_left(seed in prop::collection::vec(any::<u64>(), 1..4), n in 0..50_usize, halves in 0..4_usize) {
        let mut rng = NumpyRng::new(&seed);
        (0..n).for_each(|_| { rng.random(); });
        (0..halves).for_each(|_| { rng.next_u32(); });
        let mut resumed = NumpyRng::resume(&seed, rng.position());
        for _ in 0..5 {
            prop_assert_eq!((rng.below(7), rng.random()), (resumed.below(7), resumed.random()));
        }
    }
}

#[test]
fn without_triggers_pairs_follow_the_bigram_model() {
    let data = Arc::new(BigramData::new(&Counts::of("aabcabcba").expect("counts")).expect("model"));
    let task = TriggerTask::new(data.clone(), TriggerOptions::default()).expect("task");
    // tokens by their numbers, as reports and figures name them
    assert_eq!([0, 1, 2, 7].map(|token| task.token_name(token)), ["a", "b", "c", "7"]);
    let batch = sample(&task, &mut NumpyRng::new(&[5]), 400).expect("sampled");
    let mut pairs = [[0.0; 3]; 3];
    for (x, y) in batch.x.iter().zip(&batch.y) {
        pairs[*x as usize][*y as usize] += 1.0;
    }
    for (token, row) in pairs.iter().enumerate() {
        let total: f64 = row.iter().sum();
        for (count, p) in row.iter().zip(data.cond(token as u32)) {
            assert!((count / total - p).abs() < 0.01, "after {token}: {row:?}");
        }
    }
}

#[test]
fn integers_beyond_32_bits_and_lists_are_split_in_words_as_numpy_does() {
    let state = seed_sequence::generate_state::<2>;
    // A word of zeros at the end of the entropy is no different from its absence, up to the size of the pool.
    assert_eq!(state(&[5 << 32 | 3]), state(&[3, 5]));
    assert_eq!(state(&[7]), state(&[7, 0]));
    assert_ne!(state(&[7, 0, 0, 0]), state(&[7, 0, 0, 0, 0]));
    assert_ne!(state(&[5, 3]), state(&[3, 5]));
    assert_eq!(state(&[1 << 32]), state(&[0, 1]));
}

#[test]
fn options_that_cannot_be_met_are_refused_by_key() {
    let base = || TriggerOptions { k: 5, ..Default::default() };
    let message = |data: &str, options: TriggerOptions| {
        let counts =
            if data.is_empty() { Counts::tiny_shakespeare() } else { Counts::of(data).expect("counts") };
        let data = BigramData::new(&counts).expect("model");
        TriggerTask::new(Arc::new(data), options).expect_err("refused").to_string()
    };
    for (data, options, expected) in [
        ("", TriggerOptions { k: 66, ..base() }, "k: 66; expected at most the 65 tokens of the data"),
        ("", TriggerOptions { seq_length: 0, ..base() }, "seq_length: 0; expected at least 1"),
        (
            "",
            TriggerOptions { fixed_special_toks: true, special_toks_offset: 61, ..base() },
            "special_toks_offset: 61; expected at most 60, so that 5 of 65 tokens are left to be triggers",
        ),
        (
            "",
            TriggerOptions { show_latents: true, seq_length: 4, ..base() },
            "k: 5; expected at most seq_length = 4, since show_latents begins with them",
        ),
        (
            "ababbcccc",
            TriggerOptions { k: 1, no_repeat: true, bigram_outs: true, ..base() },
            "no_repeat: True, but \"c\" is only ever followed by itself; expected False with bigram outputs",
        ),
    ] {
        assert_eq!(message(data, options), expected);
    }
}

#[test]
fn streams_that_cannot_be_made_are_refused_by_key() {
    let message = |options: BatchOptions| {
        let task = TriggerTask::new(shakespeare(), TriggerOptions::default()).expect("task");
        Batches::new(Arc::new(task), options).err().expect("refused").to_string()
    };
    let base = BatchOptions::default;
    assert_eq!(message(BatchOptions { workers: 0, ..base() }), "workers: 0; expected 1 to 65536");
    assert_eq!(message(BatchOptions { batch_size: 0, ..base() }), "batch_size: 0; expected at least 1");
    let most = "expected at most 268435456 tokens in all";
    for batch_size in [1 << 21, usize::MAX] {
        let expected = format!("batch_size: {batch_size} sequences of 256; {most}");
        assert_eq!(message(BatchOptions { batch_size, ..base() }), expected);
    }
    let task = Arc::new(TriggerTask::new(shakespeare(), TriggerOptions::default()).expect("task"));
    let with = |workers| Batches::new(task.clone(), BatchOptions { workers, ..base() }).expect("stream");
    assert_eq!(
        with(3).resume(&with(2).position()).err().expect("refused").to_string(),
        "workers: 3; expected 2, with which the data's position was saved (turn 0)"
    );
    // a count of words that no run has drawn, as a damaged checkpoint may have it
    let mut damaged = with(1).position();
    damaged.workers[0].words = u64::MAX;
    assert_eq!(
        with(1).resume(&damaged).err().expect("refused").to_string(),
        "words drawn by a worker: 18446744073709551615; expected less than 2^63"
    );
}

#[test]
fn a_token_beyond_the_vocabulary_is_an_error() {
    struct TooHigh;
    impl Task for TooHigh {
        fn vocab(&self) -> usize {
            10
        }
        fn seq_length(&self) -> usize {
            3
        }
        fn sequence(&self, _: &mut NumpyRng, tokens: &mut [u32], _: &mut [i32]) {
            tokens.copy_from_slice(&[1, 2, 9, 10]);
        }
        fn name(&self) -> &str {
            "too high"
        }
    }
    let error = sample(&TooHigh, &mut NumpyRng::new(&[0]), 2).expect_err("refused");
    assert_eq!(error.to_string(), "too high: drew token 10; expected below its vocab = 10");
}
