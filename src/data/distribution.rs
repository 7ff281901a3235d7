//! Checks that a task draws from the distribution that it declares.
use super::{NumpyRng, Task, sample};
use crate::{Error, Result};

/// The chance of calling a right distribution wrong, over all comparisons together.
const FALSE_ALARMS: f64 = 1e-6;
/// Intervals of declared probability that are compared: `[0, 0.05)`, ..., `[0.95, 1]`.
const INTERVALS: usize = 20;
/// With more tokens than this, pairs of tokens are not compared one by one.
const MOST_PAIRED_TOKENS: usize = 1024;

/// The result of [`check_distribution`]: how much was compared, and both log-losses.
#[derive(Clone, Debug, PartialEq)]
pub struct DistributionCheck {
    /// The number of tokens drawn, including the first of each sequence.
    pub tokens: usize,
    /// The number of tokens for which the task declared a distribution.
    pub declared: usize,
    /// The mean log-loss that the distribution expects, in nats a token: its entropy.
    pub entropy: f64,
    /// The mean log-loss of the drawn tokens under the distribution.
    pub log_loss: f64,
}

/// Compares what `task` draws with the distribution that it declares ([`Task::predict`]), over `sequences` sequences.
///
/// Four comparisons, each of a sum of draws with its mean and variance under the distribution (a martingale, so that Bernstein's
/// inequality bounds the chance of its deviation, `2 exp(-x^2 / (2 (variance + x / 3)))`; all comparisons
/// together give a false alarm with a probability below 1e-6): how often each token comes; how often each token follows each
/// other, in a vocabulary of at most 1024 tokens; how often tokens come whose declared probability lies in an interval
/// (calibration); and the log-loss, over all and at each position. The more sequences, the smaller the error that is found:
/// about 30,000 tokens for an error of 2 % of a coin.
///
/// # Errors
/// If the declared probabilities are negative or do not sum to 1, if they exclude a token that was drawn, if a comparison fails
/// (the message names the one that fails most clearly, with both numbers), if the task declares no distribution at all, if
/// there are no sequences, or those of [`sample`].
///
/// ```
/// use ihead::data::{NumpyRng, Task, check_distribution};
///
/// /// A coin that shows 1 with this probability, and says so or not.
/// struct Coin {
///     p: f64,
///     declared: f64,
/// }
///
/// impl Task for Coin {
///     fn vocab(&self) -> usize { 2 }
///     fn seq_length(&self) -> usize { 32 }
///     fn sequence(&self, rng: &mut NumpyRng, tokens: &mut [u32], _: &mut [i32]) {
///         tokens.fill_with(|| u32::from(rng.random() < self.p));
///     }
///     fn predict(&self, _: &[u32], distribution: &mut [f64]) -> bool {
///         distribution.copy_from_slice(&[1.0 - self.declared, self.declared]);
///         true
///     }
///     fn name(&self) -> &str { "a coin" }
/// }
///
/// let mut rng = NumpyRng::new(&[0]);
/// let check = check_distribution(&Coin { p: 0.3, declared: 0.3 }, &mut rng, 2000)?;
/// assert!((check.log_loss - check.entropy).abs() < 0.01);
/// let wrong = check_distribution(&Coin { p: 0.3, declared: 0.32 }, &mut rng, 2000).unwrap_err().to_string();
/// assert!(wrong.starts_with("the distribution of a coin is off: "), "{wrong}");
/// # Ok::<(), ihead::Error>(())
/// ```
pub fn check_distribution(
    task: &dyn Task,
    rng: &mut NumpyRng,
    sequences: usize,
) -> Result<DistributionCheck> {
    if sequences == 0 {
        return Err(Error::value("sequences", 0, "at least 1"));
    }
    let batch = sample(task, rng, sequences)?;
    let mut sums = Sums::new(task);
    for i in 0..batch.batch {
        let (x, y, _) = batch.sequence(i);
        let tokens: Vec<u32> = x.iter().chain(y.last()).copied().collect();
        for t in 0..tokens.len() {
            sums.see(&tokens[..t], tokens[t])?;
        }
    }
    sums.verdict(batch.batch * (batch.seq + 1))
}

/// A sum of draws minus its mean under the distribution: a martingale.
#[derive(Clone, Copy, Default)]
struct Sum {
    drawn: f64,
    expected: f64,
    variance: f64,
    /// The largest step away from the mean.
    step: f64,
}

impl Sum {
    fn add(&mut self, drawn: f64, expected: f64, variance: f64, step: f64) {
        self.drawn += drawn;
        self.expected += expected;
        self.variance += variance;
        self.step = self.step.max(step);
    }

    /// Counts an event of probability `p`.
    fn count(&mut self, happened: bool, p: f64) {
        self.add(f64::from(u8::from(happened)), p, p * (1.0 - p), 1.0);
    }

