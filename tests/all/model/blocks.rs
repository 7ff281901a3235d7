//! Attention by itself.
use ihead::backend::Dim;
use ihead::graph::{Model, Stream, Tokens};
use ihead::nn::{Attention, Embedding, Linear, ModuleExt};

use ihead::model::{Transformer, TransformerArgs};

use super::reference::{attend, linear};
use super::{DIM, SEQ, VOCAB, assert_close, batch, rows, streams};

/// Queries from one embedding of the tokens, keys and values from another.
#[derive(ihead::Module)]
struct TwoStreams {
    #[module]
    asks: Embedding<usize, usize>,
    #[module]
    answers: Embedding<usize, usize>,
    #[module]
    attention: Attention<usize>,
    #[module]
    output: Linear<usize, usize>,
}

impl Model for TwoStreams {
    type Vocab = usize;

    fn vocab(&self) -> usize {
        VOCAB
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
        let (asks, answers) = (self.asks.forward(x), self.answers.forward(x));
        self.output.forward(&self.attention.forward(&asks, &answers, &x.site().at("attention")))
    }
}

#[test]
fn queries_may_come_from_another_stream_than_keys_and_values() {
    for heads in [1, 2] {
        let model = TwoStreams {
            asks: Embedding::new(VOCAB, DIM),
            answers: Embedding::new(VOCAB, DIM),
            attention: Attention::new(DIM, heads),
            output: Linear::new(DIM, VOCAB),
        }
        .init(1);
        let of = |name: &str| rows(&model, name);
        let embedded = |name: &str| {
            let table = of(name);
            batch().x[..SEQ].iter().map(|token| table[*token as usize].clone()).collect::<Vec<_>>()
        };
        let (asks, answers) = (embedded("asks.weight"), embedded("answers.weight"));
        let map = |name: &str, x| linear(&of(&format!("attention.{name}.weight")), x);
        let mixed = attend(&map("wq", &asks), &map("wk", &answers), &map("wv", &answers), heads);
        let s = streams(&model);
        assert_close(&s["attention.mixed"], &mixed);
        assert_close(&s["attention.out"], &map("wo", &mixed));
    }
}

/// `q -> g * q / sqrt(mean(q^2) + eps)` in each head, with the same gain for every head, and the same for the keys.
#[test]
fn queries_and_keys_are_normalised_by_heads_with_their_gains() {
    let args = TransformerArgs { dim: DIM, heads: 2, layers: 1, max_length: SEQ, ..Default::default() };
    let plain = Transformer::new(VOCAB, &args).unwrap().init(2);
    let mut model = Transformer::new(VOCAB, &TransformerArgs { qk_norm: true, ..args }).unwrap().init(2);
    model.copy_from(&plain, "*").unwrap();
    let (width, gains) = (DIM / 2, ["q_gain", "k_gain"]);
    let gain = |which: usize, c: usize| 0.5 + (c + 3 * which) as f64 / 4.0;
    for (which, name) in gains.into_iter().enumerate() {
        let name =
            model.tensors().into_iter().map(|(known, ..)| known).find(|known| known.ends_with(name)).unwrap();
        let set = &mut |values: &mut [f64]| {
            values.iter_mut().enumerate().for_each(|(c, value)| *value = gain(which, c));
        };
        model.update_f64(&name, set).unwrap();
    }
    let (before, after) = (streams(&plain), streams(&model));
    for (which, site) in ["layers.0.attention.q", "layers.0.attention.k"].into_iter().enumerate() {
        let expected = before[site].iter().map(|row| {
            row.chunks(width)
                .flat_map(|head| {
                    let square = head.iter().map(|x| x * x).sum::<f64>() / width as f64;
                    head.iter().enumerate().map(move |(c, x)| gain(which, c) * x / (square + 1e-5).sqrt())
                })
                .collect::<Vec<f64>>()
        });
        assert_close(&after[site], &expected.collect::<Vec<_>>());
    }
}
