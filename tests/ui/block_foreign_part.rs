use ihead::Module;
use ihead::backend::{Const, Dim};
use ihead::graph::{Site, Stream};
use ihead::nn::{Block, LayerNorm, Linear, Mlp};

type D = Const<64>;

/// A mixer that has forgotten to say so.
#[derive(Module)]
struct Average {
    #[module]
    map: Linear<D, D>,
}

fn run<T: Dim>(
    block: &Block<Average, Mlp<D>, LayerNorm<D>>,
    x: &Stream<T, D>,
    site: &Site,
) -> Stream<T, D> {
    block.forward(x, site)
}

fn main() {}
