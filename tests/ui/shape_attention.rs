use ihead::backend::Const;
use ihead::graph::{Site, Stream};
use ihead::nn::Attention;

fn attend(attention: &Attention<Const<32>>, h: &Stream<usize, Const<64>>, site: &Site) -> Stream<usize, Const<64>> {
    attention.forward(h, h, site)
}

fn main() {}
