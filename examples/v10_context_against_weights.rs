//! Variation 10. Does learning in context last? (Singh and others 2023, "The Transient Nature of Emergent In-Context Learning".)
//! Pairs of an item and its label; the last item stands in the context, so that its label can be copied from there or known
//! by heart (the loss counts it alone). Two tests tell which: labels that are others in this sequence alone, and items that the context lacks.
//!
//! ```text
//! cargo run --release --example v10_context_against_weights
//! ```
//!
//! Reached after 3000 steps, means over three seeds with their standard errors, of 24 equally frequent items: where the context alone
//! tells the label, the accuracy rises to 0.516 +- 0.106 about step 530 and falls back to 0.258 +- 0.052 (chance 0.125), while what is known by
//! heart rises to 0.728 +- 0.097. With Zipf's frequencies: 0.458 +- 0.201, back to 0.270 +- 0.142, and 0.681 +- 0.175. So it is transient, as
//! reported; Zipf's law makes no difference that these seeds could show. With 32 items or more it lasts (one seed, `items=32`: 0.973 at
//! the end, by heart 0.102), with 16 it hardly begins (0.070 at most). 72 s of CPU time for the six runs (AMD EPYC, one busy core).
use std::{process::ExitCode, sync::Arc};

use ihead::prelude::*;
use ihead::sweep::estimate;

/// Trains on bursty pairs, with items that are equally frequent and with items that follow Zipf's law.
#[derive(Config)]
struct Args {
    /// Training steps of each run.
    #[config(default = 3000, min = 1)]
    steps: usize,
    /// Runs of each kind.
    #[config(default = 3, min = 1)]
    seeds: u64,
    /// Different items.
    #[config(default = 24, min = 2, max = 65536)]
    items: u32,
}

const LABELS: u32 = 8;
const PAIRS: usize = 8;

/// What tells the label of the last item.
#[derive(PartialEq)]
enum Told {
    /// The context, and the item too.
    Both,
    /// The context alone: all labels of this sequence are others than usual.
    Context,
    /// The item alone: the context has others.
    Item,
}

/// Pairs of an item and its label, among which the last item and another one come often.
struct Pairs {
    /// Item `i` is drawn in proportion to `(i + 1)^-zipf`.
    zipf: f64,
    told: Told,
    items: u32,
}

impl Task for Pairs {
    fn vocab(&self) -> usize {
        (self.items + LABELS) as usize
    }
    fn seq_length(&self) -> usize {
        2 * PAIRS + 1
    }
    fn sequence(&self, rng: &mut NumpyRng, tokens: &mut [u32], marks: &mut [i32]) {
        let weights: Vec<f64> = (1..=self.items).map(|i| f64::from(i).powf(-self.zipf)).collect();
        let distribution: Vec<f64> = weights.iter().map(|w| w / weights.iter().sum::<f64>()).collect();
        let query = rng.weighted(&distribution);
        let another = |rng: &mut NumpyRng| (query + 1 + rng.below(self.items - 1)) % self.items;
        let other = another(rng);
        let often = [if self.told == Told::Item { other } else { query }, other];
        let shift = if self.told == Told::Context { 1 + rng.below(LABELS - 1) } else { 0 };
        for p in 0..=PAIRS {
            let item = match (p, rng.random() < 0.5) {
                (PAIRS, _) => query,
                (0, _) => often[0],
                (_, true) => often[rng.below(2) as usize],
                (_, false) => another(rng),
            };
            (tokens[2 * p], tokens[2 * p + 1]) = (item, self.items + (item + shift) % LABELS);
            marks[2 * p] = 1 + i32::from(p == PAIRS);
        }
    }
}

fn main() -> ExitCode {
    ihead::main(run)
}

fn run(args: Args) -> Result<()> {
    let mut table = Table::new(["Zipf", "best in context", "at step", "in context", "by heart", "both"]);
    for zipf in [0.0, 1.0] {
        let mut found = [const { vec![] }; 5];
        for seed in 0..args.seeds {
            let task = |told| Pairs { zipf, told, items: args.items };
            let options = BatchOptions { batch_size: 32, seed, workers: 1 };
            let sizes = TransformerArgs { max_length: 2 * PAIRS + 1, dim: 64, ..Config::defaults() };
            let model = Transformer::new(task(Told::Both).vocab(), &sizes)?.init(seed);
            let mut run = Run::new(model, Batches::new(Arc::new(task(Told::Both)), options)?)
                .optim(AdamW::new(0.001))
                .loss(Loss::next_token().over(Select::marks(2..)))
                .every(50);
            for (name, told) in [("context", Told::Context), ("item", Told::Item), ("both", Told::Both)] {
                let test = sample(&task(told), &mut NumpyRng::new(&[7]), 256)?;
                run = run.on(&test, [Metric::accuracy(name).over(Select::marks(2..))]);
            }
            let history = run.quiet().train(args.steps)?;
            let curve = history.column("context")?;
            let (step, best) = curve.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default();
            let [context, item, both] = ["context", "item", "both"].map(|name| history.last(name));
            let numbers = [best, step as f64, context?, item?, both?];
            numbers.into_iter().zip(&mut found).for_each(|(number, all)| all.push(number));
        }
        table.labelled(&zipf, found.iter().map(|numbers| estimate(numbers, 0.95)));
    }
    ihead::output::line(&table)
}