    /// Minus the logarithm of a bound on the chance of such a deviation under the distribution.
    fn evidence(&self) -> f64 {
        // rounding of the sums is no deviation
        let x = ((self.drawn - self.expected).abs() - 1e-9 * (1.0 + self.expected.abs())).max(0.0);
        if x == 0.0 { 0.0 } else { x * x / (2.0 * (self.variance + self.step * x / 3.0)) - 2_f64.ln() }
    }
}

/// All comparisons of one check.
struct Sums<'a> {
    task: &'a dyn Task,
    distribution: Vec<f64>,
    by_token: Vec<Sum>,
    /// `[token before, token]`; empty with many tokens.
    by_pair: Vec<Sum>,
    by_interval: Vec<Sum>,
    /// The log-loss by position.
    losses: Vec<Sum>,
    loss: Sum,
    declared: usize,
}

impl<'a> Sums<'a> {
    fn new(task: &'a dyn Task) -> Self {
        let vocab = task.vocab();
        let pairs = if vocab > MOST_PAIRED_TOKENS { 0 } else { vocab * vocab };
        Sums {
            task,
            distribution: vec![0.0; vocab],
            by_token: vec![Sum::default(); vocab],
            by_pair: vec![Sum::default(); pairs],
            by_interval: vec![Sum::default(); INTERVALS],
            losses: vec![Sum::default(); task.seq_length() + 1],
            loss: Sum::default(),
            declared: 0,
        }
    }

    fn see(&mut self, prefix: &[u32], token: u32) -> Result<()> {
        self.distribution.fill(0.0);
        if !self.task.predict(prefix, &mut self.distribution) {
            return Ok(());
        }
        self.declared += 1;
        self.check_distribution(prefix, token)?;
        let mut intervals = [0.0; INTERVALS];
        let interval = |p: f64| ((p * INTERVALS as f64) as usize).min(INTERVALS - 1);
        for (v, &p) in self.distribution.iter().enumerate() {
            let drawn = v == token as usize;
            self.by_token[v].count(drawn, p);
            let before = prefix.last().map(|before| *before as usize * self.distribution.len());
            if let Some(sum) = before.and_then(|row| self.by_pair.get_mut(row + v)) {
                sum.count(drawn, p);
            }
            intervals[interval(p)] += p;
        }
        let drawn = interval(self.distribution[token as usize]);
        for (i, (sum, p)) in self.by_interval.iter_mut().zip(intervals).enumerate() {
            sum.count(i == drawn, p.min(1.0));
        }
        let losses = || self.distribution.iter().filter(|p| **p > 0.0).map(|p| (*p, -p.ln()));
        let entropy: f64 = losses().map(|(p, loss)| p * loss).sum();
        let variance: f64 = losses().map(|(p, loss)| p * (loss - entropy).powi(2)).sum();
        let step = losses().map(|(_, loss)| (loss - entropy).abs()).fold(0.0, f64::max);
        let loss = -self.distribution[token as usize].ln();
        self.loss.add(loss, entropy, variance, step);
        self.losses[prefix.len()].add(loss, entropy, variance, step);
        Ok(())
    }

    /// Refuses probabilities that are negative or do not sum to 1, and those that exclude what was drawn.
    fn check_distribution(&self, prefix: &[u32], token: u32) -> Result<()> {
        let (name, at) = (self.task.name(), prefix.len());
        let after =
            || prefix.last().map_or(String::new(), |t| format!(" after {:?}", self.task.token_name(*t)));
        let sum: f64 = self.distribution.iter().sum();
        if let Some(v) = self.distribution.iter().position(|p| !(0.0..=1.0 + 1e-9).contains(p)) {
            let p = self.distribution[v];
            let v = self.task.token_name(v as u32);
            let place = format!("the distribution of {name} at position {at}{}, token {v:?}", after());
            return Err(Error::value(place, p, "a probability"));
        }
        if (sum - 1.0).abs() > 1e-9 {
            let place = format!("the distribution of {name} at position {at}{}", after());
            return Err(Error::value(place, format!("sums to {sum}"), "1"));
        }
        if self.distribution[token as usize] <= 0.0 {
            let token = self.task.token_name(token);
            let place = format!("the distribution of {name} at position {at}{}", after());
            let found = format!("excludes token {token:?}, which was drawn");
            return Err(Error::value(place, found, "a probability above 0"));
        }
        Ok(())
    }

