//! The paper's task: bigram text in which each trigger is always followed by the same output within a sequence
//! (section 3).

use std::sync::Arc;

use super::numpy::{Categorical, CategoricalRows, NumpyRng, WithoutReplacement, pairwise_sum};
use super::{Batch, BigramData, Task};
use crate::{Error, Result};

/// Settings of [`TriggerTask`], with the paper's defaults; the fields are those of `data_args`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerOptions {
    /// The number of triggers in a sequence.
    pub k: usize,
    /// The number of tokens of a sequence that the model reads.
    pub seq_length: usize,
    /// Whether a sequence begins with its k triggers.
    pub show_latents: bool,
    /// Whether the triggers are the same in every sequence: the k most frequent tokens.
    pub fixed_special_toks: bool,
    /// How many of the most frequent tokens are skipped before the fixed triggers.
    pub special_toks_offset: usize,
    /// Whether marks count the occurrences of a trigger (1, 2, ...); otherwise each of them is 1.
    pub output_counter: bool,
    /// Whether a trigger's output must differ from the trigger.
    pub no_repeat: bool,
    /// Whether outputs follow the bigram model instead of being uniform (`bigram_outs_train`, `bigram_outs_test`).
    pub bigram_outs: bool,
}

impl Default for TriggerOptions {
    fn default() -> Self {
        Self {
            k: 0,
            seq_length: 256,
            show_latents: false,
            fixed_special_toks: false,
            special_toks_offset: 0,
            output_counter: true,
            no_repeat: false,
            bigram_outs: false,
        }
    }
}

/// The paper's task: text drawn from bigrams, in which each trigger is always followed by its output.
///
/// A sequence follows the bigram model, except that each of its k triggers `q` is always followed by the same output
/// `o` within the sequence. After the first occurrence, `o` can therefore be predicted from the context. `marks[t]` is
/// the paper's `outs[t]`: how often the trigger at t has occurred so far, 0 where there is none, -1 on triggers shown
/// by `show_latents`.
///
/// ```
/// use std::sync::Arc;
/// use ihead::data::{BigramData, NumpyRng, TriggerOptions, TriggerTask, sample};
///
/// # fn main() -> ihead::Result<()> {
/// let data = Arc::new(BigramData::tiny_shakespeare());
/// let options = TriggerOptions { k: 2, fixed_special_toks: true, ..Default::default() };
/// let task = TriggerTask::new(data.clone(), options)?;
/// assert_eq!(data.decode(task.triggers().unwrap()), "e "); // the most frequent last
///
/// let batch = sample(&task, &mut NumpyRng::new(&[0]), 1)?;
/// let (x, y, marks) = batch.sequence(0);
/// let outputs: Vec<u32> = (0..256).filter(|&t| marks[t] > 0 && data.token(x[t]) == Some("e")).map(|t| y[t]).collect();
/// assert!(outputs.iter().all(|output| *output == outputs[0]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TriggerTask {
    data: Arc<BigramData>,
    options: TriggerOptions,
    triggers: Triggers,
    outputs: Outputs,
    first: Categorical,
    next: CategoricalRows,
}

#[derive(Clone, Debug)]
enum Triggers {
    Fixed(Vec<u32>),
    Drawn(WithoutReplacement),
}

#[derive(Clone, Debug)]
enum Outputs {
    Uniform,
    /// A row for each fixed trigger, or else for each token.
    Bigram(CategoricalRows),
}

/// What a token does in the current sequence.
#[derive(Clone, Copy)]
struct Role {
    /// What follows it always, or `NONE`.
    output: u32,
    /// The mark of its next occurrence.
    mark: i32,
}

impl Role {
    const NONE: Self = Self { output: u32::MAX, mark: 0 };
}

/// Working space of one sequence after the other.
struct Scratch {
    /// `[vocab]`, all `Role::NONE` between sequences.
    roles: Vec<Role>,
    /// `[k]`
    triggers: Vec<u32>,
    left: Vec<f64>,
}

