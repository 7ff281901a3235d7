//! What tasks declare of themselves against what they draw.
use std::sync::Arc;

use ihead::data::{
    BigramData, CausalGraph, Counts, NumpyRng, Task, TriggerOptions, TriggerTask, check_distribution,
};

fn trigger(options: TriggerOptions) -> TriggerTask {
    let text = "the quick brown fox jumps over the lazy dog and then the other fox jumps too";
    let counts = Counts::of(&format!("{text} {}", text.replace(' ', ""))).unwrap();
    let data = BigramData::new(&counts).unwrap();
    TriggerTask::new(Arc::new(data), TriggerOptions { seq_length: 24, ..options }).unwrap()
}

#[test]
fn the_papers_task_draws_what_it_declares() {
    let fixed = TriggerOptions { k: 3, fixed_special_toks: true, ..Default::default() };
    let cases = [
        TriggerOptions::default(),
        fixed.clone(),
        TriggerOptions { special_toks_offset: 4, no_repeat: true, ..fixed.clone() },
        TriggerOptions { bigram_outs: true, ..fixed.clone() },
        TriggerOptions { bigram_outs: true, no_repeat: true, show_latents: true, ..fixed },
        TriggerOptions { k: 3, show_latents: true, ..Default::default() },
        TriggerOptions { k: 2, show_latents: true, no_repeat: true, bigram_outs: true, ..Default::default() },
    ];
    for options in cases {
        let check = check_distribution(&trigger(options.clone()), &mut NumpyRng::new(&[3]), 1500).unwrap();
        assert_eq!(check.declared, check.tokens, "{options:?}");
        assert!((check.log_loss - check.entropy).abs() < 0.05, "{options:?}: {check:?}");
    }
}

#[test]
fn triggers_that_the_context_does_not_tell_leave_the_first_token_alone() {
    let task = trigger(TriggerOptions { k: 2, ..Default::default() });
    let check = check_distribution(&task, &mut NumpyRng::new(&[3]), 400).unwrap();
    assert_eq!((check.declared, check.tokens), (400, 400 * 25));
}

/// A task whose declared distribution is changed.
struct Declares<T, F>(T, F);

impl<T: Task, F: Fn(&[u32], &mut [f64]) + Send + Sync> Task for Declares<T, F> {
    fn vocab(&self) -> usize {
        self.0.vocab()
    }

    fn seq_length(&self) -> usize {
        self.0.seq_length()
    }

    fn sequence(&self, rng: &mut NumpyRng, tokens: &mut [u32], marks: &mut [i32]) {
        self.0.sequence(rng, tokens, marks);
    }

    fn predict(&self, tokens: &[u32], distribution: &mut [f64]) -> bool {
        let known = self.0.predict(tokens, distribution);
        self.1(tokens, distribution);
        known
    }

    fn name(&self) -> &str {
        "it"
    }
}

/// The verdict on a chain of three tokens whose distribution is changed.
fn verdict(change: impl Fn(&[u32], &mut [f64]) + Send + Sync) -> Result<(), String> {
    let chain = CausalGraph::chain(3, 16, 0.7).unwrap();
    let check = check_distribution(&Declares(chain, change), &mut NumpyRng::new(&[5]), 6000);
    check.map(|_| ()).map_err(|e| e.to_string())
}

#[test]
fn a_law_that_is_off_by_two_percent_is_found() {
    assert_eq!(verdict(|_, _| ()), Ok(()));
    let toward = |distribution: &mut [f64], to: usize, by: f64| {
        distribution.iter_mut().for_each(|p| *p *= 1.0 - by);
        distribution[to] += by;
    };
    // one token two percent too often
    let error = verdict(|_, distribution| toward(distribution, 1, 0.02)).unwrap_err();
    assert!(error.starts_with("the distribution of it is off: "), "{error}");
    // the same after one token alone, whose name is told
    let after = verdict(|prefix, distribution| {
        if prefix.last() == Some(&2) {
            toward(distribution, 0, 0.04);
        }
    });
    let after = after.unwrap_err();
    assert!(after.contains("comes after \"2\""), "{after}");
    // right on the whole, too sure of itself: calibration
    let sure = verdict(|_, distribution| {
        distribution.iter_mut().for_each(|p| *p = p.powf(1.1));
        let sum: f64 = distribution.iter().sum();
        distribution.iter_mut().for_each(|p| *p /= sum);
    });
    assert!(sure.is_err());
}

#[test]
fn the_second_token_of_a_sequence_alone_is_found_too() {
    let error = verdict(|prefix, distribution| {
        if prefix.len() == 1 {
            distribution.copy_from_slice(&[0.8, 0.1, 0.1]);
        }
    });
    assert!(error.is_err());
}

