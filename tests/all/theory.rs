//! The closed forms of the theorem on single gradient steps against gradients of sampled sequences.
use ihead::data::{NumpyRng, sample};
use ihead::nn::ModuleExt;
use ihead::paper::theory::{Embeddings, SingleTrigger, TwoSteps};
use ihead::probe::Select;
use ihead::run::gradients;
use ihead::train::Loss;

type Model = TwoSteps<usize, usize, usize>;

const FIRST_KEY: &str = "layers.0.attention.wk.weight";
const SECOND_KEY: &str = "layers.1.attention.wk.weight";
const OUTPUT: &str = "layers.1.attention.wo.weight";

/// Tokens, and positions of a sequence: different, so that neither stands for the other.
const N: usize = 7;
const T: usize = 10;
const DRAWS: usize = 24;
const SEQUENCES: usize = 3000;

fn setting() -> SingleTrigger {
    SingleTrigger::new(N, T).unwrap()
}

fn model() -> Model {
    TwoSteps::new(N, T, T, Embeddings::OneHot, 0).unwrap()
}

/// Minus the gradients of a parameter over several draws of sequences, `[draws][T * T]`.
fn directions(model: &Model, name: &str) -> Vec<Vec<f64>> {
    let mut rng = NumpyRng::new(&[11]);
    let draw = |_| {
        let batch = sample(&setting(), &mut rng, SEQUENCES).unwrap();
        let found = gradients(model, &batch, &Loss::next_token().over(Select::marks(2..))).unwrap();
        found.of(name).unwrap().values.iter().map(|g| -f64::from(*g)).collect()
    };
    (0..DRAWS).map(draw).collect()
}

/// Fails unless the means are `expected` up to their errors: entry by entry, and all together.
fn check(found: &[Vec<f64>], expected: impl Fn(usize, usize) -> f64, (rows, cols): (usize, usize)) {
    let draws = DRAWS as f64;
    let (mut squares, mut n) = (0.0, 0.0);
    for (r, c) in (0..rows).flat_map(|r| (0..cols).map(move |c| (r, c))) {
        let values = || found.iter().map(|draw| draw[r * T + c]);
        let mean = values().sum::<f64>() / draws;
        let variance = values().map(|v| (v - mean).powi(2)).sum::<f64>() / (draws - 1.0);
        let (error, off) = ((variance / draws).sqrt(), mean - expected(r, c));
        if variance == 0.0 {
            assert!(off.abs() < 1e-12, "({r}, {c}): {mean}, expected {}", expected(r, c));
            continue;
        }
        let z = off / error;
        assert!(z.abs() < 6.0, "({r}, {c}): {mean} +- {error}, expected {}", expected(r, c));
        (squares, n) = (squares + z * z, n + 1.0);
    }
    // of a Student variable with 23 degrees of freedom, z^2 is 1.1 on average; entries are not independent
    let spread = squares / n;
    assert!((0.4..2.0).contains(&spread), "z^2 is {spread} on average over {n} entries");
}

/// Sets a square matrix to `diagonal` on its first `rows` diagonal entries.
fn set(model: &mut Model, name: &str, diagonal: f64, rows: usize) {
    let write = |values: &mut [f32]| (0..rows).for_each(|i| values[i * T + i] = diagonal as f32);
    model.update(name, &mut { write }).unwrap();
}

#[test]
fn the_first_step_is_the_closed_form() {
    let step = setting().output_step();
    let expected = step.matrix(N);
    check(&directions(&model(), OUTPUT), |j, k| expected[j][k], (N, N));
}

/// A first step so small that the predictions stay uniform; what is compared is proportional to it.
const SMALL: f64 = 1e-3;

#[test]
fn the_second_step_is_the_closed_form() {
    let mut model = model();
    set(&mut model, OUTPUT, SMALL, N);
    let step = setting().second_key_step(SMALL);
    let expected = |a, b| if a == b { step.diagonal } else { step.off_diagonal };
    check(&directions(&model, SECOND_KEY), expected, (N, N));
}

#[test]
fn the_third_step_is_the_closed_form_however_large_the_second_was() {
    for keys in [0.5, 20.0] {
        let mut model = model();
        set(&mut model, OUTPUT, SMALL, N);
        set(&mut model, SECOND_KEY, keys, N);
        let step = setting().first_key_step(SMALL, keys);
        check(&directions(&model, FIRST_KEY), |t, s| step[t][s], (T, T));
    }
}

#[test]
fn in_the_reverse_order_the_keys_have_no_gradient() {
    let zero = |model: &Model, name: &str| {
        assert!(directions(model, name).iter().flatten().all(|g| *g == 0.0), "{name}");
    };
    // without an output nothing pulls on the attention of layer 1, whatever its keys are
    let mut keyed = model();
    set(&mut keyed, SECOND_KEY, 5.0, N);
    zero(&keyed, SECOND_KEY);
    zero(&keyed, FIRST_KEY);
    // without keys in layer 1 it does not matter what layer 0 reads
    let mut written = model();
    set(&mut written, OUTPUT, 1.0, N);
    zero(&written, FIRST_KEY);
}

#[test]
fn settings_that_make_no_sequence_are_refused() {
    assert_eq!(
        SingleTrigger::new(1, 2).unwrap_err().to_string(),
        "vocab and seq: 1 tokens in sequences of 2; expected at least 2 in at least 3"
    );
    assert_eq!(
        TwoSteps::new(32, 8, 16, Embeddings::OneHot, 0).err().unwrap().to_string(),
        "dim: 16; expected 32 or more for one-hot embeddings of so many rows"
    );
}