impl TriggerTask {
    /// Makes the task on the bigrams of `data`.
    ///
    /// # Errors
    /// Options that contradict each other or the data; the error names the field, as in `k`.
    pub fn new(data: Arc<BigramData>, options: TriggerOptions) -> Result<Self> {
        validate(&data, &options)?;
        let triggers = if options.fixed_special_toks {
            let end = data.vocab() - options.special_toks_offset;
            Triggers::Fixed(data.by_rising_frequency()[end - options.k..end].to_vec())
        } else {
            Triggers::Drawn(WithoutReplacement::new(data.marginal())?)
        };
        let outputs = if options.bigram_outs {
            let every: Vec<u32> = (0..data.vocab() as u32).collect();
            let owners = if let Triggers::Fixed(fixed) = &triggers { fixed } else { &every };
            Outputs::Bigram(bigram_outputs(&data, owners, &options)?)
        } else {
            Outputs::Uniform
        };
        let first = Categorical::new(data.marginal())?;
        let next = CategoricalRows::new(data.cond_rows())?;
        Ok(Self { data, options, triggers, outputs, first, next })
    }

    /// Returns the bigram model of the text.
    pub fn data(&self) -> &Arc<BigramData> {
        &self.data
    }

    /// Returns the settings of the task.
    pub fn options(&self) -> &TriggerOptions {
        &self.options
    }

    /// Returns the triggers of every sequence, from the rarest to the most frequent; `None` if each sequence draws its own.
    pub fn triggers(&self) -> Option<&[u32]> {
        match &self.triggers {
            Triggers::Fixed(fixed) => Some(fixed),
            Triggers::Drawn(_) => None,
        }
    }

    fn scratch(&self) -> Scratch {
        Scratch {
            roles: vec![Role::NONE; self.data.vocab()],
            triggers: vec![0; self.options.k],
            left: Vec::new(),
        }
    }

    /// The output of the `i`-th trigger: `rng.choice(pool)`, or `rng.choice(pool, p=cond[trigger][pool] / sum)`.
    fn draw_output(&self, rng: &mut NumpyRng, i: usize, trigger: u32) -> u32 {
        let place = match &self.outputs {
            Outputs::Uniform => rng.below((self.data.vocab() - usize::from(self.options.no_repeat)) as u32),
            Outputs::Bigram(rows) => {
                let row = if self.options.fixed_special_toks { i } else { trigger as usize };
                rows.sample(row, rng)
            }
        };
        // The pool lists all tokens in order; without the trigger, those above it are one place further down.
        if self.options.no_repeat && place >= trigger { place + 1 } else { place }
    }

    /// The distribution of a trigger's output.
    fn output_distribution(&self, trigger: u32, distribution: &mut [f64]) {
        match self.outputs {
            Outputs::Uniform => distribution.fill(1.0),
            Outputs::Bigram(_) => distribution.copy_from_slice(self.data.cond(trigger)),
        }
        if self.options.no_repeat {
            distribution[trigger as usize] = 0.0;
        }
        normalise(distribution);
    }

    fn draw(&self, rng: &mut NumpyRng, scratch: &mut Scratch, tokens: &mut [u32], marks: &mut [i32]) {
        let Scratch { roles, triggers, left } = scratch;
        match &self.triggers {
            Triggers::Fixed(fixed) => triggers.copy_from_slice(fixed),
            Triggers::Drawn(drawn) => drawn.sample(rng, triggers, left),
        }
        for (i, &trigger) in triggers.iter().enumerate() {
            roles[trigger as usize] = Role { output: self.draw_output(rng, i, trigger), mark: 1 };
        }
        let shown = if self.options.show_latents { triggers.len() } else { 0 };
        tokens[..shown].copy_from_slice(&triggers[..shown]);
        marks[..shown].fill(-1);

        let step = i32::from(self.options.output_counter);
        let mut token = self.first.sample(rng);
        let last = marks.len();
        for (slot, mark) in tokens[shown..last].iter_mut().zip(&mut marks[shown..]) {
            *slot = token;
            let role = &mut roles[token as usize];
            if role.output == Role::NONE.output {
                token = self.next.sample(token as usize, rng);
            } else {
                *mark = role.mark;
                role.mark += step;
                token = role.output;
            }
        }
        tokens[last] = token;
        for trigger in triggers {
            roles[*trigger as usize] = Role::NONE;
        }
    }
}

impl Task for TriggerTask {
    fn vocab(&self) -> usize {
        self.data.vocab()
    }

    fn seq_length(&self) -> usize {
        self.options.seq_length
    }

    fn sequence(&self, rng: &mut NumpyRng, tokens: &mut [u32], marks: &mut [i32]) {
        self.draw(rng, &mut self.scratch(), tokens, marks);
    }

    fn fill(&self, rng: &mut NumpyRng, batch: &mut Batch) {
        let mut scratch = self.scratch();
        batch.draw_each(|tokens, marks| self.draw(rng, &mut scratch, tokens, marks));
    }

