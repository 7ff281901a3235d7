//! Variation 7. Do single gradient steps make an induction head, as the theorem says, and when embeddings are random?
//!
//! ```text
//! cargo run --release --example v7_theory
//! ```
//!
//! With one-hot embeddings: recalls 1.000 (W_O^2), 1.000 (W_K^2), 0.968 (W_K^1: 30 of 31 positions), accuracy 0.982. With random
//! embeddings of dim 32, 64, 128, 256: accuracy 0.185, 0.532, 0.705, 0.829; the recall of W_K^1 is 0.258 to 0.774.
//! 45 s on two busy cores (15 s of CPU time). `dims=[512,1024]`: 0.976 and 0.980, in 26 s of processor time more.
//!
//! Exact: in the reverse order the keys' gradients are zero (`tests/all/theory.rs`).
use ihead::Config;
use ihead::config::Problem;
use ihead::data::{NumpyRng, sample};
use ihead::nn::ModuleExt;
use ihead::paper::theory::{Embeddings, SingleTrigger, TwoSteps};
use ihead::probe::{Metric, Select};
use ihead::recall;
use ihead::run::{Cell, Table, gradients, measure};
use ihead::train::Loss;

/// Single gradient steps against the theorem.
#[derive(Config)]
#[config(validate = Args::sizes)]
struct Args {
    /// Tokens, and tokens of a sequence.
    #[config(default = 32, min = 4, max = 4096)]
    size: usize,
    /// Sequences of a step.
    #[config(default = 40000, min = 1)]
    sequences: usize,
    /// Widths of random embeddings.
    #[config(default = vec![32, 64, 128, 256])]
    dims: Vec<usize>,
}

impl Args {
    fn sizes(&self) -> Vec<Problem> {
        let wrong = self.dims.iter().filter(|dim| !(1..=65_536).contains(*dim));
        let widths = wrong.map(|dim| Problem::new("dims", format!("{dim}; expected widths from 1 to 65536")));
        let most = (1 << 28) / self.size; // so many tokens are in the largest batch
        let many = (self.sequences > most).then(|| {
            let text = format!("{}; expected at most {most} of size={}", self.sequences, self.size);
            Problem::new("sequences", text)
        });
        widths.chain(many).collect()
    }
}

type Model = TwoSteps<usize, usize, usize>;

fn main() -> std::process::ExitCode {
    ihead::main(run)
}

fn run(args: Args) -> ihead::Result<()> {
    let n = args.size;
    let mut table = Table::new(["embeddings", "dim", "wo1", "wk1", "wk0", "accuracy", "off theory", "", ""]);
    let one_hot = TwoSteps::new(n, n, n, Embeddings::OneHot, 0)?;
    table.cells(&steps("one-hot", one_hot, &args)?.each_ref().map(|cell| cell as &dyn Cell));
    for &dim in &args.dims {
        let random = TwoSteps::new(n, n, dim, Embeddings::Random, 1)?;
        table.cells(&steps("random", random, &args)?.each_ref().map(|cell| cell as &dyn Cell));
    }
    ihead::output::line(&table)?;
    Ok(())
}

/// A step each on `W_O^2`, `W_K^2` and `W_K^1`; then what is recalled, what is predicted of new sequences, and how far each
/// gradient of one-hot embeddings was from its closed form.
fn steps(embeddings: &str, mut model: Model, args: &Args) -> ihead::Result<[String; 9]> {
    let (n, mut rng) = (args.size, NumpyRng::new(&[0]));
    let setting = SingleTrigger::new(n, n)?;
    let batch = sample(&setting, &mut rng, args.sequences)?;
    let (output, first) = (setting.output_step(), (n * n) as f64);
    let keys = setting.second_key_step(first * output.contrast());
    let second = 20.0 / keys.diagonal;
    let back = setting.first_key_step(first * output.contrast(), second * keys.contrast());
    let third = 20.0 * n as f64 / (1..n).map(|t| back[t][t - 1]).sum::<f64>();
    let steps = [
        ("layers.1.attention.wo.weight", first, output.matrix(n)),
        ("layers.1.attention.wk.weight", second, keys.matrix(n)),
        ("layers.0.attention.wk.weight", third, back),
    ];
    let mut row = vec![embeddings.to_string(), model.pe.shape().1.to_string()];
    let mut off = Vec::new();
    for (name, size, theory) in steps {
        let gradient =
            gradients(&model, &batch, &Loss::next_token().over(Select::marks(2..)))?.of(name)?.values.clone();
        let step = |(value, slope): (&mut f32, &f32)| *value -= (size * f64::from(*slope)) as f32;
        model.update(name, &mut |values| values.iter_mut().zip(&gradient).for_each(step))?;
        let theory: Vec<f64> = theory.concat();
        let apart: f64 = theory.iter().zip(&gradient).map(|(a, b)| (a + f64::from(*b)).powi(2)).sum();
        let share = (apart / theory.iter().map(|a| a * a).sum::<f64>()).sqrt();
        off.push(if embeddings == "one-hot" { format!("{share:.3}") } else { "-".into() });
    }
    for recall in [
        recall!("wo1: tok_embeddings -> layers.1.attention.wo -> output => self"),
        recall!("wk1: tok_embeddings ~ tok_embeddings -> layers.1.attention.wk => self"),
        recall!("wk0: pe ~ pe -> layers.0.attention.wk => previous"),
    ] {
        row.push(format!("{:.3}", recall.evaluate(&model)?.share().unwrap_or(f64::NAN)));
    }
    let test = sample(&setting, &mut rng, 4000)?;
    let accuracy = Metric::accuracy("accuracy").over(Select::marks(2..));
    row.push(format!("{:.3}", measure(&model, [accuracy], &test)?.get("accuracy").unwrap_or(f64::NAN)));
    row.extend(off);
    Ok(std::array::from_fn(|i| row[i].clone()))
}