#[test]
fn what_is_no_law_is_refused() {
    let half = verdict(|_, distribution| distribution.iter_mut().for_each(|p| *p /= 2.0)).unwrap_err();
    assert_eq!(half, "the distribution of it at position 0: sums to 0.5; expected 1");
    let negative = verdict(|_, distribution| distribution.copy_from_slice(&[1.5, -0.5, 0.0])).unwrap_err();
    assert_eq!(negative, "the distribution of it at position 0, token \"0\": 1.5; expected a probability");
    let excludes = verdict(|_, distribution| distribution.copy_from_slice(&[0.5, 0.5, 0.0])).unwrap_err();
    assert!(
        excludes.ends_with("excludes token \"2\", which was drawn; expected a probability above 0"),
        "{excludes}"
    );
    struct Silent;
    impl Task for Silent {
        fn vocab(&self) -> usize {
            2
        }
        fn seq_length(&self) -> usize {
            2
        }
        fn sequence(&self, _: &mut NumpyRng, tokens: &mut [u32], _: &mut [i32]) {
            tokens.fill(1);
        }
        fn name(&self) -> &str {
            "it"
        }
    }
    let silent = check_distribution(&Silent, &mut NumpyRng::new(&[0]), 2).unwrap_err().to_string();
    assert_eq!(
        silent,
        "the distribution of it: not declared: `predict` returned false for every prefix; expected true for some"
    );
    let none = check_distribution(&Silent, &mut NumpyRng::new(&[0]), 0).unwrap_err().to_string();
    assert_eq!(none, "sequences: 0; expected at least 1");
}

#[test]
fn graphs_draw_what_they_declare() {
    let mut rng = NumpyRng::new(&[1]);
    let parents = vec![None, None, Some(0), Some(0), Some(1), None, Some(3), Some(6)];
    for alpha in [0.05, 0.5, 3.0] {
        let graph = CausalGraph::new(4, parents.clone(), alpha).unwrap();
        let check = check_distribution(&graph, &mut rng, 3000).unwrap();
        assert_eq!(check.declared, 3000 * 8);
    }
    let last = CausalGraph::new(4, parents, 0.5).unwrap().last_only();
    let batch = ihead::data::sample(&last, &mut rng, 20).unwrap();
    for i in 0..20 {
        let marks = batch.sequence(i).2;
        assert!(marks[..6].iter().all(|mark| *mark == 0) && marks[6] >= 1);
    }
}

#[test]
fn graphs_that_cannot_be_are_refused() {
    let error = |vocab, parents: &[Option<usize>], alpha| {
        CausalGraph::new(vocab, parents.to_vec(), alpha).err().unwrap().to_string()
    };
    assert_eq!(error(0, &[None, None], 1.0), "vocab: 0; expected 1 to 8192");
    assert_eq!(error(2, &[None], 1.0), "parents: 1 positions; expected at least 2");
    let late = error(2, &[None, Some(1)], 1.0);
    assert_eq!(late, "parents: position 1 has the parent 1; expected an earlier position");
    for alpha in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e308, 1.1e15] {
        let expected = "expected a positive number, at most 1e15";
        assert!(error(2, &[None, None], alpha).ends_with(expected), "{alpha}");
    }
}

#[test]
fn the_largest_alpha_gives_uniform_transitions() {
    let chain = CausalGraph::chain(3, 8, 1e15).unwrap();
    let mut distribution = [0.0; 3];
    assert!(chain.predict(&[0, 1, 0], &mut distribution));
    assert!(distribution.iter().all(|p| (p - 1.0 / 3.0).abs() < 1e-12), "{distribution:?}");
    check_distribution(&chain, &mut NumpyRng::new(&[0]), 1000).unwrap();
}

/// The library's own predictors had an index out of bounds.
#[test]
fn there_is_no_prediction_beyond_a_task() {
    let chain = CausalGraph::chain(3, 4, 1.0).unwrap();
    let predicts = |tokens: &[u32], vocab: usize| chain.predict(tokens, &mut vec![0.0; vocab]);
    assert!(predicts(&[0, 1, 2, 0], 3));
    assert!(!predicts(&[0, 1, 2, 0, 1], 3) && !predicts(&[0; 99], 3));
    assert!(!predicts(&[0, 3], 3) && !predicts(&[u32::MAX], 3));
    assert!(!predicts(&[0, 1], 2) && !predicts(&[0, 1], 0));
    for fixed_special_toks in [true, false] {
        let options = TriggerOptions { k: 2, seq_length: 4, fixed_special_toks, ..Default::default() };
        let data = Arc::new(BigramData::tiny_shakespeare());
        let task = TriggerTask::new(data, options).unwrap();
        assert!(!task.predict(&[1, 65], &mut [0.0; 65]) && !task.predict(&[1], &mut [0.0; 64]));
    }
}
