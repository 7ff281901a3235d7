//! Attention by itself.
use ihead::backend::Dim;
use ihead::graph::{Model, Stream, Tokens};
use ihead::nn::{Attention, Embedding, Linear, ModuleExt};

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
