use ihead::backend::Const;
use ihead::graph::{Stream, Weight};

/// A matrix `[out, in]` of the wrong input width, and of the wrong output width.
fn wrong_input(x: &Stream<usize, Const<64>>, w: &Weight<Const<16>, Const<32>>) -> Stream<usize, Const<16>> {
    x.linear(w)
}

fn wrong_output(x: &Stream<usize, Const<64>>, w: &Weight<Const<16>, Const<64>>) -> Stream<usize, Const<32>> {
    x.linear(w)
}

fn main() {}
