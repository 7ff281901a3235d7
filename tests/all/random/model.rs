//! Models of random operations on random handles.
use ihead::Module;
use ihead::backend::{Const, Dim};
use ihead::graph::{FixedPattern, Mask, Model, Normaliser, Pattern, Scores, Stream, Tokens, Weight};
use ihead::nn::{Init, Linear, ModuleExt, Param};
use ihead::ops::{Pointwise, RowWise};

/// One step of a forward pass: what it does, and numbers by which it picks what it does it with.
pub type Step = (u8, [usize; 3]);

/// Whether steps take handles that fit, or any.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Picks {
    Fitting,
    Any,
}

/// `ln(1 + e^x)`.
struct Softplus;

impl Pointwise for Softplus {
    fn name(&self) -> &str {
        "softplus"
    }
    fn value(&self, x: f64) -> f64 {
        x.max(0.0) + (-x.abs()).exp().ln_1p()
    }
    fn derivative(&self, x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }
}

/// Each element of the first row times the sum of the second.
struct TimesSum;

impl RowWise for TimesSum {
    fn name(&self) -> &str {
        "times_sum"
    }
    fn width(&self, inputs: &[usize]) -> Result<usize, String> {
        if inputs.len() == 2 { Ok(inputs[0]) } else { Err("two rows".into()) }
    }
    fn forward(&self, inputs: &[&[f64]], out: &mut [f64]) {
        let sum: f64 = inputs[1].iter().sum();
        out.iter_mut().zip(inputs[0]).for_each(|(y, x)| *y = x * sum);
    }
    fn backward(&self, inputs: &[&[f64]], _: &[f64], d_out: &[f64], d_inputs: &mut [Vec<f64>]) {
        let sum: f64 = inputs[1].iter().sum();
        let along: f64 = inputs[0].iter().zip(d_out).map(|(x, d)| x * d).sum();
        d_inputs[0].iter_mut().zip(d_out).for_each(|(dx, d)| *dx = d * sum);
        d_inputs[1].fill(along);
    }
}

/// A vector of parameters.
#[derive(Module)]
pub struct Vector {
    #[param]
    weight: Param<(usize,)>,
}

/// A model whose forward pass is a list of steps.
#[derive(Module)]
pub struct Random {
    #[module]
    maps: Vec<Linear<usize, usize>>,
    #[module]
    vectors: Vec<Vector>,
    vocab: usize,
    seq: usize,
    steps: Vec<Step>,
    picks: Picks,
}

impl Random {
    /// Matrices between all of the widths, tables and unembeddings of `vocab` rows, tables of positions, biases of scores.
    pub fn new(vocab: usize, seq: usize, widths: &[usize], steps: Vec<Step>, picks: Picks) -> Random {
        let heights = widths.iter().copied().chain([vocab, seq + 2]);
        let mut maps: Vec<_> =
            heights.flat_map(|rows| widths.iter().map(move |cols| Linear::new(*cols, rows))).collect();
        maps.extend([1, 2].map(|heads| Linear::new(seq + 1, heads)));
        for map in &mut maps {
            *map = Linear { weight: Param::new(*map.weight.shape(), Init::Normal { std: 0.6 }) };
        }
        let vector = |width: &usize| Vector { weight: Param::new((*width,), Init::Normal { std: 0.8 }) };
        let vectors = widths.iter().map(vector).collect();
        Random { maps, vectors, vocab, seq, steps, picks }.init(7)
    }
}

/// What the steps have made so far.
struct Made<'a, T: Dim> {
    tokens: &'a Tokens<T, usize>,
    picks: Picks,
    streams: Vec<Stream<T, usize>>,
    weights: Vec<Weight<usize, usize>>,
    vectors: Vec<Weight<Const<1>, usize>>,
    patterns: Vec<Pattern<T>>,
}