    fn name(&self) -> &str {
        "the bigram task with triggers"
    }

    /// Exact where the triggers are known: without triggers, with fixed ones, or where a sequence shows them first.
    /// A trigger that has not occurred yet has the distribution of outputs, one that has occurred its output. After tokens beyond
    /// the vocabulary there is no prediction.
    fn predict(&self, tokens: &[u32], distribution: &mut [f64]) -> bool {
        let vocab = self.vocab();
        if distribution.len() != vocab || tokens.iter().any(|x| *x as usize >= vocab) {
            return false;
        }
        let shown = if self.options.show_latents { self.options.k } else { 0 };
        let triggers = match &self.triggers {
            Triggers::Fixed(fixed) => fixed,
            Triggers::Drawn(_) => &tokens[..shown.min(tokens.len())],
        };
        match (tokens[shown.min(tokens.len())..].split_last(), &self.triggers) {
            (None, Triggers::Fixed(fixed)) if tokens.len() < shown => {
                distribution[fixed[tokens.len()] as usize] = 1.0
            }
            (None, Triggers::Drawn(_)) if tokens.len() < shown => {
                distribution.copy_from_slice(self.data.marginal());
                tokens.iter().for_each(|found| distribution[*found as usize] = 0.0);
                normalise(distribution);
            }
            (None, _) => distribution.copy_from_slice(self.data.marginal()),
            (Some(_), _) if triggers.len() < self.options.k => return false,
            (Some((last, _)), _) if !triggers.contains(last) => {
                distribution.copy_from_slice(self.data.cond(*last))
            }
            (Some((trigger, before)), _) => match before.iter().position(|token| token == trigger) {
                Some(at) => distribution[tokens[shown + at + 1] as usize] = 1.0,
                None => self.output_distribution(*trigger, distribution),
            },
        }
        true
    }

    fn token_name(&self, token: u32) -> String {
        self.data.token(token).map_or_else(|| token.to_string(), str::to_owned)
    }

    fn fixed_triggers(&self) -> Option<&[u32]> {
        self.triggers()
    }
}

/// `p / p.sum()`.
fn normalise(p: &mut [f64]) {
    let sum: f64 = p.iter().sum();
    p.iter_mut().for_each(|p| *p /= sum);
}

/// `p = cond[trigger][pool]; p / p.sum()` for each possible trigger; the pool is all tokens, or all but the trigger.
fn bigram_outputs(data: &BigramData, triggers: &[u32], options: &TriggerOptions) -> Result<CategoricalRows> {
    let mut rows = Vec::with_capacity(triggers.len());
    for &trigger in triggers {
        let mut pool = data.cond(trigger).to_vec();
        if options.no_repeat {
            pool.remove(trigger as usize);
        }
        let sum = pairwise_sum(&pool);
        if sum <= 0.0 {
            let name = data.token(trigger).unwrap_or_default();
            let found = format!("True, but {name:?} is only ever followed by itself");
            return Err(Error::value("no_repeat", found, "False with bigram outputs"));
        }
        pool.iter_mut().for_each(|p| *p /= sum);
        rows.push(pool);
    }
    CategoricalRows::new(rows)
}

fn validate(data: &BigramData, options: &TriggerOptions) -> Result<()> {
    let &TriggerOptions { k, seq_length, show_latents, special_toks_offset: offset, .. } = options;
    let vocab = data.vocab();
    let drawable = data.marginal().iter().filter(|p| **p > 0.0).count();
    if seq_length == 0 {
        return Err(Error::value("seq_length", 0, "at least 1"));
    }
    if k > vocab {
        return Err(Error::value("k", k, format!("at most the {vocab} tokens of the data")));
    }
    if options.fixed_special_toks {
        if offset > vocab - k {
            let most = vocab - k;
            let expected = format!("at most {most}, so that {k} of {vocab} tokens are left to be triggers");
            return Err(Error::value("special_toks_offset", offset, expected));
        }
    } else if k > drawable {
        return Err(Error::value("k", k, format!("at most the {drawable} tokens that occur")));
    }
    if show_latents && k > seq_length {
        let expected = format!("at most seq_length = {seq_length}, since show_latents begins with them");
        return Err(Error::value("k", k, expected));
    }
    if options.no_repeat && k > 0 && vocab < 2 {
        return Err(Error::value("no_repeat", "True", "False, as the data has a single token"));
    }
    Ok(())
}
