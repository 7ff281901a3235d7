use ihead::Module;
use ihead::backend::{Const, Dim};
use ihead::graph::{Model, Stream, Tokens};
use ihead::nn::{Embedding, Linear};

type V = Const<65>;
type D = Const<64>;

#[derive(Module)]
struct Bigram {
    #[module]
    embed: Embedding<V, D>,
    #[module]
    output: Linear<V, D>, // the wrong way round
}

impl Model for Bigram {
    type Vocab = V;

    fn vocab(&self) -> V {
        Const
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, V>) -> Stream<T, V> {
        self.output.forward(&self.embed.forward(x))
    }
}

fn main() {}
