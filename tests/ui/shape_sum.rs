use ihead::backend::Const;
use ihead::graph::{Stream, Weight};

fn sum(a: Stream<usize, Const<64>>, b: Stream<usize, Const<32>>) -> Stream<usize, Const<64>> {
    a + b
}

fn product(a: Weight<Const<8>, Const<64>>, b: Weight<Const<32>, Const<8>>) -> Weight<Const<8>, Const<8>> {
    a.matmul(&b)
}

fn main() {}