    fn verdict(self, tokens: usize) -> Result<DistributionCheck> {
        let name = self.task.name();
        if self.declared == 0 {
            let found = "not declared: `predict` returned false for every prefix";
            return Err(Error::value(format!("the distribution of {name}"), found, "true for some"));
        }
        let token = |v: usize| format!("{:?}", self.task.token_name(v as u32));
        let vocab = self.distribution.len();
        let counts = (self.by_token.iter().enumerate())
            .map(|(v, sum)| (sum, format!("token {} comes", token(v))))
            .chain(self.by_pair.iter().enumerate().map(|(i, sum)| {
                (sum, format!("token {} comes after {}", token(i % vocab), token(i / vocab)))
            }))
            .chain(self.by_interval.iter().enumerate().map(|(i, sum)| {
                let (low, high) = (i as f64 / INTERVALS as f64, (i + 1) as f64 / INTERVALS as f64);
                (sum, format!("a token of declared probability {low:.2} to {high:.2} comes"))
            }));
        let losses = std::iter::once((&self.loss, "the log-loss is".to_string())).chain(
            self.losses.iter().enumerate().map(|(t, s)| (s, format!("the log-loss at position {t} is"))),
        );
        let comparisons = vocab + self.by_pair.len() + INTERVALS + 1 + self.losses.len();
        let limit = (comparisons as f64 / FALSE_ALARMS).ln();
        let worst = counts
            .map(|(sum, what)| (sum, what, "times"))
            .chain(losses.map(|(sum, what)| (sum, what, "nats in all")))
            .max_by(|a, b| a.0.evidence().total_cmp(&b.0.evidence()));
        match worst {
            Some((sum, what, unit)) if sum.evidence() > limit => {
                let (drawn, expected) = (sum.drawn, sum.expected);
                Err(Error::value(
                    format!("the distribution of {name} is off"),
                    format!("{what} {drawn:.1} {unit}"),
                    format!("{expected:.1}, as declared"),
                ))
            }
            _ => {
                let mean = |sum: f64| sum / self.declared as f64;
                let (entropy, log_loss) = (mean(self.loss.expected), mean(self.loss.drawn));
                Ok(DistributionCheck { tokens, declared: self.declared, entropy, log_loss })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{INTERVALS, Sum, Sums};
    use crate::data::{NumpyRng, Task};

    /// Three tokens of fixed chances.
    struct Die;

    impl Task for Die {
        fn vocab(&self) -> usize {
            3
        }

        fn seq_length(&self) -> usize {
            4
        }

        fn sequence(&self, _: &mut NumpyRng, _: &mut [u32], _: &mut [i32]) {}

        fn predict(&self, _: &[u32], distribution: &mut [f64]) -> bool {
            distribution.copy_from_slice(&[0.5, 0.25, 0.25]);
            true
        }
    }

    #[test]
    fn a_draw_counts_for_its_token_the_pair_its_probability_and_its_position() {
        let mut sums = Sums::new(&Die);
        sums.see(&[0, 2], 1).unwrap();
        let drawn = |sums: &[Sum]| sums.iter().map(|sum| sum.drawn).collect::<Vec<_>>();
        let expected = |sums: &[Sum]| sums.iter().map(|sum| sum.expected).collect::<Vec<_>>();
        assert_eq!(
            (drawn(&sums.by_token), expected(&sums.by_token)),
            (vec![0.0, 1.0, 0.0], vec![0.5, 0.25, 0.25])
        );
        // after token 2
        assert_eq!(drawn(&sums.by_pair), [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(expected(&sums.by_pair), [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.25, 0.25]);
        // a token of a quarter came, where such tokens come half of the time
        let at = INTERVALS / 4;
        let interval = sums.by_interval[at];
        assert_eq!((interval.drawn, interval.expected), (1.0, 0.5));
        let positions: Vec<bool> = sums.losses.iter().map(|loss| loss.drawn > 0.0).collect();
        assert_eq!(positions, [false, false, true, false, false]);
        assert!(
            (sums.loss.drawn - 4f64.ln()).abs() < 1e-12
                && (sums.loss.expected - 1.5 * 2f64.ln()).abs() < 1e-12
        );
        assert_eq!(sums.declared, 1);
    }

    /// Bernstein's bound: the sum of steps of at most `s`, of variance `V` in all, is `x` or more away from its mean with a chance of at
    /// most `2 exp(-x^2 / (2 (V + s x / 3)))`.
    #[test]
    fn the_evidence_of_a_deviation_is_the_bound_on_its_chance() {
        let sum = |drawn: f64| Sum { drawn, expected: 100.0, variance: 25.0, step: 3.0 };
        for x in [5.0, 10.0, -20.0, 80.0_f64] {
            let chance = 2.0 * (-x * x / (2.0 * (25.0 + 3.0 * x.abs() / 3.0))).exp();
            let found = (-sum(100.0 + x).evidence()).exp();
            assert!((found / chance - 1.0).abs() < 1e-6, "{x}: {found} {chance}");
        }
        // rounding is no deviation
        assert_eq!((sum(100.0).evidence(), sum(100.0 + 1e-8).evidence()), (0.0, 0.0));
    }

    #[test]
    fn an_event_adds_its_chance_and_its_variance() {
        let mut sum = Sum::default();
        sum.count(true, 0.25);
        sum.count(false, 0.5);
        assert_eq!((sum.drawn, sum.expected, sum.variance, sum.step), (1.0, 0.75, 0.1875 + 0.25, 1.0));
    }
}
