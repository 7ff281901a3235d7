//! A program that has nothing to do with transformers: settings, help, completions and sweeps come from `Config` alone.
//!
//! It rolls a ball down Rosenbrock's valley, `(1 - x)^2 + 100 (y - x^2)^2`, whose lowest point is (1, 1).
//!
//! ```text
//! cargo run --release --example settings -- --help
//! cargo run --release --example settings -- learning_rate=1e-3 --explain
//! cargo run --release --example settings -- save_dir=runs/valley steps=2000 \
//!     --sweep 'learning_rate=logspace(1e-4,1e-2,5)' 'momentum=0,0.9' --jobs 2
//! ```
//!
//! Measured: 10 runs, of which four leave the valley (their learning rate is too large) and are named at the end; of the others
//! learning rate 0.001 with momentum 0.9 comes nearest to the lowest point.
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ihead::config::{Derived, Problem};
use ihead::{Config, Error, Result};

/// Goes down a valley.
#[derive(Config)]
#[config(warn = Args::idle, derive = Args::derived)]
struct Args {
    /// Steps.
    #[config(default = 1000, min = 1)]
    steps: usize,
    /// Learning rate.
    #[config(default = 1e-3, above = 0)]
    learning_rate: f64,
    /// Share of the last step that is taken again.
    #[config(default = 0.9, min = 0, below = 1)]
    momentum: f64,
    /// How far from the origin the ball starts, in a direction that the seed decides.
    #[config(default = 1, min = 0)]
    radius: f64,
    /// Seed of the starting point.
    #[config(default = 0)]
    seed: u64,
    /// Steps between two records.
    #[config(default = 100, min = 1)]
    every: usize,
    /// Folder of the records, res.jsonl; none are written without it.
    save_dir: Option<PathBuf>,
}

impl Args {
    fn idle(&self) -> Vec<Problem> {
        let beyond = self.every > self.steps && self.save_dir.is_some();
        let why = format!("has no effect: the run ends at steps={} before the second record", self.steps);
        if beyond { vec![Problem::new("every", why)] } else { vec![] }
    }

    fn derived(&self) -> Vec<Derived> {
        vec![Derived::new("records", self.steps.div_ceil(self.every), "steps divided by every")]
    }

    /// The starting point: an angle from the seed, by the golden ratio.
    fn start(&self) -> [f64; 2] {
        let turn = (self.seed as f64 * 0.618_033_988_749_894_9).fract();
        let angle = std::f64::consts::TAU * (turn + 0.25);
        [self.radius * angle.cos(), self.radius * angle.sin()]
    }
}

fn height([x, y]: [f64; 2]) -> f64 {
    (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2)
}

fn slope([x, y]: [f64; 2]) -> [f64; 2] {
    let wall = y - x * x;
    [-2.0 * (1.0 - x) - 400.0 * x * wall, 200.0 * wall]
}

/// A JSON line at each record.
struct Records {
    file: File,
    path: PathBuf,
}

impl Records {
    fn create(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(|e| Error::io("create", dir, e))?;
        let path = dir.join("res.jsonl");
        let file = File::create(&path).map_err(|e| Error::io("write", &path, e))?;
        Ok(Self { file, path })
    }

    fn write(&mut self, step: usize, at: [f64; 2]) -> Result<()> {
        let line = serde_json::json!({ "iter": step, "height": height(at), "x": at[0], "y": at[1] });
        writeln!(self.file, "{line}").map_err(|e| Error::io("write", &self.path, e))
    }
}

fn main() -> ExitCode {
    ihead::main(run)
}

fn run(args: Args) -> Result<()> {
    let mut records = args.save_dir.as_deref().map(Records::create).transpose()?;
    let (mut at, mut speed) = (args.start(), [0.0; 2]);
    for step in 0..args.steps {
        if step % args.every == 0
            && let Some(records) = &mut records
        {
            records.write(step, at)?;
        }
        let slope = slope(at);
        for axis in 0..2 {
            speed[axis] = args.momentum * speed[axis] - args.learning_rate * slope[axis];
            at[axis] += speed[axis];
        }
        if !height(at).is_finite() {
            return Err(Error::config("learning_rate", format!("the ball left the valley at step {step}")));
        }
    }
    ihead::output::line(format_args!("height {:.6} at ({:.3}, {:.3})", height(at), at[0], at[1]))
}