impl<T: Dim> Made<'_, T> {
    /// One of those that fit, or any.
    fn pick<X: Clone>(&self, from: &[X], by: usize, fits: impl Fn(&X) -> bool) -> Option<X> {
        let found: Vec<&X> = from.iter().filter(|x| self.picks == Picks::Any || fits(x)).collect();
        found.get(by % found.len().max(1)).map(|x| (*x).clone())
    }

    /// A number of heads: a divisor of `width` where it shall fit.
    fn heads(&self, width: usize, by: usize) -> usize {
        match self.picks {
            Picks::Any => by % 5,
            Picks::Fitting => {
                let divisors: Vec<usize> = (1..=4).filter(|h| width.is_multiple_of(*h)).collect();
                divisors[by % divisors.len()]
            }
        }
    }

    fn size(&self, fitting: usize, by: usize) -> usize {
        if self.picks == Picks::Any && by.is_multiple_of(3) { by % 11 } else { fitting }
    }

    /// Takes a step, unless nothing fits it.
    fn step(&mut self, number: usize, (what, [a, b, c]): Step) -> Option<()> {
        let x = self.streams[a % self.streams.len()].clone();
        let width = x.dim();
        let same = |y: &Stream<T, usize>| y.dim() == width;
        let site = self.tokens.site();
        let stream = match what % 26 {
            0 | 1 => x.linear(&self.pick(&self.weights, b, |w| w.shape().1 == width)?),
            2 | 3 => x + self.pick(&self.streams, b, same)?,
            4 => x - self.pick(&self.streams, b, same)?,
            5 => {
                let by = self.pick(&self.streams, b, same)?;
                match c % 3 {
                    0 => x * by.tanh(),
                    1 => x * by.silu(),
                    _ => x.silu() * by,
                }
            }
            6 => x.scale(b as f64 / 4.0 - 1.0),
            7 => x.gain(&self.pick(&self.vectors, b, |v| v.shape().1 == width)?),
            8 => x.bias(&self.pick(&self.vectors, b, |v| v.shape().1 == width)?),
            9 | 10 => match b % 11 {
                0 => x.relu(),
                1 => x.sigmoid(),
                2 => x.tanh(),
                3 => x.silu(),
                4 => x.gelu(),
                5 => x.gelu_tanh(),
                6 => x.tanh().exp(),
                7 => x.softmax(),
                8 => x.normalise(0.1),
                9 => x.rms_normalise(0.1),
                _ => x.pointwise(Softplus),
            },
            11 => match c % 3 {
                0 => x.softmax_heads(self.heads(width, b)),
                1 => x.normalise_heads(self.heads(width, b), 0.1),
                _ => x.rms_normalise_heads(self.heads(width, b), 0.1),
            },
            12 if self.picks == Picks::Fitting && width % 2 == 1 => return None,
            12 => x.rotate(self.heads(width / 2, b), 100.0),
            13 => x.shift(b % 4),
            14 => {
                let first = self.size(b % width.max(1), b);
                x.columns(first, self.size(1 + c % (width - first.min(width)).max(1), c))
            }
            15 => {
                let y = self.pick(&self.streams, b, |_| true)?;
                x.concat(&y, self.size(width + y.dim(), c))
            }
            16 | 17 => {
                let heads = self.heads(width, b);
                let key_heads = if c % 2 == 0 { heads } else { self.size(1, c) };
                let scores = Scores::new(heads).key_heads(key_heads).normaliser(normaliser(c));
                let expected = width / heads.max(1) * key_heads;
                let k = self.pick(&self.streams, c, |k| k.dim() == expected)?;
                self.patterns.push(Pattern::causal(&x, &k, scores));
                return Some(());
            }
            18 => {
                let seq = self.size(x.seq().size(), c);
                self.patterns.push(Pattern::fixed(&x, self.size(1 + b % 3, b), rule(seq, c)));
                return Some(());
            }
            19 => {
                // a rule has no scores to be masked
                let p = self.patterns.pop()?;
                let masked = match b % 4 {
                    _ if self.picks == Picks::Fitting => p,
                    0 => p.masked(&Mask::window(2)),
                    1 => p.masked_heads(&[c % 3], &Mask::strict()),
                    _ => {
                        let bias = self.pick(&self.weights, c, |_| true)?;
                        p.with_bias(&bias)
                    }
                };
                self.patterns.push(masked);
                return Some(());
            }
            20 | 21 => {
                let p = self.pick(&self.patterns, b, |p| width.is_multiple_of(p.heads()))?;
                let groups = if c % 3 == 0 && p.heads() > 1 { 1 } else { self.size(p.heads(), c) };
                let p = if c % 5 == 0 { site.pattern(&format!("p{number}"), p) } else { p };
                p.mix_grouped(&x, groups, width / groups.max(1) * p.heads())
            }
            22 => return self.weight((b, c), a),
            23 => x.rows(TimesSum, &[&self.pick(&self.streams, b, |_| true)?], self.size(width, c)),
            24 => site.stream(&format!("s{}", if self.picks == Picks::Any { b % 5 } else { number }), x),
            _ => {
                let (heads, name) = (self.heads(width, b), format!("h{number}"));
                site.heads(&name, x, heads)
            }
        };
        self.streams.push(stream);
        Some(())
    }

    /// A step that makes a matrix, a masked pattern or another lookup.
    fn weight(&mut self, (b, c): (usize, usize), a: usize) -> Option<()> {
        let w = self.weights[a % self.weights.len()].clone();
        let (rows, cols) = w.shape();
        let alike = |v: &Weight<usize, usize>| v.shape() == (rows, cols);
        let made = match c % 12 {
            0 | 1 => w.matmul(&self.pick(&self.weights, b, |v| v.shape().0 == cols)?),
            2 => w + self.pick(&self.weights, b, alike)?,
            3 => w * self.pick(&self.weights, b, alike)?,
            4 => w.transpose(),
            5 => w.scale(b as f64 / 3.0 - 1.0),
            6 => w.sigmoid(),
            7 => w.softmax(),
            8 => w.repeat_columns(2, self.size(2 * cols, b)),
            9 => {
                let table = self.pick(&self.weights, b, |v| v.shape().0 == self.tokens.vocab())?;
                self.streams.push(self.tokens.lookup(&table));
                return Some(());
            }
            10 => {
                let table = self.pick(&self.weights, b, |v| v.shape().0 >= self.tokens.seq().size())?;
                self.streams.push(self.tokens.positions(&table));
                return Some(());
            }
            _ => w.pointwise(Softplus),
        };
        self.weights.push(made);
        Some(())
    }
}

fn normaliser(by: usize) -> Normaliser {
    use Normaliser::*;
    [Softmax, SoftmaxOffByOne, Relu, MeanRelu, Sigmoid, MeanLinear, Softmax][by % 7]
}

fn rule(seq: usize, by: usize) -> FixedPattern {
    match by % 7 {
        0 => FixedPattern::Nothing,
        1 => FixedPattern::Previous,
        2 => FixedPattern::Induction,
        3 => FixedPattern::Uniform,
        4 => FixedPattern::window(2, seq),
        5 => FixedPattern::decay(0.5, seq),
        _ => FixedPattern::Parents(vec![0; seq].into()),
    }
}

impl Model for Random {
    type Vocab = usize;

    fn vocab(&self) -> usize {
        self.vocab
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
        let r = x.recorder();
        let weights: Vec<_> = self.maps.iter().map(|map| map.weight(r)).collect();
        // the last two are biases of scores
        let tables = weights[..weights.len() - 2].iter().filter(|w| w.shape().0 == self.vocab);
        let mut streams: Vec<_> = tables.map(|table| x.lookup(table)).collect();
        let long = weights.iter().find(|w| w.shape() == (self.seq + 2, streams[0].dim()));
        streams.push(streams[0].clone() + x.positions(long.expect("a table of positions")));
        let vectors = self.vectors.iter().map(|v| r.vector(&v.weight)).collect();
        // a masked and a biased pattern to begin with
        let [one, two] = [1, 2].map(|heads| {
            let h = streams[0].clone();
            let h = h.clone().concat(&h, 2 * h.dim());
            let bias = weights.iter().rfind(|w| w.shape() == (heads, self.seq + 1));
            let pattern =
                Pattern::causal(&h, &h, Scores::new(heads).normaliser(normaliser(self.steps.len())));
            pattern.with_bias(bias.expect("a bias for each"))
        });
        let patterns = vec![one.masked(&Mask::decay(0.1)), two.masked_heads(&[1], &Mask::strict())];
        let mut made = Made { tokens: x, picks: self.picks, streams, weights, vectors, patterns };
        for (number, step) in self.steps.iter().enumerate() {
            made.step(number, *step);
        }
        let mut logits: Option<Stream<T, usize>> = None;
        for h in made.streams.iter().rev() {
            let unembed = self.maps.iter().find(|map| *map.weight.shape() == (self.vocab, h.dim()));
            if let Some(unembed) = unembed {
                let more = unembed.forward(h).scale(0.5);
                logits = Some(logits.map_or(more.clone(), |sum| sum + more));
            }
        }
        logits.expect("the first streams have unembeddings")
    }
}
